import { beforeAll, beforeEach, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { DANGEROUS_ACTS, type DangerousAct } from '../../contracts/approval.ts';
import type { Position, Principal } from '../../contracts/principal.ts';
import { manualClock, ok, refuse, systemRandom, unwrap, type Result } from '../../kernel/index.ts';
import { silentLogger, type DatabaseHandle, type Trx } from '../../platform/index.ts';
import type { Json } from '../log/canonical.ts';
import { readBody } from '../log/log-store.ts';
import type { TransparencyLog } from '../log/log.ts';
import { createPolicy } from '../policy/policy.ts';
import { createApprovals, type Approvals, type Perform } from './approvals.ts';

const policy = createPolicy(null);
const { acts } = policy.describe();
const ACT_POSITIONS = Object.fromEntries(acts.map(({ act, ...positions }) => [act, positions])) as Record<DangerousAct, { propose: Position[]; approve: Position[] }>;
const DAY_MS = 24 * 3_600_000;
const REASON = 'The council decided it on 20 November';
const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
const BODY = { before: { ends: null }, after: { ends: '2026-12-31' } };

let handle: DatabaseHandle;
let log: TransparencyLog;
let approvals: Approvals;
let people = 0;
const noted: string[] = [];
const note = (who: Principal, action: string, resource: string, allowed: boolean): null => {
  noted.push(`${who.pseudonym} ${action} ${resource} ${allowed}`);
  return null;
};

/** A person with an account. */
const staff = async (...positions: Position[]): Promise<Principal> => {
  people += 1;
  const id = `per_${people}`;
  const person = { id, name: `Person ${people}`, positions, pseudonym: `p-${people}` };
  await handle.pool.query('insert into person (id, name, name_key, positions, pseudonym, created_at) values ($1, $2, $1, $3, $4, now())', [id, person.name, positions, person.pseudonym]);
  return { kind: 'person', ...person };
};
const disable = (person: Principal): Promise<unknown> => handle.pool.query('update person set disabled_at = now() where id = $1', [person.id]);
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.refusal.code);
const spend = (id: string, act: DangerousAct, subject: string, body: Json): Promise<Result<unknown>> => handle.db.transaction().execute((trx: Trx) => approvals.spend(trx, id, act, subject, body));
const leafOf = async (kind: string, index: number | undefined): Promise<Record<string, unknown>> => JSON.parse((await readBody(handle.db, kind, index ?? -1))?.body ?? 'null') as Record<string, unknown>;
const restart = async (): Promise<void> => {
  approvals.close();
  approvals = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log, may: policy.mayDecide, note });
};

beforeAll(async () => {
  handle = await freshDatabase();
  log = await openLogIn(temporaryFolder(), handle);
  return () => log.close();
});
beforeEach(async () => {
  await handle.pool.query('delete from approval; delete from person');
  approvals = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log, may: policy.mayDecide, note });
  return () => approvals.close();
});

test.each(DANGEROUS_ACTS)('%s: one person, the same person twice, a revoked second, a lost position, another body, an old and a replayed approval are refused', async (act) => {
  const first = await staff(ACT_POSITIONS[act].propose[0] as Position, ...ACT_POSITIONS[act].approve);
  const second = await staff(ACT_POSITIONS[act].approve[0] as Position);
  const outsider = await staff('operator', 'auditor');
  const propose = async (): Promise<string> => unwrap(await approvals.propose(first, act, 'thing-1', BODY, REASON)).id;
  expect(codeOf(await approvals.propose(outsider, act, 'thing-1', BODY, REASON))).toBe('auth.forbidden');
  expect(noted.at(-1)).toBe(`${outsider.pseudonym} act.propose ${act} false`);

  const alone = await propose();
  expect(codeOf(await spend(alone, act, 'thing-1', BODY))).toBe('approval.needed');
  expect(codeOf(await approvals.approve(first, alone))).toBe('approval.same-person');
  expect(codeOf(await approvals.approve(outsider, alone))).toBe('auth.forbidden');
  expect(codeOf(await approvals.approve({ ...second, kind: 'token' }, alone))).toBe('auth.forbidden');
  expect((await approvals.get(alone))?.state).toBe('open');

  const { approval } = unwrap(await approvals.approve(second, alone));
  expect(noted.at(-1)).toBe(`${second.pseudonym} act.approve ${act} true`);
  expect(approval).toMatchObject({ state: 'approved', proposer: { pseudonym: first.pseudonym }, decider: { pseudonym: second.pseudonym, name: second.name } });
  expect(await leafOf('approval.approved', approval.leaves[1])).toEqual({ id: alone, act, hash: approval.hash, proposer: first.pseudonym, approver: second.pseudonym });
  expect(codeOf(await spend(alone, act, 'thing-1', { ...BODY, after: { ends: null } }))).toBe('approval.different');
  expect(codeOf(await spend(alone, act, 'thing-2', BODY))).toBe('approval.different');
  expect(codeOf(await spend(alone, DANGEROUS_ACTS.find((other) => other !== act) as DangerousAct, 'thing-1', BODY))).toBe('approval.different');
  expect(unwrap(await spend(alone, act, 'thing-1', BODY))).toMatchObject({ proposer: { id: first.id }, approver: { id: second.id }, body: BODY });
  expect(codeOf(await spend(alone, act, 'thing-1', BODY))).toBe('approval.spent');
  expect(codeOf(await approvals.approve(second, alone))).toBe('approval.spent');

  const old = await propose();
  unwrap(await approvals.approve(second, old));
  const older = await propose();
  clock.advance(DAY_MS);
  expect(codeOf(await spend(old, act, 'thing-1', BODY))).toBe('approval.expired');
  expect(codeOf(await approvals.approve(second, older))).toBe('approval.expired');
  expect((await approvals.list()).map(({ state }) => state).sort()).toEqual(['expired', 'expired', 'spent']);

  const late = await propose();
  const approved = await propose();
  unwrap(await approvals.approve(second, approved));
  await handle.pool.query(`update person set positions = '{operator}' where id = $1`, [second.id]);
  expect(codeOf(await spend(approved, act, 'thing-1', BODY))).toBe('approval.person-gone');
  expect(codeOf(await approvals.approve(second, late))).toBe('approval.person-gone');
  await handle.pool.query('update person set positions = $2 where id = $1', [second.id, second.positions]);
  await disable(second);
  expect(codeOf(await approvals.approve(second, late))).toBe('approval.person-gone');
  const third = await staff(ACT_POSITIONS[act].approve[0] as Position);
  await disable(first);
  expect(codeOf(await approvals.approve(third, late))).toBe('approval.person-gone');
});

test('an approval does what was proposed, once, after its leaf, also when two approve at the same moment', async () => {
  const first = await staff('administrator');
  const seconds = await Promise.all(Array.from({ length: 6 }, () => staff('administrator')));
  const done: { size: number; approver: string }[] = [];
  approvals.on('key.rotate', (agreement) => {
    done.push({ size: log.size() - agreement.leaf, approver: agreement.approver.pseudonym });
    return Promise.resolve(ok({ rewrapped: 3 }));
  });
  const { id } = unwrap(await approvals.propose(first, 'key.rotate', 'root', {}, REASON));
  const answers = await Promise.all(seconds.map((second) => approvals.approve(second, id)));
  expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
  expect(answers.filter((answer) => codeOf(answer) === 'approval.spent')).toHaveLength(5);
  expect(done).toHaveLength(1);
  expect(done[0]?.size).toBeGreaterThan(0);
  const won = answers.find(({ ok }) => ok);
  expect(won).toMatchObject({ value: { performed: { rewrapped: 3 }, approval: { state: 'performed' } } });
  const { leaves } = (await approvals.get(id)) ?? { leaves: [] };
  expect(await leafOf('approval.performed', leaves[2])).toMatchObject({ id, proposer: first.pseudonym, approver: done[0]?.approver });
});

test('what the act refuses is the answer, and a fault in it is kept as failed', async () => {
  const [first, second] = [await staff('administrator'), await staff('data_protection_officer')];
  let perform: Perform = () => Promise.resolve(refuse('key.gone', 'It was destroyed.'));
  approvals.on('identity.disclose', (agreement) => perform(agreement));
  const refused = unwrap(await approvals.propose(first, 'identity.disclose', 'p-1', {}, REASON)).id;
  expect(codeOf(await approvals.approve(second, refused))).toBe('key.gone');
  expect(await approvals.get(refused)).toMatchObject({ state: 'failed', outcome: 'key.gone' });
  perform = () => Promise.reject(new Error('the disk broke'));
  const broken = unwrap(await approvals.propose(first, 'identity.disclose', 'p-1', {}, REASON)).id;
  await expect(approvals.approve(second, broken)).rejects.toThrow('the disk broke');
  expect(await approvals.get(broken)).toMatchObject({ state: 'failed', outcome: 'fault' });
  expect(() => approvals.on('identity.disclose', perform)).toThrow('has a performer');
});

test('an approval is spent if and only if the transaction of the act commits; its end gets a leaf afterwards', async () => {
  const [first, second] = [await staff('case_worker'), await staff('data_protection_officer')];
  const { id } = unwrap(await approvals.propose(first, 'case.export', 'all', { format: 'csv' }, REASON));
  unwrap(await approvals.approve(second, id));
  await expect(
    handle.db.transaction().execute(async (trx) => {
      unwrap(await approvals.spend(trx, id, 'case.export', 'all', { format: 'csv' }));
      throw new Error('the export broke');
    }),
  ).rejects.toThrow('the export broke');
  const both = await Promise.all([spend(id, 'case.export', 'all', { format: 'csv' }), spend(id, 'case.export', 'all', { format: 'csv' })]);
  expect(both.map(codeOf).sort()).toEqual(['approval.spent', 'ok']);
  await approvals.settle();
  const spent = await approvals.get(id);
  expect(spent?.state).toBe('spent');
  expect(await leafOf('approval.spent', spent?.leaves[2])).toMatchObject({ id, approver: second.pseudonym });
});

test('a proposal can be declined by the second person and taken back by the first, with a reason', async () => {
  const [first, second, other] = [await staff('administrator'), await staff('data_protection_officer'), await staff('operator')];
  const id = unwrap(await approvals.propose(first, 'purpose.change', 'air', BODY, REASON)).id;
  expect(codeOf(await approvals.decline(second, id, 'no'))).toBe('http.invalid');
  expect(codeOf(await approvals.decline(other, id, 'Not for me to say'))).toBe('auth.forbidden');
  expect(unwrap(await approvals.decline(second, id, 'The end date is wrong'))).toMatchObject({ state: 'declined', outcome: 'The end date is wrong', decider: { pseudonym: second.pseudonym } });
  expect(codeOf(await approvals.approve(second, id))).toBe('approval.spent');
  const own = unwrap(await approvals.propose(first, 'purpose.change', 'air', BODY, REASON)).id;
  expect(unwrap(await approvals.decline(first, own, 'I named the wrong purpose'))).toMatchObject({ state: 'declined', decider: null });
});

test('bad input names its field, and open proposals are bounded', async () => {
  const first = await staff('administrator');
  const propose = (subject: string, body: Json, reason: string): Promise<Result<unknown>> => approvals.propose(first, 'key.rotate', subject, body, reason);
  expect(await propose('root', {}, 'short')).toMatchObject({ refusal: { code: 'http.invalid', field: 'reason' } });
  expect(await propose('', {}, REASON)).toMatchObject({ refusal: { code: 'http.invalid', field: 'subject' } });
  expect(await propose('root', { text: 'x'.repeat(262_144) }, REASON)).toMatchObject({ refusal: { code: 'http.too-large' } });
  expect(codeOf(await approvals.approve(first, 'apr_none'))).toBe('approval.not-found');
  for (let n = 0; n < 20; n += 1) unwrap(await propose('root', {}, REASON));
  expect(codeOf(await propose('root', {}, REASON))).toBe('http.too-many-requests');
});

test('a log that takes nothing stops a proposal and an approval; the proposal stays open', async () => {
  const [first, second] = [await staff('administrator'), await staff('administrator')];
  const id = unwrap(await approvals.propose(first, 'key.rotate', 'root', {}, REASON)).id;
  const closed = await openLogIn(temporaryFolder(), await freshDatabase());
  await closed.close();
  const without = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log: closed, may: policy.mayDecide, note });
  let performed = 0;
  without.on('key.rotate', () => Promise.resolve(ok((performed += 1))));
  expect(codeOf(await without.approve(second, id))).toBe('look.log-unavailable');
  expect(codeOf(await without.propose(first, 'key.rotate', 'root', {}, REASON))).toBe('look.log-unavailable');
  without.close();
  expect(performed).toBe(0);
  expect(await approvals.get(id)).toMatchObject({ state: 'open', decider: null });
});

test('a stop in the middle leaves nothing approved: the word is asked for again, a begun act has failed', async () => {
  const [first, second] = [await staff('administrator'), await staff('administrator')];
  const [waiting, begun] = [unwrap(await approvals.propose(first, 'key.rotate', 'root', {}, REASON)).id, unwrap(await approvals.propose(first, 'key.rotate', 'root', {}, REASON)).id];
  await handle.pool.query(`update approval set state = 'approving', decider_id = $2, decider = 'p-x', decided_at = now() where id = $1`, [waiting, second.id]);
  await handle.pool.query(`update approval set state = 'performing', decider_id = $2, decider = 'p-x', decided_at = now() where id = $1`, [begun, second.id]);
  await restart();
  expect(await approvals.get(waiting)).toMatchObject({ state: 'open', decider: null });
  expect(await approvals.get(begun)).toMatchObject({ state: 'failed', outcome: 'interrupted' });
});

test('the list says what each person may decide, why not, and how many could', async () => {
  const [first, second, auditor] = [await staff('administrator'), await staff('data_protection_officer'), await staff('auditor')];
  unwrap(await approvals.propose(first, 'purpose.change', 'air', BODY, REASON));
  expect(await approvals.listFor(first)).toMatchObject({ waiting: 0, approvers: 2, approvals: [{ mayApprove: false, hindrance: 'You proposed this yourself.' }] });
  expect(await approvals.listFor(second)).toMatchObject({ waiting: 1, approvals: [{ mayApprove: true, hindrance: null, changes: [{ path: 'ends', from: null, to: '2026-12-31' }] }] });
  expect(await approvals.listFor(auditor)).toMatchObject({ waiting: 0 });
});
