import type { LogStatus } from '../../contracts/trust.ts';
import { Refused } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { TransparencyLog } from './log.ts';
import { parseTilePath } from './tile-path.ts';

const TEXT = 'text/plain; charset=utf-8';
const YEAR = 'public, max-age=31536000, immutable';

/** The log as static files (C2SP tlog-tiles) under /log, and GET /api/log for pages. All public. */
export function registerLogRoutes(http: Http, options: { log: TransparencyLog; status: () => Omit<LogStatus, 'witnesses' | 'scrub'> }): void {
  const { log } = options;
  http.get('/api/log', { config: { action: 'public' } }, () => options.status());
  http.get('/log/checkpoint', { config: { action: 'public' } }, (_request, reply) =>
    reply.header('content-type', TEXT).header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(log.checkpoint()),
  );
  http.get('/log/witnessed', { config: { action: 'public' } }, (_request, reply) => {
    const seen = log.witnessed();
    if (seen === null) throw new Refused({ code: 'http.not-found', detail: 'No head of this log has met the quorum of witnesses yet.' });
    return reply.header('content-type', TEXT).header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(seen.checkpoint);
  });
  http.get('/log/proof/:index', { config: { action: 'public' } }, async (request, reply) => {
    const { index } = request.params as { index: string };
    // one spelling for each index, as in the proof itself
    if (!/^(0|[1-9]\d{0,15})$/.test(index) || Number(index) >= log.size()) throw new Refused({ code: 'http.not-found', detail: 'The log has no entry with this index.' });
    return reply.header('content-type', TEXT).header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(await log.tlogProof(Number(index)));
  });
  http.get('/log/vkey', { config: { action: 'public' } }, (_request, reply) =>
    reply.header('content-type', TEXT).header('access-control-allow-origin', '*').send(`${log.verifierKey()}\n`),
  );
  http.get('/log/begin.json', { config: { action: 'public' } }, async (_request, reply) => {
    const bytes = await log.readBeginning();
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'This log was not begun anew.' });
    return reply.header('content-type', 'application/json').header('access-control-allow-origin', '*').send(Buffer.from(bytes));
  });
  http.get('/log/old/:number/*', { config: { action: 'public' } }, async (request, reply) => {
    const { number, '*': path } = request.params as { number: string; '*': string };
    const bytes = /^[1-9]\d{0,3}$/.test(number) ? await log.readOld(Number(number), path) : null;
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'No log that was put aside has such a file.' });
    return reply.header('content-type', path.startsWith('tile/') ? 'application/octet-stream' : TEXT).header('access-control-allow-origin', '*').send(Buffer.from(bytes));
  });
  http.get('/log/tile/*', { config: { action: 'public' } }, async (request, reply) => {
    const name = parseTilePath(`tile/${(request.params as { '*': string })['*']}`);
    const bytes = name && (await log.readTile(name));
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'The log has no such tile; a partial tile goes away when the full one is there.' });
    return reply.header('content-type', 'application/octet-stream').header('cache-control', YEAR).header('access-control-allow-origin', '*').send(Buffer.from(bytes));
  });
}
