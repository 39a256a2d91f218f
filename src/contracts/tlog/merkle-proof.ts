import { equal, sha256, type Bytes } from './bytes.ts';

/** RFC 6962 §2.1: SHA-256(0x00 ‖ entry). */
export const hashEntry = (entry: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(0), entry);
const hashNode = (left: Uint8Array, right: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(1), left, right);

/** Sizes and indexes are 64-bit numbers without sign. */
const SIZE_LIMIT = 1n << 64n;

/** RFC 9162 §2.1.3.2: whether `leafHash` stands at `index` in the tree of `size` entries with this root. */
export async function verifyInclusionProof(leafHash: Uint8Array, index: bigint, size: bigint, proof: readonly Uint8Array[], root: Uint8Array): Promise<boolean> {
  if (index < 0n || index >= size || size >= SIZE_LIMIT) return false;
  let [fn, sn] = [index, size - 1n];
  let r: Uint8Array = leafHash;
  for (const p of proof) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      r = await hashNode(p, r);
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else r = await hashNode(r, p);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  return sn === 0n && equal(r, root);
}

/** RFC 9162 §2.1.4.2: whether the tree of `second` entries continues the one of `first`. Every tree continues the empty one. */
export async function verifyConsistencyProof(first: bigint, second: bigint, firstRoot: Uint8Array, secondRoot: Uint8Array, proof: readonly Uint8Array[]): Promise<boolean> {
  if (first < 0n || first > second || second >= SIZE_LIMIT) return false;
  if (first === second) return proof.length === 0 && equal(firstRoot, secondRoot);
  if (first === 0n) return proof.length === 0 && equal(firstRoot, await sha256());
  const [start, ...path] = (first & (first - 1n)) === 0n ? [firstRoot, ...proof] : proof;
  if (start === undefined) return false;
  let [fn, sn] = [first - 1n, second - 1n];
  while ((fn & 1n) === 1n) [fn, sn] = [fn >> 1n, sn >> 1n];
  let [fr, sr]: [Uint8Array, Uint8Array] = [start, start];
  for (const c of path) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      [fr, sr] = [await hashNode(c, fr), await hashNode(c, sr)];
      while ((fn & 1n) === 0n && fn !== 0n) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else sr = await hashNode(sr, c);
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  return sn === 0n && equal(fr, firstRoot) && equal(sr, secondRoot);
}
