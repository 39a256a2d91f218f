import { sql } from 'kysely';
import type { Database } from '../../platform/index.ts';

type SealedLookTables = {
  sealed_look: { commitment: Buffer; case_id: string; sealed: Buffer; until: Date; from_index: number; leaf_index: number | null; revealed_by: Buffer | null; created_at: Date };
};

export interface SealedLookRow {
  readonly commitment: Buffer;
  readonly caseId: string;
  readonly sealed: Buffer;
  readonly until: Date;
  readonly fromIndex: number;
  readonly leafIndex: number | null;
  readonly createdAt: Date;
}

/** A telling look that was never appended was deleted again, so that its sealed look is due once more. */
const isUntold = () => sql<boolean>`not exists (select from look where look.commitment = sealed_look.revealed_by)`;

const on = (db: Database) => db.withTables<SealedLookTables>();

const toRow = (row: SealedLookTables['sealed_look']): SealedLookRow => ({
  commitment: row.commitment,
  caseId: row.case_id,
  sealed: row.sealed,
  until: row.until,
  fromIndex: row.from_index,
  leafIndex: row.leaf_index,
  createdAt: row.created_at,
});

export async function insertSealedLooks(db: Database, looks: readonly Pick<SealedLookRow, 'commitment' | 'caseId' | 'sealed' | 'until' | 'fromIndex'>[], at: Date): Promise<void> {
  await on(db)
    .insertInto('sealed_look')
    .values(looks.map(({ commitment, caseId, sealed, until, fromIndex }) => ({ commitment, case_id: caseId, sealed, until, from_index: fromIndex, leaf_index: null, revealed_by: null, created_at: at })))
    .execute();
}

export async function setSealedIndex(db: Database, commitment: Buffer, index: number): Promise<void> {
  await on(db).updateTable('sealed_look').set({ leaf_index: index }).where('commitment', '=', commitment).execute();
}

export async function deletePendingSealed(db: Database, commitments: readonly Buffer[]): Promise<void> {
  if (commitments.length === 0) return;
  await on(db)
    .deleteFrom('sealed_look')
    .where('commitment', 'in', [...commitments])
    .where('leaf_index', 'is', null)
    .execute();
}

export async function listPendingSealed(db: Database): Promise<SealedLookRow[]> {
  return (await on(db).selectFrom('sealed_look').selectAll().where('leaf_index', 'is', null).limit(10_000).execute()).map(toRow);
}

/** Sealed looks whose date has come and of which the resident was not told, of one case or of all; oldest first. */
export async function listDue(db: Database, now: Date, caseId?: string): Promise<SealedLookRow[]> {
  let query = on(db).selectFrom('sealed_look').selectAll().where('until', '<=', now).where(isUntold).where('leaf_index', 'is not', null).orderBy('leaf_index').limit(1_000);
  if (caseId !== undefined) query = query.where('case_id', '=', caseId);
  return (await query.execute()).map(toRow);
}

/** Names the look that will tell; written before that look is appended. */
export async function setRevealed(db: Database, commitment: Buffer, by: Buffer): Promise<void> {
  await on(db).updateTable('sealed_look').set({ revealed_by: by }).where('commitment', '=', commitment).execute();
}

export async function readSealed(db: Database, index: number): Promise<SealedLookRow | undefined> {
  const row = await on(db).selectFrom('sealed_look').selectAll().where('leaf_index', '=', index).executeTakeFirst();
  return row && toRow(row);
}

/** Moves the date of one that was not revealed yet; false when it was. */
export async function setUntil(db: Database, commitment: Buffer, until: Date): Promise<boolean> {
  const moved = await on(db).updateTable('sealed_look').set({ until }).where('commitment', '=', commitment).where(isUntold).returning('commitment').executeTakeFirst();
  return moved !== undefined;
}

const LISTED_MAX = 100_000;

/** All of them, without saying whose case it was. */
export async function listSealed(db: Database): Promise<{ index: number; at: Date; until: Date; revealed: boolean }[]> {
  const rows = await on(db).selectFrom('sealed_look').select(['leaf_index', 'created_at', 'until', isUntold().as('untold')]).where('leaf_index', 'is not', null).orderBy('leaf_index').limit(LISTED_MAX).execute();
  return rows.map((row) => ({ index: row.leaf_index as number, at: row.created_at, until: row.until, revealed: !row.untold }));
}
