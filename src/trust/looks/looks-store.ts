import { sql } from 'kysely';
import type { LookWay } from '../../contracts/trust.ts';
import type { Database, Trx } from '../../platform/index.ts';
import type { Token, TokenKind } from './blind.ts';

type LooksTables = {
  look_extension: { leaf_index: number; of_index: number; at: Date };
  case_token: { case_id: string; record: string; kind: string; token: Buffer };
  look_act: {
    act_id: string;
    case_id: string;
    record: string;
    at: Date;
    pseudonym: string;
    department: string;
    position: string;
    purpose: string;
    via: string;
    search_by: string | null;
    reason_mac: Buffer;
    fields: string[];
    assigned: boolean;
    own_name: boolean;
    own_surname: boolean;
    sealed_until: Date | null;
    told: string;
    leaf_index: number | null;
  };
};

const on = (db: Database) => db.withTables<LooksTables>();

/** Replaces the tokens of one record. */
export async function replaceTokens(trx: Trx, caseId: string, record: string, tokens: readonly Token[]): Promise<void> {
  await on(trx).deleteFrom('case_token').where('case_id', '=', caseId).where('record', '=', record).execute();
  if (tokens.length === 0) return;
  await on(trx)
    .insertInto('case_token')
    .values(tokens.map(({ kind, token }) => ({ case_id: caseId, record, kind, token })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Cases of which one record has every token, newest first (ids sort by time). */
export async function findCases(db: Database, tokens: readonly Token[], limit: number): Promise<{ caseId: string; record: string }[]> {
  if (tokens.length === 0) return [];
  const rows = await on(db)
    .selectFrom('case_token')
    .select(['case_id', 'record'])
    .where((eb) => eb.or(tokens.map(({ kind, token }) => eb.and([eb('kind', '=', kind), eb('token', '=', token)]))))
    .groupBy(['case_id', 'record'])
    .having((eb) => eb(eb.fn.countAll<number>(), '=', tokens.length))
    .orderBy('case_id', 'desc')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ caseId: row.case_id, record: row.record }));
}

/** Which of the cases carry any of these tokens. */
export async function casesWith(db: Database, caseIds: readonly string[], kind: TokenKind, tokens: readonly Buffer[], every: boolean): Promise<ReadonlySet<string>> {
  if (caseIds.length === 0 || tokens.length === 0) return new Set();
  const rows = await on(db)
    .selectFrom('case_token')
    .select('case_id')
    .where('case_id', 'in', [...caseIds])
    .where('kind', '=', kind)
    .where('token', 'in', [...tokens])
    .groupBy('case_id')
    .having((eb) => eb(eb.fn.countAll<number>(), '>=', every ? tokens.length : 1))
    .execute();
  return new Set(rows.map((row) => row.case_id));
}

export interface LookAct {
  readonly actId: string;
  readonly caseId: string;
  readonly record: string;
  readonly at: Date;
  readonly pseudonym: string;
  readonly department: string;
  readonly position: string;
  readonly purpose: string;
  readonly via: LookWay;
  readonly searchBy: string | null;
  readonly reasonMac: Buffer;
  readonly fields: readonly string[];
  readonly assigned: boolean;
  readonly ownName: boolean;
  readonly ownSurname: boolean;
  readonly sealedUntil: Date | null;
  readonly told: 'now' | 'after-step';
  readonly leafIndex: number | null;
}

export async function insertActs(db: Database, acts: readonly LookAct[]): Promise<void> {
  await on(db)
    .insertInto('look_act')
    .values(
      acts.map((act) => ({
        act_id: act.actId,
        case_id: act.caseId,
        record: act.record,
        at: act.at,
        pseudonym: act.pseudonym,
        department: act.department,
        position: act.position,
        purpose: act.purpose,
        via: act.via,
        search_by: act.searchBy,
        reason_mac: act.reasonMac,
        fields: [...act.fields],
        assigned: act.assigned,
        own_name: act.ownName,
        own_surname: act.ownSurname,
        sealed_until: act.sealedUntil,
        told: act.told,
        leaf_index: act.leafIndex,
      })),
    )
    .execute();
}

/** Notes the leaves of an act's looks, in one statement. */
export async function setActLeaves(db: Database, actId: string, leaves: readonly { caseId: string; record: string; index: number }[]): Promise<void> {
  const values = sql.join(leaves.map(({ caseId, record, index }) => sql`(${caseId}::text, ${record}::text, ${index}::bigint)`));
  await sql`update look_act set leaf_index = v.leaf from (values ${values}) as v(case_id, record, leaf) where look_act.act_id = ${actId} and look_act.case_id = v.case_id and look_act.record = v.record`.execute(db);
}

/** Nothing was shown and no leaf written. */
export async function deleteActs(db: Database, actId: string): Promise<void> {
  await on(db).deleteFrom('look_act').where('act_id', '=', actId).where('leaf_index', 'is', null).execute();
}

export async function listActs(db: Database, from: Date, to: Date, limit: number): Promise<LookAct[]> {
  const rows = await on(db).selectFrom('look_act').selectAll().where('at', '>=', from).where('at', '<', to).where('leaf_index', 'is not', null).orderBy('at').orderBy('leaf_index').limit(limit).execute();
  return rows.map((row) => ({
    actId: row.act_id,
    caseId: row.case_id,
    record: row.record,
    at: row.at,
    pseudonym: row.pseudonym,
    department: row.department,
    position: row.position,
    purpose: row.purpose,
    via: row.via as LookWay,
    searchBy: row.search_by,
    reasonMac: row.reason_mac,
    fields: row.fields,
    assigned: row.assigned,
    ownName: row.own_name,
    ownSurname: row.own_surname,
    sealedUntil: row.sealed_until,
    told: row.told === 'after-step' ? 'after-step' : 'now',
    leafIndex: row.leaf_index,
  }));
}

/** Leaves of looks at the case since then that wait for its next step. */
export async function listDelayed(db: Database, caseId: string, since: Date): Promise<ReadonlySet<number>> {
  const rows = await on(db).selectFrom('look_act').select('leaf_index').where('case_id', '=', caseId).where('told', '=', 'after-step').where('at', '>=', since).where('leaf_index', 'is not', null).limit(10_000).execute();
  return new Set(rows.map((row) => Number(row.leaf_index)));
}

/** Residents whose data this person or token has taken along in one of these ways since then. */
export async function countResidents(db: Database, pseudonym: string, vias: readonly LookWay[], since: Date): Promise<number> {
  const row = await on(db)
    .selectFrom('look_act')
    .select(({ fn }) => fn.count<number>('case_id').distinct().as('count'))
    .where('pseudonym', '=', pseudonym)
    .where('via', 'in', [...vias])
    .where('at', '>=', since)
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

export async function deleteActsBefore(db: Database, before: Date): Promise<void> {
  await on(db).deleteFrom('look_act').where('at', '<', before).execute();
}

/** Durable looks of this time that no act describes; the opening of a sealed look is described by the act that sealed it. */
export async function countWithoutDetails(db: Database, from: Date, to: Date): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from look where created_at >= ${from} and created_at < ${to} and leaf_index is not null
    and not exists (select from look_act where look_act.leaf_index = look.leaf_index)
    and not exists (select from sealed_look where sealed_look.revealed_by = look.commitment)`.execute(db);
  return rows[0]?.count ?? 0;
}

/** The name behind a pseudonym of a person; undefined when there is none. */
export async function findNameOf(db: Database, pseudonym: string): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select name from person where pseudonym = ${pseudonym}`.execute(db);
  return rows[0]?.name;
}

export async function insertExtension(db: Database, { leafIndex, ofIndex, at }: { leafIndex: number; ofIndex: number; at: Date }): Promise<void> {
  await on(db).insertInto('look_extension').values({ leaf_index: leafIndex, of_index: ofIndex, at }).execute();
}

/** When which sealed look was extended. */
export async function listExtensions(db: Database): Promise<{ ofIndex: number; at: Date }[]> {
  return (await on(db).selectFrom('look_extension').select(['of_index', 'at']).orderBy('leaf_index').limit(100_000).execute()).map((row) => ({ ofIndex: Number(row.of_index), at: row.at }));
}
