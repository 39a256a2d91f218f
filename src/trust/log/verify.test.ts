import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { verifyWholeLog, type LogReader, type LogReport } from './verify.ts';

const MUTATIONS = 200;
const folder = temporaryFolder();
const checkpoints: Buffer[] = [];
let original: ReadonlyMap<string, Buffer>;

beforeAll(async () => {
  const log = await openLogIn(folder, await freshDatabase());
  for (const count of [3, 40, 250, 1, 7]) {
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        log.append({
          kind: 'look',
          t: '2026-11-24T06:00:00.000Z',
          purpose: 'service-requests',
          position: 'case_worker',
          pseudonym: 'p-1',
          caseTag: 'a'.repeat(64),
          n: n + 1,
          commit: n.toString(16).padStart(64, '0'),
        }),
      ),
    );
    checkpoints.push(Buffer.from(log.checkpoint()));
  }
  await log.close();
  const root = join(folder, 'log');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, name))
    .filter((path) => statSync(path).isFile());
  original = new Map(files.map((path) => [relative(root, path), readFileSync(path)]));
});

const check = (files: ReadonlyMap<string, Buffer>, earlier?: Buffer): Promise<LogReport> => {
  const reader: LogReader = { read: (path) => Promise.resolve(files.get(path) ?? null), list: () => Promise.resolve([...files.keys()]) };
  return verifyWholeLog(reader, files.get('vkey')?.toString('utf8') ?? '', { keyFromElsewhere: false, ...(earlier ? { earlier } : {}) });
};

test('the untouched log is whole, earlier partial tiles included', async () => {
  const report = await check(original);
  expect(report).toMatchObject({ ok: true, size: 301, faults: [], kinds: { look: 301 } });
  expect([...original.keys()]).toContain('tile/0/001.p/37');
  expect([...original.keys()]).toContain('tile/0/001.p/38');
});

test(`each of ${MUTATIONS} random changes to the files is found, and the report names a place`, async () => {
  const paths = [...original.keys()].sort();
  const mutation = fc.record({
    path: fc.constantFrom(...paths),
    other: fc.constantFrom(...paths),
    kind: fc.constantFrom('flip', 'flip', 'flip', 'flip', 'truncate', 'append', 'delete', 'swap', 'zero', 'repeat'),
    at: fc.nat(),
    bit: fc.nat({ max: 7 }),
  });
  let tried = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async ({ path, other, kind, at, bit }) => {
      const files = new Map(original);
      const bytes = Buffer.from(original.get(path) as Buffer);
      const place = at % bytes.length;
      if (kind === 'flip') bytes[place] = (bytes[place] as number) ^ (1 << bit);
      const changed =
        kind === 'truncate'
          ? bytes.subarray(0, place)
          : kind === 'append'
            ? Buffer.concat([bytes, Uint8Array.of(bit)])
            : kind === 'zero'
              ? Buffer.alloc(bytes.length)
              : kind === 'repeat'
                ? Buffer.concat([bytes, bytes])
                : bytes;
      if (kind === 'delete') files.delete(path);
      else if (kind === 'swap') {
        files.set(path, original.get(other) as Buffer);
        files.set(other, original.get(path) as Buffer);
      } else files.set(path, changed);
      // not a change of the log: the same bytes, or an earlier partial tile that may be deleted
      fc.pre(![...files].every(([name, content]) => content.equals(original.get(name) as Buffer)) || kind === 'delete');
      fc.pre(!(kind === 'delete' && /\.p\/\d+$/.test(path) && !/\.p\/45$|^tile\/1\//.test(path)));
      // the key file may end in a line break or not
      fc.pre(!(path === 'vkey' && kind === 'truncate' && place === bytes.length - 1));
      tried += 1;
      const report = await check(files);
      expect({ path, kind, ok: report.ok }).toEqual({ path, kind, ok: false });
      expect(report.faults[0]?.path).toBeTruthy();
      expect(report.proved).toEqual([]);
    }),
    { numRuns: MUTATIONS },
  );
  expect(tried).toBeGreaterThanOrEqual(150);
}, 120_000);

test('a checkpoint that somebody kept shows a log that goes on from it, one that went back, and one that is another', async () => {
  expect(await check(original, checkpoints[1])).toMatchObject({ ok: true, proved: expect.arrayContaining([expect.stringContaining('at 43 entries')]) as unknown });
  const rolledBack = await check(new Map(original).set('checkpoint', checkpoints[1] as Buffer), checkpoints[4]);
  expect(rolledBack.faults[0]).toMatchObject({ path: 'checkpoint', detail: expect.stringContaining('301') as unknown });
  const key = original.get('vkey')?.toString('utf8') ?? '';
  expect(key).toContain('city.example:8080/log+');
  const broken = Buffer.from((checkpoints[1] as Buffer).toString('utf8').replace('\n43\n', '\n42\n'));
  expect((await check(original, broken)).faults[0]).toMatchObject({ path: 'the earlier checkpoint' });
});
