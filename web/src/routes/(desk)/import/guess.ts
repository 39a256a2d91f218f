import type { z } from 'zod';
import type { CsvMapping } from '#contracts/csv-import.ts';

/** A mapping as it is sent: what has a default may be left out. */
export type Mapping = z.input<typeof CsvMapping>;

export interface Sample {
  readonly encoding: 'utf-8' | 'windows-1252';
  readonly text: string;
}

/** How much of a file is looked at. */
export const SAMPLE_BYTES = 262_144;
const ROWS = 200;
/** A word among numbers counts as "no value" when it comes this often; one that comes less is shown as refused. */
const WORD_COUNT = 3;
const DELIMITERS = [',', ';', '\t', '|'] as const;
type Delimiter = (typeof DELIMITERS)[number];

/** Text of the first bytes of a file, unpacked when it is gzip. */
export async function readSample(file: Blob): Promise<Sample> {
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const bytes = head[0] === 0x1f && head[1] === 0x8b ? await firstBytes(file.stream().pipeThrough(new DecompressionStream('gzip'))) : new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  return decodeSample(bytes);
}

async function firstBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < SAMPLE_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  await reader.cancel();
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** UTF-8 where the bytes are it (but for a letter cut at the end), else windows-1252. */
export function decodeSample(bytes: Uint8Array): Sample {
  try {
    return { encoding: 'utf-8', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }) };
  } catch {
    return { encoding: 'windows-1252', text: new TextDecoder('windows-1252').decode(bytes) }; // every byte is a letter there
  }
}

/** Rows of a table (RFC 4180), at most `ROWS`; the last one may be cut and is left out unless the text ends after it. */
export function splitRows(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let [row, cell, quoted]: [string[], string, boolean] = [[], '', false];
  const endRow = (): void => {
    if (row.length > 0 || cell !== '') rows.push([...row, cell]);
    [row, cell] = [[], ''];
  };
  for (let at = 0; at < text.length && rows.length < ROWS; at += 1) {
    const sign = text[at] ?? '';
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && cell === '') quoted = true;
    else if (sign === delimiter) {
      row.push(cell);
      cell = '';
    } else if (sign === '\n') endRow();
    else if (sign !== '\r') cell += sign;
  }
  if (text.length < SAMPLE_BYTES / 4 && rows.length < ROWS) endRow();
  return rows;
}

/** The sign that gives most rows the same number of cells, and more than one. */
export function guessDelimiter(text: string): Delimiter {
  const scores = DELIMITERS.map((delimiter) => {
    const widths = splitRows(text, delimiter).map((row) => row.length);
    const common = widths.filter((width) => width === widths[0] && width > 1).length;
    return { delimiter, score: common * Math.min(widths[0] ?? 0, 50) };
  });
  return scores.reduce((best, next) => (next.score > best.score ? next : best)).delimiter;
}

const FORMATS: readonly (readonly [RegExp, string])[] = [
  [/^\d{4}-\d\d-\d\d \d\d:\d\d$/, 'YYYY-MM-DD HH:mm'],
  [/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/, 'YYYY-MM-DD HH:mm:ss'],
  [/^'\d{4}-\d\d-\d\d \d\d:\d\d'$/, "''YYYY-MM-DD HH:mm''"],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d$/, 'YYYY-MM-DDTHH:mm'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/, 'YYYY-MM-DDTHH:mm:ss'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)$/, 'YYYY-MM-DDTHH:mm:ssZ'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:?\d\d)$/, 'YYYY-MM-DDTHH:mm:ss.SSSZ'],
  [/^\d\d\.\d\d\.\d{4} \d\d:\d\d$/, 'DD.MM.YYYY HH:mm'],
  [/^\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d$/, 'DD.MM.YYYY HH:mm:ss'],
  [/^\d{1,2}\/\d{1,2}\/\d{4} \d{1,2}:\d\d$/, 'M/D/YYYY H:mm'],
  [/^\d{4}-\d\d-\d\d$/, 'YYYY-MM-DD'],
  [/^\d\d\.\d\d\.\d{4}$/, 'DD.MM.YYYY'],
  [/^1\d{9}(\.\d+)?$/, 'X'],
];
const NUMBER = /^[+-]?\d+(?:[.,]\d+)?$/;
const MISSING = ['', '-', 'NA', 'NaN', 'null'];
const STATION_NAME = /station|site|sensor|device|standort|messstelle|zählstelle|\bcode\b/i;
const PLACE_NAME = /^(lat|latitude|lon|lng|longitude|id|index|.*[-_ ]?status)$/i;

/** Slug of a file's or column's name for names and keys. */
export const slugOf = (text: string, fallback: string): string => {
  const slug = text.toLowerCase().normalize('NFKD').replace(/\.(csv|txt|gz)/g, '').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 50);
  return slug === '' ? fallback : /^[a-z]/.test(slug) ? slug : `${fallback}-${slug}`.slice(0, 50);
};

interface Given {
  readonly fileName: string;
  readonly purpose: string;
  readonly timeZone: string;
}

/** A first mapping for a table; a person corrects it. Null when no column looks like a time. */
export function guessMapping(sample: Sample, { fileName, purpose, timeZone }: Given, delimiter: Delimiter = guessDelimiter(sample.text)): Mapping | null {
  const rows = splitRows(sample.text.replace(/^\ufeff/, ''), delimiter);
  const [first = [], ...rest] = rows;
  const hasHeader = !first.some((cell) => NUMBER.test(cell.trim()) || FORMATS.some(([pattern]) => pattern.test(cell.trim())));
  const body = (hasHeader ? rest : rows).filter((row) => row.length === first.length);
  const column = (at: number): string[] => body.map((row) => (row[at] ?? '').trim());
  const name = (at: number): string => (hasHeader ? (first[at] ?? '').trim() : '') || `column ${at + 1}`;
  const refer = (at: number): string | number => (hasHeader && first.filter((cell) => cell.trim() === name(at)).length === 1 ? name(at) : at + 1);
  const share = (at: number, fits: (cell: string) => boolean): number => {
    const cells = column(at).filter((cell) => !MISSING.includes(cell));
    return cells.length === 0 ? 0 : cells.filter(fits).length / cells.length;
  };
  const all = first.map((_, at) => at);
  const time = all.flatMap((at) => FORMATS.filter(([pattern]) => share(at, (cell) => pattern.test(cell)) > 0.8).map(([, format]) => ({ at, format })))[0];
  if (time === undefined) return null;
  const others = all.filter((at) => at !== time.at);
  const station = others.find((at) => STATION_NAME.test(name(at)) && new Set(column(at)).size < Math.max(2, body.length));
  const values = others.filter((at) => at !== station && !PLACE_NAME.test(name(at)) && share(at, (cell) => NUMBER.test(cell)) > 0.2);
  const decimal = values.some((at) => column(at).some((cell) => /^[+-]?\d+,\d+$/.test(cell))) ? ',' : '.';
  const words = new Map<string, number>();
  for (const cell of values.flatMap((at) => column(at).filter((text) => !NUMBER.test(text)))) words.set(cell, (words.get(cell) ?? 0) + 1);
  const source = slugOf(fileName, 'table');
  return {
    name: source,
    purpose,
    encoding: sample.encoding,
    delimiter,
    decimal,
    header: hasHeader,
    time: { columns: [refer(time.at)], format: time.format, zone: timeZone, ambiguous: 'by-order', missing: 'refuse' },
    station: station === undefined ? { key: source, name: fileName.replace(/(\.csv|\.txt)?(\.gz)?$/i, '').slice(0, 120) || 'Station' } : { column: refer(station) },
    values: values.map((at) => ({ column: refer(at), key: slugOf(name(at), `v${at + 1}`), name: name(at).slice(0, 120), type: 'number' as const })),
    missing_words: [...new Set(['', '-', 'NA', ...[...words].filter(([word, count]) => word.length <= 60 && count >= WORD_COUNT).map(([word]) => word).slice(0, 20)])],
  };
}
