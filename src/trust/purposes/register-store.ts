import { sql } from 'kysely';
import type { Database, DatabaseHandle, Trx } from '../../platform/index.ts';

type RegisterTables = {
  purpose_register: { version: number; since: Date; hash: string; document: unknown; approval: string | null; log_index: number | null };
  datastream: { purpose: string };
};

export interface StoredVersion {
  readonly version: number;
  readonly since: Date;
  readonly hash: string;
  readonly document: unknown;
  /** Id of the approval of two people; null for the first. */
  readonly approval: string | null;
  /** Leaf of the transparency log. */
  readonly logIndex: number | null;
}

const on = (db: Database) => db.withTables<RegisterTables>();
const toVersion = ({ log_index, ...row }: RegisterTables['purpose_register']): StoredVersion => ({ ...row, logIndex: log_index });

/** The register in force; null before the city's first start. */
export async function readNewest(db: Database): Promise<StoredVersion | null> {
  const row = await on(db).selectFrom('purpose_register').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst();
  return row === undefined ? null : toVersion(row);
}

/** Newest first. */
export async function listVersions(db: Database, limit: number): Promise<StoredVersion[]> {
  const rows = await on(db).selectFrom('purpose_register').selectAll().orderBy('version', 'desc').limit(limit).execute();
  return rows.map(toVersion);
}

/** Puts a version into force if `base` is the hash of the one before; null when it is another by now. */
export async function insertVersion(trx: Trx, base: string | null, next: { hash: string; document: string; at: Date; approval: string | null; logIndex: number | null }): Promise<number | null> {
  await sql`lock table purpose_register in share row exclusive mode`.execute(trx);
  const newest = await on(trx).selectFrom('purpose_register').select('hash').orderBy('version', 'desc').limit(1).executeTakeFirst();
  if ((newest?.hash ?? null) !== base) return null;
  const { rows } = await sql<{ version: number }>`
    insert into purpose_register (since, hash, document, approval, log_index)
    values (${next.at}, ${next.hash}, ${next.document}::jsonb, ${next.approval}, ${next.logIndex}) returning version`.execute(trx);
  return rows[0]?.version ?? null;
}

export async function listUnlogged(db: Database): Promise<StoredVersion[]> {
  const rows = await on(db).selectFrom('purpose_register').selectAll().where('log_index', 'is', null).orderBy('version').limit(1_000).execute();
  return rows.map(toVersion);
}

export async function setLogIndex(db: Database, version: number, index: number): Promise<void> {
  await on(db).updateTable('purpose_register').set({ log_index: index }).where('version', '=', version).execute();
}

/** How many datastreams name each purpose. */
export async function countDatastreams(db: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await on(db)
    .selectFrom('datastream')
    .select(({ fn }) => ['purpose', fn.countAll<number>().as('count')])
    .groupBy('purpose')
    .execute();
  return new Map(rows.map((row) => [row.purpose, Number(row.count)]));
}

/** Reports of residents that were not erased yet, by purpose; `oldest` is the last step of those that no legal hold keeps. */
export async function listReports(handle: DatabaseHandle): Promise<{ purpose: string; kept: number; held: number; oldest: Date | null }[]> {
  const { rows } = await handle.pool.query<{ purpose: string; kept: number; held: number; oldest: Date | null }>(
    `select coalesce(r.purpose, '') as purpose, count(*)::int as kept, count(h.case_id)::int as held, min(coalesce(r.closed_at, r.updated_at)) filter (where h.case_id is null) as oldest
       from request r left join legal_hold h on h.case_id = r.id where r.erased_at is null group by 1 order by 1`,
  );
  return rows;
}

/** The oldest reading of each purpose that has any. Asks every datastream: for a command, not for a request. */
export async function listOldest(handle: DatabaseHandle): Promise<{ purpose: string; oldest: Date }[]> {
  const { rows } = await handle.pool.query<{ purpose: string; oldest: Date }>(
    `select d.purpose, min(o.oldest) as oldest from datastream d
       cross join lateral (select least((select min(phenomenon_start) from observation_hot where datastream_id = d.id), (select min(first_start) from observation_segment where datastream_id = d.id)) as oldest) o
      where o.oldest is not null group by d.purpose order by d.purpose`,
  );
  return rows;
}

/** A datastream with what a register of sensors says of it. */
export interface RegisteredStream {
  readonly id: number;
  readonly name: string;
  readonly purpose: string;
  readonly property: string;
  readonly sensor: string;
  readonly place: string;
  /** GeoJSON of the place; null without one. */
  readonly location: { readonly type: string; readonly coordinates: unknown } | null;
  readonly observations: boolean;
}

const STREAMS_MAX = 200_000;

/** Every datastream, by id; of one purpose when it is named. */
export async function listStreams(handle: DatabaseHandle, purpose: string | null = null, limit = STREAMS_MAX): Promise<RegisteredStream[]> {
  const { rows } = await handle.pool.query<RegisteredStream>(
    `select d.id, d.name, d.purpose, coalesce(p.name, '') as property, coalesce(s.name, '') as sensor, coalesce(t.name, '') as place, l.location,
            exists (select 1 from observation o where o.datastream_id = d.id) as observations
       from datastream d
       left join thing t on t.id = d.thing_id
       left join sensor s on s.id = d.sensor_id
       left join observed_property p on p.id = d.observed_property_id
       left join lateral (select l.location from thing_location tl join location l on l.id = tl.location_id where tl.thing_id = d.thing_id order by l.id limit 1) l on true
      where $1::text is null or d.purpose = $1 order by d.id limit $2`,
    [purpose, limit],
  );
  return rows;
}
