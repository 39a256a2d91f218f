import { sql, type Generated, type JSONColumnType } from 'kysely';
import pg from 'pg';
import type { Database, DatabaseHandle, Trx } from './database/database.ts';
import type { Clock } from '../kernel/index.ts';
import type { Logger } from './logger.ts';

export interface BusEvent<T = unknown> {
  readonly seq: number;
  readonly at: Date;
  /** `noun.verb`, such as `incident.changed`. */
  readonly topic: string;
  /** Id of the thing that the event is about. */
  readonly key: string;
  readonly payload: T;
}

export interface Bus {
  /** Part of the caller's transaction: the event exists if and only if the transaction commits. */
  publish(trx: Trx, topic: string, key: string, payload: unknown): Promise<void>;
  /**
   * Calls `handle` for every event of `topics` in order, at least once. With a `consumer` name the position survives restarts;
   * without one, only events from now on are seen. A handler that throws is called again with the same event.
   */
  subscribe(topics: readonly string[], handle: (event: BusEvent) => Promise<void> | void, consumer?: string): Promise<() => void>;
  /** Events after `seq`, oldest first, at most `limit`. */
  readAfter(seq: number, topics: readonly string[], limit: number): Promise<BusEvent[]>;
  lastSeq(): Promise<number>;
  close(): Promise<void>;
}

// a type, not an interface: kysely's withTables() asks for an index signature
type BusTables = {
  event: { seq: Generated<number>; at: Date; topic: string; key: string; payload: JSONColumnType<object> };
  bus_cursor: { consumer: string; seq: number };
};

const PUBLISH_LOCK = 7_301_001;
const BATCH_EVENTS = 500;
const POLL_MS = 5_000;
const RETRY_MS = 1_000;

export async function createBus(handle: DatabaseHandle, clock: Clock, logger: Logger): Promise<Bus> {
  const db = handle.db.withTables<BusTables>();
  const wakers = new Set<() => void>(); // one per subscription; removed when it ends
  const wakeAll = (): void => {
    for (const wake of wakers) wake();
  };
  let closed = false;
  let listener: pg.Client | undefined;

  const listen = async (): Promise<void> => {
    const options = handle.pool.options;
    const client = new pg.Client({ host: options.host, port: options.port, user: options.user, database: options.database, password: options.password, connectionString: options.connectionString });
    client.on('notification', wakeAll);
    client.on('error', (error) => {
      logger.warn({ err: error }, 'the bus lost its connection; listening again');
      if (!closed) setTimeout(() => void relisten(), RETRY_MS).unref();
    });
    await client.connect();
    await client.query('listen bus');
    listener = client;
    wakeAll();
  };
  const relisten = async (): Promise<void> => {
    try {
      if (!closed) await listen();
    } catch {
      setTimeout(() => void relisten(), RETRY_MS).unref(); // the database is away; polling goes on meanwhile
    }
  };
  await listen();
  const poll = setInterval(wakeAll, POLL_MS);
  poll.unref();

  const readAfter = async (seq: number, topics: readonly string[], limit: number): Promise<BusEvent[]> =>
    db.selectFrom('event').selectAll().where('seq', '>', seq).where('topic', 'in', [...topics]).orderBy('seq').limit(limit).execute();

  const lastSeq = async (): Promise<number> => {
    const row = await db.selectFrom('event').select(({ fn }) => fn.max('seq').as('seq')).executeTakeFirst();
    return row?.seq ?? 0;
  };

  return {
    publish: async (trx, topic, key, payload) => {
      // One publisher at a time until commit, so that seq order is commit order and a reader never skips a late commit.
      await sql`select pg_advisory_xact_lock(${PUBLISH_LOCK})`.execute(trx);
      await trx.withTables<BusTables>().insertInto('event').values({ at: new Date(clock.nowMs()), topic, key, payload: JSON.stringify(payload) }).execute();
      await sql`notify bus`.execute(trx);
    },
    subscribe: async (topics, handleEvent, consumer) => {
      let position = consumer === undefined ? await lastSeq() : await readCursor(handle.db, consumer);
      let running = false;
      let again = false;
      let ended = false;
      const drain = async (): Promise<void> => {
        if (running) {
          again = true;
          return;
        }
        running = true;
        try {
          do {
            again = false;
            for (;;) {
              const events = await readAfter(position, topics, BATCH_EVENTS);
              for (const event of events) {
                if (ended) return;
                await handleEvent(event);
                position = event.seq;
                if (consumer !== undefined) await writeCursor(handle.db, consumer, position);
              }
              if (events.length < BATCH_EVENTS) break;
            }
          } while (again);
        } catch (error) {
          if (!closed && !ended) {
            logger.error({ err: error, consumer, topics }, 'a bus handler failed; it will be called again');
            setTimeout(wake, RETRY_MS).unref();
          }
        } finally {
          running = false;
        }
      };
      const wake = (): void => void drain();
      wakers.add(wake);
      wake();
      return () => {
        ended = true;
        wakers.delete(wake);
      };
    },
    readAfter,
    lastSeq,
    close: async () => {
      closed = true;
      clearInterval(poll);
      wakers.clear();
      await listener?.end();
    },
  };
}

async function readCursor(db: Database, consumer: string): Promise<number> {
  const row = await db.withTables<BusTables>().selectFrom('bus_cursor').select('seq').where('consumer', '=', consumer).executeTakeFirst();
  return row?.seq ?? 0;
}

async function writeCursor(db: Database, consumer: string, seq: number): Promise<void> {
  await db.withTables<BusTables>().insertInto('bus_cursor').values({ consumer, seq }).onConflict((on) => on.column('consumer').doUpdateSet({ seq })).execute();
}
