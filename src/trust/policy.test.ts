import { expect, test } from 'vitest';
import { ACTIONS, ANONYMOUS, POSITIONS, type Action, type Position, type Principal } from '../contracts/principal.ts';
import { authorize } from './policy.ts';

// Written out on purpose, one row an action: y may, . may not.
//                                 operator supervisor case_worker auditor administrator device
const EXPECTED: Record<Action, string> = {
  public: /*                     */ 'y y y y y y',
  'sensing.read': /*             */ 'y y y y y y',
  'sensing.write': /*            */ '. . . . y y',
  'sensing.delete': /*           */ '. . . . y .',
  'operations.read': /*          */ 'y y y y y .',
  'operations.act': /*           */ 'y y . . . .',
  'operations.supervise': /*     */ '. y . . . .',
  'requests.read': /*            */ 'y y y . . .',
  'requests.work': /*            */ '. . y . . .',
  'requests.look': /*            */ '. . y . . .',
  'requests.submit': /*          */ 'y y y y y y',
  'audit.read': /*               */ '. . . y . .',
  'people.manage': /*            */ '. . . . y .',
  'register.manage': /*          */ '. . . . y .',
  session: /*                    */ 'y y y y y y',
};
const COLUMNS: readonly Position[] = ['operator', 'supervisor', 'case_worker', 'auditor', 'administrator', 'device'];

const person = (...positions: Position[]): Principal => ({ kind: 'person', id: 'per_1', name: 'A', positions, pseudonym: 'p' });

test('every position may do exactly what the written table says', () => {
  expect(COLUMNS).toEqual(POSITIONS);
  for (const action of ACTIONS) {
    const cells = EXPECTED[action].split(' ');
    COLUMNS.forEach((position, at) => expect(`${position} ${action} ${authorize(person(position), action)}`).toBe(`${position} ${action} ${cells[at] === 'y'}`));
  }
});

test('anonymous callers get only what is public', () => {
  const may = ACTIONS.filter((action) => authorize(ANONYMOUS, action));
  expect(may).toEqual(['public', 'sensing.read', 'requests.submit']);
});

test('a token has no session, and several positions add up', () => {
  expect(authorize({ ...person('auditor'), kind: 'token' }, 'session')).toBe(false);
  expect(authorize(person('auditor', 'case_worker'), 'requests.look')).toBe(true);
  expect(authorize(person('auditor', 'case_worker'), 'audit.read')).toBe(true);
  expect(authorize(person(), 'operations.read')).toBe(false);
});

test('an action or position that is not known is denied', () => {
  expect(authorize(person('administrator'), 'everything' as Action)).toBe(false);
  expect(authorize(person('mayor' as Position), 'operations.read')).toBe(false);
});
