import { Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { CSV_LIMITS, type CsvMapping } from '../../../contracts/csv-import.ts';
import { Refused } from '../../../kernel/index.ts';

export interface CsvRecord {
  readonly cells: readonly string[];
  /** Line of the file on which the record ends, from 1. */
  readonly line: number;
}

/** What the reader of records found that is none; it goes on after it. */
export interface BrokenRecord {
  readonly line: number;
}

const tooLarge = (bytes: number): Refused => new Refused({ code: 'feed.document-too-large', detail: `A file has at most ${bytes} bytes.`, field: 'file' });

/** The bytes of a file, unpacked when they are gzip (RFC 1952), counted against the limit. */
async function* unpack(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) return;
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  };
  const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b;
  let bytes = 0;
  const count = (chunk: Uint8Array): Uint8Array => {
    bytes += chunk.length;
    if (bytes > CSV_LIMITS.unpacked_bytes) throw tooLarge(CSV_LIMITS.unpacked_bytes);
    return chunk;
  };
  if (!isGzip) {
    for await (const chunk of rest()) yield count(chunk);
    return;
  }
  const gunzip = createGunzip();
  pipeline(Readable.from(rest()), gunzip, () => {
    // the error, if there is one, also ends the loop below
  });
  try {
    for await (const chunk of gunzip) yield count(chunk as Uint8Array);
  } catch (error) {
    if (error instanceof Refused || !isZlibError(error)) throw error;
    throw Object.assign(new Refused({ code: 'http.malformed', detail: 'The gzip file is damaged or ends too early.', field: 'file' }), { cause: error });
  }
}

const isZlibError = (error: unknown): boolean => error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_');

async function* decode(source: AsyncIterable<Uint8Array>, encoding: CsvMapping['encoding']): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  try {
    for await (const chunk of source) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw Object.assign(new Refused({ code: 'http.malformed', detail: `The file is not ${encoding}; try windows-1252.`, field: 'encoding' }), { cause: error });
  }
}

/**
 * Records of a CSV file (RFC 4180, any of the mapping's delimiters) one by one. A record that cannot be read is handed to
 * `noteBroken`, and reading goes on. Throws `Refused` for a file that is not text or too large.
 */
export async function* readRecords(source: AsyncIterable<Uint8Array>, mapping: Pick<CsvMapping, 'encoding' | 'delimiter'>, noteBroken: (record: BrokenRecord) => void): AsyncGenerator<CsvRecord> {
  const parser = parse({ delimiter: mapping.delimiter, bom: true, relax_column_count: true, relax_quotes: true, skip_empty_lines: true, skip_records_with_error: true, max_record_size: CSV_LIMITS.line_chars, info: true });
  parser.on('skip', (error: { lines?: unknown } | undefined) => noteBroken({ line: Number(error?.lines ?? 0) }));
  pipeline(Readable.from(decode(unpack(source), mapping.encoding)), parser, () => {
    // the error, if there is one, also ends the loop below
  });
  for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) yield { cells: record, line: info.lines };
}
