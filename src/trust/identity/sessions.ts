import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../../contracts/principal.ts';
import { newId, newSecret, refuse, type Clock, type Random, type Refusal } from '../../kernel/index.ts';
import type { Bus, Database, Trx } from '../../platform/index.ts';
import { changesNothing, siteOf } from './cross-site.ts';
import type { StoredPerson } from './identity-store.ts';
import { deleteSession, deleteSessionsOf, findSession, insertSession, listSessions, noteSessionProved, noteSessionSeen, type SessionMethod, type StoredSession } from './session-store.ts';

/** A shift of twelve hours without a request ends a session; three days end it in any case. */
const SESSION_IDLE_MS = 12 * 3_600_000;
const SESSION_MS = 72 * 3_600_000;
const SEEN_STEP_MS = 60_000;
const AGENT_CHARS = 200;
/** How long a proof counts as fresh for an act that asks for step-up (OWASP ASVS 5.0 V7.5.3). */
const FRESH_MS = 5 * 60_000;

/** Topic of the event that tells every process to cut what is still open; the key is the id of the person. */
export const REVOKED_TOPIC = 'identity.revoked';
/** Payload of `identity.revoked`: the sessions that ended, or null for all of the person's. */
export interface Revoked {
  readonly sessions: readonly string[] | null;
}

export interface SignedIn {
  readonly secret: string;
  readonly principal: Principal;
  readonly expiresAt: Date;
  /** Whether the session is good for nothing but setting up a second factor. */
  readonly secondFactorNeeded: boolean;
}

export interface Sessions {
  begin(on: Database, person: StoredPerson, how: { method: SessionMethod; factors: 1 | 2; agent: string; provedAt?: Date | null; serviceMark?: Buffer | null }): Promise<SignedIn>;
  authenticate(request: FastifyRequest, secret: string): Promise<Principal | Refusal>;
  /** The secret in the request's cookie. */
  secretOf(request: FastifyRequest): string | undefined;
  /** The session of an authenticated request. */
  of(request: FastifyRequest): StoredSession | undefined;
  needsSecondFactor(session: StoredSession): boolean;
  /** Whether the person has proved who they are in the last five minutes. */
  isFresh(request: FastifyRequest): boolean;
  noteProved(request: FastifyRequest, factors: 1 | 2): Promise<void>;
  list(personId: string): Promise<StoredSession[]>;
  end(personId: string, id: string): Promise<boolean>;
  /** The same within a transaction. */
  endIn(trx: Trx, personId: string, id: string): Promise<boolean>;
  /** Ends all but one; null for all. */
  endAll(trx: Trx, personId: string, keep: string | null): Promise<number>;
  giveCookie(request: FastifyRequest, reply: FastifyReply, signedIn: Pick<SignedIn, 'secret' | 'expiresAt'>): void;
  takeCookie(request: FastifyRequest, reply: FastifyReply): void;
  /** Whether the browser keeps a Secure cookie that comes with the answer. */
  readonly secureAt: (request: FastifyRequest) => boolean;
  idleSince(): Date;
}

export const principalOf = (person: StoredPerson): Principal => ({
  kind: 'person',
  id: person.id,
  name: person.name,
  positions: person.positions,
  pseudonym: person.pseudonym,
  ...(person.department === null ? {} : { department: person.department }),
});

interface SessionOptions {
  readonly db: Database;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly publicUrl: string | undefined;
  readonly secondFactor: 'required' | 'optional';
}

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

export function createSessions({ db, bus, clock, random, publicUrl, secondFactor }: SessionOptions): Sessions {
  const publicHost = publicUrl === undefined ? undefined : new URL(publicUrl).host;
  const https = publicUrl?.startsWith('https:') === true;
  const sessions = new WeakMap<FastifyRequest, StoredSession>();
  const now = (): Date => new Date(clock.nowMs());
  const idleSince = (): Date => new Date(clock.nowMs() - SESSION_IDLE_MS);
  const needsSecondFactor = (session: Pick<StoredSession, 'factors'>): boolean => secondFactor === 'required' && session.factors < 2;
  const secureAt = (request: FastifyRequest): boolean => https || request.protocol === 'https' || (isLocal(request) && takesSecureOnLocalhost(request));
  const publish = (trx: Trx, personId: string, revoked: Revoked): Promise<void> => bus.publish(trx, REVOKED_TOPIC, personId, revoked);

  const endIn = async (trx: Trx, personId: string, id: string): Promise<boolean> => {
    const ended = await deleteSession(trx, id, personId);
    if (ended) await publish(trx, personId, { sessions: [id] });
    return ended;
  };

  return {
    begin: async (on, person, { method, factors, agent, provedAt, serviceMark }) => {
      const secret = newSecret(random);
      const at = now();
      const expiresAt = new Date(at.getTime() + SESSION_MS);
      await insertSession(on, {
        id: newId('ses', at.getTime(), random),
        secretHash: hashOf(secret),
        personId: person.id,
        agent: agent.slice(0, AGENT_CHARS),
        method,
        factors,
        createdAt: at,
        seenAt: at,
        expiresAt,
        provedAt: provedAt === undefined ? at : provedAt,
        serviceMark: serviceMark ?? null,
      });
      return { secret, principal: principalOf(person), expiresAt, secondFactorNeeded: needsSecondFactor({ factors }) };
    },
    authenticate: async (request, secret) => {
      const nowMs = clock.nowMs();
      const found = await findSession(db, hashOf(secret), now(), idleSince());
      if (!found) return refuse('auth.invalid', 'The session has ended.').refusal;
      if (!changesNothing(request) && siteOf(request, publicHost) !== 'same') {
        return refuse('auth.cross-site', 'A request that changes something must come from a page of this server (Sec-Fetch-Site or Origin).').refusal;
      }
      if (needsSecondFactor(found.session) && request.routeOptions.config.oneFactor !== true) {
        return refuse('auth.second-factor-needed', 'A passphrase alone opens nothing but the setting up of a second factor.').refusal;
      }
      if (nowMs - found.session.seenAt.getTime() >= SEEN_STEP_MS) await noteSessionSeen(db, found.session.id, now());
      sessions.set(request, found.session);
      return principalOf(found.person);
    },
    secretOf: (request) => {
      const secret = request.cookies[SECURE_NAME] ?? (https ? undefined : request.cookies[PLAIN_NAME]);
      return secret === '' ? undefined : secret;
    },
    of: (request) => sessions.get(request),
    needsSecondFactor,
    isFresh: (request) => {
      const provedAt = sessions.get(request)?.provedAt ?? null;
      // a proof of later than now was noted before the clock went back
      return provedAt !== null && Math.abs(clock.nowMs() - provedAt.getTime()) < FRESH_MS;
    },
    noteProved: async (request, factors) => {
      const session = sessions.get(request);
      if (session === undefined) throw new Error('no session to note a proof on');
      await noteSessionProved(db, session.id, now(), factors);
    },
    list: (personId) => listSessions(db, personId, now(), idleSince()),
    end: (personId, id) => db.transaction().execute((trx) => endIn(trx, personId, id)),
    endIn,
    endAll: async (trx, personId, keep) => {
      const ended = await deleteSessionsOf(trx, personId, keep);
      await publish(trx, personId, { sessions: keep === null ? null : ended });
      return ended.length;
    },
    giveCookie: (request, reply, { secret, expiresAt }) => {
      const secure = secureAt(request);
      void reply.setCookie(secure ? SECURE_NAME : PLAIN_NAME, secret, { httpOnly: true, sameSite: 'strict', secure, path: '/', expires: expiresAt });
      void reply.header('cache-control', 'no-store');
    },
    takeCookie: (request, reply) => {
      for (const [name, secure] of [[SECURE_NAME, true], [PLAIN_NAME, false]] as const)
        if (request.cookies[name] !== undefined) void reply.clearCookie(name, { path: '/', secure, httpOnly: true, sameSite: 'strict' });
    },
    secureAt,
    idleSince,
  };
}

// RFC 6265bis §4.1.3.2: a browser takes this name from the host itself over a secure connection only, for the whole host
const SECURE_NAME = '__Host-clerestory';
const PLAIN_NAME = 'clerestory';

const isLocal = (request: FastifyRequest): boolean => /^(?:[\w-]+\.)*localhost(?::\d+)?$/.test(request.headers.host ?? '');

// Safari alone drops Secure cookies that come over http from localhost; it names itself so, and no Chromium does without "Chrome"
function takesSecureOnLocalhost(request: FastifyRequest): boolean {
  const agent = request.headers['user-agent'] ?? '';
  return !/AppleWebKit\//.test(agent) || /Chrom(e|ium)\//.test(agent);
}
