/** Checks proofs of the log with no code of the writer; step by step after RFC 9162. Import nothing of this folder here. */
import { createHash } from 'node:crypto';

const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest();
const emptyRoot = (): Buffer => createHash('sha256').digest();

/** RFC 9162 §2.1.3.2. */
export function verifyInclusion(leaf: Uint8Array, index: number, size: number, proof: readonly Uint8Array[], root: Uint8Array): boolean {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let fn = BigInt(index);
  let sn = BigInt(size) - 1n;
  let r: Uint8Array = leaf;
  for (const p of proof) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      r = nodeHash(p, r);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else r = nodeHash(r, p);
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && Buffer.from(r).equals(root);
}

/** RFC 9162 §2.1.4.2. Every tree is consistent with the empty one, and with itself by an empty proof. */
export function verifyConsistency(first: number, second: number, firstRoot: Uint8Array, secondRoot: Uint8Array, proof: readonly Uint8Array[]): boolean {
  if (first > second || first < 0) return false;
  if (first === second) return proof.length === 0 && Buffer.from(firstRoot).equals(secondRoot);
  if (first === 0) return proof.length === 0 && emptyRoot().equals(firstRoot);
  const path = [...proof];
  if ((BigInt(first) & (BigInt(first) - 1n)) === 0n) path.unshift(firstRoot);
  let fn = BigInt(first) - 1n;
  let sn = BigInt(second) - 1n;
  while ((fn & 1n) === 1n) {
    fn >>= 1n;
    sn >>= 1n;
  }
  const start = path.shift();
  if (start === undefined) return false;
  let fr: Uint8Array = start;
  let sr: Uint8Array = start;
  for (const c of path) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else sr = nodeHash(sr, c);
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && Buffer.from(fr).equals(firstRoot) && Buffer.from(sr).equals(secondRoot);
}
