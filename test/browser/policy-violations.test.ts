import type { Browser } from 'playwright-core';
import { expect, test } from 'vitest';
import { systemRandom } from '../../src/kernel/index.ts';
import { findFreePort } from '../../src/platform/index.ts';
import { startTestCity, type TestCity } from '../city.ts';
import { findChromium, watchedPage } from './chromium.ts';
import { browseCity } from './city-in-chromium.ts';

const chromium = findChromium();
let city: TestCity;
let browser: Browser;
const port = await findFreePort('127.0.0.1', systemRandom);
const here = `http://127.0.0.1:${port}`; // the city prints its public address
browseCity(() => startTestCity({ env: { CLERESTORY_PORT: String(port), CLERESTORY_PUBLIC_URL: 'https://city.example' } }), (...started) => {
  [city, browser] = started;
});

test.skipIf(chromium === undefined)('what the content security policy stops is counted, without the address of the page', async () => {
  const { page } = await watchedPage(browser, here);
  await page.goto('/trust');
  const reported = page.waitForResponse((response) => response.url().endsWith('/api/csp-reports'));
  await page.evaluate("new Image().src = 'https://statistics.example.net/pixel?of=somebody'; null");
  expect((await reported).status()).toBe(204);
  expect(await (await fetch(`${here}/metrics`)).text()).toContain('clerestory_csp_violations_total{directive="img-src"} 1');
  expect(city.output()).toContain('https://statistics.example.net');
  expect(city.output()).not.toMatch(/of=somebody|\/trust"/);
});

test.skipIf(chromium === undefined)('pages, interfaces and refusals carry the headers, and a city behind https asks for https', async () => {
  for (const path of ['/', '/trust/log', '/api/city', '/api/looks/figures', '/v1.1', '/nowhere']) {
    const { headers } = await fetch(here + path);
    for (const name of ['content-security-policy', 'permissions-policy', 'strict-transport-security', 'x-content-type-options', 'referrer-policy', 'cross-origin-opener-policy', 'cross-origin-resource-policy']) {
      if (path === '/v1.1' && name === 'cross-origin-resource-policy') continue; // anybody's page may read open data
      expect(headers.get(name), `${name} of ${path}`).toBeTruthy();
    }
    expect(headers.get('content-security-policy')).toContain('report-uri /api/csp-reports');
  }
});

test.skipIf(chromium === undefined).each([['text', 'nothing'], ['no report', '{}'], ['a list', '[]'], ['too large', `{"csp-report":{"blocked-uri":"${'x'.repeat(20_000)}"}}`]])('a report that is %s is refused', async (_name, body) => {
  const { status } = await fetch(`${here}/api/csp-reports`, { method: 'POST', headers: { 'content-type': 'application/csp-report' }, body });
  expect([400, 413]).toContain(status);
});
