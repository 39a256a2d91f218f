import { JoinedRequest, type IncidentDetail } from '../contracts/incident.ts';
import { RequestFiled, RequestReopened } from '../contracts/request.ts';
import { WARNING_TOPICS, Warning } from '../contracts/warning.ts';
import { distanceM, newId, type Clock, type LonLat, type Random } from '../kernel/index.ts';
import { Counter, type BusEvent, type Logger, type Metrics } from '../platform/index.ts';
import type { IncidentStore, IncidentUnit } from './incident-store.ts';
import type { Change, Opening } from './incident.ts';
import type { PlaybookShelf } from './playbooks.ts';

export const JOINING_TOPICS = [...WARNING_TOPICS, 'request.filed', 'request.reopened'] as const;
/** Name of the durable consumer: its position in the bus survives restarts. */
export const JOINING_CONSUMER = 'operations.joining';

/** A request of the same service this near to an open incident joins it. */
export const REQUEST_RADIUS_M = 60;
/** An incident takes no more members than this; the next one of its kind opens another. */
export const MEMBERS_MAX = 500;

export interface JoiningDeps {
  readonly store: IncidentStore;
  readonly playbooks: PlaybookShelf;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Turns warnings and filed requests into incidents. One call an event, in the order of the bus; the same event again
 * changes nothing. A payload that does not follow its contract is logged, counted and left: no repetition would cure it.
 */
export function createJoining(deps: JoiningDeps): (event: BusEvent) => Promise<void> {
  const events = new Counter({
    name: 'clerestory_joining_events_total',
    help: 'Warnings and requests that the room took from the bus, by what became of them.',
    labelNames: ['topic', 'outcome'],
    registers: [deps.metrics],
  });
  return async (event) => {
    const outcome = await joinEvent(deps, event);
    events.inc({ topic: event.topic, outcome });
  };
}

function joinEvent(deps: JoiningDeps, event: BusEvent): Promise<Outcome> | Outcome {
  if (event.topic === 'request.filed') {
    const filed = RequestFiled.safeParse(event.payload);
    return filed.success ? deps.store.transact((unit) => takeFiled(deps, unit, filed.data, event.seq)) : reject(deps, event, filed.error);
  }
  if (event.topic === 'request.reopened') {
    const reopened = RequestReopened.safeParse(event.payload);
    return reopened.success ? deps.store.transact((unit) => takeReopened(deps, unit, reopened.data, event.seq)) : reject(deps, event, reopened.error);
  }
  const warning = Warning.safeParse(event.payload);
  if (!warning.success) return reject(deps, event, warning.error);
  return deps.store.transact((unit) => (event.topic === 'warning.raised' ? takeRaised(deps, unit, warning.data, event.seq) : takeChanged(deps, unit, warning.data, event)));
}

type Outcome = 'opened' | 'joined' | 'updated' | 'repeated' | 'not_a_member' | 'malformed';

async function takeChanged(deps: JoiningDeps, unit: IncidentUnit, warning: Warning, event: BusEvent): Promise<Outcome> {
  const id = await unit.incidentOf('warning', warning.id);
  if (id === null) {
    deps.logger.warn({ warning: warning.id, topic: event.topic }, 'a warning changed that no incident holds');
    return 'not_a_member';
  }
  const before = await unit.load(id);
  if (before === null || (await unit.hasCause(event.seq))) return 'repeated';
  await unit.append(before, changeOf(event.topic, warning), { author: null, busSeq: event.seq });
  return 'updated';
}

async function takeRaised(deps: JoiningDeps, unit: IncidentUnit, warning: Warning, busSeq: number): Promise<Outcome> {
  await unit.lockOpening();
  if ((await unit.hasCause(busSeq)) || (await unit.incidentOf('warning', warning.id)) !== null) return 'repeated';
  const { sentence } = warning.explanation;
  const open = await unit.findOpenAtPlace(warning.ruleId, warning.placeId);
  if (open !== null && open.warnings.total < MEMBERS_MAX) {
    const why = `${warning.title}: same rule (${warning.ruleId}) at the same place (${warning.placeName}) while this incident was open.`;
    await unit.append(open, { kind: 'warning_joined', text: sentence, body: { warning, why } }, { author: null, busSeq });
    return 'joined';
  }
  const opening: Opening = {
    id: newId<string>('inc', deps.clock.nowMs(), deps.random),
    number: await unit.nextNumber(),
    title: warning.title,
    severity: warning.severity,
    origin: 'warning',
    kind: warning.ruleId,
    placeName: warning.placeName,
    point: warning.point,
    playbook: takePlaybook(deps, warning.playbook),
    why: `${warning.title}: rule ${warning.ruleId} (version ${warning.explanation.rule.version}) raised it at ${warning.placeName}.`,
    warning,
    request: null,
  };
  await unit.append(null, { kind: 'opened', text: sentence, body: opening }, { author: null, busSeq, placeId: warning.placeId });
  return 'opened';
}

function changeOf(topic: string, warning: Warning): Change {
  switch (topic) {
    case 'warning.cleared':
      return { kind: 'warning_cleared', text: `${warning.title}: the condition no longer holds.`, body: { warning } };
    case 'warning.unknown':
      return { kind: 'warning_unknown', text: `${warning.title}: its data is missing, so nobody knows whether it still holds.`, body: { warning } };
    case 'warning.known':
      return { kind: 'warning_known', text: `${warning.title}: its data is back.`, body: { warning } };
    default:
      throw new Error(`topic ${topic} is not one of a warning that stands`);
  }
}

async function takeFiled(deps: JoiningDeps, unit: IncidentUnit, filed: RequestFiled, busSeq: number): Promise<Outcome> {
  await unit.lockOpening();
  if ((await unit.hasCause(busSeq)) || (await unit.incidentOf('request', filed.requestId)) !== null) return 'repeated';
  // the schema keeps what the room may know and drops everything else
  const request = JoinedRequest.parse(filed);
  const near = await findNearest(unit, filed.serviceCode, filed.point);
  if (near !== null) {
    const why = `Request ${filed.requestId}: same service (${filed.serviceName}), ${Math.round(near.away_m)} m away, while this incident was open.`;
    await unit.append(near.incident, { kind: 'request_joined', text: textOf(filed), body: { request, severity: filed.severity, why } }, { author: null, busSeq });
    return 'joined';
  }
  const opening: Opening = {
    id: newId<string>('inc', deps.clock.nowMs(), deps.random),
    number: await unit.nextNumber(),
    title: filed.serviceName,
    severity: filed.severity,
    origin: 'request',
    kind: filed.serviceCode,
    placeName: filed.address,
    point: filed.point,
    playbook: takePlaybook(deps, filed.playbook),
    why: `Request ${filed.requestId}: a resident reported it; no open incident of this service lay within ${REQUEST_RADIUS_M} m.`,
    warning: null,
    request,
  };
  await unit.append(null, { kind: 'opened', text: textOf(filed), body: opening }, { author: null, busSeq });
  return 'opened';
}

/** What the room reads of a report at once; the resident's words take a look. */
const textOf = ({ description, hasWords }: RequestFiled): string => [description, hasWords ? 'The resident wrote more; it can be read with a reason.' : ''].filter((line) => line !== '').join('\n');

/** A closed incident whose resident says that it is not done becomes new again; an open one gets a line in its log. */
async function takeReopened(deps: JoiningDeps, unit: IncidentUnit, { report }: RequestReopened, busSeq: number): Promise<Outcome> {
  const id = await unit.incidentOf('request', report.requestId);
  if (id === null) return takeFiled(deps, unit, report, busSeq);
  const before = await unit.load(id);
  if (before === null || (await unit.hasCause(busSeq))) return 'repeated';
  const text = `Request ${report.requestId}: the resident says that it is not done.`;
  await unit.append(before, before.state === 'closed' ? { kind: 'reopened', text, body: { reason: '' } } : { kind: 'note', text, body: {} }, { author: null, busSeq });
  return 'updated';
}

async function findNearest(unit: IncidentUnit, kind: string, point: LonLat): Promise<{ incident: IncidentDetail; away_m: number } | null> {
  const candidates = (await unit.findOpenInBox(kind, boxAround(point, REQUEST_RADIUS_M)))
    .map(({ id, point: at }) => ({ id, away_m: distanceM(point, at) }))
    .filter(({ away_m }) => away_m <= REQUEST_RADIUS_M)
    .sort((a, b) => a.away_m - b.away_m);
  for (const { id, away_m } of candidates) {
    const incident = await unit.load(id);
    // it may have been closed between the search and the lock
    if (incident !== null && incident.state !== 'closed' && incident.requests < MEMBERS_MAX) return { incident, away_m };
  }
  return null;
}

const DEGREE_M = 111_000; // a little less than the shortest degree of latitude, so that the box is never too small

/** The box that holds every point within `radius_m`; near the poles every longitude. */
export function boxAround([lon, lat]: LonLat, radius_m: number): { west: number; south: number; east: number; north: number } {
  const dLat = (radius_m * 1.01) / DEGREE_M;
  const shrink = Math.cos((Math.min(90, Math.abs(lat) + dLat) * Math.PI) / 180);
  const dLon = shrink < 1e-3 ? 360 : dLat / shrink;
  return { west: lon - dLon, south: lat - dLat, east: lon + dLon, north: lat + dLat };
}

function takePlaybook({ playbooks, logger }: JoiningDeps, id: string | null): Opening['playbook'] {
  if (id === null) return null;
  const playbook = playbooks.get(id);
  if (playbook === undefined) {
    logger.warn({ playbook: id }, 'no playbook has this id; the incident opens without steps');
    return null;
  }
  return { id: playbook.id, title: playbook.title, steps: playbook.steps };
}

function reject({ logger }: JoiningDeps, event: BusEvent, error: unknown): Outcome {
  logger.error({ err: error, topic: event.topic, seq: event.seq }, 'an event on the bus does not follow its contract and was left out');
  return 'malformed';
}
