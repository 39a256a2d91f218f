import type { Draft } from './draft.ts';

// PostgreSQL 18 documentation: COPY, "Binary Format", and 54.7 "Message Formats"; timestamps count microseconds from 2000-01-01.
const EPOCH_2000_MS = 946_684_800_000;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const COLUMNS = 10;
const FIXED_ROW_BYTES = 2 + COLUMNS * 4 + 7 * 8 + 1;
const FIRST_CAPACITY_BYTES = 1 << 20;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const DATA_HEADER_BYTES = 5;
const TWO_32 = 4_294_967_296;
// (ms - epoch) * 1000 stays below 2^53 up to here; beyond, about the years 1714 and 2285, exact arithmetic is needed
const EXACT_MS = 9e12;

export const COPY_COLUMNS = 'id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid';

export interface CopyBuffer {
  /** Starts a new COPY. */
  reset(): void;
  append(draft: Draft, id: number): void;
  readonly rows: number;
  /** CopyData with all rows, and CopyDone; valid until the next reset. */
  finish(): Buffer;
}

/** Encodes rows of table `observation_hot` as the messages of one binary COPY. The memory is used again for the next one. */
export function createCopyBuffer(): CopyBuffer {
  let buffer = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
  let view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  let at = 0;
  let rows = 0;

  const ensure = (more: number): void => {
    if (at + more <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + more));
    buffer.copy(larger, 0, 0, at);
    buffer = larger;
    view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  };
  const int8 = (value: number): void => {
    const high = Math.floor(value / TWO_32);
    view.setInt32(at, 8);
    view.setInt32(at + 4, high);
    view.setUint32(at + 8, value - high * TWO_32);
    at += 12;
  };
  const instant = (atMs: number): void => {
    const sinceMs = atMs - EPOCH_2000_MS;
    if (sinceMs > EXACT_MS || sinceMs < -EXACT_MS) {
      view.setInt32(at, 8);
      view.setBigInt64(at + 4, BigInt(sinceMs) * 1000n);
      at += 12;
    } else int8(sinceMs * 1000);
  };
  const nothing = (): void => {
    view.setInt32(at, -1);
    at += 4;
  };
  const text = (value: string, jsonb: boolean): void => {
    ensure(value.length * 3 + FIXED_ROW_BYTES);
    const start = at;
    at += 4;
    if (jsonb) {
      buffer[at] = 1; // version of the jsonb wire format
      at += 1;
    }
    at += buffer.write(value, at, 'utf8');
    view.setInt32(start, at - start - 4);
  };

  return {
    get rows() {
      return rows;
    },
    reset: () => {
      rows = 0;
      buffer[0] = COPY_DATA;
      SIGNATURE.copy(buffer, DATA_HEADER_BYTES);
      at = DATA_HEADER_BYTES + SIGNATURE.length;
      view.setInt32(at, 0); // flags
      view.setInt32(at + 4, 0); // length of the header extension
      at += 8;
    },
    append: (draft, id) => {
      ensure(FIXED_ROW_BYTES);
      view.setInt16(at, COLUMNS);
      at += 2;
      int8(id);
      int8(draft.stream.id);
      instant(draft.phenomenonMs);
      if (Number.isNaN(draft.phenomenonEndMs)) nothing();
      else instant(draft.phenomenonEndMs);
      if (Number.isNaN(draft.resultTimeMs)) nothing();
      else instant(draft.resultTimeMs);
      instant(draft.arrivalMs);
      if (draft.value === null) nothing();
      else {
        view.setInt32(at, 8);
        view.setFloat64(at + 4, draft.value);
        at += 12;
      }
      if (draft.exact === null) nothing();
      else text(draft.exact, false);
      if (draft.extra === null) nothing();
      else text(draft.extra, true);
      view.setInt32(at, 1);
      buffer[at + 4] = draft.valid ? 1 : 0;
      at += 5;
      rows += 1;
    },
    finish: () => {
      ensure(2 + DATA_HEADER_BYTES);
      view.setInt16(at, -1);
      at += 2;
      view.setInt32(1, at - 1);
      buffer[at] = COPY_DONE;
      view.setInt32(at + 1, 4);
      return buffer.subarray(0, at + DATA_HEADER_BYTES);
    },
  };
}
