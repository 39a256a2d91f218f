import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS, Refused, unwrap } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { CONFORMANCE } from './entities/conformance.ts';
import type { EntityParts } from './entities/entities.ts';
import { checkText } from './entities/body.ts';
import { applyJsonPatch } from './entities/json-patch.ts';
import { SET_NAMES } from './entities/model.ts';
import type { ReadSession } from './entities/read-store.ts';
import type { Json } from './entities/render.ts';
import { resolvePath, type Target } from './entities/resource-path.ts';
import { sendSensorThingsError } from './error-shape.ts';
import { parseExactJson } from './ingest/exact-json.ts';
import { queryFault } from './query/fault.ts';
import { parseQuery } from './query/options.ts';
import { NO_OPTIONS, type QueryOptions } from './query/syntax.ts';

/** What stands in `serverSettings` of the landing page beside the entities' own: requirement URIs and more keys. */
export interface ServerSettings {
  readonly conformance: readonly string[];
  readonly more: Readonly<Record<string, unknown>>;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const ROOT = '/v1.1';
const ALLOWED: Readonly<Record<Target['kind'], string>> = { collection: 'GET, HEAD, OPTIONS, POST', entity: 'GET, HEAD, OPTIONS, PATCH, PUT, DELETE', property: 'GET, HEAD, OPTIONS', nothing: 'GET, HEAD, OPTIONS' };

/** All of /v1.1 that has no more special route: the landing page, reading, and writing of entities (18-088 §9, §10). */
export async function registerEntityRoutes(http: Http, parts: EntityParts, publicUrl: () => string, settings?: () => ServerSettings): Promise<void> {
  await http.register(async (scope) => {
    scope.setErrorHandler((error: FastifyError, request, reply) => sendSensorThingsError(error, request, reply));
    scope.removeAllContentTypeParsers();
    // the text is kept: numbers of observations inside must come as they were written
    scope.addContentTypeParser(['application/json', 'application/json-patch+json'], { parseAs: 'buffer', bodyLimit: LIMITS.body_bytes }, (_request, body, done) => done(null, body));
    const routes = createHandlers(parts, publicUrl, settings);
    const read = { config: { action: 'sensing.read' as const }, schema: { hide: true } };
    const write = { config: { action: 'sensing.write' as const }, schema: { hide: true } };
    const remove = { config: { action: 'sensing.delete' as const }, schema: { hide: true } };
    scope.get(ROOT, read, routes.landing);
    scope.get(`${ROOT}/`, read, routes.landing);
    scope.get(`${ROOT}/*`, read, routes.get);
    scope.post(`${ROOT}/*`, write, routes.post);
    scope.patch(`${ROOT}/*`, write, routes.patch);
    scope.put(`${ROOT}/*`, write, routes.put);
    scope.delete(`${ROOT}/*`, remove, routes.remove);
    scope.options(`${ROOT}/*`, read, routes.options);
    scope.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE'], url: ROOT, ...write, handler: (_request, reply) => refuseMethod('GET, HEAD', reply) });
  });
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;
type Handlers = Readonly<Record<'landing' | 'get' | 'post' | 'patch' | 'put' | 'remove' | 'options', Handler>>;

function createHandlers({ reads, writes, renderer }: EntityParts, publicUrl: () => string, settings?: () => ServerSettings): Handlers {
  const targetOf = (request: FastifyRequest): Promise<Target> => reads.inSession((session) => resolvePath(splitUrl(request).path, session));
  const bodyOf = (target: Target & { kind: 'entity' }): Promise<Json> =>
    reads.inSession(async (session) => {
      const entity = await session.readEntity(target.model, target.id, NO_OPTIONS);
      if (entity === null) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no ${target.model.name} ${String(target.id)}.` });
      return renderer.entity(entity);
    });

  const change = async (request: FastifyRequest, reply: FastifyReply, mode: 'patch' | 'put'): Promise<FastifyReply> => {
    const target = await targetOf(request);
    if (target.kind !== 'entity' || target.references) return refuseMethod(ALLOWED[target.kind], reply);
    const { model, id } = target;
    let body = readBody(request, model.set === 'Observations');
    let how = mode;
    if (mode === 'patch' && request.headers['content-type']?.startsWith('application/json-patch+json') === true) {
      body = unwrap(applyJsonPatch(withoutControl(await bodyOf(target)), body));
      how = 'put';
    }
    unwrap(await writes.update(model, id, body, how, request.principal));
    return sendJson(reply, await bodyOf(target));
  };

  return {
    landing: async (_request, reply) => {
      const root = `${publicUrl()}${ROOT}`;
      const own = settings?.() ?? { conformance: [], more: {} };
      return sendJson(reply, { value: SET_NAMES.map((name) => ({ name, url: `${root}/${name}` })), serverSettings: { conformance: [...CONFORMANCE, ...own.conformance], ...own.more } });
    },
    get: async (request, reply) => {
      const { path, search } = splitUrl(request);
      const options = parseQuery(search);
      const answer = await reads.inSession(async (session) => answerGet(await resolvePath(path, session), options, session, renderer, path));
      if (answer === null) return reply.code(204).send();
      return typeof answer === 'string' ? reply.header('content-type', 'text/plain; charset=utf-8').send(answer) : sendJson(reply, answer);
    },
    post: async (request, reply) => {
      const target = await targetOf(request);
      if (target.kind !== 'collection' || target.references) return refuseMethod(ALLOWED[target.kind], reply);
      const { collection, parent } = target;
      const { id } = unwrap(await writes.create(collection.model, parent, readBody(request, true), request.principal));
      reply.code(201).header('location', renderer.selfLink(collection.model, id));
      return sendJson(reply, await bodyOf({ kind: 'entity', model: collection.model, id, references: false }));
    },
    patch: (request, reply) => change(request, reply, 'patch'),
    put: (request, reply) => change(request, reply, 'put'),
    remove: async (request, reply) => {
      const target = await targetOf(request);
      if (target.kind !== 'entity' || target.references) return refuseMethod(ALLOWED[target.kind], reply);
      unwrap(await writes.remove(target.model, target.id));
      return reply.code(200).send();
    },
    options: async (request, reply) => reply.code(204).header('allow', ALLOWED[(await targetOf(request)).kind]).send(),
  };
}

/** The answer to a GET: JSON, a bare text for $value, or null for nothing (204). */
async function answerGet(target: Target, options: QueryOptions, session: ReadSession, renderer: EntityParts['renderer'], path: string): Promise<Json | string | null> {
  if (target.kind === 'nothing') return null;
  if (target.kind === 'collection') {
    const { collection, references } = target;
    if (options.resultFormat !== null && collection.model.set !== 'Observations') throw queryFault('$resultFormat', 0, 'dataArray is a form of Observations.');
    if (options.resultFormat !== null && options.expand.length > 0) throw queryFault('$resultFormat', 0, 'a dataArray holds no related entities; leave $expand out.');
    const page = await session.readPage(collection, options);
    if (references) return renderer.references(page, path, options);
    return options.resultFormat === null ? renderer.page(page, path, options) : renderer.dataArray(page, path, options);
  }
  if (target.kind === 'property' && options.texts.length > 0) throw queryFault(options.texts[0]?.[0] ?? '', 0, 'a property takes no query options.');
  const name = target.kind === 'property' ? target.property.name : null;
  const entity = await session.readEntity(target.model, target.id, name === null ? options : { ...options, select: [{ name, at: 0 }] });
  if (entity === null) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no ${target.model.name} ${String(target.id)}.` });
  if (target.kind === 'property') return propertyAnswer(target, renderer.entity(entity));
  return target.references ? { '@iot.selfLink': renderer.selfLink(target.model, target.id) } : renderer.entity(entity);
}

/** `/Things(1)/name`, `/Things(1)/properties/a` and their `$value` (18-088 §9.2.5, §9.2.6). */
function propertyAnswer({ model, property, rest, bare }: Target & { kind: 'property' }, json: Json): Json | string | null {
  let value = json[property.name];
  for (const step of rest) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) throw new Refused({ code: 'sensing.no-such-property', detail: `${property.name} of this ${model.name} has no ${JSON.stringify(step.slice(0, 60))}.` });
    value = (value as Json)[step];
  }
  if (value === null || value === undefined) return null;
  if (!bare) return { [rest.at(-1) ?? property.name]: value };
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function splitUrl(request: FastifyRequest): { path: string; search: string } {
  const url = request.raw.url ?? '';
  if (Buffer.byteLength(url) > LIMITS.url_bytes) throw new Refused({ code: 'sensing.query-invalid', detail: `The address is longer than ${String(LIMITS.url_bytes)} bytes; use smaller filters or page.`, field: 'url' });
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  return { path: path.slice(ROOT.length + 1), search: query < 0 ? '' : url.slice(query + 1) };
}

/** Parses the body; `exact` keeps numbers of observations as they were written. */
function readBody(request: FastifyRequest, exact: boolean): unknown {
  const { body } = request;
  if (!Buffer.isBuffer(body) || body.length === 0) throw new Refused({ code: 'http.malformed', detail: 'A JSON body is needed.', field: 'body' });
  const parsed = unwrap(parseExactJson(body));
  checkText(parsed, '', 0);
  return exact ? keepExactObservations(parsed) : plainNumbers(parsed);
}

/** Entities have plain numbers; only observations, at the top or inside, keep what was written. */
function keepExactObservations(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return plainNumbers(value);
  if ('result' in value) return value;
  const related = (name: string): boolean => [...SET_NAMES, 'Thing', 'Datastream', 'Sensor', 'ObservedProperty'].includes(name);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]) => {
      if (name === 'Observations') return [name, member];
      if (!related(name)) return [name, plainNumbers(member)];
      return [name, Array.isArray(member) ? member.map(keepExactObservations) : keepExactObservations(member)];
    }),
  );
}

const plainNumbers = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

const withoutControl = (json: Json): Json => Object.fromEntries(Object.entries(json).filter(([name]) => !name.includes('@iot.')));

function refuseMethod(allowed: string, reply: FastifyReply): never {
  reply.header('allow', allowed);
  throw new Refused({ code: 'http.method-not-allowed', detail: 'This address does not take this method.' });
}

function sendJson(reply: FastifyReply, json: Json): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(JSON.stringify(json));
}
