import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import type { Approval } from '../contracts/approval.ts';
import type { SealedCounts } from '../contracts/looks.ts';
import type { Position, Principal } from '../contracts/principal.ts';
import type { PortalReceipt, PortalRequest } from '../contracts/request.ts';
import { splitReason } from '../contracts/trust.ts';
import { buildHttp, silentLogger, type Http } from '../platform/index.ts';

// Looks that two people seal. The callers are put in at the door, because tokens are no people and approve nothing.

let city: ServicesCity;
let http: Http;
let caller: Principal;
const people = new Map<string, Principal>();
const DAY_MS = 86_400_000;

beforeAll(async () => {
  city = await startServicesCity();
  http = await buildHttp({ logger: silentLogger, authenticate: () => Promise.resolve(caller), authorize: (principal, action) => city.trust.authorize(principal, action), isFresh: () => true });
  city.metrics.removeSingleMetric('clerestory_georeport_fields_dropped_total'); // counted by the routes of the other door
  await city.services.registerRoutes(http);
  await city.trust.registerRoutes(http);
  await http.ready();
  for (const [name, position] of [['Wanda Weiss', 'case_worker'], ['Dora Dahl', 'data_protection_officer'], ['Olaf Ott', 'operator'], ['Sina Sand', 'supervisor']] as const) people.set(position, await makePerson(name, [position]));
});
afterAll(async () => {
  await http.close();
  await city.close();
});

async function makePerson(name: string, positions: Position[]): Promise<Principal> {
  const id = `per_${name.toLowerCase().replace(' ', '_')}`;
  const pseudonym = `p-${name.slice(0, 4).toLowerCase()}`;
  await insertPerson(id, name, positions, pseudonym);
  return { kind: 'person', id, name, positions, pseudonym, department: 'Office of tests' };
}
async function insertPerson(id: string, name: string, positions: Position[], pseudonym: string): Promise<void> {
  await sql`insert into person (id, name, name_key, positions, pseudonym, created_at) values (${id}, ${name}, ${name.toLowerCase()}, ${positions}, ${pseudonym}, now())`.execute(city.handle.db);
}

const as = async (position: string, method: 'GET' | 'POST', url: string, payload?: object) => {
  caller = people.get(position) as Principal;
  return http.inject({ method, url, ...(payload && { payload }) });
};
const report = async (extra: object = {}): Promise<PortalReceipt> => {
  caller = people.get('case_worker') as Principal;
  return (await http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'pothole', answers: { SURFACE: 'road' }, point: [8, 50], description: 'Deep hole', ...extra } })).json<PortalReceipt>();
};
const looksOf = async ({ token }: PortalReceipt) => (await http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>().looks;
const day = (ahead: number): string => new Date(city.clock.nowMs() + ahead * DAY_MS).toISOString().slice(0, 10);
const counts = async (): Promise<SealedCounts['quarters'][number] | undefined> => (await http.inject('/api/looks/sealed')).json<SealedCounts>().quarters[0];
const WHY = { purpose: 'service-requests', reasonCode: 'legal_order', reason: 'Order 12/26 of the district court' };

test('a sealed look takes two people, is counted at once, opens by itself on its day and cannot be used twice', async () => {
  const receipt = await report({ name: 'Rosa Rot' });
  const url = `/api/requests/${receipt.requestId}/sealed-look`;
  const wish = { ...WHY, until: day(30), records: ['words', 'contact'] };
  expect((await as('case_worker', 'POST', `${url}/proposals`, { ...wish, until: day(400) })).json()).toMatchObject({ field: 'until' });
  expect((await as('operator', 'POST', `${url}/proposals`, wish)).statusCode).toBe(403);
  const proposed = await as('case_worker', 'POST', `${url}/proposals`, wish);
  expect(proposed.statusCode, proposed.body).toBe(201);
  const { id } = proposed.json<Approval>();
  expect((await as('case_worker', 'POST', url, { ...wish, approval: id })).statusCode).toBe(403);
  expect((await as('supervisor', 'POST', `/api/approvals/${id}/approve`)).statusCode).toBe(403);
  expect((await as('data_protection_officer', 'POST', `/api/approvals/${id}/approve`)).statusCode).toBe(200);
  expect((await as('case_worker', 'POST', url, { ...wish, until: day(31), approval: id })).json()).toMatchObject({ code: 'approval.different' });
  const opened = await as('case_worker', 'POST', url, { ...wish, approval: id });
  expect(opened.json()).toMatchObject({ words: { description: 'Deep hole' }, contact: { name: 'Rosa Rot' } });
  expect((await as('case_worker', 'POST', url, { ...wish, approval: id })).statusCode).toBe(403);
  expect(await looksOf(receipt)).toEqual([]);
  expect(await counts()).toMatchObject({ quarter: '2026-Q4', made: 2, closed: 2, extended: 0 });

  // one of the two is extended, by two people again
  const [first] = opened.json<{ entries: number[] }>().entries;
  const extension = `/api/looks/sealed/${first}/extension`;
  const longer = { until: day(60), reason: 'The court has extended its order' };
  expect((await as('case_worker', 'POST', `${extension}/proposals`, { ...longer, until: day(10) })).statusCode).toBe(400);
  const again = (await as('case_worker', 'POST', `${extension}/proposals`, longer)).json<Approval>();
  expect((await as('case_worker', 'POST', extension, { until: longer.until, approval: again.id })).statusCode).toBe(403);
  await as('data_protection_officer', 'POST', `/api/approvals/${again.id}/approve`);
  expect((await as('case_worker', 'POST', extension, { until: longer.until, approval: again.id })).statusCode).toBe(200);
  expect(await counts()).toMatchObject({ made: 2, closed: 2, extended: 1 });

  // no job runs under this clock: the resident's page notices it
  city.clock.advance(31 * DAY_MS);
  expect((await looksOf(receipt)).map(({ fields, reason }) => [fields.join(), splitReason(reason).code])).toEqual([['name', 'legal_order']]);
  city.clock.advance(31 * DAY_MS);
  expect((await looksOf(receipt)).map(({ n }) => n)).toEqual([1, 2]);
  expect(await looksOf(receipt)).toHaveLength(2);
  expect((await as('case_worker', 'POST', `${extension}/proposals`, { ...longer, until: day(100) })).json()).toMatchObject({ code: 'look.opened' });
});

test('figures tell the officer who looked how, and which rules were met; a name takes two people', async () => {
  const from = new Date(city.clock.nowMs()).toISOString();
  city.clock.advance(1_000);
  const own = await report({ name: 'Wanda Weiss' });
  const other = await report({ name: 'Karl Weiss' });
  const words = { ...WHY, reasonCode: 'plan_work', reason: 'Planning the repair' };
  await as('operator', 'POST', `/api/requests/${own.requestId}/words`, words);
  for (const { requestId } of [own, other]) await as('case_worker', 'POST', `/api/requests/${requestId}/contact`, { ...words, reason: `Calling about ${requestId}` });
  const to = new Date(city.clock.nowMs() + 1_000).toISOString();
  for (const position of ['case_worker', 'operator', 'supervisor']) expect((await as(position, 'GET', '/api/looks/figures')).statusCode).toBe(403);
  const query = new URLSearchParams({ from, to });
  const figures = await as('data_protection_officer', 'GET', `/api/looks/figures?${query.toString()}`);
  const body = figures.json<{ rows: { pseudonym: string }[]; alerts: { rule: string; pseudonyms: string[] }[] }>();
  expect(body).toMatchObject({ looks: 3, withoutDetails: 0, complete: true });
  expect(body.rows.map(({ pseudonym }) => pseudonym).sort()).toEqual(['p-olaf', 'p-wand']);
  expect(body.rows[0]).toMatchObject({ department: 'Office of tests', via: 'detail', looks: 2, requests: 2 });
  expect(body.alerts.map(({ rule, pseudonyms }) => [rule, ...pseudonyms])).toEqual([['own-name', 'p-wand'], ['own-surname', 'p-wand']]);
  expect(figures.body).not.toMatch(/Wanda|Karl|Olaf|Calling/);

  const proposal = (await as('data_protection_officer', 'POST', '/api/looks/disclosures', { pseudonym: 'p-wand', reason: 'Complaint of a resident' })).json<Approval>();
  const url = `/api/looks/disclosures/${proposal.id}`;
  expect((await as('data_protection_officer', 'POST', url)).statusCode).toBe(403);
  expect((await as('data_protection_officer', 'POST', `/api/approvals/${proposal.id}/approve`)).statusCode).toBe(403);
  await as('supervisor', 'POST', `/api/approvals/${proposal.id}/approve`);
  expect((await as('data_protection_officer', 'POST', url)).json()).toEqual({ pseudonym: 'p-wand', name: 'Wanda Weiss' });
  expect((await as('data_protection_officer', 'POST', url)).statusCode).toBe(403);
});

test('an export of more than 50 reports goes through once a second person agreed to exactly it', async () => {
  const from = new Date(city.clock.nowMs() + 1).toISOString();
  city.clock.advance(1);
  const receipts = [];
  for (let n = 0; n < 51; n += 1) receipts.push(await report({ description: `Hole ${n}` }));
  const scope = { from, to: new Date(city.clock.nowMs() + 1).toISOString(), include: ['words'] };
  const wish = { ...WHY, reasonCode: 'quality_check', reason: 'Yearly check of our answers', scope };
  const { id } = (await as('case_worker', 'POST', '/api/requests/export/proposals', wish)).json<Approval>();
  await as('supervisor', 'POST', `/api/approvals/${id}/approve`);
  expect((await as('case_worker', 'POST', '/api/requests/export', { ...wish, reason: 'Another reason', approval: id })).json()).toMatchObject({ code: 'approval.different' });
  const csv = await as('case_worker', 'POST', '/api/requests/export', { ...wish, approval: id });
  expect(csv.body.trim().split('\r\n')).toHaveLength(52);
  for (const receipt of [receipts[0], receipts[50]]) expect((await looksOf(receipt as PortalReceipt)).map(({ via }) => via)).toEqual(['export']);
  expect((await as('case_worker', 'POST', '/api/requests/export', { ...wish, approval: id })).statusCode).toBe(403);
});

test('while the log takes nothing, nothing is shown by any way and no look appears', async () => {
  city.clock.advance(86_400_001); // the exports of the day before do not count any more
  const receipt = await report({ description: 'Nachtmarker', name: 'Nora Nachtmarker' });
  // where tiles belong lies a file, so that nothing can be written there, not even by root
  const tiles = join(city.dataFolder, 'log', 'tile');
  renameSync(tiles, `${tiles}-away`);
  writeFileSync(tiles, '');
  const from = new Date(city.clock.nowMs() - 1).toISOString();
  const to = new Date(city.clock.nowMs() + 1).toISOString();
  for (const [url, payload] of [
    [`/api/requests/${receipt.requestId}/words`, {}],
    [`/api/requests/${receipt.requestId}/words`, { via: 'print' }],
    [`/api/requests/${receipt.requestId}/contact`, {}],
    ['/api/requests/words', { limit: 1 }],
    ['/api/requests/search', { by: 'words', text: 'nachtmarker' }],
    ['/api/requests/export', { scope: { from, to, include: ['words', 'contact'] } }],
  ] as const) {
    const refused = await as('case_worker', 'POST', url, { ...WHY, ...payload });
    expect(refused.json(), `${url} ${JSON.stringify(payload)}`).toMatchObject({ status: 503, code: 'look.log-unavailable' });
    expect(refused.body).not.toContain('achtmarker');
  }
  expect((await as('case_worker', 'POST', `/api/requests/${receipt.requestId}/publish`, { published: true })).statusCode).toBe(503);
  rmSync(tiles);
  renameSync(`${tiles}-away`, tiles);
  expect(await looksOf(receipt)).toEqual([]);
  expect((await as('case_worker', 'GET', `/api/requests/${receipt.requestId}`)).json()).toMatchObject({ published: false });
});
