import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, inject, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { ANONYMOUS } from '../../contracts/principal.ts';
import { namePlace, readPlace, shiftOf } from '../../contracts/tlog/place.ts';
import { buildHttp, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { createPolicy } from '../policy/policy.ts';
import { registerLogRoutes } from './log-routes.ts';
import { PLACES, TOLD_AGAIN } from './log-store.ts';
import type { TransparencyLog } from './log.ts';
import { restartLog } from './restart.ts';
import { verifyLog } from './verify-command.ts';

const REASON = 'The disk of 20 November was restored from the copy of the day before.';
const append = (log: TransparencyLog, count: number): Promise<number[]> =>
  log.appendMany(Array.from({ length: count }, (_, n) => ({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') })));

async function verify(target: string, options: { key?: string; since?: string } = {}): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await verifyLog(target, { ...options, print: (line) => lines.push(line) });
  return { code, text: lines.join('\n') };
}

/** A log of 40 entries whose folder was restored from a copy with 25: it does not start. `kept` has the checkpoint of 40. */
async function restoreOldCopy(): Promise<{ folder: string; handle: DatabaseHandle; kept: string }> {
  const [folder, handle] = [temporaryFolder(), await freshDatabase()];
  const log = await openLogIn(folder, handle);
  await append(log, 24);
  await log.appendBody('register.changed', { version: 1 });
  cpSync(join(folder, 'log'), join(folder, 'copy'), { recursive: true });
  await append(log, 15);
  const kept = join(folder, 'kept');
  writeFileSync(kept, log.checkpoint());
  await log.close();
  rmSync(join(folder, 'log'), { recursive: true });
  rmSync(join(folder, 'copy/clerestory.lock'));
  renameSync(join(folder, 'copy'), join(folder, 'log'));
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
  return { folder, handle, kept };
}

test('after a rollback a new log begins that names the old one, its last known head and why, and both can be checked', async () => {
  const { folder, handle, kept } = await restoreOldCopy();
  const oldKey = readFileSync(join(folder, 'log/vkey'), 'utf8').trim();
  const said: string[] = [];
  expect(restartLog(folder, { reason: REASON, since: kept, print: (line) => said.push(line) })).toBe(0);
  expect(said.join('\n')).toContain('city.example:8080/log ends with 40 entries and is kept in log-1');
  expect(restartLog(folder, { reason: REASON, print: () => undefined })).toBe(0); // nothing more to do

  let log = await openLogIn(folder, handle);
  expect(log.status(0)).toMatchObject({ origin: 'city.example:8080/log-2', size: 1 });
  // one signing key under another name, and so another key id
  expect(log.verifierKey().split('+')[2]).toBe(oldKey.split('+')[2]);
  expect(log.verifierKey()).not.toBe(oldKey);
  const leaf = JSON.parse(Buffer.from((await log.proveInclusion(0)).entry).toString()) as { kind: string };
  expect(leaf.kind).toBe('log.begin');
  expect(await log.appendBody('register.changed', { version: 2 })).toBe(1);
  const { rows } = await handle.pool.query('select kind, log_number, leaf_index from log_body_old');
  expect(rows).toEqual([{ kind: 'register.changed', log_number: 1, leaf_index: 24 }]);
  // a look that a crash left without a place is found in the old log, one whose leaf was lost is not
  expect(await log.find(Buffer.alloc(32, 0).fill(7, 31), shiftOf(1))).toBe(7 + shiftOf(1));
  expect(await log.find(Buffer.alloc(32, 0).fill(7, 31), 0)).toBeNull();
  expect(await log.find(Buffer.alloc(32, 0).fill(7, 31), 300 + shiftOf(1))).toBeNull();
  expect(await log.find(Buffer.alloc(32, 9), shiftOf(1))).toBeNull();
  await log.close();
  log = await openLogIn(folder, handle);
  expect(log.size()).toBe(2);

  const report = await verify(folder, { key: log.verifierKey() });
  expect(report.code).toBe(0);
  expect(report.text).toContain(`begun anew after city.example:8080/log at 40 entries. Reason given: ${REASON}`);
  expect(report.text).toContain('Its files are NOT whole: checkpoint: the log was longer before: 40 entries');
  expect((await verify(folder, { since: kept, key: log.verifierKey() })).code).toBe(1); // the old checkpoint is not of this log
  expect((await verify(join(folder, 'log-1'), { key: oldKey, since: kept })).code).toBe(1);

  const http = await buildHttp({ logger: silentLogger, authenticate: async () => ANONYMOUS, authorize: createPolicy(null).authorize });
  registerLogRoutes(http, { log, status: () => log.status(0) });
  const address = await http.listen({ host: '127.0.0.1', port: 0 });
  expect((await verify(address, { key: log.verifierKey() })).text).toContain('Its files are NOT whole');
  expect((await verify(`${address}/log/old/1`, { key: oldKey })).code).toBe(0); // what the copy held is in itself right
  for (const path of ['log/old/2/checkpoint', 'log/old/1/clerestory.lock', 'log/old/1/..%2f..%2fkeys%2flog.key', 'log/old/0/vkey', 'log/old/1/tile/0/../0/000'])
    expect([path, (await fetch(`${address}/${path}`)).status]).toEqual([path, 404]);
  await http.close();
  await log.close();

  const opening = readFileSync(join(folder, 'log/begin.json'), 'utf8');
  for (const wrong of [opening.replace('20 November', '21 November'), opening.replace(/"nonce":"./, '"nonce":"x'), '{', '[]', null]) {
    if (wrong === null) rmSync(join(folder, 'log/begin.json'));
    else writeFileSync(join(folder, 'log/begin.json'), wrong);
    const broken = await verify(folder);
    expect([wrong, broken.code, broken.text.includes('First fault: begin.json')]).toEqual([wrong, 1, true]);
  }
});

test('every column that holds the place of a leaf moves with a restart or is told again', async () => {
  const handle = await freshDatabase();
  const { rows } = await handle.pool.query<{ name: string }>(
    `select table_name || '.' || column_name as name from information_schema.columns join pg_class on relname = table_name and relkind in ('r', 'p')
      where table_schema = 'public' and data_type = 'bigint' and column_name ~ '(^|_)(leaf|leaf_index|log_index|of_index)$' order by 1`,
  );
  const moved = [...PLACES, ...TOLD_AGAIN].map(([table, column]) => `${table}.${column}`);
  expect(rows.map(({ name }) => name).sort()).toEqual([...moved, 'log_body.leaf_index', 'log_body_old.leaf_index'].sort());
});

test('places keep the order of the logs and give back log and index', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4_094 }), fc.integer({ min: 0, max: 2 ** 40 - 1 }), (number, index) => {
      const place = index + shiftOf(number);
      expect([Number.isSafeInteger(place), readPlace(place), place < shiftOf(number + 1)]).toEqual([true, { log: number, index }, true]);
      expect(place < 0).toBe(true);
    }),
  );
  expect([readPlace(0), readPlace(17), namePlace(17), namePlace(17 + shiftOf(2))]).toEqual([{ log: null, index: 0 }, { log: null, index: 17 }, '17', '17 of log 2']);
});

test('a log that was whole says so after a restart, a third log names the second, and a new database takes it too', async () => {
  const folder = temporaryFolder();
  let log = await openLogIn(folder, await freshDatabase());
  await append(log, 300);
  await log.close();
  expect(restartLog(folder, { reason: REASON, origin: 'city.example/next', print: () => undefined })).toBe(0);
  const handle = await freshDatabase(); // the database was lost
  log = await openLogIn(folder, handle);
  expect(log.status(0).origin).toBe('city.example/next');
  await log.close();
  expect((await verify(folder)).text).toContain('Its files are whole, up to 300 entries.');
  expect(restartLog(folder, { reason: REASON, print: () => undefined })).toBe(0);
  log = await openLogIn(folder, handle);
  expect(log.status(0).origin).toBe('city.example/next-3');
  expect((await verify(folder)).text).toContain('begun anew after city.example/next at 1 entries');
  await log.close();
});

test('a restart that was cut short at any step goes on where it was', async () => {
  for (const cut of ['before the folder moved', 'after the folder moved', 'before the leaf', 'after the leaf'] as const) {
    const [folder, handle] = [temporaryFolder(), await freshDatabase()];
    let log = await openLogIn(folder, handle);
    await append(log, 3);
    await log.close();
    expect(restartLog(folder, { reason: REASON, print: () => undefined })).toBe(0);
    const restart = join(folder, 'log/restart.json');
    if (cut === 'before the folder moved') {
      const text = readFileSync(restart);
      rmSync(join(folder, 'log'), { recursive: true });
      renameSync(join(folder, 'log-1'), join(folder, 'log'));
      writeFileSync(restart, text);
      expect(restartLog(folder, { reason: REASON, print: () => undefined })).toBe(0);
    } else if (cut === 'after the folder moved') {
      renameSync(restart, join(folder, 'log-1/restart.json'));
      rmSync(join(folder, 'log'), { recursive: true });
      expect(restartLog(folder, { reason: REASON, print: () => undefined })).toBe(0);
    } else {
      const text = readFileSync(restart);
      log = await openLogIn(folder, handle);
      await log.close();
      writeFileSync(restart, text);
      rmSync(join(folder, 'log/begin.json'));
      if (cut === 'before the leaf') {
        await handle.pool.query('delete from log_head');
        await handle.pool.query('delete from log_body');
        for (const path of ['checkpoint', 'tile']) rmSync(join(folder, 'log', path), { recursive: true });
      }
    }
    log = await openLogIn(folder, handle);
    expect([cut, log.size(), existsSync(restart)]).toEqual([cut, 1, false]);
    await log.close();
    expect([cut, (await verify(folder)).text.includes('Its files are whole, up to 3 entries')]).toEqual([cut, true]);
  }
});

test('the command does nothing without a log, a reason or a checkpoint that fits, or while the city runs', async () => {
  const folder = temporaryFolder();
  const said: string[] = [];
  const run = (options: { reason?: string; since?: string; origin?: string } = {}): number => restartLog(folder, { reason: REASON, ...options, print: (line) => said.push(line) });
  expect(run()).toBe(2);
  const log = await openLogIn(folder, await freshDatabase());
  await append(log, 3);
  expect(() => run()).toThrow('held');
  await log.close();
  writeFileSync(join(folder, 'wrong'), readFileSync(join(folder, 'log/checkpoint'), 'utf8').replace('\n3\n', '\n4\n'));
  for (const options of [{ reason: 'short' }, { since: join(folder, 'wrong') }, { since: join(folder, 'absent') }, { origin: 'two words' }, { origin: 'city.example:8080/log' }]) expect(run(options)).toBe(2);
  writeFileSync(join(folder, 'log/checkpoint'), 'nothing');
  expect(run()).toBe(2);
  expect(said.at(-1)).toContain('--since FILE');
  expect(existsSync(join(folder, 'log/checkpoint'))).toBe(true);
  expect(existsSync(join(folder, 'log-1'))).toBe(false);
});

test('of two processes on one folder the second does not start, and goes on after the first is gone', async () => {
  const [folder, handle] = [temporaryFolder(), await freshDatabase()];
  const { rows } = await handle.pool.query<{ name: string }>('select current_database() as name');
  const { host, port, user } = inject('database');
  const acknowledged = join(folder, 'acknowledged');
  const writer = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'test/failure/log-writer.ts', folder, JSON.stringify({ host, port, user, database: rows[0]?.name }), acknowledged],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const gone = once(writer, 'exit');
  await expect.poll(() => existsSync(acknowledged) && readFileSync(acknowledged).length, { timeout: 30_000 }).toBeGreaterThan(0);
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.already-running' }] });
  writer.kill('SIGKILL');
  await gone;
  const log = await openLogIn(folder, handle);
  expect(log.size()).toBeGreaterThan(0);
  await log.close();
});
