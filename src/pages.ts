import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { securityHeaders, type Http } from './platform/index.ts';

const HANDLER = new URL('../web/build/handler.js', import.meta.url);
type Handler = (request: IncomingMessage & { app?: Http }, response: ServerResponse, next: () => void) => void;

/**
 * Hands every address that no module has taken to the built pages, in the same process. Their load functions call
 * the API through `app.inject`, so a page sees exactly what its caller may see.
 */
export async function registerPages(http: Http, publicUrl: string): Promise<void> {
  if (!existsSync(HANDLER)) throw new Error(`the pages are not built (${fileURLToPath(HANDLER)}): run npm start`);
  process.env['PROTOCOL_HEADER'] = 'x-self-proto'; // read by the pages when they are loaded; set anew for every request below
  process.env['ADDRESS_HEADER'] = 'x-self-address'; // likewise: limits go by the address that trusted proxies vouch for
  process.env['BODY_SIZE_LIMIT'] = '1M';
  const { handler } = (await import(HANDLER.href)) as { handler: Handler };
  const isSecure = publicUrl.startsWith('https:');
  const headers = Object.entries(securityHeaders(isSecure));
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null)); // the pages read the body themselves
    scope.all('/*', { config: { action: 'public' }, schema: { hide: true } }, (request, reply) => {
      reply.hijack();
      const raw: IncomingMessage & { app?: Http } = request.raw;
      raw.app = http;
      raw.headers['x-self-proto'] = isSecure ? 'https' : 'http';
      raw.headers['x-self-address'] = request.ip;
      for (const [name, value] of headers) reply.raw.setHeader(name, value);
      handler(raw, reply.raw, () => {
        reply.raw.statusCode = 404;
        reply.raw.end();
      });
    });
  });
}
