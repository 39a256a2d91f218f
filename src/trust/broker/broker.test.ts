import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/log-folder.ts';
import { systemRandom } from '../../kernel/index.ts';
import { encodeLeaf, type Leaf } from '../log/entry.ts';
import { consistencyProof, hashLeaf, inclusionProof, readSubtree, type Hash, type ReadHashes } from '../log/merkle.ts';
import { signCheckpoint, verifierKey } from '../log/note.ts';
import { createBroker, Denied } from './broker.ts';
import { readFrames, writeFrame } from './frames.ts';
import { openJournal, type Journal } from './journal.ts';
import type { CallOf, LookAct, PreparedLook, Protocol, WrappedKeys } from './protocol.ts';
import { openRootKeys } from '../keeper/root-keys.ts';

const ACT: LookAct = { at: '2026-11-24T06:00:00.000Z', position: 'case_worker', pseudonym: 'p-1', department: 'Streets', purpose: 'service-requests', reason: 'Ask where the lamp is', via: 'detail' };
const OPEN = { token: null, passphrase: () => null };
const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** A log in memory with a signing key of its own, of fewer entries than a tile has. */
function growLog(origin = 'city.example/log') {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
  const hashes: Hash[] = [];
  const read: ReadHashes = (level, first, count) => (level === 0 ? Promise.resolve(hashes.slice(first, first + count)) : Promise.reject(new RangeError('one level only')));
  return {
    vkey: verifierKey(origin, raw),
    append: (leaf: Leaf): number => hashes.push(hashLeaf(encodeLeaf(leaf))) - 1,
    size: () => hashes.length,
    checkpoint: async (size = hashes.length) => signCheckpoint({ origin, size, root: await readSubtree(0, size, read) }, { privateKey, publicKey: raw }),
    include: async (index: number, size = hashes.length) => (await inclusionProof(index, size, read)).map(encode),
    consistency: async (from: number, to = hashes.length) => (await consistencyProof(from, to, read)).map(encode),
  };
}

interface Rig {
  readonly broker: Protocol;
  readonly journal: Journal;
  readonly log: ReturnType<typeof growLog>;
  readonly keys: Map<string, WrappedKeys>;
  readonly sealed: Map<string, string>;
  prepare(caseId: string, n: number, act?: Partial<LookAct>): PreparedLook;
  openCall(caseId: string, n: number, look: PreparedLook, index: number): Promise<CallOf<'open'>>;
}

function startRig(folder = temporaryFolder()): Rig {
  const journal = openJournal(join(folder, 'broker'));
  const broker = createBroker({ roots: openRootKeys(join(folder, 'keys'), OPEN), journal, random: systemRandom });
  const log = growLog();
  broker.hello({ vkey: log.vkey });
  const [keys, sealed] = [new Map<string, WrappedKeys>(), new Map<string, string>()];
  for (const caseId of ['req_a', 'req_b']) {
    keys.set(caseId, broker.makeKeys({ caseId, ownerSecret: `secret of ${caseId}` }).keys);
    sealed.set(caseId, broker.seal({ caseId, keys: keys.get(caseId) as WrappedKeys, record: 'contact', recordVersion: 1, plain: { name: `name of ${caseId}`, phone: `phone of ${caseId}` } }).sealed);
  }
  return {
    broker,
    journal,
    log,
    keys,
    sealed,
    prepare: (caseId, n, act = {}) => broker.prepare({ act: { ...ACT, ...act }, items: [{ caseId, keys: keys.get(caseId) as WrappedKeys, record: 'contact', fields: ['phone'], n }] }).looks[0] as PreparedLook,
    openCall: async (caseId, n, look, index) => {
      const from = journal.seen()?.size ?? 0;
      return {
        checkpoint: await log.checkpoint(),
        from,
        consistency: await log.consistency(from),
        items: [{ caseId, keys: keys.get(caseId) as WrappedKeys, record: 'contact', recordVersion: 1, sealed: sealed.get(caseId) as string, look: { n, sealed: look.sealed, index, proof: await log.include(index) } }],
      };
    },
  };
}

const denialOf = (work: () => unknown): string => {
  try {
    work();
    return 'done';
  } catch (error) {
    if (error instanceof Denied) return error.denial;
    throw error;
  }
};
type Item = CallOf<'open'>['items'][number];
const withItem = (call: CallOf<'open'>, change: Partial<Item>): CallOf<'open'> => ({ ...call, items: [{ ...(call.items[0] as Item), ...change }] });
const withLook = (call: CallOf<'open'>, change: Partial<Item['look']>): CallOf<'open'> => withItem(call, { look: { ...(call.items[0] as Item).look, ...change } });

test('a leaf that stands in the signed log opens the fields of its look once, also after a restart', async () => {
  const folder = temporaryFolder();
  const rig = startRig(folder);
  const look = rig.prepare('req_a', 1);
  const index = rig.log.append(look.leaf);
  const call = await rig.openCall('req_a', 1, look, index);
  expect(rig.broker.open(call).plain).toEqual([{ phone: 'phone of req_a' }]);
  expect(denialOf(() => rig.broker.open({ ...call, from: 1, consistency: [] }))).toBe('leaf-spent');
  expect(rig.journal.count()).toBe(1);
  rig.journal.close();
  const journal = openJournal(join(folder, 'broker'));
  const again = createBroker({ roots: openRootKeys(join(folder, 'keys'), OPEN), journal, random: systemRandom });
  expect(again.hello({ vkey: rig.log.vkey })).toMatchObject({ seen: 1, openings: 1 });
  expect(denialOf(() => again.open({ ...call, from: 1, consistency: [] }))).toBe('leaf-spent');
});

test('everything that is not exactly this leaf in exactly this log is refused and opens nothing', async () => {
  const rig = startRig();
  const [first, look, other, twice] = [rig.prepare('req_a', 1), rig.prepare('req_a', 2), rig.prepare('req_b', 1), rig.prepare('req_a', 3)];
  const firstIndex = rig.log.append(first.leaf);
  rig.broker.open(await rig.openCall('req_a', 1, first, firstIndex));
  const index = rig.log.append(look.leaf);
  const otherIndex = rig.log.append(other.leaf);
  const good = await rig.openCall('req_a', 2, look, index);
  const forged = growLog();
  forged.append(look.leaf);
  const otherKeys = rig.keys.get('req_b') as WrappedKeys;
  const wrong: [string, CallOf<'open'>, string][] = [
    ['a leaf that was never appended', withLook(good, { n: 3, sealed: twice.sealed }), 'leaf-not-in-log'],
    ['the proof of another index', withLook(good, { index: otherIndex }), 'leaf-not-in-log'],
    ['a proof that lacks a hash', withLook(good, { proof: (good.items[0] as Item).look.proof.slice(1) }), 'leaf-not-in-log'],
    ['a checkpoint of another key', { ...good, checkpoint: await forged.checkpoint() }, 'log-forked'],
    ['a checkpoint with another root', { ...good, checkpoint: good.checkpoint.replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${encode(systemRandom(32))}\n`) }, 'log-forked'],
    ['an older checkpoint', { ...good, checkpoint: await rig.log.checkpoint(0) }, 'log-older'],
    ['a head that did not grow out of the last one', { ...good, consistency: [encode(systemRandom(32)), encode(systemRandom(32))] }, 'log-forked'],
    ['a claim that the broker saw less', { ...good, from: 0, consistency: [] }, 'log-older'],
    ['the look of another case', withLook(good, { n: 1, sealed: other.sealed, index: otherIndex }), 'key-wrong'],
    ['the number of another look', withLook(good, { n: 1 }), 'key-wrong'],
    ['another record', withItem(good, { record: 'report' }), 'look-wrong'],
    ['the case of another look', withItem(good, { caseId: 'req_b', keys: otherKeys }), 'key-wrong'],
    ['keys of another case', withItem(good, { keys: otherKeys }), 'key-wrong'],
    ['record and log key swapped', withItem(good, { keys: { version: 1, recordKey: (rig.keys.get('req_a') as WrappedKeys).logKey, logKey: (rig.keys.get('req_a') as WrappedKeys).recordKey } }), 'key-wrong'],
    ['the same leaf twice in one call', { ...good, items: [good.items[0] as Item, good.items[0] as Item] }, 'leaf-spent'],
    ['nothing', { ...good, items: [] }, 'malformed'],
  ];
  for (const [what, call, denial] of wrong) expect([what, denialOf(() => rig.broker.open(call))]).toEqual([what, denial]);
  expect(rig.journal.count()).toBe(1);
  // swapped ciphertexts and versions are found only when the record is opened: the leaf is spent, and nothing is shown
  expect(denialOf(() => rig.broker.open(withItem(good, { sealed: rig.sealed.get('req_b') as string })))).toBe('key-wrong');
  expect(denialOf(() => rig.broker.open(good))).toBe('log-older');
  expect(denialOf(() => rig.broker.open({ ...good, from: 3, consistency: [] }))).toBe('leaf-spent');
});

test('a leaf opens its own fields only, whatever the city asks for', async () => {
  const rig = startRig();
  const look = rig.prepare('req_a', 1);
  const call = await rig.openCall('req_a', 1, look, rig.log.append(look.leaf));
  expect(rig.broker.open({ ...call, items: [{ ...(call.items[0] as Item), fields: ['name'] } as Item] }).plain).toEqual([{ phone: 'phone of req_a' }]);
});

test('model: whatever is prepared, appended, opened and replayed, each plain text has a leaf of its own', async () => {
  const step = fc.record({ act: fc.constantFrom('prepare', 'append', 'append', 'open', 'open', 'open', 'replay', 'mix'), pick: fc.nat(1_000), other: fc.nat(1_000), bit: fc.nat(2_000) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const rig = startRig();
      const looks: { caseId: string; n: number; look: PreparedLook; index: number | null; spent: boolean }[] = [];
      const last = new Map<string, number>();
      let plain = 0;
      for (const { act, pick, other, bit } of steps) {
        const chosen = looks[pick % Math.max(looks.length, 1)];
        if (act === 'prepare' || chosen === undefined) {
          const caseId = pick % 2 === 0 ? 'req_a' : 'req_b';
          const n = (last.get(caseId) ?? 0) + 1;
          last.set(caseId, n);
          looks.push({ caseId, n, look: rig.prepare(caseId, n), index: null, spent: false });
          continue;
        }
        if (act === 'append') {
          chosen.index ??= rig.log.append(chosen.look.leaf);
          continue;
        }
        if (rig.log.size() === 0) continue;
        const place = chosen.index ?? pick % rig.log.size();
        let call = await rig.openCall(chosen.caseId, chosen.n, chosen.look, place);
        if (act === 'mix') {
          const sealed = Buffer.from(chosen.look.sealed, 'base64');
          sealed[bit % sealed.length] = (sealed[bit % sealed.length] as number) ^ (1 << bit % 8);
          const foreign = looks[other % looks.length] as (typeof looks)[number];
          call = bit % 2 === 0 ? withLook(call, { sealed: encode(sealed) }) : withLook(call, { sealed: foreign.look.sealed, n: chosen.n });
          if (foreign === chosen && bit % 2 === 1) continue;
        }
        const allowed = act !== 'mix' && chosen.index !== null && !chosen.spent;
        const outcome = denialOf(() => rig.broker.open(call));
        expect(outcome === 'done').toBe(allowed);
        if (allowed) {
          chosen.spent = true;
          plain += 1;
        }
        expect(rig.journal.count()).toBe(plain);
      }
      rig.journal.close();
    }),
    { numRuns: 60 },
  );
});

test('a sealed look says nothing in its leaf, opens on its day and not before, and tells what it committed to', () => {
  const rig = startRig();
  const look = rig.prepare('req_a', 7, { until: '2027-03-01T00:00:00.000Z' });
  expect(Object.keys(look.leaf).sort()).toEqual(['commit', 'kind', 't', 'until']);
  const reveal = { caseId: 'req_a', keys: rig.keys.get('req_a') as WrappedKeys, n: 4, sealed: look.sealed, index: 9 };
  expect(denialOf(() => rig.broker.reveal({ ...reveal, at: '2027-02-28T23:59:59.999Z' }))).toBe('look-wrong');
  expect(denialOf(() => rig.broker.reveal({ ...reveal, caseId: 'req_b', keys: rig.keys.get('req_b') as WrappedKeys, at: '2027-03-02T00:00:00.000Z' }))).toBe('key-wrong');
  const told = rig.broker.reveal({ ...reveal, at: '2027-03-01T00:00:00.000Z' });
  expect(told.leaf).toMatchObject({ kind: 'look', n: 4, opens: 9 });
  expect(JSON.parse(told.body)).toMatchObject({ n: 4, reason: ACT.reason, opens: { index: 9, nonce: look.nonce, body: look.body } });
  expect(denialOf(() => rig.prepare('req_a', 1, { until: '2028-01-01' }))).toBe('malformed');
});

test("the secret of the resident's link opens the resident's own case and no other, without the root key", () => {
  const rig = startRig();
  const { keys, owner } = rig.broker.makeKeys({ caseId: 'req_own', ownerSecret: 's3cret' });
  if (owner === null) throw new Error('no keys for the owner');
  const { sealed } = rig.broker.seal({ caseId: 'req_own', keys, record: 'report', recordVersion: 1, plain: { text: 'my words' } });
  const ask = { caseId: 'req_own', owner, ownerSecret: 's3cret', record: 'report', recordVersion: 1, sealed };
  expect(createBroker({ roots: openRootKeys(temporaryFolder(), OPEN), journal: rig.journal, random: systemRandom }).openOwn(ask).plain).toEqual({ text: 'my words' });
  expect(denialOf(() => rig.broker.openOwn({ ...ask, ownerSecret: 'S3cret' }))).toBe('key-wrong');
  expect(denialOf(() => rig.broker.openOwn({ ...ask, caseId: 'req_a' }))).toBe('key-wrong');
  const { logKey } = rig.broker.ownLogKey(ask);
  expect(logKey).toMatch(/^[0-9a-f]{64}$/);
  expect(rig.broker.makeKeys({ caseId: 'req_x', ownerSecret: null }).owner).toBeNull();
});

test('a torn last line of the journal is dropped, a foreign line and another log are refused', async () => {
  const folder = temporaryFolder();
  const rig = startRig(folder);
  for (let n = 1; n <= 2; n += 1) {
    const look = rig.prepare('req_a', n);
    rig.broker.open(await rig.openCall('req_a', n, look, rig.log.append(look.leaf)));
  }
  rig.journal.close();
  const path = join(folder, 'broker', 'openings');
  truncateSync(path, statSync(path).size - 20);
  const torn = openJournal(join(folder, 'broker'));
  expect([torn.count(), torn.seen()?.size, readFileSync(path, 'utf8').endsWith('\n')]).toEqual([1, 1, true]);
  const broker = createBroker({ roots: openRootKeys(join(folder, 'keys'), OPEN), journal: torn, random: systemRandom });
  expect(denialOf(() => broker.hello({ vkey: growLog().vkey }))).toBe('log-unknown');
  const elsewhere = openJournal(join(folder, 'broker'));
  elsewhere.append([{ index: 5, leafHash: Buffer.alloc(32) }], { size: 6, root: Buffer.alloc(32) });
  expect(() => torn.append([{ index: 6, leafHash: Buffer.alloc(32, 1) }], { size: 7, root: Buffer.alloc(32) })).toThrow(/cannot be continued/);
  appendFileSync(path, 'open nothing\n');
  expect(() => openJournal(join(folder, 'broker'))).toThrow(/damaged/);
});

test('frames come whole however the bytes are cut, and one that is too long ends the reading', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }), async (values, cuts) => {
      const written = new PassThrough();
      for (const value of values) writeFrame(written, value);
      written.end();
      const bytes = Buffer.concat((await written.toArray()) as Buffer[]);
      const stream = new PassThrough();
      const taken: unknown[] = [];
      readFrames(stream, (value) => taken.push(value), (error) => expect.unreachable(error.message));
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = cuts[turn % cuts.length] as number;
        stream.write(bytes.subarray(at, at + size));
        at += size;
      }
      stream.end();
      await new Promise((resolve) => stream.once('end', resolve));
      expect(taken).toEqual(JSON.parse(JSON.stringify(values)));
    }),
    { numRuns: 100 },
  );
  for (const bytes of [Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from('{')])]) {
    const stream = new PassThrough();
    const failed = new Promise<Error>((resolve) => readFrames(stream, () => expect.unreachable('a broken frame was taken'), resolve));
    stream.write(bytes);
    expect(await failed).toBeInstanceOf(Error);
  }
});

test('frames that are not finished end the peer: one that takes too long, and when all together are too many bytes', async () => {
  const begin = (bytes: number): Buffer => {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(16 * 1_048_576);
    return Buffer.concat([head, Buffer.alloc(bytes)]);
  };
  const slow = new PassThrough();
  const late = new Promise<Error>((resolve) => readFrames(slow, () => expect.unreachable('half a frame was taken'), resolve, 20));
  slow.write(begin(5));
  expect((await late).message).toContain('took longer');
  const peers = Array.from({ length: 4 }, () => new PassThrough());
  const failed: string[] = [];
  for (const peer of peers) {
    readFrames(peer, () => expect.unreachable('half a frame was taken'), (error) => failed.push(error.message));
    peer.write(begin(15 * 1_048_576));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(failed).toEqual(['too many bytes of unfinished frames']);
  // what they held is free again when they go
  for (const peer of peers) {
    const closed = once(peer, 'close');
    peer.destroy();
    await closed;
  }
  const next = new PassThrough();
  const taken = new Promise((resolve) => readFrames(next, resolve, (error) => expect.unreachable(error.message)));
  writeFrame(next, { x: 'y'.repeat(8 * 1_048_576) });
  expect(await taken).toHaveProperty('x');
});

/** Files that a program loads: its imports, those of types left out. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type\b)[^;]*? from '(\.[^']+)';$/gm)) loadedBy(join(file, '..', path as string), seen);
  return seen;
}

test('the broker is small: fewer than 500 lines of its own without blanks and comments, and of the others only what checks the log', () => {
  const trust = join(import.meta.dirname, '..');
  const files = [...loadedBy(join(import.meta.dirname, 'main.ts')), join(import.meta.dirname, 'protocol.ts')];
  const own = files.filter((file) => file.startsWith(import.meta.dirname));
  const lines = own.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter((line) => !/^\s*(\/\/.*|\/?\*.*)?$/.test(line)));
  expect(own.length).toBe(7);
  expect(lines.length).toBeLessThan(500);
  const others = files.filter((file) => file.startsWith(trust) && !own.includes(file)).map((file) => file.slice(trust.length + 1)).sort();
  expect(others).toEqual(['log/canonical.ts', 'log/entry.ts', 'log/merkle.ts', 'log/verify-checkpoint.ts', 'log/verify-proofs.ts']);
  expect(files.filter((file) => file.includes('/platform/'))).toEqual([]);
});
