import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { meetBrokerIn } from '../../../test/broker.ts';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import type { Principal } from '../../contracts/principal.ts';
import { systemClock, systemRandom, unwrap, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { commitTo } from '../log/entry.ts';
import type { TransparencyLog } from '../log/log.ts';
import { splitEntries } from '../log/tile-files.ts';
import { createPurposes, type Purposes } from '../purposes/index.ts';
import { createCases, type Cases, type OpenRequest } from './cases.ts';
import { seal, unseal } from '../broker/ciphers.ts';

const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
  - { id: old-campaign, title: Campaign, description: A campaign that has ended, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true, ends: 2020-01-01 }
  - { id: air, title: Air quality, description: Readings of air stations, legal_basis: Public task, owner: Office, retention_days: 365 }
`;
const WORKER: Principal = { kind: 'person', id: 'per_1', name: 'Wanda Weiss', positions: ['case_worker', 'operator'], pseudonym: 'p-k3v9' };
const PLAIN = { name: 'Rosalind Resident', email: 'rosalind@resident.example', phone: '+49 30 901820' };
const ASK: OpenRequest = {
  caseId: 'req_1',
  record: 'contact',
  principal: WORKER,
  position: 'case_worker',
  purpose: 'service-requests',
  reason: 'Ask where exactly the lamp is',
  fields: ['phone'],
};

const folder = temporaryFolder();
let handle: DatabaseHandle;
let log: TransparencyLog;
let purposes: Purposes;
let cases: Cases;

const authorize = (principal: Principal): boolean => principal.positions.includes('case_worker');
const make = async (keys = folder): Promise<Cases> => createCases({ handle, clock: systemClock, broker: await meetBrokerIn(keys, log.verifierKey()), log, purposes, authorize, mayLook: (principal, { via }) => authorize(principal) && via !== 'export' });
const sealFor = (caseId: string, plain = PLAIN): Promise<void> => handle.db.transaction().execute((trx) => cases.seal(trx, caseId, 'contact', plain));
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.refusal.code);

beforeAll(async () => {
  handle = await freshDatabase();
  log = await openLogIn(folder, handle);
  purposes = unwrap(await createPurposes({ handle, clock: systemClock, yaml: PURPOSES }));
  cases = await make();
  await sealFor('req_1');
  return () => log.close();
});

test('what the policy forbids for a way of looking is refused, though position, purpose and reason are right', async () => {
  const before = log.size();
  expect(codeOf(await cases.open({ ...ASK, via: 'export' }))).toBe('auth.forbidden');
  expect(log.size()).toBe(before);
});

test('opening shows the named fields and nothing else, after a leaf that commits to who, why and what', async () => {
  const before = log.size();
  const { plain, look } = unwrap(await cases.open(ASK));
  expect(plain).toEqual({ phone: PLAIN.phone });
  expect(look).toMatchObject({ index: before, position: 'case_worker', pseudonym: 'p-k3v9', purpose: 'service-requests', reason: ASK.reason, fields: ['phone'] });
  expect(await cases.looksOf('req_1')).toEqual([look]);

  const [entry] = (splitEntries((await log.readTile({ level: 'entries', index: 0, width: log.size() })) as Uint8Array) as Uint8Array[]).slice(before);
  const leaf = JSON.parse(Buffer.from(entry as Uint8Array).toString('utf8')) as Record<string, unknown>;
  expect(Object.keys(leaf)).toEqual(['caseTag', 'commit', 'kind', 'n', 'position', 'pseudonym', 'purpose', 't', 'v']);
  expect(leaf).toMatchObject({ v: 1, kind: 'look', n: 1, purpose: 'service-requests', position: 'case_worker', pseudonym: 'p-k3v9', t: look.at });
  expect(Buffer.from(entry as Uint8Array).toString('utf8')).not.toMatch(/Wanda|Rosalind|lamp|req_1/);
});

test('without purpose, reason, position or a live purpose for personal data nothing is shown and nothing is logged', async () => {
  const size = log.size();
  const refusals: [Partial<OpenRequest>, string][] = [
    [{ purpose: '' }, 'look.reason-missing'],
    [{ reason: '   x   ' }, 'look.reason-missing'],
    [{ purpose: 'curiosity' }, 'purpose.unknown'],
    [{ purpose: 'old-campaign' }, 'purpose.expired'],
    [{ purpose: 'air' }, 'purpose.unknown'],
    [{ position: 'operator' }, 'auth.forbidden'],
    [{ position: 'supervisor' }, 'auth.forbidden'],
    [{ principal: { ...WORKER, positions: ['administrator'] }, position: 'administrator' }, 'auth.forbidden'],
    [{ fields: [] }, 'http.invalid'],
    [{ caseId: 'req_none' }, 'request.not-found'],
    [{ record: 'other' }, 'request.not-found'],
  ];
  for (const [change, code] of refusals) expect([change, codeOf(await cases.open({ ...ASK, ...change }))]).toEqual([change, code]);
  expect(log.size()).toBe(size);
});

test('while the log cannot be written opening refuses and decrypts nothing; afterwards the numbers have no gap', async () => {
  await sealFor('req_log');
  const ask = { ...ASK, caseId: 'req_log' };
  unwrap(await cases.open(ask));
  const blocked = join(folder, 'log/checkpoint.tmp');
  mkdirSync(blocked);
  // first in doubt (the entry stands in the tree, the checkpoint does not), then plainly not appended
  expect(codeOf(await cases.open(ask))).toBe('look.log-unavailable');
  expect(codeOf(await cases.open(ask))).toBe('look.log-unavailable');
  // the one in doubt does stand in the signed tree, so the resident is told of it although nothing was shown
  expect(await cases.looksOf('req_log')).toHaveLength(2);
  rmSync(blocked, { recursive: true });
  unwrap(await cases.open(ask));
  const looks = await cases.looksOf('req_log');
  const rows = await handle.pool.query<{ n: number; leaf_index: number }>(`select n, leaf_index from look where case_id = 'req_log' order by n`);
  expect(rows.rows.map((row) => row.n)).toEqual([1, 2, 3]);
  expect(looks.map((look) => look.index)).toEqual(rows.rows.map((row) => row.leaf_index));
});

test('fifty looks at once at one case get fifty numbers and fifty leaves', async () => {
  await sealFor('req_many');
  const opened = await Promise.all(Array.from({ length: 50 }, () => cases.open({ ...ASK, caseId: 'req_many' })));
  expect(new Set(opened.map((result) => unwrap(result).look.index)).size).toBe(50);
  const rows = await handle.pool.query<{ n: number }>(`select n from look where case_id = 'req_many' order by n`);
  expect(rows.rows.map((row) => row.n)).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
});

test('a look that a crash left without an index is settled at the next start', async () => {
  await sealFor('req_crash');
  const { look } = unwrap(await cases.open({ ...ASK, caseId: 'req_crash' }));
  await handle.pool.query(`update look set leaf_index = null where case_id = 'req_crash'`);
  await handle.pool.query(`insert into look values ('req_crash', 2, '\\x07', '\\x07', 0, null, now())`);
  const again = await make();
  expect(await again.looksOf('req_crash')).toEqual([look]);
  expect(again.count()).toBe((await handle.pool.query('select from look')).rowCount);
});

test('no plain text stands anywhere in the database', async () => {
  const tables = await handle.pool.query<{ name: string }>(`select quote_ident(tablename) as name from pg_tables where schemaname = 'public'`);
  expect(tables.rows.length).toBeGreaterThan(10);
  for (const { name } of tables.rows) {
    const dump = JSON.stringify((await handle.pool.query(`select t::text as row from ${name} t`)).rows);
    const raw = JSON.stringify((await handle.pool.query(`select encode(convert_to(t::text, 'UTF8'), 'hex') as row from ${name} t`)).rows);
    for (const secret of [...Object.values(PLAIN), 'lamp is']) {
      expect([name, dump.includes(secret)]).toEqual([name, false]);
      expect([name, raw.includes(Buffer.from(secret).toString('hex'))]).toEqual([name, false]);
      // bytea stands as hex inside the text
      expect([name, dump.includes(Buffer.from(secret).toString('hex'))]).toEqual([name, false]);
    }
  }
});

test('a sealed value opens neither under another case nor record nor version nor key', async () => {
  const key = systemRandom(32);
  const sealed = seal(key, ['req_1', 'contact', 1], Buffer.from('x'), systemRandom);
  expect(unseal(key, ['req_1', 'contact', 1], sealed).toString()).toBe('x');
  for (const context of [
    ['req_2', 'contact', 1],
    ['req_1', 'other', 1],
    ['req_1', 'contact', 2],
    ['req_1contact', '', 1],
  ])
    expect(() => unseal(key, context, sealed)).toThrow();
  expect(() => unseal(systemRandom(32), ['req_1', 'contact', 1], sealed)).toThrow();
  await sealFor('req_a');
  await sealFor('req_b', { ...PLAIN, phone: '2' });
  await handle.pool.query(`update sealed_record a set sealed = b.sealed from sealed_record b where a.case_id = 'req_a' and b.case_id = 'req_b'`);
  await expect(cases.open({ ...ASK, caseId: 'req_a' })).rejects.toThrow();
});

test('sealing again replaces the record under the same key', async () => {
  await sealFor('req_twice');
  await sealFor('req_twice', { ...PLAIN, phone: '+33 1' });
  expect(unwrap(await cases.open({ ...ASK, caseId: 'req_twice' })).plain).toEqual({ phone: '+33 1' });
});

test('a shredded case can be read by nobody, its leaves stay, and the log says that it was shredded', async () => {
  await sealFor('req_gone');
  unwrap(await cases.open({ ...ASK, caseId: 'req_gone' }));
  const { records, index } = unwrap(await cases.shred('req_gone'));
  expect(records).toBe(1);
  expect(log.size()).toBe(index + 1);
  expect(codeOf(await cases.open({ ...ASK, caseId: 'req_gone' }))).toBe('key.gone');
  await expect(cases.looksOf('req_gone')).rejects.toMatchObject({ refusals: [{ code: 'key.gone' }] });
  await expect(sealFor('req_gone')).rejects.toMatchObject({ refusals: [{ code: 'key.gone' }] });
  expect(codeOf(await cases.shred('req_gone'))).toBe('key.gone');
  expect((await handle.pool.query(`select record_key, log_key from case_key where case_id = 'req_gone'`)).rows).toEqual([{ record_key: null, log_key: null }]);
});

test('a root key that does not belong to the database stops the start', async () => {
  await expect(make(temporaryFolder())).rejects.toMatchObject({ refusals: [{ code: 'start.key-different' }] });
});

test('the commitment opens with nonce and body and with nothing else', () => {
  const nonce = systemRandom(32);
  expect(commitTo(nonce, { a: 1, b: 2 })).toEqual(commitTo(nonce, { b: 2, a: 1 }));
  expect(commitTo(nonce, { a: 1 })).not.toEqual(commitTo(nonce, { a: 2 }));
  expect(commitTo(systemRandom(32), { a: 1 })).not.toEqual(commitTo(nonce, { a: 1 }));
});
