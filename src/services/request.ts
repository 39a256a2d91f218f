import { OUTCOMES, type IncidentChanged, type Outcome } from '../contracts/incident.ts';
import type { RequestState } from '../contracts/request.ts';
import { ok, refuse, stateMachine, type Result } from '../kernel/index.ts';

/** What can happen to a request. Both reopenings lead back to open work: the city's at once, the resident's to the start. */
export type RequestEvent = 'assign' | 'start' | 'finish' | 'decline' | 'reopen_by_city' | 'reopen_by_resident';

/** received → assigned → in_progress → done | declined; nothing steps back but a reopening. */
export const requestMachine = stateMachine<RequestState, RequestEvent>('received', {
  received: { assign: 'assigned', start: 'in_progress', finish: 'done', decline: 'declined', reopen_by_city: null, reopen_by_resident: null },
  assigned: { assign: null, start: 'in_progress', finish: 'done', decline: 'declined', reopen_by_city: null, reopen_by_resident: null },
  in_progress: { assign: null, start: null, finish: 'done', decline: 'declined', reopen_by_city: null, reopen_by_resident: null },
  done: { assign: null, start: null, finish: null, decline: null, reopen_by_city: 'in_progress', reopen_by_resident: 'received' },
  declined: { assign: null, start: null, finish: null, decline: null, reopen_by_city: 'in_progress', reopen_by_resident: 'received' },
});

export const isClosed = (state: RequestState): boolean => state === 'done' || state === 'declined';

/** Residents may reopen for this long after closing. */
export const REOPEN_MS = 14 * 24 * 3_600_000;
const SENTENCE_MIN_CHARS = 8;
const SENTENCE_MAX_CHARS = 1_000;

/** How an outcome of the room ends a request: work was done or looked for, or there was none to do. */
export const endOf: Readonly<Record<Outcome, 'finish' | 'decline'>> = {
  fixed: 'finish',
  made_safe: 'finish',
  no_fault_found: 'finish',
  not_ours: 'decline',
  duplicate: 'decline',
  false_alarm: 'decline',
};

export interface Closing {
  readonly outcome: Outcome;
  readonly sentence: string;
}

export interface Step {
  readonly state: RequestState;
  readonly closing: Closing | null;
}

/** Closes a request. Without an outcome and a sentence of 8 to 1,000 characters it is refused. */
export function close(state: RequestState, outcome: string | null | undefined, sentence: string | null | undefined): Result<Step> {
  const words = (sentence ?? '').trim();
  const known = OUTCOMES.find((each) => each === outcome);
  if (known === undefined) return refuse('request.outcome-missing', 'No outcome was given.', 'outcome');
  if (words.length < SENTENCE_MIN_CHARS || words.length > SENTENCE_MAX_CHARS) return refuse('request.outcome-missing', `The sentence needs ${SENTENCE_MIN_CHARS} to ${SENTENCE_MAX_CHARS} characters.`, 'sentence');
  const next = requestMachine.next(state, endOf[known]);
  if (next === null) return refuse('request.act-not-allowed', `The request is ${state} already.`);
  return ok({ state: next, closing: { outcome: known, sentence: words } });
}

/** Reopens for the resident, at most 14 days after closing. */
export function reopenByResident(state: RequestState, closedMs: number | null, nowMs: number): Result<Step> {
  const next = requestMachine.next(state, 'reopen_by_resident');
  if (next === null || closedMs === null) return refuse('request.act-not-allowed', 'The request is open; there is nothing to reopen.');
  if (nowMs > closedMs + REOPEN_MS) return refuse('request.act-not-allowed', 'It was closed more than 14 days ago; please file a new report.');
  return ok({ state: next, closing: null });
}

/**
 * What an incident's change means for a joined request; null when it means nothing. A closed incident closes a request only
 * by its closing entry, so that a later note on it cannot close a request that the resident has reopened.
 */
export function stepOf(state: RequestState, change: Pick<IncidentChanged, 'incident' | 'entry'>): (Step & { readonly kind: 'progress' | 'closed' | 'reopened_by_city' }) | null {
  const { incident, entry } = change;
  if (entry.kind === 'closed') {
    const closed = close(state, incident.outcome, incident.sentence);
    return closed.ok ? { ...closed.value, kind: 'closed' } : null;
  }
  if (entry.kind === 'reopened') {
    const next = requestMachine.next(state, 'reopen_by_city');
    return next === null ? null : { state: next, closing: null, kind: 'reopened_by_city' };
  }
  const event = incident.state === 'acknowledged' ? 'assign' : incident.state === 'in_progress' ? 'start' : null;
  const next = event === null ? null : requestMachine.next(state, event);
  return next === null ? null : { state: next, closing: null, kind: 'progress' };
}
