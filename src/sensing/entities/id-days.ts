import { isoOf } from '../../kernel/index.ts';
import { frag, join, raw, type Fragment } from '../query/fragment.ts';

type Run = <T>(fragment: Fragment) => Promise<T[]>;

/** Where an observation probably stands: ids grow with arrival, and most readings arrive in the hour of their phenomenon. */
export interface IdDays {
  /** SQL over the rows `alias` that leaves most partitions out and holds for the likely ones; null when nothing is known. */
  likely(run: Run, id: number, alias: string): Promise<Fragment | null>;
}

interface Day {
  readonly startMs: number;
  readonly firstId: number;
}

const DAY_MS = 86_400_000;
const REFRESH_MS = 60_000;
const CANDIDATES = 3;

/** Knows one id of each day's partition. Only a first guess: who does not find it there looks everywhere. `nowMs` is the clock. */
export function createIdDays(nowMs: () => number): IdDays {
  let days: readonly Day[] = [];
  let readMs = -Infinity;
  return {
    likely: async (run, id, alias) => {
      if (nowMs() - readMs > REFRESH_MS) {
        readMs = nowMs();
        days = await readDays(run);
      }
      const candidates = days.filter(({ firstId }) => firstId <= id).slice(-CANDIDATES);
      if (candidates.length === 0) return null;
      const time = raw(`${alias}.phenomenon_start`);
      const [first, last] = [raw(`${alias}.span_first`), raw(`${alias}.span_last`)];
      // plain constants: sums of times are worked out too late to leave partitions out of the plan
      const windows = candidates.map(({ startMs }) => {
        const [start, end] = [frag`${isoOf(startMs)}::timestamptz`, frag`${isoOf(startMs + DAY_MS)}::timestamptz`];
        return frag`(${time} >= ${start} and ${time} < ${end} and ${last} >= ${start} and ${first} < ${end})`;
      });
      return frag`(${join(windows, ' or ')})`;
    },
  };
}

async function readDays(run: Run): Promise<Day[]> {
  const partitions = await run<{ name: string }>(frag`select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'observation_hot'::regclass and c.relname ~ '^observation_[0-9]{8}$'`);
  if (partitions.length === 0) return [];
  const starts = partitions.map(({ name }) => Date.UTC(Number(name.slice(12, 16)), Number(name.slice(16, 18)) - 1, Number(name.slice(18, 20))));
  // through the parent: a partition may be packed away in the meantime
  const found = await run<{ startMs: number; firstId: number | null }>(frag`
    select d.ms as "startMs", (select o.id from observation_hot o where o.phenomenon_start >= to_timestamp(d.ms / 1000) and o.phenomenon_start < to_timestamp(d.ms / 1000 + 86400) limit 1) as "firstId"
    from unnest(${starts}::double precision[]) d(ms)`);
  return found.flatMap(({ startMs, firstId }) => (firstId === null ? [] : [{ startMs, firstId }])).sort((a, b) => a.firstId - b.firstId);
}
