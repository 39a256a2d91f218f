import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { mediaOf } from './detectors/index.ts';

/** What an encoding hides: bytes, and the name of the encoding for the one who asks. */
export interface Decoded {
  readonly bytes: Buffer;
  readonly by: string;
}

/** Unpacking stops here: a bomb is refused before it grows. */
export const UNPACKED_BYTES = 65_536;
const LEAST_CHARS = 8;

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Every way to read `text` as bytes; a text of words gives none. */
export function decodeText(text: string): Decoded[] {
  const found: Decoded[] = [];
  const add = (by: string, bytes: Buffer | null): void => {
    if (bytes !== null && bytes.length >= 3) found.push({ by, bytes });
  };
  if (text.length < LEAST_CHARS) return found;
  const body = text.replace(/^data:[^,]{0,200},/i, '').trim();
  const packed = body.replaceAll(/\s+/g, '');
  if (/^[\0-\xff]*$/.test(text) && /[\0-\x08\x0e-\x1f\x80-\x9f]/.test(text)) add('latin-1', Buffer.from(text, 'latin1'));
  if (/(?:%[0-9a-f]{2}[^%]{0,8}){3}/i.test(text)) add('percent', readEscapes(body, /%([0-9a-f]{2})/gi));
  if (/(?:\\x[0-9a-f]{2}){3}/i.test(text)) add('escapes', readEscapes(body, /\\x([0-9a-f]{2})/gi));
  if (/(?:=[0-9A-F]{2}){3}/.test(text)) add('quoted-printable', readEscapes(body.replaceAll(/=\r?\n/g, ''), /=([0-9A-F]{2})/g));
  const hex = packed.replace(/^0x/i, '').replaceAll(/[:,-]|0x/gi, '');
  if (/^(?:[0-9a-f]{2}){4,}$/i.test(hex)) add('hex', Buffer.from(hex, 'hex'));
  if (/^\d{1,3}(?:[,; ]\s*\d{1,3}){7,}$/.test(body.replaceAll(/^\[|\]$/g, ''))) add('list of bytes', bytesOf(body.replaceAll(/^\[|\]$/g, '').split(/[,; ]\s*/).map(Number)));
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(packed) && packed.length % 4 !== 1 && packed.length >= LEAST_CHARS) add('base64', Buffer.from(packed, 'base64'));
  if (/^[A-Z2-7]+=*$/i.test(packed) && packed.length >= LEAST_CHARS && !(/[a-z]/.test(packed) && /[A-Z]/.test(packed))) add('base32', readBase32(packed.toUpperCase()));
  if (packed.length >= BACKWARDS_CHARS && /^={0,2}[A-Za-z0-9+/_-]+$/.test(packed)) add('backwards', readBackwards(packed));
  if (text.length >= 16 && /^begin(?:-base64)? [0-7]{3,4} /m.test(text)) add('uuencode', readUuencode(text));
  if (packed.length >= 10 && !/^[A-Za-z0-9]+$/.test(packed)) {
    add('ascii85', readBase85(packed.replace(/^<~/, '').replace(/~>$/, ''), (sign) => sign.charCodeAt(0) - 33));
    add('base85', readBase85(packed, (sign) => Z85.indexOf(sign)));
    add('base85', readBase85(packed, (sign) => RFC1924.indexOf(sign)));
  }
  return found;
}

const BACKWARDS_CHARS = 24;
const REVERSED_CHARS = 8_192;

/** Base64 or hexadecimal digits written from right to left: only what is known by its first bytes is told from chance. */
function readBackwards(packed: string): Buffer | null {
  const turned = [...packed.slice(-REVERSED_CHARS)].reverse().join('');
  const bytes = /^(?:[0-9a-f]{2})+$/i.test(turned) ? Buffer.from(turned, 'hex') : Buffer.from(turned, 'base64');
  return mediaOf(bytes) === null ? null : bytes;
}

/** POSIX uuencode: a line begins with the number of its bytes, six bits a sign from 32 on; `begin-base64` is what it says. */
function readUuencode(text: string): Buffer | null {
  const [head = '', ...lines] = text.slice(text.search(/^begin/m)).split(/\r?\n/);
  if (head.startsWith('begin-base64')) return Buffer.from(lines.join('').replace(/=*$/, ''), 'base64');
  const bytes: number[] = [];
  for (const line of lines) {
    const count = (line.charCodeAt(0) - 32) & 63;
    if (line === '' || line === 'end' || count === 0) break;
    for (let at = 1; at < line.length; at += 4) {
      const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((offset) => ((line.charCodeAt(at + offset) || 32) - 32) & 63);
      bytes.push((a << 2) | (b >> 4), ((b << 4) | (c >> 2)) & 0xff, ((c << 6) | d) & 0xff);
    }
    bytes.length = Math.max(0, bytes.length - (((line.length - 1) * 3) / 4 - count > 0 ? Math.ceil((line.length - 1) / 4) * 3 - count : 0));
  }
  return Buffer.from(bytes);
}

const RFC1924 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~';

function readEscapes(text: string, escape: RegExp): Buffer {
  return Buffer.from(text.replaceAll(escape, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))), 'latin1');
}

/** Whole numbers of one byte each, signed or not, at least four; null when they are not. */
export function bytesOf(numbers: readonly unknown[]): Buffer | null {
  if (numbers.length < 4 || !numbers.every((number) => Number.isInteger(number) && (number as number) >= -128 && (number as number) <= 255)) return null;
  return Buffer.from(numbers as number[]);
}

function readBase32(text: string): Buffer {
  const bytes: number[] = [];
  let [bits, value] = [0, 0];
  for (const sign of text) {
    const at = BASE32.indexOf(sign);
    if (at < 0) break;
    value = ((value << 5) | at) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes);
}

/** Five signs to four bytes; a last group is filled up with the highest sign. Null when a sign does not belong. */
function readBase85(text: string, valueOf: (sign: string) => number): Buffer | null {
  const bytes: number[] = [];
  let group: number[] = [];
  const flush = (count: number): boolean => {
    while (group.length < 5) group.push(84);
    const value = group.reduce((sum, part) => sum * 85 + part, 0);
    if (value > 0xffff_ffff) return false;
    for (let at = 0; at < count; at += 1) bytes.push(Math.floor(value / 2 ** (24 - at * 8)) & 0xff);
    group = [];
    return true;
  };
  for (const sign of text) {
    if (sign === 'z' && group.length === 0 && valueOf('z') > 84) {
      bytes.push(0, 0, 0, 0);
      continue;
    }
    const value = valueOf(sign);
    if (value < 0 || value > 84) return null;
    group.push(value);
    if (group.length === 5 && !flush(4)) return null;
  }
  if (group.length > 1 && !flush(group.length - 1)) return null;
  return Buffer.from(bytes);
}

const OPTIONS = { maxOutputLength: UNPACKED_BYTES };
/** Below this Brotli, which has no signature, would be found in everything. */
const BROTLI_BYTES = 24;

/** What can be unpacked, by its first bytes; raw deflate and Brotli have none and are tried. */
function packingOf(bytes: Buffer): Packing | null {
  const [first = 0, second = 0] = bytes;
  if (first === 0x1f && second === 0x8b) return { by: 'gzip', open: (from) => gunzipSync(from, OPTIONS), isSure: true };
  // RFC 1950 §2.2: method 8, and both bytes a multiple of 31
  if ((first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0) return { by: 'deflate', open: (from) => inflateSync(from, OPTIONS), isSure: true };
  if (bytes.length >= 8 && bytes.readUInt32BE(0) === 0x28b5_2ffd) return { by: 'zstd', open: (from) => zstdDecompressSync(from, OPTIONS), isSure: true };
  // RFC 1951 §3.2.4: a block that is stored, its length and the complement of it
  if (bytes.length >= 16 && (first & 6) === 0 && bytes.readUInt16LE(1) === (~bytes.readUInt16LE(3) & 0xffff)) return { by: 'deflate', open: (from) => inflateRawSync(from, OPTIONS), isSure: false };
  if (bytes.length >= 16 && (first & 6) !== 6 && (first & 6) !== 0) return { by: 'deflate', open: (from) => inflateRawSync(from, OPTIONS), isSure: false };
  return null;
}

interface Packing {
  readonly by: string;
  readonly open: (bytes: Buffer) => Buffer;
  /** Its signature says that it is packed: too large means a bomb, not chance. */
  readonly isSure: boolean;
}

/** Unpacks gzip, zlib, zstd, and what may be raw deflate or Brotli. `isBomb` when it is larger than `UNPACKED_BYTES`. */
export function unpack(bytes: Buffer): { readonly decoded: Decoded | null; readonly isBomb: boolean } {
  const packing = packingOf(bytes);
  const opened = packing === null ? NOTHING : openWith(packing, bytes);
  if (opened.decoded !== null || opened.isBomb || packing?.isSure === true || bytes.length < BROTLI_BYTES) return opened;
  const tried = openWith({ by: 'brotli', open: (from) => brotliDecompressSync(from, OPTIONS), isSure: false }, bytes);
  return tried.decoded !== null && tried.decoded.bytes.length > 0 ? tried : NOTHING;
}

const NOTHING = { decoded: null, isBomb: false } as const;

function openWith({ by, open, isSure }: Packing, bytes: Buffer): { readonly decoded: Decoded | null; readonly isBomb: boolean } {
  // three of four microseconds of a try that fails would go into the trace of its error
  const traced = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return { decoded: { bytes: open(bytes), by }, isBomb: false };
  } catch (error) {
    // whatever else is wrong with it: it is no packed data
    return { decoded: null, isBomb: (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' && isSure };
  } finally {
    Error.stackTraceLimit = traced;
  }
}
