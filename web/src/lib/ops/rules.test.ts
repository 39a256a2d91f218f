import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Act, Incident, IncidentDetail } from '#contracts/incident';
import type { PlaceState, StreamState } from '#contracts/place';
import { applyReadings, byUrgency, inverse, needsPerson, predict, predictDetail, type Stamp } from './rules.ts';

const at = '2026-11-24T12:00:00.000Z';
const stamp: Stamp = { me: { kind: 'person', id: 'per_me', name: 'Ines', positions: ['operator'], pseudonym: 'p' }, at };
const incident: Incident = {
  id: 'inc_1',
  number: 1,
  title: 'High water',
  severity: 'severe',
  state: 'new',
  origin: 'warning',
  kind: 'river-high',
  placeName: 'Old bridge',
  point: [0, 0],
  owner: null,
  openedAt: at,
  updatedAt: at,
  closedAt: null,
  outcome: null,
  sentence: null,
  revision: 1,
  warnings: { total: 1, standing: 1, unknown: 0 },
  requests: 0,
  steps: { done: 0, total: 2 },
};
const detail: IncidentDetail = {
  ...incident,
  why: [],
  warningList: [],
  requestList: [],
  log: [{ seq: 1, at, kind: 'opened', author: null, text: '' }],
  stepList: ['a', 'b'].map((id) => ({ id, text: `Step ${id}`, position: 'operator', state: 'open', by: null, at: null, reason: null })),
  playbook: { id: 'p', title: 'P' },
};
const stream = (id: number, value: number, atText: string, state: StreamState['state'] = 'ok', stale = false): StreamState => ({ id, property: 'level', label: 'Level', unit: 'm', value, at: atText, stale, state });
const place = (streams: StreamState[]): PlaceState => ({ id: 7, name: 'Gauge', kind: 'river_gauge', point: [0, 0], state: 'ok', stale: false, streams });

describe('the order of the queue', () => {
  it('puts what nobody has acknowledged before what is more severe', () => {
    const seen: Incident = { ...incident, id: 'a', state: 'acknowledged', severity: 'extreme' };
    const fresh: Incident = { ...incident, id: 'b', state: 'new', severity: 'minor' };
    expect([seen, fresh].sort(byUrgency).map(({ id }) => id)).toEqual(['b', 'a']);
  });

  it('is a total order, so that rows never swap places by chance', () => {
    const some = fc.record({ number: fc.nat(50), severity: fc.constantFrom('minor', 'moderate', 'severe', 'extreme' as const), state: fc.constantFrom('new', 'acknowledged' as const), minute: fc.nat(59) });
    fc.assert(
      fc.property(fc.uniqueArray(some, { selector: ({ number }) => number, maxLength: 20 }), (list) => {
        const rows = list.map(({ number, severity, state, minute }): Incident => ({ ...incident, number, severity: severity as Incident['severity'], state: state as Incident['state'], openedAt: `2026-11-24T12:${String(minute).padStart(2, '0')}:00.000Z` }));
        const numbers = (sorted: Incident[]): number[] => sorted.map(({ number }) => number);
        expect(numbers([...rows].sort(byUrgency))).toEqual(numbers([...rows].reverse().sort(byUrgency)));
      }),
    );
  });
});

describe('what needs a person', () => {
  it('is what is new, what has no owner, and their own; not what a colleague works on', () => {
    const of = (state: Incident['state'], owner: string | null): boolean => needsPerson({ ...incident, state, owner: owner === null ? null : { id: owner, name: owner, position: 'operator' } }, 'per_me');
    expect([of('new', null), of('acknowledged', null), of('in_progress', 'per_me'), of('in_progress', 'per_other')]).toEqual([true, true, true, false]);
  });
});

describe('readings on top of the picture', () => {
  it('take the newer value and the worst state of the place', () => {
    const next = applyReadings(new Map([[7, place([stream(1, 1, at), stream(2, 5, at)])]]), [{ placeId: 7, ...stream(1, 2.6, '2026-11-24T12:01:00.000Z', 'warning') }]).get(7);
    expect(next?.streams[0]?.value).toBe(2.6);
    expect(next?.state).toBe('warning');
  });

  it('never replace a newer value by an older one', () => {
    const next = applyReadings(new Map([[7, place([stream(1, 3, at)])]]), [{ placeId: 7, ...stream(1, 1, '2026-11-24T11:00:00.000Z') }]).get(7);
    expect(next?.streams[0]?.value).toBe(3);
  });

  it('call a place stale only when all its streams are', () => {
    const both = [stream(1, 1, at, 'unknown', true), stream(2, 1, at)];
    const one = applyReadings(new Map([[7, place(both)]]), [{ placeId: 7, ...stream(1, 1, at, 'unknown', true) }]).get(7);
    const all = applyReadings(new Map([[7, place(both)]]), [{ placeId: 7, ...stream(2, 1, at, 'unknown', true) }]).get(7);
    expect([one?.stale, all?.stale]).toEqual([false, true]);
  });

  it('leave places alone that the picture does not know', () => {
    expect(applyReadings(new Map(), [{ placeId: 9, ...stream(1, 1, at) }]).size).toBe(0);
  });
});

describe('an act before the server answers', () => {
  it('shows at once what it will change, and its line in the log', () => {
    const next = predictDetail(detail, { act: 'take' }, stamp);
    expect([next.state, next.owner?.name, next.log.at(-1)?.kind]).toEqual(['in_progress', 'Ines', 'taken']);
    expect(next.log.at(-1)?.seq).toBeLessThan(0);
  });

  it('skips one step with its reason and counts it as done', () => {
    const next = predictDetail(detail, { act: 'skip_step', step: 'b', reason: 'Not needed.' }, stamp);
    expect(next.stepList.map(({ state }) => state)).toEqual(['open', 'skipped']);
    expect(next.steps.done).toBe(1);
  });

  it('is taken back by its inverse wherever there is one', () => {
    const acts: [Incident, Act][] = [
      [incident, { act: 'acknowledge' }],
      [{ ...incident, state: 'acknowledged' }, { act: 'take' }],
      [incident, { act: 'complete_step', step: 'a' }],
    ];
    for (const [before, act] of acts) {
      const back = inverse(act);
      expect(back).not.toBeNull();
      if (back) expect(predict(predict(before, act, stamp), back, stamp)).toEqual(before);
    }
  });

  it('has no inverse for a log line, since a log is only added to', () => {
    expect(inverse({ act: 'note', text: 'x' })).toBeNull();
  });
});
