import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const PICTURES = join(ROOT, 'artefacts', 'pictures');
const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const chromium = findChromium();
let city: TestCity;
let browser: Browser;
if (chromium !== undefined) mkdirSync(PICTURES, { recursive: true });
browseCity(() => startTestCity(), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('anybody tries the gate without a script: a sample, a text, a file', async () => {
  const { page, context, foreign } = await watchedPage(browser, city.url, { javaScriptEnabled: false });
  await page.goto('/trust/gate');
  await page.getByRole('button', { name: 'An air sensor' }).click();
  await page.getByRole('heading', { name: 'An air sensor: nothing in it would be refused' }).waitFor();
  for (const [name, words] of [['A counter that lists phones nearby', 'the MAC address (EUI-48) of a device'], ['A camera that reads plates', 'the number plate of a vehicle'], ['A picture inside a message', 'an image'], ['A note with a way to reach somebody', 'an e-mail address'], ['A face as numbers', 'the form of a face or voice template'], ['The way of one thing', 'the way of one object over several places']] as const) {
    await page.getByRole('button', { name }).click();
    await page.getByRole('heading', { name: `${name}: it would be refused` }).waitFor();
    await page.getByText(words).first().waitFor();
  }
  await page.getByLabel('A message, as JSON or as text').fill('{"note": "Steuer-ID 86095742719"}');
  await page.getByRole('button', { name: 'Look at it' }).click();
  await page.getByText('a German tax identification number').waitFor();
  await page.getByLabel('Or a file of at most 64 KiB').setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex') });
  await page.getByRole('button', { name: 'Look at it' }).click();
  await page.getByRole('heading', { name: 'Your file: it would be refused' }).waitFor();
  await page.getByLabel('A message, as JSON or as text').fill('');
  await page.getByRole('button', { name: 'Look at it' }).click();
  await page.getByText('There is nothing to look at.').waitFor();
  expect(foreign).toEqual([]);
  await context.close();
});

test.skipIf(chromium === undefined)('the page of the gate can be used by everybody', async () => {
  const { page, context } = await watchedPage(browser, city.url, { viewport: DESK });
  for (const [size, viewport, colorScheme] of [['light', DESK, 'light'], ['dark', DESK, 'dark'], ['phone', PHONE, 'light']] as const) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await page.goto('/trust/gate');
    await page.getByRole('button', { name: 'A counter that lists phones nearby' }).click();
    await page.getByRole('heading', { name: 'A counter that lists phones nearby: it would be refused' }).waitFor();
    await page.screenshot({ path: join(PICTURES, `gate-${size}.png`), fullPage: true });
    expect(await accessibilityFaults(page), size).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${size} scrolls sideways`).toBe(true);
  }
  await context.close();
});
