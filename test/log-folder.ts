import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { systemClock, systemRandom } from '../src/kernel/index.ts';
import { createMetrics, silentLogger, type DatabaseHandle } from '../src/platform/index.ts';
import { readOrMakeSigningKey } from '../src/trust/keys/key-files.ts';
import { openLog, type TransparencyLog } from '../src/trust/log/log.ts';

const folders: string[] = [];
// registered once for the file: a hook that is registered inside a test does not run
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A data folder that goes away after the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-log-'));
  folders.push(folder);
  return folder;
}

export const openLogIn = (dataFolder: string, handle: DatabaseHandle): Promise<TransparencyLog> =>
  openLog({
    handle,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: createMetrics(),
    dataFolder,
    publicUrl: 'http://city.example:8080',
    signingKey: readOrMakeSigningKey(dataFolder),
  });
