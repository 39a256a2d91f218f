import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import type { PortalReceipt } from '../../src/contracts/request.ts';
import { findRunningDatabase, openDatabase, silentLogger } from '../../src/platform/index.ts';
import { createRetentionStore } from '../../src/services/retention-store.ts';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const PICTURES = join(ROOT, 'artefacts', 'pictures');
const chromium = findChromium();
let city: TestCity;
let browser: Browser;
if (chromium !== undefined) mkdirSync(PICTURES, { recursive: true });
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city') }), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('a resident whose report was erased reads when and why, and is not asked to reopen it', async () => {
  const filed = (await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', description: 'The light is out', answers: { FAULT: 'out' }, point: [-56.19, -34.9], language: 'en' } })).json as PortalReceipt;
  expect((await city.call('POST', `/api/requests/${filed.requestId}/decline`, { token: city.token('case_worker'), body: { outcome: 'not_ours', sentence: 'The light belongs to the port.' } })).status).toBe(200);
  const connection = findRunningDatabase(city.data);
  if (connection === null) throw new Error('the city has no database');
  const handle = openDatabase(connection, silentLogger, 2);
  await createRetentionStore(handle).erase(filed.requestId, { at: new Date(), cause: 'retention', receipt: null });
  await handle.close();

  const { page } = await watchedPage(browser, city.url, { viewport: { width: 390, height: 844 } });
  for (const [language, title, text] of [['en', 'What you wrote was erased', 'The time for which the city may keep it is over.'], ['de', 'Was Sie geschrieben haben, ist gelöscht', 'Die Zeit ist um'], ['es', 'Lo que escribió se ha borrado', 'Ha pasado el tiempo'], ['fr', 'Ce que vous avez écrit est effacé', 'Le temps pendant lequel']] as const) {
    await page.goto(`/r/${filed.token}?language=${language}`);
    await page.getByRole('heading', { name: title }).waitFor();
    expect(await page.getByText(text).count()).toBe(1);
    expect(await page.locator('form[action="?/reopen"]').count()).toBe(0);
    expect(await page.getByText('The light belongs to the port.').count()).toBeGreaterThan(0);
    expect(await page.getByText('The light is out').count()).toBe(0);
    if (language === 'en') {
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.screenshot({ path: join(PICTURES, 'erased-phone.png'), fullPage: true });
    }
  }
});
