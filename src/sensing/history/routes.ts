import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { ExportQuery, HistoryOverview, HistoryQuery, HistorySeries, LatestQuery, type LatestReadings, ObservationCorrections, SealedDays } from '../../contracts/history.ts';
import type { Reading, StreamInfo } from '../../contracts/reading.ts';
import { isoOf, Refused, unwrap, type Clock, type Refusal } from '../../kernel/index.ts';
import type { DatabaseHandle, Http } from '../../platform/index.ts';
import { exportCsv, exportGeoJson, exportParquet, exportSealedDay, type ExportScope } from './export-store.ts';
import type { History } from './history.ts';
import { listOpenStreams, listPurposesBetween, readPurposeOf } from './purpose-store.ts';

export interface HistoryRouteDeps {
  readonly history: History;
  readonly handle: DatabaseHandle;
  readonly streams: () => ReadonlyMap<number, StreamInfo>;
  readonly latest: (datastreamId: number) => Reading | undefined;
  readonly clock: Clock;
  /** Why the readings of a stream under this purpose are not given out; null when they are. */
  readonly refusalOf?: (purpose: string) => Refusal | null;
}

const READ = { config: { action: 'sensing.read' as const } };
const Id = z.strictObject({ id: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) });
const Day = z.strictObject({ file: z.string().regex(/^\d{4}-\d{2}-\d{2}\.(?:csv|json)$/, 'Name a day, such as 2026-10-01.csv.') });
const FORMATS = {
  csv: { type: 'text/csv; charset=utf-8; header=present', open: exportCsv },
  parquet: { type: 'application/vnd.apache.parquet', open: exportParquet },
  geojson: { type: 'application/geo+json', open: exportGeoJson },
} as const;
// Exports read everything that is asked for and hold a connection each.
const EXPORTS_AT_ONCE = 3;
// A client that takes nothing for so long would hold a connection and an old state of the database.
const STALL_MS = 60_000;
const EVER = { fromMs: Date.parse('0001-01-01T00:00:00Z'), toMs: Date.parse('9999-12-31T23:59:59Z') };

/** /api/history and /api/export: the past of the readings (docs/reference/history.md). */
export function registerHistoryRoutes(http: Http, { history, handle, streams, latest, clock, refusalOf }: HistoryRouteDeps): void {
  let open = 0;
  const streamOf = (id: number): StreamInfo => {
    const stream = streams().get(id);
    if (stream === undefined) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no datastream ${id}.`, field: 'id' });
    return stream;
  };
  /** The same, when its purpose allows its readings to be given out. */
  const openStreamOf = (id: number): StreamInfo => {
    const stream = streamOf(id);
    const refusal = refusalOf?.(stream.purpose) ?? null;
    if (refusal !== null) throw new Refused({ ...refusal, field: 'id' });
    return stream;
  };
  /** Sends as fast as the client reads; when it goes away the query ends. What fails before the first byte is an answer of its own. */
  const send = async (reply: FastifyReply, type: string, name: string, chunks: AsyncGenerator<Buffer>): Promise<FastifyReply> => {
    if (open >= EXPORTS_AT_ONCE) throw new Refused({ code: 'http.overloaded', detail: `${EXPORTS_AT_ONCE} exports are under way.` });
    open += 1;
    const first = await chunks.next().catch((error: unknown) => {
      open -= 1;
      throw error;
    });
    const body: Readable = Readable.from(impatient(first, chunks, () => body.destroy()), { objectMode: false, highWaterMark: 1 << 17 });
    body.once('close', () => (open -= 1));
    return reply.header('content-type', type).header('content-disposition', `attachment; filename="${name}"`).send(body);
  };

  // the answer may name every datastream of the city: it is written without the schema's serializer, which takes three times as long
  http.get('/api/latest', { config: READ.config, schema: { querystring: LatestQuery } }, (request, reply) => {
    const { datastreams } = request.query;
    const ids = datastreams === undefined ? streams().keys() : datastreams.split(',').map((id) => openStreamOf(Number(id)).id);
    const readings: LatestReadings['readings'] = [];
    for (const datastreamId of ids) {
      const reading = latest(datastreamId);
      if (reading !== undefined) readings.push({ datastreamId, at: isoOf(reading.phenomenonMs), value: reading.value, valid: reading.valid });
    }
    return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify({ asOf: isoOf(clock.nowMs()), readings } satisfies LatestReadings));
  });
  http.get('/api/history', { ...READ, schema: { response: { 200: HistoryOverview } } }, () => history.readOverview());
  http.get('/api/history/datastreams/:id', { ...READ, schema: { params: Id, querystring: HistoryQuery, response: { 200: HistorySeries } } }, async (request) => {
    const { from, to, step, timeZone } = request.query;
    return unwrap(await history.readSeries(openStreamOf(request.params.id), Date.parse(from), Date.parse(to), step, timeZone));
  });
  http.get('/api/history/observations/:id/corrections', { ...READ, schema: { params: Id, response: { 200: ObservationCorrections } } }, async (request) => {
    const found = await history.readCorrections(request.params.id);
    const owner = refusalOf === undefined || found.corrections.length === 0 ? null : await readPurposeOf(handle, request.params.id);
    const refusal = owner === null ? null : refusalOf?.(owner);
    if (refusal !== null && refusal !== undefined) throw new Refused({ ...refusal, field: 'id' });
    return found;
  });
  http.get('/api/history/days', { ...READ, schema: { response: { 200: SealedDays } } }, () => history.readDays());
  http.get('/api/history/days/:file', { ...READ, exposeHeadRoute: false, schema: { params: Day } }, async (request, reply) => {
    const { file } = request.params;
    if (file.endsWith('.json')) return unwrap(await history.readProof(file.slice(0, 10)));
    const day = unwrap(await history.findDay(file.slice(0, 10)));
    // the bytes of a sealed day are hashed as a whole: it waits until what has ended is deleted and the day is sealed again
    for (const purpose of await listPurposesBetween(handle, day.fromMs, day.toMs)) {
      const refusal = refusalOf?.(purpose) ?? null;
      if (refusal !== null) throw new Refused({ ...refusal, detail: `${refusal.detail} The day holds readings of it.`, field: 'day' });
    }
    reply.header('x-content-sha256', day.sha256);
    return send(reply, FORMATS.csv.type, `observations-${file}`, exportSealedDay(handle, day.fromMs, day.toMs));
  });
  http.get('/api/export/observations.:format', { ...READ, exposeHeadRoute: false, schema: { params: z.strictObject({ format: z.enum(['csv', 'parquet', 'geojson']) }), querystring: ExportQuery } }, async (request, reply) => {
    const { datastreams, from, to } = request.query;
    const streamIds = datastreams === undefined ? await listOpenStreams(handle, refusalOf) : datastreams.split(',').map((id) => openStreamOf(Number(id)).id);
    const scope: ExportScope = { streamIds, fromMs: from === undefined ? EVER.fromMs : Date.parse(from), toMs: to === undefined ? EVER.toMs : Date.parse(to) };
    if (scope.fromMs >= scope.toMs) throw new Refused({ code: 'http.invalid', detail: 'from must be before to.', field: 'from' });
    const { type, open: start } = FORMATS[request.params.format];
    return send(reply, type, `observations${nameOf(datastreams === undefined ? null : streamIds, from, to)}.${request.params.format}`, start(handle, scope));
  });
}

async function* impatient(first: IteratorResult<Buffer, unknown>, chunks: AsyncGenerator<Buffer>, onStall: () => void): AsyncGenerator<Buffer> {
  try {
    for (let next = first; next.done !== true; next = await chunks.next()) {
      const stalled = setTimeout(onStall, STALL_MS);
      try {
        yield next.value;
      } finally {
        clearTimeout(stalled);
      }
    }
  } finally {
    await chunks.return(undefined);
  }
}

/** `-7-2026-10-01-to-2026-11-01` for one datastream and a span. */
function nameOf(streamIds: readonly number[] | null, from: string | undefined, to: string | undefined): string {
  const stream = streamIds?.length === 1 ? `-${streamIds[0]}` : '';
  return `${stream}${from === undefined ? '' : `-${from.slice(0, 10)}`}${to === undefined ? '' : `-to-${to.slice(0, 10)}`}`;
}
