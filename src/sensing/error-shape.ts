import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { REFUSALS, statusOf, type Refusal } from '../kernel/index.ts';
import { logAway, refusalsOf, setRefusalHeaders } from '../platform/index.ts';

/** The body of an error under /v1.1: `code`, `type` and `message` as SensorThings servers send them, and our code with the cure. */
export function describeRefusal(refusal: Refusal): { code: number; type: 'error'; message: string; error: { code: string; field?: string } } {
  const { code, detail, field } = refusal;
  return { code: statusOf(refusal), type: 'error', message: `${detail} ${REFUSALS[code].cure}`, error: field === undefined ? { code } : { code, field } };
}

/** Error handler of every scope under /v1.1: `scope.setErrorHandler(sendSensorThingsError)`. */
export function sendSensorThingsError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusals = refusalsOf(error);
  reply.header('content-type', 'application/json; charset=utf-8');
  if (refusals === null) {
    request.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'a request failed');
    return reply.code(500).send(JSON.stringify({ code: 500, type: 'error', message: 'Something broke on our side.' }));
  }
  logAway(refusals[0], error, request);
  setRefusalHeaders(refusals[0], reply);
  return reply.code(statusOf(refusals[0])).send(JSON.stringify(describeRefusal(refusals[0])));
}
