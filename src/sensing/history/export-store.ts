import { ByteWriter, ParquetWriter, type ColumnSource } from 'hyparquet-writer';
import type { DatabaseHandle } from '../../platform/index.ts';
import { copyOut, inSnapshot, readStored, STORED_COLUMNS, type Session } from './copy-store.ts';
import { CSV_HEADER, csvStatement, type CsvSource } from './csv.ts';
import type { StoredReading } from './segment.ts';

/** What to export; null streams are all. */
export interface ExportScope {
  readonly streamIds: readonly number[] | null;
  readonly fromMs: number;
  readonly toMs: number;
}

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]['schema'][number];

// One sort a group: small enough for a small disk, large enough that planning does not count.
const STREAMS_AT_ONCE = 50;
const ROW_GROUP_ROWS = 20_000;
const EPOCH_2000_US = 946_684_800_000_000n;

/** CSV by datastream, time and id, from one state of the database. */
export function exportCsv(handle: DatabaseHandle, scope: ExportScope, source: CsvSource = 'observation'): AsyncGenerator<Buffer> {
  return inSnapshot(handle, async function* (session) {
    yield Buffer.from(CSV_HEADER);
    for (const streamIds of await groupsOf(session, scope)) yield* copyOut(session, csvStatement({ ...scope, streamIds, source }));
  });
}

/** The bytes whose hash was sealed, as long as the day is not marked as changed (migrations/0062). */
export function exportSealedDay(handle: DatabaseHandle, fromMs: number, toMs: number): AsyncGenerator<Buffer> {
  return inSnapshot(handle, async function* (session) {
    yield Buffer.from(CSV_HEADER);
    yield* copyOut(session, csvStatement({ source: 'observation_sealed', streamIds: null, fromMs, toMs }));
  });
}

/** Ids in order, in groups; of all datastreams when none is named. */
async function groupsOf({ client }: Session, { streamIds }: ExportScope): Promise<number[][]> {
  const ids = streamIds ?? (await client.query<{ id: number }>('select id from datastream order by id')).rows.map(({ id }) => id);
  const sorted = [...new Set(ids)].sort((a, b) => a - b);
  return Array.from({ length: Math.ceil(sorted.length / STREAMS_AT_ONCE) }, (_, at) => sorted.slice(at * STREAMS_AT_ONCE, (at + 1) * STREAMS_AT_ONCE));
}

async function* readScope(session: Session, scope: ExportScope): AsyncGenerator<readonly StoredReading[]> {
  const span = [new Date(scope.fromMs), new Date(scope.toMs)];
  for (const streamIds of await groupsOf(session, scope)) {
    yield* readStored(
      session,
      `select ${STORED_COLUMNS} from observation where datastream_id = any($3::bigint[]) and phenomenon_start >= $1 and phenomenon_start < $2 and span_last >= $1 and span_first < $2 order by datastream_id, phenomenon_start, id`,
      [...span, streamIds],
    );
  }
}

const required = (name: string, type: SchemaElement['type'], more: Partial<SchemaElement> = {}): SchemaElement => ({ name, ...(type === undefined ? {} : { type }), repetition_type: 'REQUIRED', ...more });
const optional = (name: string, type: SchemaElement['type'], more: Partial<SchemaElement> = {}): SchemaElement => ({ ...required(name, type, more), repetition_type: 'OPTIONAL' });
const MICROS = { converted_type: 'TIMESTAMP_MICROS', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' } } as const;
const TEXT = { converted_type: 'UTF8' } as const;
const PARQUET_SCHEMA: SchemaElement[] = [
  { name: 'observations', num_children: 10 },
  required('id', 'INT64'),
  required('datastream', 'INT64'),
  required('phenomenonTime', 'INT64', MICROS),
  optional('phenomenonEnd', 'INT64', MICROS),
  optional('resultTime', 'INT64', MICROS),
  required('arrived', 'INT64', MICROS),
  optional('number', 'DOUBLE'),
  optional('exact', 'BYTE_ARRAY', TEXT),
  optional('extra', 'BYTE_ARRAY', TEXT),
  required('valid', 'BOOLEAN'),
];

const since1970 = (sinceUs: number | null): bigint | null => (sinceUs === null ? null : BigInt(sinceUs) + EPOCH_2000_US);

/** Parquet (Snappy), a row group of 20,000 readings at a time. `exact` is the JSON text of a result that the double does not say. */
export function exportParquet(handle: DatabaseHandle, scope: ExportScope): AsyncGenerator<Buffer> {
  return inSnapshot(handle, async function* (session) {
    const writer = new ByteWriter();
    const parquet = new ParquetWriter({ writer, schema: PARQUET_SCHEMA, statistics: true, createdBy: 'clerestory' });
    // what was written is given away and the buffer filled again; `offset` goes on counting the whole file
    const take = (): Buffer => {
      const bytes = Buffer.from(writer.getBytes());
      writer.index = 0;
      return bytes;
    };
    let waiting: StoredReading[] = [];
    for await (const chunk of readScope(session, scope)) {
      waiting.push(...chunk);
      if (waiting.length < ROW_GROUP_ROWS) continue;
      await parquet.write({ columnData: columnsOf(waiting), rowGroupSize: waiting.length });
      waiting = [];
      yield take();
    }
    if (waiting.length > 0) await parquet.write({ columnData: columnsOf(waiting), rowGroupSize: waiting.length });
    await parquet.finish();
    yield take();
  });
}

function columnsOf(readings: readonly StoredReading[]): ColumnSource[] {
  const column = (name: string, valueOf: (reading: StoredReading) => unknown): ColumnSource => ({ name, data: readings.map(valueOf), offsetIndex: false });
  return [
    column('id', ({ id }) => BigInt(id)),
    column('datastream', ({ streamId }) => BigInt(streamId)),
    column('phenomenonTime', ({ startUs }) => since1970(startUs)),
    column('phenomenonEnd', ({ endUs }) => since1970(endUs)),
    column('resultTime', ({ resultUs }) => since1970(resultUs)),
    column('arrived', ({ arrivedUs }) => since1970(arrivedUs)),
    column('number', ({ number }) => number),
    column('exact', ({ text }) => text),
    column('extra', ({ extra }) => extra),
    column('valid', ({ valid }) => valid),
  ];
}

const REMEMBERED_FEATURES = 10_000;

/** GeoJSON (RFC 7946), one Feature a reading with the place of its FeatureOfInterest, null where there is none. */
export function exportGeoJson(handle: DatabaseHandle, scope: ExportScope): AsyncGenerator<Buffer> {
  return inSnapshot(handle, async function* (session) {
    const placeOf = createPlaces(session);
    yield Buffer.from('{"type":"FeatureCollection","features":[');
    let between = '\n';
    for await (const chunk of readScope(session, scope)) {
      const lines: string[] = [];
      for (const reading of chunk) {
        const { id, streamId, startUs, endUs, resultUs, number, text, valid } = reading;
        const ends = endUs === null ? '' : `,"phenomenonEnd":"${isoOfUs(endUs)}"`;
        const result = resultUs === null ? '' : `,"resultTime":"${isoOfUs(resultUs)}"`;
        lines.push(`${between}{"type":"Feature","id":${id},"geometry":${await placeOf(reading)},"properties":{"datastream":${streamId},"phenomenonTime":"${isoOfUs(startUs)}"${ends}${result},"result":${text ?? JSON.stringify(number)},"valid":${valid}}}`);
        between = ',\n';
      }
      yield Buffer.from(lines.join(''));
    }
    yield Buffer.from('\n]}\n');
  });
}

function isoOfUs(sinceUs: number): string {
  const us = BigInt(sinceUs) + EPOCH_2000_US;
  const inSecond = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const text = new Date(Number((us - inSecond) / 1_000n)).toISOString().slice(0, 19);
  return `${text}.${inSecond % 1_000n === 0n ? String(inSecond / 1_000n).padStart(3, '0') : String(inSecond).padStart(6, '0')}Z`;
}

/** GeoJSON text of the geometry that a reading is about (migrations/0022). */
function createPlaces({ client }: Session): (reading: StoredReading) => Promise<string> {
  const places = new Map<number, string>();
  const defaults = new Map<number, { feature: number | null; former: { untilUs: number; feature: number }[] }>();
  const defaultOf = async (streamId: number, arrivedUs: number): Promise<number | null> => {
    let known = defaults.get(streamId);
    if (known === undefined) {
      const { rows } = await client.query<{ feature: number | null; until: number[] | null; former: number[] | null }>(
        `select feature_id as feature, (select array_agg((extract(epoch from until) * 1000000 - 946684800000000)::float8 order by until) from datastream_feature where datastream_id = d.id) as until,
                (select array_agg(feature_id::float8 order by until) from datastream_feature where datastream_id = d.id) as former from datastream d where id = $1`,
        [streamId],
      );
      const former = rows[0]?.former ?? [];
      known = { feature: rows[0]?.feature ?? null, former: (rows[0]?.until ?? []).map((untilUs, at) => ({ untilUs, feature: former[at] as number })) };
      if (defaults.size >= REMEMBERED_FEATURES) defaults.clear();
      defaults.set(streamId, known);
    }
    return known.former.find(({ untilUs }) => untilUs > arrivedUs)?.feature ?? known.feature;
  };
  return async ({ streamId, arrivedUs, extra }) => {
    const named = extra === null ? undefined : (JSON.parse(extra) as { feature?: number }).feature;
    const featureId = named ?? (await defaultOf(streamId, arrivedUs));
    if (featureId === null) return 'null';
    const known = places.get(featureId);
    if (known !== undefined) return known;
    const { rows } = await client.query<{ geometry: string | null }>(`select (case when feature ->> 'type' = 'Feature' then feature -> 'geometry' else feature end)::text as geometry from feature_of_interest where id = $1 and bbox is not null`, [featureId]);
    const place = rows[0]?.geometry ?? 'null';
    if (places.size >= REMEMBERED_FEATURES) places.clear();
    places.set(featureId, place);
    return place;
  };
}
