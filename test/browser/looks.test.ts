import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, runCli, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, launchChromium, watchedPage } from './chromium.ts';
import { inviteLink, signIn } from './desk.ts';

const chromium = findChromium();
if (chromium === undefined) console.warn('the browser tests are skipped: there is no Chromium');
let city: TestCity;
let browser: Browser;
beforeAll(async () => {
  if (chromium === undefined) return;
  city = await startTestCity({ from: join(ROOT, 'demo', 'city') });
  browser = await launchChromium();
});
afterAll(async () => {
  if (chromium === undefined) return;
  await browser.close();
  await city.stop();
  city.remove();
});

test.skipIf(chromium === undefined)('a case worker opens a report with a reason; the resident sees it at once and checks the proof offline', async () => {
  const filed = await city.call('POST', '/api/portal/requests', {
    body: { service_code: 'street-light', language: 'en', description: 'The lamp by the school is out', answers: { FAULT: 'out' }, point: [-56.187, -34.906], address: '', name: 'Ana Souza', email: 'ana@example.org', phone: '', idempotency_key: '' },
  });
  expect(filed.status, filed.text).toBe(201);
  const { requestId, token } = filed.json as { requestId: string; token: string };

  const worker = await watchedPage(browser, city.url);
  await signIn(worker.page, await inviteLink(city, ['case_worker']), 'Lucía Pérez');
  await worker.page.goto(`/requests/${requestId}`);
  await worker.page.getByLabel('E-mail').check();
  await worker.page.locator('#contact-reason').fill('Asking which of the two lamps');
  await worker.page.getByRole('button', { name: 'Log the look and open' }).click();
  await worker.page.getByText('ana@example.org').waitFor();
  expect(worker.faults).toEqual([]);
  await worker.context.close();

  const { context, page, faults, foreign } = await watchedPage(browser, city.url, { locale: 'en-GB', viewport: { width: 390, height: 800 } });
  await page.goto(`/r/${token}`);
  await page.getByText('Asking which of the two lamps').waitFor({ timeout: 5_000 });
  const check = page.getByRole('button', { name: 'Check on this device' });
  await check.waitFor();
  await context.setOffline(true);
  await check.click();
  await page.getByText('One look, and its entry is right.').waitFor();
  await page.screenshot({ path: join(ROOT, 'artefacts', 'resident-check.png'), fullPage: true });
  await context.setOffline(false);
  await page.getByRole('button', { name: /Search the whole log/ }).click();
  await page.getByText(/entries of the log were read: there is no other look/).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });

  // the file that the resident keeps is checked by the command as well, with the key and the log from elsewhere
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download the record to keep it' }).click()]);
  const file = join(city.data, 'record.json');
  await download.saveAs(file);
  const { json } = await city.call('GET', '/api/log');
  const verified = runCli(['verify', 'access', file, '--key', String(json.vkey), '--log', join(city.data, 'log')], {});
  expect(verified.status, verified.stdout + verified.stderr).toBe(0);
  expect(verified.stdout).toContain('Asking which of the two lamps');
  expect(verified.stdout).toContain('the log holds no other look at this report');
  await context.close();
});

test.skipIf(chromium === undefined)('a record whose reason was changed on the way, or from which a look was taken, is called out in the browser', async () => {
  const filed = await city.call('POST', '/api/portal/requests', {
    body: { service_code: 'street-light', language: 'en', description: 'It flickers', answers: { FAULT: 'flickers' }, point: [-56.19, -34.91], address: '', name: '', email: 'bea@example.org', phone: '', idempotency_key: '' },
  });
  const { requestId, token } = filed.json as { requestId: string; token: string };
  const look = (reason: string) => city.call('POST', `/api/requests/${requestId}/contact`, { token: city.token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'answer_resident', reason } });
  for (const reason of ['Asking about the colour', 'Asking once more']) expect((await look(reason)).status).toBe(200);

  const { context, page } = await watchedPage(browser, city.url, { locale: 'de-DE' });
  let change: (text: string) => string = (text) => text.replace('Asking about the colour', 'Looking for fun of it.');
  await page.route(`**/api/portal/requests/${token}/looks`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: change(await answer.text()) });
  });
  await page.goto(`/r/${token}`);
  await page.getByRole('button', { name: 'Auf diesem Gerät prüfen' }).click();
  await page.getByText('1 von 2 Einträgen halten stand', { exact: false }).waitFor();
  await page.getByText('Grund oder Angaben wurden nachträglich geändert').waitFor();

  change = (text) => {
    const file = JSON.parse(text) as { entries: unknown[] };
    return JSON.stringify({ ...file, entries: file.entries.slice(1) });
  };
  await page.reload();
  await page.getByRole('button', { name: 'Auf diesem Gerät prüfen' }).click();
  await page.getByText('Es fehlen Einsichten mit den Nummern: 1').waitFor();
  await context.close();
});
