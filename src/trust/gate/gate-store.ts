import type { Database } from '../../platform/index.ts';
import { sql } from 'kysely';

type GateTables = {
  gate_refusal: { hour: Date; stream: number; rule: string; count: number; bytes: number };
  gate_refusal_hour: { hour: Date; leaf: number };
  log_body: { kind: string; body: string; leaf_index: number | null };
  gate_quarantine: { stream: number; rule: string; since: Date; released_at: Date | null; released_by: string | null; reason: string | null; leaf: number | null };
};
const on = (db: Database) => db.withTables<GateTables>();

export interface RefusalSum {
  readonly stream: number;
  readonly rule: string;
  readonly count: number;
  readonly bytes: number;
}

/** Adds sums to an hour. */
export async function addRefusals(db: Database, hour: Date, sums: readonly RefusalSum[]): Promise<void> {
  if (sums.length === 0) return;
  await on(db)
    .insertInto('gate_refusal')
    .values(sums.map((sum) => ({ hour, ...sum })))
    .onConflict((conflict) => conflict.columns(['hour', 'stream', 'rule']).doUpdateSet({ count: sql`gate_refusal.count + excluded.count`, bytes: sql`gate_refusal.bytes + excluded.bytes` }))
    .execute();
}

/** The sums of an hour for its leaf: the most frequent rows, and the sum of the rest, `rows` of them. */
export interface UnloggedHour {
  readonly hour: Date;
  readonly sums: readonly RefusalSum[];
  readonly rest: { readonly rows: number; readonly count: number; readonly bytes: number };
}

/** The oldest hour that ended before `before` and is not in the log yet, with at most `limit` rows. */
export async function readUnloggedHour(db: Database, before: Date, limit: number): Promise<UnloggedHour | null> {
  const found = await on(db)
    .selectFrom('gate_refusal')
    .select('hour')
    .where('hour', '<', before)
    .where((by) => by.not(by.exists(by.selectFrom('gate_refusal_hour').select('leaf').whereRef('gate_refusal_hour.hour', '=', 'gate_refusal.hour'))))
    .orderBy('hour')
    .limit(1)
    .executeTakeFirst();
  if (found === undefined) return null;
  const rows = await on(db).selectFrom('gate_refusal').select(['stream', 'rule', 'count', 'bytes']).where('hour', '=', found.hour).orderBy('count', 'desc').orderBy('stream').orderBy('rule').limit(limit).execute();
  const sums = rows.map(({ stream, rule, count, bytes }) => ({ stream: Number(stream), rule, count: Number(count), bytes: Number(bytes) }));
  const all = await on(db).selectFrom('gate_refusal').select(({ fn }) => [fn.countAll<number>().as('rows'), fn.sum<number>('count').as('count'), fn.sum<number>('bytes').as('bytes')]).where('hour', '=', found.hour).executeTakeFirstOrThrow();
  const listed = { count: sums.reduce((sum, row) => sum + row.count, 0), bytes: sums.reduce((sum, row) => sum + row.bytes, 0) };
  return { hour: found.hour, sums, rest: { rows: Number(all.rows) - sums.length, count: Number(all.count) - listed.count, bytes: Number(all.bytes) - listed.bytes } };
}

/** The leaf that holds an hour although nothing notes it, as after a stop between the two; `pending` while the log is not sure of it. */
export async function findHourLeaf(db: Database, hour: string): Promise<number | 'pending' | null> {
  const found = await on(db).selectFrom('log_body').select('leaf_index').where('kind', '=', 'gate.refused').where(sql<boolean>`body::jsonb ->> 'hour' = ${hour}`).orderBy('leaf_index').limit(1).executeTakeFirst();
  return found === undefined ? null : (found.leaf_index ?? 'pending');
}

/** Notes in which leaf the sums of an hour stand. */
export async function noteLoggedHour(db: Database, hour: Date, leaf: number): Promise<void> {
  await on(db).insertInto('gate_refusal_hour').values({ hour, leaf }).onConflict((conflict) => conflict.doNothing()).execute();
}

export async function readRefusals(db: Database, from: Date, limit: number): Promise<RefusalSum[]> {
  return on(db)
    .selectFrom('gate_refusal')
    .select(({ fn }) => ['stream', 'rule', fn.sum<number>('count').as('count'), fn.sum<number>('bytes').as('bytes')])
    .where('hour', '>=', from)
    .groupBy(['stream', 'rule'])
    .orderBy(sql`sum(count)`, 'desc')
    .limit(limit)
    .execute()
    .then((rows) => rows.map((row) => ({ ...row, count: Number(row.count), bytes: Number(row.bytes) })));
}

export async function deleteOldRefusals(db: Database, before: Date): Promise<void> {
  await on(db).deleteFrom('gate_refusal').where('hour', '<', before).execute();
  await on(db).deleteFrom('gate_refusal_hour').where('hour', '<', before).execute();
}

/** Puts a stream into quarantine again even when it was released before. */
export async function insertQuarantine(db: Database, stream: number, rule: string, since: Date): Promise<void> {
  await sql`insert into gate_quarantine (stream, rule, since) select id, ${rule}, ${since} from datastream where id = ${stream}
    on conflict (stream) do update set rule = excluded.rule, since = excluded.since, released_at = null, released_by = null, reason = null, leaf = null where gate_quarantine.released_at is not null`.execute(db);
}

export interface QuarantineRow {
  readonly stream: number;
  readonly name: string;
  readonly rule: string;
  readonly since: Date;
}

export async function readQuarantine(db: Database): Promise<QuarantineRow[]> {
  const { rows } = await sql<QuarantineRow>`select q.stream, d.name, q.rule, q.since from gate_quarantine q join datastream d on d.id = q.stream where q.released_at is null order by q.since desc`.execute(db);
  return rows.map((row) => ({ ...row, stream: Number(row.stream) }));
}

/** False when the stream is not in quarantine. */
export async function releaseQuarantine(db: Database, stream: number, by: string, reason: string, at: Date): Promise<boolean> {
  const { numUpdatedRows } = await on(db).updateTable('gate_quarantine').set({ released_at: at, released_by: by, reason }).where('stream', '=', stream).where('released_at', 'is', null).executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function noteReleaseLeaf(db: Database, stream: number, leaf: number): Promise<void> {
  await on(db).updateTable('gate_quarantine').set({ leaf }).where('stream', '=', stream).execute();
}
