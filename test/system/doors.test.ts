import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

let cities: TestCity[] = [];
beforeAll(async () => {
  cities = await Promise.all([startTestCity(), startTestCity()]);
});
afterAll(async () => {
  for (const city of cities) {
    await city.stop();
    city.remove();
  }
});

/** Every file below a folder. */
const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));

test('a fresh install has no account and no second way in, its key files are their owner\'s only, and two installs share no key', async () => {
  const [one, two] = cities as [TestCity, TestCity];
  expect((await one.call('GET', '/api/people', { token: one.token('administrator') })).json).toEqual([]);
  expect((await two.call('GET', '/api/people', { token: one.token('administrator') })).status).toBe(401);
  expect((await two.call('GET', new URL(one.signInLink).pathname.replace('/invite/', '/api/invitations/'))).status).toBe(410);
  const contents = cities.map(({ data }) => {
    const files = filesIn(join(data, 'keys'));
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) expect.soft([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
    return files.filter((file) => file.endsWith('.key')).map((file) => readFileSync(file, 'utf8'));
  });
  expect((contents[0] ?? []).filter((key) => contents[1]?.includes(key))).toEqual([]);
});

test('a passphrase alone opens nothing in a city as it comes', async () => {
  const [city] = cities as [TestCity];
  expect((await city.call('GET', '/api/sign-in')).json).toMatchObject({ secondFactor: 'required', service: null });
  const code = new URL(city.signInLink).pathname.split('/').at(-1) ?? '';
  const host = { host: new URL(city.url).host, 'sec-fetch-site': 'same-origin' };
  const joined = await city.call('POST', `/api/invitations/${code}/password`, { body: { name: 'Ada Ahmed', password: 'correct horse battery' }, headers: host });
  expect(joined.json).toMatchObject({ secondFactorNeeded: true });
  const cookie = joined.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  expect((await city.call('GET', '/api/people', { headers: { cookie } })).json).toMatchObject({ code: 'auth.second-factor-needed' });

  // every address that changes something, asked from another site with the cookie of somebody who may
  const { paths } = (await city.call('GET', '/api/openapi.json')).json as { paths: Record<string, Record<string, unknown>> };
  const changing = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).filter((method) => ['post', 'put', 'patch', 'delete'].includes(method)).map((method) => ({ path: path.replace(/\{[^}]+\}/g, '1'), method: method.toUpperCase() })));
  expect(changing.length).toBeGreaterThan(30);
  const taken: string[] = [];
  for (const { path, method } of changing)
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }]) {
      const { status, text } = await city.call(method, path, { headers: { cookie, ...headers }, ...(method === 'DELETE' ? {} : { body: {} }) });
      if (status !== 403 || !text.includes('auth.cross-site')) taken.push(`${method} ${path} ${status}`);
    }
  expect([...new Set(taken.map((line) => line.replace(/ \d+$/, '')))].sort()).toEqual(
    [
      // these give a session, take none, and read their body first; with a right body they refuse other sites (identity-routes.test.ts)
      'POST /api/sign-in/password',
      'POST /api/sign-in/passkey/finish',
      'POST /api/sign-in/service/accept',
      'POST /api/invitations/1/password',
      'POST /api/invitations/1/passkey/options',
      'POST /api/invitations/1/passkey/finish',
      // open to everybody without an account, from any site: a cookie adds nothing
      'POST /api/gate/try',
      'POST /open311/v2/requests.xml',
      'POST /open311/v2/requests.json',
      'POST /api/portal/requests',
      'POST /api/portal/requests/1/reopen',
      // called by the sign-in services themselves, with a token that they signed; no cookie is read (back-channel logout)
      'POST /api/sign-in/service/logout',
      'POST /api/my/sign-in/logout',
    ].sort(),
  );
});
