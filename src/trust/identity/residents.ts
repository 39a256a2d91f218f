import { createHash, createHmac } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { newSecret, ok, refuse, Refused, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { createCodeFlow, type CodeFlow, type ServiceClient } from './code-flow.ts';
import { siteOf } from './cross-site.ts';
import { deleteOldResidentSessions, deleteResidentSession, deleteResidentSessionsOf, findResidentSession, insertResidentSession, noteResidentSeen } from './resident-store.ts';
import type { ServiceMarks } from './service-marks.ts';

const IDLE_MS = 3_600_000;
const SESSION_MS = 12 * 3_600_000;
const SEEN_STEP_MS = 60_000;

/** A resident's account is this and nothing else: HMAC-SHA-256 of issuer and subject under keys/identity.key, hex. */
export type ResidentAccount = string;

export interface Residents {
  /** The service at which residents sign in; null when the city has none. */
  readonly service: ResidentService | null;
  /** The account whose session came with the request; null when there is none. It is no principal and has no rights but its own list. */
  accountOf(request: FastifyRequest): Promise<ResidentAccount | null>;
  /** Ends the session and takes the cookie; whether there was one. */
  signOut(request: FastifyRequest, reply: FastifyReply): Promise<boolean>;
  /** Throws `Refused` unless the request comes from a page of this server: SameSite=Lax alone does not see to that. */
  refuseForeignPage(request: FastifyRequest): void;
  giveCookie(request: FastifyRequest, reply: FastifyReply, secret: string): void;
  forgetOld(): Promise<void>;
}

export interface ResidentService {
  readonly label: string;
  begin(next: string, redirectUri: string): Promise<Result<{ location: string; browserSecret: string }>>;
  finish(answer: URL, browserSecret: string | undefined): Promise<Result<{ next: string; secret: string }>>;
  signOutAddress(returnTo: string): Promise<string | null>;
  /** The service tells that somebody has signed out there; gives how many sessions ended here. */
  signOut(token: string): Promise<Result<number>>;
}

interface ResidentOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly key: Uint8Array;
  readonly service: ServiceClient | null;
  readonly serviceMarks: ServiceMarks;
  /** Whether the browser keeps a Secure cookie of this request. */
  readonly secureAt: (request: FastifyRequest) => boolean;
  readonly publicHost: string | undefined;
}

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
// RFC 6265bis §4.1.3.2, as with the cookie of staff, which is another one
const SECURE_NAME = '__Host-clerestory-resident';
const PLAIN_NAME = 'clerestory-resident';

/** Residents who sign in to keep a list of their reports. Their sessions are apart from those of staff and never become a principal. */
export function createResidents({ db, clock, random, key, service, serviceMarks, secureAt, publicHost }: ResidentOptions): Residents {
  const now = (): Date => new Date(clock.nowMs());
  const idleSince = (): Date => new Date(clock.nowMs() - IDLE_MS);
  const secretOf = (request: FastifyRequest): string | undefined => {
    const secret = request.cookies[SECURE_NAME] ?? (secureAt(request) ? undefined : request.cookies[PLAIN_NAME]);
    return secret === '' ? undefined : secret;
  };
  const accountFor = (issuer: string, subject: string): Buffer => createHmac('sha256', key).update(JSON.stringify(['resident', issuer, subject])).digest();
  const begin = async (issuer: string, claims: { readonly sub: string; readonly [name: string]: unknown }): Promise<string> => {
    const secret = newSecret(random);
    const at = now();
    await insertResidentSession(db, { secretHash: hashOf(secret), account: accountFor(issuer, claims.sub), serviceMark: serviceMarks.ofClaims(issuer, claims), at, expiresAt: new Date(at.getTime() + SESSION_MS) });
    return secret;
  };

  return {
    service: service === null ? null : serviceOf(service, { db, clock, random, serviceMarks, begin, accountFor }),
    accountOf: async (request) => {
      const secret = secretOf(request);
      if (secret === undefined) return null;
      const found = await findResidentSession(db, hashOf(secret), now(), idleSince());
      if (found === undefined) return null;
      if (clock.nowMs() - found.seenAt.getTime() >= SEEN_STEP_MS) await noteResidentSeen(db, hashOf(secret), now());
      return found.account.toString('hex');
    },
    refuseForeignPage: (request) => {
      if (siteOf(request, publicHost) !== 'same') throw new Refused({ code: 'auth.cross-site', detail: 'This works only from a page of this server (Sec-Fetch-Site or Origin).' });
    },
    signOut: async (request, reply) => {
      const secret = secretOf(request);
      for (const [name, secure] of [[SECURE_NAME, true], [PLAIN_NAME, false]] as const)
        if (request.cookies[name] !== undefined) void reply.clearCookie(name, { path: '/', secure, httpOnly: true, sameSite: 'lax' });
      return secret !== undefined && (await deleteResidentSession(db, hashOf(secret)));
    },
    giveCookie: (request, reply, secret) => {
      const secure = secureAt(request);
      // Lax: the page of a report is opened from a mail, and shows there that it is kept; what changes something asks where it comes from
      void reply.setCookie(secure ? SECURE_NAME : PLAIN_NAME, secret, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: SESSION_MS / 1_000 });
      void reply.header('cache-control', 'no-store');
    },
    forgetOld: () => deleteOldResidentSessions(db, now(), idleSince()),
  };
}

interface ServiceParts extends Pick<ResidentOptions, 'db' | 'clock' | 'random' | 'serviceMarks'> {
  readonly begin: (issuer: string, claims: { readonly sub: string; readonly [name: string]: unknown }) => Promise<string>;
  readonly accountFor: (issuer: string, subject: string) => Buffer;
}

function serviceOf(client: ServiceClient, { db, clock, random, serviceMarks, begin, accountFor }: ServiceParts): ResidentService {
  const { issuer } = client;
  // `openid` alone: the service is asked for the subject and for nothing about the person
  const flow: CodeFlow<{ next: string }> = createCodeFlow({ ...client, clock, random, scope: 'openid' });
  return {
    label: client.label,
    begin: (next, redirectUri) => flow.begin({ next }, redirectUri, false),
    finish: (answer, browserSecret) => flow.finish(answer, browserSecret, async ({ next }, claims) => ok({ next, secret: await begin(issuer, claims) })),
    signOutAddress: (returnTo) => flow.signOutAddress(returnTo),
    signOut: async (token) => {
      const read = await flow.readLogout(token);
      if (!read.ok) return read;
      const { subject, session, tokenId, expiresAt } = read.value;
      return db.transaction().execute(async (trx): Promise<Result<number>> => {
        if (!(await serviceMarks.spendToken(trx, issuer, tokenId, expiresAt))) return refuse('auth.logout-token-wrong', 'It was used already.', 'logout_token');
        return ok(await deleteResidentSessionsOf(trx, subject === null ? null : accountFor(issuer, subject), session === null ? null : serviceMarks.of(issuer, session)));
      });
    },
  };
}
