import { sql } from 'kysely';
import type { Database } from '../../platform/index.ts';

type LimitTables = { public_limit: { key_hash: Buffer; count: number; until: Date } };
const on = (database: Database) => database.withTables<LimitTables>();

export interface StoredCount {
  readonly hash: Buffer;
  readonly count: number;
  readonly until: Date;
}

/** Puts the counts in the place of those that are there. */
export async function putCounts(db: Database, counts: readonly StoredCount[]): Promise<void> {
  await sql`insert into public_limit (key_hash, count, until)
    select * from unnest(${counts.map(({ hash }) => hash)}::bytea[], ${counts.map(({ count }) => count)}::integer[], ${counts.map(({ until }) => until)}::timestamptz[])
    on conflict (key_hash) do update set count = excluded.count, until = excluded.until`.execute(db);
}

export async function listCounts(db: Database, at: Date, limit: number): Promise<StoredCount[]> {
  const rows = await on(db).selectFrom('public_limit').selectAll().where('until', '>', at).orderBy('until', 'desc').limit(limit).execute();
  return rows.map(({ key_hash, count, until }) => ({ hash: key_hash, count, until }));
}

export async function deleteOldCounts(db: Database, at: Date): Promise<void> {
  await on(db).deleteFrom('public_limit').where('until', '<=', at).execute();
}
