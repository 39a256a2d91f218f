/**
 * Openings through the key broker on real settings (fsync on, the broker a process of its own): records a second with a leaf each, singly
 * with 1 and 64 callers and 50 at a time, and how long each call waits, beside what the disk itself does in the same run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Principal } from '../src/contracts/principal.ts';
import { systemClock, systemRandom, unwrap } from '../src/kernel/index.ts';
import { createMetrics, silentLogger } from '../src/platform/index.ts';
import { meetBroker } from '../src/trust/keys/broker-client.ts';
import { brokerOptionsOf, DEFAULT_BROKER } from '../src/trust/keys/broker-settings.ts';
import { createCases } from '../src/trust/keys/cases.ts';
import { readOrMakeSigningKey } from '../src/trust/keys/key-files.ts';
import { openLog } from '../src/trust/log/log.ts';
import { createPurposes } from '../src/trust/purposes/index.ts';
import { measureDisk } from './rig/disk.ts';
import { openDatabaseRig } from './rig/sensing.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 10);
const CASES = 500;
const BOUNDS = { single_p99_ms: 1_000 };
const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
`;
const WORKER: Principal = { kind: 'person', id: 'per_1', name: 'Wanda Weiss', positions: ['case_worker'], pseudonym: 'p-k3v9' };
const ACT = { principal: WORKER, position: 'case_worker', purpose: 'service-requests', reason: 'Ask where exactly the lamp is' } as const;

const database = await openDatabaseRig();
const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-broker-'));
try {
  const { handle } = database;
  console.log(`disk      ${Math.round(measureDisk(folder))} writes with fdatasync a second`);
  const log = await openLog({ handle, clock: systemClock, random: systemRandom, logger: silentLogger, metrics: createMetrics(), dataFolder: folder, publicUrl: undefined, signingKey: readOrMakeSigningKey(folder) });
  const broker = await meetBroker({ ...brokerOptionsOf(folder, DEFAULT_BROKER), vkey: log.verifierKey(), logger: silentLogger });
  const purposes = unwrap(await createPurposes({ handle, clock: systemClock, yaml: PURPOSES }));
  const cases = await createCases({ handle, clock: systemClock, broker, log, purposes, authorize: () => true, mayLook: () => true });
  const ids = Array.from({ length: CASES }, (_, at) => `req_${at}`);
  for (const caseId of ids) await handle.db.transaction().execute((trx) => cases.seal(trx, caseId, 'contact', { name: 'Rosalind Resident', phone: '+49 30 901820', text: 'x'.repeat(1_000) }));
  for (const { name, callers, batch } of [
    { name: 'alone', callers: 1, batch: 1 },
    { name: 'by 64', callers: 64, batch: 1 },
    { name: '50 each', callers: 2, batch: 50 },
  ]) {
    const waits: number[] = [];
    const start = performance.now();
    let next = 0;
    await Promise.all(
      Array.from({ length: callers }, async () => {
        while (performance.now() - start < SECONDS * 1_000) {
          const asked = performance.now();
          const items = Array.from({ length: batch }, () => ({ caseId: ids[next++ % CASES] as string, record: 'contact', fields: ['name', 'phone'] }));
          unwrap(await cases.openMany(ACT, items));
          waits.push(performance.now() - asked);
        }
      }),
    );
    const elapsed_s = (performance.now() - start) / 1_000;
    waits.sort((a, b) => a - b);
    const at = (part: number): string => (waits[Math.floor(waits.length * part)] ?? 0).toFixed(1);
    console.log(`${name.padEnd(9)} ${Math.round((waits.length * batch) / elapsed_s)} records with a leaf a second; a call waits p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${(waits.at(-1) ?? 0).toFixed(1)} ms`);
    if (name === 'alone' && Number(at(0.99)) > BOUNDS.single_p99_ms) {
      console.error(`an opening waited longer than ${BOUNDS.single_p99_ms} ms`);
      process.exitCode = 1;
    }
  }
  const { openings } = await broker.refresh();
  console.log(`journal   ${openings} openings, ${cases.count()} looks`);
  if (openings !== cases.count()) {
    console.error('openings in the journal and looks in the log are not of one number');
    process.exitCode = 1;
  }
  await broker.close();
  await log.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
  await database.close();
}
