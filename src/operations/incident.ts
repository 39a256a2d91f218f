import { Incident, type Act, type Actor, type IncidentDetail, type IncidentState, type JoinedRequest, type LogEntry, type PlaybookStep } from '../contracts/incident.ts';
import { SEVERITIES, type Severity } from '../contracts/common.ts';
import type { Warning } from '../contracts/warning.ts';
import { assert, ok, refuse, stateMachine, unreachable, type Result } from '../kernel/index.ts';

export type ActName = Act['act'];
/** What people do, and the one event that comes from outside: a resident says that it is not done. */
export type IncidentEvent = ActName | 'resident_reopen';

/**
 * The life of an incident. Acknowledged means seen, in_progress means that a named person owns it: `take` makes the
 * caller the owner. It closes only once somebody has seen it. A reopened incident has no owner until somebody takes it;
 * when a resident reopened it, nobody in the room has seen that yet, so it is new.
 */
export const incidentMachine = stateMachine<IncidentState, IncidentEvent>('new', {
  new: {
    acknowledge: 'acknowledged',
    unacknowledge: null,
    take: 'in_progress',
    release: null,
    note: 'new',
    complete_step: null,
    skip_step: null,
    undo_step: null,
    close: null,
    reopen: null,
    resident_reopen: null,
  },
  acknowledged: {
    acknowledge: null,
    unacknowledge: 'new',
    take: 'in_progress',
    release: null,
    note: 'acknowledged',
    complete_step: 'acknowledged',
    skip_step: 'acknowledged',
    undo_step: 'acknowledged',
    close: 'closed',
    reopen: null,
    resident_reopen: null,
  },
  in_progress: {
    acknowledge: null,
    unacknowledge: null,
    take: 'in_progress',
    release: 'acknowledged',
    note: 'in_progress',
    complete_step: 'in_progress',
    skip_step: 'in_progress',
    undo_step: 'in_progress',
    close: 'closed',
    reopen: null,
    resident_reopen: null,
  },
  closed: {
    acknowledge: null,
    unacknowledge: null,
    take: null,
    release: null,
    note: 'closed',
    complete_step: null,
    skip_step: null,
    undo_step: null,
    close: null,
    reopen: 'acknowledged',
    resident_reopen: 'new',
  },
});

/** Beyond this an incident takes no act but `close`: its record would no longer be readable. */
export const LOG_ENTRIES_MAX = 10_000;

export interface Opening {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly severity: Severity;
  readonly origin: Incident['origin'];
  readonly kind: string;
  readonly placeName: string;
  readonly point: readonly [number, number];
  readonly playbook: { readonly id: string; readonly title: string; readonly steps: readonly { readonly id: string; readonly text: string; readonly position: string }[] } | null;
  /** Why it opened; null when a person opened it. */
  readonly why: string | null;
  readonly warning: Warning | null;
  readonly request: JoinedRequest | null;
}

type Nothing = Readonly<Record<string, never>>;
/** What one log entry changes, complete enough to be replayed. */
export type Change =
  | { readonly kind: 'opened'; readonly text: string; readonly body: Opening }
  | { readonly kind: 'warning_joined'; readonly text: string; readonly body: { readonly warning: Warning; readonly why: string } }
  | { readonly kind: 'warning_cleared' | 'warning_unknown' | 'warning_known'; readonly text: string; readonly body: { readonly warning: Warning } }
  | { readonly kind: 'request_joined'; readonly text: string; readonly body: { readonly request: JoinedRequest; readonly severity: Severity; readonly why: string } }
  | { readonly kind: 'acknowledged' | 'unacknowledged' | 'taken' | 'released' | 'note'; readonly text: string; readonly body: Nothing }
  | { readonly kind: 'step_done' | 'step_undone'; readonly text: string; readonly body: { readonly step: string } }
  | { readonly kind: 'step_skipped'; readonly text: string; readonly body: { readonly step: string; readonly reason: string } }
  | { readonly kind: 'closed'; readonly text: string; readonly body: { readonly outcome: NonNullable<Incident['outcome']>; readonly sentence: string } }
  | { readonly kind: 'reopened'; readonly text: string; readonly body: { readonly reason: string } };

export type IncidentRecord = Change & { readonly at: string; readonly author: Actor | null };

/**
 * What `act` by `actor` changes, or the refusal: `http.conflict` when somebody acted after the caller's `revision`,
 * `incident.act-not-allowed` when the state forbids it, `incident.step-unknown`. Changes nothing itself.
 */
export function decide(before: IncidentDetail, act: Act, actor: Actor): Result<Change> {
  const quicker = act.revision === undefined ? undefined : before.log.findLast((entry) => entry.author !== null && entry.seq > (act.revision ?? 0));
  if (quicker !== undefined) {
    return refuse(
      'http.conflict',
      `${quicker.author?.name ?? ''} was quicker (${quicker.kind}, ${quicker.at}): incident ${before.number} is now ${stateWords(before)} at revision ${before.revision}.`,
      'revision',
    );
  }
  if (before.log.length >= LOG_ENTRIES_MAX && act.act !== 'close') return notAllowed(before, `its record is full at ${LOG_ENTRIES_MAX} entries; close it and open another`);
  if (incidentMachine.next(before.state, act.act) === null) {
    const from = (Object.keys(incidentMachine.transitions) as IncidentState[]).filter((state) => incidentMachine.next(state, act.act) !== null);
    return notAllowed(before, `"${act.act}" is possible when it is ${from.join(' or ')}`);
  }
  switch (act.act) {
    case 'acknowledge':
      return ok({ kind: 'acknowledged', text: '', body: {} });
    case 'unacknowledge':
      return ok({ kind: 'unacknowledged', text: '', body: {} });
    case 'take':
      if (before.owner?.id === actor.id) return notAllowed(before, 'you own it already');
      return ok({ kind: 'taken', text: before.owner === null ? '' : `Taken over from ${before.owner.name}.`, body: {} });
    case 'release':
      if (before.owner?.id !== actor.id && actor.position !== 'supervisor') return notAllowed(before, 'only its owner or a supervisor releases it; take it over instead');
      return ok({ kind: 'released', text: before.owner === null || before.owner.id === actor.id ? '' : `Released for ${before.owner.name}.`, body: {} });
    case 'note':
      return ok({ kind: 'note', text: act.text, body: {} });
    case 'complete_step':
    case 'skip_step':
    case 'undo_step':
      return decideStep(before, act);
    case 'close':
      return ok({ kind: 'closed', text: act.sentence, body: { outcome: act.outcome, sentence: act.sentence } });
    case 'reopen':
      return ok({ kind: 'reopened', text: act.reason, body: { reason: act.reason } });
    default:
      return unreachable(act);
  }
}

type StepAct = Extract<Act, { step: string }>;

function decideStep(before: IncidentDetail, act: StepAct): Result<Change> {
  const step = before.stepList.find(({ id }) => id === act.step);
  if (step === undefined) return refuse('incident.step-unknown', `Incident ${before.number} has no step "${act.step}".`, 'step');
  const mustBeOpen = act.act !== 'undo_step';
  if (mustBeOpen !== (step.state === 'open')) return notAllowed(before, `the step "${act.step}" is ${step.state}`);
  switch (act.act) {
    case 'complete_step':
      return ok({ kind: 'step_done', text: step.text, body: { step: step.id } });
    case 'undo_step':
      return ok({ kind: 'step_undone', text: step.text, body: { step: step.id } });
    case 'skip_step':
      return ok({ kind: 'step_skipped', text: `${step.text} (${act.reason})`, body: { step: step.id, reason: act.reason } });
    default:
      return unreachable(act);
  }
}

function notAllowed(before: IncidentDetail, why: string): ReturnType<typeof refuse> {
  return refuse('incident.act-not-allowed', `Incident ${before.number} is ${stateWords(before)}: ${why}.`, 'act');
}

function stateWords(incident: IncidentDetail): string {
  const last = incident.log.findLast((entry) => STATE_KINDS.has(entry.kind));
  const by = last?.author ? ` (${last.author.name}, ${last.at})` : '';
  return `${incident.state}${by}`;
}
const STATE_KINDS: ReadonlySet<LogEntry['kind']> = new Set(['acknowledged', 'unacknowledged', 'taken', 'released', 'closed', 'reopened']);

/** The picture after one more entry; `before` is left as it is, and is null for `opened` only. */
export function advance(before: IncidentDetail | null, record: IncidentRecord): IncidentDetail {
  if (before === null) {
    assert(record.kind === 'opened', 'an incident begins with its opening');
    return open(record, record.body);
  }
  const picture: IncidentDetail = {
    ...before,
    why: [...before.why],
    warningList: [...before.warningList],
    requestList: [...before.requestList],
    log: [...before.log],
    stepList: [...before.stepList],
  };
  amend(picture, record);
  return picture;
}

/** Live and past on one path: the picture after the given entries, oldest first; null when there are none. */
export function replay(records: Iterable<IncidentRecord>): IncidentDetail | null {
  let picture: IncidentDetail | null = null;
  for (const record of records) {
    if (picture === null) picture = advance(null, record);
    else amend(picture, record);
  }
  return picture;
}

/** The incident without its log and lists, as queues and consoles carry it. */
export function summaryOf(detail: IncidentDetail): Incident {
  return Object.fromEntries(SUMMARY_KEYS.map((key) => [key, detail[key]])) as Incident;
}

const SUMMARY_KEYS = Object.keys(Incident.shape) as (keyof Incident)[];

function open(record: IncidentRecord, opening: Opening): IncidentDetail {
  const { playbook, warning, request } = opening;
  return count({
    id: opening.id,
    number: opening.number,
    title: opening.title,
    severity: opening.severity,
    state: incidentMachine.initial,
    origin: opening.origin,
    kind: opening.kind,
    placeName: opening.placeName,
    point: [...opening.point],
    owner: null,
    openedAt: record.at,
    updatedAt: record.at,
    closedAt: null,
    outcome: null,
    sentence: null,
    revision: 1,
    warnings: { total: 0, standing: 0, unknown: 0 },
    requests: 0,
    steps: { done: 0, total: 0 },
    why: opening.why === null ? [] : [opening.why],
    warningList: warning === null ? [] : [warning],
    requestList: request === null ? [] : [request],
    log: [{ seq: 1, at: record.at, kind: record.kind, author: record.author, text: record.text }],
    stepList: (playbook?.steps ?? []).map(({ id, text, position }): PlaybookStep => ({ id, text, position, state: 'open', by: null, at: null, reason: null })),
    playbook: playbook === null ? null : { id: playbook.id, title: playbook.title },
  });
}

function amend(picture: IncidentDetail, record: IncidentRecord): void {
  picture.revision += 1;
  picture.updatedAt = record.at;
  picture.log.push({ seq: picture.revision, at: record.at, kind: record.kind, author: record.author, text: record.text });
  switch (record.kind) {
    case 'opened':
      throw new Error(`incident ${picture.id} opened twice`);
    case 'warning_joined':
      picture.warningList.push(record.body.warning);
      picture.why.push(record.body.why);
      picture.severity = worse(picture.severity, record.body.warning.severity);
      break;
    case 'warning_cleared':
    case 'warning_unknown':
    case 'warning_known': {
      const at = picture.warningList.findIndex(({ id }) => id === record.body.warning.id);
      assert(at >= 0, `warning ${record.body.warning.id} is a member of incident ${picture.id}`);
      picture.warningList[at] = record.body.warning;
      break;
    }
    case 'request_joined':
      picture.requestList.push(record.body.request);
      picture.why.push(record.body.why);
      picture.severity = worse(picture.severity, record.body.severity);
      break;
    case 'acknowledged':
      move(picture, 'acknowledge');
      break;
    case 'unacknowledged':
      move(picture, 'unacknowledge');
      break;
    case 'taken':
      move(picture, 'take');
      picture.owner = record.author;
      break;
    case 'released':
      move(picture, 'release');
      picture.owner = null;
      break;
    case 'note':
      break;
    case 'step_done':
      setStep(picture, record.body.step, { state: 'done', by: record.author, at: record.at, reason: null });
      break;
    case 'step_skipped':
      setStep(picture, record.body.step, { state: 'skipped', by: record.author, at: record.at, reason: record.body.reason });
      break;
    case 'step_undone':
      setStep(picture, record.body.step, { state: 'open', by: null, at: null, reason: null });
      break;
    case 'closed':
      move(picture, 'close');
      Object.assign(picture, { closedAt: record.at, outcome: record.body.outcome, sentence: record.body.sentence });
      break;
    case 'reopened':
      move(picture, record.author === null ? 'resident_reopen' : 'reopen');
      Object.assign(picture, { closedAt: null, outcome: null, sentence: null, owner: null });
      break;
    default:
      unreachable(record);
  }
  count(picture);
}

function move(picture: IncidentDetail, act: IncidentEvent): void {
  const next = incidentMachine.next(picture.state, act);
  assert(next !== null, `a recorded ${act} is allowed in state ${picture.state}`);
  picture.state = next;
}

function setStep(picture: IncidentDetail, id: string, to: Pick<PlaybookStep, 'state' | 'by' | 'at' | 'reason'>): void {
  const at = picture.stepList.findIndex((step) => step.id === id);
  const step = picture.stepList[at];
  assert(step !== undefined, `step ${id} is in incident ${picture.id}`);
  picture.stepList[at] = { ...step, ...to };
}

// `standing` leaves out `unknown`: nobody knows whether those still stand. A skipped step is settled, so it counts as done.
function count(picture: IncidentDetail): IncidentDetail {
  const states = picture.warningList.map(({ state }) => state);
  picture.warnings = {
    total: states.length,
    standing: states.filter((state) => state === 'warning' || state === 'clearing').length,
    unknown: states.filter((state) => state === 'unknown').length,
  };
  picture.requests = picture.requestList.length;
  picture.steps = { done: picture.stepList.filter(({ state }) => state !== 'open').length, total: picture.stepList.length };
  return picture;
}

/** The worse of two severities. */
export function worse(a: Severity, b: Severity): Severity {
  return SEVERITIES.indexOf(a) >= SEVERITIES.indexOf(b) ? a : b;
}
