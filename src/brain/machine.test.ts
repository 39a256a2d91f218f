import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ruleStateOf, stands, watchMachine, WATCH_EVENTS, WATCH_STATES, type WatchEvent, type WatchState } from './machine.ts';

/** The rule of brain.md §3 in other words: two flags and what is being waited for. */
interface Model {
  standing: boolean;
  blind: boolean;
  waiting: 'for' | 'clear_for' | null;
}

function applyToModel(model: Model, event: WatchEvent): void {
  if (event === 'blind') {
    model.blind = true;
    model.waiting = null;
    return;
  }
  if (event === 'dwelt') {
    model.standing = model.waiting === 'for';
    model.waiting = null;
    return;
  }
  model.blind = false;
  if (model.standing) model.waiting = event === 'low' ? 'clear_for' : null;
  else model.waiting = event === 'high' ? 'for' : null;
}

const stateOfModel = ({ standing, blind, waiting }: Model): WatchState => (blind ? (standing ? 'unknown_warning' : 'unknown_ok') : waiting === 'for' ? 'pending' : waiting === 'clear_for' ? 'clearing' : standing ? 'warning' : 'ok');

test('the machine does what a model of two flags and a wait does, for any events', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...WATCH_EVENTS), { maxLength: 200, size: 'max' }), (events) => {
      const model: Model = { standing: false, blind: true, waiting: null };
      let state = watchMachine.initial;
      for (const event of events) {
        const next = watchMachine.next(state, event);
        if (event === 'dwelt' && model.waiting === null) {
          expect(next).toBeNull();
          continue;
        }
        applyToModel(model, event);
        expect(next).toBe(stateOfModel(model));
        state = next ?? state;
      }
    }),
  );
});

test('missing data never resolves a warning and never raises one', () => {
  for (const state of WATCH_STATES) {
    const next = watchMachine.next(state, 'blind');
    expect(next).not.toBeNull();
    expect(stands(next ?? 'ok')).toBe(stands(state));
    expect(ruleStateOf(next ?? 'ok')).toBe('unknown');
  }
});

test('a warning ends only out of clearing, after clear_for', () => {
  for (const from of WATCH_STATES)
    for (const event of WATCH_EVENTS) {
      const to = watchMachine.next(from, event);
      if (to !== null && stands(from) && !stands(to)) expect([from, event]).toEqual(['clearing', 'dwelt']);
      if (to !== null && !stands(from) && stands(to)) expect([from, event]).toEqual(['pending', 'dwelt']);
    }
});
