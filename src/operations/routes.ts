import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { Instant } from '../contracts/common.ts';
import { Act, IncidentState, NewIncident, type Actor, type IncidentPage, type Playbooks, type Queue } from '../contracts/incident.ts';
import type { Feeds } from '../contracts/place.ts';
import { POSITIONS, type Position } from '../contracts/principal.ts';
import { LIMITS, Refused, isoOf, refuse, unwrap, type Clock, type Random } from '../kernel/index.ts';
import type { Bus, Http } from '../platform/index.ts';
import { actOn, openByHand } from './acting.ts';
import type { BrainDoor, GateDoor, SensingDoor } from './doors.ts';
import type { IncidentStore } from './incident-store.ts';
import { LIVE_TOPICS, type LiveStream } from './live-stream.ts';
import { feedsOf, readPlaces, readPoints } from './places.ts';
import type { PlaybookShelf } from './playbooks.ts';
import { byUrgency, startOfDayMs } from './queue.ts';

export interface RouteDeps {
  readonly store: IncidentStore;
  readonly playbooks: PlaybookShelf;
  readonly live: LiveStream;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly sensing: SensingDoor;
  readonly brain: BrainDoor;
  readonly gate: GateDoor;
  readonly timeZone: string;
}

const AtQuery = z.strictObject({ at: Instant.optional() });
const RefParams = z.strictObject({ id: z.string().min(1).max(60) });

/** The room's HTTP side. A moment that lies ahead reads as now. */
export async function registerOperationsRoutes(http: Http, deps: RouteDeps): Promise<void> {
  registerPictures(http, deps);
  registerIncidents(http, deps);
  registerActs(http, deps);
  registerLive(http, deps);
}

function registerPictures(http: Http, { sensing, brain, gate, clock }: RouteDeps): void {
  http.get('/api/places', { config: { action: 'operations.read' }, schema: { querystring: AtQuery } }, async (request) => {
    const nowMs = clock.nowMs();
    const { at } = request.query;
    return readPlaces(sensing, brain, nowMs, at === undefined || Date.parse(at) >= nowMs ? null : Date.parse(at));
  });
  http.get('/api/feeds', { config: { action: 'operations.read' } }, async (): Promise<Feeds> => {
    const nowMs = clock.nowMs();
    return { asOf: isoOf(nowMs), feeds: feedsOf(sensing, gate, nowMs), sources: sensing.feedHealth?.() ?? [] };
  });
  http.get(
    '/api/datastreams/:id/readings',
    {
      config: { action: 'operations.read' },
      schema: { params: z.strictObject({ id: z.coerce.number().int().min(1) }), querystring: z.strictObject({ from: Instant.optional(), to: Instant.optional() }) },
    },
    async (request) => {
      const stream = sensing.streams().get(request.params.id);
      if (stream === undefined) throw new Refused({ code: 'sensing.no-such-entity', detail: `There is no datastream ${request.params.id}.`, field: 'id' });
      const toMs = request.query.to === undefined ? clock.nowMs() : Date.parse(request.query.to);
      const fromMs = request.query.from === undefined ? toMs - DAY_MS : Date.parse(request.query.from);
      if (fromMs >= toMs) throw new Refused({ code: 'http.invalid', detail: '"from" must lie before "to".', field: 'from' });
      return unwrap(await readPoints(sensing, stream, fromMs, toMs));
    },
  );
}

const DAY_MS = 86_400_000;

function registerIncidents(http: Http, { store, playbooks, bus, clock, timeZone }: RouteDeps): void {
  http.get('/api/queue', { config: { action: 'operations.read' }, schema: { querystring: AtQuery } }, async (request): Promise<Queue> => {
    const asOfMs = momentOf(clock, request.query.at);
    // read before the picture: what comes between is told again by /live, never left out. A past picture is not continued: 0 asks /live for `resync`.
    const seq = request.query.at === undefined ? await bus.lastSeq() : 0;
    const [incidents, closedToday] = await Promise.all([store.readOpen(asOfMs), store.countClosed(startOfDayMs(asOfMs, timeZone), asOfMs)]);
    return { asOf: isoOf(asOfMs), seq, incidents: incidents.sort(byUrgency), closedToday };
  });
  http.get('/api/incidents/:id', { config: { action: 'operations.read' }, schema: { params: RefParams, querystring: AtQuery } }, async (request) => {
    const { id } = request.params;
    const detail = await store.readDetail(id, momentOf(clock, request.query.at));
    if (detail === null)
      throw new Refused({
        code: 'incident.not-found',
        detail: request.query.at === undefined ? `There is no incident "${id}".` : `There was no incident "${id}" at that time.`,
        field: 'id',
      });
    return detail;
  });
  const HistoryQuery = z.strictObject({
    state: IncidentState.optional(),
    kind: z.string().min(1).max(100).optional(),
    before: z.string().max(60).optional(),
    limit: z.coerce.number().int().min(1).max(LIMITS.page_rows).default(LIMITS.page_default_rows),
  });
  http.get('/api/incidents', { config: { action: 'operations.read' }, schema: { querystring: HistoryQuery } }, async (request): Promise<IncidentPage> => {
    const { state, kind, before, limit } = request.query;
    const incidents = await store.readHistory({ state, kind, before: before === undefined ? undefined : parseCursor(before), limit: limit + 1 });
    const page = incidents.slice(0, limit);
    const last = page.at(-1);
    return { incidents: page, next: incidents.length > limit && last !== undefined ? `${Date.parse(last.updatedAt)}_${last.number}` : null };
  });
  http.get('/api/playbooks', { config: { action: 'operations.read' } }, async (): Promise<Playbooks> => ({ playbooks: [...playbooks.values()] }));
}

function registerActs(http: Http, { store, clock, random }: RouteDeps): void {
  http.post('/api/incidents', { config: { action: 'operations.act' }, schema: { body: NewIncident } }, async (request, reply) => {
    const detail = unwrap(await openByHand(store, { incident: request.body, actor: actorOf(request), key: keyOf(request), clock, random }));
    return reply.code(201).header('location', `/api/incidents/${detail.id}`).send(detail);
  });
  http.post('/api/incidents/:id/acts', { config: { action: 'operations.act' }, schema: { params: RefParams, body: Act }, attachValidation: true }, async (request) => {
    if (request.validationError) throw closingRefusal(request) ?? request.validationError;
    return unwrap(await actOn(store, { ref: request.params.id, act: request.body, actor: actorOf(request), key: keyOf(request) }));
  });
}

function registerLive(http: Http, { live }: RouteDeps): void {
  const LiveQuery = z.strictObject({ topics: z.string().max(100).optional(), after: z.coerce.number().int().min(0).optional() });
  http.get('/live', { config: { action: 'operations.read' }, exposeHeadRoute: false, schema: { querystring: LiveQuery } }, async (request, reply) => {
    const kinds = topicsOf(request.query.topics);
    // an EventSource that reconnects sends its last id and the address that it was opened with: the id is newer
    const lastId = request.headers['last-event-id'];
    const after = lastId === undefined || lastId === '' ? (request.query.after ?? null) : positionOf(lastId);
    request.cutWhenRevoked(reply.raw);
    unwrap(await live.hub.open(reply.raw, { kinds, after, headers: STREAM_HEADERS }));
    reply.hijack(); // the hub has the response now
  });
}

// the hooks that set them do not run for a hijacked reply
const STREAM_HEADERS = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin', 'x-frame-options': 'DENY' };

function topicsOf(text: string | undefined): ReadonlySet<string> {
  if (text === undefined || text === '') return new Set(LIVE_TOPICS);
  const topics = text.split(',');
  const unknown = topics.find((topic) => !(LIVE_TOPICS as readonly string[]).includes(topic));
  if (unknown !== undefined) throw new Refused({ code: 'http.invalid', detail: `"${unknown.slice(0, 40)}" is not one of ${LIVE_TOPICS.join(', ')}.`, field: 'topics' });
  return new Set(topics);
}

// -1 lies before everything, so the hub answers with `resync`
const positionOf = (lastId: string | string[]): number => (typeof lastId === 'string' && /^\d{1,15}$/.test(lastId) ? Number(lastId) : -1);

function momentOf(clock: Clock, at: string | undefined): number {
  const nowMs = clock.nowMs();
  return at === undefined ? nowMs : Math.min(nowMs, Date.parse(at));
}

const CURSOR = /^(\d{1,15})_(\d{1,9})$/;

function parseCursor(text: string): { updatedMs: number; number: number } {
  const [, updated, number] = CURSOR.exec(text) ?? [];
  if (updated === undefined || number === undefined) throw new Refused({ code: 'http.invalid', detail: 'Send back the "next" of the page before.', field: 'before' });
  return { updatedMs: Number(updated), number: Number(number) };
}

/** Person and position of an act. Who holds several positions says in `x-position` which one acts; else the first of them does. */
function actorOf(request: FastifyRequest): Actor {
  const { id, name, positions } = request.principal;
  const asked = request.headers['x-position'];
  if (asked !== undefined && !(positions as readonly unknown[]).includes(asked))
    throw new Refused({ code: 'auth.forbidden', detail: 'You do not hold the position that x-position names.', field: 'x-position' });
  const position = (asked as Position | undefined) ?? POSITIONS.find((known) => positions.includes(known));
  if (position === undefined) throw new Refused({ code: 'auth.forbidden', detail: 'An act needs a position, and you hold none.' });
  return { id, name, position };
}

const KEY = /^[\x21-\x7e]{1,100}$/;

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !KEY.test(key)) throw new Refused({ code: 'http.invalid', detail: 'Use 1 to 100 visible ASCII characters.', field: 'idempotency-key' });
  return key;
}

/** Closing without saying how it ended has a refusal of its own; every other wrong body has the usual one. */
function closingRefusal(request: FastifyRequest): Refused | null {
  const body = request.body as { act?: unknown; outcome?: unknown; sentence?: unknown } | null;
  if (typeof body !== 'object' || body?.act !== 'close') return null;
  const field =
    body.outcome === undefined || body.outcome === null || body.outcome === '' ? 'outcome' : typeof body.sentence !== 'string' || body.sentence.trim() === '' ? 'sentence' : null;
  if (field === null) return null;
  return new Refused(refuse('incident.outcome-missing', `The field "${field}" is missing.`, field).refusal);
}
