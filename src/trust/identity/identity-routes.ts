import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  AcceptWithPassword,
  type Invitation,
  type InvitationLink,
  NewInvitation,
  PasskeyBegin,
  PasskeyFinish,
  PasswordSignIn,
  type Person,
  RevokeToken,
  type Session,
  type SessionSummary,
  type SignInMethods,
} from '../../contracts/session.ts';
import { isoOf, refuse, Refused, unwrap, type Clock } from '../../kernel/index.ts';
import type { Database, Http } from '../../platform/index.ts';
import { siteOf } from './cross-site.ts';
import { deleteSession, disablePerson, listPeople, listSessions } from './identity-store.ts';
import { idleSince, type Identity, type SignedIn } from './identity.ts';

/** Invitations that an administrator makes are valid for three days. */
const INVITATION_MS = 72 * 3_600_000;
const Code = z.object({ code: z.string().min(1).max(64) });
const Id = z.object({ id: z.string().min(1).max(64) });

interface IdentityRouteOptions {
  readonly identity: Identity;
  readonly db: Database;
  readonly clock: Clock;
}

/** Sign-in, invitations, sessions and people, as in contracts/session.ts. */
export function registerIdentityRoutes(http: Http, options: IdentityRouteOptions): void {
  registerSignInRoutes(http, options);
  registerInvitationRoutes(http, options);
  registerPeopleRoutes(http, options);
}

const agentOf = (request: FastifyRequest): string => request.headers['user-agent'] ?? '';

// Setting a session for somebody from another site is an attack too (login CSRF), and SameSite does not stop it.
function refuseOtherSites(request: FastifyRequest, identity: Identity): void {
  if (siteOf(request, identity.publicHost) === 'cross') throw new Refused({ code: 'auth.cross-site', detail: 'Sign-in works only from a page of this server.' });
}

function giveSession(reply: FastifyReply, identity: Identity, signedIn: SignedIn): Session {
  void reply.setCookie(identity.cookie.name, signedIn.secret, { httpOnly: true, sameSite: 'strict', secure: identity.cookie.secure, path: '/', expires: signedIn.expiresAt });
  void reply.header('cache-control', 'no-store');
  return { principal: signedIn.principal, expiresAt: isoOf(signedIn.expiresAt.getTime()) };
}

function registerSignInRoutes(http: Http, { identity, db, clock }: IdentityRouteOptions): void {
  http.get('/api/session', { config: { action: 'public' } }, (request, reply): Session => {
    void reply.header('cache-control', 'no-store');
    const session = identity.sessionOf(request);
    return { principal: request.principal, expiresAt: session ? isoOf(session.expiresAt.getTime()) : null };
  });
  http.get('/api/sign-in', { config: { action: 'public' } }, (request): SignInMethods => {
    const site = identity.siteOf(request);
    return { password: true, passkey: site.ok, passkeyHindrance: site.ok ? null : site.refusal.detail };
  });
  http.post('/api/sign-in/password', { config: { action: 'public' }, schema: { body: PasswordSignIn } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const { name, password } = request.body;
    const result = await identity.signInWithPassword(name, password, request.ip, agentOf(request));
    if (result.retryAfterS !== undefined) void reply.header('retry-after', result.retryAfterS);
    return giveSession(reply, identity, unwrap(result));
  });
  http.post('/api/sign-in/passkey/options', { config: { action: 'public' } }, async (request) => {
    refuseOtherSites(request, identity);
    return identity.beginSignInWithPasskey(unwrap(identity.siteOf(request)));
  });
  http.post('/api/sign-in/passkey/finish', { config: { action: 'public' }, schema: { body: PasskeyFinish } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    return giveSession(reply, identity, unwrap(await identity.finishSignInWithPasskey(request.body.challengeId, request.body.response, agentOf(request))));
  });
  http.post('/api/sign-out', { config: { action: 'public' } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const session = identity.sessionOf(request);
    if (session) await deleteSession(db, session.id, request.principal.id);
    void reply.clearCookie(identity.cookie.name, { path: '/', secure: identity.cookie.secure, httpOnly: true, sameSite: 'strict' });
    return reply.code(204).send();
  });
  http.get('/api/sessions', { config: { action: 'session' } }, async (request): Promise<SessionSummary[]> => {
    const current = identity.sessionOf(request)?.id;
    const sessions = await listSessions(db, request.principal.id, new Date(clock.nowMs()), idleSince(clock));
    return sessions.map(({ id, agent, createdAt, seenAt, expiresAt }) => ({
      id,
      agent,
      createdAt: createdAt.toISOString(),
      seenAt: seenAt.toISOString(),
      expiresAt: expiresAt.toISOString(),
      current: id === current,
    }));
  });
  http.delete('/api/sessions/:id', { config: { action: 'session' }, schema: { params: Id } }, async (request, reply) => {
    if (!(await deleteSession(db, request.params.id, request.principal.id))) throw new Refused({ code: 'http.not-found', detail: 'You have no such session.', field: 'id' });
    return reply.code(204).send();
  });
}

function registerInvitationRoutes(http: Http, { identity }: IdentityRouteOptions): void {
  http.get('/api/invitations/:code', { config: { action: 'public' }, schema: { params: Code } }, async (request): Promise<Invitation> => {
    const { name, positions, expiresAt } = unwrap(await identity.readInvitation(request.params.code));
    return { name, positions, expiresAt: expiresAt.toISOString() };
  });
  http.post('/api/invitations/:code/password', { config: { action: 'public' }, schema: { params: Code, body: AcceptWithPassword } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const { name, password } = request.body;
    return giveSession(reply, identity, unwrap(await identity.acceptWithPassword(request.params.code, name, password, agentOf(request))));
  });
  http.post('/api/invitations/:code/passkey/options', { config: { action: 'public' }, schema: { params: Code, body: PasskeyBegin } }, async (request) => {
    refuseOtherSites(request, identity);
    return unwrap(await identity.beginAcceptWithPasskey(request.params.code, request.body.name, unwrap(identity.siteOf(request))));
  });
  http.post('/api/invitations/:code/passkey/finish', { config: { action: 'public' }, schema: { params: Code, body: PasskeyFinish } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const { challengeId, response } = request.body;
    return giveSession(reply, identity, unwrap(await identity.finishAcceptWithPasskey(request.params.code, challengeId, response, agentOf(request))));
  });
}

function registerPeopleRoutes(http: Http, { identity, db, clock }: IdentityRouteOptions): void {
  http.get('/api/people', { config: { action: 'people.manage' } }, async (): Promise<Person[]> =>
    (await listPeople(db)).map(({ id, name, positions, pseudonym, createdAt, disabled }) => ({ id, name, positions, pseudonym, createdAt: createdAt.toISOString(), disabled })),
  );
  http.post('/api/people/invitations', { config: { action: 'people.manage' }, schema: { body: NewInvitation } }, async (request, reply): Promise<InvitationLink> => {
    const { name, positions } = request.body;
    if (positions.includes('device'))
      throw new Refused(refuse('http.invalid', 'A device is not a person: make it a token with `clerestory token --role device`.', 'positions').refusal);
    const { code, expiresAt } = await identity.invite({ name, positions: [...new Set(positions)], lifetime_ms: INVITATION_MS });
    void reply.code(201);
    return { code, path: invitationPath(code), expiresAt: expiresAt.toISOString() };
  });
  http.post('/api/people/:id/disable', { config: { action: 'people.manage' }, schema: { params: Id } }, async (request, reply) => {
    const outcome = await disablePerson(db, request.params.id, new Date(clock.nowMs()), 'administrator');
    if (outcome === 'unknown') throw new Refused({ code: 'http.not-found', detail: 'There is no such enabled person.', field: 'id' });
    if (outcome === 'last') throw new Refused({ code: 'auth.last-administrator', detail: 'Nobody could manage people any more.', field: 'id' });
    return reply.code(204).send();
  });
  http.post('/api/tokens/revoke', { config: { action: 'people.manage' }, schema: { body: RevokeToken } }, async (request, reply) => {
    await identity.tokens.revoke(request.body.token);
    return reply.code(204).send();
  });
}

/** The page of the web front that accepts an invitation. */
const invitationPath = (code: string): string => `/invite/${code}`;
