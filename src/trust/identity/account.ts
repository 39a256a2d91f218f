import type { FastifyRequest } from 'fastify';
import { ok, refuse, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import type { Database, Trx } from '../../platform/index.ts';
import type { Attempts } from './attempts.ts';
import { busy } from './doors.ts';
import { deleteOneTimeCode, deletePasskey, listFactors, lockPerson, setPasswordHash, type StoredFactors } from './factor-store.ts';
import { findPasskey, findPersonById, insertPasskey, notePasskeyUse } from './identity-store.ts';
import type { OneTimeCodes } from './one-time-codes.ts';
import type { Passkeys, Site } from './passkeys.ts';
import type { Passwords } from './passwords.ts';
import type { Sessions } from './sessions.ts';
import { checkPassphrase } from './weak-passphrases.ts';

type Proof = { readonly code: string } | { readonly password: string; readonly code: string } | { readonly challengeId: string; readonly response: unknown };
type Proved = { readonly ok: true; readonly value: null } | { readonly ok: false; readonly refusal: Refusal; readonly retryAfterS?: number };

/** What people do with their own account: the ways to sign in, and proving again who they are. */
export interface Account {
  beginPasskey(personId: string, name: string, site: Site): Promise<{ challengeId: string; options: unknown }>;
  finishPasskey(request: FastifyRequest, challengeId: string, response: unknown): Promise<Result<null>>;
  confirmOneTimeCode(request: FastifyRequest, code: string): Promise<Proved | { readonly ok: true; readonly value: string[] }>;
  removeOneTimeCode(personId: string): Promise<Result<null>>;
  removePasskey(personId: string, credentialId: string): Promise<Result<null>>;
  changePassword(request: FastifyRequest, password: string): Promise<Result<null>>;
  /** A fresh proof: a passkey of this person, a one-time code, or the password (with a code where codes are set up). */
  stepUp(request: FastifyRequest, proof: Proof): Promise<Proved>;
}

interface AccountOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly passwords: Passwords;
  readonly passkeys: Passkeys;
  readonly codes: OneTimeCodes;
  readonly sessions: Sessions;
  readonly attempts: Attempts;
  readonly secondFactor: 'required' | 'optional';
  readonly city: string;
}

const notProved = (field: string) => refuse('auth.invalid', 'That does not prove who you are.', field);

export function createAccount({ db, clock, passwords, passkeys, codes, sessions, attempts, secondFactor, city }: AccountOptions): Account {
  const now = (): Date => new Date(clock.nowMs());
  const bindingOf = (personId: string): string => `person:${personId}`;

  /** Removes one way to sign in, unless none would be left that the city accepts. */
  const remove = (personId: string, take: (trx: Trx) => Promise<boolean>): Promise<Result<null>> =>
    db.transaction().execute(async (trx) => {
      await lockPerson(trx, personId);
      if (!(await take(trx))) return refuse('auth.factor-unknown', 'You have no such way to sign in.', 'id');
      if (signsIn(await listFactors(trx, personId), secondFactor)) return ok(null);
      throw new LastFactor();
    }).catch((error: unknown) => {
      if (error instanceof LastFactor) return refuse('auth.last-factor', 'It is the last way to sign in that is left.', 'id');
      throw error;
    });

  const proves = async (personId: string, proof: Proof): Promise<Result<1 | 2>> => {
    if ('challengeId' in proof) {
      const finished = await passkeys.finishSignIn(proof.challengeId, proof.response, (credentialId) => findPasskey(db, credentialId));
      if (!finished.ok) return finished;
      const { person, passkey } = finished.value.found;
      if (person.id !== personId) return notProved('response');
      await notePasskeyUse(db, passkey.credentialId, finished.value.counter, now());
      return ok(2);
    }
    const hasCodes = await codes.isSetUp(personId);
    if ('password' in proof) {
      const matches = await passwords.matches(proof.password, (await findPersonById(db, personId))?.passwordHash ?? null);
      if (matches === null) return busy();
      if (!matches) return notProved('password');
      if (!hasCodes) return ok(1);
    }
    return hasCodes && (await codes.take(personId, proof.code)) ? ok('password' in proof ? 2 : 1) : notProved('code');
  };

  return {
    beginPasskey: (personId, name, site) => passkeys.beginRegistration(site, { code: bindingOf(personId), name, personId }),
    finishPasskey: async (request, challengeId, response) => {
      const { id } = request.principal;
      const registered = await passkeys.finishRegistration(challengeId, bindingOf(id), response);
      if (!registered.ok) return registered;
      await db.transaction().execute((trx) => insertPasskey(trx, id, registered.value.passkey, now()));
      await sessions.noteProved(request, 2);
      return ok(null);
    },
    confirmOneTimeCode: async (request, code) => {
      const { id } = request.principal;
      const admission = await attempts.admit(`code:${id}`, request.ip);
      if (!admission.ok) return admission;
      const confirmed = await codes.confirm(id, code);
      if (!confirmed.ok) return confirmed;
      await admission.value.succeeded();
      await sessions.noteProved(request, 2);
      return confirmed;
    },
    removeOneTimeCode: (personId) =>
      remove(personId, async (trx) => {
        const { oneTimeCode } = await listFactors(trx, personId);
        await deleteOneTimeCode(trx, personId);
        return oneTimeCode !== null;
      }),
    removePasskey: (personId, credentialId) => remove(personId, (trx) => deletePasskey(trx, personId, credentialId)),
    changePassword: async (request, password) => {
      const checked = checkPassphrase(password, [request.principal.name, city]);
      if (!checked.ok) return checked;
      const hash = await passwords.hash(password);
      if (hash === null) return busy();
      const session = sessions.of(request);
      await db.transaction().execute(async (trx) => {
        await setPasswordHash(trx, request.principal.id, hash);
        await sessions.endAll(trx, request.principal.id, session?.id ?? null);
      });
      return ok(null);
    },
    stepUp: async (request, proof) => {
      const { id } = request.principal;
      const admission = await attempts.admit(`step-up:${id}`, request.ip);
      if (!admission.ok) return admission;
      const proved = await proves(id, proof);
      if (!proved.ok) return proved;
      await admission.value.succeeded();
      await sessions.noteProved(request, proved.value);
      return ok(null);
    },
  };
}

// Rolls the removal back.
class LastFactor extends Error {}

/** Whether an account with these factors can still sign in to a city with this rule. */
function signsIn({ password, oneTimeCode, passkeys, federated }: StoredFactors, secondFactor: 'required' | 'optional'): boolean {
  return passkeys.length > 0 || federated.length > 0 || (password && (oneTimeCode !== null || secondFactor === 'optional'));
}
