import { z } from 'zod';
import { CSV_LIMITS, CsvMapping, type CsvReport } from '../../../contracts/csv-import.ts';
import { Refused } from '../../../kernel/index.ts';
import type { Adapter, SourceBatch, SourcePlace, SourceReading, SourceRefusal, SourceSeries } from '../adapter.ts';
import { readCsv, type CsvFigures } from './reader.ts';

export const CsvOptions = z.strictObject({
  /** Address of the file; without it files are pushed. */
  url: z.url({ protocol: /^https?$/ }).max(2_000).optional(),
  /** As for an import; name and purpose are those of the feed. */
  mapping: z.unknown().transform((sent, context) => {
    const parsed = CsvMapping.safeParse({ ...(typeof sent === 'object' && sent !== null ? sent : {}), name: 'feed', purpose: 'feed' });
    if (parsed.success) {
      if (!parsed.data.values.some(({ datastream }) => datastream !== undefined)) return parsed.data;
      context.addIssue({ code: 'custom', message: 'A feed makes its own Datastreams; datastream is for imports.', path: ['values'] });
      return z.NEVER;
    }
    for (const issue of parsed.error.issues.slice(0, 3)) context.addIssue({ code: 'custom', message: issue.message, path: issue.path });
    return z.NEVER;
  }),
});
export type CsvOptions = z.infer<typeof CsvOptions>;

const FILE_BYTES = 33_554_432;
const READINGS_MAX = 500_000;

/** Tables by a mapping: values of columns as series of stations, local times with the rules of the clock change. */
export function createCsv(): Adapter<CsvOptions> {
  return {
    kind: 'csv',
    title: 'CSV (tables)',
    example: EXAMPLE,
    options: CsvOptions,
    pull: {
      interval_s: 900,
      urls: (options) => (options.url === undefined ? [] : [options.url]),
      read: async (options, context) => {
        if (options.url === undefined) throw new Refused({ code: 'feed.document-invalid', detail: 'The feed has no address to read; it takes pushed files only.', field: 'options.url' });
        const { body } = await context.fetch(options.url, { max_bytes: FILE_BYTES, accept: 'text/csv, text/plain, application/octet-stream' });
        return readWhole(options.mapping, body, context.nowMs());
      },
    },
    push: {
      contentTypes: ['text/csv', 'text/plain', 'application/octet-stream'],
      topics: () => [],
      read: (options, message) => readWhole(options.mapping, message.body, message.receivedMs),
    },
  };
}

/** Reads a file that lies in memory as one batch. */
export async function readWhole(mapping: CsvMapping, body: Buffer, nowMs: number): Promise<SourceBatch> {
  const places: SourcePlace[] = [];
  const series: SourceSeries[] = [];
  const readings: SourceReading[] = [];
  const pieces = async function* (): AsyncGenerator<Buffer> {
    yield body;
  };
  const figures = await readCsv(mapping, pieces(), nowMs, async (part) => {
    if (readings.length + part.readings.length > READINGS_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A file of a feed gives at most ${READINGS_MAX} readings; import larger ones.`, field: `line ${part.line}` });
    places.push(...part.places);
    series.push(...part.series);
    readings.push(...part.readings);
  });
  return { places, series, readings, refusals: refusalsOf(figures) };
}

function refusalsOf({ refusals, refused }: CsvFigures): SourceRefusal[] {
  const listed = refusals.map(({ line, column, code, detail }: CsvReport['refusals'][number]): SourceRefusal => ({ at: `line ${line}${column === null ? '' : `, ${column}`}`, refusal: { code: code as SourceRefusal['refusal']['code'], detail } }));
  const more = refused - refusals.length;
  return more === 0 ? listed : [...listed, { at: 'file', refusal: { code: 'import.value-invalid', detail: `${more} more cells or rows were refused (at most ${CSV_LIMITS.refusals_listed} are listed).` } }];
}

const EXAMPLE = `- name: river-levels
  adapter: csv
  purpose: city-operations
  options:
    url: https://data.example.org/levels.csv
    mapping:
      delimiter: ';'
      decimal: ','
      time: { columns: [Datum], format: 'DD.MM.YYYY HH:mm', zone: Europe/Berlin }
      station: { key: bridge, name: Old bridge, location: [7.62, 51.96] }
      values:
        - { column: Pegel, key: level, name: Water level, unit: { name: centimetre, symbol: cm } }`;
