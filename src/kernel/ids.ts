import { randomBytes } from 'node:crypto';

/** Draws random bytes; passed in so that a test can replay them. */
export type Random = (size: number) => Uint8Array;
export const systemRandom: Random = (size) => randomBytes(size);

// Crockford's alphabet: no I, L, O, U, so an id can be read out over the phone.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

function encode(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = '';
  for (let left = Math.ceil((bytes.length * 8) / 5); left > 0; left -= 1) {
    text = ALPHABET.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return text;
}

/** `prefix_` and 26 characters that sort by time: 48 bits of milliseconds, 80 random bits. */
export function newId<T extends string>(prefix: string, nowMs: number, random: Random): T {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(nowMs) << 16n);
  bytes.set(random(10), 6);
  return `${prefix}_${encode(bytes)}` as T;
}

/** A secret of 160 random bits for links and one-time codes, 32 characters. */
export function newSecret(random: Random): string {
  return encode(random(20));
}
