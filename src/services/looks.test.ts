import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import type { PortalReceipt, PortalRequest, RequestDetail, RequestPage, RequestWords, SearchPage, WordsPage } from '../contracts/request.ts';
import { splitReason } from '../contracts/trust.ts';
import { silentLogger } from '../platform/index.ts';
import { parseCatalogue } from './catalogue.ts';
import { sealClearWords } from './clear-words.ts';
import { DEMO_SERVICES } from '../../test/conformance/georeport-city.ts';
import { createRequestStore } from './request-store.ts';

let city: ServicesCity;
beforeAll(async () => {
  city = await startServicesCity();
});
afterAll(() => city.close());

const WHY = { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Looking for the exact place' } as const;
type Position = Parameters<ServicesCity['tokenOf']>[0];
const bearer = (position: Position) => ({ authorization: `Bearer ${city.tokenOf(position)}` });
const post = (url: string, payload: object, position: Position = 'case_worker') => city.http.inject({ method: 'POST', url, headers: bearer(position), payload });
const report = async (extra: Record<string, unknown> = {}): Promise<PortalReceipt> => {
  const response = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'flooded-street', description: 'Water in the underpass', point: [8, 50], language: 'de', ...extra } });
  expect(response.statusCode, response.body).toBe(201);
  return response.json<PortalReceipt>();
};
const own = async (token: string): Promise<PortalRequest> => (await city.http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>();
const looksOf = async (token: string) => (await own(token)).looks;

test('words of a report open with a purpose, a kind of reason and a sentence, and the resident reads all three', async () => {
  const { requestId, token } = await report({ service_code: 'street-light', answers: { FAULT: 'out', POLE: 'A cable hangs down' } });
  const url = `/api/requests/${requestId}/words`;
  const detail = (await city.http.inject({ url: `/api/requests/${requestId}`, headers: bearer('operator') })).json<RequestDetail>();
  expect(detail).toMatchObject({ description: '', hasWords: true, words: ['description', 'answer.POLE'], answers: [{ code: 'FAULT' }] });
  expect(JSON.stringify(detail)).not.toMatch(/underpass|cable/);

  for (const payload of [{}, { ...WHY, reason: 'no' }, { ...WHY, reasonCode: 'curiosity' }, { ...WHY, purpose: 'city-operations' }]) expect((await post(url, payload)).statusCode, JSON.stringify(payload)).toBe(400);
  expect((await post(url, WHY, 'auditor')).statusCode).toBe(403);
  expect((await post(url, WHY, 'administrator')).statusCode).toBe(403);
  expect(await looksOf(token)).toEqual([]);

  const opened = await post(url, WHY, 'operator');
  expect(opened.headers['cache-control']).toBe('no-store');
  expect(opened.json<RequestWords>()).toMatchObject({ description: 'Water in the underpass', answers: [{ code: 'POLE', answer: 'A cable hangs down' }], looks: [{ reason: 'locate_fault: Looking for the exact place', via: 'api' }] });
  const [look] = await looksOf(token);
  expect(look).toMatchObject({ position: 'operator', purpose: 'service-requests', fields: ['description', 'answer.POLE'] });
  expect(splitReason(look?.reason ?? '')).toEqual({ code: 'locate_fault', sentence: 'Looking for the exact place' });
});

test('operators read words one report at a time; contact data, lists, search and export are for case workers', async () => {
  const { requestId, token } = await report({ name: 'Erika Muster' });
  for (const [url, payload] of [
    [`/api/requests/${requestId}/contact`, WHY],
    ['/api/requests/words', WHY],
    ['/api/requests/search', { ...WHY, by: 'name', text: 'Muster' }],
    ['/api/requests/export', { ...WHY, scope: { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' } }],
  ] as const) {
    expect((await post(url, payload, 'operator')).statusCode, url).toBe(403);
    expect((await post(url, payload, 'supervisor')).statusCode, url).toBe(403);
  }
  expect(await looksOf(token)).toEqual([]);
});

test('contact data opens by the field that is needed', async () => {
  const { requestId, token } = await report({ name: 'Erika Muster', phone: '+49 30 901820' });
  const opened = await post(`/api/requests/${requestId}/contact`, { ...WHY, fields: ['phone'] });
  expect(opened.json()).toMatchObject({ name: '', phone: '+49 30 901820', look: { fields: ['phone'] } });
  expect(await looksOf(token)).toHaveLength(1);
});

test('a list with words leaves one look a row that shows any, and the plain list none', async () => {
  const filed = [];
  for (let n = 0; n < 4; n += 1) filed.push(await report({ service_code: 'pothole', description: n === 3 ? '' : `Hole number ${n}`, answers: { SURFACE: 'road' } }));
  const plain = await city.http.inject({ url: '/api/requests?service=pothole', headers: bearer('case_worker') });
  expect(plain.body).not.toContain('Hole number');
  for (const { token } of filed) expect(await looksOf(token)).toEqual([]);
  const page = (await post('/api/requests/words', { ...WHY, service: 'pothole', limit: 50 })).json<WordsPage>();
  expect(page.requests.map(({ words }) => words).reverse()).toEqual(['Hole number 0', 'Hole number 1', 'Hole number 2', '']);
  for (const [n, { token }] of filed.entries()) expect(await looksOf(token)).toHaveLength(n === 3 ? 0 : 1);
  expect((await post('/api/requests/words', { ...WHY, limit: 51 })).statusCode).toBe(400);
});

describe('search', () => {
  let receipt: PortalReceipt;
  beforeAll(async () => {
    receipt = await report({ description: 'Hydrant spritzt seit gestern', name: 'Rosalind Ärmel', email: 'Rosa@Example.org', phone: '+49 (0)30 5554 4433' });
    await report({ description: 'Der Hydrant ist zu' });
  });
  const search = async (by: string, text: string): Promise<SearchPage> => (await post('/api/requests/search', { ...WHY, by, text })).json<SearchPage>();

  test.each([
    ['words', 'HYDRANT gestern'],
    ['name', 'aermel rosalind'.replace('ae', 'ä')],
    ['name', 'Armel'],
    ['email', ' rosa@example.ORG '],
    ['phone', '030 5554-4433'],
  ])('by %s "%s" finds the one report, and its resident sees it', async (by, text) => {
    const before = (await looksOf(receipt.token)).length;
    const { hits, more } = await search(by, text);
    expect(hits.map(({ requestId }) => requestId)).toEqual([receipt.requestId]);
    expect(more).toBe(false);
    const looks = await looksOf(receipt.token);
    expect(looks).toHaveLength(before + 1);
    expect(looks.at(-1)?.fields).toEqual(by === 'words' ? ['description'] : [by]);
    expect(Object.keys(hits[0]?.contact ?? {})).toEqual(by === 'words' ? [] : [by]);
  });

  test('finds whole words only, and what finds nothing opens nothing', async () => {
    const before = (await looksOf(receipt.token)).length;
    for (const [by, text] of [['words', 'Hydr'], ['name', 'Rosa'], ['email', 'example.org'], ['phone', '44']] as const) expect((await search(by, text)).hits).toEqual([]);
    expect(await looksOf(receipt.token)).toHaveLength(before);
  });

  test('shows at most 20 and opens no more than it shows', async () => {
    const filed = [];
    for (let n = 0; n < 22; n += 1) {
      city.clock.advance(1);
      filed.push(await report({ description: `Quastenflosser ${n}` }));
    }
    const { hits, more } = await search('words', 'quastenflosser');
    expect([hits.length, more]).toEqual([20, true]);
    const counts = await Promise.all(filed.map(async ({ token }) => (await looksOf(token)).length));
    expect(counts.filter((count) => count === 1)).toHaveLength(20);
    expect(counts.slice(0, 2)).toEqual([0, 0]); // the oldest were not shown
  });
});

test('an export names its looks, quotes formulas, and more than 50 reports need a second person', async () => {
  const from = new Date(city.clock.nowMs() + 86_400_000).toISOString();
  city.clock.advance(86_400_001);
  const first = await report({ service_code: 'noise', description: '=HYPERLINK("http://evil.example")', answers: { SOURCE: 'site' }, name: 'Max, "der" Lange' });
  const to = new Date(city.clock.nowMs() + 1_000).toISOString();
  const scope = { from, to, include: ['words', 'contact'] };
  const csv = await post('/api/requests/export', { ...WHY, scope });
  expect(csv.headers['content-type']).toContain('text/csv');
  const looks = await looksOf(first.token);
  expect(looks.map(({ fields }) => fields)).toEqual([['description'], ['name']]);
  expect(csv.body.split('\r\n')[1]).toMatch(new RegExp(`^${first.requestId},.*,"'=HYPERLINK\\(""http://evil.example""\\)","Max, ""der"" Lange",,,${looks.map(({ index }) => index).join(' ')}$`));

  for (let n = 0; n < 50; n += 1) await report({ service_code: 'noise', description: `Noise ${n}`, answers: { SOURCE: 'site' } });
  const refused = await post('/api/requests/export', { ...WHY, scope });
  expect(refused.json()).toMatchObject({ status: 403, code: 'approval.needed' });
  expect((await post('/api/requests/export', { ...WHY, scope, approval: 'apr_nonsense' })).statusCode).toBeGreaterThanOrEqual(403);
  expect(await looksOf(first.token)).toHaveLength(2);

  // slices count together: two small exports of the same person in a day make a large one
  city.clock.advance(86_400_001);
  const sliceOf = async (count: number) => {
    const began = new Date(city.clock.nowMs()).toISOString();
    for (let n = 0; n < count; n += 1) await report({ service_code: 'noise', description: `Slice ${n}`, answers: { SOURCE: 'site' } });
    city.clock.advance(2_000);
    return { from: began, to: new Date(city.clock.nowMs()).toISOString(), include: ['words'] };
  };
  const headers = bearer('case_worker');
  const take = (taken: object) => city.http.inject({ method: 'POST', url: '/api/requests/export', headers, payload: { ...WHY, scope: taken } });
  const [half, rest] = [await sliceOf(30), await sliceOf(21)];
  expect((await take(half)).statusCode).toBe(200);
  expect((await take(rest)).json()).toMatchObject({ status: 403, code: 'approval.needed' });
  city.clock.advance(86_400_001);
  expect((await take(rest)).statusCode).toBe(200);
});

test('releasing a text as it stands is a look; releasing a text of one\'s own is none', async () => {
  const asIs = await report({ service_code: 'street-light', description: 'Lamp is out', answers: { FAULT: 'out', POLE: 'Pole 17' } });
  await post(`/api/requests/${asIs.requestId}/publish`, { published: true });
  expect((await looksOf(asIs.token)).map(({ reason }) => splitReason(reason).code)).toEqual(['review_text']);
  const trees = (await city.http.inject(`/open311/v2/requests/${asIs.requestId}.json?extensions=true`)).json<[{ description: string; extended_attributes: { attributes: { code: string; value: string }[] } }]>();
  expect(trees[0]).toMatchObject({ description: 'Lamp is out', extended_attributes: { attributes: [{ code: 'FAULT' }, { code: 'POLE', value: 'Pole 17' }] } });
  const edited = await report({ service_code: 'street-light', description: 'Lamp by the house of Mr X', answers: { FAULT: 'out', POLE: 'his dog' } });
  await post(`/api/requests/${edited.requestId}/publish`, { published: true, description: 'Lamp is out' });
  expect(await looksOf(edited.token)).toEqual([]);
  const shown = await city.http.inject(`/open311/v2/requests/${edited.requestId}.json?extensions=true`);
  expect(shown.body).toContain('Lamp is out');
  expect(shown.body).not.toMatch(/Mr X|his dog/);
});

test('two people at once on one case leave two looks without a gap', async () => {
  const { requestId, token } = await report();
  const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => post(`/api/requests/${requestId}/words`, { ...WHY, reason: `Reason number ${n}` }, n % 2 === 0 ? 'operator' : 'case_worker')));
  expect(answers.map(({ statusCode }) => statusCode)).toEqual(answers.map(() => 200));
  const looks = await looksOf(token);
  expect(looks.map(({ n }) => n)).toEqual(answers.map((_, at) => at + 1));
  expect(new Set(looks.map(({ reason }) => reason)).size).toBe(12);
});

test('a look row that is deleted shows as a gap in the numbers', async () => {
  const { requestId, token } = await report();
  for (let n = 0; n < 3; n += 1) await post(`/api/requests/${requestId}/words`, { ...WHY, reason: `Reason number ${n}` });
  await sql`delete from look where case_id = ${requestId} and n = 2`.execute(city.handle.db);
  expect((await looksOf(token)).map(({ n }) => n)).toEqual([1, 3]);
});

test('rows of before are sealed and blanked at the start, once, and nothing in the clear is left', async () => {
  const { requestId, token } = await report({ description: '', answers: { DEPTH_CM: '12' }, name: 'Old Resident' });
  await sql`update request set description = 'Clear words of before', attributes = ${JSON.stringify({ DEPTH_CM: '12', DANGER: 'Clear answer' })}::jsonb, parted = false where id = ${requestId}`.execute(city.handle.db);
  await sql`insert into request_note (request_id, seq, at, state, kind, outcome, sentence) values (${requestId}, 7, now(), 'received', 'reopened_by_resident', null, 'Clear reason of before')`.execute(city.handle.db);
  const parsed = parseCatalogue(DEMO_SERVICES);
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  const deps = { store: createRequestStore(city.handle), catalogue: parsed.value, trust: city.trust, logger: silentLogger };
  expect(await sealClearWords(deps)).toBe(1);
  expect(await sealClearWords(deps)).toBe(0);
  const rows = await sql<{ text: string }>`select r::text || coalesce((select string_agg(n::text, ' ') from request_note n where n.request_id = r.id), '') as text from request r where id = ${requestId}`.execute(city.handle.db);
  expect(rows.rows[0]?.text).not.toMatch(/Clear/);
  const opened = (await post(`/api/requests/${requestId}/words`, WHY)).json<RequestWords>();
  expect(opened).toMatchObject({ description: 'Clear words of before', answers: [{ code: 'DANGER', answer: 'Clear answer' }], reopenings: [{ reason: 'Clear reason of before' }] });
  // contact data was sealed when it was filed, so the link holds a key
  expect((await own(token)).description).toBe('Clear words of before');
});

test('nothing that staff, the public or the machines read without a look carries words or contact data', async () => {
  const markers = ['Zinkmarker', 'Zangenmarker', 'zebra@zoomarker.example', '0555443322', 'Zugmarker'];
  const { requestId, token } = await report({ service_code: 'street-light', description: 'Zinkmarker', answers: { FAULT: 'out', POLE: 'Zangenmarker' }, name: 'Zugmarker', email: 'zebra@zoomarker.example', phone: '0555443322' });
  const urls = ['/api/requests?limit=200', `/api/requests/${requestId}`, `/api/requests?published=false`, `/open311/v2/requests.json`, `/open311/v2/requests/${requestId}.xml?extensions=true`, '/api/portal/nearby?service=street-light&lon=8&lat=50'];
  const seen: string[] = [];
  for (const url of urls) seen.push((await city.http.inject({ url, headers: bearer('case_worker') })).body);
  seen.push(await city.metrics.metrics());
  seen.push(JSON.stringify(await city.bus.readAfter(0, ['request.filed', 'request.reopened', 'incident.changed'], 10_000)));
  seen.push((await post(`/api/requests/${requestId}/words`, { ...WHY, purpose: 'nonsense' })).body);
  const all = seen.join('\n').toLowerCase();
  for (const marker of markers) expect(all.includes(marker.toLowerCase()), marker).toBe(false);
  // the test would see them: the resident's own page has them
  expect((await own(token)).description).toBe('Zinkmarker');
  expect((await city.http.inject({ url: '/api/requests?limit=1', headers: bearer('operator') })).json<RequestPage>().requests[0]?.requestId).toBe(requestId);
});
