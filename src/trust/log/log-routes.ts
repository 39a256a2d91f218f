import type { LogStatus } from '../../contracts/trust.ts';
import { Refused } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { TransparencyLog } from './log.ts';
import { parseTilePath } from './tile-path.ts';

const YEAR = 'public, max-age=31536000, immutable';

/** The log as static files (C2SP tlog-tiles) under /log, and GET /api/log for pages. All public. */
export function registerLogRoutes(http: Http, options: { log: TransparencyLog; status: () => LogStatus }): void {
  const { log } = options;
  http.get('/api/log', { config: { action: 'public' } }, () => options.status());
  http.get('/log/checkpoint', { config: { action: 'public' } }, (_request, reply) =>
    reply.header('content-type', 'text/plain; charset=utf-8').header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(log.checkpoint()),
  );
  http.get('/log/vkey', { config: { action: 'public' } }, (_request, reply) =>
    reply.header('content-type', 'text/plain; charset=utf-8').header('access-control-allow-origin', '*').send(`${log.verifierKey()}\n`),
  );
  http.get('/log/tile/*', { config: { action: 'public' } }, async (request, reply) => {
    const name = parseTilePath(`tile/${(request.params as { '*': string })['*']}`);
    const bytes = name && (await log.readTile(name));
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'The log has no such tile; a partial tile goes away when the full one is there.' });
    return reply.header('content-type', 'application/octet-stream').header('cache-control', YEAR).header('access-control-allow-origin', '*').send(Buffer.from(bytes));
  });
}
