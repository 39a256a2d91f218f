import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const chromium = findChromium();
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity({ env: { CLERESTORY_SECOND_FACTOR: 'optional' } }), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('after signing out, the Back button shows nothing of what was seen, and signing in leads to no other site', async () => {
  const { page } = await watchedPage(browser, city.url);
  await page.goto(city.signInLink);
  await page.getByLabel('Your name').fill('Marta Silva');
  await page.getByLabel('Passphrase', { exact: true }).fill('correct horse battery');
  await page.getByRole('button', { name: 'Set the passphrase and sign in' }).click();
  await page.waitForURL('**/console**');
  await page.goto('/people');
  await page.getByRole('heading', { name: 'Marta Silva' }).or(page.getByText('Marta Silva')).first().waitFor();
  for (const path of ['/account', '/requests', '/purposes']) {
    await page.goto(path);
    expect(await page.getByRole('button', { name: 'Sign out' }).count(), path).toBe(1);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in**');
  await page.goto('about:blank');
  for (let steps = 0; steps < 4; steps += 1) {
    await page.goBack();
    expect(await page.locator('body').innerText()).not.toContain('Marta Silva');
  }

  await page.goto('/sign-in?next=/%09/evil.example/');
  await page.getByLabel('Name', { exact: true }).fill('Marta Silva');
  await page.getByLabel('Passphrase', { exact: true }).fill('correct horse battery');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.waitForURL('**/console**');
  expect(new URL(page.url()).host).toBe(new URL(city.url).host);
});
