import fc from 'fast-check';
import { expect, test } from 'vitest';
import { warning } from '../../test/room.ts';
import { INCIDENT_STATES, type Act, type Actor, type IncidentDetail } from '../contracts/incident.ts';
import { LOG_ENTRIES_MAX, advance, decide, incidentMachine, replay, summaryOf, worse, type IncidentRecord } from './incident.ts';

const ann: Actor = { id: 'ann', name: 'Ann', position: 'operator' };
const bo: Actor = { id: 'bo', name: 'Bo', position: 'supervisor' };
const cy: Actor = { id: 'cy', name: 'Cy', position: 'operator' };
const STEPS = ['look', 'secure'] as const;

const opening: IncidentRecord = {
  kind: 'opened',
  at: '2026-11-24T03:00:00.000Z',
  author: null,
  text: 'The level is above 400 cm.',
  body: {
    id: 'inc_1',
    number: 1,
    title: 'River high',
    severity: 'severe',
    origin: 'warning',
    kind: 'river-high',
    placeName: 'Gauge',
    point: [11.5, 48.1],
    playbook: { id: 'p', title: 'P', steps: STEPS.map((id) => ({ id, text: `Do ${id}`, position: 'operator' })) },
    why: 'rule',
    warning: warning({ id: 'wrn_1' }),
    request: null,
  },
};

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  fc.constantFrom<Act>(
    { act: 'acknowledge' },
    { act: 'unacknowledge' },
    { act: 'take' },
    { act: 'release' },
    { act: 'note', text: 'seen' },
    { act: 'close', outcome: 'fixed', sentence: 'It works again.' },
    { act: 'reopen', reason: 'not yet' },
  ),
  fc.record({ act: fc.constantFrom('complete_step' as const, 'undo_step' as const), step: fc.constantFrom(...STEPS, 'nowhere') }),
  fc.record({ act: fc.constant('skip_step' as const), step: fc.constantFrom(...STEPS, 'nowhere'), reason: fc.constant('not needed') }),
);

/** What the room's rules say in plain words, written apart from the code under test. */
class Model {
  seen = false;
  owner: string | null = null;
  closed = false;
  steps = new Map<string, 'open' | 'done' | 'skipped'>(STEPS.map((id) => [id, 'open']));

  allows(act: Act, actor: Actor): 'yes' | 'not-allowed' | 'step-unknown' {
    const worked = this.seen && !this.closed;
    const say = (allowed: boolean) => (allowed ? 'yes' : 'not-allowed');
    switch (act.act) {
      case 'note':
        return 'yes';
      case 'acknowledge':
        return say(!this.seen && !this.closed);
      case 'unacknowledge':
        return say(worked && this.owner === null);
      case 'take':
        return say(!this.closed && this.owner !== actor.id);
      case 'release':
        return say(!this.closed && this.owner !== null && (this.owner === actor.id || actor.position === 'supervisor'));
      case 'close':
        return say(worked);
      case 'reopen':
        return say(this.closed);
      default: {
        if (!worked) return 'not-allowed';
        const step = this.steps.get(act.step);
        if (step === undefined) return 'step-unknown';
        return say((act.act === 'undo_step') !== (step === 'open'));
      }
    }
  }

  do(act: Act, actor: Actor): void {
    switch (act.act) {
      case 'acknowledge':
        this.seen = true;
        break;
      case 'unacknowledge':
        this.seen = false;
        break;
      case 'take':
        this.seen = true;
        this.owner = actor.id;
        break;
      case 'release':
        this.owner = null;
        break;
      case 'close':
        this.closed = true;
        break;
      case 'reopen':
        this.closed = false;
        this.owner = null;
        break;
      case 'complete_step':
        this.steps.set(act.step, 'done');
        break;
      case 'skip_step':
        this.steps.set(act.step, 'skipped');
        break;
      case 'undo_step':
        this.steps.set(act.step, 'open');
        break;
      case 'note':
        break;
    }
  }

  state(): string {
    return this.closed ? 'closed' : this.owner !== null ? 'in_progress' : this.seen ? 'acknowledged' : 'new';
  }
}

test('any sequence of acts by several people follows the rules of the room, and its record replays to the same picture', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyAct, fc.constantFrom(ann, bo, cy)), { maxLength: 60 }), (acts) => {
      const model = new Model();
      const records: IncidentRecord[] = [opening];
      let real: IncidentDetail = advance(null, opening);
      for (const [at, [act, actor]] of acts.entries()) {
        const expected = model.allows(act, actor);
        const before = structuredClone(real);
        const change = decide(real, act, actor);
        expect(change.ok ? 'yes' : change.refusal.code.replace('incident.act-not-allowed', 'not-allowed').replace('incident.step-unknown', 'step-unknown')).toBe(expected);
        if (!change.ok) {
          expect(real).toEqual(before);
          continue;
        }
        model.do(act, actor);
        const record: IncidentRecord = { ...change.value, at: new Date(Date.parse(opening.at) + at).toISOString(), author: actor };
        records.push(record);
        const next = advance(real, record);
        expect(real).toEqual(before); // the picture that somebody else may hold does not change under them
        real = next;
        expect(real.state).toBe(model.state());
        expect(real.revision).toBe(records.length);
        expect(real.log).toHaveLength(records.length);
        expect(Object.fromEntries(real.stepList.map(({ id, state }) => [id, state]))).toEqual(Object.fromEntries(model.steps));
        expect(real.steps.done).toBe([...model.steps.values()].filter((state) => state !== 'open').length);
        if (real.state !== 'closed') expect(real.owner?.id ?? null).toBe(model.owner);
        expect(real.closedAt !== null).toBe(model.closed);
        expect(real.outcome !== null && real.sentence !== null).toBe(model.closed);
      }
      expect(replay(records)).toEqual(real);
      expect(replay(JSON.parse(JSON.stringify(records)) as IncidentRecord[])).toEqual(real);
    }),
    { numRuns: 300 },
  );
});

test('every undo act brings back the state before the act that it undoes', () => {
  const pairs = [
    ['new', 'acknowledge', 'unacknowledge'],
    ['acknowledged', 'take', 'release'],
  ] as const;
  for (const [state, act, undo] of pairs) expect(incidentMachine.next(incidentMachine.next(state, act) ?? 'new', undo)).toBe(state);
  for (const state of INCIDENT_STATES) {
    const next = incidentMachine.next(state, 'close');
    if (next !== null) expect(incidentMachine.next(next, 'reopen')).toBe('acknowledged');
  }
});

test('warnings count as standing, unknown or neither, and the severity only rises', () => {
  let detail = advance(null, opening);
  const at = opening.at;
  const second = warning({ id: 'wrn_2', severity: 'extreme' });
  detail = advance(detail, { kind: 'warning_joined', at, author: null, text: '', body: { warning: second, why: 'same rule' } });
  detail = advance(detail, { kind: 'warning_joined', at, author: null, text: '', body: { warning: warning({ id: 'wrn_3', severity: 'minor' }), why: 'same rule' } });
  detail = advance(detail, { kind: 'warning_unknown', at, author: null, text: '', body: { warning: { ...second, state: 'unknown' } } });
  expect(detail.warnings).toEqual({ total: 3, standing: 2, unknown: 1 });
  detail = advance(detail, { kind: 'warning_cleared', at, author: null, text: '', body: { warning: warning({ id: 'wrn_1', state: 'ok' }) } });
  expect(detail.warnings).toEqual({ total: 3, standing: 1, unknown: 1 });
  expect(detail.severity).toBe('extreme');
  expect(detail.why).toHaveLength(3);
  expect(worse('minor', 'moderate')).toBe('moderate');
});

test('a record that is full takes no act but the closing', () => {
  const note: IncidentRecord = { kind: 'note', at: opening.at, author: ann, text: 'x', body: {} };
  const full = replay([opening, { kind: 'acknowledged', at: opening.at, author: ann, text: '', body: {} }, ...Array.from({ length: LOG_ENTRIES_MAX - 2 }, () => note)]);
  expect(full?.log).toHaveLength(LOG_ENTRIES_MAX);
  expect(decide(full as IncidentDetail, { act: 'note', text: 'one more' }, ann)).toMatchObject({ ok: false, refusal: { code: 'incident.act-not-allowed' } });
  expect(decide(full as IncidentDetail, { act: 'close', outcome: 'fixed', sentence: 'It works again.' }, ann)).toMatchObject({ ok: true });
});

test('the summary carries no list of the detail', () => {
  const summary = summaryOf(advance(null, opening));
  expect(Object.keys(summary)).not.toContain('log');
  expect(Object.keys(summary)).not.toContain('requestList');
});
