import type { ApprovalState, DangerousAct } from '../../contracts/approval.ts';
import type { Position } from '../../contracts/principal.ts';
import type { Database, Trx } from '../../platform/index.ts';

type StoredState = Exclude<ApprovalState, 'expired'>;
type ApprovalTables = {
  approval: {
    id: string;
    act: string;
    subject: string;
    body: string;
    hash: string;
    reason: string;
    state: string;
    proposer_id: string;
    proposer: string;
    proposed_at: Date;
    proposed_leaf: number;
    expires_at: Date;
    decider_id: string | null;
    decider: string | null;
    decided_at: Date | null;
    decided_leaf: number | null;
    ended_leaf: number | null;
    outcome: string;
  };
  person: { id: string; name: string; positions: string[]; disabled_at: Date | null };
};

export interface StoredApproval {
  readonly id: string;
  readonly act: DangerousAct;
  readonly subject: string;
  /** Canonical JSON. */
  readonly body: string;
  readonly hash: string;
  readonly reason: string;
  readonly state: StoredState;
  readonly proposerId: string;
  readonly proposer: string;
  readonly proposedAt: Date;
  readonly proposedLeaf: number;
  readonly expiresAt: Date;
  readonly deciderId: string | null;
  readonly decider: string | null;
  readonly decidedAt: Date | null;
  readonly decidedLeaf: number | null;
  readonly endedLeaf: number | null;
  readonly outcome: string;
}

const on = (db: Database) => db.withTables<ApprovalTables>();

type Row = ApprovalTables['approval'];
// Acts and states were checked before they were stored.
const toApproval = (row: Row): StoredApproval => ({
  id: row.id,
  act: row.act as DangerousAct,
  subject: row.subject,
  body: row.body,
  hash: row.hash,
  reason: row.reason,
  state: row.state as StoredState,
  proposerId: row.proposer_id,
  proposer: row.proposer,
  proposedAt: row.proposed_at,
  proposedLeaf: row.proposed_leaf,
  expiresAt: row.expires_at,
  deciderId: row.decider_id,
  decider: row.decider,
  decidedAt: row.decided_at,
  decidedLeaf: row.decided_leaf,
  endedLeaf: row.ended_leaf,
  outcome: row.outcome,
});

export type NewApproval = Pick<StoredApproval, 'id' | 'act' | 'subject' | 'body' | 'hash' | 'reason' | 'proposerId' | 'proposer' | 'proposedAt' | 'proposedLeaf' | 'expiresAt'>;

export async function insertApproval(db: Database, approval: NewApproval): Promise<StoredApproval> {
  const row = await on(db)
    .insertInto('approval')
    .values({
      id: approval.id,
      act: approval.act,
      subject: approval.subject,
      body: approval.body,
      hash: approval.hash,
      reason: approval.reason,
      state: 'open',
      proposer_id: approval.proposerId,
      proposer: approval.proposer,
      proposed_at: approval.proposedAt,
      proposed_leaf: approval.proposedLeaf,
      expires_at: approval.expiresAt,
      outcome: '',
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toApproval(row);
}

export async function findApproval(db: Database, id: string): Promise<StoredApproval | undefined> {
  const row = await on(db).selectFrom('approval').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toApproval(row);
}

/** Reads it and keeps others from deciding it until the transaction ends. */
export async function lockApproval(trx: Trx, id: string): Promise<StoredApproval | undefined> {
  const row = await on(trx).selectFrom('approval').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  return row && toApproval(row);
}

/** Newest first. */
export async function listApprovals(db: Database, limit: number): Promise<StoredApproval[]> {
  const rows = await on(db).selectFrom('approval').selectAll().orderBy('proposed_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
  return rows.map(toApproval);
}

/** How many are open and not expired: of everybody, and of one person. */
export async function countOpen(db: Database, proposerId: string, at: Date): Promise<{ all: number; own: number }> {
  const rows = await on(db).selectFrom('approval').select('proposer_id').where('state', '=', 'open').where('expires_at', '>', at).limit(1_000).execute();
  return { all: rows.length, own: rows.filter((row) => row.proposer_id === proposerId).length };
}

interface StateChange {
  readonly state: StoredState;
  readonly decider?: { readonly id: string; readonly pseudonym: string; readonly at: Date } | null;
  readonly decidedLeaf?: number;
  readonly outcome?: string;
}

/** Moves it from exactly `from`; undefined when it is in another state by now. */
export async function moveApproval(db: Database, id: string, from: StoredState, { state, decider, decidedLeaf, outcome }: StateChange): Promise<StoredApproval | undefined> {
  const row = await on(db)
    .updateTable('approval')
    .set({
      state,
      ...(decider === undefined ? {} : { decider_id: decider?.id ?? null, decider: decider?.pseudonym ?? null, decided_at: decider?.at ?? null }),
      ...(decidedLeaf === undefined ? {} : { decided_leaf: decidedLeaf }),
      ...(outcome === undefined ? {} : { outcome }),
    })
    .where('id', '=', id)
    .where('state', '=', from)
    .returningAll()
    .executeTakeFirst();
  return row && toApproval(row);
}

/** Those that have ended and whose end has no leaf yet. */
export async function listUnended(db: Database): Promise<StoredApproval[]> {
  const rows = await on(db).selectFrom('approval').selectAll().where('state', 'in', ['performed', 'failed', 'spent']).where('ended_leaf', 'is', null).limit(500).execute();
  return rows.map(toApproval);
}

export async function setEndedLeaf(db: Database, id: string, index: number): Promise<void> {
  await on(db).updateTable('approval').set({ ended_leaf: index }).where('id', '=', id).execute();
}

/** What a stop in the middle left: an approval without its leaf is open again, an act that had begun has failed. */
export async function settleInterrupted(db: Database): Promise<void> {
  await on(db).updateTable('approval').set({ state: 'open', decider_id: null, decider: null, decided_at: null }).where('state', '=', 'approving').execute();
  await on(db).updateTable('approval').set({ state: 'failed', outcome: 'interrupted' }).where('state', '=', 'performing').execute();
}

export async function reopenStuck(db: Database, before: Date): Promise<void> {
  await on(db).updateTable('approval').set({ state: 'open', decider_id: null, decider: null, decided_at: null }).where('state', '=', 'approving').where('decided_at', '<', before).execute();
}

export async function deleteDecidedBefore(db: Database, before: Date): Promise<void> {
  await on(db).deleteFrom('approval').where('expires_at', '<', before).where('state', 'not in', ['approving', 'performing']).execute();
}

/** The positions that a person holds now; undefined when the account is gone or was disabled. Stays so until the transaction ends. */
export async function lockPositions(trx: Trx, personId: string): Promise<readonly Position[] | undefined> {
  const row = await on(trx).selectFrom('person').select('positions').where('id', '=', personId).where('disabled_at', 'is', null).forShare().executeTakeFirst();
  return row?.positions as readonly Position[] | undefined;
}

export async function listStaff(db: Database): Promise<{ id: string; name: string; positions: readonly Position[]; disabled: boolean }[]> {
  const rows = await on(db).selectFrom('person').select(['id', 'name', 'positions', 'disabled_at']).limit(5_000).execute();
  return rows.map((row) => ({ id: row.id, name: row.name, positions: row.positions as Position[], disabled: row.disabled_at !== null }));
}
