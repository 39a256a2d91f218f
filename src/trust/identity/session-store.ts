import type { Database, Trx } from '../../platform/index.ts';
import { toPerson, type PersonRow, type StoredPerson } from './identity-store.ts';

/** How a session was begun. `link` is a one-time link alone, good for setting up a way to sign in. */
export type SessionMethod = 'passkey' | 'password' | 'service' | 'link';

type SessionTables = {
  person: PersonRow;
  session: { id: string; secret_hash: Buffer; person_id: string; agent: string; method: string; factors: number; created_at: Date; seen_at: Date; expires_at: Date; proved_at: Date | null; service_mark: Buffer | null };
};

export interface StoredSession {
  readonly id: string;
  readonly agent: string;
  readonly method: SessionMethod;
  /** Two when a passkey with user verification, a code beside the password, or the city's sign-in service stands behind it. */
  readonly factors: 1 | 2;
  readonly createdAt: Date;
  readonly seenAt: Date;
  readonly expiresAt: Date;
  /** When the person last proved who they are; null when that is not known. */
  readonly provedAt: Date | null;
}

const on = (database: Database) => database.withTables<SessionTables>();
const toSession = (row: Omit<SessionTables['session'], 'secret_hash' | 'person_id' | 'service_mark'>): StoredSession => ({
  id: row.id,
  agent: row.agent,
  method: row.method as SessionMethod,
  factors: row.factors === 2 ? 2 : 1,
  createdAt: row.created_at,
  seenAt: row.seen_at,
  expiresAt: row.expires_at,
  provedAt: row.proved_at,
});

export async function insertSession(db: Database, session: StoredSession & { secretHash: Buffer; personId: string; serviceMark: Buffer | null }): Promise<void> {
  await on(db)
    .insertInto('session')
    .values({
      id: session.id,
      secret_hash: session.secretHash,
      person_id: session.personId,
      agent: session.agent,
      method: session.method,
      factors: session.factors,
      created_at: session.createdAt,
      seen_at: session.seenAt,
      expires_at: session.expiresAt,
      proved_at: session.provedAt,
      service_mark: session.serviceMark,
    })
    .execute();
}

/** The session and its person, unless it has expired, was idle since `idleSince`, or the person is disabled. */
export async function findSession(db: Database, secretHash: Buffer, at: Date, idleSince: Date): Promise<{ session: StoredSession; person: StoredPerson } | undefined> {
  const row = await on(db)
    .selectFrom('session')
    .innerJoin('person', 'person.id', 'session.person_id')
    .selectAll('person')
    .select(['session.id as session_id', 'session.agent', 'session.method', 'session.factors', 'session.created_at as session_created_at', 'session.seen_at', 'session.expires_at', 'session.proved_at'])
    .where('session.secret_hash', '=', secretHash)
    .where('session.expires_at', '>', at)
    .where('session.seen_at', '>', idleSince)
    .where('person.disabled_at', 'is', null)
    .executeTakeFirst();
  return row && { person: toPerson(row), session: toSession({ ...row, id: row.session_id, created_at: row.session_created_at }) };
}

export async function noteSessionSeen(db: Database, id: string, at: Date): Promise<void> {
  await on(db).updateTable('session').set({ seen_at: at }).where('id', '=', id).execute();
}

/** Notes that the person has proved who they are; `factors` never becomes less. */
export async function noteSessionProved(db: Database, id: string, at: Date, factors: 1 | 2): Promise<void> {
  await on(db)
    .updateTable('session')
    .set((set) => ({ proved_at: at, factors: set.fn<number>('greatest', [set.ref('factors'), set.val(factors)]) }))
    .where('id', '=', id)
    .execute();
}

const SESSIONS_LIMIT = 100;

export async function listSessions(db: Database, personId: string, at: Date, idleSince: Date): Promise<StoredSession[]> {
  const rows = await on(db)
    .selectFrom('session')
    .selectAll()
    .where('person_id', '=', personId)
    .where('expires_at', '>', at)
    .where('seen_at', '>', idleSince)
    .orderBy('created_at', 'desc')
    .limit(SESSIONS_LIMIT)
    .execute();
  return rows.map(toSession);
}

export async function deleteSession(trx: Trx, id: string, personId: string): Promise<boolean> {
  const deleted = await on(trx).deleteFrom('session').where('id', '=', id).where('person_id', '=', personId).returning('id').executeTakeFirst();
  return deleted !== undefined;
}

/** Ends all sessions of a person but `keep`; gives the ids of those that ended. */
export async function deleteSessionsOf(trx: Trx, personId: string, keep: string | null): Promise<string[]> {
  const rows = await on(trx)
    .deleteFrom('session')
    .where('person_id', '=', personId)
    .where('id', '!=', keep ?? '')
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}

/** Removes what has expired, so that the table stays small. */
export async function deleteExpiredSessions(db: Database, at: Date, idleSince: Date): Promise<void> {
  await on(db)
    .deleteFrom('session')
    .where((where) => where.or([where('expires_at', '<=', at), where('seen_at', '<=', idleSince)]))
    .execute();
}
