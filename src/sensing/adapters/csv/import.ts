import type { CsvMapping, CsvReport } from '../../../contracts/csv-import.ts';
import type { Principal } from '../../../contracts/principal.ts';
import type { StreamInfo } from '../../../contracts/reading.ts';
import { isoOf, Refused, type Clock } from '../../../kernel/index.ts';
import type { DatabaseHandle } from '../../../platform/index.ts';
import type { Trust } from '../../../trust/index.ts';
import { openFeedEntities, type EntityDoor, type FeedEntities } from '../feed-entities.ts';
import { storeReadings, type ReadingDoor } from '../feed-readings.ts';
import { createFeedStore } from '../feed-store.ts';
import { readCsv } from './reader.ts';

export interface CsvImportDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly entities: EntityDoor;
  readonly readings: ReadingDoor;
  readonly streams: () => ReadonlyMap<number, StreamInfo>;
}

export interface CsvImports {
  /** Reads the file and says what it holds; nothing is stored. */
  tryOut(mapping: CsvMapping, source: AsyncIterable<Uint8Array>): Promise<CsvReport>;
  /** Reads the file and stores its readings part by part, each durable before the next. A file that is imported again stores nothing new. */
  run(mapping: CsvMapping, source: AsyncIterable<Uint8Array>, principal: Principal, noteProgress: (rows: number, readings: number) => void): Promise<CsvReport>;
}

/** Names of imports in feed_entity; feeds have no point in theirs. */
const FEED = 'import.';
const AT_ONCE = 2;
const INTERVAL_S = 3_600;
const DAY_MS = 86_400_000;

/** Imports of CSV files by people: the same mapping as the feed `csv`, of any length, into own or given Datastreams. */
export function createCsvImports({ handle, clock, purposes, entities, readings, streams }: CsvImportDeps): CsvImports {
  const store = createFeedStore(handle);
  const running = new Set<string>(); // names of imports under way, at most AT_ONCE

  const check = (mapping: CsvMapping): void => {
    const { purpose, values } = mapping;
    if (!purposes.live(purpose)) throw new Refused({ code: purposes.get(purpose) === undefined ? 'purpose.unknown' : 'purpose.expired', detail: `The mapping names the purpose ${purpose}.`, field: 'mapping.purpose' });
    for (const [at, { datastream }] of values.entries()) {
      if (datastream !== undefined && !streams().has(datastream)) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no Datastream ${datastream}.`, field: `mapping.values.${at}.datastream` });
    }
  };

  const keptFrom = ({ purpose }: CsvMapping, firstAt: string | null): string | null => {
    const days = purposes.get(purpose)?.retention_days;
    if (days === undefined || firstAt === null) return null;
    const fromMs = clock.nowMs() - days * DAY_MS;
    return Date.parse(firstAt) < fromMs ? isoOf(fromMs) : null;
  };

  const store_ = async (mapping: CsvMapping, source: AsyncIterable<Uint8Array>, principal: Principal, made: FeedEntities, noteProgress: (rows: number, readings: number) => void): Promise<CsvReport> => {
    const given = new Map<string, number>(mapping.values.flatMap(({ datastream, key, station }) => (datastream === undefined ? [] : [[`${station?.key ?? (mapping.station !== undefined && 'key' in mapping.station ? mapping.station.key : '')}/${key}`, datastream] as const])));
    const target: FeedEntities = { ...made, datastreamOf: (key) => given.get(key) ?? made.datastreamOf(key) };
    const [totals, late] = [{ rows: 0, readings: 0, stored: 0, known: 0 }, new Map<string, number>()];
    const refusals: CsvReport['refusals'] = [];
    const figures = await readCsv(mapping, source, clock.nowMs(), async (part) => {
      const answer = await storeReadings(readings, { batch: { ...part, refusals: [] }, made: target, principal, refused: await made.upsert(part), patient: true });
      totals.stored += answer.taken;
      totals.known += answer.duplicate;
      totals.rows += part.rows;
      totals.readings += part.readings.length;
      for (const { at, code, detail } of answer.allRefused) {
        late.set(code, (late.get(code) ?? 0) + 1);
        if (refusals.length < 20) refusals.push({ line: part.line, column: at.slice(0, 200), code, detail });
      }
      noteProgress(totals.rows, totals.readings);
    });
    const refused_by_code = { ...figures.refused_by_code };
    for (const [code, count] of late) refused_by_code[code] = (refused_by_code[code] ?? 0) + count;
    return { ...figures, dry_run: false, kept_from: keptFrom(mapping, figures.first_at), refused: figures.refused + [...late.values()].reduce((sum, count) => sum + count, 0), refused_by_code, refusals: [...figures.refusals, ...refusals].slice(0, 20), stored: totals.stored, known: totals.known };
  };

  return {
    tryOut: async (mapping, source) => {
      check(mapping);
      const figures = await readCsv(mapping, source, clock.nowMs(), async () => undefined);
      return { ...figures, dry_run: true, kept_from: keptFrom(mapping, figures.first_at), stored: null, known: null };
    },
    run: async (mapping, source, principal, noteProgress) => {
      check(mapping);
      if (principal.purpose !== undefined && principal.purpose !== mapping.purpose) throw new Refused({ code: 'auth.forbidden', detail: `The credential is bound to another purpose than ${mapping.purpose}.`, field: 'mapping.purpose' });
      if (running.has(mapping.name)) throw new Refused({ code: 'http.conflict', detail: `An import named ${mapping.name} is under way; wait for its end.`, field: 'mapping.name' });
      if (running.size >= AT_ONCE) throw new Refused({ code: 'http.overloaded', detail: `${AT_ONCE} imports are under way.` });
      running.add(mapping.name);
      const feed = { name: `${FEED}${mapping.name}`, title: `CSV import ${mapping.name}`, purpose: mapping.purpose, interval_s: mapping.time.interval_s ?? INTERVAL_S, principal };
      let made: FeedEntities | null = null;
      try {
        made = await openFeedEntities({ feed, store, entities });
        return await store_(mapping, source, principal, made, noteProgress);
      } finally {
        made?.close();
        running.delete(mapping.name);
      }
    },
  };
}
