import { expect, test } from 'vitest';
import type { LookAct } from './looks-store.ts';
import { findAlerts, LOOK_RULES } from './rules.ts';

let counter = 0;
const MORNING = Date.parse('2026-11-24T09:00:00Z');
const look = (more: Partial<LookAct> & { atMs?: number } = {}): LookAct => {
  counter += 1;
  const { atMs = MORNING + counter * 1_000, ...rest } = more;
  return { actId: `lka_${counter}`, caseId: `req_${counter}`, record: 'report', at: new Date(atMs), pseudonym: 'p-one', department: 'Roads', position: 'case_worker', purpose: 'service-requests', via: 'detail', searchBy: null, reasonMac: Buffer.from(`reason ${counter}`), fields: ['description'], assigned: true, ownName: false, ownSurname: false, sealedUntil: null, told: 'now', leafIndex: counter, ...rest };
};
const times = (count: number, more: (n: number) => Parameters<typeof look>[0] = () => ({})): LookAct[] => Array.from({ length: count }, (_, n) => look(more(n)));
const rulesMet = (acts: LookAct[], timeZone = 'UTC'): string[] => findAlerts([...acts].sort((a, b) => a.at.getTime() - b.at.getTime()), timeZone).map(({ rule }) => rule);

test('ordinary work meets no rule', () => {
  expect(rulesMet(times(60))).toEqual([]);
});

const cases: [string, number, (n: number) => Parameters<typeof look>[0]][] = [
  ['many-looks', 150, () => ({})],
  ['nobody-works-on-it', 5, () => ({ assigned: false })],
  ['own-name', 1, () => ({ ownName: true, ownSurname: true })],
  ['own-surname', 1, () => ({ ownSurname: true })],
  ['many-eyes', 4, (n) => ({ caseId: 'req_same', pseudonym: `p-${n}` })],
  ['at-night', 3, (n) => ({ atMs: Date.parse('2026-11-24T23:30:00Z') + n * 3_600_000 })],
  ['name-search', 5, () => ({ via: 'search', searchBy: 'name' })],
  ['same-words', 8, () => ({ reasonMac: Buffer.from('the same') })],
];
test.each(cases)('%s is met at %i and not below', (rule, threshold, more) => {
  expect(rulesMet(times(threshold, more))).toEqual([rule]);
  expect(rulesMet(times(threshold - 1, more))).toEqual([]);
});

test('every rule is published with its threshold, and every one of them is tested', () => {
  expect(LOOK_RULES.map(({ id, threshold }) => [id, threshold])).toEqual(cases.map(([id, threshold]) => [id, threshold]));
});

test('a list of 50 is one act, nights are those of the city, and a week is any seven days', () => {
  expect(rulesMet(times(50, () => ({ actId: 'lka_list', via: 'list', reasonMac: Buffer.from('one list'), assigned: false })))).toEqual([]);
  const evening = (n: number) => ({ atMs: Date.parse('2026-11-24T01:00:00Z') + n * 60_000 });
  expect(rulesMet(times(3, evening), 'America/Montevideo')).toEqual(['at-night']); // 22 o'clock there
  expect(rulesMet(times(3, evening), 'Asia/Tokyo')).toEqual([]);
  expect(rulesMet(times(3, (n) => ({ ...evening(n), position: 'operator' })))).toEqual([]);
  const day = 86_400_000;
  expect(rulesMet(times(4, (n) => ({ caseId: 'req_slow', pseudonym: `p-${n}`, atMs: MORNING + n * 3 * day })))).toEqual([]);
  expect(rulesMet(times(4, (n) => ({ caseId: 'req_fast', pseudonym: `p-${n}`, atMs: MORNING + n * 2 * day })))).toEqual(['many-eyes']);
});
