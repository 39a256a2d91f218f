import { sql } from 'kysely';
import type { Database, Trx } from '../../platform/index.ts';

type CaseTables = {
  root_key_version: { version: number; fingerprint: Buffer };
  case_key: {
    case_id: string;
    version: number;
    record_key: Buffer | null;
    log_key: Buffer | null;
    owner_record_key: Buffer | null;
    owner_log_key: Buffer | null;
    created_at: Date;
    destroyed_at: Date | null;
  };
  sealed_record: { case_id: string; record: string; version: number; sealed: Buffer; created_at: Date };
  look: { case_id: string; n: number; commitment: Buffer; sealed: Buffer; from_index: number; leaf_index: number | null; created_at: Date };
  legal_hold: { case_id: string; reason: string; placed_by: string; placed_at: Date };
};

/** Wrapped keys of a case; null once destroyed. */
export interface StoredKeys {
  readonly version: number;
  readonly recordKey: Buffer | null;
  readonly logKey: Buffer | null;
  readonly ownerRecordKey: Buffer | null;
  readonly ownerLogKey: Buffer | null;
}

export interface SealedRecord {
  readonly version: number;
  readonly sealed: Buffer;
}

export interface LookRow {
  readonly caseId: string;
  readonly n: number;
  readonly commitment: Buffer;
  readonly sealed: Buffer;
  readonly fromIndex: number;
  readonly leafIndex: number | null;
}

const on = (db: Database) => db.withTables<CaseTables>();

/** The fingerprints that stand, by version; the first one to come of a version stays. */
export async function settleFingerprints(db: Database, held: readonly { version: number; fingerprint: Buffer }[]): Promise<Map<number, Buffer>> {
  await on(db)
    .insertInto('root_key_version')
    .values(held.map(({ version, fingerprint }) => ({ version, fingerprint })))
    .onConflict((conflict) => conflict.column('version').doNothing())
    .execute();
  return new Map((await on(db).selectFrom('root_key_version').selectAll().execute()).map((row) => [row.version, row.fingerprint]));
}

/** Versions of the root key that wrap the keys of any case, with their number. */
export async function countByVersion(db: Database): Promise<Map<number, number>> {
  const rows = await on(db)
    .selectFrom('case_key')
    .select(['version', ({ fn }) => fn.countAll<number>().as('count')])
    .where('destroyed_at', 'is', null)
    .groupBy('version')
    .execute();
  return new Map(rows.map((row) => [row.version, row.count]));
}

const toKeys = (row: CaseTables['case_key']): StoredKeys => ({ version: row.version, recordKey: row.record_key, logKey: row.log_key, ownerRecordKey: row.owner_record_key, ownerLogKey: row.owner_log_key });

export async function readKeys(db: Database, caseIds: readonly string[]): Promise<Map<string, StoredKeys>> {
  const rows = await on(db)
    .selectFrom('case_key')
    .selectAll()
    .where('case_id', 'in', [...new Set(caseIds)])
    .execute();
  return new Map(rows.map((row) => [row.case_id, toKeys(row)]));
}

/** Keeps the keys that are there already. */
export async function insertKeys(trx: Trx, caseId: string, keys: StoredKeys, at: Date): Promise<void> {
  await on(trx)
    .insertInto('case_key')
    .values({
      case_id: caseId,
      version: keys.version,
      record_key: keys.recordKey,
      log_key: keys.logKey,
      owner_record_key: keys.ownerRecordKey,
      owner_log_key: keys.ownerLogKey,
      created_at: at,
      destroyed_at: null,
    })
    .onConflict((conflict) => conflict.column('case_id').doNothing())
    .execute();
}

/** Cases whose keys an older version of the root key wraps, in the order of their ids. */
export async function listKeysBelow(db: Database, version: number, limit: number): Promise<{ caseId: string; keys: StoredKeys }[]> {
  const rows = await on(db).selectFrom('case_key').selectAll().where('version', '<', version).where('destroyed_at', 'is', null).orderBy('version').limit(limit).execute();
  return rows.map((row) => ({ caseId: row.case_id, keys: toKeys(row) }));
}

/** Puts rewrapped keys in the place of the ones of `from`; leaves a case alone that was shredded or rewrapped meanwhile. */
export async function replaceKeys(db: Database, caseId: string, from: number, keys: Pick<StoredKeys, 'version' | 'recordKey' | 'logKey'>): Promise<void> {
  await on(db)
    .updateTable('case_key')
    .set({ version: keys.version, record_key: keys.recordKey, log_key: keys.logKey })
    .where('case_id', '=', caseId)
    .where('version', '=', from)
    .where('destroyed_at', 'is', null)
    .execute();
}

/** Locks the case's row, so that versions of its records move one at a time; 0 when there is no such record. */
export async function lockRecordVersion(trx: Trx, caseId: string, record: string): Promise<number> {
  await on(trx).selectFrom('case_key').select('case_id').where('case_id', '=', caseId).forUpdate().execute();
  const row = await on(trx).selectFrom('sealed_record').select('version').where('case_id', '=', caseId).where('record', '=', record).executeTakeFirst();
  return row?.version ?? 0;
}

export async function writeRecord(trx: Trx, caseId: string, record: string, version: number, sealed: Buffer, at: Date): Promise<void> {
  await on(trx)
    .insertInto('sealed_record')
    .values({ case_id: caseId, record, version, sealed, created_at: at })
    .onConflict((conflict) => conflict.columns(['case_id', 'record']).doUpdateSet({ version, sealed, created_at: at }))
    .execute();
}

/** Sealed records of the cases by case id and name. */
export async function readRecords(db: Database, caseIds: readonly string[]): Promise<Map<string, Map<string, SealedRecord>>> {
  const rows = await on(db)
    .selectFrom('sealed_record')
    .select(['case_id', 'record', 'version', 'sealed'])
    .where('case_id', 'in', [...new Set(caseIds)])
    .execute();
  const byCase = new Map<string, Map<string, SealedRecord>>();
  for (const { case_id, record, version, sealed } of rows) {
    const records = byCase.get(case_id) ?? new Map<string, SealedRecord>();
    byCase.set(case_id, records.set(record, { version, sealed }));
  }
  return byCase;
}

/** The last running number of each case; none for a case without looks. */
export async function lastLookNumbers(db: Database, caseIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await on(db)
    .selectFrom('look')
    .select(['case_id', ({ fn }) => fn.max('n').as('n')])
    .where('case_id', 'in', [...new Set(caseIds)])
    .groupBy('case_id')
    .execute();
  return new Map(rows.map((row) => [row.case_id, row.n]));
}

export async function insertLooks(db: Database, looks: readonly Omit<LookRow, 'leafIndex'>[], at: Date): Promise<void> {
  await on(db)
    .insertInto('look')
    .values(looks.map(({ caseId, n, commitment, sealed, fromIndex }) => ({ case_id: caseId, n, commitment, sealed, from_index: fromIndex, leaf_index: null, created_at: at })))
    .execute();
}

export async function setLookIndices(db: Database, looks: readonly { commitment: Buffer; index: number }[]): Promise<void> {
  const values = sql.join(looks.map(({ commitment, index }) => sql`(${commitment}::bytea, ${index}::bigint)`));
  await sql`update look set leaf_index = v.leaf from (values ${values}) as v(commitment, leaf) where look.commitment = v.commitment`.execute(db);
}

/** Only ones that were never logged can go. */
export async function deletePendingLooks(db: Database, commitments: readonly Buffer[]): Promise<void> {
  if (commitments.length === 0) return;
  await on(db)
    .deleteFrom('look')
    .where('commitment', 'in', [...commitments])
    .where('leaf_index', 'is', null)
    .execute();
}

const toLook = (row: CaseTables['look']): LookRow => ({
  caseId: row.case_id,
  n: row.n,
  commitment: row.commitment,
  sealed: row.sealed,
  fromIndex: row.from_index,
  leafIndex: row.leaf_index,
});

/** Pending looks of these cases, or of all. */
export async function listPendingLooks(db: Database, caseIds?: readonly string[]): Promise<LookRow[]> {
  let query = on(db).selectFrom('look').selectAll().where('leaf_index', 'is', null).orderBy('from_index').limit(10_000);
  if (caseIds !== undefined) query = query.where('case_id', 'in', [...caseIds]);
  return (await query.execute()).map(toLook);
}

const LOOKS_LIMIT = 10_000;

export async function listLooks(db: Database, caseId: string): Promise<LookRow[]> {
  return (await on(db).selectFrom('look').selectAll().where('case_id', '=', caseId).where('leaf_index', 'is not', null).orderBy('n').limit(LOOKS_LIMIT).execute()).map(toLook);
}

export async function countLooks(db: Database): Promise<number> {
  const row = await on(db)
    .selectFrom('look')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('leaf_index', 'is not', null)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** Why the case must not be erased; null when nothing holds it. */
export async function readHold(db: Database, caseId: string): Promise<string | null> {
  return (await on(db).selectFrom('legal_hold').select('reason').where('case_id', '=', caseId).executeTakeFirst())?.reason ?? null;
}

const HOLDS_MAX = 1_000;

/** Newest first. */
export async function listHolds(db: Database): Promise<{ caseId: string; reason: string; placedBy: string; placedAt: Date }[]> {
  const rows = await on(db).selectFrom('legal_hold').selectAll().orderBy('placed_at', 'desc').limit(HOLDS_MAX).execute();
  return rows.map((row) => ({ caseId: row.case_id, reason: row.reason, placedBy: row.placed_by, placedAt: row.placed_at }));
}

/** How the key of a case lies; undefined for a case without one. */
export async function readCaseState(db: Database, caseId: string): Promise<{ version: number; records: number; madeAt: Date; erasedAt: Date | null; hold: string | null } | undefined> {
  const row = await on(db).selectFrom('case_key').select(['version', 'created_at', 'destroyed_at']).where('case_id', '=', caseId).executeTakeFirst();
  if (row === undefined) return undefined;
  const records = (await readRecords(db, [caseId])).get(caseId)?.size ?? 0;
  return { version: row.version, records, madeAt: row.created_at, erasedAt: row.destroyed_at, hold: await readHold(db, caseId) };
}

export async function placeHold(db: Database, caseId: string, hold: { reason: string; placedBy: string; at: Date }): Promise<void> {
  const row = { reason: hold.reason, placed_by: hold.placedBy, placed_at: hold.at };
  await on(db)
    .insertInto('legal_hold')
    .values({ case_id: caseId, ...row })
    .onConflict((conflict) => conflict.column('case_id').doUpdateSet(row))
    .execute();
}

export async function liftHold(db: Database, caseId: string): Promise<void> {
  await on(db).deleteFrom('legal_hold').where('case_id', '=', caseId).execute();
}

/** Destroys the keys of a case and deletes its records; null when there was no key or a hold stands. Dead rows stay in the files until `compactTables`. */
export async function destroyKeys(db: Database, caseId: string, at: Date): Promise<number | null> {
  return db.transaction().execute(async (trx) => {
    const tables = on(trx);
    const held = await tables.selectFrom('legal_hold').select('case_id').where('case_id', '=', caseId).executeTakeFirst();
    if (held) return null;
    const present = await tables.selectFrom('case_key').select('case_id').where('case_id', '=', caseId).where('destroyed_at', 'is', null).forUpdate().executeTakeFirst();
    if (!present) return null;
    await tables.updateTable('case_key').set({ record_key: null, log_key: null, owner_record_key: null, owner_log_key: null, destroyed_at: at }).where('case_id', '=', caseId).execute();
    const deleted = await tables.deleteFrom('sealed_record').where('case_id', '=', caseId).returning('record').execute();
    return deleted.length;
  });
}

/** Cases whose keys were destroyed after `since`, oldest first. */
export async function listErased(db: Database, since: Date, limit: number): Promise<{ caseId: string; at: Date }[]> {
  const rows = await on(db).selectFrom('case_key').select(['case_id', 'destroyed_at']).where('destroyed_at', '>', since).orderBy('destroyed_at').orderBy('case_id').limit(limit).execute();
  return rows.map(({ case_id, destroyed_at }) => ({ caseId: case_id, at: destroyed_at as Date }));
}

/**
 * Rewrites the tables that held keys, records and search tokens, so that their files hold no older version of a row; locks each while it
 * runs. Then ends the present segment of the write-ahead log, so that it goes too as soon as the server removes it.
 */
export async function compactTables(db: Database): Promise<void> {
  for (const table of ['case_key', 'sealed_record', 'case_token']) await sql`vacuum (full, analyze) ${sql.table(table)}`.execute(db);
  // a database of others may not let us
  const { rows } = await sql<{ may: boolean }>`select has_function_privilege('pg_switch_wal()', 'execute') and pg_has_role('pg_checkpoint', 'usage') as may`.execute(db);
  if (rows[0]?.may !== true) return;
  await sql`select pg_switch_wal()`.execute(db);
  await sql`checkpoint`.execute(db);
}
