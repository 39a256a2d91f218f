import type { Database, Trx } from '../../platform/index.ts';

type CaseTables = {
  root_key: { only_row: boolean; fingerprint: Buffer };
  case_key: { case_id: string; version: number; record_key: Buffer | null; log_key: Buffer | null; created_at: Date; destroyed_at: Date | null };
  sealed_record: { case_id: string; record: string; version: number; sealed: Buffer; created_at: Date };
  look: { case_id: string; n: number; commitment: Buffer; sealed: Buffer; from_index: number; leaf_index: number | null; created_at: Date };
};

/** Both keys are wrapped; null once destroyed. */
export interface WrappedKeys {
  readonly version: number;
  readonly recordKey: Buffer | null;
  readonly logKey: Buffer | null;
}

interface SealedRecord {
  readonly version: number;
  readonly sealed: Buffer;
}

interface LookRow {
  readonly caseId: string;
  readonly n: number;
  readonly commitment: Buffer;
  readonly sealed: Buffer;
  readonly fromIndex: number;
  readonly leafIndex: number | null;
}

const on = (db: Database) => db.withTables<CaseTables>();

/** The fingerprint that stands; the first one to come stays. */
export async function settleFingerprint(db: Database, fingerprint: Buffer): Promise<Buffer> {
  await on(db)
    .insertInto('root_key')
    .values({ only_row: true, fingerprint })
    .onConflict((conflict) => conflict.column('only_row').doNothing())
    .execute();
  return (await on(db).selectFrom('root_key').select('fingerprint').executeTakeFirstOrThrow()).fingerprint;
}

export async function readKeys(db: Database, caseId: string): Promise<WrappedKeys | undefined> {
  const row = await on(db).selectFrom('case_key').selectAll().where('case_id', '=', caseId).executeTakeFirst();
  return row && { version: row.version, recordKey: row.record_key, logKey: row.log_key };
}

/** Keeps the keys that are there already. */
export async function insertKeys(trx: Trx, caseId: string, keys: { version: number; recordKey: Buffer; logKey: Buffer }, at: Date): Promise<void> {
  await on(trx)
    .insertInto('case_key')
    .values({ case_id: caseId, version: keys.version, record_key: keys.recordKey, log_key: keys.logKey, created_at: at, destroyed_at: null })
    .onConflict((conflict) => conflict.column('case_id').doNothing())
    .execute();
}

/** Locks the record's row, so that its version moves one at a time; 0 when there is none. */
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

export async function readRecord(db: Database, caseId: string, record: string): Promise<SealedRecord | undefined> {
  return on(db).selectFrom('sealed_record').select(['version', 'sealed']).where('case_id', '=', caseId).where('record', '=', record).executeTakeFirst();
}

export async function lastLookNumber(db: Database, caseId: string): Promise<number> {
  const row = await on(db)
    .selectFrom('look')
    .select(({ fn }) => fn.max('n').as('n'))
    .where('case_id', '=', caseId)
    .executeTakeFirst();
  return row?.n ?? 0;
}

export async function insertLook(db: Database, look: Omit<LookRow, 'leafIndex'>, at: Date): Promise<void> {
  await on(db)
    .insertInto('look')
    .values({ case_id: look.caseId, n: look.n, commitment: look.commitment, sealed: look.sealed, from_index: look.fromIndex, leaf_index: null, created_at: at })
    .execute();
}

export async function setLookIndex(db: Database, commitment: Buffer, index: number): Promise<void> {
  await on(db).updateTable('look').set({ leaf_index: index }).where('commitment', '=', commitment).execute();
}

/** Only one that was never logged can go. */
export async function deletePendingLook(db: Database, commitment: Buffer): Promise<void> {
  await on(db).deleteFrom('look').where('commitment', '=', commitment).where('leaf_index', 'is', null).execute();
}

const toLook = (row: CaseTables['look']): LookRow => ({
  caseId: row.case_id,
  n: row.n,
  commitment: row.commitment,
  sealed: row.sealed,
  fromIndex: row.from_index,
  leafIndex: row.leaf_index,
});

/** Pending looks of one case, or of all. */
export async function listPendingLooks(db: Database, caseId?: string): Promise<LookRow[]> {
  let query = on(db).selectFrom('look').selectAll().where('leaf_index', 'is', null).orderBy('from_index').limit(10_000);
  if (caseId !== undefined) query = query.where('case_id', '=', caseId);
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

/** Destroys both keys and deletes the records; gives the number of records, or null when there was no key. */
export async function destroyKeys(db: Database, caseId: string, at: Date): Promise<number | null> {
  return db.transaction().execute(async (trx) => {
    const destroyed = await on(trx)
      .updateTable('case_key')
      .set({ record_key: null, log_key: null, destroyed_at: at })
      .where('case_id', '=', caseId)
      .where('destroyed_at', 'is', null)
      .returning('case_id')
      .executeTakeFirst();
    if (!destroyed) return null;
    const deleted = await on(trx).deleteFrom('sealed_record').where('case_id', '=', caseId).returning('record').execute();
    return deleted.length;
  });
}
