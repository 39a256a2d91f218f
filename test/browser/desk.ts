import { TOTP } from 'otpauth';
import type { Page } from 'playwright-core';
import type { TestCity } from '../city.ts';

/** Sets up an account by the one-time link, as the first person of a city does, and arrives on the console. */
export async function signIn(page: Page, link: string, name: string): Promise<void> {
  await page.goto(link);
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Passphrase', { exact: true }).fill('a quiet harbour at four in the morning');
  await page.getByRole('button', { name: 'Set the passphrase and sign in' }).click();
  await setUpCodes(page);
  await page.waitForURL('**/console**');
  await page.getByRole('heading', { name: 'Queue' }).waitFor();
}

/** Sets up one-time codes on the page that a passphrase leads to first; gives the key and the recovery codes. */
export async function setUpCodes(page: Page): Promise<{ secret: string; recovery: string[] }> {
  await page.getByRole('button', { name: 'Set up one-time codes' }).click();
  const secret = ((await page.locator('[data-secret]').textContent()) ?? '').replaceAll('-', '');
  await page.getByLabel('The six digits that the app shows').fill(codeOf(secret));
  await page.getByRole('button', { name: 'Confirm the code' }).click();
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor();
  const recovery = await page.locator('.codes code').allTextContents();
  await page.getByRole('button', { name: 'I have kept them' }).click();
  return { secret, recovery };
}

/** The code that an authenticator app shows now. */
export const codeOf = (secret: string): string => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate();

/** A one-time link for a second person, made by the API as the people page does. */
export async function inviteLink(city: TestCity, positions: readonly string[]): Promise<string> {
  const { status, json, text } = await city.call('POST', '/api/people/invitations', { token: city.token('administrator'), body: { name: '', positions } });
  if (status !== 201) throw new Error(`no invitation: ${text}`);
  return city.url + json.path;
}

/** Works the incident in hand by keyboard alone: acknowledge, take, log line, first step, close with outcome and sentence. */
export async function workToClosed(page: Page, sentence: string): Promise<void> {
  const pane = page.getByRole('region', { name: /.+/ }).last();
  await page.keyboard.press('a');
  await page.getByText('· Acknowledged', { exact: false }).first().waitFor();
  await page.keyboard.press('t');
  await page.getByText('· In progress', { exact: false }).first().waitFor();
  await page.keyboard.press('n');
  await page.getByLabel('New log line').fill('Spoke to the site by phone; a crew is on its way.');
  await page.keyboard.press('Enter');
  await pane.getByText('Spoke to the site by phone').waitFor();
  await page.keyboard.press('Escape');
  if ((await page.getByRole('button', { name: /^Tick step 1/ }).count()) > 0) {
    await page.keyboard.press('1');
    await page.getByRole('button', { name: /^Take back step 1/ }).waitFor();
  }
  await page.keyboard.press('c');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Close', exact: true }).click();
  await dialog.getByText('Choose how it ended.').waitFor(); // no closing without an outcome
  await dialog.getByLabel('Fixed').check();
  await dialog.getByLabel('What was done, in a sentence').fill(sentence);
  await dialog.getByRole('button', { name: 'Close', exact: true }).click();
  await dialog.waitFor({ state: 'hidden' });
  await page.getByText(sentence).first().waitFor();
}
