import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { filed, startRoom, until, warning, type Room } from '../../test/room.ts';
import type { Incident, IncidentDetail, Queue } from '../contracts/incident.ts';
import type { DatabaseHandle } from '../platform/index.ts';

const PLAYBOOKS = `
playbooks:
  - id: river-high-water
    title: River above its warning level
    purpose: Keep people off the banks while the river is high.
    steps:
      - { id: look, text: Look at the gauges upstream, position: operator }
      - { id: close-paths, text: Have the bank paths closed, position: operator }
`;

let handle: DatabaseHandle;
let room: Room;
beforeAll(async () => {
  handle = await freshDatabase();
  room = await startRoom(handle, { playbooksYaml: PLAYBOOKS });
  return () => room.close();
});
afterAll(() => undefined);

const act = (id: string, body: object, headers: Record<string, string> = {}) => room.http.inject({ method: 'POST', url: `/api/incidents/${id}/acts`, headers, payload: body });
const detailOf = async (id: string): Promise<IncidentDetail> => (await room.http.inject(`/api/incidents/${id}`)).json();
const queue = async (): Promise<Queue> => (await room.http.inject('/api/queue')).json();
async function opened(title: string): Promise<Incident> {
  const answer = await room.http.inject({ method: 'POST', url: '/api/incidents', payload: { title, severity: 'moderate', point: [11.5, 48.1] } });
  expect(answer.statusCode).toBe(201);
  return answer.json();
}

test('of twenty people who acknowledge at once exactly one wins and the others read the present state', async () => {
  const incident = await opened('Tree across the tram line');
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => act(incident.id, { act: 'acknowledge' }, { 'x-person': `p${n}` })));
  expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1);
  const lost = answers.filter(({ statusCode }) => statusCode === 409).map((answer) => answer.json<{ code: string; detail: string }>());
  expect(lost).toHaveLength(19);
  expect(lost.every(({ code, detail }) => code === 'incident.act-not-allowed' && detail.includes('is acknowledged (p'))).toBe(true);
  expect((await detailOf(incident.id)).log.map(({ kind }) => kind)).toEqual(['opened', 'acknowledged']);
});

test('an act with a revision that somebody else has passed is a conflict, one passed by the system only is not', async () => {
  const raised = warning({ placeId: 90 });
  await room.publish('warning.raised', raised.id, raised);
  const find = async () => (await queue()).incidents.find(({ warnings, placeName, kind }) => kind === 'river-high' && placeName === raised.placeName && warnings.total === 1);
  await until(async () => (await find()) !== undefined);
  const incident = await find();
  const id = incident?.id ?? '';
  await room.publish('warning.unknown', raised.id, { ...raised, state: 'unknown' });
  await until(async () => (await detailOf(id)).warnings.unknown === 1);
  expect((await act(id, { act: 'acknowledge', revision: incident?.revision })).statusCode).toBe(200);
  const late = await act(id, { act: 'take', revision: incident?.revision }, { 'x-person': 'bo' });
  expect(late.statusCode).toBe(409);
  expect(late.json()).toMatchObject({ code: 'http.conflict', field: 'revision' });
  expect(late.json<{ detail: string }>().detail).toContain('Ann was quicker');
});

test('the same Idempotency-Key answers the same and acts once, also when it is sent at the same moment', async () => {
  const incident = await opened('Smell of gas');
  const headers = { 'idempotency-key': 'note-1' };
  const both = await Promise.all([
    act(incident.id, { act: 'note', text: 'Called the grid operator.' }, headers),
    act(incident.id, { act: 'note', text: 'Called the grid operator.' }, headers),
  ]);
  await act(incident.id, { act: 'acknowledge' });
  const again = await act(incident.id, { act: 'note', text: 'Called the grid operator.' }, headers);
  expect(both.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
  expect(new Set([...both, again].map(({ body }) => body)).size).toBe(1);
  const other = await act(incident.id, { act: 'note', text: 'Something else.' }, headers);
  expect(other.statusCode).toBe(409);
  expect(other.json()).toMatchObject({ code: 'http.conflict', field: 'idempotency-key' });
  expect((await detailOf(incident.id)).log.filter(({ kind }) => kind === 'note')).toHaveLength(1);
  const twice = await Promise.all(
    ['a', 'b'].map(() =>
      room.http.inject({
        method: 'POST',
        url: '/api/incidents',
        headers: { 'idempotency-key': 'open-1' },
        payload: { title: 'Opened once', severity: 'minor', point: [11.5, 48.1] },
      }),
    ),
  );
  expect(new Set(twice.map((answer) => answer.json<Incident>().id)).size).toBe(1);
});

test('taking makes the caller the owner; closing needs an outcome and a sentence; reopening leaves it unowned', async () => {
  const incident = await opened('Lamp post leans');
  expect((await act(incident.id, { act: 'close', outcome: 'fixed', sentence: 'The post stands again.' })).statusCode).toBe(409);
  expect((await act(incident.id, { act: 'take' })).json()).toMatchObject({ state: 'in_progress', owner: { id: 'per_ann', name: 'Ann', position: 'operator' } });
  expect((await act(incident.id, { act: 'release' }, { 'x-person': 'cy' })).json()).toMatchObject({ code: 'incident.act-not-allowed' });
  expect((await act(incident.id, { act: 'close' })).json()).toMatchObject({ status: 400, code: 'incident.outcome-missing', field: 'outcome' });
  expect((await act(incident.id, { act: 'close', outcome: 'fixed', sentence: 'done' })).json()).toMatchObject({ status: 400, code: 'http.invalid', field: 'sentence' });
  expect((await act(incident.id, { act: 'close', outcome: 'fixed', sentence: 'The post stands again.' })).json()).toMatchObject({
    state: 'closed',
    outcome: 'fixed',
    sentence: 'The post stands again.',
  });
  const history = (await room.http.inject('/api/incidents?state=closed')).json<{ incidents: Incident[] }>();
  expect(history.incidents.map(({ id }) => id)).toContain(incident.id);
  expect((await queue()).closedToday).toBe(1);
  expect((await act(String(incident.number), { act: 'reopen', reason: 'It leans again.' })).json()).toMatchObject({
    state: 'acknowledged',
    owner: null,
    closedAt: null,
    outcome: null,
  });
  expect((await queue()).closedToday).toBe(0);
});

test('no row of the log can be changed, deleted or truncated', async () => {
  await opened('Append only');
  for (const statement of [`update incident_log set text = 'x'`, 'delete from incident_log', 'truncate incident_log cascade']) {
    await expect(handle.pool.query(statement)).rejects.toThrow('append-only');
  }
});

test('text that the database cannot store is a bad request, not a fault', async () => {
  const incident = await opened('Bad text');
  for (const text of ['a\u0000b', '\ud800 half']) expect((await act(incident.id, { act: 'note', text })).json()).toMatchObject({ status: 400, field: 'text' });
});

test('warnings of one rule at one place join one incident, and the same event again changes nothing', async () => {
  const first = warning({ placeId: 42 });
  const second = warning({ placeId: 42, severity: 'extreme' });
  const elsewhere = warning({ placeId: 43 });
  for (const one of [first, second, elsewhere]) await room.publish('warning.raised', one.id, one);
  await room.publish('warning.raised', first.id, first);
  await room.publish('warning.cleared', first.id, { ...first, state: 'ok', clearedAt: first.raisedAt });
  const find = async () => (await queue()).incidents.find(({ warnings }) => warnings.total === 2);
  await until(async () => (await find())?.warnings.standing === 1);
  const detail = await detailOf((await find())?.id ?? '');
  expect(detail).toMatchObject({
    severity: 'extreme',
    origin: 'warning',
    playbook: { id: 'river-high-water' },
    steps: { done: 0, total: 2 },
    warnings: { total: 2, standing: 1, unknown: 0 },
  });
  expect(detail.log.map(({ kind }) => kind)).toEqual(['opened', 'warning_joined', 'warning_cleared']);
  expect(detail.why).toHaveLength(2);
  expect(detail.warningList.map(({ id, state }) => [id, state])).toEqual([
    [first.id, 'ok'],
    [second.id, 'warning'],
  ]);

  // the position of the consumer is lost, as after a crash between the work and the cursor: everything is delivered again
  await until(async () => (await room.metrics.getSingleMetricAsString('clerestory_joining_events_total')).includes('repeated'));
  const before = await handle.pool.query('select count(*) from incident_log');
  await handle.pool.query('update bus_cursor set seq = 0');
  const other = await startRoom(handle, { playbooksYaml: PLAYBOOKS });
  await until(async () => (await handle.pool.query<{ seq: number }>('select seq from bus_cursor')).rows[0]?.seq !== 0);
  const last = await room.bus.lastSeq();
  const marker = warning({ placeId: 4_711 });
  await room.publish('warning.raised', marker.id, marker);
  await until(async () => (await handle.pool.query(`select 1 from incident_member where ref = '${marker.id}'`)).rowCount === 1);
  await until(async () => ((await handle.pool.query<{ seq: number }>('select seq from bus_cursor')).rows[0]?.seq ?? 0) > last);
  await other.close();
  const after = await handle.pool.query<{ count: number }>('select count(*) from incident_log');
  expect(after.rows[0]?.count).toBe((before.rows[0] as { count: number }).count + 1);
});

test('requests of one service within 60 m join one incident; who reported is nowhere in it', async () => {
  const first = filed();
  const near = filed({ point: [11.58, 48.1404], severity: 'moderate' });
  const far = filed({ point: [11.58, 48.141] });
  for (const one of [first, near, far]) await room.publish('request.filed', one.requestId, { ...one, name: 'Someone', email: 'someone@example.org' });
  await until(async () => (await queue()).incidents.filter(({ kind }) => kind === 'street-light').length === 2);
  const [joined, alone] = (await queue()).incidents.filter(({ kind }) => kind === 'street-light');
  expect(joined).toMatchObject({ requests: 2, severity: 'moderate', origin: 'request', title: 'Broken street light', placeName: 'Mill Lane 4' });
  expect(alone).toMatchObject({ requests: 1, severity: 'minor' });
  const detail = await detailOf(joined?.id ?? '');
  expect(detail.requestList.map(({ requestId }) => requestId)).toEqual([first.requestId, near.requestId]);
  expect(detail.why[1]).toContain('44 m away');
  const dump = await handle.pool.query<{ row: string }>('select l::text as row from incident_log l');
  expect(dump.rows.some(({ row }) => row.includes('someone@example.org') || row.includes('Someone'))).toBe(false);
});

test('an event that does not follow its contract is counted and left out, and the next one is still taken', async () => {
  await room.publish('warning.raised', 'broken', { id: 'broken' });
  const good = warning({ placeId: 77 });
  await room.publish('warning.raised', good.id, good);
  await until(async () => (await queue()).incidents.some(({ openedAt }) => openedAt >= good.raisedAt));
  expect(await room.metrics.getSingleMetricAsString('clerestory_joining_events_total')).toContain('outcome="malformed"} 1');
});

test('history pages by key without repeating or leaving out one', async () => {
  for (let n = 0; n < 7; n += 1) await opened(`Page ${n}`);
  const seen: number[] = [];
  let before = '';
  for (;;) {
    const page = (await room.http.inject(`/api/incidents?limit=3${before}`)).json<{ incidents: Incident[]; next: string | null }>();
    seen.push(...page.incidents.map(({ number }) => number));
    if (page.next === null) break;
    before = `&before=${page.next}`;
  }
  const { rows } = await handle.pool.query<{ count: number }>('select count(*) from incident');
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen).toHaveLength(rows[0]?.count ?? -1);
});
