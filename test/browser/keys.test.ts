import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { verifyErase } from '../../src/trust/index.ts';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage, type WatchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn } from './desk.ts';

// What two people do together with keys and sealed looks, each in a browser of their own.

const chromium = findChromium();
/** A folder to look at the pages as pictures. */
const PICTURES = process.env['KEYS_PICTURES'];
const CENTRE = [-56.187, -34.906];
/** Residents are told of looks at street lights with the next step of the report. */
const SERVICES = readFileSync(join(ROOT, 'demo', 'city', 'services.yaml'), 'utf8').replace('  - code: street-light\n', '  - code: street-light\n    looks_told: after-step\n');
const GAZETTEER = JSON.stringify({ label: '18 de Julio 1234', kind: 'address', street: '18 de Julio', number: 1234, lon: -56.187, lat: -34.906 });
const DAY_MS = 86_400_000;
const day = (ahead: number): string => new Date(Date.now() + ahead * DAY_MS).toISOString().slice(0, 10);
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city'), files: { 'services.yaml': SERVICES, 'gazetteer.ndjson': GAZETTEER } }), (...started) => {
  [city, browser] = started;
});

let worker: WatchedPage;
let officer: WatchedPage;
let administrator: WatchedPage;
beforeAll(async () => {
  if (chromium === undefined) return;
  const arrive = async (name: string, position: string): Promise<WatchedPage> => {
    const seat = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
    await signIn(seat.page, await inviteLink(city, [position]), name);
    return seat;
  };
  worker = await arrive('Wanda Weiss', 'case_worker');
  officer = await arrive('Dora Dahl', 'data_protection_officer');
  administrator = await arrive('Ada Ahmed', 'administrator');
}, 180_000);

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

async function report(description: string): Promise<{ requestId: string; token: string }> {
  const { status, json, text } = await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', answers: { FAULT: 'out' }, point: CENTRE, description, name: 'Rosa Rot' } });
  expect(status, text).toBe(201);
  return json;
}

/** The second person reads the newest proposal of this title and agrees, by keyboard. */
async function agree(title: string): Promise<void> {
  const { page } = officer;
  await page.goto('/approvals');
  const proposal = page.getByRole('article').filter({ has: page.getByRole('heading', { name: title }) }).first();
  await proposal.getByRole('button', { name: 'Agree and do it' }).focus();
  await page.keyboard.press('Enter');
  await page.getByText(`${title}: `, { exact: false }).first().waitFor();
}

async function fillAndSend(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.keyboard.press('Enter');
}

test.skipIf(chromium === undefined)('a look is sealed and its day moved by two people; everybody counts it and the resident is not told', async () => {
  const { requestId, token } = await report('The lamp over the side door is dark');
  const { page } = worker;
  await page.goto('/sealed-looks');
  await page.getByText('No look was ever sealed').waitFor();
  await picture(page, 'sealed-empty');
  await fillAndSend(page, { 'Number of the report': requestId, 'Day on which the resident is told': day(30), Reason: 'Order 12/26 of the district court' });
  await page.getByText('Now the data protection officer has to agree', { exact: false }).waitFor();
  await agree('Look at a report without the resident seeing it until a date');
  await page.reload();
  await page.getByRole('button', { name: `Look now at ${requestId}` }).click();
  await page.getByText('The lamp over the side door is dark').waitFor();
  await picture(page, 'sealed-opened');
  expect(await accessibilityFaults(page)).toEqual([]);

  await page.getByRole('button', { name: /^Keep closed longer… entry \d+$/ }).click();
  await fillAndSend(page, { 'New day': day(60), Why: 'The court has extended its order' });
  await page.getByText('Now the data protection officer has to agree', { exact: false }).waitFor();
  await agree('Keep a sealed look closed for longer');
  await page.reload();
  expect(await page.getByText('The lamp over the side door').count()).toBe(0);
  await page.getByRole('button', { name: /^Move the day of entry/ }).click();
  await page.getByRole('cell', { name: 'once' }).waitFor();
  await picture(page, 'sealed-list');

  const anybody = await watchedPage(browser, city.url);
  await anybody.page.goto('/trust#sealed');
  const row = anybody.page.getByRole('row').filter({ hasText: /20\d\d-Q\d/ });
  expect((await row.getByRole('cell').allTextContents()).slice(1)).toEqual(['1', '1', '1']);
  await picture(anybody.page, 'trust');
  expect(await accessibilityFaults(anybody.page)).toEqual([]);
  await anybody.page.goto(`/r/${token}`);
  await anybody.page.getByText('Nobody has opened it so far.').waitFor();
  expect({ worker: worker.faults, anybody: anybody.faults }).toEqual({ worker: [], anybody: [] });
});

test.skipIf(chromium === undefined)('the root key is changed by two people, and the page shows how many reports have moved', async () => {
  await administrator.page.goto('/keys');
  await picture(administrator.page, 'keys-administrator');
  await fillAndSend(administrator.page, { 'Why the root key is changed': 'The yearly change of the root key' });
  await administrator.page.getByText('A change of the root key waits for a second person', { exact: false }).waitFor();
  await agree('Change the root key');
  await officer.page.goto('/keys');
  await officer.page.getByText(/^Under version 2: (\d+) of \1$/).waitFor();
  await officer.page.getByText('Last changed', { exact: false }).waitFor();
  await picture(officer.page, 'keys-officer');
  expect(await accessibilityFaults(officer.page)).toEqual([]);
  expect(administrator.faults).toEqual([]);
});

test.skipIf(chromium === undefined)('a legal hold blocks an erasure; lifted, two people erase the report and its receipt can be checked', async () => {
  const { requestId } = await report('A word that will be gone');
  const desk = officer.page;
  await desk.goto('/keys');
  await fillAndSend(desk, { 'Number of the report': requestId });
  await fillAndSend(desk, { 'Why it must not be erased': 'Court file 7 C 12/26 is open' });
  await desk.getByText('The report is held: it cannot be erased.').waitFor();
  await picture(desk, 'keys-held');
  expect(await accessibilityFaults(desk)).toEqual([]);

  const { page } = worker;
  await page.goto(`/keys?report=${requestId}`);
  await page.getByText('Ask the data protection officer to lift it', { exact: false }).waitFor();
  expect(await page.getByRole('button', { name: 'Propose to erase it' }).count()).toBe(0);
  await desk.getByRole('button', { name: 'Lift the hold' }).click();
  await desk.getByText('The hold is lifted.').waitFor();

  // a hold that comes after the page was read is refused by the server, and the page says so
  await page.reload();
  await fillAndSend(desk, { 'Why it must not be erased': 'Court file 7 C 12/26 is open again' });
  await desk.getByText('The report is held: it cannot be erased.').waitFor();
  await fillAndSend(page, { 'Why it is erased': 'The resident asked for it by letter' });
  await page.getByRole('alert').getByText('A legal hold stands: Court file 7 C 12/26 is open again', { exact: false }).waitFor();
  await desk.getByRole('button', { name: 'Lift the hold' }).click();
  await desk.getByText('The hold is lifted.').waitFor();

  await page.reload();
  await fillAndSend(page, { 'Why it is erased': 'The resident asked for it by letter' });
  await page.getByText('Now another person has to agree', { exact: false }).waitFor();
  await agree('Destroy the key of a report');
  await page.reload();
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: `Erase it and get the receipt: ${requestId}` }).click()]);
  await page.getByText('cannot be read any more', { exact: false }).first().waitFor();
  await picture(page, 'keys-erased');
  expect(await accessibilityFaults(page)).toEqual([]);
  const lines: string[] = [];
  const key = (await city.call('GET', '/api/log')).json.vkey as string;
  expect(await verifyErase(await download.path(), { key, print: (line) => lines.push(line) }), lines.join('\n')).toBe(0);
  await page.goto(`/keys?report=${requestId}`);
  await page.getByText('Nothing of it can be read any more.', { exact: false }).waitFor();
});

test.skipIf(chromium === undefined)('a look that waits for the next step is told of by its number alone, in four languages, and the check on the device says so', async () => {
  const { requestId, token } = await report('Dark at the corner');
  const looked = await city.call('POST', `/api/requests/${requestId}/words`, { token: city.token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'plan_work', reason: 'Planning the repair' } });
  expect(looked.status, looked.text).toBe(200);
  const words = { 'de-DE': 'Eine Einsicht wartet auf den nächsten Schritt Ihrer Meldung.', 'es-ES': 'Una consulta espera el siguiente paso de su aviso.', 'fr-FR': 'Une consultation attend le prochain pas de votre signalement.', 'en-GB': 'One look waits for the next step of your report.' };
  for (const [locale, sentence] of Object.entries(words)) {
    const { page, context } = await watchedPage(browser, city.url, { javaScriptEnabled: false, locale });
    await page.goto(`/r/${token}`);
    await page.getByText(sentence, { exact: true }).waitFor();
    expect(await page.content()).not.toContain('Planning the repair');
    await context.close();
  }
  const { page, faults } = await watchedPage(browser, city.url, { locale: 'en-GB' });
  await page.goto(`/r/${token}`);
  await page.getByRole('button', { name: 'Check on this device' }).click();
  await page.getByText('One more look is named and not told yet', { exact: false }).waitFor();
  await page.getByRole('button', { name: 'Search the whole log' }).click();
  await page.getByText('there is no other look at your report', { exact: false }).waitFor();
  await picture(page, 'resident-waits');
  expect(await accessibilityFaults(page)).toEqual([]);

  const declined = await city.call('POST', `/api/requests/${requestId}/decline`, { token: city.token('case_worker'), body: { outcome: 'not_ours', sentence: 'The lamp belongs to the port.' } });
  expect(declined.status, declined.text).toBe(200);
  await page.reload();
  await page.getByText('Planning the repair').waitFor();
  expect(faults).toEqual([]);
});

test.skipIf(chromium === undefined)('a resident who asks for it finds no word of looks on the page of the report, and finds them by ?looks', async () => {
  const { page, faults } = await watchedPage(browser, city.url, { locale: 'de-DE' });
  await page.goto('/report');
  await page.getByLabel('Straßenbeleuchtung').check();
  await page.getByLabel('Wo ist es?').fill('18 de julio 1234');
  await page.getByRole('button', { name: 'Weiter' }).click();
  await page.getByLabel('Was fehlt der Laterne?', { exact: false }).selectOption('out');
  await page.getByLabel('Einsichten nur zeigen, wenn ich danach frage').check();
  await picture(page, 'report-quiet');
  await page.getByRole('button', { name: 'Meldung absenden' }).click();
  await page.waitForURL('**/r/**');
  const sent = await page.content();
  expect(sent).not.toMatch(/angesehen|Einsicht|looks(?:Waiting|Told)":(?!0|"now")/);
  await picture(page, 'resident-quiet');
  await page.goto(`${new URL(page.url()).pathname}?looks`);
  await page.getByRole('heading', { name: 'Wer Ihre Daten angesehen hat' }).waitFor();
  expect(faults).toEqual([]);
});
