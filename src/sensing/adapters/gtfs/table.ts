import { CsvError, parse } from 'csv-parse';
import { Readable, pipeline } from 'node:stream';
import { Refused } from '../../../kernel/index.ts';
import type { ZipArchive } from '../zip.ts';

const RECORD_CHARS = 65_536;

/** Cells of one row by the names of the header; an empty text for a column that the file does not have. */
export type Row = (column: string) => string;

/**
 * Goes through a table of a GTFS archive row by row: UTF-8 with or without byte order mark, RFC 4180 quotes, columns in any order.
 * Answers false when the archive has no such file. Throws `Refused` with file and line.
 */
export async function readTable(archive: ZipArchive, file: string, required: readonly string[], take: (row: Row, line: number) => void): Promise<boolean> {
  const content = await archive.readEntry(file);
  if (content === null) return false;
  const parser = parse({ bom: true, skip_empty_lines: true, relax_column_count: true, trim: true, max_record_size: RECORD_CHARS, info: true });
  pipeline(Readable.from(content), parser, () => {
    // the error, if there is one, also ends the loop below
  });
  let columns: Map<string, number> | null = null;
  let cells: readonly string[] = [];
  const row: Row = (column) => {
    const at = columns?.get(column);
    return at === undefined ? '' : (cells[at] ?? '');
  };
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (columns === null) {
        columns = new Map(record.map((name, at) => [name, at]));
        const missing = required.find((name) => columns?.has(name) !== true);
        if (missing !== undefined) throw new Refused({ code: 'feed.document-invalid', detail: `The column ${missing} is missing.`, field: file });
        continue;
      }
      cells = record;
      take(row, info.lines);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw Object.assign(new Refused({ code: 'feed.document-invalid', detail: `The table cannot be read (${error.code}).`, field: typeof error['lines'] === 'number' ? `${file} line ${error['lines']}` : file }), { cause: error });
  }
  return true;
}
