/**
 * The transparency log on real settings (fsync on): appends a second singly with 64 callers and in batches of 200 and 4,096, beside what the
 * disk itself does in the same run; and how long an entry waits for a published head that covers it.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '../src/kernel/index.ts';
import { createMetrics, silentLogger } from '../src/platform/index.ts';
import { readOrMakeSigningKey } from '../src/trust/keys/key-files.ts';
import type { Leaf } from '../src/trust/log/entry.ts';
import { openLog } from '../src/trust/log/log.ts';
import { measureDisk } from './rig/disk.ts';
import { openDatabaseRig } from './rig/sensing.ts';

const BOUNDS = { appends_s: 5_000, age_ms: 1_000 };
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 10);
const CALLERS = 64;

const makeLeaf = (): Leaf => ({
  kind: 'look',
  t: new Date().toISOString(),
  purpose: 'service-requests',
  position: 'case_worker',
  pseudonym: 'p-0123456789',
  caseTag: randomBytes(32).toString('hex'),
  n: 1,
  commit: randomBytes(32).toString('hex'),
});

const database = await openDatabaseRig();
const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-log-'));
try {
  const syncs = measureDisk(folder);
  console.log(`disk      ${Math.round(syncs)} writes with fdatasync a second`);
  const log = await openLog({
    handle: database.handle,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: createMetrics(),
    dataFolder: folder,
    publicUrl: undefined,
    signingKey: readOrMakeSigningKey(folder),
  });
  let heads = 0;
  log.onHead(() => (heads += 1));
  let worst = 0;
  for (const { name, callers, batch } of [
    { name: 'singly', callers: CALLERS, batch: 1 },
    { name: 'by 200', callers: 4, batch: 200 },
    { name: 'by 4,096', callers: 2, batch: 4_096 },
  ]) {
    const waits: number[] = [];
    const [before, start] = [log.size(), performance.now()];
    heads = 0;
    await Promise.all(
      Array.from({ length: callers }, async () => {
        while (performance.now() - start < SECONDS * 1_000) {
          const asked = performance.now();
          await log.appendMany(Array.from({ length: batch }, makeLeaf));
          waits.push(performance.now() - asked);
        }
      }),
    );
    const elapsed_s = (performance.now() - start) / 1_000;
    const rate = (log.size() - before) / elapsed_s;
    waits.sort((a, b) => a - b);
    worst = Math.max(worst, waits.at(-1) ?? 0);
    console.log(
      `${name.padEnd(9)} ${Math.round(rate)} appends a second (${(rate / syncs).toFixed(2)} a disk write), ${Math.round(heads / elapsed_s)} heads a second; wait p50 ${(waits[Math.floor(waits.length / 2)] ?? 0).toFixed(1)} ms, p99 ${(waits[Math.floor(waits.length * 0.99)] ?? 0).toFixed(1)} ms, most ${(waits.at(-1) ?? 0).toFixed(1)} ms`,
    );
    if (rate < BOUNDS.appends_s) {
      console.error(`below ${BOUNDS.appends_s} a second`);
      process.exitCode = 1;
    }
  }
  if (worst > BOUNDS.age_ms) {
    console.error(`an entry waited longer than ${BOUNDS.age_ms} ms for a published head`);
    process.exitCode = 1;
  }
  await log.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
  await database.close();
}
