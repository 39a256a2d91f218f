// Twenty consoles on /live over real sockets; one operator acknowledges, and every console must see it. Prints p50, p95 of
// "request sent → frame parsed by the last console", and the ratio to the bound. The database runs with its durable settings.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentDetail } from '../src/contracts/incident.ts';
import type { LiveIncident } from '../src/contracts/live.ts';
import { migrate, openDatabase, silentLogger, startEmbeddedDatabase } from '../src/platform/index.ts';
import { reading, startRoom, stream, until } from '../test/room.ts';
import { openSse, type SseClient } from '../test/sse.ts';

const CONSOLES = 20;
const ACTS = 300;
const STREAMS = 2_000;
const READINGS_PER_S = 1_000;
const BOUND_P95_MS = 300;

const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-'));
chmodSync(folder, 0o755);
const embedded = await startEmbeddedDatabase(folder, silentLogger);
const handle = openDatabase(embedded.connection, silentLogger, 16);
await migrate(handle.db);
const room = await startRoom(handle, { listen: true });
const consoles: SseClient[] = [];
try {
  for (let id = 1; id <= STREAMS; id += 1) room.sensing.addStream(stream(id));
  let seen = { left: 0, done: (): void => undefined };
  const open = async (): Promise<void> => {
    consoles.push(
      await openSse(room.port, '/live', {
        onEvent: ({ kind, data }) => {
          if (kind !== 'incident' || (data as LiveIncident).entry.kind !== 'acknowledged') return;
          seen.left -= 1;
          if (seen.left === 0) seen.done();
        },
      }),
    );
  };
  for (let n = 0; n < CONSOLES; n += 1) await open();
  await until(() => consoles.every(({ events }) => events.some(({ kind }) => kind === 'readings')));

  let next = 0;
  const load = setInterval(() => {
    const nowMs = Date.now();
    room.sensing.take(Array.from({ length: READINGS_PER_S / 20 }, () => reading(1 + (next++ % STREAMS), nowMs, next)));
  }, 50);
  const took_ms: number[] = [];
  const answer_ms: number[] = [];
  for (let n = 0; n < ACTS; n += 1) {
    const opened = await fetch(`http://127.0.0.1:${room.port}/api/incidents`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ title: `Bench ${n}`, severity: 'minor', point: [11.5, 48.1] }),
    });
    const { id } = (await opened.json()) as IncidentDetail;
    const all = new Promise<void>((resolve) => {
      seen = { left: CONSOLES, done: resolve };
    });
    const startMs = performance.now();
    const acted = await fetch(`http://127.0.0.1:${room.port}/api/incidents/${id}/acts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ act: 'acknowledge' }),
    });
    if (acted.status !== 200) throw new Error(`the acknowledgement was answered with ${acted.status}`);
    answer_ms.push(performance.now() - startMs);
    await all;
    took_ms.push(performance.now() - startMs);
  }
  clearInterval(load);
  const at = (values: number[], share: number): number => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;
  const p95 = at(took_ms, 0.95);
  console.log(
    `live: acknowledge → seen by all of ${CONSOLES} consoles, ${ACTS} acts, ${READINGS_PER_S} readings/s over ${STREAMS} streams beside: p50 ${at(took_ms, 0.5).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, worst ${at(took_ms, 1).toFixed(1)} ms (answer p95 ${at(answer_ms, 0.95).toFixed(1)} ms); p95 / bound of ${BOUND_P95_MS} ms = ${(p95 / BOUND_P95_MS).toFixed(3)}`,
  );
  if (p95 > BOUND_P95_MS) process.exitCode = 1;
} finally {
  for (const client of consoles) client.cut();
  await room.close();
  await handle.close();
  await embedded.stop();
  rmSync(folder, { recursive: true, force: true });
}
