/**
 * The load of the ingest benchmarks. It runs in a process of its own (`runLoad` starts this file), so that its work is not counted
 * as the server's; on two cores it still takes its share of them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connectAsync } from 'mqtt';
import { openHttpLane } from './http-lane.ts';

export const BLOCK_ROWS = 1_000;

export interface Load {
  readonly kind: 'arrays' | 'singles' | 'mqtt';
  readonly url: string;
  readonly token: string;
  readonly ids: readonly number[];
  readonly seconds: number;
}
export interface Answer {
  readonly count: number;
  readonly ms: number;
  readonly p50: number;
  readonly p99: number;
}

/** Sends for `load.seconds`. `server` is the share of a core that this process, the server's, used meanwhile. */
export async function runLoad(load: Load): Promise<Answer & { readonly server: number }> {
  const cpu = process.cpuUsage();
  const child = fork(fileURLToPath(import.meta.url), [], { env: { ...process.env, INGEST_BENCH_LOAD: '1' }, execArgv: ['--disable-warning=ExperimentalWarning'] });
  child.send(load);
  const ended = once(child, 'exit');
  const first = (await Promise.race([once(child, 'message'), ended])) as [Answer | number];
  await ended;
  const answer = first[0];
  if (typeof answer !== 'object' || answer === null) throw new Error(`the load generator ended early with ${String(answer)}`);
  const used = process.cpuUsage(cpu);
  return { ...answer, server: (used.user + used.system) / 1000 / answer.ms };
}

if (process.env['INGEST_BENCH_LOAD'] !== undefined) await loadChild();

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
  const lanes = await Promise.all(Array.from({ length: connections }, () => openHttpLane(load.url)));
  const latencies: number[] = [];
  let count = 0;
  let n = 0;
  const startMs = performance.now();
  await Promise.all(
    lanes.map(async (lane) => {
      while (performance.now() - startMs < load.seconds * 1000) {
        const { body, rows } = bodyOf((n += 1));
        const sentMs = performance.now();
        const { status, head } = await lane.post(path, load.token, body);
        if (status !== 201 || head.startsWith('["error')) throw new Error(`${status} ${head}`);
        latencies.push(performance.now() - sentMs);
        count += rows;
      }
      lane.close();
    }),
  );
  return { count, ms: performance.now() - startMs, ...quantiles(latencies) };
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
