import { beforeEach, expect, test } from 'vitest';
import { createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { readBody } from '../log/log-store.ts';
import type { TransparencyLog } from '../log/log.ts';
import { createGate, openGateLedger, type Gate } from './index.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 10, 2, 10, 20);
let handle: DatabaseHandle;
let nowMs = START_MS;
const clock = { nowMs: () => nowMs };
beforeEach(async () => {
  nowMs = START_MS;
  handle = await freshDatabase();
});

const makeGate = (): Gate => createGate(createMetrics(), nowMs);
const open = (gate: Gate, log: Pick<TransparencyLog, 'appendBody'> | null) => openGateLedger({ handle, clock, logger: silentLogger, gate, log });
const registration = (stream: number) => ({ purpose: 'noise', allows: 'number' as const, min: 0, max: 1, stream });
const hoursInLog = async (): Promise<number> => Number((await handle.pool.query<{ count: string }>("select count(*) from log_body where kind = 'gate.refused'")).rows[0]?.count);

test('an hour has one leaf that commits to every refusal: 500 rows, and the sum of the rest', async () => {
  const log = await openLogIn(temporaryFolder(), handle);
  const gate = makeGate();
  const ledger = await open(gate, log);
  for (let stream = 1; stream <= 620; stream += 1) for (let n = 0; n < (stream <= 20 ? 3 : 1); n += 1) gate.admit(registration(stream), 9);
  await ledger.settle();
  expect(log.size()).toBe(0); // the hour has not ended
  nowMs = Date.UTC(2026, 10, 2, 11, 0, 59);
  await ledger.settle();
  expect(log.size()).toBe(0); // nor the minute that other processes have
  nowMs += 1_000;
  await ledger.settle();
  await ledger.settle();
  expect(log.size()).toBe(1);
  const body = JSON.parse((await readBody(handle.db, 'gate.refused', 0))?.body ?? '') as { hour: string; refused: { stream: number; rule: string; count: number; bytes: number }[]; rest: { rows: number; count: number; bytes: number } };
  expect(body.hour).toBe('2026-11-02T10:00:00.000Z');
  expect(body.refused).toHaveLength(500);
  expect(body.refused[0]).toEqual({ stream: 1, rule: 'out-of-bounds', count: 3, bytes: 3 });
  expect(body.rest).toEqual({ rows: 120, count: 120, bytes: 120 });
  expect(body.refused.reduce((sum, { count }) => sum + count, body.rest.count)).toBe(660);
  await ledger.close();
  await log.close();
});

test('a stop between the leaf and its note does not write the hour twice, not even when the log was not sure of it', async () => {
  const folder = temporaryFolder();
  let log = await openLogIn(folder, handle);
  const gate = makeGate();
  let ledger = await open(gate, log);
  gate.admit(registration(1), 9);
  await ledger.settle();
  nowMs += HOUR_MS;
  await ledger.settle();
  expect([log.size(), await hoursInLog()]).toEqual([1, 1]);
  await ledger.close();
  await log.close();

  await handle.pool.query('delete from gate_refusal_hour');
  log = await openLogIn(folder, handle);
  ledger = await open(gate, log);
  expect([log.size(), await hoursInLog()]).toEqual([1, 1]);
  expect((await handle.pool.query('select leaf::int from gate_refusal_hour')).rows).toEqual([{ leaf: 0 }]);
  await ledger.close();

  // before the log has said where the leaf is, nothing is written; when it is opened again, it knows
  await handle.pool.query('delete from gate_refusal_hour');
  await handle.pool.query('update log_body set leaf_index = null');
  ledger = await open(gate, log);
  expect([log.size(), (await handle.pool.query('select 1 from gate_refusal_hour')).rowCount]).toEqual([1, 0]);
  await ledger.close();
  await log.close();
  log = await openLogIn(folder, handle);
  ledger = await open(gate, log);
  expect([log.size(), (await handle.pool.query('select leaf::int from gate_refusal_hour')).rows]).toEqual([1, [{ leaf: 0 }]]);
  await ledger.close();
  await log.close();
});

test('whoever asks for the sums often does not make the ledger write, and still gets those that wait', async () => {
  const gate = makeGate();
  const ledger = await open(gate, null);
  gate.admit(registration(7), 9);
  let queries = 0;
  const { pool } = handle;
  pool.on('acquire', () => (queries += 1));
  const sums = [{ stream: 7, rule: 'out-of-bounds', count: 1, bytes: 1 }];
  for (let n = 0; n < 200; n += 1) expect(await ledger.read(24)).toEqual(sums);
  expect(queries).toBe(1);
  expect((await pool.query('select 1 from gate_refusal')).rowCount).toBe(0);
  await ledger.settle();
  expect(await ledger.read(24)).toEqual(sums); // stored by now, and counted once
  gate.admit(registration(7), 9);
  expect(await ledger.read(24)).toEqual([{ ...sums[0], count: 2, bytes: 2 }]);
  nowMs += 25 * HOUR_MS;
  expect(await ledger.read(24)).toEqual([]);
  await ledger.close();
});
