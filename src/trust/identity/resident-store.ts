import type { Database, Trx } from '../../platform/index.ts';

type ResidentTables = {
  resident_session: { secret_hash: Buffer; account: Buffer; service_mark: Buffer | null; created_at: Date; seen_at: Date; expires_at: Date };
};
const on = (database: Database) => database.withTables<ResidentTables>();

export interface ResidentSession {
  readonly secretHash: Buffer;
  readonly account: Buffer;
  readonly serviceMark: Buffer | null;
  readonly at: Date;
  readonly expiresAt: Date;
}

export async function insertResidentSession(db: Database, { secretHash, account, serviceMark, at, expiresAt }: ResidentSession): Promise<void> {
  await on(db).insertInto('resident_session').values({ secret_hash: secretHash, account, service_mark: serviceMark, created_at: at, seen_at: at, expires_at: expiresAt }).execute();
}

/** The account of a session that has neither expired nor been idle since `idleSince`. */
export async function findResidentSession(db: Database, secretHash: Buffer, at: Date, idleSince: Date): Promise<{ account: Buffer; seenAt: Date } | undefined> {
  const row = await on(db).selectFrom('resident_session').select(['account', 'seen_at']).where('secret_hash', '=', secretHash).where('expires_at', '>', at).where('seen_at', '>', idleSince).executeTakeFirst();
  return row && { account: row.account, seenAt: row.seen_at };
}

export async function noteResidentSeen(db: Database, secretHash: Buffer, at: Date): Promise<void> {
  await on(db).updateTable('resident_session').set({ seen_at: at }).where('secret_hash', '=', secretHash).execute();
}

export async function deleteResidentSession(db: Database, secretHash: Buffer): Promise<boolean> {
  return (await on(db).deleteFrom('resident_session').where('secret_hash', '=', secretHash).returning('account').executeTakeFirst()) !== undefined;
}

/** Ends the sessions of an account, of one of the service's sessions, or, where both are given, of both; gives how many. */
export async function deleteResidentSessionsOf(trx: Trx, account: Buffer | null, mark: Buffer | null): Promise<number> {
  let ending = on(trx).deleteFrom('resident_session').returning('secret_hash');
  if (account !== null) ending = ending.where('account', '=', account);
  if (mark !== null) ending = account === null ? ending.where('service_mark', '=', mark) : ending.where((where) => where.or([where('service_mark', '=', mark), where('service_mark', 'is', null)]));
  if (account === null && mark === null) return 0;
  return (await ending.execute()).length;
}

export async function deleteOldResidentSessions(db: Database, at: Date, idleSince: Date): Promise<void> {
  await on(db)
    .deleteFrom('resident_session')
    .where((where) => where.or([where('expires_at', '<=', at), where('seen_at', '<=', idleSince)]))
    .execute();
}
