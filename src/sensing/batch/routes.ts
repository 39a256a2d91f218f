import type { FastifyError } from 'fastify';
import { LIMITS, Refused, unwrap } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { sendSensorThingsError } from '../error-shape.ts';
import { performBatch, writeMultipartBatch, type BatchOptions } from './batch.ts';
import type { ChangeSetDeps } from './change-set.ts';
import { readJsonBatch, writeJsonBatch } from './json-batch.ts';
import { boundaryOf, readMultipartBatch } from './multipart.ts';
import type { BatchAnswer } from './request.ts';

export interface BatchDeps {
  readonly publicUrl: () => string;
  readonly changeSets: ChangeSetDeps;
}

// A change set holds a connection while it asks with others: enough must stay free, or all would wait for each other.
const AT_ONCE = 4;
const WAITING = 100;
const INHERITED = ['authorization', 'cookie', 'origin', 'sec-fetch-site', 'host'] as const;

/** POST `root`/$batch (18-088 §11, OData 4.0 Part 1 §11.7, OData 4.01 JSON Format §19). Every part is authorised for itself. */
export async function registerBatchRoutes(http: Http, root: string, { publicUrl, changeSets }: BatchDeps): Promise<void> {
  const admit = createTurnstile();
  await http.register(async (scope) => {
    scope.setErrorHandler((error: FastifyError, request, reply) => sendSensorThingsError(error, request, reply));
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(/^(?:application\/json|multipart\/mixed)/, { parseAs: 'buffer', bodyLimit: LIMITS.bulk_body_bytes }, (_request, body, done) => done(null, body));
    scope.post(`${root}/$batch`, { config: { action: 'sensing.read' }, schema: { hide: true }, bodyLimit: LIMITS.bulk_body_bytes }, async (request, reply) => {
      const type = request.headers['content-type'] ?? '';
      const isJson = type.startsWith('application/json');
      if (!Buffer.isBuffer(request.body)) throw new Refused({ code: 'http.malformed', detail: 'A batch has a body.', field: 'body' });
      const boundary = isJson ? '' : boundaryOf(type);
      if (boundary === null) throw new Refused({ code: 'batch.malformed', detail: 'The content type of a multipart batch names its boundary: multipart/mixed; boundary=…', field: 'content-type' });
      const items = unwrap(isJson ? readJsonBatch(request.body) : readMultipartBatch(request.body, boundary));
      const options: BatchOptions = {
        continueOnError: /(?:^|[,;\s])(?:odata\.)?continue-on-error(?!\s*=\s*"?false)/i.test(String(request.headers['prefer'] ?? '')),
        root,
        origins: new Set([new URL(publicUrl()).origin, `http://${request.headers.host ?? ''}`, `https://${request.headers.host ?? ''}`]),
        send: async ({ method, url, headers, body }) => {
          const inherited = Object.fromEntries(INHERITED.flatMap((name) => (typeof request.headers[name] === 'string' ? [[name, request.headers[name]]] : [])));
          const answer = await http.inject({ method: method as 'POST', url, headers: { ...headers, ...inherited }, ...(body === null ? {} : { payload: body }), remoteAddress: request.ip });
          return { status: answer.statusCode, headers: shownHeaders(answer.headers), body: answer.rawPayload } satisfies BatchAnswer;
        },
        changeSets,
      };
      const leave = items.some((item) => item.atomic) ? await admit() : undefined;
      try {
        const answered = await performBatch(items, options);
        if (isJson) return await reply.header('content-type', 'application/json; charset=utf-8').send(writeJsonBatch(answered.map(({ request: one, item, answer }) => ({ request: one, group: item.group, answer }))));
        const written = writeMultipartBatch(answered);
        return await reply.header('content-type', `multipart/mixed; boundary=${written.boundary}`).send(written.body);
      } finally {
        leave?.();
      }
    });
  });
}

const SHOWN = ['content-type', 'location', 'allow', 'etag', 'retry-after', 'link', 'preference-applied'] as const;

function shownHeaders(headers: Readonly<Record<string, number | string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(SHOWN.flatMap((name) => (headers[name] === undefined ? [] : [[name, [headers[name]].flat().join(', ')]])));
}

/** Lets a few in at once and the others wait in order; who leaves calls what he was given. Throws `Refused` when too many wait. */
function createTurnstile(): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let inside = 0;
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) inside -= 1;
    else next();
  };
  return async () => {
    if (inside < AT_ONCE) inside += 1;
    else {
      if (waiting.length >= WAITING) throw new Refused({ code: 'http.overloaded', detail: 'Too many change sets wait for their turn.' });
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    return leave;
  };
}
