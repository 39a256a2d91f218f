import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ErasureReceipt } from '../../src/contracts/keys.ts';
import type { Principal } from '../../src/contracts/principal.ts';
import { systemClock, unwrap, type Clock, type Result } from '../../src/kernel/index.ts';
import { migrate, openDatabase, silentLogger, startEmbeddedDatabase, type DatabaseHandle, type EmbeddedDatabase } from '../../src/platform/index.ts';
import type { BrokerClient } from '../../src/trust/keys/broker-client.ts';
import { createCases, type Cases, type OpenAct } from '../../src/trust/keys/cases.ts';
import { createRoots } from '../../src/trust/keys/rotation.ts';
import { verifyErase } from '../../src/trust/keys/verify-erase.ts';
import type { TransparencyLog } from '../../src/trust/log/log.ts';
import { createPurposes } from '../../src/trust/purposes/index.ts';
import { meetBrokerIn } from '../broker.ts';
import { openLogIn } from '../log-folder.ts';

const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
`;
const WORKER: Principal = { kind: 'person', id: 'per_1', name: 'Wanda Weiss', positions: ['case_worker'], pseudonym: 'p-k3v9' };
const ACT: OpenAct = { principal: WORKER, position: 'case_worker', purpose: 'service-requests', reason: 'Ask where exactly the lamp is' };
const PLAIN = { name: 'Rosalind Resident-Quillfeather', text: 'The lamp before our house in Quillfeather Lane flickers since Tuesday.' };
const WINDOW_BYTES = 16;
const DAY_MS = 86_400_000;

// a data folder and a database of its own: its files are searched
const folder = mkdtempSync(join(tmpdir(), 'clerestory-erase-'));
let aheadMs = 0;
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
let embedded: EmbeddedDatabase;
let handle: DatabaseHandle;
let log: TransparencyLog;
let broker: BrokerClient;
let cases: Cases;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  embedded = await startEmbeddedDatabase(folder, silentLogger);
  handle = openDatabase(embedded.connection, silentLogger);
  await migrate(handle.db);
  log = await openLogIn(folder, handle);
  broker = await meetBrokerIn(folder, log.verifierKey());
  const purposes = unwrap(await createPurposes({ handle, clock, yaml: PURPOSES }));
  cases = await createCases({ handle, clock, broker, log, purposes, authorize: () => true, mayLook: () => true });
});
afterAll(async () => {
  await log.close();
  await handle.close();
  await embedded.stop();
  rmSync(folder, { recursive: true, force: true });
});

const sealFor = (caseId: string): Promise<void> => handle.db.transaction().execute((trx) => cases.seal(trx, caseId, 'contact', PLAIN, `secret of ${caseId}`));
const openOf = async (caseId: string) => cases.open({ ...ACT, caseId, record: 'contact', fields: ['name', 'text'] });
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.refusal.code);

/** Files below `place` that hold any 16 bytes in a row of one of the values, as they are or as hex. */
function filesWith(place: string, values: readonly Buffer[]): string[] {
  const windows = values.flatMap((value) => Array.from({ length: value.length - WINDOW_BYTES + 1 }, (_, at) => value.subarray(at, at + WINDOW_BYTES)));
  const raw = new Set(windows.map((window) => window.toString('latin1')));
  const hex = new Set(windows.map((window) => window.toString('hex')));
  const begins = new Uint8Array(65_536); // most places of a file are told apart by their first two bytes
  for (const needle of [...raw, ...hex]) begins[needle.charCodeAt(0) * 256 + needle.charCodeAt(1)] = 1;
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => {
      const content = readIfThere(file);
      for (let at = 0; at + WINDOW_BYTES <= content.length; at += 1) {
        if (begins[(content[at] as number) * 256 + (content[at + 1] as number)] === 0) continue;
        if (raw.has(content.toString('latin1', at, at + WINDOW_BYTES)) || hex.has(content.toString('latin1', at, at + 2 * WINDOW_BYTES))) return true;
      }
      return false;
    });
}

/** A running database removes files. */
function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

async function storedOf(caseId: string): Promise<Buffer[]> {
  const keys = await handle.pool.query<Record<string, Buffer>>('select record_key, log_key, owner_record_key, owner_log_key from case_key where case_id = $1', [caseId]);
  const records = await handle.pool.query<{ sealed: Buffer }>('select sealed from sealed_record where case_id = $1', [caseId]);
  return [...Object.values(keys.rows[0] ?? {}), ...records.rows.map(({ sealed }) => sealed)];
}

/** Runs the command as an auditor would. */
async function verify(receipt: ErasureReceipt, options: { key?: string; data?: string[] }): Promise<[number, string]> {
  const file = join(folder, 'receipt-under-test.json');
  writeFileSync(file, JSON.stringify(receipt));
  const lines: string[] = [];
  const code = await verifyErase(file, { ...options, print: (line) => lines.push(line) });
  rmSync(file);
  return [code, lines.join('\n')];
}

test('words and keys of a case stand in no file; after its erasure neither what wrapped and sealed them stands in a table, and the receipt proves it', async () => {
  await sealFor('req_erase');
  await sealFor('req_other');
  unwrap(await openOf('req_erase'));
  await handle.pool.query('checkpoint');
  const plain = Object.values(PLAIN).map((value) => Buffer.from(value));
  const stored = await storedOf('req_erase');
  expect(stored).toHaveLength(5);
  // the search finds what is there, so that it proves something when it finds nothing
  for (const part of ['base', 'pg_wal']) expect([part, filesWith(join(folder, 'postgres', part), stored).length]).not.toEqual([part, 0]);
  expect(filesWith(folder, plain)).toEqual([]);
  const ownKey = unwrap(await cases.ownLogKey('req_erase', 'secret of req_erase'));
  expect(filesWith(folder, [Buffer.from(ownKey, 'hex')])).toEqual([]);
  cpSync(join(folder, 'postgres', 'base'), join(folder, 'copy-of-yesterday'), { recursive: true });

  const { receipt, records } = unwrap(await cases.shred('req_erase'));
  expect(records).toBe(1);
  // tables and write-ahead log
  expect(filesWith(join(folder, 'postgres'), stored)).toEqual([]);
  expect(filesWith(folder, [...plain, Buffer.from(ownKey, 'hex')])).toEqual([]);
  expect((await handle.pool.query(`select from case_token where case_id = 'req_erase'`)).rowCount).toBe(0);

  const key = log.verifierKey();
  const [code, said] = await verify(receipt, { key, data: [join(folder, 'postgres'), join(folder, 'log'), join(folder, 'broker'), join(folder, 'keys')] });
  expect(said).toContain('The receipt holds.');
  expect(code).toBe(0);
  // yesterday's copy holds them still, and the command says where
  const [found, words] = await verify(receipt, { key, data: [join(folder, 'copy-of-yesterday')] });
  expect(found).toBe(1);
  expect(words).toMatch(/FOUND {5}record key in /);
  expect(words).toMatch(/FOUND {5}record in /);
  expect(await verify(receipt, {})).toEqual([0, expect.stringContaining('it came with the receipt')]);
});

test('a receipt that was changed in any part does not hold', async () => {
  await sealFor('req_receipt');
  const { receipt } = unwrap(await cases.shred('req_receipt'));
  const key = log.verifierKey();
  expect((await verify(receipt, { key }))[0]).toBe(0);
  const changed: Partial<ErasureReceipt>[] = [
    { caseTag: '00'.repeat(32) },
    { n: receipt.n + 1 },
    { records: 7 },
    { index: receipt.index + 1 },
    { erasedAt: '2020-01-01T00:00:00.000Z' },
    { nonce: '00'.repeat(32) },
    { body: '{"records":7}', records: 7 },
    { leaf: receipt.leaf.replace('case.shred', 'look') },
    { leaf: '{}' },
    { proof: receipt.proof.replace(/[A-Za-z]/, 'x') },
  ];
  for (const change of changed) expect([change, (await verify({ ...receipt, ...change }, { key }))[0]]).toEqual([change, 1]);
  expect((await verify({ ...receipt, v: 2 as 1 }, { key }))[0]).toBe(2);
  expect((await verify(receipt, { key: 'nonsense' }))[0]).toBe(2);
  expect((await verify(receipt, { data: [join(folder, 'no-such-place')] }))[0]).toBe(2);
});

test('a legal hold keeps a case with its reason until it is lifted', async () => {
  await sealFor('req_held');
  unwrap(await cases.hold('req_held', { reason: 'Court order 7 C 12/26', placedBy: 'p-dpo' }));
  const size = log.size();
  expect(await cases.shred('req_held')).toMatchObject({ ok: false, refusal: { code: 'key.held', detail: expect.stringContaining('7 C 12/26') as string } });
  expect(codeOf(await cases.mayShred('req_held'))).toBe('key.held');
  expect(log.size()).toBe(size);
  unwrap(await openOf('req_held'));
  unwrap(await cases.hold('req_held', null));
  unwrap(await cases.shred('req_held'));
  expect(codeOf(await openOf('req_held'))).toBe('key.gone');
  expect(codeOf(await cases.hold('req_none', null))).toBe('request.not-found');
});

test('the root key is rotated by rewrapping alone, goes on after it was cut off, and the old one goes when its window ends', async () => {
  for (let at = 0; at < 30; at += 1) await sealFor(`req_rotate_${at}`);
  const sealed = async (): Promise<string> => JSON.stringify((await handle.pool.query('select case_id, sealed from sealed_record order by case_id')).rows);
  const before = await sealed();
  const old = await storedOf('req_rotate_1');
  const roots = createRoots({ handle, clock, broker, windowDays: 30 });
  // cut off after the new version was made: cases of both versions open, and the next start goes on
  await broker.call('rotate', { at: new Date(clock.nowMs()).toISOString() });
  expect((await openOf('req_rotate_1')).ok).toBe(true);
  await sealFor('req_rotate_new');
  const { version, rewrapped, destroyed } = await roots.tidy();
  expect([version, destroyed]).toEqual([2, []]);
  expect(rewrapped).toBeGreaterThanOrEqual(30);
  expect(await roots.tidy()).toEqual({ version: 2, rewrapped: 0, destroyed: [] });
  expect((await sealed()).length).toBeGreaterThan(before.length); // one more record, and the others as they were
  expect(await sealed()).toContain(before.slice(1, 200));
  expect(unwrap(await openOf('req_rotate_1')).plain).toEqual(PLAIN);
  expect(unwrap(await cases.openOwn('req_rotate_1', 'secret of req_rotate_1', 'contact'))).toEqual(PLAIN);

  // what the old version wrapped, as it lies in a backup, opens until the window ends and not after
  const wrappedBefore = { version: 1, recordKey: (old[0] as Buffer).toString('base64'), logKey: (old[1] as Buffer).toString('base64') };
  expect((await broker.call('tag', { caseId: 'req_rotate_1', keys: wrappedBefore, n: 1 })).caseTag).toMatch(/^[0-9a-f]{64}$/);
  aheadMs = 31 * DAY_MS;
  expect(await roots.rotate()).toMatchObject({ version: 3, destroyed: [1] });
  aheadMs = 0;
  await expect(broker.call('tag', { caseId: 'req_rotate_1', keys: wrappedBefore, n: 1 })).rejects.toMatchObject({ denial: 'root-missing' });
  expect(unwrap(await openOf('req_rotate_1')).plain).toEqual(PLAIN);
  expect(readdirSync(join(folder, 'keys')).filter((name) => name.startsWith('root'))).toEqual(['root-2.key', 'root-3.key']);
});
