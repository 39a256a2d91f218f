import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const chromium = findChromium();
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity(), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('the one-time link makes a passkey in a real browser, and the passkey signs in again', async () => {
  const { context, page, faults } = await watchedPage(browser, city.url);
  const devtools = await context.newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  await devtools.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  await page.goto(city.signInLink);
  await page.getByLabel('Your name').fill('Marta Silva');
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.waitForURL('**/console**');
  await context.clearCookies();
  await page.goto('/console');
  await page.waitForURL('**/sign-in**');
  await page.getByRole('button', { name: /passkey/i }).click();
  await page.waitForURL('**/console**');
  await page.getByText('Marta Silva').first().waitFor();
  expect(faults).toEqual([]);
});

test.skipIf(chromium === undefined)('on a bare address, where browsers refuse passkeys, only the passphrase is offered', async () => {
  const { page } = await watchedPage(browser, city.url);
  await page.goto(city.url.replace('localhost', '127.0.0.1') + '/sign-in');
  await page.getByLabel('Passphrase', { exact: true }).waitFor();
  await page.waitForLoadState('networkidle');
  expect(await page.getByRole('button', { name: /passkey/i }).count()).toBe(0);
});
