import type { Generated } from 'kysely';
import type { Position, Principal } from '../../contracts/principal.ts';
import type { PolicyDecision } from '../../contracts/policy.ts';
import type { Database } from '../../platform/index.ts';

type DecisionTables = {
  policy_version: { hash: string; since: Date; document: string; leaf: number };
  policy_decision: {
    id: Generated<number>;
    at: Date;
    pseudonym: string;
    kind: string;
    positions: string[];
    action: string;
    resource: string;
    allowed: boolean;
    count: number;
    policy_hash: string;
    leaf: number | null;
  };
};

export interface Decision {
  readonly at: Date;
  readonly pseudonym: string;
  readonly kind: Principal['kind'];
  readonly positions: readonly Position[];
  readonly action: string;
  readonly resource: string;
  readonly allowed: boolean;
  readonly count: number;
  readonly policyHash: string;
}

export interface StoredDecision extends Decision {
  readonly id: number;
  readonly leaf: number | null;
}

const ROWS_PER_INSERT = 1_000;
const on = (db: Database) => db.withTables<DecisionTables>();

export async function insertDecisions(db: Database, decisions: readonly Decision[]): Promise<void> {
  for (let from = 0; from < decisions.length; from += ROWS_PER_INSERT) {
    await on(db)
      .insertInto('policy_decision')
      .values(
        decisions.slice(from, from + ROWS_PER_INSERT).map(({ positions, policyHash, ...rest }) => ({ ...rest, positions: [...positions], policy_hash: policyHash })),
      )
      .execute();
  }
}

/** Those of before `before` that no leaf commits to yet, in the order of their ids. */
export async function listUnsealed(db: Database, before: Date, limit: number): Promise<StoredDecision[]> {
  const rows = await on(db).selectFrom('policy_decision').selectAll().where('leaf', 'is', null).where('at', '<', before).orderBy('id').limit(limit).execute();
  return rows.map(toDecision);
}

export async function setLeaf(db: Database, ids: readonly number[], leaf: number): Promise<void> {
  await on(db).updateTable('policy_decision').set({ leaf }).where('id', 'in', [...ids]).execute();
}

/** All that one leaf commits to, in the order of their ids. */
export async function listOfLeaf(db: Database, leaf: number): Promise<StoredDecision[]> {
  const rows = await on(db).selectFrom('policy_decision').selectAll().where('leaf', '=', leaf).orderBy('id').execute();
  return rows.map(toDecision);
}

export async function deleteDecisionsBefore(db: Database, before: Date): Promise<void> {
  await on(db).deleteFrom('policy_decision').where('at', '<', before).where('leaf', 'is not', null).execute();
}

/** Newest first. */
export async function listDecisions(db: Database, query: { before: number | undefined; pseudonym: string | undefined; action: string | undefined; allowed: boolean | undefined; limit: number }): Promise<PolicyDecision[]> {
  let select = on(db).selectFrom('policy_decision').selectAll();
  if (query.before !== undefined) select = select.where('id', '<', query.before);
  if (query.pseudonym !== undefined) select = select.where('pseudonym', '=', query.pseudonym);
  if (query.action !== undefined) select = select.where('action', '=', query.action);
  if (query.allowed !== undefined) select = select.where('allowed', '=', query.allowed);
  const rows = await select.orderBy('id', 'desc').limit(query.limit).execute();
  return rows.map(toDecision).map(({ at, positions, ...rest }) => ({ ...rest, positions: [...positions], at: at.toISOString() }));
}

export interface PolicyVersion {
  readonly hash: string;
  readonly since: Date;
  readonly leaf: number;
}

export async function listPolicyVersions(db: Database, limit: number): Promise<PolicyVersion[]> {
  return on(db).selectFrom('policy_version').select(['hash', 'since', 'leaf']).orderBy('since', 'desc').limit(limit).execute();
}

export async function findPolicyDocument(db: Database, hash: string): Promise<string | undefined> {
  return (await on(db).selectFrom('policy_version').select('document').where('hash', '=', hash).executeTakeFirst())?.document;
}

/** A policy that comes into force again keeps its text and gets the newer moment and leaf. */
export async function recordPolicyVersion(db: Database, version: PolicyVersion & { document: string }): Promise<void> {
  await on(db)
    .insertInto('policy_version')
    .values(version)
    .onConflict((conflict) => conflict.column('hash').doUpdateSet({ since: version.since, leaf: version.leaf }))
    .execute();
}

// What was stored came from principals.
const toDecision = (row: { id: number; at: Date; pseudonym: string; kind: string; positions: string[]; action: string; resource: string; allowed: boolean; count: number; policy_hash: string; leaf: number | null }): StoredDecision => ({
  id: row.id,
  at: row.at,
  pseudonym: row.pseudonym,
  kind: row.kind as Principal['kind'],
  positions: row.positions as Position[],
  action: row.action,
  resource: row.resource,
  allowed: row.allowed,
  count: row.count,
  policyHash: row.policy_hash,
  leaf: row.leaf,
});
