import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { manualClock, systemRandom } from '../../kernel/index.ts';
import { createMetrics, silentLogger } from '../../platform/index.ts';
import { readOrMakeSigningKey } from '../keys/key-files.ts';
import type { Leaf } from './entry.ts';
import { LogFault, openLog, type LogHead, type TransparencyLog } from './log.ts';
import { hashLeaf } from './merkle.ts';
import { verifyLog } from './verify-command.ts';
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts';

const leaf = (n: number): Leaf => ({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') });
const leaves = (from: number, count: number): Leaf[] => Array.from({ length: count }, (_, n) => leaf(from + n));
const rootOf = (checkpoint: string): Buffer => Buffer.from(checkpoint.split('\n')[2] ?? '', 'base64');
const line = (name: string, fill: number): string => `— ${name} ${Buffer.alloc(76, fill).toString('base64')}`;

async function withLog(work: (log: TransparencyLog, again: () => Promise<TransparencyLog>, folder: string) => Promise<void>): Promise<void> {
  const [folder, handle] = [temporaryFolder(), await freshDatabase()];
  let log = await openLogIn(folder, handle);
  await work(
    log,
    async () => {
      await log.close();
      return (log = await openLogIn(folder, handle));
    },
    folder,
  );
  await log.close();
}

test('neighbours stand side by side under one head, in every order of single and many', () =>
  withLog(async (log) => {
    const heads: LogHead[] = [];
    const end = log.onHead((head) => heads.push(head));
    expect(await log.appendMany([])).toEqual([]);
    const [one, many, two, full] = await Promise.all([log.append(leaf(0)), log.appendMany(leaves(1, 300)), log.append(leaf(301)), log.appendMany(leaves(302, 4_096))]);
    expect([one, two]).toEqual([0, 301]);
    expect(many).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
    expect(full.at(-1)).toBe(4_397);
    expect(heads.map(({ size }) => size)).toEqual([1, 302, 4_398]);
    expect(heads.at(-1)?.checkpoint).toBe(log.checkpoint());
    end();
    await expect(log.appendMany(leaves(5_000, 4_097))).rejects.toThrow(RangeError);
    await log.append(leaf(9_999));
    expect(heads).toHaveLength(3);
  }));

test('inclusion and consistency are proven in the published tree, also between sizes whose partial tiles are gone', () =>
  withLog(async (log, again) => {
    const checkpoints = new Map<number, string>();
    log.onHead((head) => checkpoints.set(head.size, head.checkpoint));
    for (const [from, count] of [
      [0, 5],
      [5, 250],
      [255, 3],
      [258, 700],
    ] as const)
      await log.appendMany(leaves(from, count));
    const open = await again();
    for (const index of [0, 4, 254, 255, 256, 700, 957]) {
      const proof = await open.proveInclusion(index);
      expect(proof.size).toBe(958);
      expect(verifyInclusion(hashLeaf(proof.entry), index, proof.size, proof.hashes, rootOf(proof.checkpoint))).toBe(true);
      expect((JSON.parse(Buffer.from(proof.entry).toString()) as Leaf).commit).toBe(leaf(index).commit);
    }
    for (const [from, older] of checkpoints)
      for (const [to, newer] of checkpoints)
        if (from <= to) expect(verifyConsistency(from, to, rootOf(older), rootOf(newer), await open.proveConsistency(from, to))).toBe(true);
    for (const [from, to] of [
      [0, 959],
      [6, 5],
      [-1, 5],
      [1.5, 5],
    ] as const)
      await expect(open.proveConsistency(from, to)).rejects.toThrow(RangeError);
    for (const index of [958, -1, 0.5]) await expect(open.proveInclusion(index)).rejects.toThrow(RangeError);
  }));

test('cosignatures stay with their head, the witnessed head goes forward only, and both outlive a restart', () =>
  withLog(async (log, again, folder) => {
    await log.appendMany(leaves(0, 3));
    const bare = log.checkpoint();
    expect(log.witnessed()).toBeNull();
    await log.cosign(3, [line('w1', 1)], false);
    expect(log.checkpoint()).toBe(`${bare}${line('w1', 1)}\n`);
    expect(log.witnessed()).toBeNull();
    await log.cosign(3, [`${line('w2', 2)}\n`, line('w1', 1)], true);
    const both = `${bare}${line('w1', 1)}\n${line('w2', 2)}\n`;
    expect([log.checkpoint(), log.witnessed()]).toEqual([both, { size: 3, checkpoint: both }]);
    let open = await again();
    expect([open.checkpoint(), open.witnessed()]).toEqual([both, { size: 3, checkpoint: both }]);

    await open.append(leaf(3));
    const newest = open.checkpoint();
    expect(newest).not.toContain('w1');
    expect((await open.tlogProof(2)).split('\n\n').slice(1).join('\n\n')).toBe(both);
    expect((await open.tlogProof(3)).split('\n\n').slice(1).join('\n\n')).toBe(newest);
    await open.appendMany(leaves(4, 6));
    // late ones: for a head that is no longer the newest one, and for one older than the witnessed one
    await open.cosign(4, [line('w1', 3)], true);
    expect(open.witnessed()).toEqual({ size: 4, checkpoint: `${newest}${line('w1', 3)}\n` });
    await open.cosign(4, [line('w3', 3)], false);
    await open.cosign(3, [line('w1', 4)], true);
    expect(open.witnessed()).toEqual({ size: 4, checkpoint: `${newest}${line('w1', 3)}\n${line('w3', 3)}\n` });
    expect(open.checkpoint()).not.toContain('w1');
    for (const [size, wrong] of [
      [11, line('w', 1)],
      [4, 'not a line'],
      [4, `${line('w', 1)}\n${line('x', 1)}`],
    ] as const)
      await expect(open.cosign(size, [wrong], true)).rejects.toThrow(RangeError);
    await expect(
      open.cosign(
        4,
        Array.from({ length: 33 }, (_, n) => line(`w${n}`, 1)),
        true,
      ),
    ).rejects.toThrow(RangeError);

    open = await again();
    expect(open.witnessed()?.size).toBe(4);
    const lines: string[] = [];
    expect(await verifyLog(folder, { print: (text) => lines.push(text) })).toBe(0);
    expect(lines.join('\n')).toContain('nothing that stood in the log at 4 entries, which it says that witnesses saw');
  }));

test('a log that is behind what witnesses saw, or another one, does not start and does not verify', () =>
  withLog(async (log, again, folder) => {
    await log.appendMany(leaves(0, 5));
    await log.cosign(5, [line('w1', 1)], true);
    const seen = readFileSync(join(folder, 'log/witnessed'), 'utf8');
    const other = await openLogIn(join(folder, 'other'), await freshDatabase());
    await other.appendMany(leaves(100, 9));
    await other.close();
    writeFileSync(join(folder, 'log/witnessed'), seen.replace('\n5\n', '\n6\n'));
    expect(await verifyLog(folder, { print: () => undefined })).toBe(1);
    await expect(again()).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
    writeFileSync(join(folder, 'log/witnessed'), readFileSync(join(folder, 'other/log/checkpoint')));
    await expect(again()).rejects.toMatchObject({ refusals: [{ code: 'start.log-rolled-back' }] });
    rmSync(join(folder, 'log/witnessed'));
    expect((await again()).witnessed()).toBeNull();
  }));

test('appends that come after the end fail, and cosignatures that wait are written before', () =>
  withLog(async (log) => {
    await log.append(leaf(0));
    const cosigned = log.cosign(1, [line('w1', 1)], true);
    await log.close();
    await cosigned;
    expect(log.witnessed()?.size).toBe(1);
    await expect(log.appendMany([leaf(1)])).rejects.toBeInstanceOf(LogFault);
  }));

test('a clock that jumps back and forth changes the times of leaves and heads, and never the order or the tree', async () => {
  const [folder, handle, clock] = [temporaryFolder(), await freshDatabase(), manualClock(Date.parse('2026-11-24T06:00:00Z'))];
  const open = (): Promise<TransparencyLog> =>
    openLog({ handle, clock, random: systemRandom, logger: silentLogger, metrics: createMetrics(), dataFolder: folder, publicUrl: undefined, signingKey: readOrMakeSigningKey(folder) });
  let log = await open();
  const heads: LogHead[] = [];
  const instants = ['2026-11-24T06:00:00.000Z', '1999-12-31T23:59:59.999Z', '2026-11-24T06:00:01.000Z', '2099-01-01T00:00:00.000Z', '2026-11-24T06:00:02.000Z'];
  log.onHead((head) => heads.push(head));
  for (const [at, instant] of instants.entries()) {
    clock.set(Date.parse(instant));
    expect(await log.appendBody('test', { at })).toBe(at);
  }
  expect(heads.map(({ size, at }) => [size, at.toISOString()])).toEqual(instants.map((instant, at) => [at + 1, instant]));
  clock.set(Date.parse('1999-01-01T00:00:00Z'));
  await log.close();
  log = await open();
  expect(log.size()).toBe(5);
  const times = await Promise.all(instants.map(async (_, at) => (JSON.parse(Buffer.from((await log.proveInclusion(at)).entry).toString()) as Leaf).t));
  expect(times).toEqual(instants);
  await log.close();
  expect(await verifyLog(folder, { print: () => undefined })).toBe(0);
});
