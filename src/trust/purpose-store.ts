import type { Generated } from 'kysely';
import type { Database } from '../platform/index.ts';

type PurposeTables = {
  purpose_register: { version: Generated<number>; since: Date; hash: string; document: string };
  datastream: { purpose: string };
};

/** Durable when it resolves. Keeps the version when nothing changed. */
export async function recordRegister(database: Database, register: { hash: string; document: string; at: Date }): Promise<{ version: number; since: Date }> {
  const db = database.withTables<PurposeTables>();
  const last = await db.selectFrom('purpose_register').select(['version', 'since', 'hash']).orderBy('version', 'desc').limit(1).executeTakeFirst();
  if (last?.hash === register.hash) return { version: last.version, since: last.since };
  return db
    .insertInto('purpose_register')
    .values({ since: register.at, hash: register.hash, document: register.document })
    .returning(['version', 'since'])
    .executeTakeFirstOrThrow();
}

/** The register in force, as the city recorded it; null before its first start. */
export async function readRegister(database: Database): Promise<{ version: number; since: Date; hash: string; document: string } | null> {
  const row = await database.withTables<PurposeTables>().selectFrom('purpose_register').selectAll().orderBy('version', 'desc').limit(1).executeTakeFirst();
  return row === undefined ? null : { ...row, document: JSON.stringify(row.document) };
}

/** How many datastreams name each purpose. */
export async function countDatastreams(database: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await database
    .withTables<PurposeTables>()
    .selectFrom('datastream')
    .select(({ fn }) => ['purpose', fn.countAll<number>().as('count')])
    .groupBy('purpose')
    .execute();
  return new Map(rows.map((row) => [row.purpose, Number(row.count)]));
}
