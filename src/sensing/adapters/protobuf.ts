import { Refused } from '../../kernel/index.ts';

/** Fields of one message by number, each in the order they came. Numbers of varints and fixed fields are unsigned 64-bit. */
export type ProtobufFields = ReadonlyMap<number, readonly (bigint | Buffer)[]>;

const FIELDS_MAX = 2_000_000;
const invalid = (detail: string, at: number): Refused => new Refused({ code: 'feed.document-invalid', detail, field: `byte ${at}` });

/**
 * Reads one message of the protobuf wire format (protobuf.dev/programming-guides/encoding). Nested messages stay bytes and are
 * read by another call, so depth is that of the schema. Every length is checked against the message. Throws `Refused`.
 */
export function readProtobuf(bytes: Buffer): ProtobufFields {
  const fields = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  let count = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw invalid('The message ends inside a number.', at);
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw invalid('A number is longer than 64 bits.', at);
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw invalid('A field is longer than its message.', at);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    if (number < 1 || number > 536_870_911) throw invalid('A field has an impossible number.', at);
    const value = valueOf(Number(key & 7n));
    count += 1;
    if (count > FIELDS_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A message has at most ${FIELDS_MAX} fields.`, field: `byte ${at}` });
    const list = fields.get(number);
    if (list === undefined) fields.set(number, [value]);
    else list.push(value);
  }
  return fields;

  function valueOf(wireType: number): bigint | Buffer {
    if (wireType === 0) return varint();
    if (wireType === 1) return take(8).readBigUInt64LE();
    if (wireType === 2) {
      const length = varint();
      if (length > BigInt(bytes.length)) throw invalid('A field is longer than its message.', at);
      return take(Number(length));
    }
    if (wireType === 5) return BigInt(take(4).readUInt32LE());
    throw invalid('A field has a wire type that is not known.', at); // 3 and 4, groups, are not in proto2 files of today
  }
}

/** Last value of a field that must be a number; undefined when the field is absent. Throws `Refused` for bytes. */
function numberOf(fields: ProtobufFields, number: number): bigint | undefined {
  const value = fields.get(number)?.at(-1);
  if (value !== undefined && typeof value !== 'bigint') throw invalid(`Field ${number} must be a number.`, 0);
  return value;
}

/** A uint32, uint64, enum or bool; beyond 2^53 refused. */
export function unsignedOf(fields: ProtobufFields, number: number): number | undefined {
  const value = numberOf(fields, number);
  if (value === undefined) return undefined;
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`Field ${number} is too large.`, 0);
  return Number(value);
}

/** An int32 or int64 in two's complement; beyond 2^53 refused. */
export function signedOf(fields: ProtobufFields, number: number): number | undefined {
  const value = numberOf(fields, number);
  if (value === undefined) return undefined;
  const signed = BigInt.asIntN(64, value);
  if (signed > BigInt(Number.MAX_SAFE_INTEGER) || signed < BigInt(Number.MIN_SAFE_INTEGER)) throw invalid(`Field ${number} is too large.`, 0);
  return Number(signed);
}

/** All nested messages of a field, as bytes. */
export function messagesOf(fields: ProtobufFields, number: number): readonly Buffer[] {
  const values = fields.get(number) ?? [];
  if (values.some((value) => typeof value === 'bigint')) throw invalid(`Field ${number} must be a message.`, 0);
  return values as readonly Buffer[];
}

/** The last nested message of a field, read. */
export function messageOf(fields: ProtobufFields, number: number): ProtobufFields | undefined {
  const bytes = messagesOf(fields, number).at(-1);
  return bytes === undefined ? undefined : readProtobuf(bytes);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** A string field. Throws `Refused` for bytes that are not UTF-8. */
export function stringOf(fields: ProtobufFields, number: number): string | undefined {
  const bytes = messagesOf(fields, number).at(-1);
  if (bytes === undefined) return undefined;
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    throw Object.assign(invalid(`Field ${number} is not UTF-8.`, 0), { cause: error });
  }
}
