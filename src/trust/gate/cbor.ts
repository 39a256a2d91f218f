const MAX_DEPTH = 8;
const MAX_ITEMS = 4_096;

/** CBOR is not what the bytes are, or it is past the limits. */
const NOT_CBOR: unique symbol = Symbol('not CBOR');

interface Cursor {
  readonly bytes: Buffer;
  at: number;
  items: number;
}

/**
 * Reads one CBOR item (RFC 8949) that fills all of `bytes`; undefined when it is none. Nothing is allocated for a length that the
 * bytes do not have. Byte strings become Buffers; keys that are no text become text.
 */
export function readCbor(bytes: Buffer): unknown {
  const cursor: Cursor = { bytes, at: 0, items: 0 };
  const value = readItem(cursor, 0);
  return value === NOT_CBOR || cursor.at !== bytes.length ? undefined : value;
}

function readLength(cursor: Cursor, info: number): number {
  const { bytes } = cursor;
  if (info < 24) return info;
  const size = [1, 2, 4, 8][info - 24];
  if (size === undefined || cursor.at + size > bytes.length) return NaN;
  const value = size === 8 ? Number(bytes.readBigUInt64BE(cursor.at)) : bytes.readUIntBE(cursor.at, size);
  cursor.at += size;
  return value;
}

function readItem(cursor: Cursor, depth: number): unknown {
  const { bytes } = cursor;
  cursor.items += 1;
  if (cursor.at >= bytes.length || depth > MAX_DEPTH || cursor.items > MAX_ITEMS) return NOT_CBOR;
  const head = bytes[cursor.at] as number;
  cursor.at += 1;
  const [major, info] = [head >> 5, head & 31];
  if (major === 7) return readSimple(cursor, info);
  if (info === 31) return major >= 2 && major <= 5 ? readIndefinite(cursor, major, depth) : NOT_CBOR;
  const length = readLength(cursor, info);
  if (Number.isNaN(length)) return NOT_CBOR;
  switch (major) {
    case 0:
      return length;
    case 1:
      return -1 - length;
    case 2:
    case 3: {
      if (cursor.at + length > bytes.length) return NOT_CBOR;
      const part = bytes.subarray(cursor.at, cursor.at + length);
      cursor.at += length;
      return major === 2 ? part : part.toString('utf8');
    }
    case 4:
    case 5:
      return length > bytes.length - cursor.at ? NOT_CBOR : readMembers(cursor, major, depth, length);
    default:
      return readItem(cursor, depth + 1); // a tag says how to read what follows
  }
}

function readMembers(cursor: Cursor, major: number, depth: number, length: number): unknown {
  const list: unknown[] = [];
  const map: Record<string, unknown> = {};
  for (let left = length; left > 0; left -= 1) {
    const member = readItem(cursor, depth + 1);
    if (member === NOT_CBOR) return NOT_CBOR;
    if (major === 4) {
      list.push(member);
      continue;
    }
    const value = readItem(cursor, depth + 1);
    if (value === NOT_CBOR) return NOT_CBOR;
    map[`${nameOf(member)}`] = value;
  }
  return major === 4 ? list : map;
}

const nameOf = (key: unknown): string => (typeof key === 'string' || typeof key === 'number' ? String(key) : Buffer.isBuffer(key) ? key.toString('hex') : '?');
const isBreak = ({ bytes, at }: Cursor): boolean => bytes[at] === 0xff;

function readIndefinite(cursor: Cursor, major: number, depth: number): unknown {
  const members: unknown[] = [];
  while (!isBreak(cursor)) {
    const member = readItem(cursor, depth + 1);
    if (member === NOT_CBOR) return NOT_CBOR;
    members.push(member);
  }
  cursor.at += 1;
  if (major === 4) return members;
  if (major === 2) return members.every((part) => Buffer.isBuffer(part)) ? Buffer.concat(members) : NOT_CBOR;
  if (major === 3) return members.every((part) => typeof part === 'string') ? members.join('') : NOT_CBOR;
  const map: Record<string, unknown> = {};
  for (let at = 0; at + 1 < members.length; at += 2) map[nameOf(members[at])] = members[at + 1];
  return map;
}

function readSimple(cursor: Cursor, info: number): unknown {
  if (info === 20 || info === 21) return info === 21;
  if (info === 22 || info === 23) return null;
  const size = { 25: 2, 26: 4, 27: 8 }[info];
  if (size === undefined || cursor.at + size > cursor.bytes.length) return NOT_CBOR;
  const at = cursor.at;
  cursor.at += size;
  if (size === 4) return cursor.bytes.readFloatBE(at);
  if (size === 8) return cursor.bytes.readDoubleBE(at);
  const half = cursor.bytes.readUInt16BE(at);
  const [exponent, fraction] = [(half >> 10) & 31, half & 1023];
  const size_ = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? NaN : (1024 + fraction) * 2 ** (exponent - 25);
  return half & 0x8000 ? -size_ : size_;
}
