import { sql } from 'kysely';
import type { DatabaseHandle } from '../../platform/index.ts';

export type MadeKind = 'place' | 'series' | 'property' | 'sensor';

/** An entity that a feed has made, by the key of its source. */
export interface MadeRow {
  readonly kind: MadeKind;
  readonly key: string;
  readonly id: number;
  /** Digest of what the source said of it last. */
  readonly said: string;
  /** The same for where it is; empty for what is nowhere. */
  readonly said_where: string;
}

export interface FeedRow {
  readonly paused: boolean;
  readonly last_success_at: Date | null;
  readonly taken: number;
  readonly duplicate: number;
  readonly error: { readonly at: string; readonly code: string; readonly detail: string; readonly field: string | null } | null;
}

export interface FeedRefusalRow {
  readonly code: string;
  readonly count: number;
  readonly last_at: Date;
  readonly place: string;
}

export interface FeedStore {
  madeBy(feed: string): Promise<MadeRow[]>;
  keepMade(feed: string, row: MadeRow): Promise<void>;
  /** The oldest ObservedProperty of this key and definition. */
  findProperty(key: string, definition: string): Promise<number | undefined>;
  read(feed: string): Promise<{ readonly feed: FeedRow; readonly refusals: readonly FeedRefusalRow[] }>;
  write(name: string, feed: FeedRow, refusals: readonly FeedRefusalRow[]): Promise<void>;
}

const COLUMN: Readonly<Record<MadeKind, string>> = { place: 'thing_id', series: 'datastream_id', property: 'observed_property_id', sensor: 'sensor_id' };
const EMPTY: FeedRow = { paused: false, last_success_at: null, taken: 0, duplicate: 0, error: null };

export function createFeedStore({ db }: DatabaseHandle): FeedStore {
  return {
    madeBy: async (feed) => {
      // what was made just before a crash carries its key, and is taken up again with an empty digest
      for (const [kind, table, column] of [['place', 'thing', 'thing_id'], ['series', 'datastream', 'datastream_id']] as const) {
        await sql`insert into feed_entity (feed, kind, key, ${sql.raw(column)}, said)
          select ${feed}, ${kind}, e.properties ->> 'source_key', min(e.id), '' from ${sql.raw(table)} e
          where e.properties ->> 'feed' = ${feed} and e.properties ? 'source_key' group by 3
          on conflict do nothing`.execute(db);
      }
      const { rows } = await sql<MadeRow>`select kind, key, coalesce(thing_id, datastream_id, observed_property_id, sensor_id) as id, said, said_where from feed_entity where feed = ${feed}`.execute(db);
      return rows;
    },
    keepMade: async (feed, { kind, key, id, said, said_where }) => {
      const column = sql.raw(COLUMN[kind]);
      await sql`insert into feed_entity (feed, kind, key, ${column}, said, said_where) values (${feed}, ${kind}, ${key}, ${id}, ${said}, ${said_where})
        on conflict (feed, kind, key) do update set ${column} = excluded.${column}, said = excluded.said, said_where = excluded.said_where`.execute(db);
    },
    findProperty: async (key, definition) => {
      const { rows } = await sql<{ id: number }>`select id from observed_property where properties ->> 'key' = ${key} and definition = ${definition} order by id limit 1`.execute(db);
      return rows[0]?.id;
    },
    read: async (feed) => {
      const [{ rows: feeds }, { rows: refusals }] = await Promise.all([
        sql<FeedRow>`select paused, last_success_at, taken, duplicate, error from feed where name = ${feed}`.execute(db),
        sql<FeedRefusalRow>`select code, count, last_at, place from feed_refusal where feed = ${feed}`.execute(db),
      ]);
      return { feed: feeds[0] ?? EMPTY, refusals };
    },
    write: async (name, { paused, last_success_at, taken, duplicate, error }, refusals) => {
      await db.transaction().execute(async (trx) => {
        await sql`insert into feed (name, paused, last_success_at, taken, duplicate, error) values (${name}, ${paused}, ${last_success_at}, ${taken}, ${duplicate}, ${error === null ? null : JSON.stringify(error)}::jsonb)
          on conflict (name) do update set paused = excluded.paused, last_success_at = excluded.last_success_at, taken = excluded.taken, duplicate = excluded.duplicate, error = excluded.error`.execute(trx);
        for (const { code, count, last_at, place } of refusals) {
          await sql`insert into feed_refusal (feed, code, count, last_at, place) values (${name}, ${code}, ${count}, ${last_at}, ${place})
            on conflict (feed, code) do update set count = excluded.count, last_at = excluded.last_at, place = excluded.place`.execute(trx);
        }
      });
    },
  };
}
