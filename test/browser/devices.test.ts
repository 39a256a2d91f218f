import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { sendHashedAddresses } from '../hashed-addresses.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn } from './desk.ts';

const PICTURES = join(ROOT, 'artefacts', 'pictures');
const chromium = findChromium();
const CITY = { name: 'Mühlstadt', motto: 'A city of tests', center: [11.5755, 48.1374], bounds: [11.4, 48.0, 11.8, 48.3], attribution: '', basemap: null, time_zone: 'Europe/Berlin', languages: ['en'] };
let city: TestCity;
let browser: Browser;

if (chromium !== undefined) mkdirSync(PICTURES, { recursive: true });
browseCity(() => startTestCity({ files: { 'city.json': JSON.stringify(CITY) } }), (...started) => {
  [city, browser] = started;
});

const SIZES = [['desk', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]] as const;

/** Takes pictures of the page as it stands, light and dark, on a desk and on a phone, and looks for what a machine can find. */
async function inspect(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [size, viewport] of SIZES) {
      await page.setViewportSize(viewport);
      expect(await accessibilityFaults(page), `${name}, ${colorScheme}, ${size}`).toEqual([]);
      await page.screenshot({ path: join(PICTURES, `devices-${name}-${colorScheme}-${size}.png`), fullPage: true });
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${name} scrolls sideways on a ${size}`).toBe(true);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(SIZES[0][1]);
}

test.skipIf(chromium === undefined)('a device is added by keyboard, its line is run in a shell, and the page turns green by itself', async () => {
  const { page, context, faults, foreign } = await watchedPage(browser, city.url, { viewport: SIZES[0][1] });
  await signIn(page, city.signInLink, 'Ida Okoye');
  await page.goto('/devices');
  await page.getByText('No device has a credential of its own yet.').waitFor();
  await inspect(page, 'empty');

  await page.getByRole('button', { name: 'Add a device' }).focus();
  await page.keyboard.press('Enter');
  await page.getByLabel('Name', { exact: true }).waitFor();
  await page.keyboard.press('Enter'); // nothing filled in: every field says what it wants
  await page.getByText('Choose what it is for.').waitFor();
  await inspect(page, 'form');
  await page.getByLabel('Name', { exact: true }).focus();
  await page.keyboard.type('Gauge at the mill');
  await page.getByLabel('Latitude').focus();
  await page.keyboard.type('48,1374');
  await page.getByLabel('Longitude').focus();
  await page.keyboard.type('11.5755');
  await page.getByLabel('Water level').focus();
  await page.keyboard.press('Space');
  await page.getByLabel('Purpose').selectOption('city-operations');
  await page.getByRole('button', { name: 'Add the device' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText('Waiting for the first reading').waitFor();
  await inspect(page, 'waiting');
  const line = (await page.getByRole('group', { name: 'HTTP' }).textContent()) ?? '';
  expect(line).toMatch(/^curl -X POST 'http/);
  execFileSync('sh', ['-c', `${line} -s -f -o /dev/null`]);
  await page.getByText('The first reading is here: Water level 1.35 m.').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('cell', { name: 'Gauge at the mill Water level' }).waitFor();

  // one that was a mistake is taken back
  await page.getByRole('button', { name: 'Add a device' }).click();
  await page.getByLabel('Name', { exact: true }).fill('A mistake');
  await page.getByRole('button', { name: 'Take the middle of the map' }).click();
  expect(Number(await page.getByLabel('Latitude').inputValue())).toBeCloseTo(48.15, 0);
  await page.getByLabel('Sound level, mean').check();
  await page.getByLabel('Purpose').selectOption('city-operations');
  await page.getByRole('button', { name: 'Add the device' }).click();
  await page.getByRole('button', { name: 'Undo: take the device back' }).click();
  await page.getByText('A mistake is taken back, with all that was made for it.').waitFor();
  await page.getByRole('cell', { name: /A mistake/ }).waitFor({ state: 'detached' });
  expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
  await context.close();
});

test.skipIf(chromium === undefined)('a table of devices is looked through, made, and its tokens saved; a quarantined device is released', async () => {
  const invitation = await city.call('POST', '/api/people/invitations', { token: city.token('administrator'), body: { name: '', positions: ['administrator', 'operator'] } });
  const { page, context, faults } = await watchedPage(browser, city.url, { viewport: SIZES[0][1], acceptDownloads: true });
  await signIn(page, city.url + invitation.json.path, 'Bo Lindqvist');
  await page.goto('/devices');
  await page.getByRole('button', { name: 'Add many from a table' }).click();
  const [template] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download the empty table' }).click()]);
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-devices-page-'));
  await template.saveAs(join(folder, 'template.csv'));
  const [head] = readFileSync(join(folder, 'template.csv'), 'utf8').split('\r\n');
  writeFileSync(join(folder, 'bad.csv'), `${head}\r\nRain at the yard,11.5,98.1,rain,600,city-operations,rain_gauge\r\n`);
  writeFileSync(join(folder, 'good.csv'), `${head}\r\nRain at the yard,11.5,48.1,rain,600,city-operations,rain_gauge\r\nRain at the depot,11.6,48.1,rain,600,city-operations,rain_gauge\r\n`);
  await page.getByLabel('Table (CSV').setInputFiles(join(folder, 'bad.csv'));
  await page.getByRole('cell', { name: 'latitude' }).waitFor();
  await inspect(page, 'table');
  await page.getByLabel('Table (CSV').setInputFiles(join(folder, 'good.csv'));
  await page.getByRole('button', { name: 'Make all 2 devices' }).click();
  const [tokens] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save the table of tokens' }).click()]);
  await tokens.saveAs(join(folder, 'tokens.csv'));
  const [, first] = readFileSync(join(folder, 'tokens.csv'), 'utf8').split('\r\n');
  const [name, id, stream, token] = first?.split(',') ?? [];
  expect(name).toBe('Rain at the yard');
  for (let n = 0; n < 20; n += 1) expect((await city.call('POST', `/v1.1/Datastreams(${stream})/Observations`, { token: token ?? '', body: { result: 9_999 } })).status).toBe(403);
  await page.goto('/devices');
  const row = page.getByRole('row', { name: /Rain at the yard/ });
  await row.getByText('In quarantine').waitFor();
  await row.getByText('gate.out-of-bounds × 20').waitFor();
  await inspect(page, 'list');
  await row.getByText('Change').click();
  await row.getByRole('button', { name: 'Release' }).click();
  await page.getByText('Rain at the yard is released.').waitFor();
  expect((await city.call('GET', `/api/devices/${id}`, { token: city.token('operator') })).json).toMatchObject({ state: 'active' });
  expect(faults).toEqual([]);
  await context.close();
});

test.skipIf(chromium === undefined)('a datastream that the gate holds back is seen, and let go with a reason by keyboard', async () => {
  const administrator = city.token('administrator');
  const made = await city.call('POST', '/v1.1/Datastreams', {
    token: administrator,
    body: {
      name: 'Visitors of the square', description: 'A counter', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: null, symbol: null, definition: null }, properties: { purpose: 'city-operations' },
      Thing: { name: 'Counter', description: 'At the square' }, Sensor: { name: 'Counter', description: 'Counter', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Visitors', definition: 'http://example.org/visitors', description: 'Visitors' },
    },
  });
  expect(made.status, made.text).toBe(201);
  await sendHashedAddresses(city, administrator, made.json['@iot.id']);
  const { page, context, faults } = await watchedPage(browser, city.url, { viewport: SIZES[0][1] });
  await signIn(page, await inviteLink(city, ['administrator', 'operator']), 'Cora Diaz');
  await page.goto('/devices');
  const held = page.getByRole('region', { name: 'Held back by the gate' });
  await held.getByText('Visitors of the square').waitFor();
  await held.getByText('identifier-like').waitFor();
  await held.getByRole('button', { name: 'Let it send again' }).focus();
  await page.keyboard.press('Enter');
  const reason = held.getByLabel('Why it may send again');
  await reason.fill('New');
  await page.keyboard.press('Enter');
  await held.getByText('Say in a sentence').waitFor();
  await inspect(page, 'held');
  await reason.fill('The counter was set to send sums of an hour.');
  await page.keyboard.press('Enter');
  await page.getByText('Visitors of the square may send again.').waitFor();
  expect(await held.count()).toBe(0);
  expect((await city.call('GET', '/api/gate/quarantine', { token: administrator })).json.streams).toEqual([]);
  expect(faults).toEqual([]);
  await context.close();
});
