import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Refused, unwrap, type Result } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { agentOf, giveSession, refuseOtherSites, type IdentityRouteOptions } from './session-answers.ts';
import { originOf, registerLogoutDoor, visitCookie } from './service-visit.ts';
import type { SignedIn } from './sessions.ts';
import type { Intent, SignInService } from './sign-in-service.ts';

const CALLBACK = '/api/sign-in/service/callback';
const Start = z.strictObject({ next: z.string().max(500).default('/console'), fresh: z.enum(['0', '1']).default('0') });
const Accept = z.strictObject({ code: z.string().min(1).max(64), name: z.string().trim().min(2).max(100) });
const Answer = z.looseObject({ state: z.string().max(200) });

/** A path of this server, never another site; browsers leave tabs and line ends out of addresses (WHATWG URL §4.4). */
const pathOf = (asked: string): string => (/^\/(?![/\\])[^\\\s]*$/.test(asked) ? asked : '/console');

/** Sign-in through the city's OpenID Connect service. The addresses are there, and say so, when none is set up. */
export function registerServiceRoutes(http: Http, { identity }: IdentityRouteOptions): void {
  const service = (): SignInService => {
    if (identity.service === null) throw new Refused({ code: 'auth.service-off', detail: 'This city signs people in by itself.' });
    return identity.service;
  };
  const cookie = visitCookie(identity, 'clerestory-service');
  const begin = async (request: FastifyRequest, reply: FastifyReply, intent: Intent): Promise<string> => {
    const { location, browserSecret } = unwrap(await service().begin(intent, originOf(request, identity) + CALLBACK));
    cookie.give(request, reply, browserSecret);
    return location;
  };

  http.get('/api/sign-in/service', { config: { action: 'public' }, schema: { querystring: Start } }, async (request, reply) => {
    const { next, fresh } = request.query;
    return reply.redirect(await begin(request, reply, { kind: 'sign-in', next: pathOf(next), fresh: fresh === '1' }), 303);
  });
  http.post('/api/sign-in/service/accept', { config: { action: 'public' }, schema: { body: Accept } }, async (request, reply): Promise<{ location: string }> => {
    refuseOtherSites(request, identity);
    unwrap(await identity.doors.readInvitation(request.body.code));
    return { location: await begin(request, reply, { kind: 'accept', ...request.body }) };
  });
  http.post('/api/account/service', { config: { action: 'session', stepUp: true } }, async (request, reply): Promise<{ location: string }> => ({ location: await begin(request, reply, { kind: 'connect', personId: request.principal.id }) }));
  http.get(CALLBACK, { config: { action: 'public' }, schema: { querystring: Answer } }, async (request, reply) => {
    const browserSecret = cookie.take(request, reply);
    const finished: Result<{ next: string; signedIn: SignedIn | null }> = await service().finish(new URL(request.url, originOf(request, identity)), browserSecret, agentOf(request));
    if (!finished.ok) return showPage(reply, '/sign-in?service=' + encodeURIComponent(finished.refusal.code), finished.refusal.detail);
    const { next, signedIn } = finished.value;
    if (signedIn !== null) await giveSession(request, reply, identity, signedIn);
    return showPage(reply, next, '');
  });
  // ends nothing here: the browser goes to the service's own page, which asks
  http.get('/api/sign-out/service', { config: { action: 'public', oneFactor: true } }, async (request, reply) => reply.header('cache-control', 'no-store').redirect((await service().signOutAddress(`${originOf(request, identity)}/sign-in`)) ?? '/sign-in', 303));
  registerLogoutDoor(http, '/api/sign-in/service/logout', (token) => service().signOut(token));
}

/**
 * A page of our own in between: a redirect would still count as coming from the service's site, and the browser would leave the
 * session's SameSite=Strict cookie out (RFC 6265bis §5.2).
 */
function showPage(reply: FastifyReply, next: string, problem: string): FastifyReply {
  const address = escapeHtml(next);
  const refresh = problem === '' ? `<meta http-equiv="refresh" content="0; url=${address}">` : '';
  const words = problem === '' ? `<p><a href="${address}">Continue</a></p>` : `<p role="alert">You were not signed in. ${escapeHtml(problem)}</p><p><a href="${address}">Back to the sign-in page</a></p>`;
  return reply
    .code(problem === '' ? 200 : 401)
    .type('text/html; charset=utf-8')
    .send(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}<title>Sign in</title></head><body><main><h1>Sign in</h1>${words}</main></body></html>`);
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
