import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DANGEROUS_ACTS, type DangerousAct } from '../../contracts/approval.ts';
import { ACTIONS, ANONYMOUS, POSITIONS, type Action, type DeviceBinding, type Position, type Principal } from '../../contracts/principal.ts';
import { Refused } from '../../kernel/index.ts';
import { compilePolicy } from './engine.ts';
import { readPolicyTexts } from './policy-texts.ts';
import { createPolicy, policyOf, type LookContext } from './policy.ts';

const folder = mkdtempSync(join(tmpdir(), 'clerestory-policy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const policy = createPolicy(null);

// Written out on purpose and apart from the rules, one row an action: y may, . may not.
//                                 operator supervisor case_worker auditor dpo administrator device
const EXPECTED: Record<Action, string> = {
  public: /*                     */ 'y y y y y y y',
  session: /*                    */ 'y y y y y y y',
  'sensing.read': /*             */ 'y y y y y y y',
  'sensing.write': /*            */ '. . . . . y y',
  'sensing.delete': /*           */ '. . . . . y .',
  'operations.read': /*          */ 'y y y y y y .',
  'operations.act': /*           */ 'y y . . . . .',
  'operations.supervise': /*     */ '. y . . . . .',
  'requests.read': /*            */ 'y y y . . . .',
  'requests.work': /*            */ '. . y . . . .',
  'requests.look': /*            */ 'y y y . . . .',
  'requests.contact': /*         */ '. . y . . . .',
  'requests.search': /*          */ '. . y . . . .',
  'requests.submit': /*          */ 'y y y y y y y',
  'audit.read': /*               */ '. . . y y . .',
  'approvals.read': /*           */ '. y y y y y .',
  'approvals.decide': /*         */ '. y y . y y .',
  'people.manage': /*            */ '. . . . . y .',
  'register.manage': /*          */ '. . . . . y .',
};
const COLUMNS: readonly Position[] = ['operator', 'supervisor', 'case_worker', 'auditor', 'data_protection_officer', 'administrator', 'device'];
// first and second person of each act: s supervisor, c case worker, d data protection officer, a administrator
const PAIRS: Record<DangerousAct, [first: string, second: string]> = {
  'purpose.change': ['ad', 'ad'],
  'look.seal': ['cs', 'd'],
  'look.extend': ['cs', 'd'],
  'case.export': ['csd', 'sd'],
  'case.shred': ['cd', 'sd'],
  'key.rotate': ['a', 'ad'],
  'identity.disclose': ['ad', 'ds'],
};
const LETTER: Record<Position, string> = { operator: 'o', supervisor: 's', case_worker: 'c', auditor: 'u', data_protection_officer: 'd', administrator: 'a', device: 'x' };

const person = (...positions: Position[]): Principal => ({ kind: 'person', id: 'per_1', name: 'A', positions, pseudonym: 'p' });
const token = (...positions: Position[]): Principal => ({ ...person(...positions), kind: 'token' });
const device: DeviceBinding = { id: 'dev_1', tokenId: 'tok_1', state: 'active', streams: new Set(), noteTaken: () => undefined, noteRefused: () => undefined };
const LOOK: LookContext = { purpose: 'service-requests', purposeLive: true, reason: true, via: 'detail' };

test('every position may do exactly what the written table says', () => {
  expect(COLUMNS).toEqual(POSITIONS);
  for (const action of ACTIONS) {
    const cells = EXPECTED[action].split(' ');
    COLUMNS.forEach((position, at) => expect(`${position} ${action} ${policy.authorize(person(position), action)}`).toBe(`${position} ${action} ${cells[at] === 'y'}`));
  }
});

test('anonymous callers get only what is public, whatever positions they claim', () => {
  expect(ACTIONS.filter((action) => policy.authorize(ANONYMOUS, action))).toEqual(['public', 'sensing.read', 'requests.submit']);
  expect(policy.authorize({ ...person('administrator'), kind: 'anonymous' }, 'people.manage')).toBe(false);
});

test('a token has no session and is nobody\'s second person; a device\'s token writes readings whatever it claims', () => {
  expect(policy.authorize(token('auditor'), 'session')).toBe(false);
  expect(policy.authorize(token('administrator'), 'people.manage')).toBe(true);
  expect(policy.authorize(token('administrator'), 'approvals.decide')).toBe(false);
  const bound = { ...token('administrator', 'device'), device };
  expect(ACTIONS.filter((action) => policy.authorize(bound, action))).toEqual(['public', 'sensing.read', 'sensing.write', 'requests.submit']);
});

test('several positions add up, and an action or position that is not known is denied', () => {
  expect(policy.authorize(person('auditor', 'case_worker'), 'requests.look')).toBe(true);
  expect(policy.authorize(person(), 'operations.read')).toBe(false);
  expect(policy.authorize(person('administrator'), 'everything' as Action)).toBe(false);
  expect(policy.authorize(person('administrator'), 'case.look' as Action)).toBe(false);
  expect(policy.authorize(person('mayor' as Position), 'operations.read')).toBe(false);
});

test('a look needs a case worker, a live purpose and a reason', () => {
  expect(policy.mayLook(person('case_worker'), LOOK)).toBe(true);
  expect(policy.mayLook(person('case_worker'), { ...LOOK, reason: false })).toBe(false);
  expect(policy.mayLook(person('case_worker'), { ...LOOK, purposeLive: false })).toBe(false);
  for (const position of COLUMNS.filter((each) => !['operator', 'supervisor', 'case_worker'].includes(each))) expect(policy.mayLook(person(position), LOOK)).toBe(false);
  expect(policy.mayLook(ANONYMOUS, LOOK)).toBe(false);
});

test('a city may forbid more, by position, department or token, and never permit', () => {
  const city = join(folder, 'city', 'policies');
  mkdirSync(city, { recursive: true });
  const rule = '@id("no-night-shift") @because("The night shift watches and does not act.") forbid (principal is Person, action == Action::"operations.act", resource) when { principal has department && principal.department == "Night shift" };';
  writeFileSync(join(city, 'night.cedar'), rule);
  const own = createPolicy(folder);
  expect(own.authorize({ ...person('operator'), department: 'Night shift' }, 'operations.act')).toBe(false);
  expect(own.authorize({ ...person('operator'), department: 'Day shift' }, 'operations.act')).toBe(true);
  expect(own.explain({ ...person('operator'), department: 'Night shift' }, 'operations.act').rules).toEqual(['no-night-shift']);
  expect(own.hash).not.toBe(policy.hash);
  expect(own.describe().rules.at(-1)).toMatchObject({ id: 'no-night-shift', file: 'city/policies/night.cedar', effect: 'forbid' });
});

test.each([
  ['a rule that permits', '@id("all") @because("All") permit (principal, action, resource);', 'may only forbid'],
  ['no id', '@because("All") forbid (principal, action, resource);', 'needs @id'],
  ['no words', '@id("all") forbid (principal, action, resource);', 'needs @because'],
  ['an id of the product', '@id("everybody-reads-what-is-public") @because("All") forbid (principal, action, resource);', 'stands twice'],
  ['an attribute that is not in the schema', '@id("rich") @because("No") forbid (principal, action, resource) when { principal.income > 3 };', 'income'],
  ['a resident', '@id("who") @because("No") forbid (principal, action, resource == Resident::"Rosa");', 'Resident'],
  ['an attribute of a case', '@id("who") @because("No") forbid (principal, action, resource is Case) when { resource.name == "Rosa" };', 'name'],
  ['a rule that can never apply', '@id("never") @because("No") forbid (principal is Anonymous, action == Action::"act.approve", resource is Case);', 'never'],
  ['an optional attribute without asking for it', '@id("unsafe") @because("No") forbid (principal is Person, action, resource) when { principal.department == "x" };', 'department'],
  ['no Cedar', 'forbid everything', 'city/policies'],
  ['a template', '@id("slot") @because("No") forbid (principal == ?principal, action, resource);', 'templates'],
])('a city\'s policy with %s does not start, and the file is named', (_name, text, said) => {
  const texts = readPolicyTexts(null);
  try {
    compilePolicy({ ...texts, city: [{ name: 'city/policies/own.cedar', text }] });
    expect.unreachable('it was taken');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    expect(error.refusals[0].code).toBe('start.config-invalid');
    expect(error.refusals[0].detail).toContain('own.cedar');
    expect(error.refusals[0].detail).toContain(said);
  }
});

test('the schema knows no resident and nothing about one (P15)', () => {
  const { schema } = readPolicyTexts(null);
  const code = schema.replace(/\/\/.*$/gm, '');
  const entities = [...code.matchAll(/\bentity ([\w, ]+?)(?: in| enum| \{|;)/g)].map(([, name]) => name);
  expect(entities).toEqual(['Position', 'Person', 'Token', 'Anonymous', 'Area', 'Case', 'DangerousAct']);
  expect(code).toMatch(/entity Case;/);
  expect([...code.matchAll(/^\s{2}(\w+)\??:/gm)].map(([, name]) => name)).toEqual(['department', 'device', 'purpose', 'reason', 'purpose', 'purpose_live', 'via']);
});

test('the tables of the public page are what the policy answers', () => {
  const { actions, acts, hash, files } = policy.describe();
  expect(hash).toBe(policyOf(readPolicyTexts(null)).hash);
  expect(files.map(({ name }) => name)).toEqual(['1-everybody.cedar', '2-positions.cedar', '3-two-people.cedar', '4-never.cedar']);
  expect(actions.find(({ action }) => action === 'audit.read')).toEqual({ action: 'audit.read', everybody: false, positions: ['auditor', 'data_protection_officer'] });
  expect(acts.find(({ act }) => act === 'look.seal')).toEqual({ act: 'look.seal', propose: ['supervisor', 'case_worker'], approve: ['data_protection_officer'] });
});

// The naive oracle: two tables and four sentences, none of them Cedar's.
const may = (principal: Principal, action: Action): boolean => {
  if (action === 'public' || action === 'sensing.read' || action === 'requests.submit') return true;
  if (principal.kind === 'anonymous') return false;
  if (action === 'session') return principal.kind === 'person';
  if (principal.device !== undefined && action !== 'sensing.write') return false;
  if (action === 'approvals.decide' && principal.kind === 'token') return false;
  return principal.positions.some((position) => EXPECTED[action].split(' ')[COLUMNS.indexOf(position)] === 'y');
};
const mayBe = (which: 0 | 1, positions: readonly Position[], act: DangerousAct): boolean => positions.some((position) => PAIRS[act][which].includes(LETTER[position]));

test('Cedar and a naive oracle give the same answer to every generated request', () => {
  const requests = Number(process.env['POLICY_REQUESTS'] ?? 20_000);
  let seed = 20_261_124;
  const draw = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const pick = <T>(list: readonly T[]): T => list[draw(list.length)] as T;
  const answers = new Map<string, number>();
  const differing: unknown[] = [];
  for (let n = 0; n < requests; n += 1) {
    const positions = POSITIONS.filter(() => draw(4) === 0);
    // a department or purpose of its own keeps most answers from being remembered ones
    const principal: Principal = pick<Principal>([
      { ...person(...positions), department: `Department ${n}` },
      { ...token(...positions), purpose: `purpose-${n}` },
      { ...token(...positions), purpose: `purpose-${n}`, device },
      ANONYMOUS,
      person(...positions),
    ]);
    const kind = draw(4);
    const act = pick(DANGEROUS_ACTS);
    let [got, expected]: [boolean, boolean] = [false, false];
    let question = '';
    if (kind === 0) {
      const context: LookContext = { purpose: `purpose-${n}`, purposeLive: draw(2) === 0, reason: draw(2) === 0, via: pick(['detail', 'list', 'search', 'export', 'print', 'api'] as const) };
      question = 'case.look';
      got = policy.mayLook(principal, context);
      expected = principal.kind !== 'anonymous' && principal.device === undefined && principal.positions.some((each) => ['operator', 'supervisor', 'case_worker'].includes(each)) && context.purposeLive && context.reason;
    } else if (kind === 1) {
      const own = draw(2) === 0;
      const verb = pick(['propose', 'approve'] as const);
      question = `${act} ${verb}`;
      got = policy.mayDecide(verb, { id: 'per_1', positions }, act, own ? 'per_1' : 'per_2');
      expected = mayBe(verb === 'propose' ? 0 : 1, positions, act) && (verb === 'propose' || !own);
    } else {
      const action = pick(ACTIONS);
      question = action;
      got = policy.authorize(principal, action);
      expected = may(principal, action);
    }
    if (got !== expected) differing.push({ question, principal, got, expected });
    answers.set(`${question} ${got}`, (answers.get(`${question} ${got}`) ?? 0) + 1);
  }
  expect(differing).toEqual([]);
  // each question was answered both ways, but for what nobody is denied
  for (const action of [...ACTIONS, 'case.look']) expect(answers.get(`${action} true`), action).toBeGreaterThan(0);
  for (const act of DANGEROUS_ACTS) for (const verb of ['propose', 'approve']) for (const said of [true, false]) expect(answers.get(`${act} ${verb} ${said}`), `${act} ${verb} ${said}`).toBeGreaterThan(0);
}, 600_000);
