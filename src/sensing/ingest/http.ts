import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS, REFUSALS, Refused, unwrap, type Refusal } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import { sendSensorThingsError } from '../error-shape.ts';
import { parseExactJson } from './exact-json.ts';
import type { Ingest, Target } from './ingest.ts';
import { readId } from './observation-body.ts';

/**
 * POST /v1.1/Observations, /v1.1/Datastreams(1)/Observations, /v1.1/Things(1)/Datastreams(2)/Observations,
 * /v1.1/FeaturesOfInterest(1)/Observations and /v1.1/CreateObservations (18-088 §10.2, §13.2). Answers after the commit.
 */
export async function registerIngestRoutes(http: Http, ingest: Ingest, publicUrl: () => string): Promise<void> {
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
      const id = unwrap(await ingest.takeOne(request.principal, request.body, target));
      const link = linkOf(id);
      return reply.code(201).header('location', link).header('content-type', 'application/json; charset=utf-8').send(`{"@iot.id":${id},"@iot.selfLink":${JSON.stringify(link)}}`);
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

const describe = ({ code, detail, field }: Refusal): string => `error: ${field === undefined ? '' : `${field}: `}${detail} ${REFUSALS[code].cure} (${code})`;

const ADDRESS = /^(Datastreams|FeaturesOfInterest|Things)\(('?)(\d{1,16})\2\)$/;

/** Reads `Datastreams(1)` and the like; throws `Refused` for an address under which no observation can be created. */
function targetOf(segments: readonly string[]): Target {
  const target: { datastreamId?: number; featureId?: number; thingId?: number } = {};
  for (const segment of segments) {
    const found = ADDRESS.exec(segment);
    const id = readId(found?.[3]);
    if (found === null || id === null) throw new Refused({ code: 'http.not-found', detail: 'Observations are created under Observations, Datastreams(id), Things(id)/Datastreams(id) or FeaturesOfInterest(id).' });
    if (found[1] === 'Datastreams') target.datastreamId = id;
    else if (found[1] === 'Things') target.thingId = id;
    else target.featureId = id;
  }
  if (target.thingId !== undefined && target.datastreamId === undefined) throw new Refused({ code: 'http.not-found', detail: 'A Thing has no Observations of its own; name one of its Datastreams.' });
  return target;
}
