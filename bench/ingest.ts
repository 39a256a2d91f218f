/**
 * Ingest, measured in one run so that the ratios hold: the bound is the same rows by binary COPY over two connections of the
 * same machine. `node tools/run.mjs bench/ingest.ts [--seconds 5] [--url http://… --token …]`: with a URL it aims at a running
 * server (CreateObservations and single POSTs only, into Datastreams that it finds there).
 */
import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import { once } from 'node:events';
import { connectAsync } from 'mqtt';
import pg from 'pg';
import { systemClock } from '../src/kernel/index.ts';
import { ANONYMOUS, type Principal } from '../src/contracts/principal.ts';
import { buildHttp, createBus, createLogger, createMetrics, migrate, openDatabase, silentLogger, startEmbeddedDatabase } from '../src/platform/index.ts';
import { createGate } from '../src/trust/index.ts';
import { createSensing } from '../src/sensing/index.ts';
import { seedStreams } from '../test/streams.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, url: { type: 'string' }, token: { type: 'string' }, streams: { type: 'string', default: '10000' }, only: { type: 'string' } } });
const SECONDS = Number(options.seconds);
const STREAMS = Number(options.streams);
const BLOCK_ROWS = 1_000;
const logger = createLogger('warn');
const say = (line: string): void => {
  console.log(line);
};
const rate = (count: number, ms: number): string => Math.round((count / ms) * 1000).toLocaleString('en');

if (process.env['INGEST_BENCH_LOAD'] !== undefined) await loadChild();
else await main();

interface Load {
  readonly kind: 'arrays' | 'singles' | 'mqtt';
  readonly url: string;
  readonly token: string;
  readonly ids: readonly number[];
  readonly seconds: number;
}
interface Answer {
  readonly count: number;
  readonly ms: number;
  readonly p50: number;
  readonly p99: number;
}

async function main(): Promise<void> {
  if (options.url !== undefined) {
    const ids = await findStreams(options.url, options.token ?? '');
    await printLoad({ kind: 'arrays', url: options.url, token: options.token ?? '', ids, seconds: SECONDS }, undefined);
    await printLoad({ kind: 'singles', url: options.url, token: options.token ?? '', ids, seconds: SECONDS }, undefined);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-'));
  chmodSync(folder, 0o755);
  const embedded = await startEmbeddedDatabase(folder, silentLogger);
  const handle = openDatabase(embedded.connection, silentLogger);
  try {
    await migrate(handle.db);
    const ids = await seedStreams(handle, STREAMS);
    const bound = options.only === undefined ? await measureCopy(embedded.connection, ids) : undefined;
    if (bound !== undefined) say(`bound: binary COPY of the same rows, 2 connections          ${rate(bound.rows, bound.ms)} rows/s`);

    const metrics = createMetrics();
    const bus = await createBus(handle, systemClock, silentLogger);
    const device: Principal = { kind: 'token', id: 'bench', name: 'bench', positions: ['device'], pseudonym: 'bench' };
    const everything = { live: () => true, get: () => undefined, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };
    let startMs = performance.now();
    const sensing = await createSensing({ handle, bus, clock: systemClock, logger, metrics, purposes: everything, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://127.0.0.1' });
    let consumed = 0;
    sensing.onReadings((batch) => {
      for (const reading of batch) consumed += reading.valid ? 1 : 0;
    });
    const http = await buildHttp({ logger, authenticate: async (incoming) => (incoming.headers.authorization === undefined ? ANONYMOUS : device), authorize: (principal) => principal.kind === 'token' });
    await sensing.registerRoutes(http);
    const url = await http.listen({ host: '127.0.0.1', port: 0 });
    const mqtt = await sensing.startMqtt({ host: '127.0.0.1', port: 0 });

    startMs = performance.now();
    for (let from = 0; from < ids.length; from += 1_000) {
      const blocks = ids.slice(from, from + 1_000).map((id) => ({ Datastream: { '@iot.id': id }, components: ['phenomenonTime', 'result'], dataArray: [[new Date(Date.now() - 86_400_000).toISOString(), 1.5]] }));
      const response = await fetch(`${url}/v1.1/CreateObservations`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer x' }, body: JSON.stringify(blocks) });
      if (response.status !== 201) throw new Error(`the first readings were answered with ${response.status}`);
      await response.arrayBuffer();
    }
    say(`first reading of ${ids.length.toLocaleString('en')} datastreams, with their features of interest  ${Math.round(performance.now() - startMs)} ms`);
    const wants = (kind: string): boolean => options.only === undefined || options.only === kind;
    if (wants('arrays')) await printLoad({ kind: 'arrays', url, token: 'x', ids, seconds: SECONDS }, bound);
    if (wants('singles')) await printLoad({ kind: 'singles', url, token: 'x', ids, seconds: SECONDS }, undefined);
    if (wants('mqtt')) await printLoad({ kind: 'mqtt', url: `mqtt://127.0.0.1:${mqtt.port}`, token: 'x', ids, seconds: SECONDS }, undefined);

    startMs = performance.now();
    let newest = 0;
    for (const id of ids) newest += sensing.latest(id) === undefined ? 0 : 1;
    say(`latest of ${newest.toLocaleString('en')} datastreams, from memory                    ${(performance.now() - startMs).toFixed(2)} ms`);
    const { admitted } = sensing.ingestStats();
    await http.close();
    await sensing.close();
    const stored = await handle.pool.query<{ n: number }>('select count(*) as n from observation');
    say(`admitted ${admitted.toLocaleString('en')}, stored ${(stored.rows[0]?.n ?? 0).toLocaleString('en')}, consumed ${consumed.toLocaleString('en')}: ${admitted === stored.rows[0]?.n && consumed === admitted ? 'equal' : 'NOT EQUAL'}`);
    startMs = performance.now();
    const again = await createSensing({ handle, bus, clock: systemClock, logger, metrics: createMetrics(), purposes: everything, gate: createGate(createMetrics(), 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://127.0.0.1' });
    say(`start of sensing with the latest of ${[...again.streams().keys()].filter((id) => again.latest(id) !== undefined).length.toLocaleString('en')} from the database ${Math.round(performance.now() - startMs)} ms`);
    startMs = performance.now();
    const at = await again.latestAt(Date.now());
    say(`latestAt(now) of ${at.size.toLocaleString('en')} datastreams                             ${Math.round(performance.now() - startMs)} ms`);
    await again.close();
    await bus.close();
  } finally {
    await handle.close();
    await embedded.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function printLoad(load: Load, bound: { rows: number; ms: number } | undefined): Promise<void> {
  const cpu = process.cpuUsage();
  const child = fork(fileURLToPath(import.meta.url), [], { env: { ...process.env, INGEST_BENCH_LOAD: '1' }, execArgv: ['--disable-warning=ExperimentalWarning'] });
  child.send(load);
  const ended = once(child, 'exit');
  const first = (await Promise.race([once(child, 'message'), ended])) as [Answer | number];
  await ended;
  const answer = first[0];
  if (typeof answer !== 'object' || answer === null) throw new Error(`the load generator ended early with ${String(answer)}`);
  const used = process.cpuUsage(cpu);
  const name = { arrays: `CreateObservations, ${BLOCK_ROWS} rows a request, durable, gate on  `, singles: 'POST Observations, 64 connections, durable              ', mqtt: 'MQTT QoS 1, 16 clients, PUBACK after commit             ' }[load.kind];
  const share = bound === undefined ? '' : `, ratio to the bound ${((answer.count / answer.ms) / (bound.rows / bound.ms)).toFixed(2)}`;
  say(`${name}  ${rate(answer.count, answer.ms)} obs/s (p50 ${answer.p50.toFixed(1)} ms, p99 ${answer.p99.toFixed(1)} ms, server ${Math.round((used.user + used.system) / 1000 / answer.ms * 100)} % of a core${share})`);
}

/** The rows of the load, as one COPY after another over two connections into the same table, then removed. */
async function measureCopy(connection: pg.ClientConfig, ids: readonly number[]): Promise<{ rows: number; ms: number }> {
  const rowBytes = 2 + 10 * 4 + 5 * 8 + 1;
  const rows = 5_000;
  const signature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
  const clients = [new pg.Client(connection), new pg.Client(connection)];
  for (const client of clients) await client.connect();
  const day = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000);
  const next = new Date(day.getTime() + 86_400_000);
  await clients[0]?.query(`create table observation_bench partition of observation for values from ('${day.toISOString()}') to ('${next.toISOString()}')`);
  const startMs = performance.now();
  const counts = await Promise.all(
    clients.map(async (client, n) => {
      const body = Buffer.alloc(5 + signature.length + rows * rowBytes + 2 + 5);
      let count = 0;
      for (let batch = 0; performance.now() - startMs < SECONDS * 1000; batch += 1) {
        body[0] = 0x64;
        body.writeInt32BE(4 + signature.length + rows * rowBytes + 2, 1);
        signature.copy(body, 5);
        let at = 5 + signature.length;
        const micros = (BigInt(Date.now()) - 946_684_800_000n) * 1000n;
        for (let row = 0; row < rows; row += 1) {
          at = body.writeInt16BE(10, at);
          const int8 = (value: bigint): void => void (at = body.writeBigInt64BE(value, body.writeInt32BE(8, at)));
          int8(BigInt((n * 1_000_000 + batch) * rows + row));
          int8(BigInt(ids[(batch * 5 + Math.floor(row / BLOCK_ROWS)) % ids.length] as number));
          int8(micros - BigInt(row));
          at = body.writeInt32BE(-1, at);
          at = body.writeInt32BE(-1, at);
          int8(micros);
          at = body.writeDoubleBE(row / 8, body.writeInt32BE(8, at));
          at = body.writeInt32BE(-1, at);
          at = body.writeInt32BE(-1, at);
          at = body.writeInt8(1, body.writeInt32BE(1, at));
        }
        at = body.writeInt16BE(-1, at);
        body[at] = 0x63;
        body.writeInt32BE(4, at + 1);
        await new Promise<void>((resolve, reject) => {
          client.query({
            submit: (wire: pg.Connection) => {
              const raw = wire as unknown as { query(text: string): void; stream: NodeJS.WritableStream };
              raw.query('copy observation (id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid) from stdin (format binary)');
              raw.stream.write(body);
            },
            handleCopyInResponse: () => undefined,
            handleCommandComplete: () => undefined,
            handleReadyForQuery: () => resolve(),
            handleError: reject,
            callback: () => undefined,
          } as unknown as pg.Submittable);
        });
        count += rows;
      }
      return count;
    }),
  );
  const ms = performance.now() - startMs;
  await clients[0]?.query('drop table observation_bench');
  for (const client of clients) await client.end();
  return { rows: counts.reduce((sum, count) => sum + count, 0), ms };
}

async function findStreams(url: string, token: string): Promise<number[]> {
  const response = await fetch(`${url}/v1.1/Datastreams?$select=id&$top=1000`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`the server answers ${response.status} to the list of Datastreams`);
  const body = (await response.json()) as { value: { '@iot.id': number }[] };
  return body.value.map((entry) => entry['@iot.id']);
}

/** The load generator runs in a process of its own, so that its work is not counted as the server's. */
async function loadChild(): Promise<void> {
  const [load] = (await once(process, 'message')) as [Load];
  const answer = await { arrays: loadArrays, singles: loadSingles, mqtt: loadMqtt }[load.kind](load);
  process.send?.(answer);
  process.disconnect();
}

function quantiles(latencies: number[]): { p50: number; p99: number } {
  latencies.sort((a, b) => a - b);
  return { p50: latencies[Math.floor(latencies.length / 2)] ?? 0, p99: latencies[Math.floor(latencies.length * 0.99)] ?? 0 };
}

async function loadWith(load: Load, connections: number, path: string, bodyOf: (n: number) => { body: Buffer; rows: number }): Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(load.url);
  const latencies: number[] = [];
  let count = 0;
  let n = 0;
  const startMs = performance.now();
  const post = (body: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({ agent, hostname, port, path, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length, authorization: `Bearer ${load.token}` } }, (response) => {
        let head = '';
        response.on('data', (chunk: Buffer) => {
          if (head.length < 200) head += chunk.toString('latin1', 0, 200);
        });
        response.on('end', () => (response.statusCode === 201 && !head.startsWith('["error') ? resolve() : reject(new Error(`${response.statusCode} ${head}`))));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() - startMs < load.seconds * 1000) {
        const { body, rows } = bodyOf((n += 1));
        const sentMs = performance.now();
        await post(body);
        latencies.push(performance.now() - sentMs);
        count += rows;
      }
    }),
  );
  const ms = performance.now() - startMs;
  agent.destroy();
  return { count, ms, ...quantiles(latencies) };
}

/** Each request is one stream's next thousand readings, a millisecond apart; the text is put together from ready pieces. */
async function loadArrays(load: Load): Promise<Answer> {
  const startMs = Date.now() - 3_600_000;
  const tails = Array.from({ length: BLOCK_ROWS }, (_, row) => `${String(row).padStart(3, '0')}Z",${(row * 7) % 400 / 8 + 0.125}]`);
  return loadWith(load, 8, '/v1.1/CreateObservations', (n) => {
    const second = new Date(startMs + n * 1000).toISOString().slice(0, 20);
    let rows = '';
    for (const tail of tails) rows += `${rows === '' ? '' : ','}["${second}${tail}`;
    const body = Buffer.from(`[{"Datastream":{"@iot.id":${load.ids[n % load.ids.length]}},"components":["phenomenonTime","result"],"dataArray@iot.count":${BLOCK_ROWS},"dataArray":[${rows}]}]`);
    return { body, rows: BLOCK_ROWS };
  });
}

async function loadSingles(load: Load): Promise<Answer> {
  const startMs = Date.now();
  return loadWith(load, 64, '/v1.1/Observations', (n) => ({ body: Buffer.from(`{"phenomenonTime":"${new Date(startMs + n).toISOString()}","result":${(n % 1000) / 8 + 0.125},"Datastream":{"@iot.id":${load.ids[n % load.ids.length]}}}`), rows: 1 }));
}

async function loadMqtt(load: Load): Promise<Answer> {
  const startMs = performance.now();
  const timeMs = Date.now();
  let count = 0;
  let n = 0;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: 16 }, async (_, client) => {
      const connection = await connectAsync(load.url, { username: 'bench', password: load.token, clientId: `bench-${client}`, protocolVersion: 4 });
      await Promise.all(
        Array.from({ length: 64 }, async () => {
          while (performance.now() - startMs < load.seconds * 1000) {
            n += 1;
            const sentMs = performance.now();
            await connection.publishAsync('v1.1/Observations', `{"phenomenonTime":"${new Date(timeMs + n).toISOString()}","result":${(n % 1000) / 8 + 0.125},"Datastream":{"@iot.id":${load.ids[n % load.ids.length]}}}`, { qos: 1 });
            latencies.push(performance.now() - sentMs);
            count += 1;
          }
        }),
      );
      await connection.endAsync();
    }),
  );
  return { count, ms: performance.now() - startMs, ...quantiles(latencies) };
}
