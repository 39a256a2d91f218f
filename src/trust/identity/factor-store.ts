import type { Database, Trx } from '../../platform/index.ts';

type FactorTables = {
  one_time_code: { person_id: string; secret_sealed: Buffer; made_at: Date; confirmed_at: Date | null; last_step: number };
  recovery_code: { person_id: string; code_hash: Buffer; used_at: Date | null };
  passkey: { credential_id: string; person_id: string; name: string; relying_party: string; created_at: Date; used_at: Date | null };
  person: { id: string; password_hash: string | null };
  federated_identity: { issuer: string; subject: string; person_id: string; created_at: Date; used_at: Date | null };
};
const on = (database: Database) => database.withTables<FactorTables>();

export interface StoredOneTimeCode {
  readonly secretSealed: Buffer;
  readonly confirmed: boolean;
}

/** Puts an unconfirmed secret in the place of another unconfirmed one. False when a confirmed one is there. */
export async function putOneTimeCode(db: Database, personId: string, secretSealed: Buffer, at: Date): Promise<boolean> {
  const row = await on(db)
    .insertInto('one_time_code')
    .values({ person_id: personId, secret_sealed: secretSealed, made_at: at, confirmed_at: null, last_step: -1 })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet({ secret_sealed: secretSealed, made_at: at, last_step: -1 }).where('one_time_code.confirmed_at', 'is', null))
    .returning('person_id')
    .executeTakeFirst();
  return row !== undefined;
}

export async function findOneTimeCode(db: Database, personId: string): Promise<StoredOneTimeCode | undefined> {
  const row = await on(db).selectFrom('one_time_code').select(['secret_sealed', 'confirmed_at']).where('person_id', '=', personId).executeTakeFirst();
  return row && { secretSealed: row.secret_sealed, confirmed: row.confirmed_at !== null };
}

/** Takes a time step once: of several callers with one code, one gets it (RFC 6238 §5.2). */
export async function spendStep(db: Database, personId: string, step: number): Promise<boolean> {
  const row = await on(db).updateTable('one_time_code').set({ last_step: step }).where('person_id', '=', personId).where('last_step', '<', step).returning('person_id').executeTakeFirst();
  return row !== undefined;
}

/** Confirms the secret and puts new recovery codes in the place of all others. */
export async function confirmOneTimeCode(trx: Trx, personId: string, recoveryHashes: readonly Buffer[], at: Date): Promise<void> {
  await on(trx).updateTable('one_time_code').set({ confirmed_at: at }).where('person_id', '=', personId).execute();
  await replaceRecoveryCodes(trx, personId, recoveryHashes);
}

export async function replaceRecoveryCodes(trx: Trx, personId: string, recoveryHashes: readonly Buffer[]): Promise<void> {
  await on(trx).deleteFrom('recovery_code').where('person_id', '=', personId).execute();
  if (recoveryHashes.length > 0)
    await on(trx)
      .insertInto('recovery_code')
      .values(recoveryHashes.map((code_hash) => ({ person_id: personId, code_hash, used_at: null })))
      .execute();
}

export async function spendRecoveryCode(db: Database, personId: string, codeHash: Buffer, at: Date): Promise<boolean> {
  const row = await on(db).updateTable('recovery_code').set({ used_at: at }).where('person_id', '=', personId).where('code_hash', '=', codeHash).where('used_at', 'is', null).returning('person_id').executeTakeFirst();
  return row !== undefined;
}

export async function deleteOneTimeCode(trx: Trx, personId: string): Promise<void> {
  await on(trx).deleteFrom('one_time_code').where('person_id', '=', personId).execute();
  await on(trx).deleteFrom('recovery_code').where('person_id', '=', personId).execute();
}

export interface StoredFactors {
  readonly password: boolean;
  readonly oneTimeCode: Date | null;
  readonly recoveryCodesLeft: number;
  readonly passkeys: readonly { readonly id: string; readonly name: string; readonly site: string; readonly createdAt: Date; readonly usedAt: Date | null }[];
  readonly federated: readonly { readonly issuer: string; readonly createdAt: Date; readonly usedAt: Date | null }[];
}

const PASSKEYS_LIMIT = 20;

export async function listFactors(db: Database, personId: string): Promise<StoredFactors> {
  const tables = on(db);
  const person = await tables.selectFrom('person').select('password_hash').where('id', '=', personId).executeTakeFirst();
  const code = await tables.selectFrom('one_time_code').select('confirmed_at').where('person_id', '=', personId).executeTakeFirst();
  const left = await tables.selectFrom('recovery_code').select((select) => select.fn.countAll<string>().as('n')).where('person_id', '=', personId).where('used_at', 'is', null).executeTakeFirstOrThrow();
  const passkeys = await tables.selectFrom('passkey').select(['credential_id', 'name', 'relying_party', 'created_at', 'used_at']).where('person_id', '=', personId).orderBy('created_at').limit(PASSKEYS_LIMIT).execute();
  const federated = await tables.selectFrom('federated_identity').select(['issuer', 'created_at', 'used_at']).where('person_id', '=', personId).orderBy('created_at').limit(PASSKEYS_LIMIT).execute();
  return {
    password: typeof person?.password_hash === 'string',
    oneTimeCode: code?.confirmed_at ?? null,
    recoveryCodesLeft: Number(left.n),
    passkeys: passkeys.map((row) => ({ id: row.credential_id, name: row.name, site: row.relying_party, createdAt: row.created_at, usedAt: row.used_at })),
    federated: federated.map((row) => ({ issuer: row.issuer, createdAt: row.created_at, usedAt: row.used_at })),
  };
}

/** Keeps two requests of one person from taking away their last two factors at once. */
export async function lockPerson(trx: Trx, personId: string): Promise<void> {
  await on(trx).selectFrom('person').select('id').where('id', '=', personId).forUpdate().execute();
}

export async function renamePasskey(db: Database, personId: string, credentialId: string, name: string): Promise<boolean> {
  return (await on(db).updateTable('passkey').set({ name }).where('person_id', '=', personId).where('credential_id', '=', credentialId).returning('person_id').executeTakeFirst()) !== undefined;
}

export async function deletePasskey(trx: Trx, personId: string, credentialId: string): Promise<boolean> {
  return (await on(trx).deleteFrom('passkey').where('person_id', '=', personId).where('credential_id', '=', credentialId).returning('person_id').executeTakeFirst()) !== undefined;
}

export async function setPasswordHash(db: Database, personId: string, passwordHash: string): Promise<void> {
  await on(db).updateTable('person').set({ password_hash: passwordHash }).where('id', '=', personId).execute();
}
