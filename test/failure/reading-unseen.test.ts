import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PortalReceipt } from '../../src/contracts/request.ts';
import { ROOT, makeDataFolder, startTestCity, type TestCity } from '../city.ts';

// Somebody with every position, and root on the machine, tries to read what residents wrote without a look.

const MARKS = { words: 'Zebrafinkenwort', answer: 'Planwagenantwort', name: 'Quastelhuber', email: 'quastel.mark@zzmail.example', phone: '+4915199887766', again: 'Xylophonwort' };
const LOOK = { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Asking where the lamp is' };
const POSITIONS = [undefined, 'operator', 'supervisor', 'case_worker', 'auditor', 'data_protection_officer', 'administrator', 'device'] as const;
const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
const earlier = `${data}-earlier`;
let city: TestCity;
let receipt: PortalReceipt;

beforeAll(async () => {
  city = await startTestCity({ data, env: { CLERESTORY_LOG_LEVEL: 'trace' } });
  const filed = await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', point: [7.62, 51.96], answers: { FAULT: 'out', POLE: MARKS.answer }, description: `${MARKS.words} is here`, name: `Anna ${MARKS.name}`, email: MARKS.email, phone: MARKS.phone } });
  expect(filed.status, filed.text).toBe(201);
  receipt = filed.json;
});
afterAll(async () => {
  await city.stop();
  for (const folder of [data, earlier]) rmSync(folder, { recursive: true, force: true });
});

const marksIn = (text: string): string[] => Object.values(MARKS).filter((mark) => text.toLowerCase().includes(mark.toLowerCase()));
const looks = async (): Promise<number> => (await city.call('GET', `/api/portal/requests/${receipt.token}`)).json.looks.length;

/** Headers and body of an answer, as far as it comes within a moment: a stream has no end. */
async function readAll(method: string, path: string, token: string | undefined): Promise<{ status: number; text: string }> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 1_000);
  let status = 0;
  let text = '';
  try {
    const hasBody = !['GET', 'HEAD', 'DELETE'].includes(method);
    const answer = await fetch(city.url + path, { method, signal: abort.signal, headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...(hasBody && { 'content-type': 'application/json' }) }, ...(hasBody && { body: '{}' }) });
    status = answer.status;
    text = JSON.stringify([...answer.headers]);
    for await (const part of answer.body ?? []) text += Buffer.from(part).toString('latin1');
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return { status, text };
}

test('no address gives a resident’s words or contact data to any position without purpose and reason, and none fails', async () => {
  const { paths } = (await city.call('GET', '/api/openapi.json')).json as { paths: Record<string, Record<string, unknown>> };
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path: path.replace('{token}', 'x').replaceAll('{id}', receipt.requestId).replaceAll(/\{[^}]+\}/g, 'x'), method: method.toUpperCase() })));
  const others = ['/live', '/metrics', '/api/live', '/open311/v2/requests.json', '/open311/v2/requests.xml', `/open311/v2/requests/${receipt.requestId}.json`, '/api/portal/nearby?service=street-light&lon=7.62&lat=51.96', '/v1.1/Things', '/v2.0/Things', '/log/checkpoint'].map((path) => ({ path, method: 'GET' }));
  expect(routes.length).toBeGreaterThan(80);
  const before = await looks();
  const [leaks, faults]: [string[], string[]] = [[], []];
  for (const { path, method } of [...routes, ...others])
    for (const position of POSITIONS) {
      const { status, text } = await readAll(method, path, position === undefined ? undefined : city.token(position));
      if (marksIn(text).length > 0) leaks.push(`${method} ${path} ${position ?? 'anonymous'}: ${marksIn(text).join(', ')}`);
      if (status >= 500 && status !== 501) faults.push(`${method} ${path} ${position ?? 'anonymous'}: ${status} ${text.slice(-300)}`);
    }
  expect(leaks).toEqual([]);
  expect(faults).toEqual([]);
  expect(await looks()).toBe(before);
}, 300_000);

test('a search that is refused answers the same whether there is such a resident or not', async () => {
  const token = city.token('case_worker');
  const search = async (by: string, text: string, look: object): Promise<string> => {
    const { status, json } = await city.call('POST', '/api/requests/search', { token, body: { ...LOOK, ...look, by, text } });
    return `${String(status)} ${String(json.code)} ${String(json.detail)}`;
  };
  const before = await looks();
  for (const look of [{ purpose: 'nobody-registered-this' }, { reason: '     ' }]) {
    for (const [by, there, not] of [['name', MARKS.name, 'Nobodyhere'], ['email', MARKS.email, 'no@no.example'], ['phone', MARKS.phone, '+4915111111111'], ['words', MARKS.words, 'Nichtswort']] as const) {
      const answer = await search(by, there, look);
      expect(answer).toMatch(/^400 /);
      expect(await search(by, not, look)).toBe(answer);
    }
  }
  expect(await looks()).toBe(before);
});

test('a key broker that is killed again and again during openings shows nothing without a look, and comes back', async () => {
  const brokerOf = (): number | undefined => {
    const { stdout } = spawnSync('ps', ['-o', 'pid=,args=', '--ppid', String(city.process.pid)], { encoding: 'utf8' });
    const line = stdout.split('\n').find((each) => each.includes('broker/main.ts'));
    return line === undefined ? undefined : Number.parseInt(line, 10);
  };
  const ask = () => city.call('POST', `/api/requests/${receipt.requestId}/contact`, { token: city.token('case_worker'), body: LOOK });
  const before = await looks();
  let shown = 0;
  for (let round = 0; round < 4; round += 1) {
    const asked = Array.from({ length: 8 }, ask);
    const pid = brokerOf();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    for (const { status, json, text } of await Promise.all(asked)) {
      if (marksIn(text).length > 0) shown += 1;
      if (status !== 200) expect(json, text).toMatchObject({ status: 503 });
    }
    await expect.poll(async () => (await ask()).status, { timeout: 60_000, interval: 200 }).toBe(200);
    shown += 1;
  }
  expect(shown).toBeLessThanOrEqual((await looks()) - before);
}, 240_000);

test('reopening words and a refused form leave nothing readable: not in the output, not in any file', async () => {
  const token = city.token('case_worker');
  expect((await city.call('POST', `/api/requests/${receipt.requestId}/decline`, { token, body: { outcome: 'duplicate', sentence: 'It was told before.' } })).status).toBe(200);
  expect((await city.call('POST', `/api/portal/requests/${receipt.token}/reopen`, { body: { reason: `${MARKS.again} is still there` } })).status).toBe(200);
  for (const body of [{ service_code: MARKS.name, point: [7.62, 51.96] }, { service_code: 'street-light', point: [7.62, 51.96], description: MARKS.words, email: MARKS.name }, { service_code: 'street-light', [MARKS.name]: 1 }, `{"description":"${MARKS.words}`]) {
    const { status, text } = await city.call('POST', '/api/portal/requests', { body });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    // the name of a key that is not known may be said back to whoever sent it
    if (typeof body === 'string' || !(MARKS.name in body)) expect(marksIn(text)).toEqual([]);
  }
  await city.stop();
  expect(marksIn(city.output())).toEqual([]);
  expect(city.output()).not.toContain(receipt.token);
  for (const mark of [...Object.values(MARKS), receipt.token]) {
    const { status, stdout } = spawnSync('grep', ['-rlaiF', mark, data], { encoding: 'utf8' });
    expect([status, stdout], mark).toEqual([1, '']);
  }
  city = await startTestCity({ data });
}, 120_000);

test('a database and a log that were set back while the journal of the broker was not: a refusal that says what to do, and nothing is shown', async () => {
  const ask = () => city.call('POST', `/api/requests/${receipt.requestId}/contact`, { token: city.token('case_worker'), body: LOOK });
  expect((await ask()).status).toBe(200);
  await city.stop();
  mkdirSync(earlier);
  for (const part of ['postgres', 'log']) execFileSync('cp', ['-a', join(data, part), join(earlier, part)]);
  city = await startTestCity({ data });
  for (let n = 0; n < 5; n += 1) expect((await ask()).status).toBe(200);
  await city.stop();
  for (const part of ['postgres', 'log']) {
    rmSync(join(data, part), { recursive: true });
    execFileSync('cp', ['-a', join(earlier, part), join(data, part)]);
  }
  city = await startTestCity({ data });
  const openings = (): string => readFileSync(join(data, 'broker', 'openings'), 'utf8');
  const before = openings();
  for (let n = 0; n < 2; n += 1) {
    const { status, json, text } = await ask();
    expect(marksIn(text)).toEqual([]);
    expect(json, `${String(status)} ${text}`).toMatchObject({ status: 503, code: 'look.log-unavailable', detail: expect.stringContaining('set back') as unknown });
  }
  expect(openings()).toBe(before);
  expect(readdirSync(data)).toContain('log');
}, 180_000);
