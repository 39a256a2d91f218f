import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectAsync, type MqttClient } from 'mqtt';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { POSITIONS, type Action, type Position } from '../../src/contracts/principal.ts';
import { findRunningDatabase } from '../../src/platform/index.ts';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { openSse, type SseClient } from '../sse.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };
// What tokens may, written out apart from the rules: y may, . may not; a token has no session and is nobody's second person.
//                       anonymous operator supervisor case_worker auditor dpo administrator device
const MAY: Record<Action, string> = {
  public: /*             */ 'y y y y y y y y',
  session: /*            */ '. . . . . . . .',
  'sensing.read': /*     */ 'y y y y y y y y',
  'sensing.write': /*    */ '. . . . . . y y',
  'sensing.delete': /*   */ '. . . . . . y .',
  'operations.read': /*  */ '. y y y y y y .',
  'operations.act': /*   */ '. y y . . . . .',
  'operations.supervise': '. . y . . . . .',
  'requests.read': /*    */ '. y y y . . . .',
  'requests.work': /*    */ '. . . y . . . .',
  'requests.look': /*    */ '. y y y . . . .',
  'requests.contact': /* */ '. . . y . . . .',
  'requests.search': /*  */ '. . . y . . . .',
  'requests.submit': /*  */ 'y y y y y y y y',
  'audit.read': /*       */ '. . . . y y . .',
  'approvals.read': /*   */ '. . y y y y y .',
  'approvals.decide': /* */ '. . . . . . . .',
  'people.manage': /*    */ '. . . . . . y .',
  'register.manage': /*  */ '. . . . . . y .',
};

let city: TestCity;
let ingest: { child: ChildProcess; url: string; mqttPort: number };
let database: pg.Client;

async function startIngest(data: string): Promise<typeof ingest> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'main.ts')], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, CLERESTORY_ROLE: 'ingest', CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0', CLERESTORY_LOG_LEVEL: 'warn' } });
  const found = { url: '', mqttPort: 0 };
  for await (const line of createInterface({ input: child.stdout })) {
    found.url ||= /^\s+HTTP\s+(\S+)\/v1\.1/.exec(line)?.[1] ?? '';
    found.mqttPort ||= Number(/^\s+MQTT\s+\S+:(\d+)/.exec(line)?.[1] ?? 0);
    if (line.includes('Ctrl-C stops it')) break;
  }
  expect(found.url).not.toBe('');
  return { child, ...found };
}

beforeAll(async () => {
  city = await startTestCity({ env: { CLERESTORY_SECOND_FACTOR: 'optional' } });
  ingest = await startIngest(city.data);
  database = new pg.Client(findRunningDatabase(city.data) ?? {});
  await database.connect();
});
afterAll(async () => {
  await database.end();
  ingest.child.kill('SIGTERM');
  await once(ingest.child, 'exit');
  await city.stop();
  city.remove();
});

/** Status and code of an answer, read from its beginning: a stream has no end. */
const ask = (method: string, path: string, token: string | undefined): Promise<{ status: number; code: string; detail: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(city.url);
    const request = get({ hostname, port, path, method, agent: false, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } }, (response) => {
      const status = response.statusCode ?? 0;
      if (response.headers['content-type']?.startsWith('application/problem+json') !== true) {
        request.destroy();
        resolve({ status, code: '', detail: '' });
        return;
      }
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
        resolve({ status, code: code ?? '', detail: detail ?? '' });
      });
    });
    request.once('error', reject);
  });

interface Route {
  method: string;
  route: string;
  action: Action;
}
const routes = async (): Promise<Route[]> => ((await city.call('GET', '/api/policy')).json as { routes: Route[] }).routes;
/** An address of the route that leads to nothing: what is allowed is asked too, and must change nothing. */
const addressOf = (route: string): string => route.replace(/:\w+(\([^)]*\))?/g, 'x').replace('*', 'x');
const isDenied = (answer: { status: number; code: string; detail: string }, action: Action): boolean =>
  answer.code === 'auth.required' || (answer.code === 'auth.forbidden' && answer.detail === `Your position does not include ${action}.`);

test('every address of the running city answers every position as the written table says', async () => {
  const all = await routes();
  expect(all.length).toBeGreaterThan(100);
  const who: readonly (Position | undefined)[] = [undefined, ...POSITIONS];
  const wrong: string[] = [];
  let denied = 0;
  for (const { method, route, action } of all) {
    const cells = MAY[action].split(' ');
    for (const [column, position] of who.entries()) {
      const mayNot = cells[column] === '.';
      const token = position === undefined ? undefined : city.token(position);
      const answer = await ask(method, addressOf(route), token);
      // these answer in the error shapes of their standards, which name no code
      const shape = route.startsWith('/v1.1') || route.startsWith('/v2.0') || route.startsWith('/georeport');
      const got = shape ? answer.status === 401 || (answer.status === 403 && mayNot) : isDenied(answer, action);
      if (mayNot) denied += 1;
      if (got !== mayNot) wrong.push(`${method} ${route} asks ${action}: ${position ?? 'anonymous'} got ${answer.status} ${answer.code} ${answer.detail}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(denied).toBeGreaterThan(100);
}, 300_000);

test('the policy is public as text, with the hash that the log keeps, and its tables', async () => {
  const { json, status } = await city.call('GET', '/api/policy');
  expect(status).toBe(200);
  expect(json.files.map((file: { name: string }) => file.name)).toContain('4-never.cedar');
  expect(json.actions.map((row: { action: string }) => row.action).sort()).toEqual(Object.keys(MAY).sort());
  const { versions } = (await city.call('GET', '/api/policy/versions')).json;
  expect(versions).toMatchObject([{ hash: json.hash }]);
  const old = (await city.call('GET', `/api/policy/versions/${json.hash}`)).json;
  expect(old).toEqual({ schema: json.schema, files: json.files });
  expect((await city.call('GET', `/api/policy/versions/${'0'.repeat(64)}`)).status).toBe(404);
});

test('auditors read what was denied, by pseudonym and policy hash; denials of the other process are in it', async () => {
  const { hash } = (await city.call('GET', '/api/policy')).json;
  const auditor = city.token('auditor');
  expect((await city.call('GET', '/api/people', { token: city.token('operator') })).status).toBe(403);
  expect((await city.call('POST', `${ingest.url}/v1.1/Things`, { token: city.token('operator'), body: {} })).status).toBe(403);
  await expect
    .poll(async () => {
      const { decisions } = (await city.call('GET', '/api/policy/decisions?allowed=false&limit=1000', { token: auditor })).json as { decisions: { action: string; resource: string; allowed: boolean; policyHash: string; positions: string[] }[] };
      expect(decisions.every((line) => line.policyHash === hash && !line.allowed)).toBe(true);
      return decisions.filter(({ positions }) => positions.includes('operator')).map(({ action, resource }) => `${action} ${resource}`);
    }, PATIENCE)
    .toEqual(expect.arrayContaining(['people.manage GET /api/people', expect.stringMatching(/^sensing\.write POST \/v1\.1/)]));
  expect((await city.call('GET', '/api/policy/decisions', { token: city.token('operator') })).status).toBe(403);
});

const connect = (port: number, token: string): Promise<MqttClient> => connectAsync(`mqtt://127.0.0.1:${port}`, { username: 'x', password: token, protocolVersion: 5, reconnectPeriod: 0 });
const live = (headers: Record<string, string>): Promise<SseClient> => openSse(Number(new URL(city.url).port), '/live', { headers });

test('a revoked token is refused at once by every process, and its streams and MQTT sessions end', async () => {
  const token = city.token('administrator', 'city-operations');
  const bystander = city.token('administrator');
  const post = async (url: string): Promise<number> => (await city.call('POST', `${url}/v1.1/Things`, { token, body: { name: 'T' } })).status;
  expect(await post(ingest.url)).toBe(400); // taken, and remembered there for half a minute
  const stream = await live({ authorization: `Bearer ${token}` });
  const sessions = [await connect(city.mqttPort, token), await connect(ingest.mqttPort, token)];
  const others = { stream: await live({ authorization: `Bearer ${bystander}` }), mqtt: await connect(ingest.mqttPort, bystander) };
  expect(stream.status).toBe(200);
  expect((await city.call('POST', '/api/tokens/revoke', { token: bystander, body: { token } })).status).toBe(204);
  await expect.poll(() => [stream.ended(), ...sessions.map((session) => session.connected)], PATIENCE).toEqual([true, false, false]);
  await expect.poll(() => post(ingest.url), PATIENCE).toBe(401);
  expect(await post(city.url)).toBe(401);
  await expect(connect(ingest.mqttPort, token)).rejects.toThrow();
  expect([others.stream.ended(), others.mqtt.connected]).toEqual([false, true]);
  others.stream.cut();
  await others.mqtt.endAsync();
});

const newPerson = async (name: string, ...positions: Position[]): Promise<{ cookie: string; id: string }> => {
  const { json } = await city.call('POST', '/api/people/invitations', { token: city.token('administrator'), body: { name, positions } });
  const { headers, status } = await city.call('POST', `/api/invitations/${json.code}/password`, { body: { name, password: 'correct horse battery' }, headers: { 'sec-fetch-site': 'same-origin' } });
  expect(status).toBe(200);
  const cookie = String(headers.get('set-cookie')).split(';', 1)[0] as string;
  const session = await city.call('GET', '/api/session', { headers: { cookie } });
  return { cookie, id: session.json.principal.id };
};

test('a person who is disabled, loses the position or the session loses the open stream too, also when it is done by SQL', async () => {
  const people = [await newPerson('Nora North', 'operator'), await newPerson('Sam South', 'operator'), await newPerson('Wim West', 'operator'), await newPerson('Else East', 'operator')];
  const streams = await Promise.all(people.map(({ cookie }) => live({ cookie })));
  expect(streams.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const [disabled, demoted, signedOut] = people as [{ cookie: string; id: string }, { cookie: string; id: string }, { cookie: string; id: string }];
  await database.query('update person set disabled_at = now() where id = $1', [disabled.id]);
  await database.query(`update person set positions = '{case_worker,device}' where id = $1`, [people[3]?.id]); // still may
  await database.query(`update person set positions = '{}' where id = $1`, [demoted.id]);
  expect((await city.call('POST', '/api/sign-out', { headers: { cookie: signedOut.cookie, 'sec-fetch-site': 'same-origin' } })).status).toBe(204);
  await expect.poll(() => streams.map((stream) => stream.ended()), PATIENCE).toEqual([true, true, true, false]);
  expect((await city.call('GET', '/api/incidents', { headers: { cookie: disabled.cookie } })).status).toBe(401);
  expect((await city.call('GET', '/api/incidents', { headers: { cookie: demoted.cookie } })).status).toBe(403);
  streams[3]?.cut();
});

test('one person alone, the same one twice, a token, another position, a disabled second and a second time get 403 or 401; another person\'s word does it', async () => {
  const [ada, ben, cem, dora] = [await newPerson('Ada Alder', 'administrator'), await newPerson('Ben Birch', 'data_protection_officer'), await newPerson('Cem Cedar', 'administrator'), await newPerson('Dora Dogwood', 'operator')];
  const post = async (path: string, who: { cookie?: string; token?: string; site?: string }, body?: unknown): Promise<string> => {
    const headers = { ...(who.cookie === undefined ? {} : { cookie: who.cookie }), 'sec-fetch-site': who.site ?? 'same-origin' };
    const answer = await city.call('POST', path, { headers, ...(who.token === undefined ? {} : { token: who.token }), ...(body === undefined ? {} : { body }) });
    return answer.status < 300 ? `${answer.status} ${answer.json.id as string}` : `${answer.status} ${answer.json.code as string}`;
  };
  const change = { set: [], end: ['service-requests'], from_file: false, reason: 'The office has moved to the district.' };
  expect(await post('/api/purposes/proposals', { token: city.token('administrator') }, change)).toBe('403 auth.forbidden');
  expect(await post('/api/purposes/proposals', dora, change)).toBe('403 auth.forbidden');
  const [status, id] = (await post('/api/purposes/proposals', ada, change)).split(' ') as [string, string];
  expect(status).toBe('200');
  const approve = (who: { cookie?: string; token?: string; site?: string }): Promise<string> => post(`/api/approvals/${id}/approve`, who);
  const live = async (): Promise<boolean> => ((await city.call('GET', '/api/purposes')).json.purposes as { id: string; live: boolean }[]).find((purpose) => purpose.id === change.end[0])?.live === true;
  expect(await approve({})).toBe('401 auth.required');
  expect(await approve(ada)).toBe('403 approval.same-person');
  expect(await approve(dora)).toBe('403 auth.forbidden');
  expect(await approve({ token: city.token('administrator') })).toBe('403 auth.forbidden');
  expect(await approve({ cookie: ben.cookie, site: 'cross-site' })).toBe('403 auth.cross-site');
  await database.query('update person set disabled_at = now() where id = $1', [cem.id]);
  expect(await approve(cem)).toBe('401 auth.invalid');
  expect(await live()).toBe(true);
  expect(await approve(ben)).toBe(`200 ${id}`);
  expect(await live()).toBe(false);
  expect(await approve(ben)).toBe('403 approval.spent');
  await expect
    .poll(async () => ((await city.call('GET', '/api/policy/decisions?action=act.approve', { token: city.token('auditor') })).json.decisions as { resource: string; allowed: boolean }[]).map(({ resource, allowed }) => `${resource} ${allowed}`).sort(), PATIENCE)
    .toEqual(['purpose.change false', 'purpose.change false', 'purpose.change true']);
});
