import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS, REFUSALS, Refused, unwrap, type Refusal } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { sendSensorThingsError } from '../error-shape.ts';
import type { ObservationRow } from '../observations/observation-row.ts';
import { rowOf } from './draft-row.ts';
import { parseExactJson } from './exact-json.ts';
import type { Ingest, Target } from './ingest.ts';
import { readId } from './observation-body.ts';

/**
 * POST /v1.1/Observations, /v1.1/Datastreams(1)/Observations, /v1.1/Things(1)/Datastreams(2)/Observations,
 * /v1.1/FeaturesOfInterest(1)/Observations and /v1.1/CreateObservations (18-088 §10.2, §13.2). Answers after the commit, with
 * what `render` makes of the observation unless the sender prefers less.
 */
export async function registerIngestRoutes(http: Http, ingest: Ingest, publicUrl: () => string, render?: (row: ObservationRow) => unknown): Promise<void> {
  await http.register(async (scope) => {
    scope.setErrorHandler((error: FastifyError, request, reply) => sendSensorThingsError(error, request, reply));
    // numbers must come as they were written, and no schema library stands between a sensor and the disk
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: LIMITS.bulk_body_bytes }, (_request, body: Buffer, done) => {
      const parsed = parseExactJson(body);
      if (parsed.ok) done(null, parsed.value);
      else done(new Refused(parsed.refusal));
    });
    const config = { action: 'sensing.write' as const };
    const single = { config, bodyLimit: LIMITS.body_bytes };
    const linkOf = (id: number): string => `${publicUrl()}/v1.1/Observations(${id})`;

    const takeOne = async (request: FastifyRequest, reply: FastifyReply, target: Target): Promise<FastifyReply> => {
      const clientId = request.headers['idempotency-key'];
      const draft = unwrap(await ingest.takeDraft(request.principal, request.body, clientId === undefined ? target : { ...target, clientId: readClientId(clientId) }));
      const link = linkOf(draft.id);
      reply.code(201).header('location', link).header('content-type', 'application/json; charset=utf-8');
      const isMinimal = request.headers.prefer !== undefined && MINIMAL.test(String(request.headers.prefer));
      if (isMinimal) reply.header('preference-applied', 'return=minimal');
      return reply.send(isMinimal || render === undefined ? `{"@iot.id":${draft.id},"@iot.selfLink":${JSON.stringify(link)}}` : JSON.stringify(render(rowOf(draft))));
    };
    scope.post('/v1.1/Observations', single, (request, reply) => takeOne(request, reply, {}));
    scope.post<{ Params: { parent: string } }>('/v1.1/:parent/Observations', single, (request, reply) => takeOne(request, reply, targetOf([request.params.parent])));
    scope.post<{ Params: { grandparent: string; parent: string } }>('/v1.1/:grandparent/:parent/Observations', single, (request, reply) => takeOne(request, reply, targetOf([request.params.grandparent, request.params.parent])));

    scope.post('/v1.1/CreateObservations', { config, bodyLimit: LIMITS.bulk_body_bytes }, async (request, reply) => {
      const answers = unwrap(await ingest.takeDataArrays(request.principal, request.body));
      const before = JSON.stringify(linkOf(0)).slice(0, -3);
      const rows = answers.map((answer) => (typeof answer === 'number' ? `${before}${answer})"` : JSON.stringify(describe(answer))));
      return reply.code(201).header('content-type', 'application/json; charset=utf-8').send(`[${rows.join(',')}]`);
    });
  });
}

/** The key of draft-ietf-httpapi-idempotency-key-header, with or without the quotes of a structured string (RFC 8941 §3.3.3). */
function readClientId(header: string | string[]): string {
  const key = /^"?([\x21\x23-\x7e]{1,64})"?$/.exec(String(header))?.[1];
  if (key === undefined) throw new Refused({ code: 'http.invalid', detail: 'It is 1 to 64 printable characters without spaces.', field: 'Idempotency-Key' });
  return key;
}

// RFC 7240 §4.2
const MINIMAL = /(?:^|[,;\s])return\s*=\s*"?minimal\b/i;

const describe = ({ code, detail, field }: Refusal): string => `error: ${field === undefined ? '' : `${field}: `}${detail} ${REFUSALS[code].cure} (${code})`;

const ADDRESS = /^(Datastreams|MultiDatastreams|FeaturesOfInterest|Things)\(('?)(\d{1,16})\2\)$/;

/** Reads `Datastreams(1)` and the like; throws `Refused` for an address under which no observation can be created. */
export function targetOf(segments: readonly string[]): Target {
  const target: { datastreamId?: number; isMulti?: boolean; featureId?: number; thingId?: number } = {};
  for (const segment of segments) {
    const found = ADDRESS.exec(segment);
    const id = readId(found?.[3]);
    if (found === null || id === null) throw new Refused({ code: 'http.not-found', detail: 'Observations are created under Observations, Datastreams(id), MultiDatastreams(id), Things(id)/Datastreams(id) or FeaturesOfInterest(id).' });
    if (found[1] === 'Datastreams' || found[1] === 'MultiDatastreams') Object.assign(target, { datastreamId: id, isMulti: found[1] === 'MultiDatastreams' });
    else if (found[1] === 'Things') target.thingId = id;
    else target.featureId = id;
  }
  if (target.thingId !== undefined && target.datastreamId === undefined) throw new Refused({ code: 'http.not-found', detail: 'A Thing has no Observations of its own; name one of its Datastreams.' });
  return target;
}
