import { fork, type ChildProcess } from 'node:child_process';
import { once, type EventEmitter } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectAsync } from 'mqtt';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
  readonly mqttPort: number;
  readonly streams: readonly number[];
  readonly postgresPid: number;
}
interface Sent {
  readonly stream: number;
  readonly time: string;
  readonly result: number;
}

// 50 rounds by KILL_ROUNDS=50; the suite runs a share of them.
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 4);
const VICTIMS = ['server', 'database', 'server', 'both'] as const;

const folder = mkdtempSync(join(tmpdir(), 'clerestory-crash-'));
chmodSync(folder, 0o755);
let running: Server | undefined;

async function start(): Promise<Server> {
  const child = fork(fileURLToPath(new URL('./ingest-child.ts', import.meta.url)), [folder], { execArgv: ['--disable-warning=ExperimentalWarning'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => Promise.reject(new Error(`the server did not start: ${String(code)}`)))])) as [Omit<Server, 'child'>];
  return (running = { child, ...message });
}

afterAll(async () => {
  if (running !== undefined && running.child.exitCode === null && running.child.signalCode === null) {
    running.child.kill('SIGKILL');
    await once(running.child, 'exit');
  }
  const pidFile = join(folder, 'postgres', 'postmaster.pid');
  if (existsSync(pidFile)) {
    process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'SIGINT');
    for (let left = 200; left > 0 && existsSync(pidFile); left -= 1) await sleep(50);
  }
  rmSync(folder, { recursive: true, force: true });
});

const bodyOf = ({ stream, time, result }: Sent): string => `{"phenomenonTime":"${time}","result":${result},"Datastream":{"@iot.id":${stream}}}`;

/** Posts until `stopped`; every reading is kept as acknowledged or as open. */
async function postLoad(server: Server, take: () => Sent, note: { acknowledged: Sent[]; open: Sent[] }, stopped: () => boolean): Promise<void> {
  while (!stopped()) {
    const batch = Array.from({ length: 20 }, take);
    try {
      const response = await fetch(`${server.url}/v1.1/CreateObservations`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer x' }, body: `[${batch.map(({ stream, time, result }) => `{"Datastream":{"@iot.id":${stream}},"components":["phenomenonTime","result"],"dataArray":[["${time}",${result}]]}`).join(',')}]` });
      const answers = response.status === 201 ? ((await response.json()) as string[]) : [];
      batch.forEach((sent, at) => (answers[at]?.startsWith('http') === true ? note.acknowledged : note.open).push(sent));
      if (response.status !== 201) await sleep(50);
    } catch {
      note.open.push(...batch); // the server is gone: not acknowledged
      await sleep(20);
    }
  }
}

async function mqttLoad(server: Server, take: () => Sent, note: { acknowledged: Sent[]; open: Sent[] }, stopped: () => boolean): Promise<void> {
  while (!stopped()) {
    try {
      const client = await connectAsync(`mqtt://127.0.0.1:${server.mqttPort}`, { username: 'x', password: 'x', reconnectPeriod: 0, connectTimeout: 1_000 });
      client.on('error', () => undefined); // shows as a publish that fails
      const gone = once(client as unknown as EventEmitter, 'close').then(() => Promise.reject(new Error('closed')));
      gone.catch(() => undefined);
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          while (!stopped()) {
            const sent = take();
            try {
              await Promise.race([client.publishAsync('v1.1/Observations', bodyOf(sent), { qos: 1 }), gone]);
              note.acknowledged.push(sent);
            } catch (error) {
              note.open.push(sent);
              throw error;
            }
          }
        }),
      );
      await client.endAsync(true);
    } catch {
      await sleep(20); // connects again until the round ends
    }
  }
}

async function storedOf(server: Server): Promise<Map<string, number>> {
  const client = new pg.Client(connectionOf(server));
  await client.connect();
  const found = await client.query<{ key: string; n: number }>(`select datastream_id || ' ' || to_char(phenomenon_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || ' ' || result_number as key, count(*)::int as n from observation group by 1`);
  await client.end();
  return new Map(found.rows.map((row) => [row.key, row.n]));
}

/** Where the embedded database of the server listens, from its own pid file (line 5 is the socket folder, line 4 the port). */
function connectionOf(server: Server): { host: string; port: number; user: string; database: string } {
  const lines = readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n');
  expect(server.child.exitCode).toBeNull();
  return { host: lines[4] as string, port: Number(lines[3]), user: 'clerestory', database: 'postgres' };
}

test('kill -9 of the server or of its database loses nothing that was acknowledged and doubles nothing', { timeout: 60_000 + ROUNDS * 60_000 }, async () => {
  const note = { acknowledged: [] as Sent[], open: [] as Sent[] };
  let n = 0;
  const baseMs = Date.now() - 6 * 3_600_000;
  for (let round = 0; round < ROUNDS; round += 1) {
    const victim = VICTIMS[round % VICTIMS.length] as (typeof VICTIMS)[number];
    const server = await start();
    // what was left open is sent again, as a device would: it may be stored already
    const again = note.open.splice(0);
    const take = (): Sent => {
      const open = again.pop();
      if (open !== undefined) return open;
      n += 1;
      // a third of the readings come late, so that both ways to find duplicates are walked
      return { stream: server.streams[n % server.streams.length] as number, time: new Date(baseMs + (n % 3 === 0 ? n - 3_000 : n) * 10).toISOString(), result: n };
    };
    let isOver = false;
    const before = note.acknowledged.length;
    const loads = [...Array.from({ length: 4 }, () => postLoad(server, take, note, () => isOver)), mqttLoad(server, take, note, () => isOver)];
    await expect.poll(() => note.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(before);
    await sleep(1_000);
    if (victim !== 'server') process.kill(server.postgresPid, 'SIGKILL');
    if (victim === 'database') {
      // it comes back by itself, and so does the ingest path
      const atKill = note.acknowledged.length;
      await expect.poll(() => note.acknowledged.length, { timeout: 60_000 }).toBeGreaterThan(atKill + 500);
    }
    const exited = once(server.child, 'exit');
    server.child.kill('SIGKILL');
    await exited;
    isOver = true;
    await Promise.all(loads);
    note.open.push(...again);
  }
  const server = await start();
  const again = note.open.splice(0);
  let isEmpty = false;
  const drain = (): Sent => {
    const open = again.pop();
    isEmpty = again.length === 0;
    return open ?? (note.acknowledged[0] as Sent);
  };
  await postLoad(server, drain, note, () => isEmpty);
  const stored = await storedOf(server);
  const keyOf = ({ stream, time, result }: Sent): string => `${stream} ${time} ${result}`;
  expect(note.acknowledged.filter((sent) => !stored.has(keyOf(sent)))).toEqual([]);
  expect([...stored].filter(([, times]) => times !== 1)).toEqual([]);
  expect(stored.size).toBe(new Set(note.acknowledged.map(keyOf)).size);
  const exited = once(server.child, 'exit');
  server.child.send('stop');
  await exited;
});
