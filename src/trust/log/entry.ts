import { createHash, createHmac } from 'node:crypto';
import { LIMITS } from '../../kernel/index.ts';
import { canonicalJson, type Json } from './canonical.ts';

/** A leaf: who, in which position, for which purpose, when; what exactly is only committed to. No personal data. */
export interface Leaf {
  readonly kind: string;
  /** ISO 8601 instant. */
  readonly t: string;
  readonly purpose?: string;
  readonly position?: string;
  readonly pseudonym?: string;
  /** HMAC-SHA-256 of n under the case's log key, hex: only who holds that key finds the case's leaves. */
  readonly caseTag?: string;
  /** Running number of the case's leaves, from 1. */
  readonly n?: number;
  /** ISO 8601 date on which a sealed look opens. */
  readonly until?: string;
  /** Index of the sealed look that this one tells of. */
  readonly opens?: number;
  /** SHA-256(nonce ‖ body), hex. */
  readonly commit: string;
}

/** The bytes of the leaf: canonical JSON with `v` 1. Throws when it does not fit a bundle's 16-bit length. */
export function encodeLeaf(leaf: Leaf): Uint8Array {
  const bytes = Buffer.from(canonicalJson({ v: 1, ...leaf }));
  if (bytes.length > LIMITS.log_entry_bytes) throw new RangeError('a log entry is longer than 65,535 bytes');
  return bytes;
}

/** Nonces hide the body: without one, guessing a body from its hash takes a try a guess. */
export const NONCE_BYTES = 32;

export function commitTo(nonce: Uint8Array, body: Json): Buffer {
  return createHash('sha256').update(nonce).update(canonicalJson(body)).digest();
}

export function caseTag(caseLogKey: Uint8Array, n: number): string {
  return createHmac('sha256', caseLogKey).update(String(n)).digest('hex');
}
