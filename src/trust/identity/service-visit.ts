import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { unwrap, type Result } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Identity } from './identity.ts';
import { TOKEN_CHARS } from './logout-token.ts';

const VISIT_MS = 10 * 60_000;
const FORM_BYTES = TOKEN_CHARS * 2;
const Form = z.object({ logout_token: z.string().max(TOKEN_CHARS) });

/** Address under which browsers reach this server. */
export const originOf = (request: FastifyRequest, identity: Pick<Identity, 'publicUrl'>): string => identity.publicUrl ?? `${request.protocol}://${request.headers.host ?? 'localhost'}`;

/** The cookie by which a browser shows that it began a visit to a sign-in service. */
export interface VisitCookie {
  give(request: FastifyRequest, reply: FastifyReply, browserSecret: string): void;
  /** Its value, which is taken away. */
  take(request: FastifyRequest, reply: FastifyReply): string | undefined;
}

export function visitCookie(identity: Pick<Identity, 'publicUrl'>, name: string): VisitCookie {
  const of = (request: FastifyRequest): { name: string; secure: boolean } => {
    const secure = originOf(request, identity).startsWith('https:');
    return { name: secure ? `__Host-${name}` : name, secure };
  };
  return {
    give: (request, reply, browserSecret) => {
      const { name: given, secure } = of(request);
      // Lax: the service sends the browser back from another site
      void reply.setCookie(given, browserSecret, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: VISIT_MS / 1_000 });
      void reply.header('cache-control', 'no-store');
    },
    take: (request, reply) => {
      const { name: given, secure } = of(request);
      void reply.clearCookie(given, { httpOnly: true, sameSite: 'lax', secure, path: '/' });
      void reply.header('cache-control', 'no-store');
      return request.cookies[given];
    },
  };
}

/** Takes what a sign-in service posts when somebody has signed out there (OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8). */
export function registerLogoutDoor(http: Http, address: string, signOut: (token: string) => Promise<Result<number>>): void {
  void http.register(async (plain) => {
    plain.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: FORM_BYTES }, (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))));
    (plain as unknown as Http).post(address, { config: { action: 'public' }, schema: { body: Form } }, async (request, reply) => {
      void reply.header('cache-control', 'no-store');
      unwrap(await signOut(request.body.logout_token));
      return reply.code(200).send();
    });
  });
}
