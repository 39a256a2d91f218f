import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { ANONYMOUS, type Position, type Principal } from '../../contracts/principal.ts';
import { newId, newSecret, ok, refuse, type Clock, type Random, type Refusal, type Result } from '../../kernel/index.ts';
import type { Database, DatabaseHandle, Logger, Trx } from '../../platform/index.ts';
import { createAttempts, type Attempts } from './attempts.ts';
import { changesNothing, siteOf } from './cross-site.ts';
import {
  deleteExpired,
  findInvitation,
  findPasskey,
  findPersonByNameKey,
  findSession,
  insertInvitation,
  insertPasskey,
  insertPerson,
  insertSession,
  notePasskeyUse,
  noteSessionSeen,
  spendInvitation,
  type StoredInvitation,
  type StoredPerson,
  type StoredSession,
} from './identity-store.ts';
import { createPasskeys, siteOfHost, type Passkeys, type Site } from './passkeys.ts';
import { createPasswords, type Passwords } from './passwords.ts';
import { createTokenBook, type TokenBook } from './token-book.ts';

/** A shift of twelve hours without a request ends a session; three days end it in any case. */
const SESSION_IDLE_MS = 12 * 3_600_000;
const SESSION_MS = 72 * 3_600_000;
const SEEN_STEP_MS = 60_000;
const CLEANING_MS = 3_600_000;

const FAILURES_PER_NAME = 10;
const FAILURES_PER_ADDRESS = 50;

export interface SignedIn {
  readonly secret: string;
  readonly principal: Principal;
  readonly expiresAt: Date;
}

export interface Identity {
  /** Cookie session or bearer token; anonymous when there is neither. */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal | Refusal>;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  /** The cookie session of an authenticated request. */
  sessionOf(request: FastifyRequest): StoredSession | undefined;
  invite(invitation: { name: string; positions: readonly Position[]; lifetime_ms: number }): Promise<{ code: string; expiresAt: Date }>;
  readInvitation(code: string): Promise<Result<StoredInvitation>>;
  acceptWithPassword(code: string, name: string, password: string, agent: string): Promise<Result<SignedIn>>;
  beginAcceptWithPasskey(code: string, name: string, site: Site): Promise<Result<{ challengeId: string; options: unknown }>>;
  finishAcceptWithPasskey(code: string, challengeId: string, response: unknown, agent: string): Promise<Result<SignedIn>>;
  /** `retryAfterS` stands beside a refusal for too many attempts. */
  signInWithPassword(name: string, password: string, address: string, agent: string): Promise<Result<SignedIn> & { retryAfterS?: number }>;
  beginSignInWithPasskey(site: Site): Promise<{ challengeId: string; options: unknown }>;
  finishSignInWithPasskey(challengeId: string, response: unknown, agent: string): Promise<Result<SignedIn>>;
  siteOf(request: FastifyRequest): Result<Site>;
  readonly tokens: TokenBook;
  readonly cookie: { readonly name: string; readonly secure: boolean };
  readonly publicHost: string | undefined;
  close(): void;
}

interface IdentityOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tokenKey: Uint8Array;
  readonly publicUrl: string | undefined;
  /** log2 of scrypt's N; only tests lower it. */
  readonly passwordCostLog2?: number;
}

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
/** The name as it is compared: one form for what looks the same. */
const nameKeyOf = (name: string): string => name.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
const principalOf = (person: StoredPerson): Principal => ({ kind: 'person', id: person.id, name: person.name, positions: person.positions, pseudonym: person.pseudonym });
const busy = () => refuse('http.overloaded', 'Too many people sign in right now; try again in a moment.');
const spent = () => refuse('auth.link-spent', 'This one-time link was used, has expired, or never existed.');
const nameTaken = () => refuse('auth.name-taken', 'Somebody with this name has an account already.', 'name');

// Rolls the transaction back, so that the link stays good for another name.
class NameTaken extends Error {}

export function createIdentity(options: IdentityOptions): Identity {
  const { clock, random, logger } = options;
  const db = options.handle.db;
  const publicHost = options.publicUrl === undefined ? undefined : new URL(options.publicUrl).host;
  const secure = options.publicUrl?.startsWith('https:') === true;
  const cookie = { name: secure ? '__Host-clerestory' : 'clerestory', secure };
  const passwords = createPasswords(random, options.passwordCostLog2);
  const passkeys = createPasskeys({ clock, random });
  const tokens = createTokenBook({ db, key: options.tokenKey, clock, random });
  const byName = createAttempts(clock, FAILURES_PER_NAME);
  const byAddress = createAttempts(clock, FAILURES_PER_ADDRESS);
  const sessions = new WeakMap<FastifyRequest, StoredSession>();
  const cleaning = setInterval(() => {
    deleteExpired(db, new Date(clock.nowMs()), idleSince(clock)).catch((error: unknown) => logger.warn({ err: error }, 'expired sessions could not be removed'));
  }, CLEANING_MS);
  cleaning.unref();

  const authenticateCookie = async (request: FastifyRequest, secret: string): Promise<Principal | Refusal> => {
    const nowMs = clock.nowMs();
    const found = await findSession(db, hashOf(secret), new Date(nowMs), idleSince(clock));
    if (!found) return refuse('auth.invalid', 'The session has ended.').refusal;
    if (!changesNothing(request) && siteOf(request, publicHost) !== 'same') {
      return refuse('auth.cross-site', 'A request that changes something must come from a page of this server (Sec-Fetch-Site or Origin).').refusal;
    }
    if (nowMs - found.session.seenAt.getTime() >= SEEN_STEP_MS) await noteSessionSeen(db, found.session.id, new Date(nowMs));
    sessions.set(request, found.session);
    return principalOf(found.person);
  };

  return {
    authenticate: async (request) => {
      const { authorization } = request.headers;
      if (authorization !== undefined) {
        const [scheme, token] = authorization.split(' ');
        if (scheme?.toLowerCase() !== 'bearer' || !token) return refuse('auth.invalid', 'The Authorization header must be "Bearer TOKEN".').refusal;
        return tokens.authenticate(token);
      }
      const secret = request.cookies[cookie.name];
      return secret === undefined || secret === '' ? ANONYMOUS : authenticateCookie(request, secret);
    },
    authenticateToken: (token) => tokens.authenticate(token),
    sessionOf: (request) => sessions.get(request),
    ...createDoors({ db, clock, random, passwords, passkeys, byName, byAddress }),
    siteOf: (request) => siteOfHost(request.headers.host, request.protocol, options.publicUrl),
    tokens,
    cookie,
    publicHost,
    close: () => clearInterval(cleaning),
  };
}

export const idleSince = (clock: Clock): Date => new Date(clock.nowMs() - SESSION_IDLE_MS);

interface DoorOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly passwords: Passwords;
  readonly passkeys: Passkeys;
  readonly byName: Attempts;
  readonly byAddress: Attempts;
}

type Doors = Pick<
  Identity,
  | 'invite'
  | 'readInvitation'
  | 'acceptWithPassword'
  | 'beginAcceptWithPasskey'
  | 'finishAcceptWithPasskey'
  | 'signInWithPassword'
  | 'beginSignInWithPasskey'
  | 'finishSignInWithPasskey'
>;

/** The ways to get a session. */
function createDoors({ db, clock, random, passwords, passkeys, byName, byAddress }: DoorOptions): Doors {
  const now = (): Date => new Date(clock.nowMs());

  const signIn = async (on: Database, person: StoredPerson, agent: string): Promise<SignedIn> => {
    const secret = newSecret(random);
    const at = now();
    const expiresAt = new Date(at.getTime() + SESSION_MS);
    await insertSession(on, {
      id: newId('ses', at.getTime(), random),
      secretHash: hashOf(secret),
      personId: person.id,
      agent: agent.slice(0, 200),
      createdAt: at,
      seenAt: at,
      expiresAt,
    });
    return { secret, principal: principalOf(person), expiresAt };
  };

  // The link is spent, the account made and the session begun together, or none of them.
  const accept = async (
    code: string,
    account: { personId: string; name: string; passwordHash: string | null },
    agent: string,
    also: (trx: Trx) => Promise<void>,
  ): Promise<Result<SignedIn>> => {
    try {
      return await db.transaction().execute(async (trx) => {
        const invitation = await spendInvitation(trx, hashOf(code), now());
        if (!invitation) return spent();
        const person: StoredPerson = {
          id: account.personId,
          name: account.name,
          positions: invitation.positions,
          pseudonym: `p-${newSecret(random).slice(0, 8)}`,
          passwordHash: account.passwordHash,
          createdAt: now(),
          disabled: false,
        };
        if (!(await insertPerson(trx, { ...person, nameKey: nameKeyOf(account.name) }))) throw new NameTaken();
        await also(trx);
        return ok(await signIn(trx, person, agent));
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
    invite: async ({ name, positions, lifetime_ms }) => {
      const code = newSecret(random);
      const expiresAt = new Date(clock.nowMs() + lifetime_ms);
      await insertInvitation(db, hashOf(code), { name, positions: [...positions], expiresAt }, now());
      return { code, expiresAt };
    },
    readInvitation,
    acceptWithPassword: async (code, name, password, agent) => {
      const invitation = await readInvitation(code);
      if (!invitation.ok) return invitation;
      if (await findPersonByNameKey(db, nameKeyOf(name))) return nameTaken();
      const passwordHash = await passwords.hash(password);
      if (passwordHash === null) return busy();
      return accept(code, { personId: newId('per', clock.nowMs(), random), name, passwordHash }, agent, async () => undefined);
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
      return accept(code, { personId, name, passwordHash: null }, agent, (trx) => insertPasskey(trx, personId, passkey, now()));
    },
    signInWithPassword: async (name, password, address, agent) => {
      const nameKey = nameKeyOf(name);
      const retryAfterS = Math.max(byName.waitS(nameKey), byAddress.waitS(address));
      if (retryAfterS > 0) return { ...refuse('http.too-many-requests', `Too many failed attempts; wait ${Math.ceil(retryAfterS / 60)} min.`), retryAfterS };
      // counted before the slow check, so that attempts sent at once do not slip through
      byName.failed(nameKey);
      byAddress.failed(address);
      const person = await findPersonByNameKey(db, nameKey);
      const matches = await passwords.matches(password, person?.passwordHash ?? null);
      if (matches === null) return busy();
      if (!matches || !person || person.disabled) return refuse('auth.invalid', 'The name or the password is not right.');
      byName.succeeded(nameKey);
      byAddress.succeeded(address);
      return ok(await signIn(db, person, agent));
    },
    beginSignInWithPasskey: (site) => passkeys.beginSignIn(site),
    finishSignInWithPasskey: async (challengeId, response, agent) => {
      const finished = await passkeys.finishSignIn(challengeId, response, (credentialId) => findPasskey(db, credentialId));
      if (!finished.ok) return finished;
      const { person, passkey } = finished.value.found;
      if (person.disabled) return refuse('auth.invalid', 'This account is disabled.');
      await notePasskeyUse(db, passkey.credentialId, finished.value.counter, now());
      return ok(await signIn(db, person, agent));
    },
  };
}
