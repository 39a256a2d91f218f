import { createHmac } from 'node:crypto';
import type { Database, Trx } from '../../platform/index.ts';
import { deleteSpentTokens, insertSpentToken } from './federated-store.ts';

/** What is kept of what a sign-in service says of its sessions and tokens: HMAC-SHA-256 under keys/identity.key, never the values. */
export interface ServiceMarks {
  /** Of a session of the service (claim `sid`). */
  of(issuer: string, session: string): Buffer;
  ofClaims(issuer: string, claims: { readonly [name: string]: unknown }): Buffer | null;
  /** False when the token was spent already. `until`: when it no longer counts anyway. */
  spendToken(trx: Trx, issuer: string, tokenId: string, until: Date): Promise<boolean>;
  forgetOld(at: Date): Promise<void>;
}

const SESSION_CHARS = 500;

export function createServiceMarks({ db, key }: { db: Database; key: Uint8Array }): ServiceMarks {
  const mac = (kind: string, ...values: readonly string[]): Buffer => createHmac('sha256', key).update(JSON.stringify([kind, ...values])).digest();
  const of = (issuer: string, session: string): Buffer => mac('service-session', issuer, session);
  return {
    of,
    ofClaims: (issuer, { sid }) => (typeof sid === 'string' && sid !== '' && sid.length <= SESSION_CHARS ? of(issuer, sid) : null),
    spendToken: (trx, issuer, tokenId, until) => insertSpentToken(trx, mac('logout-token', issuer, tokenId), until),
    forgetOld: (at) => deleteSpentTokens(db, at),
  };
}
