import type { Browser, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { join } from 'node:path';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, mapIdle, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const HOUR_MS = 3_600_000;
const READINGS = 48;
const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement';

const chromium = findChromium();
let city: TestCity;
let browser: Browser;

/** Two gauges, twenty lamps, and two days of hourly levels at the first gauge; all through the public API. */
async function seed(): Promise<void> {
  const token = city.token('administrator');
  const sent = await city.call('GET', '/api/purposes');
  const purpose: string = sent.json.purposes[0].id;
  const create = async (path: string, body: unknown): Promise<number> => {
    const { status, json, text } = await city.call('POST', path, { token, body });
    if (status !== 201) throw new Error(`POST ${path}: ${status} ${text}`);
    return json['@iot.id'];
  };
  const stream = (name: string) => ({ name, description: 'Every hour', observationType: OM, unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose }, Sensor: { name: 'Radar', description: 'Radar gauge', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Water level', definition: 'http://example.org/level', description: 'Height of the water' } });
  const place = (lon: number) => [{ name: 'Bridge', description: 'Pier', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [lon, -34.9] } }];
  await create('/v1.1/Things', { name: 'Gauge north', description: 'River gauge', properties: { kind: 'river_gauge' }, Locations: place(-56.18), Datastreams: [stream("Level at O'Hara bridge")] });
  await create('/v1.1/Things', { name: 'Gauge south', description: 'River gauge', properties: { kind: 'river_gauge' }, Locations: place(-56.16), Datastreams: [stream('Level at the weir')] });
  for (let at = 1; at <= 20; at += 1) await create('/v1.1/Things', { name: `Lamp ${at}`, description: 'Street lamp', properties: { kind: 'lamp' } });
  const found = await city.call('GET', "/v1.1/Datastreams?$filter=startswith(name,'Level%20at%20O')");
  const start = Date.now() - READINGS * HOUR_MS;
  const dataArray = Array.from({ length: READINGS }, (_, at) => [new Date(start + at * HOUR_MS).toISOString(), 1 + at / 100]);
  const bulk = await city.call('POST', '/v1.1/CreateObservations', { token, body: [{ Datastream: { '@iot.id': found.json.value[0]['@iot.id'] }, components: ['phenomenonTime', 'result'], dataArray }] });
  if (bulk.status !== 201 || bulk.json.some((answer: string) => answer.startsWith('error'))) throw new Error(bulk.text);
}

browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city') }), async (...started) => {
  [city, browser] = started;
  await seed();
});

const requestLine = (page: Page) => page.getByLabel('Request to this server');
const withoutRefusals = (faults: readonly string[]): string[] => faults.filter((fault) => !/status of 40[04]/.test(fault));

test.skipIf(chromium === undefined)('a newcomer finds a datastream, filters, charts it, and passes the link on', async () => {
  const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB', permissions: ['clipboard-read', 'clipboard-write'] });
  await page.goto('/');
  await page.getByRole('link', { name: 'Explore the data' }).first().click();
  await page.getByRole('heading', { name: 'Data explorer' }).waitFor();
  await page.getByRole('navigation', { name: 'Entity sets' }).getByRole('link', { name: 'Datastreams', exact: true }).click();
  await page.getByRole('link', { name: '1', exact: true }).waitFor();

  await page.getByLabel('Property', { exact: true }).fill('name');
  await page.getByLabel('Comparison').selectOption('contains');
  await page.getByLabel('Value', { exact: true }).fill("O'Hara");
  await page.getByRole('button', { name: 'Add filter' }).click();
  await expect.poll(() => requestLine(page).inputValue()).toBe("/v1.1/Datastreams?$filter=contains(name,'O''Hara')");
  await page.getByText('1 row', { exact: true }).waitFor();
  await page.getByRole('checkbox', { name: 'Thing', exact: true }).check();
  await page.getByRole('link', { name: 'Gauge north' }).waitFor();
  await page.goBack();
  await expect.poll(() => requestLine(page).inputValue()).not.toContain('$expand');
  await page.getByRole('button', { name: /^Remove contains/ }).click();
  await page.getByText('2 rows', { exact: true }).waitFor();
  await page.goBack();
  await page.getByText('1 row', { exact: true }).waitFor();

  await page.getByRole('rowheader').getByRole('link').click();
  await page.getByRole('link', { name: 'Chart' }).click();
  await page.waitForSelector('[data-chart="drawn"]', { state: 'attached' });
  await page.getByRole('link', { name: 'Week', exact: true }).waitFor();
  await page.getByText(`Values as a table (${READINGS})`).click();
  expect(await page.getByRole('region', { name: 'Values as a table' }).getByRole('row').count()).toBe(READINGS + 1);
  await page.getByRole('region', { name: 'Values as a table' }).getByRole('cell', { name: '1.47', exact: true }).waitFor();

  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const link = String(await page.evaluate('navigator.clipboard.readText()'));
  expect(link).toContain('/explore?at=/v1.1/Datastreams(');
  await page.getByRole('button', { name: 'Copy as curl' }).click();
  await expect.poll(() => page.evaluate('navigator.clipboard.readText()')).toMatch(/^curl 'http\S+\/v1\.1\/Datastreams\(\d+\)'$/);
  const fresh = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB' });
  await fresh.page.goto(link);
  await fresh.page.waitForSelector('[data-chart="drawn"]', { state: 'attached' });
  expect(await requestLine(fresh.page).inputValue()).toBe(await requestLine(page).inputValue());
  await fresh.page.getByText(`Values as a table (${READINGS})`).waitFor();
  await fresh.context.close();
  expect({ faults: withoutRefusals(faults), foreign }).toEqual({ faults: [], foreign: [] });
  await context.close();
});

test.skipIf(chromium === undefined)('pages lead on by the next link, and every view shows the same answer', async () => {
  const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB' });
  await page.goto('/explore?at=/v1.1/Things?$top=10%26$orderby=id%26$count=true');
  await page.getByText('10 rows of 22', { exact: true }).waitFor();
  await page.getByRole('link', { name: 'Next page' }).click();
  await page.getByRole('link', { name: 'First page' }).waitFor();
  await page.getByRole('link', { name: 'Next page' }).click();
  await page.getByText('2 rows of 22', { exact: true }).waitFor();
  expect(await page.getByRole('link', { name: 'Next page' }).count()).toBe(0);
  await page.getByRole('cell', { name: 'Lamp 20' }).waitFor();
  await page.getByRole('link', { name: 'JSON' }).click();
  await page.getByText('"name": "Lamp 20"').waitFor();

  await page.goto('/explore?at=/v1.1/Things?$expand=Locations%26$filter=properties/kind eq \'river_gauge\'&view=map');
  await mapIdle(page);
  await page.getByText('2 places of this page. The table lists the same.').waitFor();
  const csv = await page.getByRole('link', { name: 'CSV' }).getAttribute('href');
  const table = await city.call('GET', csv ?? '');
  expect([table.status, table.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/csv')]);
  expect(table.text.split('\n').filter((row) => row !== '').length).toBeGreaterThanOrEqual(3);
  const features = await city.call('GET', (await page.getByRole('link', { name: 'GeoJSON' }).getAttribute('href')) ?? '');
  expect(features.json.features).toHaveLength(2);
  expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
  await context.close();
});

test.skipIf(chromium === undefined)('the same stream is charted by version 2.0, and a month of it as means of hours', async () => {
  const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB' });
  await page.goto("/explore?at=/v2.0/Datastreams?$filter=contains(name,'Hara')");
  await page.getByRole('rowheader').getByRole('link').click();
  await page.getByRole('link', { name: 'Chart' }).click();
  await page.getByText(`Values as a table (${READINGS})`).waitFor();
  await page.getByText(/, m$/).waitFor();
  await page.getByRole('link', { name: 'Month', exact: true }).click();
  await page.getByText(/, m, means of hours$/).waitFor();
  await page.waitForSelector('[data-chart="drawn"]', { state: 'attached' });
  await page.goBack();
  await page.getByText(/, m$/).waitFor();
  expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
  await context.close();
});

test.skipIf(chromium === undefined)('a fault is shown with its place, and everything is reached by keyboard', async () => {
  const { page, context, faults } = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB' });
  await page.goto('/explore');
  await page.getByText('Which devices stand where?').waitFor();
  // the key works once the page has woken up
  await expect.poll(async () => {
    await page.keyboard.press('/');
    return requestLine(page).evaluate((field) => field === field.ownerDocument.activeElement);
  }).toBe(true);
  await page.keyboard.type('Things?$filter=name eq and');
  await page.keyboard.press('Enter');
  await page.getByText('The server answered 400.').waitFor();
  expect(await page.locator('mark').textContent()).toBe('a');
  expect(await page.getByText('$filter =').textContent()).toContain('name eq and');
  await page.getByRole('link', { name: 'sensing.query-invalid' }).waitFor();
  expect(await requestLine(page).getAttribute('aria-invalid')).toBe('true');
  expect(await requestLine(page).evaluate((field) => field === field.ownerDocument.activeElement)).toBe(true);
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('https://elsewhere.example/v1.1/Things');
  await page.keyboard.press('Enter');
  await page.getByText('A request names an address of this server').waitFor();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type("Things?$filter=name eq 'none such'");
  await page.keyboard.press('Enter');
  await page.getByText('Nothing meets the question').waitFor();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('Things?$top=1');
  await page.keyboard.press('Enter');
  await page.getByText('1 row', { exact: true }).waitFor();
  const reached = new Set<string>();
  for (let at = 0; at < 60; at += 1) {
    await page.keyboard.press('Tab');
    reached.add(String(await page.evaluate('(document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").trim()')));
  }
  for (const name of ['Send', 'Add filter', 'Property', 'Copy link', 'Copy as curl', 'JSON', 'CSV', 'Table', 'Next page']) expect([...reached], name).toContain(name);
  expect(withoutRefusals(faults)).toEqual([]);
  await context.close();
});

test.skipIf(chromium === undefined)('a slow answer shows that it is waited for, and can be given up', async () => {
  const { page, context } = await watchedPage(browser, city.url, { viewport: DESK, locale: 'en-GB' });
  await page.goto('/explore?at=/v1.1/Things?$top=1');
  await page.getByText('1 row', { exact: true }).waitFor();
  await context.route('**/v1.1/Sensors*', () => undefined); // held back for ever, as by a busy database
  await requestLine(page).fill('Sensors?$top=1');
  await page.keyboard.press('Enter');
  await page.getByText(/Waiting for the answer/).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Given up.').waitFor();
  await page.getByText('1 row', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Send' }).waitFor();
  await context.close();
});

test.skipIf(chromium === undefined)('the explorer has no accessibility fault in light at a desk and in dark on a phone, and speaks four languages', async () => {
  const addresses = ['/explore', "/explore?at=/v1.1/Things?$expand=Locations%26$filter=properties/kind eq 'river_gauge'", '/explore?at=/v1.1/Datastreams(1)', '/explore?at=/v1.1/Datastreams(1)&view=chart&range=week', '/explore?at=/v1.1/Things(1)&view=json', '/explore?at=/v1.1/Things?$filter=x'];
  for (const [colorScheme, viewport] of [['light', DESK], ['dark', PHONE]] as const) {
    const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport, colorScheme, locale: 'en-GB' });
    for (const address of addresses) {
      await page.goto(address);
      await page.locator('section, .fault').first().waitFor();
      if (address.includes('chart')) await page.waitForSelector('[data-chart="drawn"]', { state: 'attached' });
      expect(await accessibilityFaults(page), `${address} ${colorScheme} ${viewport.width}`).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${address} at ${viewport.width} scrolls sideways`).toBe(true);
    }
    expect({ faults: withoutRefusals(faults), foreign }).toEqual({ faults: [], foreign: [] });
    await context.close();
  }
  for (const [locale, title] of [['de-DE', 'Daten erkunden'], ['es-UY', 'Explorar los datos'], ['fr-FR', 'Explorer les données']] as const) {
    const { page, context } = await watchedPage(browser, city.url, { locale });
    await page.goto('/explore');
    await page.getByRole('heading', { name: title }).waitFor();
    await context.close();
  }
});
