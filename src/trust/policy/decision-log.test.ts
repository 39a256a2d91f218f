import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { ANONYMOUS, type Action, type Position, type Principal } from '../../contracts/principal.ts';
import { manualClock } from '../../kernel/index.ts';
import { silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { readBody } from '../log/log-store.ts';
import type { TransparencyLog } from '../log/log.ts';
import { createDecisionLog, hashOfLines, recordPolicy, type DecisionLog } from './decision-log.ts';
import { findPolicyDocument, listDecisions, listOfLeaf, listPolicyVersions } from './decision-store.ts';
import { readPolicyTexts } from './policy-texts.ts';
import { createPolicy, policyOf } from './policy.ts';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-11-24T06:10:00Z');
const clock = manualClock(START);
const policy = createPolicy(null);
const ALL = { before: undefined, pseudonym: undefined, action: undefined, allowed: undefined, limit: 1_000 };
let handle: DatabaseHandle;
let log: TransparencyLog;
let decisions: DecisionLog;

const who = (kind: Principal['kind'], ...positions: Position[]): Principal => ({ kind, id: 'per_1', name: 'Wanda Weiss', positions, pseudonym: 'p-k3v9' });
const WORKER = who('person', 'case_worker');
const call = (principal: Principal, action: Action, method: string, allowed: boolean, route = '/api/requests/:id') => decisions.noteRoute({ principal, action, method, route, allowed });
const open = (on: DatabaseHandle = handle): DecisionLog => createDecisionLog({ handle: on, clock, logger: silentLogger, policyHash: policy.hash, retentionDays: () => 30, log });

beforeAll(async () => {
  handle = await freshDatabase();
  log = await openLogIn(temporaryFolder(), handle);
  return () => log.close();
});
beforeEach(async () => {
  await handle.pool.query('delete from policy_decision');
  clock.set(START);
  decisions = open();
  return () => decisions.close();
});

test('notes denials of people and tokens, and what is allowed on cases, people, register and approvals; not reading, not readings', async () => {
  call(WORKER, 'people.manage', 'GET', false);
  call(who('token', 'device'), 'operations.read', 'GET', false);
  call(WORKER, 'requests.look', 'GET', true);
  call(WORKER, 'requests.work', 'POST', true);
  call(who('person', 'administrator'), 'people.manage', 'POST', true, '/api/people/:id/disable');
  const before = [
    ['anonymous', 'operations.read', 'GET', false],
    ['token', 'sensing.write', 'POST', true],
    ['person', 'requests.work', 'GET', true],
    ['person', 'people.manage', 'GET', true],
    ['person', 'operations.act', 'POST', true],
  ] as const;
  for (const [kind, action, method, allowed] of before) call(kind === 'anonymous' ? ANONYMOUS : who(kind, 'operator'), action, method, allowed);
  await decisions.write();
  const kept = await listDecisions(handle.db, ALL);
  expect(kept.map(({ action, resource, allowed }) => `${action} | ${resource} | ${allowed}`).reverse()).toEqual([
    'people.manage | GET /api/requests/:id | false',
    'operations.read | GET /api/requests/:id | false',
    'requests.look | GET /api/requests/:id | true',
    'requests.work | POST /api/requests/:id | true',
    'people.manage | POST /api/people/:id/disable | true',
  ]);
  expect(kept.at(-1)).toMatchObject({ pseudonym: 'p-k3v9', kind: 'person', positions: ['case_worker'], policyHash: policy.hash, count: 1, leaf: null, at: '2026-11-24T06:10:00.000Z' });
});

test('the same decision again counts up, and a name or an id of a case never stands in the record', async () => {
  for (let n = 0; n < 250; n += 1) call(WORKER, 'audit.read', 'GET', false);
  await decisions.write();
  call(WORKER, 'audit.read', 'GET', false);
  await decisions.write();
  expect((await listDecisions(handle.db, ALL)).map(({ count }) => count)).toEqual([1, 250]);
  const { rows } = await handle.pool.query('select * from policy_decision');
  expect(JSON.stringify(rows)).not.toMatch(/Wanda|per_1/);
});

test('a full queue refuses what must be noted with 503, and lets everything else pass', () => {
  const many = Array.from({ length: 5_000 }, (_, n) => call(WORKER, 'requests.look', 'POST', true, `/route/${n}`));
  expect(many.every((answer) => answer === null)).toBe(true);
  expect(call(WORKER, 'requests.look', 'POST', true, '/route/one-more')).toMatchObject({ code: 'http.overloaded' });
  expect(call(WORKER, 'requests.look', 'POST', true, '/route/7')).toBeNull();
  expect(call(WORKER, 'operations.read', 'GET', true)).toBeNull();
});

test('a flood of denials outside HTTP is a line when it begins, a line with its count, and never hinders what must be recorded', async () => {
  const device = who('token', 'device');
  for (let time = 0; time < 10_000; time += 1) decisions.noteDenied(device, 'sensing.write', 'MQTT PUBLISH v1.1/Datastreams(:id)/Observations');
  await decisions.write();
  expect((await listDecisions(handle.db, ALL)).map(({ count }) => count)).toEqual([1]);
  // more different clients than are told apart
  for (let client = 0; client < 7_000; client += 1) decisions.noteDenied({ ...device, pseudonym: `p-${client}` }, 'sensing.read', 'MQTT SUBSCRIBE');
  expect(call(WORKER, 'requests.look', 'GET', true)).toBeNull();
  await decisions.close();
  const kept = await listDecisions(handle.db, { ...ALL, limit: 3_000 });
  expect(kept.length).toBeLessThan(1_100);
  expect(kept.filter(({ resource }) => resource.startsWith('MQTT')).reduce((sum, { count }) => sum + count, 0)).toBe(17_000);
  expect(kept.filter(({ action }) => action === 'requests.look')).toMatchObject([{ allowed: true, policyHash: policy.hash }]);
  expect(kept.every(({ resource, allowed }) => !resource.startsWith('MQTT') || !allowed)).toBe(true);
});

test('a database that is away loses nothing: the lines wait and are written later', async () => {
  const away = await freshDatabase();
  const waiting = open(away);
  await away.pool.query('alter table policy_decision rename to gone');
  waiting.noteRoute({ principal: WORKER, action: 'requests.look', method: 'POST', route: '/a', allowed: true });
  await expect(waiting.write()).rejects.toThrow('policy_decision');
  waiting.noteRoute({ principal: WORKER, action: 'requests.look', method: 'POST', route: '/a', allowed: true });
  await away.pool.query('alter table gone rename to policy_decision');
  await waiting.close();
  expect(await listDecisions(away.db, ALL)).toMatchObject([{ resource: 'POST /a', count: 2 }]);
});

test('an hour that is over gets one leaf over its lines; a changed line does not match it any more', async () => {
  call(WORKER, 'requests.look', 'POST', true);
  call(WORKER, 'audit.read', 'GET', false);
  await decisions.write();
  await decisions.seal();
  expect((await listDecisions(handle.db, ALL)).map(({ leaf }) => leaf)).toEqual([null, null]);
  clock.set(START + HOUR_MS);
  call(WORKER, 'audit.read', 'GET', false);
  await decisions.write();
  await Promise.all([decisions.seal(), decisions.seal()]);
  const [newest, ...sealed] = await listDecisions(handle.db, ALL);
  expect(newest?.leaf).toBeNull();
  const leaf = sealed[0]?.leaf ?? -1;
  expect(sealed.map((line) => line.leaf)).toEqual([leaf, leaf]);
  const lines = await listOfLeaf(handle.db, leaf);
  const body = JSON.parse((await readBody(handle.db, 'policy.decisions', leaf))?.body ?? 'null') as unknown;
  expect(body).toEqual({ until: '2026-11-24T07:00:00.000Z', lines: 2, hash: hashOfLines(lines) });
  // the hash as somebody else would compute it
  const text = lines.map((line) => `{"action":"${line.action}","allowed":${line.allowed},"at":"${line.at.toISOString()}","count":${line.count},"id":${line.id},"kind":"person","policyHash":"${policy.hash}","positions":["case_worker"],"pseudonym":"p-k3v9","resource":"${line.resource}"}\n`);
  expect(hashOfLines(lines)).toBe(createHash('sha256').update(text.join('')).digest('hex'));
  await handle.pool.query(`update policy_decision set allowed = true where action = 'audit.read' and leaf = $1`, [leaf]);
  expect(hashOfLines(await listOfLeaf(handle.db, leaf))).not.toBe((body as { hash: string }).hash);
});

test('lines are kept as long as the register says and no longer, and never go before they have their leaf', async () => {
  call(WORKER, 'requests.look', 'POST', true);
  await decisions.write();
  clock.set(START + 31 * 24 * HOUR_MS);
  const without = createDecisionLog({ handle, clock, logger: silentLogger, policyHash: policy.hash, retentionDays: () => 30, log: null });
  await without.seal();
  await without.close();
  expect(await listDecisions(handle.db, ALL)).toHaveLength(1);
  await decisions.seal();
  expect(await listDecisions(handle.db, ALL)).toHaveLength(0);
});

test('another policy leaves a leaf and its text; the same one again leaves none', async () => {
  await recordPolicy(policy, { handle, clock, log });
  const size = log.size();
  await recordPolicy(policy, { handle, clock, log });
  expect(log.size()).toBe(size);
  const texts = readPolicyTexts(null);
  const other = policyOf({ ...texts, city: [{ name: 'city/policies/own.cedar', text: '@id("no-audit") @because("None here.") forbid (principal, action == Action::"audit.read", resource);' }] });
  clock.advance(1);
  await recordPolicy(other, { handle, clock, log });
  const [last, before] = await listPolicyVersions(handle.db, 10);
  expect([last?.hash, before?.hash]).toEqual([other.hash, policy.hash]);
  expect(JSON.parse((await readBody(handle.db, 'policy.changed', last?.leaf ?? -1))?.body ?? 'null')).toEqual({ hash: other.hash, before: policy.hash });
  expect(await findPolicyDocument(handle.db, other.hash)).toContain('no-audit');
  clock.advance(1);
  await recordPolicy(policy, { handle, clock, log });
  expect((await listPolicyVersions(handle.db, 10))[0]?.hash).toBe(policy.hash);
});
