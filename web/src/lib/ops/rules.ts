import type { Act, Actor, Incident, IncidentDetail, LogEntry, PlaybookStep } from '#contracts/incident';
import type { PlaceState, StreamState } from '#contracts/place';
import type { Principal } from '#contracts/principal';
import type { RuleState } from '#contracts/warning';
import { SEVERITY_ORDER } from '../ui/marks.ts';

export const byId = <K, T extends { readonly id: K }>(items: readonly T[]): ReadonlyMap<K, T> => new Map(items.map((item) => [item.id, item]));

/** A copy with this one in it. */
export const withItem = <K, T extends { readonly id: K }>(items: ReadonlyMap<K, T>, item: T): ReadonlyMap<K, T> => new Map(items).set(item.id, item);

/** A copy with this incident as it is now: the queue holds what is not closed. */
export function withIncident(items: ReadonlyMap<string, Incident>, incident: Incident): ReadonlyMap<string, Incident> {
  const next = new Map(items);
  if (incident.state === 'closed') next.delete(incident.id);
  else next.set(incident.id, incident);
  return next;
}

/** Moments worth stopping at: the entries of a log, oldest first, each once. */
export const momentsOf = (log: readonly LogEntry[]): readonly number[] => [...new Set(log.map(({ at }) => Date.parse(at)))].sort((a, b) => a - b);

/** The server's order of the queue: what nobody has acknowledged, then the more severe, then what has waited longest. */
export function byUrgency(a: Incident, b: Incident): number {
  return Number(b.state === 'new') - Number(a.state === 'new') || SEVERITY_ORDER[a.severity] - SEVERITY_ORDER[b.severity] || Date.parse(a.openedAt) - Date.parse(b.openedAt) || a.number - b.number;
}

/** What waits for this person: new ones, ones without an owner, and their own. */
export const needsPerson = (incident: Incident, personId: string): boolean => incident.state === 'new' || incident.owner === null || incident.owner.id === personId;

const STATE_ORDER: Readonly<Record<RuleState, number>> = { warning: 0, clearing: 1, pending: 2, unknown: 3, ok: 4 };

/** Applies one frame of readings; older values than those on screen are left out. */
export function applyReadings(places: ReadonlyMap<number, PlaceState>, streams: readonly (StreamState & { placeId: number })[]): ReadonlyMap<number, PlaceState> {
  const next = new Map(places);
  for (const { placeId, ...stream } of streams) {
    const place = next.get(placeId);
    if (!place) continue;
    const known = place.streams.find(({ id }) => id === stream.id);
    if (known?.at != null && stream.at !== null && Date.parse(stream.at) < Date.parse(known.at)) continue;
    const list = known ? place.streams.map((each) => (each.id === stream.id ? stream : each)) : [...place.streams, stream];
    const worst = list.reduce<RuleState>((state, each) => (STATE_ORDER[each.state] < STATE_ORDER[state] ? each.state : state), 'ok');
    next.set(placeId, { ...place, streams: list, state: worst, stale: list.length > 0 && list.every(({ stale }) => stale) });
  }
  return next;
}

export interface Stamp {
  readonly me: Principal;
  readonly at: string;
}

const actorOf = ({ id, name, positions }: Principal): Actor => ({ id, name, position: positions[0] ?? 'operator' });

/** How the incident will stand when the server agrees; its answer replaces this. */
export function predict(incident: Incident, act: Act, { me, at }: Stamp): Incident {
  const next = { ...incident, updatedAt: at };
  switch (act.act) {
    case 'acknowledge':
      return { ...next, state: 'acknowledged' };
    case 'unacknowledge':
      return { ...next, state: 'new' };
    case 'take':
      return { ...next, state: 'in_progress', owner: actorOf(me) };
    case 'release':
      return { ...next, state: 'acknowledged', owner: null };
    case 'close':
      return { ...next, state: 'closed', outcome: act.outcome, sentence: act.sentence, closedAt: at };
    case 'reopen':
      return { ...next, state: 'acknowledged', owner: null, outcome: null, sentence: null, closedAt: null };
    case 'complete_step':
    case 'skip_step':
      return { ...next, steps: { ...next.steps, done: Math.min(next.steps.total, next.steps.done + 1) } };
    case 'undo_step':
      return { ...next, steps: { ...next.steps, done: Math.max(0, next.steps.done - 1) } };
    case 'note':
      return next;
  }
}

const ENTRY_KINDS: Readonly<Record<Act['act'], LogEntry['kind']>> = {
  acknowledge: 'acknowledged',
  unacknowledge: 'unacknowledged',
  take: 'taken',
  release: 'released',
  note: 'note',
  complete_step: 'step_done',
  skip_step: 'step_skipped',
  undo_step: 'step_undone',
  close: 'closed',
  reopen: 'reopened',
};

function predictStep(step: PlaybookStep, act: Act, stamp: Stamp): PlaybookStep {
  if (!('step' in act) || act.step !== step.id) return step;
  const by = actorOf(stamp.me);
  if (act.act === 'undo_step') return { ...step, state: 'open', by: null, at: null, reason: null };
  if (act.act === 'skip_step') return { ...step, state: 'skipped', by, at: stamp.at, reason: act.reason };
  return { ...step, state: 'done', by, at: stamp.at };
}

/** The same for the opened incident with its log and steps. The entry counts below zero until the server numbers it. */
export function predictDetail(detail: IncidentDetail, act: Act, stamp: Stamp): IncidentDetail {
  const text = act.act === 'note' ? act.text : act.act === 'close' ? act.sentence : 'reason' in act ? act.reason : '';
  const entry: LogEntry = { seq: -1 - detail.log.length, at: stamp.at, kind: ENTRY_KINDS[act.act], author: actorOf(stamp.me), text };
  return { ...detail, ...predict(detail, act, stamp), stepList: detail.stepList.map((step) => predictStep(step, act, stamp)), log: [...detail.log, entry] };
}

/** The act that takes another one back; null where nothing does, as a log is only ever added to. */
export function inverse(act: Act): Act | null {
  switch (act.act) {
    case 'acknowledge':
      return { act: 'unacknowledge' };
    case 'take':
      return { act: 'release' };
    case 'release':
      return { act: 'take' };
    case 'complete_step':
    case 'skip_step':
      return { act: 'undo_step', step: act.step };
    case 'close':
      return { act: 'reopen', reason: 'Closed by mistake, taken back at once.' };
    case 'unacknowledge':
      return { act: 'acknowledge' };
    case 'undo_step':
      return { act: 'complete_step', step: act.step };
    case 'reopen':
    case 'note':
      return null;
  }
}
