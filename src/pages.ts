import type { FastifyReply, FastifyRequest } from 'fastify';
import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Refused } from './kernel/index.ts';
import { CONTENT_SECURITY_POLICY, securityHeaders, type Http } from './platform/index.ts';

const HANDLER = new URL('../web/build/handler.js', import.meta.url);
const PAGE_METHODS = ['GET', 'HEAD', 'POST'];
const OTHER_METHODS = ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];
type Handler = (request: IncomingMessage & { app?: Http }, response: ServerResponse, next: () => void) => void;

/**
 * Hands every address that no module has taken to the built pages, in the same process. Their load functions call
 * the API through `app.inject`, so a page sees exactly what its caller may see. What nobody has taken below /api is not a page.
 */
export async function registerPages(http: Http, publicUrl: string): Promise<void> {
  if (!existsSync(HANDLER)) throw new Error(`the pages are not built (${fileURLToPath(HANDLER)}): run npm start`);
  process.env['PROTOCOL_HEADER'] = 'x-self-proto'; // read by the pages when they are loaded; set anew for every request below
  process.env['ADDRESS_HEADER'] = 'x-self-address'; // likewise: limits go by the address that trusted proxies vouch for
  process.env['BODY_SIZE_LIMIT'] = '1M';
  const { handler } = (await import(HANDLER.href)) as { handler: Handler };
  const isSecure = publicUrl.startsWith('https:');
  // pages write a policy of their own over this one
  const headers = Object.entries({ ...securityHeaders(isSecure), 'content-security-policy': CONTENT_SECURITY_POLICY });
  const servePage = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    const raw: IncomingMessage & { app?: Http } = request.raw;
    raw.app = http;
    raw.headers['x-self-proto'] = isSecure ? 'https' : 'http';
    raw.headers['x-self-address'] = request.ip;
    for (const [name, value] of headers) reply.raw.setHeader(name, value);
    // what somebody has seen must not come back with the Back button after they have signed out
    if (request.principal.kind === 'person') reply.raw.setHeader('cache-control', 'no-store');
    handler(raw, reply.raw, () => {
      reply.raw.statusCode = 404;
      reply.raw.end();
    });
  };
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null)); // the pages read the body themselves
    const open = { config: { action: 'public' as const }, schema: { hide: true } };
    scope.all('/api/*', open, () => {
      throw new Refused({ code: 'http.not-found', detail: 'There is nothing at this address, or not for this method; /api/openapi.json names what there is.' });
    });
    scope.route({ method: OTHER_METHODS, url: '/*', ...open, handler: refuseMethod });
    scope.route({ method: PAGE_METHODS, url: '/*', ...open, handler: servePage });
  });
}

function refuseMethod(_request: FastifyRequest, reply: FastifyReply): never {
  void reply.header('allow', PAGE_METHODS.join(', '));
  throw new Refused({ code: 'http.method-not-allowed', detail: 'Pages are read, and their forms are sent.' });
}
