import { ANONYMOUS } from '../../contracts/principal.ts';
import type { Clock } from '../../kernel/index.ts';
import { buildHttp, type Http, type Logger } from '../../platform/index.ts';
import { REQUEST_BYTES } from './add-checkpoint.ts';
import { formatNoteKey, type NoteKey } from './signed-note.ts';
import { drawWitnessPage } from './witness-page.ts';
import type { Witness } from './witness.ts';

const CONNECTIONS = 200;
const REQUEST_TIMEOUT_MS = 10_000;
const TEXT = 'text/plain; charset=utf-8';

/** The witness over HTTP: submission and monitoring under one prefix, and a page for people at /. Everybody may ask; only a log's signature counts. */
export async function buildWitnessServer({ witness, keys, clock, logger }: { witness: Witness; keys: readonly NoteKey[]; clock: Clock; logger: Logger }): Promise<Http> {
  const http = await buildHttp({ logger, authenticate: () => Promise.resolve(ANONYMOUS), authorize: (_, action) => action === 'public' });
  http.server.maxConnections = CONNECTIONS;
  http.server.requestTimeout = REQUEST_TIMEOUT_MS; // for a body that trickles in
  http.server.headersTimeout = REQUEST_TIMEOUT_MS;
  http.removeAllContentTypeParsers();
  // tlog-witness names no content type for requests: whatever stands there, or an empty header as Go's http.Post sends it, is passed over
  http.addHook('onRequest', (request, _reply, done) => {
    if (request.raw.method === 'POST') request.raw.headers['content-type'] = 'application/octet-stream';
    done();
  });
  http.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: REQUEST_BYTES }, (_request, body, done) => done(null, body));

  http.post('/add-checkpoint', { config: { action: 'public' }, bodyLimit: REQUEST_BYTES }, async (request, reply) => {
    const { status, type, body } = await witness.addCheckpoint(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    return reply.code(status).header('content-type', type).send(Buffer.from(body));
  });
  http.get('/:originHash/checkpoint', { config: { action: 'public' } }, (request, reply) => {
    const latest = witness.latest((request.params as { originHash: string }).originHash);
    if (latest === null) return reply.code(404).header('content-type', TEXT).send('This witness has not cosigned a checkpoint of such a log.\n');
    return reply.header('content-type', TEXT).header('cache-control', 'no-cache').header('access-control-allow-origin', '*').send(latest);
  });
  http.get('/vkey', { config: { action: 'public' } }, (_request, reply) => reply.header('content-type', TEXT).send(keys.map((key) => `${formatNoteKey(key)}\n`).join('')));
  http.get('/', { config: { action: 'public' } }, (_request, reply) => reply.header('content-type', 'text/html; charset=utf-8').header('cache-control', 'no-cache').send(drawWitnessPage(witness, keys, clock.nowMs())));
  return http;
}
