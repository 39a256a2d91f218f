import { frag, type Fragment } from '../fragment.ts';
import { scalar, type Value } from '../value.ts';
import type { FunctionModel } from './function.ts';

interface Times {
  readonly start: Fragment;
  readonly end: Fragment;
}

const timesOf = (value: Value | undefined): Times | null => (value?.type === 'interval' ? value : value?.type === 'instant' ? { start: value.sql, end: value.sql } : null);
const of = (name: string, build: (a: Times, b: Times) => Fragment): FunctionModel => ({
  name,
  parameters: ['times', 'times'],
  least: 2,
  apply: ([left, right]) => {
    const [a, b] = [timesOf(left), timesOf(right)];
    return a === null || b === null ? 'both sides are times, such as phenomenonTime and 2026-11-24T00:00:00Z/2026-11-25T00:00:00Z' : scalar('boolean', frag`(${build(a, b)})`);
  },
});

/** Relations between two times, each an instant or an interval (ISO 19108 §5.2.3.5); what other servers offer beside 18-088. */
export const temporalFunctions: readonly FunctionModel[] = [
  of('before', (a, b) => frag`${a.end} < ${b.start}`),
  of('after', (a, b) => frag`${a.start} > ${b.end}`),
  of('meets', (a, b) => frag`${a.end} = ${b.start} or ${b.end} = ${a.start}`),
  of('during', (a, b) => frag`${a.start} >= ${b.start} and ${a.end} <= ${b.end}`),
  of('overlaps', (a, b) => frag`${a.start} <= ${b.end} and ${b.start} <= ${a.end}`),
  of('starts', (a, b) => frag`${a.start} = ${b.start}`),
  of('finishes', (a, b) => frag`${a.end} = ${b.end}`),
];
