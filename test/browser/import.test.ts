import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn } from './desk.ts';

const CITY_JSON = JSON.stringify({ name: 'Testport', motto: 'A city for tests', center: [7.6, 51.9], bounds: [7, 51, 8, 52], attribution: '', basemap: null, time_zone: 'Europe/Berlin', languages: ['en'] });
const chromium = findChromium();
let city: TestCity;
let browser: Browser;
let folder = '';
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city'), files: { 'city.json': CITY_JSON } }), (...started) => {
  [city, browser] = started;
  folder = mkdtempSync(join(tmpdir(), 'clerestory-import-'));
});
afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true });
});

test.skipIf(chromium === undefined)('an administrator imports a table by keyboard: guess, try out, import, and again without doubles', async () => {
  const file = join(folder, 'River levels.csv.gz');
  writeFileSync(file, gzipSync('Zeit;station_id;Pegel\n29.10.2023 02:30;A;1,5\n29.10.2023 02:30;A;1,6\n29.10.2023 03:00;A;-\n29.10.2023 03:00;B;0\n29.10.2023 03:15;B;hoch\n'));
  const { page, faults, foreign } = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
  await signIn(page, city.signInLink, 'Marta Silva');
  await page.goto('/import');
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await page.getByRole('region', { name: 'First rows of the file' }).getByText('hoch').waitFor();
  expect(await page.getByLabel('Time format').inputValue()).toBe('DD.MM.YYYY HH:mm');
  expect(await page.getByLabel('Time zone').inputValue()).toBe('Europe/Berlin');
  expect(await page.getByLabel('Decimal sign').inputValue()).toBe(',');
  expect(await page.getByLabel('Station', { exact: true }).inputValue()).toBe('station_id');
  expect(await page.getByRole('button', { name: /^Import/ }).isDisabled()).toBe(true); // only after it was tried out
  expect(await page.getByLabel('Purpose').inputValue()).toBe(''); // a person's decision
  await page.getByLabel('Purpose').selectOption('water-safety');
  expect(await accessibilityFaults(page)).toEqual([]);

  await page.getByLabel('Name of the source').focus();
  await page.keyboard.press('Enter'); // tries it out
  await page.getByRole('heading', { name: 'What the file holds; nothing is stored yet' }).waitFor();
  await page.getByRole('cell', { name: '2023-10-29T00:30:00.000Z' }).waitFor();
  await page.getByRole('cell', { name: '2023-10-29T01:30:00.000Z' }).waitFor(); // the second pass of the hour
  expect(await page.getByRole('region', { name: 'First rows of the file' }).count()).toBe(1);
  expect(await accessibilityFaults(page)).toEqual([]);

  await page.getByRole('button', { name: 'Import 3 readings' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Imported' }).waitFor();
  const stored = await city.call('GET', "/v1.1/Observations?$filter=Datastream/properties/feed eq 'import.river-levels'&$orderby=phenomenonTime&$select=result");
  expect(stored.json.value.map(({ result }: { result: number }) => result)).toEqual([1.5, 1.6, 0]);

  await page.getByRole('button', { name: 'Try it out' }).click();
  await page.getByRole('button', { name: 'Import 3 readings' }).click();
  await page.getByText('Stored before').waitFor();
  expect(await page.locator('dt', { hasText: 'Stored before' }).locator('xpath=../dd').textContent()).toBe('3');

  await page.getByLabel('The time is').selectOption('end');
  await page.getByLabel('Length of the interval in s').fill('1800');
  await page.getByRole('button', { name: 'Try it out' }).click();
  await page.getByRole('cell', { name: '2023-10-29T00:00:00.000Z/2023-10-29T00:30:00.000Z' }).first().waitFor();

  await page.getByLabel('Time zone').fill('Mars/Olympus');
  await page.getByRole('button', { name: 'Try it out' }).click();
  await page.getByRole('alert').getByText('time.zone').waitFor(); // the server names the field and the cure
  expect({ faults: faults.filter((fault) => !fault.includes('400')), foreign }).toEqual({ faults: [], foreign: [] });
});

test.skipIf(chromium === undefined)('an operator is told who imports', async () => {
  const { page } = await watchedPage(browser, city.url);
  await signIn(page, await inviteLink(city, ['operator']), 'Jonas Weber');
  await page.goto('/import');
  await page.getByText('Administrators import tables').waitFor();
  expect(await page.getByLabel('File', { exact: true }).count()).toBe(0);
});
