import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { FeedAnswer, FeedHealth } from '../../contracts/feed.ts';
import type { Principal } from '../../contracts/principal.ts';
import { manualClock, type ManualClock } from '../../kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { createGate } from '../../trust/index.ts';
import { createSensing, type Sensing } from '../sensing.ts';

const T0 = Date.parse('2026-11-24T06:00:00Z');
const purposes = { live: (id: string) => id !== 'ended', get: (id: string) => (id === 'unheard' ? undefined : { id }) };
const device: Principal = { kind: 'token', id: 'tok_1', name: 'probe', positions: ['device'], pseudonym: 'p' };
const bound: Principal = { ...device, id: 'tok_2', purpose: 'other' };
const supervisor: Principal = { kind: 'person', id: 'per_1', name: 'S', positions: ['supervisor'], pseudonym: 's' };
const auditor: Principal = { ...supervisor, id: 'per_2', positions: ['auditor'] };
const administrator: Principal = { ...supervisor, id: 'per_3', positions: ['administrator'] };
const TOKENS: Readonly<Record<string, Principal>> = { device, bound, supervisor, auditor, administrator };

interface Rig {
  readonly url: string;
  readonly sensing: Sensing;
  readonly handle: DatabaseHandle;
  health(name: string): FeedHealth;
  post(path: string, body: string | Buffer, options?: { token?: string; headers?: Record<string, string> }): Promise<{ status: number; json: FeedAnswer & { code?: string; detail?: string } }>;
  count(table: string): Promise<number>;
  close(): Promise<void>;
}

async function openRig(feedsYaml: string, options: { handle?: DatabaseHandle; clock?: ManualClock; codecs?: Record<string, string> } = {}): Promise<Rig> {
  const handle = options.handle ?? (await freshDatabase());
  const clock = options.clock ?? manualClock(T0);
  const metrics = createMetrics();
  const bus = await createBus(handle, clock, silentLogger);
  const allows = (principal: Principal, action: string): boolean => (principal.positions.includes('device') ? action === 'sensing.write' : action === 'operations.read' || (action === 'operations.supervise' && principal.positions.includes('supervisor')) || (action === 'sensing.delete' && principal.positions.includes('administrator')));
  const sensing = await createSensing({ handle, bus, clock, logger: silentLogger, metrics, purposes: purposes as never, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: allows, publicUrl: () => 'http://city.test', feeds: { feedsYaml, codecs: new Map(Object.entries(options.codecs ?? {})), random: (size) => new Uint8Array(size) } });
  const http = await buildHttp({ logger: silentLogger, authenticate: async (request) => TOKENS[request.headers.authorization ?? ''] ?? { code: 'auth.required', detail: 'none' }, authorize: allows });
  await sensing.registerRoutes(http);
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await http.close();
    await sensing.close();
    await bus.close();
  };
  afterAll(close);
  return {
    url,
    sensing,
    handle,
    close,
    health: (name) => {
      const found = sensing.feedHealth().find((feed) => feed.name === name);
      if (found === undefined) throw new Error(`no feed ${name}`);
      return found;
    },
    post: async (path, body, { token = 'device', headers = {} } = {}) => {
      const response = await fetch(url + path, { method: 'POST', body: new Uint8Array(Buffer.from(body)), headers: { authorization: token, 'content-type': 'application/json', ...headers } });
      return { status: response.status, json: (await response.json()) as FeedAnswer };
    },
    count: async (table) => (await handle.pool.query<{ n: number }>(`select count(*) as n from ${table}`)).rows[0]?.n ?? -1,
  };
}

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('rate of webhooks', async () => {
  const rig = await openRig(`
feeds:
  - name: chirp
    adapter: lorawan
    purpose: mobility
    options:
      server: chirpstack
      profiles: { a: { codec: c, fields: [{ field: t, property: temperature, name: T, unit: °C, min: -40, max: 60 }] } }
      devices: [${Array.from({ length: 50 }, (_, n) => `{ dev_eui: "${String(n).padStart(16, '0')}", profile: a, key: k${n}, name: N, lon: 7, lat: 51 }`).join(', ')}]
`, { codecs: { c: 'function decodeUplink(i){return {data:{t:i.bytes[0]/10}}}' } });
  for (const decoded of [true, false]) {
    let n = 0;
    const send = async (total: number): Promise<void> => {
      while (n < total) {
        const at = n++;
        const answer = await rig.post('/api/feeds/chirp?event=up', JSON.stringify({ time: new Date(T0 - 1e7 + at * 1000 + (decoded ? 0 : 500)).toISOString(), deviceInfo: { devEui: String(at % 50).padStart(16, '0') }, fPort: 1, ...(decoded ? { object: { t: 12 } } : { data: 'eA==' }) }));
        if (answer.status !== 200) throw new Error(JSON.stringify(answer.json));
      }
    };
    await Promise.all(Array.from({ length: 32 }, () => send(200)));
    n = 200;
    const t = performance.now();
    await Promise.all(Array.from({ length: 32 }, () => send(1700)));
    console.log(decoded ? 'decoded' : 'codec', Math.round(1500 / ((performance.now() - t) / 1000)), 'messages a second');
  }
}, 200_000);
