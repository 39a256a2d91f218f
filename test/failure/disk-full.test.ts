import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startTestCity } from '../city.ts';

function mountSmallDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=420m', 'tmpfs', folder]);
  if (status === 0) {
    chmodSync(folder, 0o755);
    return folder;
  }
  rmSync(folder, { recursive: true });
  return null;
}

const disk = mountSmallDisk();
if (disk === null) console.warn('the disk-full tests are skipped: a small disk cannot be mounted without root');

test.skipIf(disk === null)('a full disk refuses the start with a clear message, and the city starts once there is room', async () => {
  const data = disk as string;
  try {
    writeFileSync(join(data, 'ballast'), Buffer.alloc(300 * 1024 * 1024));
    await expect(startTestCity({ data })).rejects.toThrow(/disk is full/);
    rmSync(join(data, 'ballast'));
    const city = await startTestCity({ data });
    expect((await city.call('GET', '/readyz')).status).toBe(200);
    await city.stop();
  } finally {
    spawnSync('umount', ['-l', data]);
    rmSync(data, { recursive: true, force: true });
  }
});
