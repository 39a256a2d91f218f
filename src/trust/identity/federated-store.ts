import type { Database, Trx } from '../../platform/index.ts';
import { toPerson, type PersonRow, type StoredPerson } from './identity-store.ts';

type FederatedTables = {
  person: PersonRow;
  federated_identity: { issuer: string; subject: string; person_id: string; created_at: Date; used_at: Date | null };
  session: { id: string; person_id: string; method: string; service_mark: Buffer | null };
  spent_logout_token: { hash: Buffer; until: Date };
};
const on = (database: Database) => database.withTables<FederatedTables>();

export async function findPersonBySubject(db: Database, issuer: string, subject: string): Promise<StoredPerson | undefined> {
  const row = await on(db)
    .selectFrom('federated_identity')
    .innerJoin('person', 'person.id', 'federated_identity.person_id')
    .selectAll('person')
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  return row && toPerson(row);
}

/** False when the subject belongs to an account already. */
export async function insertFederated(trx: Trx, issuer: string, subject: string, personId: string, at: Date): Promise<boolean> {
  const row = await on(trx)
    .insertInto('federated_identity')
    .values({ issuer, subject, person_id: personId, created_at: at, used_at: at })
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
    .returning('person_id')
    .executeTakeFirst();
  return row !== undefined;
}

export async function noteFederatedUse(db: Database, issuer: string, subject: string, at: Date): Promise<void> {
  await on(db).updateTable('federated_identity').set({ used_at: at }).where('issuer', '=', issuer).where('subject', '=', subject).execute();
}

const ENDED_LIMIT = 1_000;

/**
 * Sessions that were begun by the service: of one of its sessions (`mark`), of a subject, or of both (OpenID Connect Back-Channel
 * Logout 1.0 §2.7). A session that does not say of which of the service's it is counts for its subject.
 */
export async function listSessionsOfSubject(db: Database, issuer: string, subject: string | null, mark: Buffer | null): Promise<{ id: string; personId: string }[]> {
  let select = on(db).selectFrom('session').innerJoin('federated_identity', 'federated_identity.person_id', 'session.person_id').select(['session.id', 'session.person_id']).distinct().where('method', '=', 'service').where('issuer', '=', issuer).limit(ENDED_LIMIT);
  if (subject !== null) select = select.where('subject', '=', subject);
  if (mark !== null) select = subject === null ? select.where('service_mark', '=', mark) : select.where((where) => where.or([where('service_mark', '=', mark), where('service_mark', 'is', null)]));
  return (await select.execute()).map(({ id, person_id }) => ({ id, personId: person_id }));
}

/** False when it was spent before. */
export async function insertSpentToken(trx: Trx, hash: Buffer, until: Date): Promise<boolean> {
  const row = await on(trx).insertInto('spent_logout_token').values({ hash, until }).onConflict((conflict) => conflict.doNothing()).returning('hash').executeTakeFirst();
  return row !== undefined;
}

export async function deleteSpentTokens(db: Database, at: Date): Promise<void> {
  await on(db).deleteFrom('spent_logout_token').where('until', '<=', at).execute();
}
