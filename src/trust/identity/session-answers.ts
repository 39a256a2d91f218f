import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Session } from '../../contracts/session.ts';
import { isoOf, Refused, unwrap, type Result } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { siteOf } from './cross-site.ts';
import type { Identity } from './identity.ts';
import type { SignedIn } from './sessions.ts';
import type { NoteSignIn } from './sign-in-record.ts';

export interface IdentityRouteOptions {
  readonly identity: Identity;
  readonly db: Database;
  readonly secondFactor: 'required' | 'optional';
  /** Where sign-ins and changes of accounts are recorded. */
  readonly note?: NoteSignIn;
}

export const agentOf = (request: FastifyRequest): string => request.headers['user-agent'] ?? '';

/** Setting a session for somebody from another site is an attack too (login CSRF), and SameSite does not stop it. */
export function refuseOtherSites(request: FastifyRequest, identity: Identity): void {
  if (siteOf(request, identity.publicHost) === 'cross') throw new Refused({ code: 'auth.cross-site', detail: 'Sign-in works only from a page of this server.' });
}

/** The browser's new session takes the place of the one it had (OWASP ASVS 5.0 V7.2.4), and the caller is who signed in. */
export async function giveSession(request: FastifyRequest, reply: FastifyReply, identity: Identity, signedIn: SignedIn): Promise<Session> {
  const old = identity.sessions.of(request);
  if (old) await identity.sessions.end(request.principal.id, old.id);
  request.principal = signedIn.principal;
  identity.sessions.giveCookie(request, reply, signedIn);
  return { principal: signedIn.principal, expiresAt: isoOf(signedIn.expiresAt.getTime()), secondFactorNeeded: signedIn.secondFactorNeeded };
}

/** Takes the value, or throws the refusal after setting Retry-After where the refusal says how long to wait. */
export function unwrapLimited<T>(reply: FastifyReply, result: Result<T> & { readonly retryAfterS?: number }): T {
  if (result.retryAfterS !== undefined) void reply.header('retry-after', result.retryAfterS);
  return unwrap(result);
}
