import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { accessibilityFaults } from './axe.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';
import { inviteLink, setUpCodes } from './desk.ts';

const chromium = findChromium();
const PASSPHRASE = 'a quiet harbour at four in the morning';
const pictures = process.env['PICTURES'];
let city: TestCity;
let browser: Browser;
browseCity(() => startTestCity({ from: join(ROOT, 'demo', 'city') }), (...started) => {
  [city, browser] = started;
});

/** Checks a page and, when PICTURES names a folder, keeps how it looks in light, dark and on a phone. */
async function look(page: Page, name: string): Promise<void> {
  expect(await accessibilityFaults(page), name).toEqual([]);
  if (pictures === undefined) return;
  const size = page.viewportSize();
  await page.screenshot({ path: join(pictures, `${name}-light.png`), fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: join(pictures, `${name}-dark.png`), fullPage: true });
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.screenshot({ path: join(pictures, `${name}-phone.png`), fullPage: true });
  if (size !== null) await page.setViewportSize(size);
}

async function signIn(page: Page, code: string): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('Name', { exact: true }).fill('Marta Silva');
  await page.getByLabel('Passphrase', { exact: true }).fill(PASSPHRASE);
  await page.getByLabel('Code', { exact: true }).fill(code);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

test.skipIf(chromium === undefined)('invite, passphrase and code, sign out, sign in, step-up, end the other session', async () => {
  const first = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  const { page } = first;
  await page.goto(city.signInLink);
  await look(page, 'invite');
  await page.getByLabel('Your name').fill('Marta Silva');
  await page.getByLabel('Passphrase', { exact: true }).fill(PASSPHRASE);
  await page.getByRole('button', { name: 'Set the passphrase and sign in' }).click();
  await page.waitForURL('**/account**');
  await page.goto('/console'); // a passphrase alone does not open it
  await page.waitForURL('**/account**');
  await page.getByRole('heading', { name: 'One more thing that only you have' }).waitFor();
  await look(page, 'second-factor');
  const { recovery } = await setUpCodes(page);
  expect(recovery).toHaveLength(10);
  await page.waitForURL('**/console**');
  const cookies = await first.context.cookies();
  expect(cookies.find(({ name }) => name === '__Host-clerestory')).toMatchObject({ secure: true, httpOnly: true, sameSite: 'Strict', path: '/' });

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in**');
  await look(page, 'sign-in');
  await signIn(page, '');
  await page.getByRole('alert').getByText('The name, the passphrase or the code is not right.').waitFor();
  await signIn(page, recovery[0] ?? '');
  await page.waitForURL('**/console**');

  const second = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
  await signIn(second.page, recovery[1] ?? '');
  await second.page.waitForURL('**/console**');

  await page.goto('/people');
  await look(page, 'people');
  // as if the proof were old: what the five minutes do is tested with a clock
  await first.context.route(
    '**/api/people/invitations',
    (route) => route.fulfill({ status: 403, contentType: 'application/problem+json', body: JSON.stringify({ status: 403, code: 'auth.step-up-needed', title: 'x', detail: 'x', cure: 'x' }) }),
    { times: 1 },
  );
  await page.getByLabel('Department').last().fill('Citizens’ office');
  await page.getByRole('checkbox', { name: 'case worker' }).last().check();
  await page.getByRole('button', { name: 'Make a one-time link' }).click();
  const dialog = page.getByRole('dialog', { name: 'Is it still you?' });
  await dialog.waitFor();
  await look(page, 'step-up');
  await dialog.getByLabel('Code').fill('000000');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await dialog.getByText('That does not prove who you are.').waitFor();
  await dialog.getByLabel('Code').fill(recovery[2] ?? '');
  await dialog.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('Send this link to them by a safe way').waitFor(); // the act was repeated by itself

  await page.goto('/account');
  await page.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
  expect(await page.getByRole('cell', { name: 'Chrome on Linux' }).count()).toBe(2);
  await look(page, 'account');
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await page.getByText('The session has ended.').waitFor();
  await second.page.goto('/console');
  await second.page.waitForURL('**/sign-in**');
  expect([first.foreign, second.foreign]).toEqual([[], []]);
  // the browser reports each refused answer in its console; nothing else may stand there
  expect(first.faults.filter((fault) => !fault.startsWith('Failed to load resource'))).toEqual([]);
});

test.skipIf(chromium === undefined)('an administrator sees where somebody is signed in, and closing the account ends it at once', async () => {
  const devtools = async (opened: Awaited<ReturnType<typeof watchedPage>>): Promise<void> => {
    const session = await opened.context.newCDPSession(opened.page);
    await session.send('WebAuthn.enable');
    await session.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  };
  const join_ = async (positions: readonly string[], name: string) => {
    const opened = await watchedPage(browser, city.url, { viewport: { width: 1280, height: 900 } });
    await devtools(opened);
    await opened.page.goto(await inviteLink(city, positions));
    await opened.page.getByLabel('Your name').fill(name);
    await opened.page.getByRole('button', { name: 'Make a passkey' }).click();
    await opened.page.waitForURL('**/console**');
    return opened;
  };
  const administrator = await join_(['administrator'], 'Ana Alves');
  const operator = await join_(['operator'], 'Jonas Weber');
  await administrator.page.goto('/people');
  const row = administrator.page.getByRole('row', { name: /Jonas Weber/ });
  await row.getByText('Change Jonas Weber').click();
  await row.getByRole('cell', { name: 'passkey' }).waitFor();
  await look(administrator.page, 'person');
  await row.getByRole('button', { name: 'Close the account' }).click();
  await administrator.page.getByText('The account of Jonas Weber was closed.').waitFor();
  await operator.page.goto('/console');
  await operator.page.waitForURL('**/sign-in**');

  await administrator.page.goto('/account');
  await administrator.page.getByLabel('Name', { exact: true }).fill('Key ring');
  await administrator.page.getByRole('button', { name: 'Keep the name' }).click();
  await administrator.page.getByText('The name was kept.').waitFor();
  await administrator.page.getByRole('button', { name: 'Remove', exact: true }).click();
  await administrator.page.getByText('It is the last way to sign in that is left.').waitFor();
});
