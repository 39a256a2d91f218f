import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect, test, vi } from 'vitest';
import { ROOT, runCli, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn, workToClosed } from './desk.ts';

const CITY_JSON = JSON.stringify({ name: 'Testport', motto: 'A city for tests', center: [-56.18, -34.9], bounds: [-56.5, -35, -55.9, -34.7], attribution: '', basemap: null, time_zone: 'America/Montevideo', languages: ['es', 'en', 'de', 'fr'] });
const GAZETTEER = [
  { label: '18 de Julio 1234', kind: 'address', lon: -56.187, lat: -34.906, street: '18 de Julio', number: '1234' },
  { label: '18 de Julio', kind: 'street', lon: -56.185, lat: -34.906, street: '18 de Julio' },
].map((line) => JSON.stringify(line)).join('\n');

const chromium = findChromium();
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city'), files: { 'city.json': CITY_JSON, 'gazetteer.ndjson': GAZETTEER } }), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('a GeoReport POST by curl becomes an incident that a person works and closes on the console, and the resident reads it', async () => {
  const curl = spawnSync('curl', ['-s', '-d', 'service_code=pothole', '-d', 'lat=-34.906', '-d', 'long=-56.187', '--data-urlencode', 'description=Deep hole by the bus stop', '-d', 'email=ana@example.org', `${city.url}/open311/v2/requests.json`], { encoding: 'utf8' });
  const [receipt] = JSON.parse(curl.stdout) as [{ service_request_id: string; service_notice: string }];
  const followLink = /http\S+\/r\/\S+/.exec(receipt.service_notice)?.[0].replace(/[.)]$/, '');
  expect(followLink, receipt.service_notice).toBeDefined();

  const first = await watchedPage(browser, city.url, { viewport: { width: 1440, height: 900 } });
  await signIn(first.page, city.signInLink, 'Marta Silva');
  const second = await watchedPage(browser, city.url, { viewport: { width: 1440, height: 900 } });
  await signIn(second.page, await inviteLink(city, ['operator']), 'Jonas Weber');
  for (const { page } of [first, second]) {
    await page.getByRole('button', { name: /Pothole/ }).first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    // the words are sealed until somebody reads them with a reason
    await page.getByRole('button', { name: /Read the words/ }).waitFor();
    expect(await page.getByText('Deep hole by the bus stop').count()).toBe(0);
    await page.keyboard.press('v');
    await page.getByText('Deep hole by the bus stop').first().waitFor();
  }
  await first.page.keyboard.press('a');
  await second.page.getByText('· Acknowledged', { exact: false }).first().waitFor(); // the other console sees it
  await first.page.keyboard.press('z'); // and sees it taken back
  await second.page.getByText('· New', { exact: false }).first().waitFor();
  await workToClosed(first.page, 'The hole was filled and the edge sealed.');
  await second.page.getByText('The hole was filled and the edge sealed.').first().waitFor();

  // the closing travels over the bus
  const answered = await vi.waitFor(
    async () => {
      const answer = await city.call('GET', `/open311/v2/requests/${receipt.service_request_id}.json`);
      expect(answer.json[0].status).toBe('closed');
      return answer;
    },
    { timeout: 10_000, interval: 100 },
  );
  expect(answered.json[0].status_notes).toContain('The hole was filled');
  expect(JSON.stringify(answered.json)).not.toContain('ana@example.org');
  const resident = await watchedPage(browser, city.url, { javaScriptEnabled: false, locale: 'de-DE' });
  await resident.page.goto(new URL(followLink ?? '').pathname);
  await resident.page.getByText('The hole was filled and the edge sealed.').first().waitFor();
  expect(await resident.page.locator('html').getAttribute('lang')).toBe('de');
  for (const { faults, foreign } of [first, second, resident]) expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
});

test.skipIf(chromium === undefined)('a resident reports without JavaScript, and sees who looked at the contact data and why', async () => {
  const { page } = await watchedPage(browser, city.url, { javaScriptEnabled: false, locale: 'es-UY', viewport: { width: 360, height: 640 } });
  await page.goto('/report');
  await page.getByRole('button', { name: 'Continuar' }).click();
  await page.getByRole('alert').getByText('Elija de qué se trata.').waitFor(); // what is missing is named, nothing is lost
  await page.locator('input[name="service_code"][value="street-light"]').check();
  await page.getByLabel('¿Dónde está?').fill('18 de julio 1234');
  await page.getByRole('button', { name: 'Continuar' }).click();
  const select = page.locator('select[name="answer.FAULT"]');
  await select.selectOption({ index: 1 });
  await page.getByLabel('¿Qué ha visto?').fill('La farola parpadea toda la noche.');
  await page.getByLabel('Correo electrónico').fill('ana@example.org');
  await page.getByRole('button', { name: 'Enviar el aviso' }).click();
  await page.waitForURL('**/r/*');
  await page.getByText('Gracias. Hemos recibido su aviso.').waitFor();
  await page.getByText('Hasta ahora no los ha abierto nadie.').waitFor();

  const listed = await city.call('GET', '/api/requests?service=street-light', { token: city.token('case_worker') });
  const { requestId } = listed.json.requests[0];
  const noReason = await city.call('POST', `/api/requests/${requestId}/contact`, { token: city.token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'locate_fault', reason: '' } });
  expect(noReason.status).toBe(400);
  const { context, page: desk } = await watchedPage(browser, city.url);
  await signIn(desk, await inviteLink(city, ['case_worker']), 'Lucía Pérez');
  await desk.goto(`/requests/${requestId}`);
  await desk.locator('#contact-reason').fill('Asking which of the two lamps');
  await desk.getByRole('button', { name: 'Log the look and open' }).click();
  await desk.getByText('ana@example.org').waitFor();
  expect(await accessibilityFaults(desk)).toEqual([]);
  await context.close();

  await page.reload();
  await page.getByText('Asking which of the two lamps').waitFor();
  expect(await page.content()).not.toContain('Lucía');
  const verified = runCli(['verify', 'log', join(city.data, 'log')], {});
  expect(verified.status, verified.stdout).toBe(0);
});
