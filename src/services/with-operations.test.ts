import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServicesCity, type ServicesCity } from '../../test/conformance/georeport-city.ts';
import { memoryBrain, memorySensing } from '../../test/room.ts';
import type { Incident, Queue } from '../contracts/incident.ts';
import type { PortalRequest } from '../contracts/request.ts';
import { systemRandom } from '../kernel/index.ts';
import { createOperations, type Operations } from '../operations/index.ts';
import { buildHttp, createMetrics, silentLogger, type Http } from '../platform/index.ts';

// The whole way of a report with the real room beside: nothing between them but the bus.

let city: ServicesCity;
let operations: Operations;
let room: Http;
beforeAll(async () => {
  city = await startServicesCity();
  const { handle, bus, clock, trust } = city;
  operations = await createOperations({ handle, bus, clock, random: systemRandom, logger: silentLogger, metrics: createMetrics(), sensing: memorySensing(), brain: memoryBrain(), playbooksYaml: readFileSync(new URL('../../demo/city/playbooks.yaml', import.meta.url), 'utf8') });
  room = await buildHttp({ logger: silentLogger, authenticate: (request) => trust.authenticate(request), authorize: (principal, action) => trust.authorize(principal, action) });
  await operations.registerRoutes(room);
  await room.ready();
});
afterAll(async () => {
  await room.close();
  await operations.close();
  await city.close();
});

const operator = () => ({ authorization: `Bearer ${city.tokenOf('operator')}` });
const queue = async (): Promise<Incident[]> => (await room.inject({ url: '/api/queue', headers: operator() })).json<Queue>().incidents;
const until = async <T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> => {
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
/** A report by GeoReport as curl sends it; returns the secret of the follow-up link. */
const file = async (description: string, lat = '50'): Promise<string> => {
  const response = await city.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: new URLSearchParams({ service_code: 'flooded-street', lat, long: '8', description, first_name: 'Erika', email: 'erika@example.org', locale: 'de' }).toString() });
  return /\/r\/(\w{32})/.exec(response.body)?.[1] ?? '';
};
const resident = (token: string) => async (): Promise<PortalRequest> => (await city.http.inject(`/api/portal/requests/${token}`)).json<PortalRequest>();
const act = (incident: Incident, payload: object) => room.inject({ method: 'POST', url: `/api/incidents/${incident.id}/acts`, headers: operator(), payload });

test('a report by curl becomes an incident, a second one joins it, and both residents read how it was closed', async () => {
  const first = await file('Water in the underpass');
  const [incident] = (await until(queue, (incidents) => incidents.length === 1)) as [Incident];
  expect(incident).toMatchObject({ origin: 'request', kind: 'flooded-street', severity: 'severe', requests: 1, state: 'new' });
  expect(incident.steps.total).toBeGreaterThan(0);
  const second = await file('Street under water', '50.0001');
  await until(queue, ([only]) => only?.requests === 2);
  expect((await room.inject({ url: `/api/incidents/${incident.id}`, headers: operator() })).body).not.toMatch(/erika|in the underpass|under water/i);

  await act(incident, { act: 'acknowledge' });
  await until(resident(first), ({ state }) => state === 'assigned');
  await act(incident, { act: 'take' });
  for (const token of [first, second]) await until(resident(token), ({ state }) => state === 'in_progress');

  for (const payload of [{ act: 'close' }, { act: 'close', outcome: 'fixed' }, { act: 'close', outcome: 'fixed', sentence: 'done' }]) expect((await act(incident, payload)).statusCode).toBe(400);
  expect((await resident(first)()).state).toBe('in_progress');
  expect((await act(incident, { act: 'close', outcome: 'fixed', sentence: 'Der Gully ist frei, das Wasser ist abgelaufen.' })).statusCode).toBe(200);
  for (const token of [first, second]) {
    const shown = await until(resident(token), ({ state }) => state === 'done');
    expect(shown).toMatchObject({ outcome: 'fixed', sentence: 'Der Gully ist frei, das Wasser ist abgelaufen.' });
    expect(shown.timeline.at(-1)?.text).toBe('Es wurde behoben. Der Gully ist frei, das Wasser ist abgelaufen.');
  }
});

test('a resident who reopens brings the work back into the queue', async () => {
  const token = await file('Water again', '50.02');
  const incident = (await until(queue, (incidents) => incidents.some(({ requests, state }) => requests === 1 && state === 'new'))).at(-1) as Incident;
  await act(incident, { act: 'acknowledge' });
  await act(incident, { act: 'take' });
  await act(incident, { act: 'close', outcome: 'no_fault_found', sentence: 'Vor Ort war kein Wasser zu sehen.' });
  await until(resident(token), ({ state }) => state === 'done');
  expect(await queue()).toEqual([]);
  const reopened = await city.http.inject({ method: 'POST', url: `/api/portal/requests/${token}/reopen`, payload: { reason: 'Bei jedem Regen wieder.' } });
  expect(reopened.statusCode).toBe(200);
  const [back] = await until(queue, (incidents) => incidents.length === 1);
  expect(back?.state).not.toBe('closed');
  const shown = await until(resident(token), ({ state }) => state !== 'done');
  expect(shown.timeline.map(({ text }) => text)).toContain('Sie haben die Meldung wieder geöffnet: Bei jedem Regen wieder.');
});
