import type { Position } from '../../contracts/principal.ts';
import type { Database, Trx } from '../../platform/index.ts';

type IdentityTables = {
  person: { id: string; name: string; name_key: string; positions: string[]; pseudonym: string; password_hash: string | null; department: string | null; created_at: Date; disabled_at: Date | null };
  passkey: { credential_id: string; person_id: string; relying_party: string; public_key: Buffer; counter: number; transports: string[]; name: string; created_at: Date; used_at: Date | null };
  session: { id: string; person_id: string };
  invitation: { code_hash: Buffer; name: string; positions: string[]; department: string | null; created_at: Date; expires_at: Date; used_at: Date | null };
  revoked_token: { id: string; revoked_at: Date };
};

export interface StoredPerson {
  readonly id: string;
  readonly name: string;
  readonly positions: Position[];
  readonly pseudonym: string;
  readonly department: string | null;
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

export interface StoredInvitation {
  readonly name: string;
  readonly positions: Position[];
  readonly department: string | null;
  readonly expiresAt: Date;
}

export type PersonRow = IdentityTables['person'];
const on = (database: Database) => database.withTables<IdentityTables>();
// The positions were checked by the contract before they were stored.
export const toPerson = (row: PersonRow): StoredPerson => ({
  id: row.id,
  name: row.name,
  positions: row.positions as Position[],
  pseudonym: row.pseudonym,
  department: row.department,
  passwordHash: row.password_hash,
  createdAt: row.created_at,
  disabled: row.disabled_at !== null,
});

export async function insertPerson(trx: Trx, person: Omit<StoredPerson, 'disabled'> & { nameKey: string }): Promise<boolean> {
  const inserted = await on(trx)
    .insertInto('person')
    .values({
      id: person.id,
      name: person.name,
      name_key: person.nameKey,
      positions: person.positions,
      pseudonym: person.pseudonym,
      department: person.department,
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
export async function disablePerson(trx: Trx, id: string, at: Date, guard: Position): Promise<'done' | 'unknown' | 'last'> {
  const people = on(trx);
  const found = await findGuarded(trx, id, guard);
  if (found.person === undefined) return 'unknown';
  if (found.isLast) return 'last';
  await people.updateTable('person').set({ disabled_at: at }).where('id', '=', id).execute();
  await people.deleteFrom('session').where('person_id', '=', id).execute();
  return 'done';
}

/** Gives a person other positions and a department. Tells when nobody with `guard` would be left, and then changes nothing. */
export async function changePerson(trx: Trx, id: string, change: { positions?: readonly Position[] | undefined; department?: string | null | undefined }, guard: Position): Promise<'done' | 'unknown' | 'last'> {
  const found = await findGuarded(trx, id, guard);
  if (found.person === undefined) return 'unknown';
  if (found.isLast && change.positions !== undefined && !change.positions.includes(guard)) return 'last';
  await on(trx)
    .updateTable('person')
    .set({ positions: change.positions === undefined ? found.person.positions : [...change.positions], ...(change.department === undefined ? {} : { department: change.department }) })
    .where('id', '=', id)
    .execute();
  return 'done';
}

/** An enabled person, and whether nobody else holds `guard`; locked, so that two cannot lose it at once. */
async function findGuarded(trx: Trx, id: string, guard: Position): Promise<{ person: { positions: string[] } | undefined; isLast: boolean }> {
  const holders = await on(trx).selectFrom('person').select(['id', 'positions']).where('disabled_at', 'is', null).forUpdate().execute();
  const person = holders.find((each) => each.id === id);
  return { person, isLast: person?.positions.includes(guard) === true && !holders.some((each) => each.id !== id && each.positions.includes(guard)) };
}

export async function findPersonById(db: Database, id: string): Promise<StoredPerson | undefined> {
  const row = await on(db).selectFrom('person').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toPerson(row);
}

const toInvitation = (row: IdentityTables['invitation']): StoredInvitation => ({ name: row.name, positions: row.positions as Position[], department: row.department, expiresAt: row.expires_at });

export async function insertInvitation(db: Database, codeHash: Buffer, invitation: StoredInvitation, at: Date): Promise<void> {
  await on(db)
    .insertInto('invitation')
    .values({ code_hash: codeHash, name: invitation.name, positions: invitation.positions, department: invitation.department, created_at: at, expires_at: invitation.expiresAt, used_at: null })
    .execute();
}

export async function findInvitation(db: Database, codeHash: Buffer, at: Date): Promise<StoredInvitation | undefined> {
  const row = await on(db).selectFrom('invitation').selectAll().where('code_hash', '=', codeHash).where('used_at', 'is', null).where('expires_at', '>', at).executeTakeFirst();
  return row && toInvitation(row);
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
  return row && toInvitation(row);
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
      name: '',
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

export async function deleteExpiredInvitations(db: Database, at: Date): Promise<void> {
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
