import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';

// Debian's golang-go and golang-golang-x-mod-dev bring the reference code; nothing is downloaded.
const SOURCES = '/usr/share/gocode';
const PROGRAM = fileURLToPath(new URL('./log-go/main.go', import.meta.url));
const hasGo = spawnSync('go', ['version']).status === 0 && existsSync(join(SOURCES, 'src/golang.org/x/mod/sumdb/tlog'));

test.skipIf(!hasGo)(
  `the reference code of Go's checksum database accepts the log and rejects a flipped bit${hasGo ? '' : ' (skipped: golang-go and golang-golang-x-mod-dev are not installed)'}`,
  async () => {
    const folder = temporaryFolder();
    const log = await openLogIn(folder, await freshDatabase());
    const program = join(folder, 'log-go');
    const built = spawnSync('go', ['build', '-o', program, PROGRAM], {
      encoding: 'utf8',
      env: { ...process.env, GOPATH: SOURCES, GO111MODULE: 'off', GOFLAGS: '', GOCACHE: join(folder, 'go-cache') },
    });
    expect(built.stderr).toBe('');
    const check = (...more: string[]): { status: number | null; stdout: string } => spawnSync(program, [join(folder, 'log'), log.verifierKey(), ...more], { encoding: 'utf8' });
    const write = (name: string, content: string | Uint8Array): string => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    };
    const older = new Map<number, string>();
    let size = 0;
    for (const count of [0, 1, 254, 1, 1, 300, 700]) {
      await Promise.all(
        Array.from({ length: count }, (_, n) => log.append({ kind: 'look', t: '2026-11-24T06:00:00.000Z', purpose: 'service-requests', commit: n.toString(16).padStart(64, '0') })),
      );
      size += count;
      expect(check()).toMatchObject({ status: 0, stdout: `${size}\n` });
      older.set(size, log.checkpoint());
    }
    for (const index of [0, 255, 256, 1_000, size - 1]) {
      const entry = write('entry', (await log.proveInclusion(index)).entry);
      const proof = await log.tlogProof(index);
      expect(check('proof', write('proof', proof), entry)).toMatchObject({ status: 0 });
      expect(check('proof', write('proof', proof.replace(`index ${index}`, `index ${(index + 7) % size}`)), entry).status).toBe(1);
      expect(check('proof', write('proof', proof), write('entry', '{}')).status).toBe(1);
    }
    // the reference code has no proof from the empty tree
    for (const [from, checkpoint] of [...older].filter(([each]) => each > 0)) {
      const lines = (await log.proveConsistency(from, size)).map((hash) => Buffer.from(hash).toString('base64'));
      expect([from, check('growth', write('older', checkpoint), write('growth', lines.join('\n')))]).toMatchObject([from, { status: 0 }]);
      expect(check('growth', write('older', checkpoint), write('growth', [...lines, Buffer.alloc(32).toString('base64')].join('\n'))).status).toBe(1);
    }
    await log.close();
    for (const path of ['log/tile/0/002', 'log/tile/1/000.p/4', 'log/tile/entries/001', 'log/checkpoint']) {
      const bytes = readFileSync(join(folder, path));
      const changed = Buffer.from(bytes);
      changed[40] = (changed[40] as number) ^ 1;
      writeFileSync(join(folder, path), changed);
      expect([path, check().status]).toEqual([path, 1]);
      writeFileSync(join(folder, path), bytes);
    }
    expect(check().status).toBe(0);
  },
);
