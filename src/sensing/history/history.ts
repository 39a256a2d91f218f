import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryBucket, HistoryOverview, HistorySeries, HistoryStep, ObservationCorrections, SealedDayProof, SealedDays } from '../../contracts/history.ts';
import { isoOf, LIMITS, ok, refuse, watchPace, type Clock, type Result } from '../../kernel/index.ts';
import { Counter, type DatabaseHandle, type Logger, type Metrics } from '../../platform/index.ts';
import { hasEnded, type Trust } from '../../trust/index.ts';
import { DAY_MS, type Partitions } from '../observations/partition-store.ts';
import { readSeries } from '../observations/observation-store.ts';
import { readCount, readFormerValues, readRecentDays } from './overview-store.ts';
import { readBytes, readHoldings, removeExpired, type Holding } from './retention-store.ts';
import { rollUp } from './rollup-store.ts';
import { alone, dayOf, dropEmptyPartitions, listUnlogged, listWeeksToSeal, noteLogged, readSealedDay, sealWeek } from './sealing-store.ts';
import { readAggregates } from './series-store.ts';
import { edgesOf } from './zoned-days.ts';

export interface HistoryDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly purposes: Partial<Pick<Trust['purposes'], 'all' | 'live'>> & Pick<Trust['purposes'], 'get'>;
  readonly partitions: Pick<Partitions, 'forget'>;
  /** Age in days at which readings are packed; 0 for never. */
  readonly seal_after_days: number;
  /** Without it nothing is sealed or deleted by itself: both must be told in the transparency log. */
  readonly log: (Pick<Trust['log'], 'append'> & Partial<Pick<Trust['log'], 'readOpening'>>) | undefined;
  /** Called after readings were deleted. */
  readonly onRemoved?: () => void;
}

/** The past of the readings: aggregates, packing, deletion when a purpose asks for it. */
export interface History {
  readSeries(stream: { readonly id: number; readonly unit: string }, fromMs: number, toMs: number, step: HistoryStep, timeZone: string): Promise<Result<HistorySeries>>;
  readOverview(): Promise<HistoryOverview>;
  readDays(): Promise<SealedDays>;
  /** The span of a sealed day whose bytes are those of its hash. */
  findDay(day: string): Promise<Result<{ readonly fromMs: number; readonly toMs: number; readonly bytes: number; readonly sha256: string }>>;
  /** With what anybody can check the day against the log. */
  readProof(day: string): Promise<Result<SealedDayProof>>;
  readCorrections(observationId: number): Promise<ObservationCorrections>;
  /** Brings the roll-ups up to date. */
  rollUp(): Promise<void>;
  /** Packs what is old enough. Returns the days that were sealed, each told in the log. */
  seal(): Promise<readonly string[]>;
  /** Deletes what is older than its purpose allows. Returns readings by purpose. */
  retain(): Promise<ReadonlyMap<string, number>>;
  close(): Promise<void>;
}

/** Nothing of a purpose that has ended is kept. */
const EVER_AFTER = new Date('9999-12-31T00:00:00Z');
const ROLL_UP_MS = 5_000;
const UPKEEP_MS = 3_600_000;
const FIRST_UPKEEP_MS = 300_000;
const HOLDINGS_OLD_MS = 3_600_000;
const CORRECTIONS = 1_000;
const SERIALIZATION_FAILURE = '40001';

export function openHistory(deps: HistoryDeps): History {
  const { handle, clock, logger, metrics, purposes, log } = deps;
  const deleted = new Counter({ name: 'clerestory_history_deleted_total', help: 'Observations deleted because their purpose allows them no longer', labelNames: ['purpose'], registers: [metrics] });
  const sealed = new Counter({ name: 'clerestory_history_sealed_total', help: 'Observations packed into segments', registers: [metrics] });
  let holdings: { readonly atMs: number; readonly rows: readonly Holding[] } | undefined;
  let isClosing = false;
  const closed = Promise.withResolvers<void>();

  let rollingUp: Promise<void> | undefined;
  const rollUpRest = async (): Promise<void> => {
    while (!isClosing && (await rollUp(handle, clock.nowMs(), () => isClosing)));
  };
  const rollUpAll = (): Promise<void> => (rollingUp ??= rollUpRest().finally(() => (rollingUp = undefined)));
  const tellSealed = async (): Promise<void> => {
    for (const day of log === undefined ? [] : await listUnlogged(handle)) {
      const leaf = await log?.append({ kind: 'history.sealed', body: { day: isoDay(day.day), observations: day.rows, bytes: day.bytes, sha256: day.sha256 } });
      if (leaf !== undefined) await noteLogged(handle, day, leaf.index);
    }
  };
  const seal = async (): Promise<readonly string[]> => {
    if (deps.seal_after_days === 0) return [];
    const days: string[] = [];
    const nowMs = clock.nowMs();
    for (const week of await listWeeksToSeal(handle, Math.floor(nowMs / DAY_MS) - deps.seal_after_days)) {
      if (isClosing) break;
      try {
        for (const { day, rows } of await sealWeek(handle, week, new Date(nowMs))) {
          days.push(isoDay(day));
          sealed.inc(rows);
        }
      } catch (error) {
        if ((error as { code?: unknown }).code !== SERIALIZATION_FAILURE) throw error;
        logger.info({ week: isoDay(week) }, 'readings of a week changed while they were packed; the next run packs them');
      }
    }
    await tellSealed();
    for (const day of await dropEmptyPartitions(handle, new Date(nowMs))) deps.partitions.forget(day);
    return days;
  };
  const retain = async (): Promise<ReadonlyMap<string, number>> => {
    const removed = new Map<string, number>();
    for (const purpose of purposes.all?.() ?? []) {
      if (isClosing) break;
      const { id, retention_days } = purpose;
      const ended = hasEnded(purpose, clock.nowMs());
      const before = ended ? EVER_AFTER : new Date(startOfDay(clock.nowMs()) - retention_days * DAY_MS);
      const rows = await removeExpired(handle, id, before);
      if (rows === 0) continue;
      removed.set(id, rows);
      deps.onRemoved?.();
      deleted.inc({ purpose: id }, rows);
      await log?.append({ kind: 'history.deleted', body: { purpose: id, before: before.toISOString(), observations: rows, ...(ended ? { ended } : {}) } });
    }
    return removed;
  };
  const readCurrentHoldings = async (): Promise<{ readonly atMs: number; readonly rows: readonly Holding[] }> => {
    const nowMs = clock.nowMs();
    if (holdings === undefined || nowMs - holdings.atMs > HOLDINGS_OLD_MS || nowMs < holdings.atMs) holdings = { atMs: nowMs, rows: await readHoldings(handle) };
    return holdings;
  };

  const findDay = async (text: string): Promise<Result<{ fromMs: number; toMs: number; bytes: number; sha256: string; log_index: number | null }>> => {
    const day = dayOf(text);
    const found = Number.isNaN(day) || isoDay(day) !== text ? null : await readSealedDay(handle, day);
    if (found === null) return refuse('history.day-not-sealed', `${text} is not sealed; GET /api/history/days lists the days that are.`, 'day');
    if (found.changed) return refuse('history.day-not-sealed', `Readings of ${text} were changed or deleted after it was sealed; it is sealed again within an hour, with a new hash.`, 'day');
    return ok({ fromMs: day * DAY_MS, toMs: (day + 1) * DAY_MS, bytes: found.bytes, sha256: found.sha256, log_index: found.log_index });
  };

  /** As rollUpAll, but what comes in and what is asked goes first: it works a third of the time. */
  const bringOn = async (): Promise<void> => {
    for (let more = true; more && !isClosing; ) {
      const startMs = performance.now();
      more = await rollUp(handle, clock.nowMs(), () => isClosing);
      if (more) await Promise.race([sleep(2 * (performance.now() - startMs), undefined, { ref: false }), closed.promise]);
    }
  };
  const rolling = repeat(ROLL_UP_MS, ROLL_UP_MS, bringOn, (error) => logger.error({ err: error }, 'the roll-ups could not be brought on; answers are computed from the readings until they are'));
  const isSteady = watchPace(clock);
  const upkeep = repeat(
    FIRST_UPKEEP_MS,
    UPKEEP_MS,
    async () => {
      if (log === undefined) return;
      if (!isSteady()) {
        logger.warn({}, 'the clock has jumped within the last day: nothing is packed or deleted until it has gone steadily for a day');
        return;
      }
      await alone(handle, async () => {
        await retain();
        await seal();
      });
    },
    (error) => logger.error({ err: error }, 'old readings could not be packed or deleted; trying again in an hour'),
  );

  return {
    readSeries: async (stream, fromMs, toMs, step, timeZone) => {
      if (fromMs >= toMs) return refuse('http.invalid', 'from must be before to.', 'from');
      const answer = { datastreamId: stream.id, unit: stream.unit, step, timeZone, buckets: [] as HistoryBucket[], readings: [] as HistorySeries['readings'], next: null as string | null };
      if (step === 'raw') {
        const found = await readSeries(handle.db, stream.id, fromMs, toMs, LIMITS.history_readings + 1);
        const next = found[LIMITS.history_readings];
        return ok({ ...answer, readings: found.slice(0, LIMITS.history_readings).map(({ phenomenonMs, value, valid }) => ({ at: isoOf(phenomenonMs), value, valid })), next: next === undefined ? null : isoOf(next.phenomenonMs) });
      }
      const edges = edgesOf(fromMs, toMs, step, timeZone, LIMITS.history_buckets);
      if (!edges.ok) return edges;
      const found = await readAggregates(handle, stream.id, edges.value, step === 'minute' ? 'minute' : 'hour');
      const buckets = [...found].sort(([a], [b]) => a - b).map(([index, { n, sum, min, max, first, last }]): HistoryBucket => ({ from: isoOf(edges.value[index] as number), to: isoOf(edges.value[index + 1] as number), n, sum, mean: sum / n, min, max, first, last }));
      return ok({ ...answer, buckets });
    },
    readOverview: async () => {
      const [{ atMs, rows }, bytes, observations] = await Promise.all([readCurrentHoldings(), readBytes(handle), readCount(handle)]);
      const hotRows = rows.reduce((sum, row) => sum + row.rows - row.sealed_rows, 0);
      const sealedBytes = rows.reduce((sum, row) => sum + row.sealed_bytes, 0);
      return {
        observations,
        asOf: isoOf(atMs),
        purposes: rows.map((row) => {
          const days = purposes.get(row.purpose)?.retention_days;
          const packed = sealedBytes === 0 ? 0 : Math.round((bytes.sealed_bytes * row.sealed_bytes) / sealedBytes);
          const asRows = hotRows === 0 ? 0 : Math.round((bytes.hot_bytes * (row.rows - row.sealed_rows)) / hotRows);
          return {
            purpose: row.purpose,
            retentionDays: days ?? null,
            observations: row.rows,
            sealedObservations: row.sealed_rows,
            oldest: row.oldest?.toISOString() ?? null,
            bytes: asRows + packed,
            sealedBytes: packed,
            nextDeletion: row.oldest === null || days === undefined ? null : isoOf(startOfDay(row.oldest.getTime()) + (days + 1) * DAY_MS),
          };
        }),
      };
    },
    readDays: async () => ({ days: await readRecentDays(handle) }),
    findDay,
    readProof: async (text) => {
      const day = await findDay(text);
      if (!day.ok) return day;
      const { sha256, log_index: index } = day.value;
      const opening = index === null ? null : await log?.readOpening?.('history.sealed', index);
      return ok({ day: text, sha256, leaf: index === null || opening === null || opening === undefined ? null : { index, ...opening } });
    },
    readCorrections: async (observationId) => ({ observationId, corrections: await readFormerValues(handle, observationId, CORRECTIONS) }),
    rollUp: rollUpAll,
    seal,
    retain,
    close: async () => {
      isClosing = true;
      closed.resolve();
      await Promise.all([rolling(), upkeep()]);
    },
  };
}

const startOfDay = (atMs: number): number => Math.floor(atMs / DAY_MS) * DAY_MS;
const isoDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** Runs `act` again and again, never twice at a time. Returns what ends it and waits for the run under way. */
function repeat(first_ms: number, every_ms: number, act: () => Promise<void>, onError: (error: unknown) => void): () => Promise<void> {
  let isOver = false;
  let running: Promise<void> = Promise.resolve();
  const plan = (wait_ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      running = act()
        .catch(onError)
        .finally(() => {
          if (!isOver) timer = plan(every_ms);
        });
    }, wait_ms).unref();
  let timer = plan(first_ms);
  return async () => {
    isOver = true;
    clearTimeout(timer);
    await running;
  };
}
