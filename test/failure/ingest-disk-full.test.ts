import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ANONYMOUS, type Principal } from '../../src/contracts/principal.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, migrate, openDatabase, silentLogger, startEmbeddedDatabase } from '../../src/platform/index.ts';
import { openHistory } from '../../src/sensing/history/index.ts';
import { createSensing } from '../../src/sensing/index.ts';
import { createGate } from '../../src/trust/index.ts';
import { seedStreams } from '../streams.ts';
import { checkHistory } from './invariants.ts';

const DISK_BYTES = 640 * 1_048_576;
const LEFT_BYTES = 24 * 1_048_576;
const ROWS = 500;

function mountSmallDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-disk-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]).status === 0) {
    chmodSync(folder, 0o755);
    return folder;
  }
  rmSync(folder, { recursive: true });
  return null;
}

const disk = mountSmallDisk();
if (disk === null) console.warn('the disk-full tests of the ingest path are skipped: a small disk cannot be mounted without root');
const folder = disk ?? '';
afterAll(() => {
  if (disk === null) return;
  spawnSync('umount', ['-l', disk]);
  rmSync(disk, { recursive: true, force: true });
});

const device: Principal = { kind: 'token', id: 'device', name: 'device', positions: ['device'], pseudonym: 'device' };
const purposes = { live: () => true, get: () => undefined, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };

async function openServer() {
  const embedded = await startEmbeddedDatabase(folder, silentLogger, { max_wal_size: '128MB', min_wal_size: '32MB' });
  const handle = openDatabase(embedded.connection, silentLogger);
  await migrate(handle.db);
  const streams = await seedStreams(handle, 10);
  const metrics = createMetrics();
  const bus = await createBus(handle, systemClock, silentLogger);
  const sensing = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://city.test' });
  const history = openHistory({ handle, clock: systemClock, logger: silentLogger, metrics: createMetrics(), purposes, partitions: { forget: () => undefined }, seal_after_days: 14, log: undefined });
  const http = await buildHttp({ logger: silentLogger, authenticate: async (request) => (request.headers.authorization === undefined ? ANONYMOUS : device), authorize: () => true });
  await sensing.registerRoutes(http);
  const close = async (): Promise<void> => {
    await http.close();
    await history.close();
    await sensing.close();
    await bus.close();
    await handle.close();
    await embedded.stop();
  };
  return { handle, http, history, streams, close };
}
type Server = Awaited<ReturnType<typeof openServer>>;

let n = 0;
async function post({ http, streams }: Server, acknowledged: Set<string>): Promise<{ status: number; retryAfter: unknown; text: string }> {
  // old enough to be sealed
  const baseMs = Date.now() - 40 * 86_400_000;
  const rows = Array.from({ length: ROWS }, () => (n += 1)).map((result) => ({ stream: streams[result % streams.length] as number, time: new Date(baseMs + result * 500).toISOString(), result }));
  const body = rows.map(({ stream, time, result }) => ({ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: [[time, result]] }));
  const answer = await http.inject({ method: 'POST', url: '/v1.1/CreateObservations', headers: { authorization: 'Bearer x' }, payload: body });
  if (answer.statusCode === 201) for (const [at, link] of answer.json<string[]>().entries()) if (link.startsWith('http')) acknowledged.add(`${String(rows[at]?.stream)} ${String(rows[at]?.result)}`);
  return { status: answer.statusCode, retryAfter: answer.headers['retry-after'], text: answer.body };
}

const fill = (left_bytes: number): void => {
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - left_bytes)));
};
const free = (): void => rmSync(join(folder, 'ballast'), { force: true });

test.skipIf(disk === null)('a disk that fills up while readings come in, are rolled up, sealed and exported loses nothing that was acknowledged', async () => {
  const server = await openServer();
  const { handle, http, history } = server;
  const acknowledged = new Set<string>();
  const get = (url: string) => http.inject({ method: 'GET', url, headers: { authorization: 'Bearer x' } });
  for (let left = 20; left > 0; left -= 1) expect((await post(server, acknowledged)).status).toBe(201);

  fill(LEFT_BYTES);
  let refused = 0;
  for (let left = 2_000; left > 0 && refused < 2; left -= 1) {
    const answer = await post(server, acknowledged);
    if (answer.status === 201) continue;
    expect([answer.status, answer.retryAfter], answer.text).toEqual([503, '1']);
    refused += 1;
  }
  expect(refused, 'the disk was full').toBe(2);
  // what stands can be read, or is refused for a while; nothing breaks on our side
  for (const url of ['/v1.1/Observations?$top=1&$count=true', '/api/history']) expect([200, 503], url).toContain((await get(url)).statusCode);
  // an export that has begun can only be cut short, so that nobody takes it for whole
  const exported = await get('/api/export/observations.csv').catch((error: Error) => error.message);
  if (typeof exported === 'string') expect(exported).toBe('response destroyed before completion');
  else expect([200, 503]).toContain(exported.statusCode);
  const thing = await http.inject({ method: 'POST', url: '/v1.1/Things', headers: { authorization: 'Bearer x' }, payload: { name: 'T', description: 'x'.repeat(1_000) } });
  expect([201, 503], thing.body).toContain(thing.statusCode);

  free();
  await expect.poll(async () => (await post(server, acknowledged)).status, { timeout: 60_000, interval: 500 }).toBe(201);
  await checkHistory(handle, acknowledged, false);

  // the same while the old days are packed: all of it or nothing
  fill(4 * 1_048_576);
  const before = await handle.pool.query<{ rows: number }>('select count(*) as rows from observation');
  let sealed: readonly string[] = [];
  try {
    sealed = await history.seal();
  } catch (error) {
    expect(String((error as { code?: string }).code), String(error)).toMatch(/^(?:53|57P|58|08|ECONN|undefined)/);
  }
  free();
  await expect.poll(async () => (await get('/v1.1/Observations?$top=1')).statusCode, { timeout: 60_000, interval: 500 }).toBe(200);
  expect((await handle.pool.query<{ rows: number }>('select count(*) as rows from observation')).rows).toEqual(before.rows);
  if (sealed.length === 0) sealed = await history.seal();
  expect(sealed.length).toBeGreaterThan(0);
  await expect.poll(async () => (await post(server, acknowledged)).status, { timeout: 60_000, interval: 500 }).toBe(201);
  await checkHistory(handle, acknowledged, false);
  await server.close();
});
