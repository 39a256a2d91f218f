import type { Database, Trx } from '../../platform/index.ts';
import { toPerson, type PersonRow, type StoredPerson } from './identity-store.ts';

type FederatedTables = {
  person: PersonRow;
  federated_identity: { issuer: string; subject: string; person_id: string; created_at: Date; used_at: Date | null };
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
