import { sql } from 'kysely';
import type { Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger, Trx } from '../../platform/index.ts';
import { HOUR_MS } from './batch-store.ts';

/** The day partitions of table `observation_hot`. */
export interface Partitions {
  /** Makes the partition of the UTC day (days since 1970), unless it stands. */
  ensure(day: number): Promise<void>;
  /** Whether `ensure` has nothing to do; cheap. */
  isKnown(day: number): boolean;
  /** Names of all partitions that may hold rows, newest day first, the one for all other times at the front. */
  names(): readonly string[];
  /** Reads again which partitions stand: other processes make and drop some. */
  refresh(): Promise<void>;
  /** Notes that the partition of the day was dropped: late rows of it go to the one for all other times. */
  forget(day: number): void;
  /** Makes those of today and the days ahead, and those that could not be made before, with the rows that wait for them. */
  makeAhead(): Promise<void>;
  close(): Promise<void>;
}

export const DAY_MS = 86_400_000;
const dayOf = (atMs: number): number => Math.floor(atMs / DAY_MS);

const AHEAD_DAYS = 2;
// Rows of older or impossible days go to the partition for all other times: a partition for each of them would slow every query.
const BACK_DAYS = 400;
const REFILL_MS = 3_600_000;
const LOCK_TIMEOUT_MS = 3_000;
// Nobody reads or stores while rows move into a new partition; days with more stay in the one for all other times until they are sealed.
const MOVED_ROWS = 500_000;
const OTHER = 'observation_other';

/** Reads which partitions stand and makes those of today and the days ahead; an hourly timer goes on with that. */
export async function openPartitions(handle: DatabaseHandle, clock: Clock, logger: Logger): Promise<Partitions> {
  const known = new Set<number>();
  const making = new Map<number, Promise<void>>();
  const postponed = new Set<number>(); // days whose rows go to the partition for all other times until the next try
  const standing = new Set<number>();
  const refresh = async (): Promise<void> => {
    const present = await sql<{ name: string }>`select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'observation_hot'::regclass`.execute(handle.db);
    standing.clear();
    for (const { name } of present.rows) {
      const found = /^observation_(\d{4})(\d{2})(\d{2})$/.exec(name);
      if (found !== null) standing.add(dayOf(Date.UTC(Number(found[1]), Number(found[2]) - 1, Number(found[3]))));
    }
    for (const day of standing) known.add(day);
  };
  await refresh();

  const isFar = (day: number): boolean => {
    const today = dayOf(clock.nowMs());
    return day < today - BACK_DAYS || day > today + AHEAD_DAYS;
  };

  const make = async (day: number, takesRows: boolean): Promise<void> => {
    const name = nameOf(day);
    const limit = (at: number): string => `'${new Date(at * DAY_MS).toISOString()}'`;
    try {
      await handle.db.transaction().execute(async (trx) => {
        await sql.raw(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`).execute(trx);
        // attaching takes a weaker lock on the whole table than `create table ... partition of`, so reading and storing go on
        await sql.raw(`create table ${name} (like observation_hot including defaults)`).execute(trx);
        if (takesRows) await moveRows(trx, name, day);
        await sql.raw(`alter table observation_hot attach partition ${name} for values from (${limit(day)}) to (${limit(day + 1)})`).execute(trx);
      });
      standing.add(day);
      postponed.delete(day);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === '42P07') {
        standing.add(day); // another process made it first
        postponed.delete(day);
      } else if (code === '23514' || code === '55P03') {
        postponed.add(day);
        logger.warn({ err: error, partition: name }, 'a day has no partition of its own yet; its rows go to observation_other until the next try within an hour');
      } else throw error;
    }
    known.add(day);
  };
  const ensure = async (day: number): Promise<void> => {
    if (known.has(day) || isFar(day)) return;
    let made = making.get(day);
    if (made === undefined) {
      made = make(day, false).finally(() => making.delete(day));
      making.set(day, made);
    }
    await made;
  };
  const ahead = async (): Promise<void> => {
    const today = dayOf(clock.nowMs());
    for (let day = today - 1; day <= today + AHEAD_DAYS; day += 1) await ensure(day);
    for (const day of [...postponed]) {
      if (isFar(day)) postponed.delete(day);
      else await make(day, true);
    }
  };

  await ahead();
  let refilling: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    refilling = ahead().catch((error: unknown) => logger.error({ err: error }, 'no partitions could be made ahead; trying again in an hour'));
  }, REFILL_MS);
  timer.unref();

  return {
    ensure,
    isKnown: (day) => known.has(day) || isFar(day),
    refresh,
    names: () => [OTHER, ...[...standing].sort((a, b) => b - a).map(nameOf)],
    forget: (day) => {
      standing.delete(day);
      postponed.delete(day);
      known.add(day);
    },
    makeAhead: ahead,
    close: async () => {
      clearInterval(timer);
      await refilling;
    },
  };
}

const nameOf = (day: number): string => `observation_${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;

/** Rows of the day that went to the partition for all other times, into the table that becomes its partition. */
async function moveRows(trx: Trx, name: string, day: number): Promise<void> {
  const span = sql`phenomenon_start >= ${new Date(day * DAY_MS)} and phenomenon_start < ${new Date((day + 1) * DAY_MS)}`;
  await sql`lock table ${sql.table(OTHER)} in access exclusive mode`.execute(trx);
  const found = await sql<{ rows: number }>`select count(*) as rows from (select 1 from ${sql.table(OTHER)} where ${span} limit ${MOVED_ROWS + 1}) of_day`.execute(trx);
  const rows = found.rows[0]?.rows ?? 0;
  if (rows === 0 || rows > MOVED_ROWS) return;
  await sql`with moved as (delete from ${sql.table(OTHER)} where ${span} returning *) insert into ${sql.table(name)} select * from moved`.execute(trx);
  // other processes find the rows of a batch by the transaction that wrote them (peers/peer-store.ts): this makes them read again
  const hour = (day * DAY_MS) / HOUR_MS;
  await sql`insert into observation_batch (writer, rows, first_hour, last_hour, streams) values ('change', 0, ${hour}, ${hour + 23}, '{}')`.execute(trx);
}
