import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { LogStatus } from '../../contracts/trust.ts';
import { Refused } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { TransparencyLog } from './log.ts';
import { parseTilePath } from './tile-path.ts';

const compress = promisify(gzip);
/** RFC 9110 §12.5.3, for the one coding that bundles are given in (C2SP tlog-tiles, "Log entries"). */
const takesGzip = (accepted: string | string[] | undefined): boolean => /(?:^|[\s,])(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0{0,3})?\s*(?:,|$))[\d.]+\s*)?(?:,|$)/i.test(String(accepted ?? ''));

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
    const bytes = /^[1-9]\d{0,3}$/.test(number) ? await readOld(log, Number(number), path) : null;
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'No log that was put aside has such a file.' });
    return reply.header('content-type', path.startsWith('tile/') ? 'application/octet-stream' : TEXT).header('access-control-allow-origin', '*').send(Buffer.from(bytes));
  });
  http.get('/log/tile/*', { config: { action: 'public' } }, async (request, reply) => {
    const name = parseTilePath(`tile/${(request.params as { '*': string })['*']}`);
    const bytes = name && (await log.readTile(name));
    void reply.header('access-control-allow-origin', '*').header('cache-control', bytes ? YEAR : 'no-cache'); // a tile that is not there yet comes later
    if (!bytes) throw new Refused({ code: 'http.not-found', detail: 'The log has no such tile; a partial tile goes away when the full one is there.' });
    void reply.header('content-type', 'application/octet-stream');
    if (name.level !== 'entries') return reply.send(Buffer.from(bytes)); // hashes do not compress
    void reply.header('vary', 'accept-encoding');
    if (!takesGzip(request.headers['accept-encoding'])) return reply.send(Buffer.from(bytes));
    return reply.header('content-encoding', 'gzip').send(await compress(bytes));
  });
}

/** A file of a log that was put aside, or `proof/<index>` of one of its entries; null when there is no such thing. */
async function readOld({ old }: TransparencyLog, number: number, path: string): Promise<Uint8Array | null> {
  const index = /^proof\/(0|[1-9]\d{0,15})$/.exec(path)?.[1];
  if (index === undefined) return old.read(number, path);
  const found = await old.prove(number, Number(index));
  return found && Buffer.from(found.proof);
}
