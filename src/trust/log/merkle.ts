import { createHash } from 'node:crypto';

/** SHA-256. */
export type Hash = Uint8Array;
export const HASH_BYTES = 32;
/** Hashes in a full tile, which spans eight levels of the tree (C2SP tlog-tiles). */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** RFC 6962 §2.1, MTH({}). */
export const emptyRoot = (): Hash => createHash('sha256').digest();
/** RFC 6962 §2.1: SHA-256(0x00 ‖ entry). */
export const hashLeaf = (entry: Uint8Array): Hash => createHash('sha256').update(LEAF).update(entry).digest();
/** RFC 6962 §2.1: SHA-256(0x01 ‖ left ‖ right). */
const hashNode = (left: Hash, right: Hash): Hash => createHash('sha256').update(NODE).update(left).update(right).digest();

/** The root over a power of two of neighbouring hashes. */
export function foldPerfect(hashes: readonly Hash[]): Hash {
  let level = hashes;
  while (level.length > 1) {
    const above: Hash[] = [];
    for (let at = 0; at < level.length; at += 2) above.push(hashNode(level[at] as Hash, level[at + 1] as Hash));
    level = above;
  }
  return level[0] as Hash;
}

/**
 * The right edge of a tree: for every tile level the hashes of its last, partial tile (0 to 255 of them). It is all that is
 * needed to append and to compute the root.
 */
export interface Edge {
  readonly size: number;
  readonly levels: readonly (readonly Hash[])[];
}

export const EMPTY_EDGE: Edge = { size: 0, levels: [] };

/** A tile that came to be: `hashes` from its start, full or partial. */
interface TileChange {
  readonly level: number;
  readonly index: number;
  readonly hashes: readonly Hash[];
}

/** Appends leaf hashes. Gives the new edge and every tile that changed, each once, in its final width. */
export function extendEdge(edge: Edge, leaves: readonly Hash[]): { edge: Edge; changes: TileChange[] } {
  const levels: (readonly Hash[])[] = [];
  const changes: TileChange[] = [];
  let added: readonly Hash[] = leaves;
  for (let level = 0; level < edge.levels.length || added.length > 0; level += 1) {
    const before = edge.levels[level] ?? [];
    const hashes = added.length === 0 ? before : [...before, ...added];
    const firstIndex = Math.floor(edge.size / TILE_WIDTH ** (level + 1));
    const above: Hash[] = [];
    let start = 0;
    for (; hashes.length - start >= TILE_WIDTH; start += TILE_WIDTH) {
      const full = hashes.slice(start, start + TILE_WIDTH);
      changes.push({ level, index: firstIndex + start / TILE_WIDTH, hashes: full });
      above.push(foldPerfect(full));
    }
    const rest = hashes.slice(start);
    if (rest.length > 0 && added.length > 0) changes.push({ level, index: firstIndex + start / TILE_WIDTH, hashes: rest });
    levels.push(rest);
    added = above;
  }
  return { edge: { size: edge.size + leaves.length, levels }, changes };
}

/** RFC 6962 §2.1, MTH(D[n]), from the edge: the perfect subtrees that n's binary digits name, folded from the right. */
export function rootOf(edge: Edge): Hash {
  const subtrees: Hash[] = [];
  for (const hashes of edge.levels.toReversed()) {
    let at = 0;
    for (let width = TILE_WIDTH / 2; width >= 1; width /= 2) {
      if (hashes.length - at < width) continue;
      subtrees.push(foldPerfect(hashes.slice(at, at + width)));
      at += width;
    }
  }
  return subtrees.reduceRight<Hash | null>((right, left) => (right === null ? left : hashNode(left, right)), null) ?? emptyRoot();
}

/** Reads hash number `index` of tile level `level`: the root of 256^level entries. */
export type ReadHashes = (level: number, firstIndex: number, count: number) => Promise<readonly Hash[]>;

/** RFC 6962 §2.1: MTH(D[start:end]) for a range that starts at a multiple of the power of two that spans it. */
export async function readSubtree(start: number, end: number, read: ReadHashes): Promise<Hash> {
  const width = end - start;
  if (width === 0) return emptyRoot();
  const half = splitOf(width);
  if (width > 1 && half * 2 !== width) return hashNode(await readSubtree(start, start + half, read), await readSubtree(start + half, end, read));
  const level = Math.floor(Math.log2(width) / TILE_HEIGHT);
  const span = TILE_WIDTH ** level;
  return foldPerfect(await read(level, start / span, width / span));
}

/** The largest power of two smaller than n (n > 1); 1 for n = 1. */
function splitOf(n: number): number {
  let half = 1;
  while (half * 2 < n) half *= 2;
  return half;
}

/** RFC 6962 §2.1.1, PATH(index, D[size]): the hashes from the leaf's sibling up. */
export async function inclusionProof(index: number, size: number, read: ReadHashes): Promise<Hash[]> {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError(`no entry ${index} in a tree of size ${size}`);
  const proof: Hash[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    const left = index < middle;
    proof.push(left ? await readSubtree(middle, end, read) : await readSubtree(start, middle, read));
    if (left) end = middle;
    else start = middle;
  }
  return proof.reverse();
}

/** RFC 6962 §2.1.2, PROOF(older, D[size]); empty when older is 0 or size. */
export async function consistencyProof(older: number, size: number, read: ReadHashes): Promise<Hash[]> {
  if (!Number.isSafeInteger(older) || older < 0 || older > size) throw new RangeError(`no tree of size ${older} below ${size}`);
  if (older === 0 || older === size) return [];
  const proof: Hash[] = [];
  let start = 0;
  let end = size;
  let known = true; // SUBPROOF's b: the subtree is a whole older tree, whose root the verifier has
  while (older !== end) {
    const middle = start + splitOf(end - start);
    if (older <= middle) {
      proof.push(await readSubtree(middle, end, read));
      end = middle;
    } else {
      proof.push(await readSubtree(start, middle, read));
      start = middle;
      known = false;
    }
  }
  if (!known) proof.push(await readSubtree(start, end, read));
  return proof.reverse();
}
