import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import type { AccessFile } from '../../src/contracts/tlog/access.ts';
import { namePlace, readPlace, shiftOf } from '../../src/contracts/tlog/place.ts';
import { findRunningDatabase } from '../../src/platform/index.ts';
import { makeDataFolder, ROOT, runCli, startTestCity, type TestCity } from '../city.ts';

// A whole city whose log had to be begun anew: it goes on, and what its tables say of the old log can still be checked.

const REASON = 'The disk of 20 November was restored from the copy of the day before.';
const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
let city: TestCity | undefined;
afterAll(async () => {
  await city?.stop();
  rmSync(data, { recursive: true, force: true });
});

const at = (): TestCity => {
  if (city === undefined) throw new Error('the city does not run');
  return city;
};
const restart = (...more: string[]): string => {
  const { status, stdout, stderr } = runCli(['log', 'restart', '--reason', REASON, ...more], { CLERESTORY_DATA: data });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
};

async function look(id: string, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) {
    const seen = await at().call('POST', `/api/requests/${id}/contact`, { token: at().token('case_worker'), body: { purpose: 'service-requests', reasonCode: 'locate_fault', reason: `Asking for the exact place ${n}` } });
    expect(seen.status, `${seen.text}\n${at().output()}`).toBe(200);
  }
}

/** The resident's own file, and what `verify access` says of it with the log itself. */
async function checkFile(token: string): Promise<{ file: AccessFile; status: number | null; stdout: string }> {
  const { status, text } = await at().call('GET', `/api/portal/requests/${token}/looks`);
  expect(status, text).toBe(200);
  const path = join(data, 'looks.json');
  writeFileSync(path, text);
  const vkey = (await at().call('GET', '/log/vkey')).text.trim();
  const { status: code, stdout } = runCli(['verify', 'access', path, '--key', vkey, '--log', at().url], {});
  return { file: JSON.parse(text) as AccessFile, status: code, stdout };
}

async function query(text: string): Promise<void> {
  const connection = findRunningDatabase(data);
  if (connection === null) throw new Error('the database does not run');
  const client = new pg.Client(connection);
  await client.connect();
  await client.query(text);
  await client.end();
}

async function places(): Promise<Map<string, number[]>> {
  const connection = findRunningDatabase(data);
  if (connection === null) throw new Error('the database does not run');
  const client = new pg.Client(connection);
  await client.connect();
  const { rows } = await client.query<{ table: string; column: string }>(
    `select table_name as "table", column_name as "column" from information_schema.columns where table_schema = 'public' and data_type = 'bigint' and column_name in ('leaf', 'leaf_index', 'log_index', 'of_index', 'proposed_leaf', 'decided_leaf', 'ended_leaf') and table_name not in ('log_body', 'log_body_old')`,
  );
  const found = new Map<string, number[]>();
  for (const { table, column } of rows) {
    const { rows: held } = await client.query<{ place: string }>(`select "${column}" as place from "${table}" where "${column}" is not null order by 1`);
    found.set(`${table}.${column}`, held.map(({ place }) => Number(place)));
  }
  await client.end();
  return found;
}

test('after a restart of a whole log looks go on, and the resident can check all of them, old and new', { timeout: 600_000 }, async () => {
  city = await startTestCity({ data });
  const filed = await at().call('POST', '/api/portal/requests', { body: { service_code: 'street-light', point: [-56.187, -34.906], answers: { FAULT: 'out' }, description: 'It is dark here', name: 'Anna Tester', phone: '0251 123456' } });
  expect(filed.status, filed.text).toBe(201);
  const { requestId: id, token } = filed.json as { requestId: string; token: string };
  await look(id, 3);
  const before = await places();
  expect(before.get('look.leaf_index')).toHaveLength(3);
  expect(await checkFile(token)).toMatchObject({ status: 0 });
  // as a crash between leaf and table leaves it
  await query('update look set leaf_index = null where n = 3');
  await at().stop();

  expect(restart()).toContain('kept in log-1');
  city = await startTestCity({ data });
  await look(id, 2); // their indexes were taken in the old log
  const first = await checkFile(token);
  expect(first.status, first.stdout).toBe(0);
  expect(first.stdout).toContain('numbered from 1 without a gap');
  expect(first.stdout).toContain('the log holds no other look at this report');
  expect(first.file.entries.map(({ proof }) => proof.includes('-2\n'))).toEqual([false, false, false, true, true]);
  expect(first.file.oldVkeys).toHaveLength(1);

  // every place that was written before names the old log now, or was told again; nothing points at a leaf of the new one by mistake
  const after = await places();
  for (const [column, held] of before) {
    const now = after.get(column) ?? [];
    if (column.endsWith('.log_index')) expect([column, now.every((place) => place >= 0), now.length]).toEqual([column, true, held.length]);
    else expect([column, now.filter((place) => place < 0).map((place) => readPlace(place).index)]).toEqual([column, held]);
  }
  const old = after.get('look.leaf_index')?.[0] ?? 0;
  expect(namePlace(old)).toBe(`${before.get('look.leaf_index')?.[0] ?? ''} of log 1`);
  expect(old).toBe((before.get('look.leaf_index')?.[0] ?? 0) + shiftOf(1));
  const proof = await at().call('GET', `/log/old/1/proof/${readPlace(old).index}`);
  expect(proof.text).toBe(first.file.entries[0]?.proof);
  expect((await at().call('GET', '/log/old/1/proof/999999')).status).toBe(404);
  expect((await at().call('GET', '/log/old/7/proof/0')).status).toBe(404);

  // pages and the register know the new log
  for (const page of [`/r/${token}`, '/trust/log', '/trust/purposes']) expect([page, (await at().call('GET', page)).status]).toEqual([page, 200]);
  expect((await at().call('GET', `/r/${token}`)).text).toContain('of log 1');
  const purpose = runCli(['verify', 'purpose', at().url], {});
  expect(purpose.status, purpose.stdout).toBe(0);

  // a log folder of yesterday: it does not start, the restart names what was lost, and the lost looks are told as lost
  await at().stop();
  cpSync(join(data, 'log'), join(data, 'copy'), { recursive: true });
  city = await startTestCity({ data });
  await look(id, 2);
  const kept = join(data, 'kept');
  writeFileSync(kept, (await at().call('GET', '/log/checkpoint')).text);
  await at().stop();
  rmSync(join(data, 'log'), { recursive: true });
  renameSync(join(data, 'copy'), join(data, 'log'));
  const refused = await startTestCity({ data }).then(() => 'it started', String);
  expect(refused).toContain('The transparency log cannot go on');
  expect(restart('--since', kept)).toContain('kept in log-2');
  city = await startTestCity({ data });
  await look(id, 1);
  const second = await checkFile(token);
  expect(second.file.entries.map(({ leaf }) => leaf === '')).toEqual([false, false, false, false, false, true, true, false]);
  expect(second.status, second.stdout).toBe(1);
  expect(second.stdout.match(/The log that held this look was lost/g)).toHaveLength(2);
  expect(second.stdout.match(/^right/gm)).toHaveLength(6);
  const whole = runCli(['verify', 'log', data], {});
  expect([whole.status, whole.stdout.includes('NOT whole'), whole.stdout.includes(REASON)]).toEqual([0, true, true]);
  expect(readFileSync(join(data, 'log-1', 'vkey'), 'utf8').trim()).toBe(second.file.oldVkeys?.[0]);
  expect(spawnSync('ls', [join(data, 'log-2')], { encoding: 'utf8' }).stdout).toContain('checkpoint');
});
