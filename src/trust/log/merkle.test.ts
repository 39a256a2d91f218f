import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { consistencyProof, EMPTY_EDGE, extendEdge, hashLeaf, inclusionProof, rootOf, TILE_WIDTH, type Hash, type ReadHashes } from './merkle.ts';
import { verifyConsistency, verifyInclusion } from './verify-proofs.ts';

const sha = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

// RFC 6962 §2.1 word for word.
function naiveRoot(entries: readonly Uint8Array[]): Buffer {
  if (entries.length === 0) return sha();
  if (entries.length === 1) return sha(Uint8Array.of(0), entries[0] as Uint8Array);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return sha(Uint8Array.of(1), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k)));
}

const SIZES = 300;
const LONG_MS = 120_000;
const entries = Array.from({ length: 1_000 }, (_, n) => Buffer.from(`entry ${n}`));
const roots = Array.from({ length: SIZES + 1 }, (_, size) => naiveRoot(entries.slice(0, size)));

/** The tiles of a tree built in steps, as a reader of hashes. */
function build(steps: readonly number[]): { root: Hash; read: ReadHashes } {
  const tiles = new Map<string, readonly Hash[]>();
  let edge = EMPTY_EDGE;
  for (const step of steps) {
    const grown = extendEdge(edge, entries.slice(edge.size, edge.size + step).map(hashLeaf));
    for (const { level, index, hashes } of grown.changes) tiles.set(`${level}/${index}`, hashes);
    edge = grown.edge;
  }
  const read: ReadHashes = (level, first, count) => {
    const tile = tiles.get(`${level}/${Math.floor(first / TILE_WIDTH)}`) ?? [];
    const found = tile.slice(first % TILE_WIDTH, (first % TILE_WIDTH) + count);
    expect(found).toHaveLength(count);
    return Promise.resolve(found);
  };
  return { root: rootOf(edge), read };
}

test('the root of every size to 300 is the one of the textbook, however the entries came in', () => {
  for (let size = 0; size <= SIZES; size += 1) expect(build([size]).root).toEqual(roots[size]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 }), (steps) => {
      const size = Math.min(
        entries.length,
        steps.reduce((a, b) => a + b, 0),
      );
      expect(Buffer.from(build(steps).root)).toEqual(naiveRoot(entries.slice(0, size)));
    }),
    { numRuns: 40 },
  );
});

/** All of 0 to end for small trees; both ends and some in between for larger ones. */
const samples = (end: number): number[] => (end <= 40 ? Array.from({ length: end }, (_, n) => n) : [0, 1, 31, end >> 1, end - 2, end - 1]);

test(
  'for every size to 300 inclusion proofs verify for their entry and for no other place',
  async () => {
    for (let size = 1; size <= SIZES; size += 1) {
      const { read } = build([size]);
      const root = roots[size] as Buffer;
      for (const index of samples(size)) {
        const proof = await inclusionProof(index, size, read);
        const leaf = hashLeaf(entries[index] as Uint8Array);
        const verdicts = [
          verifyInclusion(leaf, index, size, proof, root),
          verifyInclusion(hashLeaf(Buffer.from('other')), index, size, proof, root),
          size > 1 && verifyInclusion(leaf, (index + 1) % size, size, proof, root),
          proof.length > 0 && verifyInclusion(leaf, index, size, proof.slice(1), root),
          verifyInclusion(leaf, index, size, [...proof, leaf], root),
          verifyInclusion(leaf, index, size, proof, sha(root)),
        ];
        expect([size, index, ...verdicts]).toEqual([size, index, true, false, false, false, false, false]);
      }
    }
  },
  LONG_MS,
);

test(
  'for every size to 300 consistency proofs from older sizes verify, and for no other root',
  async () => {
    for (let size = 1; size <= SIZES; size += 1) {
      const { read } = build([size]);
      for (const older of [...samples(size), size]) {
        const proof = await consistencyProof(older, size, read);
        const [before, now] = [roots[older] as Buffer, roots[size] as Buffer];
        const between = older > 0 && older < size;
        const verdicts = [
          verifyConsistency(older, size, before, now, proof),
          verifyConsistency(older, size, sha(before), now, proof),
          between && verifyConsistency(older, size, before, sha(now), proof),
          between && verifyConsistency(older, size, before, now, proof.slice(1)),
          verifyConsistency(older, size, before, now, [...proof, now]),
        ];
        expect([size, older, ...verdicts]).toEqual([size, older, true, false, false, false, false]);
      }
    }
  },
  LONG_MS,
);

test('proofs outside the tree are refused', async () => {
  const { read } = build([5]);
  await expect(inclusionProof(5, 5, read)).rejects.toThrow(RangeError);
  await expect(inclusionProof(-1, 5, read)).rejects.toThrow(RangeError);
  await expect(consistencyProof(6, 5, read)).rejects.toThrow(RangeError);
});
