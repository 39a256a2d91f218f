import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OUTCOMES } from '../contracts/incident.ts';
import { REQUEST_STATES, type RequestState } from '../contracts/request.ts';
import { close, endOf, isClosed, reopenByResident, REOPEN_MS, requestMachine, stepOf, type RequestEvent } from './request.ts';

const EVENTS: readonly RequestEvent[] = ['assign', 'start', 'finish', 'decline', 'reopen_by_city', 'reopen_by_resident'];
const RANK: Readonly<Record<RequestState, number>> = { received: 0, assigned: 1, in_progress: 2, done: 3, declined: 3 };

test('every walk through the table stays in its rules: open work only moves on, only closed work reopens', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 60 }), (events) => {
      let state = requestMachine.initial;
      for (const event of events) {
        const next = requestMachine.next(state, event);
        const reopens = event.startsWith('reopen');
        expect(next !== null && reopens, `${state} ${event}`).toBe(reopens && isClosed(state));
        if (next === null) continue;
        if (!reopens) expect(RANK[next]).toBeGreaterThan(RANK[state]);
        else expect(isClosed(next)).toBe(false);
        state = next;
      }
    }),
  );
});

test('every state can still be finished or is closed', () => {
  for (const state of REQUEST_STATES) expect(isClosed(state) || requestMachine.next(state, 'finish') === 'done').toBe(true);
});

test('nothing closes without an outcome of the list and a sentence of at least 8 characters', () => {
  const outcome = fc.option(fc.oneof(fc.constantFrom(...OUTCOMES), fc.string({ maxLength: 12 })), { nil: null });
  const sentence = fc.option(fc.string({ maxLength: 1_100 }), { nil: undefined });
  fc.assert(
    fc.property(fc.constantFrom(...REQUEST_STATES), outcome, sentence, (state, givenOutcome, givenSentence) => {
      const known = OUTCOMES.find((each) => each === givenOutcome);
      const words = (givenSentence ?? '').trim();
      const may = known !== undefined && words.length >= 8 && words.length <= 1_000 && !isClosed(state);
      const closed = close(state, givenOutcome, givenSentence);
      expect(closed.ok).toBe(may);
      if (closed.ok) expect(closed.value).toEqual({ state: endOf[known as (typeof OUTCOMES)[number]] === 'finish' ? 'done' : 'declined', closing: { outcome: known, sentence: words } });
    }),
    { numRuns: 500 },
  );
});

test('what the room did not do ends as declined, what it did or looked for as done', () => {
  expect(Object.fromEntries(OUTCOMES.map((outcome) => [outcome, endOf[outcome]]))).toEqual({ fixed: 'finish', made_safe: 'finish', no_fault_found: 'finish', not_ours: 'decline', duplicate: 'decline', false_alarm: 'decline' });
});

test('a resident reopens until the last millisecond of the fourteenth day', () => {
  expect(reopenByResident('done', 1_000, 1_000 + REOPEN_MS)).toEqual({ ok: true, value: { state: 'received', closing: null } });
  expect(reopenByResident('declined', 1_000, 1_001 + REOPEN_MS).ok).toBe(false);
  expect(reopenByResident('in_progress', null, 1_000).ok).toBe(false);
});

test('an incident moves its requests on, never back, and closes them only with outcome and sentence', () => {
  const change = (state: string, kind: string, outcome: string | null = null, sentence: string | null = null) => ({ incident: { state, outcome, sentence }, entry: { kind } }) as unknown as Parameters<typeof stepOf>[1];
  expect(stepOf('received', change('acknowledged', 'acknowledged'))).toMatchObject({ state: 'assigned' });
  expect(stepOf('received', change('in_progress', 'request_joined'))).toMatchObject({ state: 'in_progress' });
  expect(stepOf('in_progress', change('acknowledged', 'released'))).toBeNull();
  expect(stepOf('assigned', change('new', 'note'))).toBeNull();
  expect(stepOf('in_progress', change('closed', 'closed'))).toBeNull();
  expect(stepOf('in_progress', change('closed', 'closed', 'fixed', 'Pumped dry.'))).toMatchObject({ state: 'done', kind: 'closed', closing: { outcome: 'fixed', sentence: 'Pumped dry.' } });
  expect(stepOf('received', change('closed', 'note', 'fixed', 'Pumped dry.'))).toBeNull();
  expect(stepOf('done', change('in_progress', 'reopened'))).toMatchObject({ state: 'in_progress', kind: 'reopened_by_city' });
});
