import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn } from './desk.ts';

// What case workers and the data protection officer do with residents' data, by keyboard, in a real browser.

const chromium = findChromium();
/** A folder to look at the pages as pictures. */
const PICTURES = process.env['LOOKS_PICTURES'];
const CITY_JSON = JSON.stringify({ name: 'Testport', motto: 'A city for tests', center: [-56.18, -34.9], bounds: [-56.5, -35, -55.9, -34.7], attribution: '', basemap: null, time_zone: 'America/Montevideo', languages: ['en', 'de', 'es', 'fr'] });
const CENTRE = [-56.187, -34.906];
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city'), files: { 'city.json': CITY_JSON } }), (...started) => {
  [city, browser] = started;
});

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  const size = page.viewportSize();
  for (const [theme, viewport] of [['light', { width: 1280, height: 900 }], ['dark', { width: 1280, height: 900 }], ['light-phone', { width: 360, height: 740 }]] as const) {
    await page.emulateMedia({ colorScheme: theme === 'dark' ? 'dark' : 'light' });
    await page.setViewportSize(viewport);
    await page.screenshot({ path: join(PICTURES, `${name}-${theme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: 'light' });
  if (size !== null) await page.setViewportSize(size);
}

test.skipIf(chromium === undefined)('a case worker reads a list, searches and opens a report by keyboard, and the officer sees it without a name', async () => {
  const links: string[] = [];
  for (const [description, name] of [['Lamp flickers by the school', 'Ana Arroyo'], ['Lamp is dark at the corner', 'Karl Weiss'], ['', '']] as const) {
    const { json } = await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', answers: { FAULT: 'out' }, point: CENTRE, description, name } });
    links.push(json.token);
  }
  const { page, faults } = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  await signIn(page, await inviteLink(city, ['case_worker']), 'Wanda Weiss');
  await page.goto('/requests');
  await page.getByText('Words sealed').first().waitFor();
  expect(await page.content()).not.toMatch(/flickers|Arroyo/);

  await page.getByRole('button', { name: 'Show words' }).focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Kind of reason').selectOption('check_duplicate');
  await dialog.getByLabel('Reason', { exact: true }).fill('Is the lamp at the school known?');
  await picture(page, 'reason');
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.keyboard.press('Enter');
  await page.getByText('Lamp flickers by the school').waitFor();
  await page.getByText('2 reports were opened; their residents learn of it, with your reason.').waitFor();
  await picture(page, 'list');
  expect(await accessibilityFaults(page)).toEqual([]);

  // the reason is remembered while the page is open
  await page.getByRole('button', { name: 'Search' }).click();
  expect(await dialog.getByLabel('Reason', { exact: true }).inputValue()).toBe('Is the lamp at the school known?');
  await dialog.getByLabel('Search by').selectOption('name');
  await dialog.getByLabel('Name', { exact: true }).fill('weiss');
  await page.keyboard.press('Enter');
  await page.getByText('Karl Weiss').waitFor();
  await picture(page, 'search');
  await page.reload();
  await page.getByText('Words sealed').first().waitFor();
  expect(await page.content()).not.toMatch(/flickers|Weiss, Karl|Karl Weiss/);

  await page.getByRole('link', { name: /street light/i }).nth(1).click();
  await page.locator('#words-reason').fill('Planning the repair');
  await picture(page, 'report-sealed');
  await page.keyboard.press('Enter');
  await page.getByText('Lamp is dark at the corner').first().waitFor();
  await picture(page, 'report-open');
  expect(await accessibilityFaults(page)).toEqual([]);

  const officer = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  await signIn(officer.page, await inviteLink(city, ['data_protection_officer']), 'Dora Dahl');
  await officer.page.goto('/looks');
  await officer.page.getByText('bears their own surname', { exact: false }).first().waitFor();
  expect(await officer.page.content()).not.toMatch(/Wanda|Karl|flickers/);
  await picture(officer.page, 'figures');
  expect(await accessibilityFaults(officer.page)).toEqual([]);

  const resident = await watchedPage(browser, city.url, { javaScriptEnabled: false, locale: 'de-DE' });
  await resident.page.goto(`/r/${links[1]}`);
  await resident.page.getByText('Planning the repair').waitFor();
  for (const shown of ['Is the lamp at the school known?', 'bei einer Suche', 'in einer Liste']) expect(await resident.page.getByText(shown).count(), shown).toBeGreaterThan(0);
  await picture(resident.page, 'resident');
  expect({ faults, officer: officer.faults, resident: resident.faults }).toEqual({ faults: [], officer: [], resident: [] });
});
