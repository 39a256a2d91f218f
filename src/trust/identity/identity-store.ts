import type { Position } from '../../contracts/principal.ts';
import type { Database, Trx } from '../../platform/index.ts';

type IdentityTables = {
  person: { id: string; name: string; name_key: string; positions: string[]; pseudonym: string; password_hash: string | null; created_at: Date; disabled_at: Date | null };
  passkey: { credential_id: string; person_id: string; relying_party: string; public_key: Buffer; counter: number; transports: string[]; created_at: Date; used_at: Date | null };
  session: { id: string; secret_hash: Buffer; person_id: string; agent: string; created_at: Date; seen_at: Date; expires_at: Date };
  invitation: { code_hash: Buffer; name: string; positions: string[]; created_at: Date; expires_at: Date; used_at: Date | null };
  revoked_token: { id: string; revoked_at: Date };
};

export interface StoredPerson {
  readonly id: string;
  readonly name: string;
  readonly positions: Position[];
  readonly pseudonym: string;
  readonly passwordHash: string | null;
  readonly createdAt: Date;
  readonly disabled: boolean;
}

export interface StoredPasskey {
  readonly credentialId: string;
  readonly relyingParty: string;
  readonly publicKey: Buffer;
  readonly counter: number;
  readonly transports: string[];
}

export interface StoredSession {
  readonly id: string;
  readonly agent: string;
  readonly createdAt: Date;
  readonly seenAt: Date;
  readonly expiresAt: Date;
}

export interface StoredInvitation {
  readonly name: string;
  readonly positions: Position[];
  readonly expiresAt: Date;
}

type PersonRow = IdentityTables['person'];
type SessionRow = IdentityTables['session'];
const on = (database: Database) => database.withTables<IdentityTables>();
// The positions were checked by the contract before they were stored.
const toPerson = (row: PersonRow): StoredPerson => ({
  id: row.id,
  name: row.name,
  positions: row.positions as Position[],
  pseudonym: row.pseudonym,
  passwordHash: row.password_hash,
  createdAt: row.created_at,
  disabled: row.disabled_at !== null,
});
const toSession = (row: SessionRow): StoredSession => ({ id: row.id, agent: row.agent, createdAt: row.created_at, seenAt: row.seen_at, expiresAt: row.expires_at });

export async function insertPerson(trx: Trx, person: Omit<StoredPerson, 'disabled'> & { nameKey: string }): Promise<boolean> {
  const inserted = await on(trx)
    .insertInto('person')
    .values({
      id: person.id,
      name: person.name,
      name_key: person.nameKey,
      positions: person.positions,
      pseudonym: person.pseudonym,
      password_hash: person.passwordHash,
      created_at: person.createdAt,
      disabled_at: null,
    })
    .onConflict((conflict) => conflict.column('name_key').doNothing())
    .returning('id')
    .executeTakeFirst();
  return inserted !== undefined;
}

export async function findPersonByNameKey(db: Database, nameKey: string): Promise<StoredPerson | undefined> {
  const row = await on(db).selectFrom('person').selectAll().where('name_key', '=', nameKey).executeTakeFirst();
  return row && toPerson(row);
}

const PEOPLE_LIMIT = 10_000;

export async function listPeople(db: Database): Promise<StoredPerson[]> {
  return (await on(db).selectFrom('person').selectAll().orderBy('created_at').limit(PEOPLE_LIMIT).execute()).map(toPerson);
}

/** Disables and signs out everywhere. Tells when nobody with `guard` would be left, and then changes nothing. */
export async function disablePerson(db: Database, id: string, at: Date, guard: Position): Promise<'disabled' | 'unknown' | 'last'> {
  return db.transaction().execute(async (trx) => {
    const people = on(trx);
    const holders = await people.selectFrom('person').select(['id', 'positions']).where('disabled_at', 'is', null).forUpdate().execute();
    const target = holders.find((person) => person.id === id);
    if (target === undefined) return 'unknown';
    if (target.positions.includes(guard) && !holders.some((person) => person.id !== id && person.positions.includes(guard))) return 'last';
    await people.updateTable('person').set({ disabled_at: at }).where('id', '=', id).execute();
    await people.deleteFrom('session').where('person_id', '=', id).execute();
    return 'disabled';
  });
}

export async function insertInvitation(db: Database, codeHash: Buffer, invitation: StoredInvitation, at: Date): Promise<void> {
  await on(db)
    .insertInto('invitation')
    .values({ code_hash: codeHash, name: invitation.name, positions: invitation.positions, created_at: at, expires_at: invitation.expiresAt, used_at: null })
    .execute();
}

export async function findInvitation(db: Database, codeHash: Buffer, at: Date): Promise<StoredInvitation | undefined> {
  const row = await on(db).selectFrom('invitation').selectAll().where('code_hash', '=', codeHash).where('used_at', 'is', null).where('expires_at', '>', at).executeTakeFirst();
  return row && { name: row.name, positions: row.positions as Position[], expiresAt: row.expires_at };
}

/** Spends the invitation: of several callers at once, one gets it. */
export async function spendInvitation(trx: Trx, codeHash: Buffer, at: Date): Promise<StoredInvitation | undefined> {
  const row = await on(trx)
    .updateTable('invitation')
    .set({ used_at: at })
    .where('code_hash', '=', codeHash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', at)
    .returningAll()
    .executeTakeFirst();
  return row && { name: row.name, positions: row.positions as Position[], expiresAt: row.expires_at };
}

export async function insertPasskey(trx: Trx, personId: string, passkey: StoredPasskey, at: Date): Promise<void> {
  await on(trx)
    .insertInto('passkey')
    .values({
      credential_id: passkey.credentialId,
      person_id: personId,
      relying_party: passkey.relyingParty,
      public_key: passkey.publicKey,
      counter: passkey.counter,
      transports: passkey.transports,
      created_at: at,
      used_at: null,
    })
    .execute();
}

export async function findPasskey(db: Database, credentialId: string): Promise<{ passkey: StoredPasskey; person: StoredPerson } | undefined> {
  const row = await on(db)
    .selectFrom('passkey')
    .innerJoin('person', 'person.id', 'passkey.person_id')
    .selectAll('person')
    .select(['passkey.credential_id', 'passkey.relying_party', 'passkey.public_key', 'passkey.counter', 'passkey.transports'])
    .where('passkey.credential_id', '=', credentialId)
    .executeTakeFirst();
  return (
    row && {
      person: toPerson(row),
      passkey: { credentialId: row.credential_id, relyingParty: row.relying_party, publicKey: row.public_key, counter: row.counter, transports: row.transports },
    }
  );
}

export async function notePasskeyUse(db: Database, credentialId: string, counter: number, at: Date): Promise<void> {
  await on(db).updateTable('passkey').set({ counter, used_at: at }).where('credential_id', '=', credentialId).execute();
}

export async function insertSession(db: Database, session: StoredSession & { secretHash: Buffer; personId: string }): Promise<void> {
  await on(db)
    .insertInto('session')
    .values({
      id: session.id,
      secret_hash: session.secretHash,
      person_id: session.personId,
      agent: session.agent,
      created_at: session.createdAt,
      seen_at: session.seenAt,
      expires_at: session.expiresAt,
    })
    .execute();
}

/** The session and its person, unless it has expired, was idle since `idleSince`, or the person is disabled. */
export async function findSession(db: Database, secretHash: Buffer, at: Date, idleSince: Date): Promise<{ session: StoredSession; person: StoredPerson } | undefined> {
  const row = await on(db)
    .selectFrom('session')
    .innerJoin('person', 'person.id', 'session.person_id')
    .selectAll('person')
    .select(['session.id as session_id', 'session.agent', 'session.created_at as session_created_at', 'session.seen_at', 'session.expires_at'])
    .where('session.secret_hash', '=', secretHash)
    .where('session.expires_at', '>', at)
    .where('session.seen_at', '>', idleSince)
    .where('person.disabled_at', 'is', null)
    .executeTakeFirst();
  return row && { person: toPerson(row), session: { id: row.session_id, agent: row.agent, createdAt: row.session_created_at, seenAt: row.seen_at, expiresAt: row.expires_at } };
}

export async function noteSessionSeen(db: Database, id: string, at: Date): Promise<void> {
  await on(db).updateTable('session').set({ seen_at: at }).where('id', '=', id).execute();
}

export async function listSessions(db: Database, personId: string, at: Date, idleSince: Date): Promise<StoredSession[]> {
  const rows = await on(db)
    .selectFrom('session')
    .selectAll()
    .where('person_id', '=', personId)
    .where('expires_at', '>', at)
    .where('seen_at', '>', idleSince)
    .orderBy('created_at', 'desc')
    .limit(100)
    .execute();
  return rows.map(toSession);
}

export async function deleteSession(db: Database, id: string, personId: string): Promise<boolean> {
  const deleted = await on(db).deleteFrom('session').where('id', '=', id).where('person_id', '=', personId).returning('id').executeTakeFirst();
  return deleted !== undefined;
}

/** Removes what has expired, so that the tables stay small. */
export async function deleteExpired(db: Database, at: Date, idleSince: Date): Promise<void> {
  await on(db)
    .deleteFrom('session')
    .where((where) => where.or([where('expires_at', '<=', at), where('seen_at', '<=', idleSince)]))
    .execute();
  await on(db).deleteFrom('invitation').where('expires_at', '<=', at).execute();
}

export async function insertRevokedToken(db: Database, id: string, at: Date): Promise<void> {
  await on(db)
    .insertInto('revoked_token')
    .values({ id, revoked_at: at })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

export async function isTokenRevoked(db: Database, id: string): Promise<boolean> {
  return (await on(db).selectFrom('revoked_token').select('id').where('id', '=', id).executeTakeFirst()) !== undefined;
}

export async function hasAdministrator(db: Database): Promise<boolean> {
  const row = await on(db)
    .selectFrom('person')
    .select('id')
    .where('disabled_at', 'is', null)
    .where((where) => where(where.val('administrator'), '=', where.fn.any('positions')))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
