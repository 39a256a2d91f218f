import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, signIn } from './desk.ts';

const PICTURES = join(ROOT, 'artefacts', 'pictures');
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 900 };
const chromium = findChromium();
let city: TestCity;
let browser: Browser;
if (chromium !== undefined) mkdirSync(PICTURES, { recursive: true });
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city') }), (...started) => {
  [city, browser] = started;
});

const crossing = (name: string, lon: number, lat: number) => ({
  name, description: name, Locations: [{ name, description: name, encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [lon, lat] } }],
  Datastreams: [{ name: `Noise at ${name}`, description: 'A minute', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'decibel', symbol: 'dB', definition: 'ucum:dB' }, properties: { purpose: 'noise' }, Sensor: { name: 'Meter', description: 'Meter', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'Noise', definition: 'http://example.org/noise', description: 'Noise' }, Observations: [{ result: 50 }] }],
});

/** As the page of approvals does it: with the person's own session. */
const approve = (page: Page): Promise<{ status: number; text: string }> =>
  page.evaluate(async () => {
    const { approvals } = (await (await fetch('/api/approvals')).json()) as { approvals: { id: string; state: string }[] };
    const open = approvals.find(({ state }) => state === 'open');
    const answer = await fetch(`/api/approvals/${open?.id ?? 'none'}/approve`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    return { status: answer.status, text: await answer.text() };
  });

test.skipIf(chromium === undefined)('one person proposes on the desk to end a purpose, another agrees, and from then on nothing comes in or goes out', async () => {
  for (const [name, lon, lat] of [['Plaza', -56.19, -34.9], ['Rambla', -56.16, -34.92], ['Prado', -56.2, -34.86]] as const) {
    expect((await city.call('POST', '/v1.1/Things', { token: city.token('administrator'), body: crossing(name, lon, lat) })).status).toBe(201);
  }
  const first = await watchedPage(browser, city.url, { viewport: DESK });
  await signIn(first.page, city.signInLink, 'Marta Silva');
  const second = await watchedPage(browser, city.url, { viewport: DESK });
  await signIn(second.page, await inviteLink(city, ['data_protection_officer']), 'Bruno Costa');

  const { page } = first;
  await page.goto('/purposes?edit=noise#edit');
  await page.getByRole('heading', { name: 'Noise', exact: true }).waitFor();
  await page.getByLabel('Last day').fill('2026-11-01');
  await page.getByLabel('First day').fill('2026-11-02');
  await page.locator('#set-reason').fill('A mistake for this test.');
  await page.getByRole('button', { name: 'Propose', exact: true }).click();
  await page.getByText('It lies before the day on which the purpose begins.').waitFor();

  await page.goto('/purposes?edit=noise#edit');
  await page.locator('#end-reason').fill('The study of noise is finished.');
  await page.getByRole('button', { name: 'Propose to end it' }).click();
  await page.getByText('Proposed: noise, 1 change.').waitFor();
  expect((await city.call('GET', '/api/purposes/noise')).json.purpose.live).toBe(true);
  expect(await approve(page)).toMatchObject({ status: 403 });
  await page.goto('/approvals');
  await page.getByText('noise', { exact: true }).first().waitFor();
  expect(await page.getByRole('button', { name: 'Agree and do it' }).count()).toBe(0); // the proposer cannot
  await second.page.goto('/approvals');
  await second.page.getByRole('link', { name: 'Approvals (1)' }).waitFor();
  await second.page.getByText('The study of noise is finished.').waitFor();
  await second.page.screenshot({ path: join(PICTURES, 'approvals-light.png'), fullPage: true });
  expect(await accessibilityFaults(second.page)).toEqual([]);
  await second.page.getByRole('button', { name: 'Agree and do it' }).focus();
  await second.page.keyboard.press('Enter');
  await second.page.getByText('Change the register of purposes: done.').waitFor();

  expect((await city.call('GET', '/api/purposes/noise')).json).toMatchObject({ purpose: { live: false, ended: true }, history: [{ version: 2, changes: [{ path: 'ended', from: 'false', to: 'true' }] }, { version: 1 }] });
  const refused = await city.call('POST', '/v1.1/Datastreams(1)/Observations', { token: city.token('administrator'), body: { result: 51 } });
  expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('purpose.expired')]);
  expect((await city.call('GET', '/v1.1/Datastreams(1)/Observations')).status).toBe(403);
  expect((await city.call('GET', '/v1.1/Observations')).json.value).toEqual([]);

  for (const [name, path] of [['purposes-desk', '/purposes'], ['purposes-edit', '/purposes?edit=noise'], ['purposes', '/trust/purposes'], ['purpose', '/trust/purposes/noise'], ['policy', '/trust/policy'], ['trust', '/trust'], ['approvals', '/approvals']] as const) {
    for (const [size, viewport, colorScheme] of [['light', DESK, 'light'], ['dark', DESK, 'dark'], ['phone', PHONE, 'light']] as const) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.goto(path);
      expect(await accessibilityFaults(page), `${path} ${size}`).toEqual([]); // first: it waits until the page has been drawn
      await page.screenshot({ path: join(PICTURES, `${name}-${size}.png`), fullPage: true });
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${path} ${size} scrolls sideways`).toBe(true);
    }
  }
  expect([first.foreign, second.foreign]).toEqual([[], []]);
  await first.context.close();
  await second.context.close();
});

test.skipIf(chromium === undefined)('the public pages need no script', async () => {
  const { page, context } = await watchedPage(browser, city.url, { javaScriptEnabled: false });
  await page.goto('/trust/purposes');
  await page.getByRole('link', { name: 'Noise', exact: true }).click();
  await page.getByRole('heading', { name: 'Decisions on this entry' }).waitFor();
  await page.getByText('changed by two people').waitFor();
  await page.getByRole('img', { name: '3 places of sensors, north is up' }).waitFor();
  await context.close();
});
