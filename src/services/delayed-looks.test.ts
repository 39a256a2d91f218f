import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEMO_SERVICES, GAZETTEER, hashSecret, startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import type { PortalReceipt, PortalRequest, PortalService } from '../contracts/request.ts';
import { checkAccess, readAccessFile, type AccessFile } from '../contracts/tlog/access.ts';
import { trustLogAlone } from '../contracts/tlog/policy.ts';
import { systemRandom } from '../kernel/index.ts';
import { buildHttp, createMetrics, silentLogger } from '../platform/index.ts';
import { verifyAccess } from '../trust/index.ts';
import { createServices } from './index.ts';

// A service whose residents are told of looks with the next step of their report.

const DAY_MS = 86_400_000;
const WHY = { purpose: 'service-requests', reasonCode: 'plan_work', reason: 'Planning the repair' };
let city: ServicesCity;
let folder: string;

beforeAll(async () => {
  city = await startServicesCity({ servicesYaml: DEMO_SERVICES.replace('  - code: street-light\n', '  - code: street-light\n    looks_told: after-step\n') });
  folder = mkdtempSync(join(tmpdir(), 'clerestory-delayed-'));
});
afterAll(async () => {
  await city.close();
  rmSync(folder, { recursive: true, force: true });
});

const call = async (position: 'case_worker' | 'operator', url: string, payload: object) => city.http.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${city.tokenOf(position)}` } });
const report = async (service: 'street-light' | 'pothole' = 'street-light'): Promise<PortalReceipt> => {
  const answers = service === 'pothole' ? { SURFACE: 'road' } : { FAULT: 'out' };
  return (await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: service, answers, point: [8, 50], description: 'Dark since Monday', name: 'Rosa Rot' } })).json<PortalReceipt>();
};
const own = async ({ token }: PortalReceipt): Promise<PortalRequest> => (await city.http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>();
const told = async (receipt: PortalReceipt): Promise<[number[], number]> => {
  const { looks, looksWaiting } = await own(receipt);
  return [looks.map(({ n }) => n), looksWaiting];
};
const look = async ({ requestId }: PortalReceipt, what: 'words' | 'contact' = 'words') => expect((await call('case_worker', `/api/requests/${requestId}/${what}`, WHY)).statusCode).toBe(200);
const decline = async ({ requestId }: PortalReceipt) => expect((await call('case_worker', `/api/requests/${requestId}/decline`, { outcome: 'not_ours', sentence: 'The lamp is on again.' })).statusCode).toBe(200);
const fileOf = async ({ token }: PortalReceipt): Promise<AccessFile> => readAccessFile((await city.http.inject(`/api/portal/requests/${token}/looks`)).body) as AccessFile;
const check = async (file: AccessFile) => {
  const policy = await trustLogAlone(file.vkey);
  if (policy === null) throw new Error('no key of the log');
  return checkAccess(file, policy);
};
async function verify(file: AccessFile): Promise<{ code: number; lines: string }> {
  const [path, lines] = [join(folder, 'looks.json'), [] as string[]];
  writeFileSync(path, JSON.stringify(file));
  const code = await verifyAccess(path, { log: join(city.dataFolder, 'log'), print: (line) => lines.push(line) });
  return { code, lines: lines.join('\n') };
}

test('a look waits for the next step of the report; its page says how many wait and nothing else of them', async () => {
  const receipt = await report();
  city.clock.advance(60_000);
  await look(receipt);
  await look(receipt, 'contact');
  expect(await own(receipt)).toMatchObject({ looks: [], looksWaiting: 2, looksTold: 'after-step' });
  expect(JSON.stringify(await own(receipt))).not.toMatch(/Planning|case_worker/);

  city.clock.advance(60_000);
  await decline(receipt);
  expect(await told(receipt)).toEqual([[1, 2], 0]);
  // looks after the step wait for the one after it
  city.clock.advance(60_000);
  await look(receipt);
  expect(await told(receipt)).toEqual([[1, 2], 1]);
  expect((await city.http.inject({ method: 'POST', url: `/api/portal/requests/${receipt.token}/reopen`, payload: { reason: 'It is dark again' } })).json<PortalRequest>()).toMatchObject({ looksWaiting: 0 });
  expect(await told(receipt)).toEqual([[1, 2, 3], 0]);
});

test('without a step it is told after 30 days, to the moment', async () => {
  const receipt = await report();
  city.clock.advance(60_000);
  await look(receipt);
  city.clock.advance(30 * DAY_MS - 1);
  expect(await told(receipt)).toEqual([[], 1]);
  city.clock.advance(1);
  expect(await told(receipt)).toEqual([[1], 0]);
});

test('the city chooses by service, in public; who looks cannot choose, and other services tell at once', async () => {
  const services = (await city.http.inject('/api/portal/services')).json<PortalService[]>();
  expect(services.filter(({ looks_told }) => looks_told === 'after-step').map(({ code }) => code)).toEqual(['street-light']);
  const pothole = await report('pothole');
  city.clock.advance(60_000);
  for (const more of [{ told: 'after-step' }, { looks_told: 'after-step' }]) {
    const tried = await call('case_worker', `/api/requests/${pothole.requestId}/words`, { ...WHY, ...more });
    expect([200, 400]).toContain(tried.statusCode);
  }
  await look(pothole);
  const { looks, looksWaiting } = await own(pothole);
  expect(looks.length).toBeGreaterThan(0);
  expect(looksWaiting).toBe(0);
});

test('the file names the numbers that wait; a longer wait, an unnamed gap and a hidden look are faults', async () => {
  const receipt = await report();
  city.clock.advance(60_000);
  await look(receipt);
  const waiting = await fileOf(receipt);
  expect(waiting).toMatchObject({ entries: [], waiting: [{ n: 1 }] });
  expect(await check(waiting)).toMatchObject({ ok: true, missing: [], waiting: [{ n: 1 }] });
  const verified = await verify(waiting);
  expect(verified).toMatchObject({ code: 0 });
  expect(verified.lines).toMatch(/waits +1 {2}told with the next step/);
  expect(verified.lines).toContain('who made the 1 looks that wait');

  expect(await check({ ...waiting, waiting: [{ n: 1, until: new Date(city.clock.nowMs() + 31 * DAY_MS).toISOString() }] })).toMatchObject({ ok: false, missing: [1] });
  expect(await check({ ...waiting, waiting: [{ n: 1, until: new Date(city.clock.nowMs() - 1).toISOString() }] })).toMatchObject({ ok: false, missing: [1] });
  // without the line the numbers cannot tell, and the log does
  expect((await verify({ ...waiting, waiting: [] })).code).toBe(1);
  expect(readAccessFile(JSON.stringify({ ...waiting, waiting: [{ n: 'x' }] }))).toMatch(/waiting/);

  city.clock.advance(60_000);
  await decline(receipt);
  city.clock.advance(60_000);
  await look(receipt);
  const mixed = await fileOf(receipt);
  expect([mixed.entries.length, mixed.waiting?.map(({ n }) => n)]).toEqual([1, [2]]);
  expect((await verify(mixed)).code).toBe(0);
});

test('a later change of the catalogue hides nothing that was shown, and shows nothing that waits', async () => {
  const [told, waiting] = [await report('pothole'), await report()];
  city.clock.advance(60_000);
  await look(told);
  await look(waiting);
  const { handle, bus, clock, trust } = city;
  const swapped = DEMO_SERVICES.replace('  - code: pothole\n', '  - code: pothole\n    looks_told: after-step\n');
  const services = await createServices({ handle, bus, clock, trust, random: systemRandom, logger: silentLogger, metrics: createMetrics(), hashSecret, servicesYaml: swapped, gazetteerNdjson: GAZETTEER, publicUrl: 'http://city.test', ratePerMinute: { read: 1_000, write: 1_000 } });
  const http = await buildHttp({ logger: silentLogger, authenticate: (request) => trust.authenticate(request), authorize: (principal, action) => trust.authorize(principal, action) });
  await services.registerRoutes(http);
  const now = async ({ token }: PortalReceipt): Promise<PortalRequest> => (await http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>();
  expect(await now(told)).toMatchObject({ looks: [{ n: 1 }], looksWaiting: 0, looksTold: 'after-step' });
  expect(await now(waiting)).toMatchObject({ looks: [], looksWaiting: 1, looksTold: 'now' });
  await http.close();
  await services.close();
});

test('a resident may ask that the page says nothing of looks by itself; looks are logged and told all the same', async () => {
  const answered = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'pothole', answers: { SURFACE: 'road' }, point: [8, 50], description: 'Deep hole', quiet: true } });
  const quiet = answered.json<PortalReceipt>();
  expect(quiet.notice).not.toMatch(/look/i);
  expect(await own(quiet)).toMatchObject({ quiet: true });
  city.clock.advance(60_000);
  await look(quiet);
  expect(await told(quiet)).toEqual([[1], 0]);
  expect((await fileOf(quiet)).entries).toHaveLength(1);
  expect(await own(await report())).toMatchObject({ quiet: false });
});
