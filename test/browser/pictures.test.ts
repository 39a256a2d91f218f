import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, mapIdle, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { signIn } from './desk.ts';

const PICTURES = join(ROOT, 'artefacts', 'pictures');
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const WALL = { width: 1920, height: 1080 };

const chromium = findChromium();
let city: TestCity;
let browser: Browser;
if (chromium !== undefined) mkdirSync(PICTURES, { recursive: true });
browseCity(() => startTestCity({ demo: true }), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('the demo city shows console, wall and residents pages in light, dark, on a phone and on the wall, without accessibility faults', async () => {
  const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport: DESK });
  const shoot = (name: string) => page.screenshot({ path: join(PICTURES, `${name}.png`) });
  await signIn(page, city.signInLink, 'Marta Silva');
  await mapIdle(page);
  await shoot('console-light');
  expect(await accessibilityFaults(page)).toEqual([]);
  const opened = await city.call('POST', '/api/incidents', { token: city.token('operator'), body: { title: 'Tree across both lanes', severity: 'severe', point: [-56.16, -34.88], placeName: 'Avenida Italia' } });
  expect(opened.status, opened.text).toBeLessThan(300);
  await page.getByRole('button', { name: /Tree across both lanes/ }).first().click();
  await page.getByRole('heading', { name: 'Tree across both lanes' }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.reload();
  await mapIdle(page);
  await shoot('console-dark');
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.setViewportSize(PHONE);
  await shoot('console-phone');
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), 'the console on a phone scrolls sideways').toBe(true);
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.setViewportSize(WALL);
  await page.goto('/wall');
  await mapIdle(page);
  await shoot('wall');
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.emulateMedia({ colorScheme: 'light' });
  for (const [name, path] of [['front', '/'], ['report', '/report'], ['trust', '/trust'], ['purposes', '/trust/purposes'], ['log', '/trust/log'], ['errors', '/docs/errors'], ['explore', '/explore'], ['devices', '/devices'], ['feeds', '/feeds'], ['import', '/import'], ['requests', '/requests'], ['people', '/people'], ['sign-in', '/sign-in']] as const) {
    for (const [size, viewport] of [['desk', DESK], ['phone', PHONE]] as const) {
      await page.setViewportSize(viewport);
      await page.goto(path);
      await shoot(`${name}-${size}`);
      expect(await accessibilityFaults(page), `${path} on a ${size}`).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${path} on a ${size} scrolls sideways`).toBe(true);
    }
  }
  expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
  await context.close();
});

test.skipIf(chromium === undefined)('a house number of the demo city is found offline, and its residents report in several languages', async () => {
  const hits = await city.call('GET', `/api/gazetteer?q=${encodeURIComponent('18 de Julio 1234')}`);
  expect(hits.json[0].label).toMatch(/18 de Julio/);
  expect(hits.json[0].point[0]).toBeCloseTo(-56.19, 1);
  for (const language of ['en', 'de', 'es', 'fr']) {
    const services = await city.call('GET', `/api/portal/services?language=${language}`);
    expect(services.json.length).toBe(5);
  }
});
