import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import type { TestCity } from '../city.ts';
import { findChromium, launchChromium } from './chromium.ts';

/** Starts one city and one browser for all tests of a file and stops them after; without Chromium neither, and the tests must skip. */
export function browseCity(start: () => Promise<TestCity>, ready: (city: TestCity, browser: Browser) => void | Promise<void>): void {
  if (findChromium() === undefined) return console.warn('the browser tests are skipped: there is no Chromium');
  let city: TestCity;
  let browser: Browser;
  beforeAll(async () => {
    city = await start();
    browser = await launchChromium();
    await ready(city, browser);
  }, 180_000);
  afterAll(async () => {
    await browser.close();
    await city.stop();
    city.remove();
  });
}
