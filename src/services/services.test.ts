import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import type { IncidentChanged } from '../contracts/incident.ts';
import type { PortalReceipt, PortalRequest, RequestDetail, RequestFiled, RequestPage } from '../contracts/request.ts';
import { parseInstantMs } from '../kernel/index.ts';
import type { BusEvent } from '../platform/index.ts';
import { applyIncidentChange } from './progress.ts';
import { createRequestStore } from './request-store.ts';

let city: ServicesCity;
beforeAll(async () => {
  city = await startServicesCity();
});
afterAll(() => city.close());

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
};
const bearer = (position: Parameters<ServicesCity['tokenOf']>[0]) => ({ authorization: `Bearer ${city.tokenOf(position)}` });
const report = async (extra: Record<string, unknown> = {}): Promise<PortalReceipt> => {
  const response = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'flooded-street', description: 'Water in the underpass', point: [8.0, 50.0], language: 'de', ...extra } });
  expect(response.statusCode, response.body).toBe(201);
  return response.json<PortalReceipt>();
};
const read = async (token: string, language = ''): Promise<PortalRequest> => (await city.http.inject(`/api/portal/requests/${token}${language}`)).json<PortalRequest>();

let incidentNumber = 0;
/** Publishes what the room publishes when an incident moves. */
const tellIncident = async (requestIds: string[], state: 'new' | 'acknowledged' | 'in_progress' | 'closed', kind: IncidentChanged['entry']['kind'], closing?: { outcome: 'fixed' | 'not_ours'; sentence: string }, id = 'inc_1'): Promise<void> => {
  const at = new Date(city.clock.nowMs()).toISOString();
  const payload: IncidentChanged = {
    incident: { id, number: 1, title: 'Flood', severity: 'severe', state, origin: 'request', kind: 'flooded-street', placeName: '', point: [8, 50], owner: null, openedAt: at, updatedAt: at, closedAt: state === 'closed' ? at : null, outcome: closing?.outcome ?? null, sentence: closing?.sentence ?? null, revision: 1, warnings: { total: 0, standing: 0, unknown: 0 }, requests: 1, steps: { done: 0, total: 0 } },
    entry: { seq: (incidentNumber += 1), at, kind, author: null, text: '' },
    requestIds,
  };
  await city.handle.db.transaction().execute((trx) => city.bus.publish(trx, 'incident.changed', id, payload));
};

test('a report goes from the form to the event, the incident moves it, and the resident reads how it ended', async () => {
  const before = await city.bus.lastSeq();
  const { requestId, token, notice } = await report({ name: 'Erika Muster', email: 'erika@example.org', answers: { DEPTH_CM: '30' } });
  expect(notice).toContain(`http://city.test/r/${token}`);
  const [event] = await city.bus.readAfter(before, ['request.filed'], 10);
  expect(event?.payload as RequestFiled).toMatchObject({ requestId, serviceCode: 'flooded-street', serviceName: 'Flooded street', severity: 'severe', playbook: 'flooded-street', description: 'How deep is the water, in centimetres? 30', hasWords: true, address: 'High Street 10', point: [8, 50] });
  expect(JSON.stringify(event?.payload)).not.toMatch(/erika|muster|underpass/i);

  await tellIncident([requestId], 'new', 'request_joined');
  await tellIncident([requestId], 'acknowledged', 'acknowledged');
  await until(async () => (await read(token)).state === 'assigned');
  await tellIncident([requestId], 'in_progress', 'taken');
  await tellIncident([requestId], 'closed', 'closed', { outcome: 'fixed', sentence: 'Pumpe läuft wieder, das Wasser ist weg.' });
  await until(async () => (await read(token)).state === 'done');
  const shown = await read(token);
  expect(shown).toMatchObject({ state: 'done', outcome: 'fixed', sentence: 'Pumpe läuft wieder, das Wasser ist weg.', contact: ['name', 'email'], looks: [] });
  expect(shown.timeline.map(({ state }) => state)).toEqual(['received', 'assigned', 'in_progress', 'done']);
  expect(shown.timeline.at(-1)?.text).toBe('Es wurde behoben. Pumpe läuft wieder, das Wasser ist weg.');
  expect((await read(token, '?language=fr')).timeline.at(-1)?.text).toBe("C'est réparé. Pumpe läuft wieder, das Wasser ist weg.");
  expect(JSON.stringify(shown)).not.toMatch(/erika@|Muster/);
  expect(parseInstantMs(shown.reopenUntil ?? '')).toBe(city.clock.nowMs() + 14 * 86_400_000);
});

test('a repeated event changes nothing, and a later note on a closed incident does not close a reopened request', async () => {
  const { requestId, token } = await report();
  await tellIncident([requestId], 'closed', 'closed', { outcome: 'not_ours', sentence: 'Der Bach gehört dem Land.' }, 'inc_2');
  await until(async () => (await read(token)).state === 'declined');
  const reopened = await city.http.inject({ method: 'POST', url: `/api/portal/requests/${token}/reopen`, payload: { reason: 'Es steht noch Wasser da.' } });
  expect(reopened.json()).toMatchObject({ state: 'received', outcome: null, sentence: null, reopenUntil: null });
  const events = await city.bus.readAfter(0, ['request.reopened'], 10);
  expect(events.at(-1)?.payload).toMatchObject({ incidentId: 'inc_2', report: { requestId, hasWords: true } });
  expect(JSON.stringify(events.at(-1)?.payload)).not.toContain('Wasser');
  expect((await read(token)).timeline.at(-1)?.text).toContain('Es steht noch Wasser da.');
  // the closing event again, as after a crash between the work and the note of the position
  const closing = (await city.bus.readAfter(0, ['incident.changed'], 1_000)).filter(({ key }) => key === 'inc_2').at(-1);
  await applyIncidentChange({ store: createRequestStore(city.handle) }, closing as BusEvent);
  await tellIncident([requestId], 'closed', 'note', { outcome: 'not_ours', sentence: 'Der Bach gehört dem Land.' }, 'inc_2');
  await until(async () => (await sql<{ seq: number }>`select seq from bus_cursor where consumer = 'services.requests'`.execute(city.handle.db)).rows[0]?.seq === (await city.bus.readAfter(0, ['incident.changed'], 1_000)).at(-1)?.seq);
  const shown = await read(token);
  expect(shown.state).toBe('received');
  expect(shown.timeline.map(({ state }) => state)).toEqual(['received', 'declined', 'received']);
  const again = await city.http.inject({ method: 'POST', url: `/api/portal/requests/${token}/reopen`, payload: { reason: 'Noch einmal.' } });
  expect(again.json()).toMatchObject({ status: 409, code: 'request.act-not-allowed' });
});

test('a resident reopens for 14 days and not longer', async () => {
  const { requestId, token } = await report();
  await tellIncident([requestId], 'closed', 'closed', { outcome: 'fixed', sentence: 'Es ist abgepumpt.' }, 'inc_3');
  await until(async () => (await read(token)).state === 'done');
  city.clock.advance(14 * 86_400_000 + 1);
  const late = await city.http.inject({ method: 'POST', url: `/api/portal/requests/${token}/reopen`, payload: { reason: 'Wieder nass.' } });
  expect(late.json()).toMatchObject({ status: 409, detail: expect.stringContaining('14 days') as string });
});

test('the table itself refuses a closed request without outcome and sentence', async () => {
  const { requestId } = await report();
  for (const change of [sql`state = 'done'`, sql`state = 'done', closed_at = now()`, sql`state = 'declined', closed_at = now(), outcome = 'not_ours'`, sql`state = 'done', closed_at = now(), outcome = 'fixed', sentence = 'short'`, sql`outcome = 'fixed', sentence = 'long enough to stand'`]) {
    await expect(sql`update request set ${change} where id = ${requestId}`.execute(city.handle.db)).rejects.toThrow('closed_with_outcome_and_sentence');
  }
});

test('a case worker declines only with outcome and sentence, and the resident reads both', async () => {
  const { requestId, token } = await report({ language: 'es' });
  const url = `/api/requests/${requestId}/decline`;
  for (const payload of [{}, { outcome: 'not_ours' }, { sentence: 'A sentence that is long enough.' }, { outcome: 'not_ours', sentence: '  no  ' }, { outcome: 'fixed', sentence: 'A sentence that is long enough.' }]) {
    const refused = await city.http.inject({ method: 'POST', url, headers: bearer('case_worker'), payload });
    expect(refused.statusCode, JSON.stringify(payload)).toBe(400);
  }
  expect((await city.http.inject({ method: 'POST', url, headers: bearer('operator'), payload: { outcome: 'not_ours', sentence: 'Es del ayuntamiento vecino.' } })).statusCode).toBe(403);
  const declined = await city.http.inject({ method: 'POST', url, headers: bearer('case_worker'), payload: { outcome: 'not_ours', sentence: 'Es del ayuntamiento vecino.' } });
  expect(declined.json<RequestDetail>()).toMatchObject({ state: 'declined', outcome: 'not_ours' });
  expect((await read(token)).timeline.at(-1)?.text).toBe('No está en manos de la ciudad. Es del ayuntamiento vecino.');
  expect((await city.http.inject({ method: 'POST', url, headers: bearer('case_worker'), payload: { outcome: 'duplicate', sentence: 'Una vez más, por error.' } })).statusCode).toBe(409);
});

test('contact data opens only by a look with purpose and reason, which the resident reads', async () => {
  const { requestId, token } = await report({ name: 'Erika Muster', phone: '+49 30 1234' });
  const url = `/api/requests/${requestId}/contact`;
  const ask = (position: 'operator' | 'case_worker', payload: object) => city.http.inject({ method: 'POST', url, headers: bearer(position), payload });
  expect((await ask('operator', { purpose: 'service-requests', reasonCode: 'plan_work', reason: 'curious about it' })).statusCode).toBe(403);
  expect((await ask('case_worker', { purpose: 'service-requests', reasonCode: 'plan_work' })).statusCode).toBe(400);
  expect((await ask('case_worker', { purpose: 'nonsense', reasonCode: 'answer_resident', reason: 'to call back' })).json()).toMatchObject({ code: 'purpose.unknown' });
  const opened = await ask('case_worker', { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'to ask for the exact place' });
  expect(opened.json()).toMatchObject({ name: 'Erika Muster', email: '', phone: '+49 30 1234', look: { purpose: 'service-requests', reason: 'locate_fault: to ask for the exact place', fields: ['name', 'phone'] } });
  expect((await read(token)).looks).toMatchObject([{ position: 'case_worker', reason: 'locate_fault: to ask for the exact place', fields: ['name', 'phone'] }]);
});

test('no table holds contact data, words or a secret in the clear', async () => {
  const { token } = await report({ service_code: 'street-light', description: 'Xylophonmarker at the corner', answers: { FAULT: 'out', POLE: 'Yakmarker' }, name: 'Zacharias Quux', email: 'zacharias@quux.example', phone: '0999-424242', idempotency_key: 'k'.repeat(20) });
  const tables = await sql<{ name: string }>`select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(city.handle.db);
  for (const { name } of tables.rows) {
    const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(name)} t`.execute(city.handle.db);
    const all = rows.map(({ text }) => text).join('\n');
    for (const secret of ['Xylophonmarker', 'Yakmarker', 'Zacharias', 'quux', '424242', token, 'k'.repeat(20)]) expect(all.toLowerCase().includes(secret.toLowerCase()), `${secret} in ${name}`).toBe(false);
  }
});

test('a repeated send files one request and gets the same link', async () => {
  const payload = { idempotency_key: 'made-by-the-page-0001', description: 'Once only', name: 'A' };
  const [first, second] = await Promise.all([report(payload), report(payload)]);
  expect(second.requestId).toBe(first.requestId);
  expect(second.token).toBe(first.token);
  expect(await read(second.token)).toMatchObject({ requestId: first.requestId, description: 'Once only' });
  const other = await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload: { service_code: 'pothole', point: [8, 50], idempotency_key: payload.idempotency_key } });
  expect(other.json()).toMatchObject({ status: 409, field: 'idempotency_key' });
});

test('the staff list pages by cursor without repeats, filters, and never carries contact data', async () => {
  const filed: string[] = [];
  for (let n = 0; n < 7; n += 1) filed.push((await report({ service_code: 'pothole', description: `Hole ${n}`, name: 'Secret Person', email: 'secret@person.example' })).requestId);
  const seen: string[] = [];
  let cursor = '';
  do {
    const response = await city.http.inject({ url: `/api/requests?service=pothole&state=received&limit=3${cursor}`, headers: bearer('operator') });
    expect(response.body).not.toMatch(/secret/i);
    const page = response.json<RequestPage>();
    seen.push(...page.requests.map(({ requestId }) => requestId));
    await report({ service_code: 'pothole' }); // newer ones come before the cursor and disturb nothing
    cursor = page.next === null ? '' : `&cursor=${page.next}`;
  } while (cursor !== '');
  expect(seen.filter((id) => filed.includes(id))).toEqual([...filed].reverse());
  expect(new Set(seen).size).toBe(seen.length);
  expect((await city.http.inject('/api/requests')).statusCode).toBe(401);
  await city.http.inject({ method: 'POST', url: `/api/requests/${filed[0] as string}/publish`, headers: bearer('case_worker'), payload: { published: true } });
  const listed = async (published: boolean): Promise<string[]> => (await city.http.inject({ url: `/api/requests?published=${published}&limit=200`, headers: bearer('case_worker') })).json<RequestPage>().requests.map(({ requestId }) => requestId);
  expect(await listed(true)).toContain(filed[0]);
  expect(await listed(false)).not.toContain(filed[0]);
});

test('open reports nearby are shown to the public without unreleased text', async () => {
  const { requestId } = await report({ service_code: 'street-light', answers: { FAULT: 'out' }, point: [8.01, 50.01], description: 'by the house of Mr X' });
  const url = '/api/portal/nearby?service=street-light&lon=8.0101&lat=50.0101';
  expect((await city.http.inject(url)).json()).toMatchObject([{ requestId, description: '', distance_m: 13 }]);
  await city.http.inject({ method: 'POST', url: `/api/requests/${requestId}/publish`, headers: bearer('case_worker'), payload: { published: true, description: 'Lamp is out' } });
  expect((await city.http.inject(url)).json()).toMatchObject([{ description: 'Lamp is out' }]);
  expect((await city.http.inject('/api/portal/nearby?service=street-light&lon=8.02&lat=50.01')).json()).toEqual([]);
});

test('the form names the field that is wrong', async () => {
  const send = async (payload: object) => (await city.http.inject({ method: 'POST', url: '/api/portal/requests', payload })).json<{ status: number; field: string }>();
  expect(await send({ service_code: 'dragons', point: [8, 50] })).toMatchObject({ status: 404, field: 'service_code' });
  expect(await send({ service_code: 'pothole' })).toMatchObject({ status: 400, field: 'lat' });
  expect(await send({ service_code: 'pothole', address: 'Nowhere 1' })).toMatchObject({ status: 400, code: 'request.place-unknown', field: 'address_string' });
  expect(await send({ service_code: 'street-light', point: [8, 50] })).toMatchObject({ status: 400, code: 'request.field-missing', field: 'attribute[FAULT]' });
  expect(await send({ service_code: 'pothole', point: [8, 50], email: 'not an address' })).toMatchObject({ status: 400, field: 'email' });
  expect(await send({ service_code: 'pothole', point: [8, 50], plate: 'B-XY 12' })).toMatchObject({ status: 400, code: 'http.unknown-field' });
  const named = await report({ service_code: 'pothole', point: null, address: 'high street 15' });
  expect((await read(named.token)).point[0]).toBeCloseTo(8.0005, 9);
});

test('services, gazetteer and unknown links answer as promised', async () => {
  const services = (await city.http.inject('/api/portal/services?language=fr')).json<{ code: string; name: string }[]>();
  expect(services.map(({ code }) => code)).toEqual(['street-light', 'pothole', 'illegal-dumping', 'flooded-street', 'noise']);
  expect(services[0]?.name).toBe('Éclairage public');
  expect((await city.http.inject('/api/gazetteer?q=high%20street%2010')).json()).toMatchObject([{ label: 'High Street 10', kind: 'address', point: [8, 50] }]);
  expect((await city.http.inject('/api/gazetteer?lon=8.0001&lat=50')).json()).toMatchObject([{ label: 'High Street 10' }, { label: 'High Street' }, {}]);
  expect((await city.http.inject('/api/gazetteer')).statusCode).toBe(400);
  expect((await city.http.inject(`/api/portal/requests/${'0'.repeat(32)}`)).statusCode).toBe(404);
  expect((await city.http.inject('/api/portal/requests/short')).statusCode).toBe(404);
});
