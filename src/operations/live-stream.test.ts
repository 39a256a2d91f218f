import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { reading, startRoom, stream, until, warning, type Room } from '../../test/room.ts';
import { openSse, type SseClient } from '../../test/sse.ts';
import type { Incident, IncidentDetail, Queue } from '../contracts/incident.ts';
import { LiveFeeds, LiveHeartbeat, LiveIncident, LiveReadings } from '../contracts/live.ts';
import type { DatabaseHandle } from '../platform/index.ts';

let handle: DatabaseHandle;
let room: Room;
const clients: SseClient[] = [];
beforeAll(async () => {
  handle = await freshDatabase();
  room = await startRoom(handle, { listen: true });
});
afterAll(async () => {
  for (const client of clients) client.cut();
  await room.close();
});

const open = async (query = '', headers: Record<string, string> = {}): Promise<SseClient> => {
  const client = await openSse(room.port, `/live${query}`, { headers });
  clients.push(client);
  return client;
};
const act = async (id: string, body: object, person = 'ann') =>
  room.http.inject({ method: 'POST', url: `/api/incidents/${id}/acts`, headers: { 'x-person': person }, payload: body });
const create = async (title: string): Promise<IncidentDetail> =>
  (await room.http.inject({ method: 'POST', url: '/api/incidents', payload: { title, severity: 'minor', point: [11.5, 48.1] } })).json();
const incidents = (client: SseClient) => client.events.filter(({ kind }) => kind === 'incident').map(({ id, data }) => ({ id, ...LiveIncident.parse(data) }));

test('a console that loses its line again and again while many people act sees every entry once and in order', async () => {
  const queue = (await room.http.inject('/api/queue')).json<Queue>();
  const opened = await Promise.all(['one', 'two', 'three', 'four'].map((title) => create(`Storm ${title}`)));
  const seen: { id: number; key: string }[] = [];
  let stop = false;
  const console_ = (async () => {
    let lastId = '';
    while (!stop) {
      const client = await open(`?topics=incident&after=${queue.seq}`, lastId === '' ? {} : { 'last-event-id': lastId });
      const wanted = 1 + Math.floor(seen.length % 7);
      await until(() => incidents(client).length >= wanted || stop);
      client.cut();
      for (const { id, incident, entry } of incidents(client)) {
        seen.push({ id: id ?? -1, key: `${incident.id}:${entry.seq}` });
        lastId = String(id);
      }
    }
    return lastId;
  })();
  let refused = 0;
  await Promise.all(
    Array.from({ length: 6 }, async (_, person) => {
      for (let n = 0; n < 15; n += 1) {
        const incident = opened[(person + n) % opened.length] as Incident;
        const answer = await act(incident.id, n % 5 === 0 ? { act: 'take' } : { act: 'note', text: `Note ${n} of ${person}` }, `p${person}`);
        if (answer.statusCode !== 200) refused += 1;
      }
    }),
  );
  stop = true;
  const lastId = await console_;
  const rest = await open('?topics=incident', { 'last-event-id': lastId });
  const { rows } = await handle.pool.query<{ key: string; seq: number }>(
    `select payload->'incident'->>'id' || ':' || (payload->'entry'->>'seq') as key, seq from event where topic = 'incident.changed' and seq > ${queue.seq} order by seq`,
  );
  await until(() => seen.length + incidents(rest).length >= rows.length);
  for (const { id, incident, entry } of incidents(rest)) seen.push({ id: id ?? -1, key: `${incident.id}:${entry.seq}` });
  expect(rows.length).toBe(4 + 90 - refused);
  expect(seen).toEqual(rows.map(({ key, seq }) => ({ id: seq, key })));
});

test('a reading, a rule state and the age of a feed reach the console as their contracts say', async () => {
  room.sensing.addStream(stream(1));
  const client = await open();
  await until(() => client.events.some(({ kind, data }) => kind === 'readings' && LiveReadings.parse(data).streams.some(({ id, stale }) => id === 1 && stale)));
  room.sensing.take([reading(1, Date.now(), 412)]);
  room.brain.set(1, 'warning', Date.now());
  const latest = () =>
    client.events
      .filter(({ kind }) => kind === 'readings')
      .flatMap(({ data }) => LiveReadings.parse(data).streams)
      .findLast(({ id }) => id === 1);
  await until(() => latest()?.value === 412);
  await until(() => latest()?.state === 'warning');
  expect(latest()).toMatchObject({ placeId: 1, property: 'water_level', unit: 'cm', stale: false });
  LiveHeartbeat.parse(client.events.find(({ kind }) => kind === 'heartbeat')?.data);
  await until(() => client.events.some(({ kind, data }) => kind === 'feeds' && LiveFeeds.parse(data).feeds[0]?.state === 'live'));
});

test('a console hears only the topics that it asks for', async () => {
  const client = await open('?topics=feeds');
  await create('Nobody asked');
  room.sensing.take([reading(1, Date.now(), 413)]);
  const all = await open();
  await until(() => all.events.some(({ kind }) => kind === 'readings'));
  expect(new Set(client.events.map(({ kind }) => kind))).toEqual(new Set(['heartbeat', 'feeds']));
  const wrong = await room.http.inject('/live?topics=feeds,gossip');
  expect(wrong.json()).toMatchObject({ status: 400, code: 'http.invalid', field: 'topics' });
});

test('a position that means nothing is answered with resync', async () => {
  const client = await open('?topics=incident', { 'last-event-id': 'yesterday' });
  await until(() => client.events.some(({ kind }) => kind === 'resync'));
});

test('from the raising of a warning to the console: the frame arrives and the time is measured', async () => {
  const client = await open('?topics=incident');
  await until(() => client.events.length > 0);
  const raised = warning({ placeId: 5_000 });
  await room.publish('warning.raised', raised.id, raised);
  await until(() => incidents(client).some(({ incident }) => incident.kind === 'river-high'));
  await until(async () => /^clerestory_warning_to_frame_seconds_count 1$/m.test(await room.metrics.getSingleMetricAsString('clerestory_warning_to_frame_seconds')));
});
