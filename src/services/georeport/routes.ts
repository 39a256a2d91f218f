import formbody from '@fastify/formbody';
import multipart from '@fastify/multipart';
import rateLimit from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Language } from '../../contracts/common.ts';
import { REFUSALS, Refused, distanceM, statusOf, unwrap, type Bounds, type Refusal } from '../../kernel/index.ts';
import { Counter, refusalsOf, setRefusalHeaders, type Http, type Logger, type Metrics } from '../../platform/index.ts';
import { readAnswers } from '../answers.ts';
import type { Catalogue, Service } from '../catalogue.ts';
import { fileReport, type FilingDeps } from '../filing.ts';
import type { Gazetteer } from '../gazetteer.ts';
import { limiterOptions } from '../limiter.ts';
import { locate } from '../location.ts';
import type { RequestRow } from '../request-store.ts';
import { WORDS, chooseLanguage } from '../words.ts';
import { CONTENT_TYPES, writeDocument, type Format, type Tree } from './document.ts';
import { readMultipart } from './multipart.ts';
import { Parameters, readReportFields, readRequestsQuery, type RequestsQuery } from './parameters.ts';
import { definitionTree, discoveryTree, extensionTree, requestTree, serviceTree } from './shapes.ts';

export interface GeoReportDeps extends FilingDeps {
  readonly changeset: Date;
  readonly gazetteer: Gazetteer;
  readonly bounds: Bounds | null;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly publicUrl: string;
  readonly ratePerMinute: { readonly read: number; readonly write: number };
}

const PREFIX = '/open311/v2';
const FORM_BYTES_MAX = 262_144;
const SECRET = /^[0-9a-hjkmnp-tv-z]{32}$/;

/** Open311 GeoReport v2 under /open311/v2, in XML and JSON. The extension of the path picks the format, of errors too. */
export async function registerGeoReport(http: Http, deps: GeoReportDeps): Promise<void> {
  const dropped = new Counter({ name: 'clerestory_georeport_fields_dropped_total', help: 'Fields of GeoReport POSTs that are never kept', labelNames: ['field'], registers: [deps.metrics] });
  await http.register(
    async (scope) => {
      scope.removeContentTypeParser(['application/json', 'text/plain']);
      await scope.register(formbody, { bodyLimit: FORM_BYTES_MAX });
      await scope.register(multipart);
      await scope.register(rateLimit, limiterOptions(deps.trust, 'georeport'));
      const reading = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } };
      const writing = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.write, timeWindow: 60_000 } };

      scope.setErrorHandler((error, request, reply) => sendErrors(error, request, reply));
      scope.setNotFoundHandler((request, reply) => sendErrors(new Refused({ code: 'http.not-found', detail: 'There is nothing at this address; paths end in .xml or .json.' }), request, reply));
      scope.addHook('preHandler', async (request) => checkJurisdiction(deps.catalogue, request));

      scope.get('/', { config: reading }, (_request, reply) => reply.redirect(`${PREFIX}/discovery.xml`));
      for (const format of ['xml', 'json'] as const) {
        scope.get(`/discovery.${format}`, { config: reading }, (_request, reply) => send(reply, format, 'discovery', discoveryTree(deps.catalogue, deps.changeset, deps.publicUrl + PREFIX)));
        scope.get(`/services.${format}`, { config: reading }, (request, reply) => {
          const language = languageOf(deps.catalogue, request);
          return send(reply, format, 'services', deps.catalogue.services.map((service) => serviceTree(service, language)));
        });
        scope.get(`/requests.${format}`, { config: reading }, (request, reply) => listRequests(deps, format, request, reply));
        scope.post(`/requests.${format}`, { config: writing }, (request, reply) => postRequest(deps, dropped, format, request, reply));
      }
      // one parameter for name and extension, so that a code with any character gets its 404 in the right format
      scope.get<{ Params: { file: string } }>('/services/:file', { config: reading }, (request, reply) => {
        const { name, format } = splitFile(request.params.file);
        const service = deps.catalogue.byCode(name);
        if (service === undefined) throw new Refused({ code: 'request.service-unknown', detail: 'There is no service of this code.', field: 'service_code' });
        return send(reply, format, 'service_definition', definitionTree(service, languageOf(deps.catalogue, request)));
      });
      scope.get<{ Params: { file: string } }>('/requests/:file', { config: reading }, async (request, reply) => {
        const { name, format } = splitFile(request.params.file);
        const row = await deps.store.find(name);
        if (row === undefined || !row.listed) throw new Refused({ code: 'request.not-found', detail: 'There is no public request of this id.', field: 'service_request_id' });
        const extensions = new Parameters(request.query).one('extensions')?.toLowerCase() === 'true';
        return send(reply, format, 'service_requests', await requestTrees(deps, [row], extensions, languageOf(deps.catalogue, request)));
      });
      // every service here is realtime, so no POST answers with a token; the secret of the follow-up link is one
      scope.get<{ Params: { file: string } }>('/tokens/:file', { config: writing }, async (request, reply) => {
        const { name, format } = splitFile(request.params.file);
        const row = SECRET.test(name) ? await deps.store.findByToken(deps.hashSecret(name)) : undefined;
        if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no such token.', field: 'token' });
        return send(reply, format, 'service_requests', [{ service_request_id: row.id, token: name }]);
      });
    },
    { prefix: PREFIX },
  );
}

function send(reply: FastifyReply, format: Format, root: string, tree: Tree): FastifyReply {
  // open data without cookies: apps on other sites may read it and report (Fetch standard, CORS protocol)
  return reply.header('content-type', CONTENT_TYPES[format]).header('vary', 'accept-language').header('access-control-allow-origin', '*').header('access-control-expose-headers', 'link').send(writeDocument(format, root, tree));
}

function splitFile(file: string): { name: string; format: Format } {
  const parts = /^(.*)\.(xml|json)$/s.exec(file);
  if (parts?.[1] === undefined) throw new Refused({ code: 'http.not-found', detail: 'Paths end in .xml or .json.' });
  return { name: parts[1], format: parts[2] === 'json' ? 'json' : 'xml' };
}

function formatOf(request: FastifyRequest): Format {
  return /\.json(\?|$)/.test(request.url) ? 'json' : 'xml';
}

function languageOf(catalogue: Catalogue, request: FastifyRequest, parameters = new Parameters(request.query)): Language {
  return chooseLanguage(catalogue.languages, catalogue.defaultLanguage, parameters.one('locale'), request.headers['accept-language']);
}

/** G6: one jurisdiction is served, so the parameter is optional; another one does not exist here. */
async function checkJurisdiction(catalogue: Catalogue, request: FastifyRequest): Promise<void> {
  if (request.isMultipart()) request.body = await readMultipart(request);
  const asked = new Parameters(request.query).one('jurisdiction_id') ?? new Parameters(request.body).one('jurisdiction_id');
  if (asked !== undefined && asked !== catalogue.jurisdiction_id) throw new Refused({ code: 'request.jurisdiction-unknown', detail: 'This jurisdiction_id is not served here.', field: 'jurisdiction_id' });
}

/** G7, G8: a list of errors in the format of the path. What is neither 403, 404 nor a matter of load is 400. */
function sendErrors(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const refusals = refusalsOf(error);
  const format = formatOf(request);
  if (refusals === null) {
    request.log.error({ err: error, method: request.method, route: request.routeOptions.url }, 'a GeoReport request failed');
    return send(reply.code(500), format, 'errors', [{ code: 500, description: 'Something broke on our side.' }]);
  }
  setRefusalHeaders(refusals[0], reply);
  const errors = refusals.map((refusal) => ({ code: georeportStatus(refusal), description: describe(refusal) }));
  return send(reply.code(errors[0]?.code ?? 400), format, 'errors', errors);
}

const KEPT_STATUSES: ReadonlySet<number> = new Set([403, 404, 429, 503]);
function georeportStatus(refusal: Refusal): number {
  const status = statusOf(refusal);
  return KEPT_STATUSES.has(status) ? status : 400;
}

function describe(refusal: Refusal): string {
  const field = refusal.field === undefined || refusal.detail.includes(refusal.field) ? '' : `${refusal.field}: `;
  return `${field}${refusal.detail} ${REFUSALS[refusal.code].cure}`;
}

async function requestTrees(deps: GeoReportDeps, rows: readonly RequestRow[], extensions: boolean, language: Language): Promise<Tree[]> {
  if (!extensions) return rows.map((row) => requestTree(deps.catalogue, row, language));
  const notes = await deps.store.notesOf(rows.map(({ id }) => id));
  return rows.map((row) => ({ ...requestTree(deps.catalogue, row, language), ...extensionTree(deps.catalogue, row, notes.filter(({ request_id }) => request_id === row.id), language) }));
}

async function listRequests(deps: GeoReportDeps, format: Format, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const parameters = new Parameters(request.query);
  const checked = readRequestsQuery(parameters, deps.clock.nowMs());
  if (!checked.ok) throw new Refused(...checked.refusals);
  const query = checked.value;
  const rows = await deps.store.listPublic({ ...query.filter, limit: query.filter.limit + 1 });
  const page = rows.slice(0, query.filter.limit);
  const last = page.at(-1);
  if (rows.length > page.length && last !== undefined) reply.header('link', `<${nextUrl(deps, request, query, last)}>; rel="next"`);
  const circle = query.circle;
  const inside = circle === null ? page : page.filter((row) => distanceM(circle.point, [row.public_lon, row.public_lat]) <= circle.radius_m);
  return send(reply, format, 'service_requests', await requestTrees(deps, inside, query.extensions, languageOf(deps.catalogue, request, parameters)));
}

/** The same query from the last row on, by position and not by number, so that nothing shifts under inserts (RFC 8288). */
function nextUrl(deps: GeoReportDeps, request: FastifyRequest, query: RequestsQuery, last: RequestRow): string {
  const [path = '', search = ''] = request.url.split('?');
  const next = new URLSearchParams(search);
  next.delete('page');
  next.delete('api_key');
  next.set('page_size', String(query.filter.limit));
  next.set('cursor', `${last.filed_at.getTime()}.${last.seq}`);
  return `${deps.publicUrl}${path}?${next.toString()}`;
}

async function postRequest(deps: GeoReportDeps, dropped: Counter<'field'>, format: Format, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  // GeoReport clients put arguments into the body; some also into the address
  const parameters = new Parameters({ ...(request.query as Record<string, unknown>), ...(request.body as Record<string, unknown> | undefined) });
  const code = parameters.one('service_code')?.trim();
  const service = code === undefined ? undefined : deps.catalogue.byCode(code);
  await checkApiKey(deps, parameters.one('api_key'), code, service);

  const refusals: Refusal[] = [];
  if (code === undefined) refusals.push({ code: 'request.field-missing', detail: 'service_code is required.', field: 'service_code' });
  else if (service === undefined) refusals.push({ code: 'request.service-unknown', detail: 'There is no service of this service_code.', field: 'service_code' });
  const fields = readReportFields(parameters, refusals);
  if (fields.hasDeviceId) {
    dropped.inc({ field: 'device_id' });
    request.log.info('a device_id came with a report and was dropped');
  }
  const checked = service === undefined ? undefined : readAnswers(service, parameters.attributes());
  refusals.push(...(checked?.refusals ?? []));
  const [first, ...others] = refusals;
  if (first !== undefined || service === undefined || checked === undefined) throw new Refused(first ?? { code: 'request.service-unknown', detail: 'There is no such service.' }, ...others);
  const location = unwrap(locate(fields, service, deps.gazetteer, deps.bounds));

  const language = languageOf(deps.catalogue, request, parameters);
  const receipt = unwrap(await fileReport(deps, { service, language, source: 'georeport', description: fields.description, answers: checked.answers, location, contact: fields.contact, idempotencyKey: '' }));
  const notice = fields.hasMediaUrl ? `${receipt.notice} ${WORDS[language].photoNotKept}` : receipt.notice;
  reply.header('cache-control', 'no-store');
  return send(reply, format, 'service_requests', [{ service_request_id: receipt.requestId, service_notice: notice, account_id: fields.contact.account_id === '' ? null : fields.contact.account_id }]);
}

/** G7: a POST needs an api_key, which is a token of this server; only an open service of an open city takes one without. A wrong key is always refused. */
async function checkApiKey(deps: GeoReportDeps, key: string | undefined, code: string | undefined, service: Service | undefined): Promise<void> {
  if (key === undefined) {
    const isOpen = deps.catalogue.open311_open_posting && (code === undefined || service === undefined || service.open_posting);
    if (isOpen) return;
    throw new Refused({ code: 'request.api-key-invalid', detail: 'An api_key is required.', field: 'api_key' });
  }
  const principal = await deps.trust.authenticateToken(key.trim());
  if ('code' in principal || !deps.trust.authorize(principal, 'requests.submit')) throw new Refused({ code: 'request.api-key-invalid', detail: 'This api_key is not valid here.', field: 'api_key' });
}
