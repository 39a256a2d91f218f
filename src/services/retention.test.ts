import { gunzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import { ErasureReceipt } from '../contracts/keys.ts';
import type { PortalReceipt, PortalRequest, RequestDetail } from '../contracts/request.ts';
import { unwrap } from '../kernel/index.ts';
import type { PurposeRegistry } from '../trust/purposes/index.ts';

const DAY_MS = 86_400_000;
let city: ServicesCity;
beforeAll(async () => {
  city = await startServicesCity();
});
afterAll(() => city.close());

const bearer = (position: Parameters<ServicesCity['tokenOf']>[0]) => ({ authorization: `Bearer ${city.tokenOf(position)}` });
const file = async (extra: Record<string, unknown> = {}): Promise<PortalReceipt> => {
  const response = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'street-light', description: 'Xylophonmarker at the corner', answers: { FAULT: 'out', POLE: 'Yakmarker' }, point: [8.0, 50.0], language: 'de', name: 'Zacharias Quux', email: 'zacharias@quux.example', ...extra } });
  expect(response.statusCode, response.body).toBe(201);
  return response.json<PortalReceipt>();
};
const read = async (token: string): Promise<PortalRequest> => (await city.http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>();
const staff = (method: 'GET' | 'POST', url: string, payload?: object) => city.http.inject({ method, url, headers: bearer('case_worker'), ...(payload === undefined ? {} : { payload }) });
const LOOK = { purpose: 'service-requests', reasonCode: 'plan_work', reason: 'to plan the repair' };
const look = (id: string) => staff('POST', `/api/requests/${id}/words`, LOOK);
const close = async (id: string): Promise<void> => expect((await staff('POST', `/api/requests/${id}/decline`, { outcome: 'not_ours', sentence: 'Die Leuchte gehört dem Land.' })).statusCode).toBe(200);
const rowOf = async (id: string): Promise<string> => (await sql<{ text: string }>`select r::text as text from request r where id = ${id}`.execute(city.handle.db)).rows[0]?.text ?? '';
const leavesOf = async (kind: string): Promise<unknown[]> => (await sql<{ body: string }>`select body from log_body where kind = ${kind} order by 1`.execute(city.handle.db)).rows.map(({ body }) => JSON.parse(body) as unknown);
const entry = (more: object) => {
  const purposes = city.trust.purposes as PurposeRegistry;
  return purposes.replace(purposes.all().map((each) => (each.id === 'service-requests' ? { ...each, ...more } : each)), purposes.hash(), 'apr_test');
};

test('a report is kept until its retention is over, counted from its closing; then its words are gone and its row stays for the figures', async () => {
  const [closed, open, held, wordless] = [await file(), await file(), await file(), await file({ description: '', answers: { FAULT: 'out' }, name: '', email: '' })];
  for (const { requestId } of [closed, held, wordless]) await close(requestId);
  expect((await staff('POST', `/api/requests/${closed.requestId}/publish`, { published: true, description: 'Xylophonmarker, released' })).statusCode).toBe(200);
  await sql`insert into kept_report (account, request_id, kept_at) values ('\\x01', ${closed.requestId}, now()), ('\\x01', ${open.requestId}, now())`.execute(city.handle.db);
  unwrap(await city.trust.cases.hold(held.requestId, { reason: 'Court file 7 C 12/26', placedBy: 'p1' }));
  city.clock.advance(365 * DAY_MS);
  expect(await city.services.retain()).toEqual(new Map());
  expect((await look(closed.requestId)).statusCode).toBe(200);
  await file({ description: 'A later one' });
  const { requestId: fresh } = await file();
  city.clock.advance(DAY_MS);
  // work that goes on is a reason to keep it
  expect((await staff('POST', `/api/requests/${open.requestId}/publish`, { published: true, description: 'A light is out' })).statusCode).toBe(200);

  expect(await city.services.retain()).toEqual(new Map([['service-requests', { erased: 2, held: 1 }]]));
  const row = await rowOf(closed.requestId);
  expect(row).not.toMatch(/xylophon|yak|quux|released/i);
  expect(row).toContain('street-light');
  expect((await sql<{ id: string }>`select request_id as id from kept_report`.execute(city.handle.db)).rows).toEqual([{ id: open.requestId }]);
  const shown = await read(closed.token);
  expect(shown).toMatchObject({ state: 'declined', outcome: 'not_ours', description: '', contact: [], words: [], looks: [], reopenUntil: null, erased: { cause: 'retention', receipt: true } });
  expect(shown.answers.map(({ answer }) => answer)).not.toContain('Yakmarker');
  expect((await look(closed.requestId)).statusCode).toBe(404);
  expect((await staff('GET', `/api/requests/${closed.requestId}`)).json<RequestDetail>()).toMatchObject({ hasWords: false, hasContact: false, published: false, serviceCode: 'street-light', state: 'declined' });
  expect((await read(wordless.token)).erased).toMatchObject({ cause: 'retention', receipt: false });
  for (const { token, requestId } of [open, held]) {
    expect((await read(token)).erased).toBe(null);
    expect((await look(requestId)).statusCode).toBe(200);
  }
  expect((await look(fresh)).statusCode).toBe(200);
  expect(await leavesOf('requests.erased')).toEqual([expect.objectContaining({ purpose: 'service-requests', requests: 2, held: 1 })]);

  const receipt = ErasureReceipt.parse((await city.http.inject(`/api/portal/requests/${closed.token}/erasure`)).json());
  expect(receipt).toMatchObject({ caseId: closed.requestId, records: 2 });
  expect(receipt.proof).toContain('c2sp.org/tlog-proof');
  const packed = (await sql<{ receipt: Buffer }>`select receipt from request_erasure where request_id = ${closed.requestId}`.execute(city.handle.db)).rows[0]?.receipt ?? Buffer.alloc(0);
  expect(JSON.parse(gunzipSync(packed).toString())).toEqual(receipt);
  for (const { needle } of receipt.traces) expect([packed.includes(Buffer.from(needle, 'hex')), packed.includes(needle)]).toEqual([false, false]);
  expect((await city.http.inject(`/api/portal/requests/${open.token}/erasure`)).statusCode).toBe(404);

  // without the hold the next run takes it; and nothing is taken twice
  unwrap(await city.trust.cases.hold(held.requestId, null));
  expect(await city.services.retain()).toEqual(new Map([['service-requests', { erased: 1, held: 0 }]]));
  expect(await city.services.retain()).toEqual(new Map());
});

test('a run that was cut off between key and row, and a decision of two people, are followed', async () => {
  const [cut, decided] = [await file(), await file()];
  await close(cut.requestId);
  unwrap(await city.trust.cases.shred(decided.requestId));
  city.clock.advance(366 * DAY_MS);
  unwrap(await city.trust.cases.shred(cut.requestId));
  // the page says so soon, without waiting for upkeep
  await expect.poll(async () => (await read(decided.token)).erased?.cause, { timeout: 30_000 }).toBe('decision');
  await city.services.retain();
  expect((await read(cut.token)).erased).toMatchObject({ receipt: false });
  const { erased, words } = await read(decided.token);
  expect([erased?.receipt, words]).toEqual([false, []]);
  expect(await rowOf(decided.requestId)).not.toMatch(/xylophon|quux/i);
});

test('the end of the purpose: no report, no reopening and no look from then on, and what residents wrote is erased, open work too', async () => {
  const [open, closed, held] = [await file(), await file(), await file({ idempotency_key: 'made-by-the-page-0007' })];
  await close(closed.requestId);
  unwrap(await city.trust.cases.hold(held.requestId, { reason: 'Court file 8 C 13/26', placedBy: 'p1' }));
  unwrap(await entry({ ends: new Date(city.clock.nowMs()).toISOString().slice(0, 10) }));
  expect((await look(open.requestId)).statusCode).toBe(200);
  city.clock.advance(DAY_MS);

  const late = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'street-light', answers: { FAULT: 'out' }, point: [8.0, 50.0] } });
  expect([late.statusCode, late.json<{ code: string }>().code]).toEqual([403, 'purpose.expired']);
  const reopening = await city.http.inject({ method: 'POST', url: `/api/portal/requests/${closed.token}/reopen`, payload: { reason: 'Still dark there.' } });
  expect([reopening.statusCode, reopening.json<{ code: string }>().code]).toEqual([403, 'purpose.expired']);
  const purposes = city.trust.purposes as PurposeRegistry;
  const other = purposes.get('service-requests');
  if (other === undefined) throw new Error('the register has lost the purpose');
  unwrap(await purposes.replace([...purposes.all(), { ...other, id: 'another-purpose', ends: null }], purposes.hash(), 'apr_test'));
  for (const purpose of ['service-requests', 'another-purpose']) {
    for (const id of [open.requestId, held.requestId]) {
      for (const record of ['words', 'contact']) {
        const refused = await staff('POST', `/api/requests/${id}/${record}`, { ...LOOK, purpose });
        expect([purpose, record, refused.statusCode, refused.json<{ code: string }>().code]).toEqual([purpose, record, 403, 'purpose.expired']);
      }
    }
  }
  const list = await staff('POST', '/api/requests/words', { ...LOOK, purpose: 'another-purpose', limit: 50 });
  expect([list.statusCode, list.body.includes('Xylophonmarker')]).toEqual([200, false]);
  const search = await staff('POST', '/api/requests/search', { ...LOOK, purpose: 'another-purpose', by: 'email', text: 'zacharias@quux.example' });
  expect([search.statusCode, search.json<{ hits: unknown[] }>().hits]).toEqual([200, []]);
  const day = (offset: number): string => new Date(city.clock.nowMs() + offset * DAY_MS).toISOString();
  const csv = await staff('POST', '/api/requests/export', { ...LOOK, purpose: 'another-purpose', scope: { from: day(-2), to: day(1), include: ['words', 'contact'] } });
  expect([csv.statusCode, csv.body.includes(open.requestId), csv.body.includes('quux')]).toEqual([200, true, false]);

  const retained = (await city.services.retain()).get('service-requests');
  expect(retained?.held).toBe(1);
  expect(retained?.erased).toBeGreaterThanOrEqual(2);
  for (const { token } of [open, closed]) expect((await read(token)).erased).toMatchObject({ cause: 'ended', receipt: true });
  expect((await read(held.token)).description).toBe('Xylophonmarker at the corner');
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from sealed_record where case_id <> ${held.requestId}`.execute(city.handle.db);
  expect(rows).toEqual([{ n: 0 }]);
  unwrap(await city.trust.cases.hold(held.requestId, null));
  await city.services.retain();
  expect((await read(held.token)).erased).toMatchObject({ cause: 'ended', receipt: true });

  // two people renew it: reports come in again, what was erased is gone, and the page that sends once more is told
  unwrap(await entry({ ends: null }));
  expect((await file()).requestId).not.toBe(open.requestId);
  expect((await look(open.requestId)).statusCode).toBe(404);
  const again = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'street-light', answers: { FAULT: 'out' }, point: [8.0, 50.0], idempotency_key: 'made-by-the-page-0007' } });
  expect(again.statusCode).toBe(409);
});

test('rows of before get the purpose of their service, and of a service that is gone the common one', async () => {
  const { requestId: known } = await file();
  const { requestId: lost } = await file();
  await sql`update request set purpose = null, service_code = case id when ${lost} then 'no-such-service' else service_code end where id in (${known}, ${lost})`.execute(city.handle.db);
  await city.services.retain();
  const { rows } = await sql<{ purpose: string | null }>`select purpose from request where id in (${known}, ${lost})`.execute(city.handle.db);
  expect(rows).toEqual([{ purpose: 'service-requests' }, { purpose: 'service-requests' }]);
});
