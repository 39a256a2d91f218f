import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../city.ts';

/** OWASP ASVS 5.0.0: the level of each requirement, by section and in order. */
const LEVELS: Readonly<Record<string, string>> = {
  'V1.1': '22', 'V1.2': '1111122223', 'V1.3': '112222222223', 'V1.4': '222', 'V1.5': '123',
  'V2.1': '122', 'V2.2': '112', 'V2.3': '12223', 'V2.4': '23',
  'V3.1': '3', 'V3.2': '113', 'V3.3': '12223', 'V3.4': '11222233', 'V3.5': '11122333', 'V3.6': '3', 'V3.7': '22333',
  'V4.1': '12233', 'V4.2': '23333', 'V4.3': '22', 'V4.4': '1222',
  'V5.1': '2', 'V5.2': '112333', 'V5.3': '113', 'V5.4': '222',
  'V6.1': '122', 'V6.2': '111111112222', 'V6.3': '11223333', 'V6.4': '112233', 'V6.5': '22222333', 'V6.6': '2223', 'V6.7': '33', 'V6.8': '2222',
  'V7.1': '222', 'V7.2': '1111', 'V7.3': '22', 'V7.4': '11222', 'V7.5': '223', 'V7.6': '22',
  'V8.1': '1233', 'V8.2': '1123', 'V8.3': '133', 'V8.4': '23',
  'V9.1': '111', 'V9.2': '1222',
  'V10.1': '22', 'V10.2': '223', 'V10.3': '22223', 'V10.4': '1111122222233333', 'V10.5': '22222', 'V10.6': '22', 'V10.7': '222',
  'V11.1': '2233', 'V11.2': '22233', 'V11.3': '11233', 'V11.4': '1222', 'V11.5': '23', 'V11.6': '23', 'V11.7': '33',
  'V12.1': '12233', 'V12.2': '11', 'V12.3': '22223',
  'V13.1': '2333', 'V13.2': '222223', 'V13.3': '2233', 'V13.4': '1222233',
  'V14.1': '22', 'V14.2': '12223333', 'V14.3': '122',
  'V15.1': '12233', 'V15.2': '12233', 'V15.3': '1222222', 'V15.4': '3333',
  'V16.1': '2', 'V16.2': '22222', 'V16.3': '2222', 'V16.4': '222', 'V16.5': '2223',
  'V17.1': '23', 'V17.2': '22223333', 'V17.3': '22',
};
/** Of level 3, those that are aimed at. */
const AIMED_AT = ['V2.3.5', 'V3.4.7', 'V3.4.8', 'V7.5.3', 'V8.3.2', 'V11.7.2', 'V13.3.3', 'V14.2.6', 'V14.2.7', 'V15.2.4', 'V15.2.5', 'V15.4.2', 'V16.3.2'];
const STATES = ['met', 'in part', 'not met', 'does not apply'];

const levelOf: ReadonlyMap<string, number> = new Map(Object.entries(LEVELS).flatMap(([section, digits]) => [...digits].map((level, at) => [`${section}.${String(at + 1)}`, Number(level)] as const)));
const text = readFileSync(join(ROOT, 'docs', 'reference', 'asvs.md'), 'utf8');
const all: readonly string[] = [...levelOf.keys()];
const rows = [...text.matchAll(/^\| (V[\d.]+)(?: to (V[\d.]+))? \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, first = '', last = first, what = '', state = '', where = '']) => ({
  ids: all.slice(all.indexOf(first), all.indexOf(last) + 1).filter((id) => first === last || levelOf.get(id) !== 3),
  what,
  state,
  where,
}));

test('the standard is there as it is counted: 70, 183 and 92 requirements', () => {
  expect([1, 2, 3].map((level) => [...levelOf.values()].filter((each) => each === level).length)).toEqual([70, 183, 92]);
});

test('every requirement of levels 1 and 2 and each that is aimed at stands in the table once, with a state', () => {
  const ids = rows.flatMap((row) => row.ids);
  const wanted = all.filter((id) => levelOf.get(id) !== 3 || AIMED_AT.includes(id));
  expect(wanted.filter((id) => !ids.includes(id))).toEqual([]);
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  expect(rows.filter(({ state }) => !STATES.includes(state)).map(({ what }) => what)).toEqual([]);
});

test('the sums that the page begins with are those of its table', () => {
  const [met, part, not, none] = STATES.map((state) => rows.filter((row) => row.state === state).flatMap((row) => row.ids).filter((id) => levelOf.get(id) !== 3).length);
  expect(text).toContain(`Of 253: ${String(met)} met, ${String(part)} in part, ${String(not)} not met, ${String(none)} do not apply.`);
});

test('every file that shows something is there', () => {
  const named = rows.flatMap(({ where }) => [...where.matchAll(/`((?:src|test|web|docs|policies)\/[^`]+|sbom\.cdx\.json|\.dependency-cruiser\.cjs)`/g)].map(([, path = '']) => path));
  expect(named.length).toBeGreaterThan(150);
  expect([...new Set(named)].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
