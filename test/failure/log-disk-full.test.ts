import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';
import { LogFault } from '../../src/trust/log/log.ts';
import { openFolder } from '../../src/trust/log/verify-command.ts';
import { verifyWholeLog } from '../../src/trust/log/verify.ts';

const folder = temporaryFolder();
const disk = join(folder, 'log');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status === 0;
afterAll(() => {
  if (mounted) spawnSync('umount', [disk]);
});

test.skipIf(!mounted)(
  `on a full disk appends fail and the log stays whole; with space again it goes on${mounted ? '' : ' (skipped: this user may not mount a small disk)'}`,
  async () => {
    const ballast = join(disk, 'ballast');
    const log = await openLogIn(folder, await freshDatabase());
    const append = (n: number): Promise<number> => log.append({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') });
    const check = async (): Promise<unknown> => {
      const reader = await openFolder(folder);
      return (
        reader &&
        verifyWholeLog({ read: (path) => reader.read(path), list: async () => (await reader.list())?.filter((path) => path !== 'ballast') ?? null }, log.verifierKey(), {
          keyFromElsewhere: true,
        })
      );
    };
    writeFileSync(ballast, Buffer.alloc(100_000));
    const acknowledged: number[] = [];
    let fault: unknown = null;
    for (let n = 0; fault === null && n < 5_000; n += 1) {
      await append(n).then(
        (index) => acknowledged.push(index),
        (error: unknown) => (fault = error),
      );
    }
    expect(fault).toBeInstanceOf(LogFault);
    expect(acknowledged).toEqual(Array.from({ length: acknowledged.length }, (_, n) => n));
    await expect(append(5_000)).rejects.toBeInstanceOf(LogFault);
    expect(await check()).toMatchObject({ ok: true, size: acknowledged.length });
    // of many that come together all fail, and no head that has some of them is shown
    const many = log.appendMany(Array.from({ length: 300 }, (_, n) => ({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: (6_000 + n).toString(16).padStart(64, '0') })));
    await expect(many).rejects.toBeInstanceOf(LogFault);
    expect(log.size()).toBe(acknowledged.length);
    expect(await check()).toMatchObject({ ok: true, size: acknowledged.length });
    await expect(log.proveInclusion(acknowledged.length)).rejects.toBeInstanceOf(RangeError);
    await expect(log.cosign(log.size(), [`— w.example ${Buffer.alloc(20_000, 1).toString('base64')}`], true)).rejects.toThrow('ENOSPC');
    expect(log.witnessed()).toBeNull();
    rmSync(ballast);
    expect(await append(5_001)).toBeGreaterThanOrEqual(acknowledged.length);
    expect(await check()).toMatchObject({ ok: true, size: log.size() });
    await log.close();
  },
);
