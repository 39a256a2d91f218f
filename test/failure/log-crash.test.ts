import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';
import { openFolder } from '../../src/trust/log/verify-command.ts';
import { verifyWholeLog } from '../../src/trust/log/verify.ts';

const ROUNDS = 12;
/** An index of some digits, a space, 64 digits, a line break. */
const LINE_BYTES = 70;
const WRITER = fileURLToPath(new URL('./log-writer.ts', import.meta.url));

/** Appends as fast as it can in a process of its own and kills it with SIGKILL after some acknowledgements. */
async function appendUntilKilled(folder: string, database: string, acknowledgements: number): Promise<[index: number, commit: string][]> {
  const { host, port, user } = inject('database');
  const file = join(folder, 'acknowledged');
  rmSync(file, { force: true });
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', WRITER, folder, JSON.stringify({ host, port, user, database }), file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gone = once(child, 'exit');
  while (child.exitCode === null && (!existsSync(file) || statSync(file).size < acknowledgements * LINE_BYTES)) await sleep(2);
  child.kill('SIGKILL');
  expect((await gone)[1]).toBe('SIGKILL');
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => [Number(line.split(' ')[0]), line.split(' ')[1] ?? '']);
}

test(`after each of ${ROUNDS} kill -9 while appending the log verifies and holds every acknowledged entry at its index`, async () => {
  const folder = temporaryFolder();
  const handle = await freshDatabase();
  const { rows } = await handle.pool.query<{ name: string }>('select current_database() as name');
  const acknowledged = new Map<number, string>();
  let checkpoint: Uint8Array | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, commit] of await appendUntilKilled(folder, rows[0]?.name ?? '', 1 + ((round * 389) % 1_700))) {
      expect(acknowledged.has(index)).toBe(false); // an index is given once
      acknowledged.set(index, commit);
    }
    // the next start mends what the kill tore; a start of our own shows it before the folder is checked
    const log = await openLogIn(folder, handle);
    const size = log.size();
    expect(size).toBeGreaterThan(Math.max(...acknowledged.keys()));
    const reader = await openFolder(folder);
    if (!reader) throw new Error('the log is gone');
    const report = await verifyWholeLog(reader, log.verifierKey(), { keyFromElsewhere: true, ...(checkpoint ? { earlier: checkpoint } : {}) });
    expect(report).toMatchObject({ ok: true, size, faults: [] });
    checkpoint = Buffer.from(log.checkpoint());
    for (let first = 0; first < size; first += 256) {
      const width = Math.min(256, size - first);
      const bundle = Buffer.from((await log.readTile({ level: 'entries', index: first / 256, width })) as Uint8Array);
      for (let at = 0, index = first; at < bundle.length; index += 1) {
        const end = at + 2 + bundle.readUInt16BE(at);
        const wanted = acknowledged.get(index);
        if (wanted !== undefined) expect((JSON.parse(bundle.toString('utf8', at + 2, end)) as { commit: string }).commit).toBe(wanted);
        at = end;
      }
    }
    await log.close();
  }
});
