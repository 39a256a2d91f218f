import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { startRoom, type Room } from '../../test/room.ts';
import { openSse } from '../../test/sse.ts';
import { IncidentDetail, IncidentPage, Playbooks, Queue } from '../contracts/incident.ts';
import { Feeds, Places } from '../contracts/place.ts';

const PLAYBOOKS = `
playbooks:
  - id: lamp-out
    title: Street lamps out
    purpose: Bring the light back.
    steps: [{ id: look, text: Look at the circuit, position: operator }]
`;

let room: Room;
beforeAll(async () => {
  room = await startRoom(await freshDatabase(), { playbooksYaml: PLAYBOOKS, listen: true, liveLimits: { clients: 1 } });
  return () => room.close();
});

const open = (headers: Record<string, string> = {}, more: object = {}) =>
  room.http.inject({ method: 'POST', url: '/api/incidents', headers, payload: { title: 'Tree down', severity: 'moderate', point: [11.5, 48.1], ...more } });

test('every picture of the room follows its contract', async () => {
  const opened = await open();
  expect(opened.headers['location']).toBe(`/api/incidents/${opened.json<IncidentDetail>().id}`);
  IncidentDetail.parse(opened.json());
  IncidentDetail.parse((await room.http.inject('/api/incidents/1')).json());
  Queue.parse((await room.http.inject('/api/queue')).json());
  Queue.parse((await room.http.inject(`/api/queue?at=${new Date().toISOString()}`)).json());
  IncidentPage.parse((await room.http.inject('/api/incidents?state=new&limit=1')).json());
  Places.parse((await room.http.inject('/api/places')).json());
  Feeds.parse((await room.http.inject('/api/feeds')).json());
  expect(Playbooks.parse((await room.http.inject('/api/playbooks')).json()).playbooks.map(({ id }) => id)).toEqual(['lamp-out']);
});

test('a moment that lies ahead reads as now', async () => {
  const queue = (await room.http.inject('/api/queue?at=2999-01-01T00:00:00Z')).json<Queue>();
  expect(Date.parse(queue.asOf)).toBeLessThanOrEqual(Date.now());
});

test('an act carries the position that the caller names, the first that they hold when they name none, and never one that they do not hold', async () => {
  const author = async (headers: Record<string, string>) => (await open(headers)).json<IncidentDetail>().log[0]?.author;
  expect(await author({ 'x-person': 'bo' })).toEqual({ id: 'per_bo', name: 'Bo', position: 'operator' });
  expect(await author({ 'x-person': 'bo', 'x-position': 'supervisor' })).toEqual({ id: 'per_bo', name: 'Bo', position: 'supervisor' });
  expect((await open({ 'x-person': 'ann', 'x-position': 'supervisor' })).json()).toMatchObject({ status: 403, code: 'auth.forbidden', field: 'x-position' });
});

test('wrong input is refused with the field that is wrong', async () => {
  const acts = (body: object, id = '1') => room.http.inject({ method: 'POST', url: `/api/incidents/${id}/acts`, payload: body });
  for (const [answer, status, field] of [
    [await open({}, { title: 'x' }), 400, 'title'],
    [await open({}, { severity: 'bad' }), 400, 'severity'],
    [await open({}, { point: [181, 0] }), 400, 'point.0'],
    [await open({ 'idempotency-key': 'a b' }), 400, 'idempotency-key'],
    [await acts({ act: 'explode' }), 400, 'act'],
    [await acts({ act: 'note', text: '' }), 400, 'text'],
    [await acts({ act: 'acknowledge' }, 'inc_none'), 404, 'id'],
    [await room.http.inject('/api/incidents/999999'), 404, 'id'],
    [await room.http.inject('/api/incidents/1?at=2000-01-01T00:00:00Z'), 404, 'id'],
    [await room.http.inject('/api/incidents?before=yesterday'), 400, 'before'],
    [await room.http.inject('/api/incidents?limit=100000'), 400, 'limit'],
    [await room.http.inject('/live?after=-4'), 400, 'after'],
  ] as const) {
    expect([answer.statusCode, answer.json<{ field?: string }>().field]).toEqual([status, field]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  }
});

test('a step of the playbook can be done, undone and skipped once the incident is acknowledged; an unknown one is not found', async () => {
  const { id } = (await open()).json<IncidentDetail>();
  const act = (body: object) => room.http.inject({ method: 'POST', url: `/api/incidents/${id}/acts`, payload: body });
  await act({ act: 'acknowledge' });
  expect((await act({ act: 'complete_step', step: 'nowhere' })).json()).toMatchObject({ status: 404, code: 'incident.step-unknown', field: 'step' });
});

test('one console more than the limit is sent away with Retry-After', async () => {
  const first = await openSse(room.port, '/live');
  const answer = await fetch(`http://127.0.0.1:${room.port}/live`);
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).not.toBeNull();
  expect(await answer.json()).toMatchObject({ code: 'http.overloaded' });
  first.cut();
});
