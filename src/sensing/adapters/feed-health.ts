import type { FeedAnswer, FeedHealth } from '../../contracts/feed.ts';
import { REFUSALS, isoOf, type Clock, type Refusal, type RefusalCode } from '../../kernel/index.ts';
import { createRates } from '../ingest/rates.ts';
import type { FeedRefusalRow, FeedRow } from './feed-store.ts';
import { plainText } from './json.ts';

const STALE_INTERVALS = 3;
const LATE_INTERVALS = 2;
/** Distinct codes are few; this only bounds what a file could hold. */
const CODES_MAX = 200;
const PLACE_CHARS = 200;
const DETAIL_CHARS = 500;

/** What is known of how a feed fares. */
export interface FeedRecord {
  readonly failures: number;
  readonly paused: boolean;
  readonly lastSuccessMs: number | null;
  setPaused(paused: boolean): void;
  noteRefused(code: string, at: string, count?: number): void;
  /** A document was read and stored; `answer` says what of it. */
  noteDone(answer: FeedAnswer, ignored: number): void;
  noteFailed(refusal: Refusal): void;
  state(interval_s: number): 'live' | 'late' | 'stale' | 'waiting' | 'failing' | 'paused';
  figures(): Pick<FeedHealth, 'last_success_at' | 'age_s' | 'per_minute' | 'taken' | 'duplicate' | 'ignored' | 'refused' | 'error'>;
  /** The rows to write when something changed since the last call; else null. */
  takeChanges(): { readonly feed: FeedRow; readonly refusals: readonly FeedRefusalRow[] } | null;
}

export function createFeedRecord(stored: { readonly feed: FeedRow; readonly refusals: readonly FeedRefusalRow[] }, clock: Clock): FeedRecord {
  const refused = new Map(stored.refusals.map((row) => [row.code, { count: row.count, lastMs: row.last_at.getTime(), place: row.place }]));
  let { paused, taken, duplicate, error } = stored.feed;
  let lastSuccessMs = stored.feed.last_success_at?.getTime() ?? null;
  let failures = 0;
  let ignored = 0;
  let dirty = false;
  const rates = createRates();
  const ageS = (): number | null => (lastSuccessMs === null ? null : Math.max(0, (clock.nowMs() - lastSuccessMs) / 1_000));
  const fail = ({ code, detail, field }: Refusal): void => {
    failures += 1;
    error = { at: isoOf(clock.nowMs()), code, detail: plainText(detail, DETAIL_CHARS), field: field === undefined ? null : plainText(field, PLACE_CHARS) };
    dirty = true;
  };

  return {
    get failures() {
      return failures;
    },
    get paused() {
      return paused;
    },
    get lastSuccessMs() {
      return lastSuccessMs;
    },
    setPaused: (value) => {
      paused = value;
      dirty = true;
    },
    noteRefused: (code, at, count = 1) => {
      const before = refused.get(code)?.count ?? 0;
      if (before === 0 && refused.size >= CODES_MAX) return;
      refused.set(code, { count: before + count, lastMs: clock.nowMs(), place: plainText(at, PLACE_CHARS) });
      dirty = true;
    },
    noteDone: (answer, left) => {
      ignored += left;
      dirty = true;
      taken += answer.taken;
      duplicate += answer.duplicate;
      if (answer.taken > 0) rates.count('taken', clock.nowMs(), answer.taken);
      const [first] = answer.refused;
      if (first !== undefined && answer.taken + answer.duplicate === 0) return fail({ code: first.code as RefusalCode, detail: first.detail, field: first.at });
      lastSuccessMs = clock.nowMs();
      failures = 0;
      error = null;
    },
    noteFailed: fail,
    state: (interval_s) => {
      const age_s = ageS();
      if (paused) return 'paused';
      if (error !== null && (age_s === null || age_s > STALE_INTERVALS * interval_s)) return 'failing';
      if (age_s === null) return 'waiting';
      return age_s <= LATE_INTERVALS * interval_s ? 'live' : age_s <= STALE_INTERVALS * interval_s ? 'late' : 'stale';
    },
    figures: () => ({
      last_success_at: lastSuccessMs === null ? null : isoOf(lastSuccessMs),
      age_s: ageS(),
      per_minute: rates.perMinute(clock.nowMs()).get('taken')?.perMinute ?? 0,
      taken,
      duplicate,
      ignored,
      refused: [...refused].sort((a, b) => b[1].count - a[1].count).map(([code, { count, lastMs, place }]) => ({ code, count, last_at: isoOf(lastMs), at: place, cure: cureOf(code) })),
      error: error === null ? null : { ...error, cure: cureOf(error.code) },
    }),
    takeChanges: () => {
      if (!dirty) return null;
      dirty = false;
      return {
        feed: { paused, last_success_at: lastSuccessMs === null ? null : new Date(lastSuccessMs), taken, duplicate, error },
        refusals: [...refused].map(([code, { count, lastMs, place }]) => ({ code, count, last_at: new Date(lastMs), place })),
      };
    },
  };
}

/** A code that an older version wrote has no cure here. */
const cureOf = (code: string): string => (Object.hasOwn(REFUSALS, code) ? REFUSALS[code as RefusalCode].cure : '');
