import { createHash } from 'node:crypto';
import type { Position } from '../../contracts/principal.ts';
import { newId, newSecret, ok, refuse, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Database, Trx } from '../../platform/index.ts';
import type { Attempts } from './attempts.ts';
import { findInvitation, findPasskey, findPersonByNameKey, insertInvitation, insertPasskey, insertPerson, notePasskeyUse, spendInvitation, type StoredInvitation, type StoredPerson } from './identity-store.ts';
import type { OneTimeCodes } from './one-time-codes.ts';
import type { Passkeys, Site } from './passkeys.ts';
import type { Passwords } from './passwords.ts';
import type { SessionMethod } from './session-store.ts';
import type { Sessions, SignedIn } from './sessions.ts';
import { checkPassphrase } from './weak-passphrases.ts';

interface DoorOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly passwords: Passwords;
  readonly passkeys: Passkeys;
  readonly codes: OneTimeCodes;
  readonly sessions: Sessions;
  readonly attempts: Attempts;
  /** Its name is no passphrase. */
  readonly city: string;
}

/** What a new account begins with. */
export interface NewAccount {
  readonly name: string;
  readonly personId?: string;
  readonly passwordHash: string | null;
  readonly method: SessionMethod;
  readonly factors: 1 | 2;
  readonly agent: string;
  readonly serviceMark?: Buffer | null;
}

/** `retryAfterS` stands beside a refusal for too many attempts. */
export type SignInResult = Result<SignedIn> & { readonly retryAfterS?: number };

/** The ways to get an account and a session. */
export interface Doors {
  invite(invitation: { name: string; positions: readonly Position[]; department?: string | null; lifetime_ms: number }): Promise<{ code: string; expiresAt: Date }>;
  readInvitation(code: string): Promise<Result<StoredInvitation>>;
  acceptWithPassword(code: string, name: string, password: string, agent: string): Promise<Result<SignedIn>>;
  beginAcceptWithPasskey(code: string, name: string, site: Site): Promise<Result<{ challengeId: string; options: unknown }>>;
  finishAcceptWithPasskey(code: string, challengeId: string, response: unknown, agent: string): Promise<Result<SignedIn>>;
  /** Spends the invitation, makes the account with what `also` adds and begins a session, or does none of them. */
  accept(code: string, account: NewAccount, also: (trx: Trx, personId: string) => Promise<void>): Promise<Result<SignedIn>>;
  /** `code` is one of the app or a recovery code; empty when there is none. Does not tell which of the three was wrong. */
  signInWithPassword(given: { name: string; password: string; code: string }, address: string, agent: string): Promise<SignInResult>;
  beginSignInWithPasskey(site: Site): Promise<{ challengeId: string; options: unknown }>;
  finishSignInWithPasskey(challengeId: string, response: unknown, address: string, agent: string): Promise<SignInResult>;
}

/** The name as it is compared: one form for what looks the same. */
export const nameKeyOf = (name: string): string => name.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
export const busy = () => refuse('http.overloaded', 'Too many people sign in right now; try again in a moment.');
const spent = () => refuse('auth.link-spent', 'This one-time link was used, has expired, or never existed.');
const nameTaken = () => refuse('auth.name-taken', 'Somebody with this name has an account already.', 'name');
const wrong = () => refuse('auth.invalid', 'The name, the passphrase or the code is not right.');

// Rolls the transaction back, so that the link stays good for another name.
class NameTaken extends Error {}

export const newPseudonym = (random: Random): string => `p-${newSecret(random).slice(0, 8)}`;

export function createDoors({ db, clock, random, passwords, passkeys, codes, sessions, attempts, city }: DoorOptions): Doors {
  const now = (): Date => new Date(clock.nowMs());

  const accept: Doors['accept'] = async (code, account, also) => {
    try {
      return await db.transaction().execute(async (trx) => {
        const invitation = await spendInvitation(trx, hashOf(code), now());
        if (!invitation) return spent();
        const person: StoredPerson = {
          id: account.personId ?? newId('per', clock.nowMs(), random),
          name: account.name,
          positions: invitation.positions,
          pseudonym: newPseudonym(random),
          department: invitation.department,
          passwordHash: account.passwordHash,
          createdAt: now(),
          disabled: false,
        };
        if (!(await insertPerson(trx, { ...person, nameKey: nameKeyOf(account.name) }))) throw new NameTaken();
        await also(trx, person.id);
        return ok(await sessions.begin(trx, person, account));
      });
    } catch (error) {
      if (error instanceof NameTaken) return nameTaken();
      throw error;
    }
  };

  const readInvitation = async (code: string): Promise<Result<StoredInvitation>> => {
    const invitation = await findInvitation(db, hashOf(code), now());
    return invitation ? ok(invitation) : spent();
  };

  return {
    invite: async ({ name, positions, department, lifetime_ms }) => {
      const code = newSecret(random);
      const expiresAt = new Date(clock.nowMs() + lifetime_ms);
      await insertInvitation(db, hashOf(code), { name, positions: [...positions], department: department ?? null, expiresAt }, now());
      return { code, expiresAt };
    },
    readInvitation,
    accept,
    acceptWithPassword: async (code, name, password, agent) => {
      const invitation = await readInvitation(code);
      if (!invitation.ok) return invitation;
      if (await findPersonByNameKey(db, nameKeyOf(name))) return nameTaken();
      const checked = checkPassphrase(password, [name, city]);
      if (!checked.ok) return checked;
      const passwordHash = await passwords.hash(password);
      if (passwordHash === null) return busy();
      return accept(code, { name, passwordHash, method: 'link', factors: 1, agent }, async () => undefined);
    },
    beginAcceptWithPasskey: async (code, name, site) => {
      const invitation = await readInvitation(code);
      if (!invitation.ok) return invitation;
      if (await findPersonByNameKey(db, nameKeyOf(name))) return nameTaken();
      return ok(await passkeys.beginRegistration(site, { code, name, personId: newId('per', clock.nowMs(), random) }));
    },
    finishAcceptWithPasskey: async (code, challengeId, response, agent) => {
      const registered = await passkeys.finishRegistration(challengeId, code, response);
      if (!registered.ok) return registered;
      const { personId, name, passkey } = registered.value;
      return accept(code, { personId, name, passwordHash: null, method: 'passkey', factors: 2, agent }, (trx) => insertPasskey(trx, personId, passkey, now()));
    },
    signInWithPassword: async ({ name, password, code }, address, agent) => {
      const admission = await attempts.admit(`name:${nameKeyOf(name)}`, address);
      if (!admission.ok) return admission;
      const person = await findPersonByNameKey(db, nameKeyOf(name));
      const matches = await passwords.matches(password, person?.passwordHash ?? null);
      if (matches === null) return busy();
      // the same work and the same questions to the database whether or not the account exists and the passphrase is right, so that time does not tell
      const tried = matches && person ? person.id : '';
      const needsCode = await codes.isSetUp(tried);
      const hasCode = await codes.take(tried, code);
      if (!matches || !person || person.disabled || (needsCode && !hasCode)) return wrong();
      await admission.value.succeeded();
      return ok(await sessions.begin(db, person, { method: 'password', factors: hasCode ? 2 : 1, agent }));
    },
    beginSignInWithPasskey: (site) => passkeys.beginSignIn(site),
    finishSignInWithPasskey: async (challengeId, response, address, agent) => {
      const admission = await attempts.admit(null, address);
      if (!admission.ok) return admission;
      const finished = await passkeys.finishSignIn(challengeId, response, (credentialId) => findPasskey(db, credentialId));
      if (!finished.ok) return finished;
      const { person, passkey } = finished.value.found;
      if (person.disabled) return refuse('auth.invalid', 'This account is disabled.');
      await notePasskeyUse(db, passkey.credentialId, finished.value.counter, now());
      await admission.value.succeeded();
      return ok(await sessions.begin(db, person, { method: 'passkey', factors: 2, agent }));
    },
  };
}
