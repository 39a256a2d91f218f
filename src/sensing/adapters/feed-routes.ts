import { Readable } from 'node:stream';
import { z } from 'zod';
import { FeedAnswer, FeedHealth, FeedSetup } from '../../contracts/feed.ts';
import type { Action, Principal } from '../../contracts/principal.ts';
import { LIMITS, Refused } from '../../kernel/index.ts';
import { decodeStream, type Http } from '../../platform/index.ts';
import type { Feeds } from './feeds.ts';

const NameParams = z.strictObject({ name: z.string().min(1).max(63) });
/** As sent; unpacked it may have `bulk_body_bytes`. */
const SENT_BYTES = 4_194_304;

/**
 * `POST /api/feeds/NAME` takes a webhook, `POST /api/feeds/NAME/run`, `/pause` and `/resume` steer a feed, and
 * `GET /api/feeds/setup` says which adapters there are. The health of all feeds is part of `GET /api/feeds`.
 */
export async function registerFeedRoutes(http: Http, { feeds, clock, authorize }: { feeds: Feeds; clock: { nowMs(): number }; authorize: (principal: Principal, action: Action) => boolean }): Promise<void> {
  const maySteer = (principal: Principal): void => {
    if (!authorize(principal, 'operations.supervise') && !authorize(principal, 'register.manage')) throw new Refused({ code: 'auth.forbidden', detail: 'Supervisors and administrators steer feeds.' });
  };
  http.get('/api/feeds/setup', { config: { action: 'operations.read' }, schema: { response: { 200: FeedSetup } } }, () => Promise.resolve(feeds.setup()));
  const steer = { config: { action: 'operations.read' as const }, schema: { params: NameParams, response: { 200: FeedHealth } } };
  http.post('/api/feeds/:name/run', steer, async (request) => {
    maySteer(request.principal);
    return feeds.runNow(request.params.name);
  });
  http.post('/api/feeds/:name/pause', steer, async (request) => {
    maySteer(request.principal);
    return feeds.setPaused(request.params.name, true);
  });
  http.post('/api/feeds/:name/resume', steer, async (request) => {
    maySteer(request.principal);
    return feeds.setPaused(request.params.name, false);
  });

  await http.register(async (scope) => {
    // documents of any kind: their adapter reads them, and says which kinds it takes
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: SENT_BYTES }, (_request, body, done) => done(null, body));
    scope.post<{ Params: { name: string }; Querystring: Record<string, unknown> }>('/api/feeds/:name', { config: { action: 'sensing.write' }, schema: { params: NameParams, querystring: z.looseObject({}), response: { 200: FeedAnswer } } }, async (request) => {
      const { body } = request;
      if (!Buffer.isBuffer(body) || body.length === 0) throw new Refused({ code: 'http.malformed', detail: 'A document of the source is needed.', field: 'body' });
      const encoding = request.headers['content-encoding'];
      const document = encoding === undefined ? body : await decodeStream(Readable.from([body]), encoding, LIMITS.bulk_body_bytes, 'body');
      // ChirpStack names the event in the query: event=up; others belong to the network and carry no reading
      const { event } = request.query;
      if (typeof event === 'string' && event !== 'up') return { taken: 0, duplicate: 0, refused: [], refused_count: 0 };
      return feeds.push(request.params.name, { contentType: request.headers['content-type'] ?? '', body: document, topic: null, receivedMs: clock.nowMs() }, request.principal);
    });
  });
}
