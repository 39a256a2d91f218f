import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { LIMITS, Refused, unwrap, type RefusalCode } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import type { EntityParts } from './entities/entities.ts';
import { checkText } from './entities/body.ts';
import { applyJsonPatch } from './entities/json-patch.ts';
import { API_1_1, findNavigation, SET_NAMES, type Api, type ControlNames } from './entities/model.ts';
import type { ReadSession } from './entities/read-store.ts';
import type { Json, Renderer } from './entities/render.ts';
import { describeFigures, readRemovalQuery, removeFiltered } from './entities/filtered-removal.ts';
import { changeReference, readReference } from './entities/references.ts';
import { FormattedPage, withMetadata } from './entities/formats.ts';
import { answerCount, answerSet } from './entities/set-answer.ts';
import { resolvePath, type Target } from './entities/resource-path.ts';
import { sendSensorThingsError } from './error-shape.ts';
import { parseExactJson } from './ingest/exact-json.ts';
import { registerOpenApi } from './openapi/routes.ts';
import { queryFault } from './query/fault.ts';
import { parseQuery } from './query/options.ts';
import { NO_OPTIONS, type QueryOptions } from './query/syntax.ts';

/** What stands in `serverSettings` of the landing page beside the entities' own: requirement URIs and more keys. */
export interface ServerSettings {
  readonly conformance: readonly string[];
  readonly more: Readonly<Record<string, unknown>>;
}

/** How a version of the API answers, where it does otherwise than 1.1. */
export interface Manners {
  /** Writes answer without content unless the entity is asked for (RFC 7240, `return=representation`). */
  readonly isTerse: boolean;
  /** What it is when a test of a JSON Patch fails. */
  readonly failedTest: RefusalCode;
  /** Turns options of its own into those that all versions share. Throws `Refused`. */
  readonly readSearch: (search: string) => string;
  /** Adds what stands around an answer; `root` is the absolute address of the landing page. */
  readonly dress: (answer: Json, target: Target, options: QueryOptions, root: string) => Json;
  readonly landing: (root: string, settings: ServerSettings) => Json;
  /** The document that describes the data model, at `$metadata`. */
  readonly metadata: () => Json;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const ALLOWED: Readonly<Record<Target['kind'], string>> = { collection: 'GET, HEAD, OPTIONS, POST, DELETE', entity: 'GET, HEAD, OPTIONS, PATCH, PUT, DELETE', property: 'GET, HEAD, OPTIONS', nothing: 'GET, HEAD, OPTIONS', count: 'GET, HEAD, OPTIONS' };

/** All below the root of one version that has no more special route: the landing page, reading, and writing of entities (18-088 §9, §10). */
export async function registerEntityRoutes(http: Http, parts: EntityParts, publicUrl: () => string, settings?: () => ServerSettings, api: Api = API_1_1, manners?: Manners): Promise<void> {
  const { root } = api;
  registerOpenApi(http, api, publicUrl, manners?.isTerse);
  await http.register(async (scope) => {
    scope.setErrorHandler((error: FastifyError, request, reply) => sendSensorThingsError(error, request, reply));
    scope.removeAllContentTypeParsers();
    // the text is kept: numbers of observations inside must come as they were written
    scope.addContentTypeParser(['application/json', 'application/json-patch+json'], { parseAs: 'buffer', bodyLimit: LIMITS.body_bytes }, (_request, body, done) => done(null, body));
    const routes = createHandlers(api, parts, publicUrl, settings, manners);
    const read = { config: { action: 'sensing.read' as const }, schema: { hide: true } };
    const write = { config: { action: 'sensing.write' as const }, schema: { hide: true } };
    const remove = { config: { action: 'sensing.delete' as const }, schema: { hide: true } };
    scope.get(root, read, routes.landing);
    scope.get(`${root}/`, read, routes.landing);
    if (manners !== undefined) scope.get(`${root}/$metadata`, read, (_request, reply) => sendJson(reply, manners.metadata()));
    scope.get(`${root}/*`, read, routes.get);
    scope.post(`${root}/*`, write, routes.post);
    scope.patch(`${root}/*`, write, routes.patch);
    scope.put(`${root}/*`, write, routes.put);
    scope.delete(`${root}/*`, remove, routes.remove);
    scope.options(`${root}/*`, read, routes.options);
    scope.route({ method: ['POST', 'PUT', 'PATCH', 'DELETE'], url: root, ...write, handler: (_request, reply) => refuseMethod('GET, HEAD', reply) });
  });
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;
type Handlers = Readonly<Record<'landing' | 'get' | 'post' | 'patch' | 'put' | 'remove' | 'options', Handler>>;

function createHandlers(api: Api, { reads, writes, rendererOf }: EntityParts, publicUrl: () => string, settings?: () => ServerSettings, manners?: Manners): Handlers {
  const renderer = rendererOf(api);
  const targetOf = (request: FastifyRequest): Promise<Target> => reads.inSession((session) => resolvePath(api, splitUrl(api, request).path, session));
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
      body = unwrap(applyJsonPatch(withoutControl(api.control, await bodyOf(target)), body, manners?.failedTest));
      how = 'put';
    }
    unwrap(await writes.update(model, id, body, how, request.principal));
    if (!wantsEntity(request)) return reply.code(204).send();
    return sendJson(reply, dressed(await bodyOf(target), target));
  };

  const isTerse = manners?.isTerse === true;
  const linked = isTerse ? 204 : 200;
  const wantsEntity = (request: FastifyRequest): boolean => !isTerse || [request.headers['prefer'] ?? ''].flat().some((value) => value.split(',').some((part) => part.trim() === 'return=representation'));
  const dressed = (answer: Json, target: Target, options = NO_OPTIONS): Json => manners?.dress(answer, target, options, `${publicUrl()}${api.root}`) ?? answer;

  /** Whether the request was about a link, which is changed then. */
  const changeLink = async (request: FastifyRequest, method: 'POST' | 'PUT' | 'DELETE'): Promise<boolean> => {
    const { path, search } = splitUrl(api, request);
    const reference = path.includes('ref') ? await readReference(api, path, reads) : null;
    if (reference === null) return false;
    unwrap(await changeReference(method, reference, method === 'DELETE' ? undefined : readBody(request, false), search, request.principal, writes));
    return true;
  };

  return {
    landing: async (_request, reply) => {
      const root = `${publicUrl()}${api.root}`;
      const own = settings?.() ?? { conformance: [], more: {} };
      if (manners !== undefined) return sendJson(reply, manners.landing(root, own));
      return sendJson(reply, { value: api.models.map(({ set }) => ({ name: set, url: `${root}/${set}` })), serverSettings: { conformance: [...api.conformance, ...own.conformance], ...own.more } });
    },
    get: async (request, reply) => {
      const { path, search } = splitUrl(api, request);
      const options = parseQuery(manners?.readSearch(search) ?? search);
      const [answer, target] = await reads.inSession(async (session) => {
        const found = await resolvePath(api, path, session);
        return [await answerGet(found, options, session, renderer, path), found] as const;
      });
      if (answer === null) return reply.code(204).send();
      if (answer instanceof FormattedPage) return sendPage(reply, answer);
      return typeof answer === 'string' ? reply.header('content-type', 'text/plain; charset=utf-8').send(answer) : sendJson(reply, dressed(answer, target, options));
    },
    post: async (request, reply) => {
      if (await changeLink(request, 'POST')) return reply.code(linked).send();
      const target = directTarget(api, splitUrl(api, request).path) ?? (await targetOf(request));
      if (target.kind !== 'collection' || target.references) return refuseMethod(ALLOWED[target.kind], reply);
      const { collection, parent } = target;
      const { id } = unwrap(await writes.create(collection.model, parent, readBody(request, true), request.principal));
      reply.code(201).header('location', renderer.selfLink(collection.model, id));
      if (!wantsEntity(request)) return reply.send();
      const made = { kind: 'entity', model: collection.model, id, references: false } as const;
      return sendJson(reply, dressed(await bodyOf(made), made));
    },
    patch: (request, reply) => change(request, reply, 'patch'),
    put: async (request, reply) => ((await changeLink(request, 'PUT')) ? reply.code(linked).send() : change(request, reply, 'put')),
    remove: async (request, reply) => {
      if (await changeLink(request, 'DELETE')) return reply.code(linked).send();
      const target = await targetOf(request);
      if (target.kind === 'collection' && !target.references) {
        const query = readRemovalQuery(splitUrl(api, request).search);
        const { model } = target.collection;
        const answer = describeFigures(model, await removeFiltered({ reads, removeTogether: (...chunk) => writes.removeTogether(...chunk) }, target.collection, query), query.dryRun);
        if (!query.dryRun) request.log.info({ ...answer, who: request.principal.pseudonym }, 'entities were deleted by filter');
        return sendJson(reply, answer);
      }
      if (target.kind !== 'entity' || target.references) return refuseMethod(ALLOWED[target.kind], reply);
      unwrap(await writes.remove(target.model, target.id));
      return reply.code(linked).send();
    },
    options: async (request, reply) => reply.code(204).header('allow', ALLOWED[(await targetOf(request)).kind]).send(),
  };
}

/** The target of the one request that comes a thousand times a second, without asking the database: the ingest path knows the streams. */
function directTarget(api: Api, path: string): Target | null {
  const found = /^(?:Datastreams\((\d{1,15})\)\/)?Observations$/.exec(path);
  const stream = api.modelOf('Datastreams');
  const navigation = findNavigation(stream, 'Observations');
  if (found === null || navigation === undefined) return null;
  const parent = found[1] === undefined ? null : { model: stream, navigation, id: Number(found[1]) };
  return { kind: 'collection', collection: { model: api.modelOf('Observations'), restrict: () => [], natural: 'id' }, parent, references: false };
}

/** The answer to a GET: JSON, a bare text for $value and $count, a page in another form, or null for nothing (204). */
export async function answerGet(target: Target, options: QueryOptions, session: ReadSession, renderer: Renderer, path: string): Promise<Json | string | FormattedPage | null> {
  if (target.kind === 'nothing') return null;
  if (target.kind === 'collection') return answerSet(target, options, session, renderer, path);
  if (target.kind === 'count') return answerCount(target.collection, options, session);
  if (target.kind === 'property' && options.texts.length > 0) throw queryFault(options.texts[0]?.[0] ?? '', 0, 'a property takes no query options.');
  const name = target.kind === 'property' ? target.property.name : null;
  const entity = await session.readEntity(target.model, target.id, name === null ? options : { ...options, select: [{ name, rest: [], at: 0 }] });
  if (entity === null) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no ${target.model.name} ${String(target.id)}.` });
  if (target.kind === 'property') return propertyAnswer(target, renderer.entity(entity));
  return target.references ? { [target.model.api.control.selfLink]: renderer.selfLink(target.model, target.id) } : withMetadata(target.model, renderer.entity(entity), options.metadata);
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

function splitUrl({ root }: Api, request: FastifyRequest): { path: string; search: string } {
  const url = request.raw.url ?? '';
  if (Buffer.byteLength(url) > LIMITS.url_bytes) throw new Refused({ code: 'sensing.query-invalid', detail: `The address is longer than ${String(LIMITS.url_bytes)} bytes; use smaller filters or page.`, field: 'url' });
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  return { path: path.slice(root.length + 1), search: query < 0 ? '' : url.slice(query + 1) };
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
  const related = (name: string): boolean => [...SET_NAMES, 'Thing', 'Datastream', 'Sensor', 'ObservedProperty', 'DatastreamsProximate', 'DatastreamsUltimate', 'Features', 'FeatureTypes'].includes(name);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]: [string, unknown]) => {
      if (name === 'Observations') return [name, member];
      if (!related(name)) return [name, plainNumbers(member)];
      return [name, Array.isArray(member) ? member.map(keepExactObservations) : keepExactObservations(member)];
    }),
  );
}

const plainNumbers = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

const withoutControl = ({ isControl }: ControlNames, json: Json): Json => Object.fromEntries(Object.entries(json).filter(([name]) => !isControl(name)));

function refuseMethod(allowed: string, reply: FastifyReply): never {
  reply.header('allow', allowed);
  throw new Refused({ code: 'http.method-not-allowed', detail: 'This address does not take this method.' });
}

function sendPage(reply: FastifyReply, { mediaType, text, next }: FormattedPage): FastifyReply {
  // RFC 8288: forms without a place for a next link have it in a header
  if (next !== null) reply.header('link', `<${next}>; rel="next"`);
  return reply.header('content-type', mediaType).send(text);
}

function sendJson(reply: FastifyReply, json: Json): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(JSON.stringify(json));
}
