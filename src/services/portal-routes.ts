import rateLimit from '@fastify/rate-limit';
import { z } from 'zod';
import { Language } from '../contracts/common.ts';
import { NearbyRequest, PortalReceipt, PortalReopen, PortalReport, PortalRequest, PortalService } from '../contracts/request.ts';
import { Refused, distanceM, isoOf, unwrap, type Bounds, type LonLat } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import { readAnswers, showAnswers } from './answers.ts';
import { inLanguage, questionOf, type Service } from './catalogue.ts';
import { cleanLine, cleanText } from './field-text.ts';
import { fileReport, type FilingDeps } from './filing.ts';
import type { Gazetteer } from './gazetteer.ts';
import { limiterOptions } from './limiter.ts';
import { boxAround, locate } from './location.ts';
import { reopenRequest } from './progress.ts';
import { noteText, publicViewOf } from './public-view.ts';
import { REOPEN_MS } from './request.ts';
import { pointOf, type RequestRow } from './request-store.ts';
import type { RetentionStore } from './retention-store.ts';
import { toldLooks } from './told-looks.ts';
import { answersIn, readOwnWords, reopeningRecord } from './words-of-residents.ts';

export interface PortalDeps extends FilingDeps {
  readonly retention: Pick<RetentionStore, 'readErasure'>;
  readonly gazetteer: Gazetteer;
  readonly bounds: Bounds | null;
  readonly ratePerMinute: { readonly read: number; readonly write: number };
}

const NEARBY_M = 50;
const NEARBY_ROWS = 20;
const Secret = z.string().regex(/^[0-9a-hjkmnp-tv-z]{32}$/, 'This is not a follow-up link of this server.');

/** What the resident's pages ask for. None of it needs an account; the secret of the link opens one's own report. */
export async function registerPortal(http: Http, deps: PortalDeps): Promise<void> {
  await http.register(async (plain) => {
    await plain.register(rateLimit, limiterOptions(deps.trust, 'portal'));
    const scope = plain as unknown as Http;
    const reading = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } };
    const writing = { action: 'public' as const, rateLimit: { max: deps.ratePerMinute.write, timeWindow: 60_000 } };

    scope.get('/api/portal/services', { config: reading, schema: { querystring: z.object({ language: Language.optional() }), response: { 200: z.array(PortalService) } } }, (request) =>
      deps.catalogue.services.map((service) => portalServiceOf(service, request.query.language ?? deps.catalogue.defaultLanguage)),
    );

    scope.post('/api/portal/requests', { config: writing, schema: { body: PortalReport, response: { 201: PortalReceipt } } }, async (request, reply) => {
      const { requestId, token, notice } = await fileFromPortal(deps, request.body);
      return reply.code(201).header('cache-control', 'no-store').send({ requestId, token, notice });
    });

    scope.get('/api/portal/requests/:token', { config: reading, schema: { params: z.object({ token: z.string() }), querystring: z.object({ language: Language.optional() }), response: { 200: PortalRequest } } }, async (request, reply) => {
      const row = await findByToken(deps, request.params.token);
      reply.header('cache-control', 'no-store');
      return portalRequestOf(deps, row, request.params.token, request.query.language);
    });

    scope.post('/api/portal/requests/:token/reopen', { config: writing, schema: { params: z.object({ token: z.string() }), body: PortalReopen, response: { 200: PortalRequest } } }, async (request, reply) => {
      const { id } = await findByToken(deps, request.params.token);
      unwrap(await reopenRequest(deps, id, cleanText(request.body.reason)));
      reply.header('cache-control', 'no-store');
      return portalRequestOf(deps, await findByToken(deps, request.params.token), request.params.token, undefined);
    });

    scope.get(
      '/api/portal/nearby',
      {
        config: reading,
        schema: { querystring: z.object({ service: z.string().max(100), lon: z.coerce.number().min(-180).max(180), lat: z.coerce.number().min(-90).max(90), language: Language.optional() }), response: { 200: z.array(NearbyRequest) } },
      },
      (request) => listNearby(deps, request.query.service, [request.query.lon, request.query.lat], request.query.language ?? deps.catalogue.defaultLanguage),
    );
  });
}

function portalServiceOf(service: Service, language: Language): PortalService {
  return {
    code: service.code,
    name: inLanguage(service.name, language),
    description: inLanguage(service.description, language),
    group: inLanguage(service.group, language),
    keywords: service.keywords[language] ?? [],
    questions: service.attributes.map((attribute) => questionOf(attribute, language)),
    sla_hours: service.sla_hours,
    looks_told: service.looks_told,
  };
}

async function fileFromPortal(deps: PortalDeps, report: PortalReport) {
  const service = deps.catalogue.byCode(report.service_code);
  if (service === undefined) throw new Refused({ code: 'request.service-unknown', detail: 'There is no service of this code.', field: 'service_code' });
  const { answers, refusals } = readAnswers(service, new Map(Object.entries(report.answers).map(([code, value]) => [code, typeof value === 'string' ? [value] : value])));
  const [first, ...others] = refusals;
  if (first !== undefined) throw new Refused(first, ...others);
  const location = unwrap(locate({ point: report.point, address: report.address, addressId: '' }, service, deps.gazetteer, deps.bounds));
  return unwrap(
    await fileReport(deps, {
      service,
      language: report.language,
      source: 'portal',
      description: cleanText(report.description),
      answers,
      location,
      contact: { name: cleanLine(report.name), email: report.email, phone: cleanLine(report.phone) },
      idempotencyKey: report.idempotency_key,
      quiet: report.quiet,
    }),
  );
}

async function findByToken(deps: PortalDeps, token: string): Promise<RequestRow> {
  const row = Secret.safeParse(token).success ? await deps.store.findByToken(deps.hashSecret(token)) : undefined;
  if (row === undefined) throw new Refused({ code: 'request.not-found', detail: 'There is no report behind this link.', field: 'token' });
  return row;
}

async function portalRequestOf(deps: PortalDeps, row: RequestRow, token: string, asked: Language | undefined): Promise<PortalRequest> {
  const filedIn = deps.catalogue.languages.find((each) => each === row.language) ?? deps.catalogue.defaultLanguage;
  const language = asked ?? filedIn;
  const notes = await deps.store.notesOf([row.id]);
  const erasure = row.erased_at === null ? null : await deps.retention.readErasure(row.id);
  // without the keys of the case nobody reads its looks any more
  const { shown: looks, waiting } = erasure === null ? await toldLooks(deps.trust, row.id, notes) : { shown: [], waiting: [] };
  const own = unwrap(await readOwnWords(deps.trust, row, notes, token));
  const service = deps.catalogue.byCode(row.service_code);
  const reopenUntilMs = row.closed_at === null ? 0 : row.closed_at.getTime() + REOPEN_MS;
  return {
    requestId: row.id,
    serviceName: service === undefined ? row.service_code : inLanguage(service.name, language),
    description: own.words['description'] ?? '',
    address: row.address,
    point: [...pointOf(row)],
    language: filedIn,
    state: row.state,
    filedAt: row.filed_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    expectedAt: row.expected_at?.toISOString() ?? null,
    outcome: row.outcome,
    sentence: row.sentence,
    timeline: notes.map((note) => ({ at: note.at.toISOString(), state: note.state, text: noteText(note, language, note.kind === 'reopened_by_resident' ? (own.reasons.get(note.seq) ?? '') : undefined) })),
    contact: row.contact_fields,
    words: [...row.word_fields, ...notes.filter(({ sealed }) => sealed).map(({ seq }) => reopeningRecord(seq))],
    looks,
    looksWaiting: waiting.length,
    looksTold: service?.looks_told ?? 'now',
    quiet: row.quiet,
    answers: showAnswers(service, { ...row.attributes, ...answersIn(own.words) }, language, true).map(({ question, answer }) => ({ question, answer })),
    erased: erasure === null ? null : { at: erasure.at.toISOString(), cause: erasure.cause, receipt: erasure.receipt !== null },
    reopenUntil: erasure === null && reopenUntilMs >= deps.clock.nowMs() ? isoOf(reopenUntilMs) : null,
  };
}

async function listNearby(deps: PortalDeps, serviceCode: string, point: LonLat, language: Language): Promise<NearbyRequest[]> {
  const rows = await deps.store.listOpenNear(serviceCode, boxAround(point, NEARBY_M), 500);
  return rows
    .map((row) => ({ row, view: publicViewOf(deps.catalogue, row, language) }))
    .map(({ row, view }) => ({ requestId: row.id, serviceName: view.serviceName, description: view.description ?? '', state: row.state, point: [...view.point] as [number, number], filedAt: row.filed_at.toISOString(), distance_m: Math.round(distanceM(point, view.point)) }))
    .filter(({ distance_m }) => distance_m <= NEARBY_M)
    .sort((a, b) => a.distance_m - b.distance_m)
    .slice(0, NEARBY_ROWS);
}
