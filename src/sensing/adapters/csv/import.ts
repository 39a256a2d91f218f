import { CSV_LIMITS, type CsvMapping, type CsvReport } from '../../../contracts/csv-import.ts';
import type { Principal } from '../../../contracts/principal.ts';
import type { StreamInfo } from '../../../contracts/reading.ts';
import { isoOf, Refused, type Clock } from '../../../kernel/index.ts';
import type { DatabaseHandle } from '../../../platform/index.ts';
import type { Trust } from '../../../trust/index.ts';
import { refusedTexts, ruleAt, type DescriptionDoor } from '../feed-descriptions.ts';
import { openFeedEntities, type EntityDoor, type FeedEntities } from '../feed-entities.ts';
import { storeReadings, type ReadingDoor } from '../feed-readings.ts';
import { createFeedStore } from '../feed-store.ts';
import { readCsv, type CsvFigures } from './reader.ts';

export interface CsvImportDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly entities: EntityDoor;
  readonly gate: DescriptionDoor;
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
export function createCsvImports({ handle, clock, purposes, entities, gate, readings, streams }: CsvImportDeps): CsvImports {
  const store = createFeedStore(handle);
  const running = new Set<string>(); // names of imports under way, at most AT_ONCE

  const check = (mapping: CsvMapping): void => {
    const { purpose, values } = mapping;
    if (!purposes.live(purpose)) throw new Refused({ code: purposes.get(purpose) === undefined ? 'purpose.unknown' : 'purpose.expired', detail: `The mapping names the purpose ${purpose}.`, field: 'mapping.purpose' });
    for (const [at, { datastream }] of values.entries()) {
      if (datastream !== undefined && !streams().has(datastream)) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no Datastream ${datastream}.`, field: `mapping.values.${at}.datastream` });
    }
  };

  /** What is refused is not shown as a sample of what the file holds. */
  const maskSample = (figures: CsvFigures): CsvFigures => ({ ...figures, sample: figures.sample.map((row) => (gate.maySay(row.station) ? row : { ...row, station: '…' })) });

  const keptFrom = ({ purpose }: CsvMapping, firstAt: string | null): string | null => {
    const days = purposes.get(purpose)?.retention_days;
    if (days === undefined || firstAt === null) return null;
    const fromMs = clock.nowMs() - days * DAY_MS;
    return Date.parse(firstAt) < fromMs ? isoOf(fromMs) : null;
  };

  const store_ = async (mapping: CsvMapping, source: AsyncIterable<Uint8Array>, principal: Principal, made: FeedEntities, noteProgress: (rows: number, readings: number) => void): Promise<CsvReport> => {
    const given = new Map<string, number>(mapping.values.flatMap(({ datastream, key, station }) => (datastream === undefined ? [] : [[`${station?.key ?? (mapping.station !== undefined && 'key' in mapping.station ? mapping.station.key : '')}/${key}`, datastream] as const])));
    const target: FeedEntities = { ...made, datastreamOf: (key) => given.get(key) ?? made.datastreamOf(key) };
    const totals = { rows: 0, readings: 0, stored: 0, known: 0 };
    const late = createRefusalList();
    const figures = await readCsv(mapping, source, clock.nowMs(), async (part) => {
      for (const { at, refusal, placeKey } of await made.upsert(part)) late.note(part.lines.get(placeKey) ?? part.line, at, refusal);
      const answer = await storeReadings(readings, { batch: { ...part, refusals: [] }, made: target, principal, refused: [], patient: true, gate });
      totals.stored += answer.taken;
      totals.known += answer.duplicate;
      totals.rows += part.rows;
      totals.readings += part.readings.length;
      for (const { at, code, detail } of answer.allRefused) late.note(part.line, at, { code, detail });
      noteProgress(totals.rows, totals.readings);
    });
    return { ...late.addTo(maskSample(figures)), dry_run: false, kept_from: keptFrom(mapping, figures.first_at), stored: totals.stored, known: totals.known };
  };

  return {
    tryOut: async (mapping, source) => {
      check(mapping);
      const late = createRefusalList();
      const figures = await readCsv(mapping, source, clock.nowMs(), async (part) => {
        for (const { kind, placeKey, refusal } of refusedTexts(gate, textsOf(mapping), part)) {
          late.note(part.lines.get(placeKey) ?? part.line, ruleAt(kind === 'place' ? 'station' : 'series', refusal), refusal);
        }
      });
      return { ...late.addTo(maskSample(figures)), dry_run: true, kept_from: keptFrom(mapping, figures.first_at), stored: null, known: null };
    },
    run: async (mapping, source, principal, noteProgress) => {
      check(mapping);
      if (principal.purpose !== undefined && principal.purpose !== mapping.purpose) throw new Refused({ code: 'auth.forbidden', detail: `The credential is bound to another purpose than ${mapping.purpose}.`, field: 'mapping.purpose' });
      if (running.has(mapping.name)) throw new Refused({ code: 'http.conflict', detail: `An import named ${mapping.name} is under way; wait for its end.`, field: 'mapping.name' });
      if (running.size >= AT_ONCE) throw new Refused({ code: 'http.overloaded', detail: `${AT_ONCE} imports are under way.` });
      running.add(mapping.name);
      const feed = { ...textsOf(mapping), principal };
      let made: FeedEntities | null = null;
      try {
        made = await openFeedEntities({ feed, store, entities, gate });
        return await store_(mapping, source, principal, made, noteProgress);
      } finally {
        made?.close();
        running.delete(mapping.name);
      }
    },
  };
}

const textsOf = ({ name, purpose, time }: CsvMapping) => ({ name: `${FEED}${name}`, title: `CSV import ${name}`, purpose, interval_s: time.interval_s ?? INTERVAL_S });

/** Refusals that come after the cells were read: all are counted, the first ones listed. */
function createRefusalList() {
  const byCode = new Map<string, number>();
  const listed: CsvReport['refusals'] = [];
  return {
    note: (line: number, column: string, { code, detail }: { readonly code: string; readonly detail: string }): void => {
      byCode.set(code, (byCode.get(code) ?? 0) + 1);
      if (listed.length < CSV_LIMITS.refusals_listed) listed.push({ line, column: column.slice(0, 200), code, detail });
    },
    addTo: (figures: CsvFigures): CsvFigures => {
      const refused_by_code = { ...figures.refused_by_code };
      for (const [code, count] of byCode) refused_by_code[code] = (refused_by_code[code] ?? 0) + count;
      const count = [...byCode.values()].reduce((sum, each) => sum + each, 0);
      return { ...figures, refused: figures.refused + count, refused_by_code, refusals: [...figures.refusals, ...listed].slice(0, CSV_LIMITS.refusals_listed) };
    },
  };
}
