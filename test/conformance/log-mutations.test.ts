import { createHash, generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';
import { emptyRoot, extendEdge, EMPTY_EDGE, hashLeaf, rootOf } from '../../src/trust/log/merkle.ts';
import { openCheckpoint, signCheckpoint } from '../../src/trust/log/note.ts';
import { joinEntries, splitEntries } from '../../src/trust/log/tile-files.ts';
import { verifyWholeLog, type LogReport } from '../../src/trust/log/verify.ts';

type Files = ReadonlyMap<string, Buffer>;
interface Sample {
  readonly files: Files;
  /** The folder as it was at an earlier head. */
  readonly before: Files;
  readonly key: string;
  readonly size: number;
}

const MUTATIONS = Number(process.env.LOG_MUTATIONS ?? 10_000);
/** Of the large log; the small one has the same classes of files and takes the rest. */
const LARGE_SHARE = 0.02;
const SEED = Number(process.env.LOG_SEED ?? Date.now() % 2 ** 31);

let random = (_below: number): number => 0;
/** xorshift32 of Marsaglia, so that a seed gives the run again. */
function startRandom(seed: number): void {
  let state = seed | 1;
  random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function readFolder(folder: string): Files {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile());
  return new Map(paths.filter((name) => name !== 'clerestory.lock').map((name) => [relative('.', name), readFileSync(join(folder, name))]));
}

async function makeSample(counts: readonly number[]): Promise<Sample> {
  const folder = temporaryFolder();
  const log = await openLogIn(folder, await freshDatabase());
  let [size, before]: [number, Files] = [0, new Map()];
  for (const [at, count] of counts.entries()) {
    if (at === counts.length - 1) before = readFolder(join(folder, 'log'));
    await log.appendMany(
      Array.from({ length: count }, (_, n) => ({
        kind: 'look',
        t: '2026-11-24T06:00:00.000Z',
        purpose: 'service-requests',
        position: 'case_worker',
        pseudonym: 'p-1',
        caseTag: createHash('sha256').update(`${size + n}`).digest('hex'),
        n: n + 1,
        commit: createHash('sha256').update(`${n} ${size}`).digest('hex'),
      })),
    );
    size += count;
    if (at === counts.length - 2) await log.cosign(size, [`— w.example ${Buffer.alloc(76, 9).toString('base64')}`], true);
  }
  const key = log.verifierKey();
  await log.close();
  return { files: readFolder(join(folder, 'log')), before, key, size };
}

let small: Sample;
let large: Sample;
beforeAll(async () => {
  small = await makeSample([3, 40, 250, 1, 7]);
  large = await makeSample([1, 4_000, 300, 21]);
}, 120_000);

const check = ({ key }: Sample, files: Files, earlier?: Uint8Array): Promise<LogReport> =>
  verifyWholeLog({ read: (path) => Promise.resolve(files.get(path) ?? null), list: () => Promise.resolve([...files.keys()]) }, key, {
    keyFromElsewhere: true,
    ...(earlier ? { earlier } : {}),
  });

const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;

/** Files of a class are as likely as those of another, however many there are. */
function pickPath(files: Files): string {
  const classes = new Map<string, string[]>();
  for (const path of files.keys()) {
    const name = path.replace(/\/(?:x\d{3}\/)*\d{3}/, '/N').replace(/\.p\/\d+$/, '.p');
    classes.set(name, [...(classes.get(name) ?? []), path]);
  }
  return pick(pick([...classes.values()]));
}

const MUTATION_KINDS = ['flip', 'flip', 'flip', 'remove', 'insert', 'truncate', 'lengthen', 'zero', 'swap', 'reorder', 'replay', 'delete', 'forge-key', 'forge-origin', 'rebuild'] as const;
type Kind = (typeof MUTATION_KINDS)[number];

const stranger = generateKeyPairSync('ed25519');
const strangerKey = { privateKey: stranger.privateKey, publicKey: Buffer.from(stranger.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url') };

/** Gives the changed files; the same ones when this kind does not change anything there. */
function mutate({ files, before, key }: Sample, kind: Kind): { path: string; files: Files } {
  const path = pickPath(files);
  const bytes = files.get(path) as Buffer;
  const place = random(bytes.length);
  const replace = (next: Buffer, at = path): { path: string; files: Files } => ({ path: at, files: new Map(files).set(at, next) });
  switch (kind) {
    case 'flip':
      return replace(Buffer.from(bytes.map((byte, at) => (at === place ? byte ^ (1 << random(8)) : byte))));
    case 'remove':
      return replace(Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1)]));
    case 'insert':
      return replace(Buffer.concat([bytes.subarray(0, place), Buffer.of(random(256)), bytes.subarray(place)]));
    case 'truncate':
      return replace(bytes.subarray(0, place));
    case 'lengthen':
      return replace(Buffer.concat([bytes, Buffer.of(random(256))]));
    case 'zero':
      return replace(Buffer.alloc(bytes.length));
    case 'swap': {
      const other = pickPath(files);
      return { path, files: new Map(files).set(path, files.get(other) as Buffer).set(other, bytes) };
    }
    case 'reorder': {
      const bundle = pick([...files.keys()].filter((name) => name.startsWith('tile/entries/')));
      const entries = splitEntries(files.get(bundle) as Buffer) as Uint8Array[];
      const [a, b] = [random(entries.length), random(entries.length)];
      return replace(Buffer.from(joinEntries(entries.with(a, entries[b] as Uint8Array).with(b, entries[a] as Uint8Array))), bundle);
    }
    case 'replay':
      return replace(pick([...before.values()]));
    case 'delete': {
      const next = new Map(files);
      next.delete(path);
      return { path, files: next };
    }
    case 'forge-key':
    case 'forge-origin': {
      const [origin, size, root] = (files.get('checkpoint') as Buffer).toString('utf8').split('\n') as [string, string, string];
      const head = { origin: kind === 'forge-origin' ? `other.example/${random(1_000)}` : origin, size: Number(size), root: Buffer.from(root, 'base64') };
      return replace(Buffer.from(signCheckpoint(head, strangerKey)), pick(['checkpoint', 'witnessed']));
    }
    case 'rebuild': {
      // a whole other tree, right in itself, under a head that the keeper of the log did not sign
      const name = pick([...files.keys()].filter((each) => each.startsWith('tile/entries/')));
      const entries = splitEntries(files.get(name) as Buffer) as Uint8Array[];
      entries[random(entries.length)] = Buffer.from(`{"commit":"${'0'.repeat(64)}","kind":"look","t":"2026-11-24T06:00:00.000Z","v":1}`);
      const leaves = entries.map(hashLeaf);
      const root = rootOf(extendEdge(EMPTY_EDGE, leaves).edge);
      const forged = signCheckpoint({ origin: key.split('+')[0] as string, size: entries.length, root: entries.length === 0 ? emptyRoot() : root }, strangerKey);
      const only = new Map([
        ['checkpoint', Buffer.from(forged)],
        [entries.length === 256 ? 'tile/entries/000' : `tile/entries/000.p/${entries.length}`, Buffer.from(joinEntries(entries))],
        [entries.length === 256 ? 'tile/0/000' : `tile/0/000.p/${entries.length}`, Buffer.concat(leaves)],
      ]);
      return { path: 'everything', files: only };
    }
  }
}

const isSame = (a: Files, b: Files): boolean => a.size === b.size && [...a].every(([path, bytes]) => b.get(path)?.equals(bytes));

/** What is no damage to the log: copies of partial tiles of earlier heads may go away, and so may files that say less than the checkpoint. */
function mayGo(sample: Sample, path: string): boolean {
  const partial = /^tile\/(entries|\d+)\/(.+)\.p\/(\d+)$/.exec(path);
  const hashes = partial?.[1] === 'entries' || partial?.[1] === '0' ? sample.size : Math.floor(sample.size / 256);
  return path === 'witnessed' || path === 'vkey' || (partial !== null && Number(partial[3]) !== hashes % 256);
}

/** Whether only the signatures of others changed, which nobody can judge who does not know their keys (C2SP signed-note: to be ignored). */
function onlyForeignSignatures({ files, key }: Sample, changed: Files): boolean {
  const publicKey = Buffer.from(key.split('+').slice(2).join('+'), 'base64').subarray(1);
  const origin = key.split('+')[0] as string;
  const opens = (text: string): string => JSON.stringify(openCheckpoint(text, origin, publicKey));
  return [...new Set([...files.keys(), ...changed.keys()])].every((path) => {
    const [was, is] = [files.get(path), changed.get(path)];
    if (was !== undefined && is?.equals(was)) return true;
    return path === 'witnessed' && is !== undefined && opens(is.toString('utf8')) !== 'null' && opens(is.toString('utf8')) === opens((was ?? is).toString('utf8'));
  });
}

test(`each of ${MUTATIONS} changes to the files of a log is found (seed ${SEED})`, { timeout: 600_000 }, async () => {
  startRandom(SEED);
  const tried = new Map<string, number>();
  for (const sample of [small, large]) expect(await check(sample, sample.files)).toMatchObject({ ok: true, faults: [] });
  for (let count = 0; count < MUTATIONS;) {
    const sample = random(1_000) < LARGE_SHARE * 1_000 ? large : small;
    const kind = pick(MUTATION_KINDS);
    const { path, files } = mutate(sample, kind);
    if (isSame(files, sample.files) || (kind === 'delete' && mayGo(sample, path)) || onlyForeignSignatures(sample, files)) continue;
    const report = await check(sample, files);
    if (kind === 'replay' && report.ok && isReplayOfHead(sample, files)) continue; // the next test
    expect({ seed: SEED, count, kind, path, ok: report.ok, proved: report.proved }).toEqual({ seed: SEED, count, kind, path, ok: false, proved: [] });
    expect(report.faults[0]?.path).toBeTruthy();
    tried.set(kind, (tried.get(kind) ?? 0) + 1);
    count += 1;
  }
  if (MUTATIONS >= 1_000) expect([...tried.keys()].sort()).toEqual([...new Set(MUTATION_KINDS)].sort());
});

/** An older head of the same log over the same files is a log that holds, only shorter. */
const isReplayOfHead = ({ files, before }: Sample, changed: Files): boolean =>
  changed.get('checkpoint')?.equals(before.get('checkpoint') as Buffer) === true && [...files].every(([path, bytes]) => path === 'checkpoint' || changed.get(path)?.equals(bytes));

test('a whole older log is found by a checkpoint that somebody kept, and not without one', async () => {
  for (const sample of [small, large]) {
    const kept = sample.files.get('checkpoint') as Buffer;
    expect(await check(sample, sample.before)).toMatchObject({ ok: true });
    const report = await check(sample, sample.before, kept);
    expect(report.ok).toBe(false);
    expect(report.faults[0]?.detail).toContain('the log was longer before');
    const oldHead = new Map(sample.files).set('checkpoint', sample.before.get('checkpoint') as Buffer);
    expect(await check(sample, oldHead, kept)).toMatchObject({ ok: false });
  }
});
