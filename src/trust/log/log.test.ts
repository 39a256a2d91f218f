import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KyselyPlugin } from 'kysely';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { LogFault, type TransparencyLog } from './log.ts';
import { consistencyProof, hashLeaf, inclusionProof } from './merkle.ts';
import { splitEntries } from './tile-files.ts';
import { openFolder, verifyLog } from './verify-command.ts';
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts';
import { verifyWholeLog, type LogReport } from './verify.ts';

const append = (log: TransparencyLog, n: number): Promise<number> => log.append({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') });
const appendMany = (log: TransparencyLog, from: number, count: number): Promise<number[]> => Promise.all(Array.from({ length: count }, (_, n) => append(log, from + n)));

async function check(dataFolder: string): Promise<LogReport> {
  const reader = await openFolder(dataFolder);
  if (!reader) throw new Error('no log');
  return verifyWholeLog(reader, Buffer.from((await reader.read('vkey')) as Uint8Array).toString('utf8'), { keyFromElsewhere: false });
}

const start = async (): Promise<{ folder: string; handle: DatabaseHandle; log: TransparencyLog }> => {
  const [folder, handle] = [temporaryFolder(), await freshDatabase()];
  return { folder, handle, log: await openLogIn(folder, handle) };
};

test('entries get consecutive indexes in order, and the whole log verifies at every step across tile borders and restarts', async () => {
  const { folder, handle, log: first } = await start();
  let log = first;
  expect(await check(folder)).toMatchObject({ ok: true, size: 0 });
  let size = 0;
  for (const count of [1, 254, 1, 1, 255, 300, 1, 4_096]) {
    expect(await appendMany(log, size, count)).toEqual(Array.from({ length: count }, (_, n) => size + n));
    size += count;
    expect(await check(folder)).toMatchObject({ ok: true, size, faults: [] });
    await log.close();
    log = await openLogIn(folder, handle);
    expect(log.size()).toBe(size);
  }
  const root = Buffer.from(log.status(0).root, 'base64');
  const bundle = splitEntries((await log.readTile({ level: 'entries', index: 2, width: 256 })) as Uint8Array) as Uint8Array[];
  const leaf = hashLeaf(bundle[7] as Uint8Array);
  expect(verifyInclusion(leaf, 519, size, await inclusionProof(519, size, log.readHashes), root)).toBe(true);
  const older = await consistencyProof(size, size, log.readHashes);
  expect(verifyConsistency(size, size, root, root, older)).toBe(true);
  expect(await log.find(Buffer.from((300).toString(16).padStart(64, '0'), 'hex'), 0)).toBe(300);
  expect(await log.find(Buffer.alloc(32, 9), 0)).toBeNull();
  await log.close();
});

test('full tiles take the place of partial ones, and only what the checkpoint covers is given out', async () => {
  const { folder, log } = await start();
  await appendMany(log, 0, 200);
  expect(existsSync(join(folder, 'log/tile/0/000.p/200'))).toBe(true);
  expect(await log.readTile({ level: 0, index: 0, width: 201 })).toBeNull();
  await appendMany(log, 200, 60);
  expect(readdirSync(join(folder, 'log/tile/0')).sort()).toEqual(['000', '001.p']);
  expect((await log.readTile({ level: 0, index: 0, width: 256 }))?.length).toBe(8_192);
  expect(await log.readTile({ level: 0, index: 1, width: 256 })).toBeNull();
  await log.close();
});

test('files that an unsigned append left are removed at the next start, and the log goes on', async () => {
  const { folder, handle, log } = await start();
  await appendMany(log, 0, 250);
  await log.close();
  const tile = (path: string, size: number): void => {
    mkdirSync(join(folder, 'log', path, '..'), { recursive: true });
    writeFileSync(join(folder, 'log', path), Buffer.alloc(size, 1));
  };
  tile('tile/0/000.p/255', 100);
  tile('tile/entries/000.p/255', 5);
  tile('tile/0/000', 8_192);
  tile('tile/entries/000', 9);
  tile('tile/0/001.p/3', 96);
  tile('tile/1/000.p/1', 32);
  tile('checkpoint.tmp', 3);
  const before = await check(folder);
  expect(before.ok).toBe(true);
  expect(before.notProved.join()).toMatch('6 files that no checkpoint covers');
  const again = await openLogIn(folder, handle);
  expect(existsSync(join(folder, 'log/tile/0/000'))).toBe(false);
  expect(existsSync(join(folder, 'log/tile/0/001.p/3'))).toBe(false);
  expect(await appendMany(again, 250, 10)).toHaveLength(10);
  expect(await check(folder)).toMatchObject({ ok: true, size: 260 });
  await again.close();
});

test('a checkpoint file that a crash left one step behind is brought up to the database', async () => {
  const { folder, handle, log } = await start();
  await append(log, 0);
  const older = readFileSync(join(folder, 'log/checkpoint'));
  await append(log, 1);
  await log.close();
  writeFileSync(join(folder, 'log/checkpoint'), older);
  const again = await openLogIn(folder, handle);
  expect(again.size()).toBe(2);
  expect(await check(folder)).toMatchObject({ ok: true, size: 2 });
  await again.close();
});

test('it does not start on a rolled-back folder, a different tree, a foreign key, or beside another writer', async () => {
  const { folder, handle, log } = await start();
  await appendMany(log, 0, 20);
  cpSync(join(folder, 'log'), join(folder, 'backup'), { recursive: true });
  await appendMany(log, 20, 20);
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.already-running' }] });
  await log.close();
  const [good, old] = [join(folder, 'good'), join(folder, 'log')];
  renameSync(old, good);

  cpSync(join(folder, 'backup'), old, { recursive: true });
  rmSync(join(old, 'clerestory.lock'), { force: true });
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
  rmSync(old, { recursive: true });
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });

  const other = await openLogIn(join(folder, 'other'), await freshDatabase());
  await appendMany(other, 500, 40);
  await other.close();
  rmSync(old, { recursive: true, force: true });
  cpSync(join(folder, 'other/log'), old, { recursive: true });
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
  await expect(openLogIn(folder, await freshDatabase())).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });

  rmSync(old, { recursive: true, force: true });
  renameSync(good, old);
  renameSync(join(folder, 'keys'), join(folder, 'keys-away'));
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.key-different' }] });
  rmSync(join(folder, 'keys'), { recursive: true });
  renameSync(join(folder, 'keys-away'), join(folder, 'keys'));
  const again = await openLogIn(folder, handle);
  expect(again.size()).toBe(40);
  await again.close();
});

test('a database from an older backup takes the head of the log, as long as the trees agree', async () => {
  const { folder, handle, log } = await start();
  await appendMany(log, 0, 30);
  const { rows } = await handle.pool.query<Record<string, unknown>>('select * from log_head');
  await appendMany(log, 30, 300);
  await log.close();
  const head = rows[0] as { size: number; root: Buffer; checkpoint: string };
  await handle.pool.query('update log_head set size = $1, root = $2, checkpoint = $3', [head.size, head.root, head.checkpoint]);
  const again = await openLogIn(folder, handle);
  expect(again.size()).toBe(330);
  await again.close();
  await handle.pool.query('update log_head set size = 30, root = $1', [Buffer.alloc(32, 4)]);
  await expect(openLogIn(folder, handle)).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
});

test('when its files cannot be written an append fails with nothing appended, and works again afterwards', async () => {
  const { folder, log } = await start();
  await appendMany(log, 0, 3);
  const tiles = join(folder, 'log/tile');
  renameSync(tiles, `${tiles}-away`);
  writeFileSync(tiles, 'in the way');
  const failed = await append(log, 3).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(LogFault);
  expect(failed).toMatchObject({ outcome: 'not-appended' });
  rmSync(tiles);
  renameSync(`${tiles}-away`, tiles);
  expect(await append(log, 4)).toBe(3);
  expect(await check(folder)).toMatchObject({ ok: true, size: 4 });
  await log.close();
});

test('when the checkpoint cannot be written the append fails in doubt, and the next one publishes both', async () => {
  const { folder, log } = await start();
  await append(log, 0);
  mkdirSync(join(folder, 'log/checkpoint.tmp'));
  expect(await append(log, 1).catch((error: unknown) => error)).toMatchObject({ outcome: 'unknown' });
  expect(log.size()).toBe(1);
  expect(await append(log, 2).catch((error: unknown) => error)).toMatchObject({ outcome: 'not-appended' });
  rmSync(join(folder, 'log/checkpoint.tmp'), { recursive: true });
  expect(await append(log, 3)).toBe(2);
  expect(await log.find(Buffer.from('1'.padStart(64, '0'), 'hex'), 0)).toBe(1);
  expect(await check(folder)).toMatchObject({ ok: true, size: 3 });
  await log.close();
});

test.for([{ applied: true }, { applied: false }])(
  'when the database breaks while it takes the head (applied: $applied), the doubt is settled before anything else',
  async ({ applied }) => {
    const [folder, handle] = [temporaryFolder(), await freshDatabase()];
    let broken = false;
    const breaking: KyselyPlugin = {
      transformQuery: ({ node }) => {
        if (broken && !applied) throw new Error('the connection broke before');
        return node;
      },
      transformResult: ({ result }) => (broken ? Promise.reject(new Error('the connection broke after')) : Promise.resolve(result)),
    };
    const log = await openLogIn(folder, { ...handle, db: handle.db.withPlugin(breaking) });
    await append(log, 1);
    broken = true;
    expect(await append(log, 2).catch((error: unknown) => error)).toMatchObject({ outcome: 'unknown' });
    await expect(log.find(Buffer.from('2'.padStart(64, '0'), 'hex'), 0)).rejects.toBeInstanceOf(LogFault);
    expect(await append(log, 3).catch((error: unknown) => error)).toMatchObject({ outcome: 'not-appended' });
    broken = false;
    const found = await Promise.all([1, 2, 3].map(() => log.find(Buffer.from('2'.padStart(64, '0'), 'hex'), 0)));
    expect(found).toEqual(Array(3).fill(applied ? 1 : null));
    expect(await append(log, 4)).toBe(applied ? 2 : 1);
    expect(await check(folder)).toMatchObject({ ok: true, size: applied ? 3 : 2 });
    await log.close();
  },
);

test('a head that somebody else moved in the database stops the writer instead of forking the tree', async () => {
  const { handle, log } = await start();
  await append(log, 0);
  await handle.pool.query('update log_head set size = 7');
  expect(await append(log, 1).catch((error: unknown) => error)).toBeInstanceOf(LogFault);
  expect(log.size()).toBe(1);
  await log.close();
});

test('bodies without a case keep nonce and body beside the leaf, and a crash between the two is settled at the start', async () => {
  const { folder, handle, log } = await start();
  const index = await log.appendBody('register.changed', { version: 1 });
  const stored = await handle.pool.query<{ commitment: Buffer; body: string; leaf_index: number }>('select commitment, body, leaf_index from log_body');
  expect(stored.rows).toEqual([{ commitment: stored.rows[0]?.commitment, body: '{"version":1}', leaf_index: index }]);
  await handle.pool.query('update log_body set leaf_index = null');
  await handle.pool.query(`insert into log_body values ('\\x01', 'x', '\\x02', '{}', 0, null, now())`);
  await log.close();
  const again = await openLogIn(folder, handle);
  expect((await handle.pool.query<{ leaf_index: number }>('select leaf_index from log_body')).rows).toEqual([{ leaf_index: index }]);
  await again.close();
});

test('the command prints what it proved and what it did not, and its exit code says whether the log is whole', async () => {
  const { folder, log } = await start();
  await appendMany(log, 0, 5);
  const run = async (target: string, key?: string): Promise<{ code: number; text: string }> => {
    const lines: string[] = [];
    const code = await verifyLog(target, { print: (line) => lines.push(line), ...(key === undefined ? {} : { key }) });
    return { code, text: lines.join('\n') };
  };
  const whole = await run(folder);
  expect(whole.code).toBe(0);
  expect(whole.text).toMatch(/size {5}5 entries \(5 test\)[\s\S]*The log is whole[\s\S]*Not proved:\n {2}- that the key is the city's/);
  expect((await run(join(folder, 'log'), log.verifierKey())).text).not.toMatch('that the key is');
  expect((await run(join(folder, 'keys'))).code).toBe(2);
  writeFileSync(join(folder, 'log/tile/0/000.p/5'), Buffer.alloc(160));
  const broken = await run(folder);
  expect(broken.code).toBe(1);
  expect(broken.text).toMatch('NOT whole. First fault: tile/0/000.p/5: hash 0');
  await log.close();
});
