import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, launchChromium, watchedPage } from './chromium.ts';
import { signIn } from './desk.ts';

// The page of the feeds in a real browser: the empty state, a feed that works, one that fails, one that is set up wrongly.

const PICTURES = process.env['PICTURES'] ?? join(ROOT, 'artefacts', 'pictures');
const chromium = findChromium();
let browser: Browser;
let mode = 'good';
const source = createServer((request, response) => {
  const origin = `http://${request.headers.host ?? ''}`;
  const now = Math.floor(Date.now() / 1_000);
  const frame = (data: unknown): string => JSON.stringify({ last_updated: now, ttl: 0, version: '2.3', data });
  if (mode === 'html') response.setHeader('content-type', 'text/html').end('<html>Sign in</html>');
  else if (request.url === '/gbfs.json') response.end(frame({ en: { feeds: ['station_information', 'station_status'].map((name) => ({ name, url: `${origin}/${name}` })) } }));
  else if (request.url === '/station_information') response.end(frame({ stations: [{ station_id: 's1', name: 'Domplatz', lat: 51.96, lon: 7.62, capacity: 10 }] }));
  else response.end(frame({ stations: [{ station_id: 's1', num_bikes_available: 5, num_docks_available: 5, is_installed: true, is_renting: true, is_returning: true, last_reported: now }] }));
});
const cities: TestCity[] = [];
const start = async (files: Record<string, string>): Promise<TestCity> => {
  const city = await startTestCity({ files });
  cities.push(city);
  return city;
};

beforeAll(async () => {
  if (chromium === undefined) return;
  mkdirSync(PICTURES, { recursive: true });
  source.listen(0, '127.0.0.1');
  await once(source, 'listening');
  browser = await launchChromium();
});
afterAll(async () => {
  if (chromium === undefined) return;
  await browser.close();
  for (const city of cities) {
    await city.stop();
    city.remove();
  }
  source.closeAllConnections();
  source.close();
});

test.skipIf(chromium === undefined)('a city without feeds learns how to get one', async () => {
  const city = await start({});
  const { page, faults, foreign } = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  await signIn(page, city.signInLink, 'Marta Silva');
  await page.goto('/feeds');
  await page.getByText('There are no feeds yet.').waitFor();
  const example = page.getByLabel('Example of feeds.yaml');
  await expect
    .poll(async () => {
      await page.getByLabel('What shall come in?').selectOption({ index: 0 }); // until the script of the page runs
      await page.getByLabel('What shall come in?').selectOption('gbfs');
      return example.textContent();
    })
    .toContain('adapter: gbfs');
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, 'feeds-empty.png'), fullPage: true });
  expect([faults, foreign]).toEqual([[], []]);
});

test.skipIf(chromium === undefined)('feeds that work, fail and are set up wrongly are told apart, run, paused and resumed by keyboard', async () => {
  const origin = `http://127.0.0.1:${(source.address() as AddressInfo).port}`;
  const city = await start({
    'feeds.yaml': `
egress: [{ host: "${origin}", private: true }]
feeds:
  - { name: city-bikes, adapter: gbfs, purpose: city-operations, interval_s: 3600, options: { url: "${origin}/gbfs.json" } }
  - { name: citizens-air, adapter: sensor-community, purpose: city-operations, interval_s: 150, options: { devices: [{ id: "1", key: market, name: Market, lon: 7.6, lat: 51.9 }] } }
  - { name: typo, adapter: sensor-community, purpose: city-operations, options: { devises: [] } }
`,
  });
  const { page, faults, foreign } = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  await signIn(page, city.signInLink, 'Marta Silva');
  await page.getByText('Feed typo: set up wrongly', { exact: false }).waitFor({ state: 'attached' }); // on the strip of the console
  await page.goto('/feeds');
  const bikes = page.getByRole('article', { name: 'city-bikes' });
  await bikes.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('article', { name: 'typo' }).getByText('Set up wrongly').waitFor();
  await page.getByRole('article', { name: 'typo' }).getByText('options.devices', { exact: false }).first().waitFor();
  const message = (id: number): unknown => ({ esp8266id: id, sensordatavalues: [{ value_type: 'SDS_P1', value: '12.5' }, { value_type: 'SDS_P2', value: '-7' }] });
  const pushed = await city.call('POST', '/api/feeds/citizens-air', { token: city.token('device'), body: message(1) });
  expect([pushed.status, pushed.json]).toMatchObject([200, { taken: 1, refused_count: 1 }]);
  await city.call('POST', '/api/feeds/citizens-air', { token: city.token('device'), body: message(2) });
  // the page looks again by itself
  await page.getByRole('article', { name: 'citizens-air' }).getByText('Failing').or(page.getByRole('article', { name: 'citizens-air' }).getByText('Live', { exact: true })).waitFor();

  mode = 'html';
  await bikes.getByRole('button', { name: 'Run now: city-bikes' }).press('Enter');
  await page.getByText('was asked and gave nothing', { exact: false }).waitFor();
  await bikes.getByText('It answers with an HTML page', { exact: false }).waitFor();
  await page.getByRole('article', { name: 'citizens-air' }).locator('summary').press('Enter');
  await page.getByRole('cell', { name: 'gate.out-of-bounds' }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, 'feeds-light.png'), fullPage: true });
  mode = 'good';
  await bikes.getByRole('button', { name: 'Pause: city-bikes' }).press('Enter');
  await bikes.getByText('Paused', { exact: true }).waitFor();
  await bikes.getByRole('button', { name: 'Resume: city-bikes' }).press('Enter');
  await bikes.getByText('Live', { exact: true }).waitFor();
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.reload();
  await bikes.waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, 'feeds-dark.png'), fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, 'feeds-phone.png'), fullPage: true });
  expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto('/console');
  await page.getByRole('region', { name: 'Data feeds' }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.screenshot({ path: join(PICTURES, 'feeds-strip.png') });
  expect([faults, foreign]).toEqual([[], []]);
});
