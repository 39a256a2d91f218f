import { sql } from 'kysely';
import { readPlace, shiftOf } from '../../contracts/tlog/place.ts';
import type { Database, Trx } from '../../platform/index.ts';

type LogTables = {
  log_head: { only_row: boolean; origin: string; verifier_key: string; size: number; root: Buffer; checkpoint: string; checkpoint_at: Date };
  log_body: { commitment: Buffer; kind: string; nonce: Buffer; body: string; from_index: number; leaf_index: number | null; created_at: Date };
  log_body_old: { log_number: number; commitment: Buffer; kind: string; nonce: Buffer; body: string; leaf_index: number | null; created_at: Date };
};

export interface StoredHead {
  readonly origin: string;
  readonly verifierKey: string;
  readonly size: number;
  readonly root: Buffer;
  readonly checkpoint: string;
  readonly checkpointAt: Date;
}

const on = (db: Database) => db.withTables<LogTables>();

export async function readHead(db: Database): Promise<StoredHead | undefined> {
  const row = await on(db).selectFrom('log_head').selectAll().executeTakeFirst();
  return row && { origin: row.origin, verifierKey: row.verifier_key, size: row.size, root: row.root, checkpoint: row.checkpoint, checkpointAt: row.checkpoint_at };
}

/** Columns that hold the place of a leaf: they move when a log is put aside. */
export const PLACES: readonly (readonly [table: string, column: string])[] = [
  ['look', 'leaf_index'],
  ['sealed_look', 'leaf_index'],
  ['look_act', 'leaf_index'],
  ['look_extension', 'leaf_index'],
  ['look_extension', 'of_index'],
  ['gate_refusal_hour', 'leaf'],
  ['gate_quarantine', 'leaf'],
  ['approval', 'proposed_leaf'],
  ['approval', 'decided_leaf'],
  ['approval', 'ended_leaf'],
  ['policy_version', 'leaf'],
  ['policy_decision', 'leaf'],
];
/** What these tell stands as before, so the new log is told of it again. */
export const TOLD_AGAIN: readonly (readonly [table: string, column: string])[] = [
  ['purpose_register', 'log_index'],
  ['observation_sealed_day', 'log_index'],
];
/** Tables with looks that a crash left without a place: they are looked for in the log that was put aside. */
const PENDING = ['look', 'sealed_look'];

/** A log was put aside as the `number`-th: what points at its leaves goes on doing so (contracts/tlog/place.ts). */
async function moveOldPlaces(trx: Trx, number: number): Promise<void> {
  for (const [table, column] of PLACES) {
    await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${sql.ref(column)} + ${shiftOf(number)}::bigint where ${sql.ref(column)} >= 0`.execute(trx);
  }
  for (const [table, column] of TOLD_AGAIN) await sql`update ${sql.table(table)} set ${sql.ref(column)} = null where ${sql.ref(column)} is not null`.execute(trx);
  for (const table of PENDING) await sql`update ${sql.table(table)} set from_index = from_index + ${shiftOf(number)}::bigint where leaf_index is null and from_index >= 0`.execute(trx);
}

/** Puts the head of a log that was begun anew in the place of the old one's, and what the old one's leaves commit to aside. */
export async function replaceHead(db: Database, head: StoredHead, oldNumber: number): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const tables = trx.withTables<LogTables>();
    const columns = ['commitment', 'kind', 'nonce', 'body', 'leaf_index', 'created_at'] as const;
    await tables
      .insertInto('log_body_old')
      .columns(['log_number', ...columns])
      .expression((from) => from.selectFrom('log_body').select((row) => [row.val(oldNumber).as('log_number'), ...columns]))
      .execute();
    await tables.deleteFrom('log_body').execute();
    await moveOldPlaces(trx, oldNumber);
    await tables.deleteFrom('log_head').execute();
    await insertHead(trx, head);
  });
}

export async function insertHead(db: Database, head: StoredHead): Promise<void> {
  await on(db)
    .insertInto('log_head')
    .values({
      only_row: true,
      origin: head.origin,
      verifier_key: head.verifierKey,
      size: head.size,
      root: head.root,
      checkpoint: head.checkpoint,
      checkpoint_at: head.checkpointAt,
    })
    .execute();
}

/** Compare-and-swap: moves the head from exactly (size, root) to the next one; false when it is another by now. */
export async function advanceHead(
  db: Database,
  from: { size: number; root: Uint8Array },
  to: { size: number; root: Uint8Array; checkpoint: string; checkpointAt: Date },
): Promise<boolean> {
  const moved = await on(db)
    .updateTable('log_head')
    .set({ size: to.size, root: Buffer.from(to.root), checkpoint: to.checkpoint, checkpoint_at: to.checkpointAt })
    .where('size', '=', from.size)
    .where('root', '=', Buffer.from(from.root))
    .returning('size')
    .executeTakeFirst();
  return moved !== undefined;
}

interface PendingBody {
  readonly commitment: Buffer;
  readonly fromIndex: number;
}

export async function insertBody(db: Database, row: { commitment: Buffer; kind: string; nonce: Uint8Array; body: string; fromIndex: number; at: Date }): Promise<void> {
  await on(db)
    .insertInto('log_body')
    .values({ commitment: row.commitment, kind: row.kind, nonce: Buffer.from(row.nonce), body: row.body, from_index: row.fromIndex, leaf_index: null, created_at: row.at })
    .execute();
}

export async function setBodyIndex(db: Database, commitment: Buffer, index: number): Promise<void> {
  await on(db).updateTable('log_body').set({ leaf_index: index }).where('commitment', '=', commitment).execute();
}

/** What the leaf at this place commits to, when it is of this kind: SHA-256(nonce ‖ body) is the leaf's `commit`. */
export async function readBody(db: Database, kind: string, place: number): Promise<{ readonly nonce: Buffer; readonly body: string } | undefined> {
  const { log, index } = readPlace(place);
  if (log !== null) return on(db).selectFrom('log_body_old').select(['nonce', 'body']).where('log_number', '=', log).where('leaf_index', '=', index).where('kind', '=', kind).executeTakeFirst();
  return on(db).selectFrom('log_body').select(['nonce', 'body']).where('leaf_index', '=', index).where('kind', '=', kind).executeTakeFirst();
}

/** The newest body of a kind whose leaf is in the tree. */
export async function readNewestBody(db: Database, kind: string): Promise<{ readonly body: string; readonly at: Date } | undefined> {
  const rows = on(db).selectFrom('log_body').select(['body', 'created_at as at']).where('kind', '=', kind).where('leaf_index', 'is not', null);
  return rows.orderBy('leaf_index', 'desc').limit(1).executeTakeFirst();
}

export async function deleteBody(db: Database, commitment: Buffer): Promise<void> {
  await on(db).deleteFrom('log_body').where('commitment', '=', commitment).where('leaf_index', 'is', null).execute();
}

export async function listPendingBodies(db: Database): Promise<PendingBody[]> {
  const rows = await on(db).selectFrom('log_body').select(['commitment', 'from_index']).where('leaf_index', 'is', null).orderBy('from_index').limit(10_000).execute();
  return rows.map((row) => ({ commitment: row.commitment, fromIndex: row.from_index }));
}
