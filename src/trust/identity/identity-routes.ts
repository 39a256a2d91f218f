import { z } from 'zod';
import { AcceptWithPassword, type Invitation, PasskeyBegin, PasskeyFinish, PasswordSignIn, type Session, type SignInMethods } from '../../contracts/session.ts';
import { isoOf, unwrap } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { registerAccountRoutes } from './account-routes.ts';
import { registerPeopleRoutes } from './people-routes.ts';
import { agentOf, giveSession, refuseOtherSites, unwrapLimited, type IdentityRouteOptions } from './session-answers.ts';
import { registerResidentRoutes } from './resident-routes.ts';
import { registerServiceRoutes } from './service-routes.ts';
import { recordSignIns } from './sign-in-record.ts';

const Code = z.object({ code: z.string().min(1).max(64) });

/** Sign-in, invitations, accounts, sessions and people, as in contracts/session.ts. */
export function registerIdentityRoutes(http: Http, options: IdentityRouteOptions): void {
  if (options.note) recordSignIns(http, options.note);
  registerSignInRoutes(http, options);
  registerInvitationRoutes(http, options);
  registerAccountRoutes(http, options);
  registerPeopleRoutes(http, options);
  registerServiceRoutes(http, options);
  registerResidentRoutes(http, options);
}

function registerSignInRoutes(http: Http, { identity, secondFactor }: IdentityRouteOptions): void {
  const { doors, sessions } = identity;
  http.get('/api/session', { config: { action: 'public', oneFactor: true } }, (request, reply): Session => {
    void reply.header('cache-control', 'no-store');
    const session = sessions.of(request);
    return { principal: request.principal, expiresAt: session ? isoOf(session.expiresAt.getTime()) : null, secondFactorNeeded: session !== undefined && sessions.needsSecondFactor(session) };
  });
  http.get('/api/sign-in', { config: { action: 'public' } }, (request): SignInMethods => {
    const site = identity.siteOf(request);
    return { password: true, passkey: site.ok, passkeyHindrance: site.ok ? null : site.refusal.detail, service: identity.service?.label ?? null, secondFactor };
  });
  http.post('/api/sign-in/password', { config: { action: 'public' }, schema: { body: PasswordSignIn } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    return giveSession(request, reply, identity, unwrapLimited(reply, await doors.signInWithPassword(request.body, request.ip, agentOf(request))));
  });
  http.post('/api/sign-in/passkey/options', { config: { action: 'public' } }, async (request) => {
    refuseOtherSites(request, identity);
    return doors.beginSignInWithPasskey(unwrap(identity.siteOf(request)));
  });
  http.post('/api/sign-in/passkey/finish', { config: { action: 'public' }, schema: { body: PasskeyFinish } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    return giveSession(request, reply, identity, unwrapLimited(reply, await doors.finishSignInWithPasskey(request.body.challengeId, request.body.response, request.ip, agentOf(request))));
  });
  http.post('/api/sign-out', { config: { action: 'public', oneFactor: true } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const session = sessions.of(request);
    if (session) await sessions.end(request.principal.id, session.id);
    sessions.takeCookie(request, reply);
    return reply.code(204).send();
  });
}

function registerInvitationRoutes(http: Http, { identity }: IdentityRouteOptions): void {
  const { doors } = identity;
  http.get('/api/invitations/:code', { config: { action: 'public' }, schema: { params: Code } }, async (request): Promise<Invitation> => {
    const { name, positions, department, expiresAt } = unwrap(await doors.readInvitation(request.params.code));
    return { name, positions, department, expiresAt: expiresAt.toISOString() };
  });
  http.post('/api/invitations/:code/password', { config: { action: 'public' }, schema: { params: Code, body: AcceptWithPassword } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const { name, password } = request.body;
    return giveSession(request, reply, identity, unwrap(await doors.acceptWithPassword(request.params.code, name, password, agentOf(request))));
  });
  http.post('/api/invitations/:code/passkey/options', { config: { action: 'public' }, schema: { params: Code, body: PasskeyBegin } }, async (request) => {
    refuseOtherSites(request, identity);
    return unwrap(await doors.beginAcceptWithPasskey(request.params.code, request.body.name, unwrap(identity.siteOf(request))));
  });
  http.post('/api/invitations/:code/passkey/finish', { config: { action: 'public' }, schema: { params: Code, body: PasskeyFinish } }, async (request, reply) => {
    refuseOtherSites(request, identity);
    const { challengeId, response } = request.body;
    return giveSession(request, reply, identity, unwrap(await doors.finishAcceptWithPasskey(request.params.code, challengeId, response, agentOf(request))));
  });
}
