import type { FastifyRequest } from 'fastify';
import { ANONYMOUS, type Principal } from '../../contracts/principal.ts';
import { refuse, type Clock, type Random, type Refusal, type Result } from '../../kernel/index.ts';
import type { Bus, DatabaseHandle, Logger } from '../../platform/index.ts';
import { createAccount, type Account } from './account.ts';
import { createAttempts } from './attempts.ts';
import type { ServiceClient } from './code-flow.ts';
import { createDoors, type Doors } from './doors.ts';
import { deleteExpiredInvitations } from './identity-store.ts';
import { createOneTimeCodes, type OneTimeCodes } from './one-time-codes.ts';
import { createPasskeys, siteOfHost, type Site } from './passkeys.ts';
import { createPasswords } from './passwords.ts';
import { createPublicLimits, type PublicLimits } from './public-limits.ts';
import { createResidents, type Residents } from './residents.ts';
import { createServiceMarks } from './service-marks.ts';
import { deleteExpiredSessions } from './session-store.ts';
import { createSessions, type Sessions } from './sessions.ts';
import { createSignInService, type SignInService, type SignInServiceOptions } from './sign-in-service.ts';
import { createTokenBook, type TokenBook } from './token-book.ts';

const CLEANING_MS = 3_600_000;

export interface Identity {
  /** Cookie session or bearer token; anonymous when there is neither. */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal | Refusal>;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  /** Whether a caller may do what asks for step-up: a person who has just proved who they are; a token, which no browser holds. */
  readonly isFresh: (request: FastifyRequest) => boolean;
  readonly doors: Doors;
  readonly account: Account;
  readonly codes: OneTimeCodes;
  readonly sessions: Sessions;
  readonly tokens: TokenBook;
  /** The city's own sign-in service; null when none is set up. */
  readonly service: SignInService | null;
  /** Residents who sign in to keep a list of their reports; never staff. */
  readonly residents: Residents;
  readonly limits: PublicLimits;
  siteOf(request: FastifyRequest): Result<Site>;
  readonly publicHost: string | undefined;
  /** Origin under which others reach the city, if it states one. */
  readonly publicUrl: string | undefined;
  nowMs(): number;
  close(): Promise<void>;
}

export interface IdentityOptions {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tokenKey: Uint8Array;
  /** Seals secrets of one-time codes and hashes what must not be read back; of its own, so that it can be kept apart from the token key. */
  readonly identityKey: Uint8Array;
  readonly publicUrl: string | undefined;
  /** Shown by authenticator apps. */
  readonly city: string;
  readonly secondFactor: 'required' | 'optional';
  readonly service: SignInServiceOptions | null;
  /** Service at which residents sign in; without one the links of their reports are the only way. */
  readonly residentService?: ServiceClient | null;
  /** log2 of scrypt's N; only tests lower it. */
  readonly passwordCostLog2?: number;
}

/** Who is at the door: accounts of staff, their ways to sign in, sessions and tokens. */
export function createIdentity(options: IdentityOptions): Identity {
  const { bus, clock, random, logger, publicUrl, secondFactor } = options;
  const db = options.handle.db;
  const passwords = createPasswords(random, options.passwordCostLog2);
  const passkeys = createPasskeys({ clock, random });
  const codes = createOneTimeCodes({ db, clock, random, key: options.identityKey, city: options.city });
  const attempts = createAttempts({ db, clock, key: options.identityKey });
  const sessions = createSessions({ db, bus, clock, random, publicUrl, secondFactor });
  const tokens = createTokenBook({ db, key: options.tokenKey, clock, random });
  const doors = createDoors({ db, clock, random, passwords, passkeys, codes, sessions, attempts, city: options.city });
  const account = createAccount({ db, clock, passwords, passkeys, codes, sessions, attempts, secondFactor, city: options.city });
  const publicHost = publicUrl === undefined ? undefined : new URL(publicUrl).host;
  const serviceMarks = createServiceMarks({ db, key: options.identityKey });
  const service = options.service === null ? null : createSignInService({ ...options.service, db, clock, random, doors, sessions, serviceMarks });
  const residents = createResidents({ db, clock, random, key: options.identityKey, service: options.residentService ?? null, serviceMarks, secureAt: sessions.secureAt, publicHost });
  const limits = createPublicLimits({ db, clock, key: options.identityKey, logger });
  const clean = async (): Promise<void> => {
    const now = new Date(clock.nowMs());
    await deleteExpiredSessions(db, now, sessions.idleSince());
    await deleteExpiredInvitations(db, now);
    await attempts.forgetOld();
    await serviceMarks.forgetOld(now);
    await residents.forgetOld();
    await limits.forgetOld();
  };
  const cleaning = setInterval(() => {
    clean().catch((error: unknown) => logger.warn({ err: error }, 'expired sessions could not be removed'));
  }, CLEANING_MS);
  cleaning.unref();

  return {
    authenticate: async (request) => {
      const { authorization } = request.headers;
      if (authorization !== undefined) {
        const [scheme, token] = authorization.split(' ');
        if (scheme?.toLowerCase() !== 'bearer' || !token) return refuse('auth.invalid', 'The Authorization header must be "Bearer TOKEN".').refusal;
        return tokens.authenticate(token);
      }
      const secret = sessions.secretOf(request);
      return secret === undefined ? ANONYMOUS : sessions.authenticate(request, secret);
    },
    authenticateToken: (token) => tokens.authenticate(token),
    isFresh: (request) => request.principal.kind === 'token' || sessions.isFresh(request),
    doors,
    account,
    codes,
    sessions,
    tokens,
    service,
    residents,
    limits,
    siteOf: (request) => siteOfHost(request.headers.host, request.protocol, publicUrl),
    publicHost,
    publicUrl: publicUrl === undefined ? undefined : new URL(publicUrl).origin,
    nowMs: () => clock.nowMs(),
    close: async () => {
      clearInterval(cleaning);
      await limits.close();
    },
  };
}
