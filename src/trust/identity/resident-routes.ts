import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ResidentSession } from '../../contracts/resident.ts';
import { Refused } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Identity } from './identity.ts';
import type { ResidentService } from './residents.ts';
import { originOf, registerLogoutDoor, visitCookie } from './service-visit.ts';

const CALLBACK = '/api/my/sign-in/callback';
const LIST_PAGE = '/my';
const Start = z.strictObject({ next: z.string().max(200).default(LIST_PAGE) });
const Answer = z.looseObject({ state: z.string().max(200) });
/** Sign-ins that one address may begin in a minute: a citizens' office stands behind one, a flood does not get through. */
const BEGINS = { max: 60, window_ms: 60_000 };

/** The list, or the page of a report from which the resident came. */
const pathOf = (asked: string): string => (/^\/r\/[0-9a-z]{1,64}$/.test(asked) ? asked : LIST_PAGE);

/** Sign-in of residents at the service that the city has set up for them. The addresses say so when there is none. */
export function registerResidentRoutes(http: Http, { identity }: { identity: Identity }): void {
  const { residents, limits } = identity;
  const cookie = visitCookie(identity, 'clerestory-resident-visit');
  const service = (): ResidentService => {
    if (residents.service === null) throw new Refused({ code: 'auth.service-off', detail: 'Residents need no account here: the link of a report is enough.' });
    return residents.service;
  };
  const admit = (request: FastifyRequest, reply: FastifyReply): void => {
    const { count, ttl_ms } = limits.count('resident-sign-in', request.ip, BEGINS.window_ms);
    if (count <= BEGINS.max) return;
    void reply.header('retry-after', Math.ceil(ttl_ms / 1_000));
    throw new Refused({ code: 'http.too-many-requests', detail: 'Too many sign-ins were begun from this address.' });
  };

  http.get('/api/my/session', { config: { action: 'public' } }, async (request, reply): Promise<ResidentSession> => {
    void reply.header('cache-control', 'no-store');
    return { service: residents.service?.label ?? null, signedIn: (await residents.accountOf(request)) !== null };
  });
  http.get('/api/my/sign-in', { config: { action: 'public' }, schema: { querystring: Start } }, async (request, reply) => {
    admit(request, reply);
    const begun = await service().begin(pathOf(request.query.next), originOf(request, identity) + CALLBACK);
    if (!begun.ok) return reply.redirect(problemPage(begun.refusal.code), 303);
    cookie.give(request, reply, begun.value.browserSecret);
    return reply.redirect(begun.value.location, 303);
  });
  http.get(CALLBACK, { config: { action: 'public' }, schema: { querystring: Answer } }, async (request, reply) => {
    const browserSecret = cookie.take(request, reply);
    const finished = await service().finish(new URL(request.url, originOf(request, identity)), browserSecret);
    if (!finished.ok) return reply.redirect(problemPage(finished.refusal.code), 303);
    residents.giveCookie(request, reply, finished.value.secret);
    return reply.redirect(finished.value.next, 303);
  });
  http.post('/api/my/sign-out', { config: { action: 'public' } }, async (request, reply) => {
    residents.refuseForeignPage(request);
    await residents.signOut(request, reply);
    return reply.code(204).header('cache-control', 'no-store').send();
  });
  http.get('/api/my/sign-out/service', { config: { action: 'public' } }, async (request, reply) => reply.header('cache-control', 'no-store').redirect((await service().signOutAddress(originOf(request, identity) + LIST_PAGE)) ?? LIST_PAGE, 303));
  registerLogoutDoor(http, '/api/my/sign-in/logout', (token) => service().signOut(token));
}

const problemPage = (code: string): string => `${LIST_PAGE}?problem=${encodeURIComponent(code)}`;
