import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { filed, warning } from '../../test/room.ts';
import type { Act, Actor, Incident, IncidentDetail } from '../contracts/incident.ts';
import { isoOf, manualClock, systemRandom } from '../kernel/index.ts';
import { createBus, createMetrics, silentLogger, type DatabaseHandle } from '../platform/index.ts';
import { actOn, openByHand } from './acting.ts';
import { createIncidentStore } from './incident-store.ts';
import { createJoining } from './joining.ts';
import { byUrgency } from './queue.ts';

let handle: DatabaseHandle;
beforeAll(async () => {
  handle = await freshDatabase();
});

const PEOPLE: readonly Actor[] = [
  { id: 'ann', name: 'Ann', position: 'operator' },
  { id: 'bo', name: 'Bo', position: 'supervisor' },
];
const ACTS: readonly Act[] = [
  { act: 'acknowledge' },
  { act: 'unacknowledge' },
  { act: 'take' },
  { act: 'release' },
  { act: 'note', text: 'seen' },
  { act: 'complete_step', step: 'look' },
  { act: 'skip_step', step: 'secure', reason: 'dry already' },
  { act: 'undo_step', step: 'look' },
  { act: 'close', outcome: 'made_safe', sentence: 'The place is safe now.' },
  { act: 'reopen', reason: 'it is back' },
];
const PLAYBOOK = {
  id: 'river-high-water',
  title: 'River',
  purpose: 'Keep people safe.',
  steps: [
    { id: 'look', text: 'Look at it', position: 'operator' as const },
    { id: 'secure', text: 'Secure it', position: 'operator' as const },
  ],
};

type Step =
  | { readonly do: 'act'; readonly incident: number; readonly act: number; readonly person: number }
  | { readonly do: 'open' }
  | { readonly do: 'warn' | 'file'; readonly place: number }
  | { readonly do: 'change'; readonly warning: number; readonly topic: 'cleared' | 'unknown' | 'known' }
  | { readonly do: 'refile'; readonly request: number };
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('act' as const), incident: fc.nat(5), act: fc.nat(ACTS.length - 1), person: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('warn' as const, 'file' as const), place: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('open' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change' as const), warning: fc.nat(5), topic: fc.constantFrom('cleared' as const, 'unknown' as const, 'known' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refile' as const), request: fc.nat(5) }) },
);

test('at every past moment the replayed incident and the replayed queue equal what the consoles were shown then', async () => {
  const clock = manualClock(Date.parse('2026-11-24T00:00:00Z'));
  const bus = await createBus(handle, clock, silentLogger);
  const store = createIncidentStore(handle, bus, clock);
  let busSeq = 1_000_000; // stands for the positions of events that arrive
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 40 }), fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 40, maxLength: 40 }), async (steps, pauses) => {
      runs += 1;
      const joining = createJoining({ store, playbooks: new Map([[PLAYBOOK.id, PLAYBOOK]]), clock, random: systemRandom, logger: silentLogger, metrics: createMetrics() });
      const raised: ReturnType<typeof warning>[] = [];
      const reports: ReturnType<typeof filed>[] = [];
      const mine = new Set<string>();
      const shown: { atMs: number; details: Map<string, IncidentDetail>; queue: Incident[] }[] = [];
      const tell = async (topic: string, payload: object): Promise<void> =>
        joining({ seq: (busSeq += 1), at: new Date(clock.nowMs()), topic, key: 'x', payload: JSON.parse(JSON.stringify(payload)) as unknown });
      for (const [at, step] of steps.entries()) {
        clock.advance(1 + (pauses[at] ?? 0));
        if (step.do === 'act') {
          const ref = [...mine][step.incident];
          const [act, actor] = [ACTS[step.act], PEOPLE[step.person]];
          if (ref === undefined || act === undefined || actor === undefined) continue;
          await actOn(store, { ref, act, actor, key: undefined });
        } else if (step.do === 'open') {
          await openByHand(store, {
            incident: { title: 'By hand', severity: 'minor', point: [11.5, 48.1], placeName: '' },
            actor: PEOPLE[0] as Actor,
            key: undefined,
            clock,
            random: systemRandom,
          });
        } else if (step.do === 'warn') {
          const one = warning({ ruleId: `rule-${runs}`, placeId: step.place, raisedAt: isoOf(clock.nowMs()) });
          raised.push(one);
          await tell('warning.raised', one);
        } else if (step.do === 'file') {
          const one = filed({ serviceCode: `service-${runs}`, point: [11.5 + step.place, 48.1] });
          reports.push(one);
          await tell('request.filed', one);
        } else if (step.do === 'refile') {
          const report = reports[step.request];
          if (report !== undefined) await tell('request.reopened', { report, reason: 'It is dark again.', incidentId: null, at: isoOf(clock.nowMs()) });
        } else if (step.do === 'change') {
          const one = raised[step.warning];
          if (one !== undefined) await tell(`warning.${step.topic}`, { ...one, state: step.topic === 'cleared' ? 'ok' : step.topic === 'unknown' ? 'unknown' : 'warning' });
        }
        const nowMs = clock.nowMs();
        const queue = (await store.readOpen(nowMs)).sort(byUrgency);
        for (const { id } of queue) mine.add(id);
        const details = new Map<string, IncidentDetail>();
        for (const id of mine) details.set(id, (await store.readDetail(id, nowMs)) as IncidentDetail);
        shown.push({ atMs: nowMs, details, queue });
      }
      for (const { atMs, details, queue } of shown) {
        expect((await store.readOpen(atMs)).sort(byUrgency)).toEqual(queue);
        for (const [id, detail] of details) expect(await store.readDetail(id, atMs)).toEqual(detail);
      }
    }),
    { numRuns: 12 },
  );
  await bus.close();
});

test('what an act answers is what the picture of that moment shows, and before its opening an incident did not exist', async () => {
  const clock = manualClock(Date.parse('2027-01-01T00:00:00Z'));
  const bus = await createBus(handle, clock, silentLogger);
  const store = createIncidentStore(handle, bus, clock);
  const ann = PEOPLE[0] as Actor;
  const opened = await openByHand(store, {
    incident: { title: 'Replay', severity: 'minor', point: [11.5, 48.1], placeName: '' },
    actor: ann,
    key: undefined,
    clock,
    random: systemRandom,
  });
  if (!opened.ok) throw new Error(opened.refusal.detail);
  const { id } = opened.value;
  const answers = [opened.value];
  for (const act of [
    { act: 'acknowledge' },
    { act: 'take' },
    { act: 'note', text: 'on my way' },
    { act: 'close', outcome: 'fixed', sentence: 'It works again.' },
    { act: 'reopen', reason: 'not yet' },
  ] satisfies Act[]) {
    clock.advance(1_000);
    const answer = await actOn(store, { ref: id, act, actor: ann, key: undefined });
    if (!answer.ok) throw new Error(answer.refusal.detail);
    answers.push(answer.value);
  }
  for (const answer of answers) expect(await store.readDetail(id, Date.parse(answer.updatedAt))).toEqual(answer);
  expect(await store.readDetail(id, Date.parse(opened.value.openedAt) - 1)).toBeNull();
  // the machine's clock steps back: the record does not
  clock.set(Date.parse('2026-12-01T00:00:00Z'));
  const late = await actOn(store, { ref: id, act: { act: 'note', text: 'after the step' }, actor: ann, key: undefined });
  expect(late.ok && late.value.updatedAt).toBe(answers.at(-1)?.updatedAt);
  await bus.close();
});

test('a resident who says that it is not done makes the closed incident new again, for nobody in particular', async () => {
  const clock = manualClock(Date.parse('2027-02-01T00:00:00Z'));
  const bus = await createBus(handle, clock, silentLogger);
  const store = createIncidentStore(handle, bus, clock);
  const joining = createJoining({ store, playbooks: new Map(), clock, random: systemRandom, logger: silentLogger, metrics: createMetrics() });
  const report = filed({ serviceCode: 'reopened-lamp' });
  const tell = async (seq: number, topic: string, payload: object): Promise<void> => joining({ seq, at: new Date(clock.nowMs()), topic, key: 'x', payload });
  await tell(5_000_001, 'request.filed', report);
  const id = (await store.readOpen(clock.nowMs())).find(({ kind }) => kind === 'reopened-lamp')?.id ?? '';
  await actOn(store, { ref: id, act: { act: 'take' }, actor: PEOPLE[0] as Actor, key: undefined });
  await actOn(store, { ref: id, act: { act: 'close', outcome: 'fixed', sentence: 'The lamp burns again.' }, actor: PEOPLE[0] as Actor, key: undefined });
  const reopened = { report, reason: 'It is dark again.', incidentId: id, at: isoOf(clock.nowMs()) };
  await tell(5_000_002, 'request.reopened', reopened);
  await tell(5_000_002, 'request.reopened', reopened);
  const detail = await store.readDetail(id, clock.nowMs());
  expect(detail).toMatchObject({ state: 'new', owner: null, outcome: null });
  expect(detail?.log.at(-1)).toMatchObject({ kind: 'reopened', author: null });
  expect(detail?.log).toHaveLength(4);
  await bus.close();
});
