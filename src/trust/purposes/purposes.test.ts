import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { freshDatabase } from '../../../test/database.ts';
import type { Approval } from '../../contracts/approval.ts';
import type { Principal } from '../../contracts/principal.ts';
import { Purpose } from '../../contracts/trust.ts';
import { manualClock, ok, systemRandom, unwrap } from '../../kernel/index.ts';
import { createBus, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { createApprovals } from '../approvals/approvals.ts';
import type { Json } from '../log/canonical.ts';
import { createRegisterChanges } from './changes.ts';
import { createPurposes, readPurposes } from './purposes.ts';
import { applyChange, canonicalRegister, changeTowards, hashRegister, parseRegister } from './register.ts';

const NOW = Date.parse('2026-11-24T06:00:00Z');
const DAY_MS = 86_400_000;
const entry = (id: string, more = '') => `
  - id: ${id}
    title: Noise of places
    description: Levels at crossings, to plan quiet streets.
    legal_basis: Environmental noise directive 2002/49/EC
    owner: Environment office
    retention_days: 30
${more}`;
const purpose = (id: string, more: Record<string, unknown> = {}): Purpose => Purpose.parse({ id, title: 'Noise of places', description: 'Levels at crossings, to plan quiet streets.', legal_basis: 'Environmental noise directive 2002/49/EC', owner: 'Environment office', retention_days: 30, ...more });

test('a register with an unknown key, a wrong value or a double id is refused with its place', () => {
  const unknown = parseRegister(`purposes:${entry('noise', '    colour: red\n')}`);
  expect(unknown.ok ? '' : unknown.refusal.detail).toMatch(/purposes\.0.*colour/);
  const wrong = parseRegister(`purposes:${entry('noise').replace('30', 'soon')}`);
  expect(wrong.ok ? '' : wrong.refusal.field).toBe('purposes.0.retention_days');
  const twice = parseRegister(`purposes:${entry('noise')}${entry('noise')}`);
  expect(twice.ok ? '' : twice.refusal.detail).toMatch(/twice/);
  expect(parseRegister('a: [').ok).toBe(false);
  const fieldOf = (more: string): string | undefined => {
    const parsed = parseRegister(`purposes:${entry('noise', more)}`);
    return parsed.ok ? 'none' : parsed.refusal.field;
  };
  expect(fieldOf('    starts: "2026-12-01"\n    ends: "2026-11-30"\n')).toBe('purposes.0.ends');
  expect(fieldOf('    transfers: [Elsewhere]\n')).toBe('purposes.0.transfers');
  expect(fieldOf('    data_subjects: [Residents]\n')).toBe('purposes.0.data_subjects');
  expect(fieldOf('    dpia: "javascript:alert(1)"\n')).toBe('purposes.0.dpia');
  expect(fieldOf('    personal_data: true\n    data_subjects: [Residents]\n')).toBe('none');
});

test('the day before its end, its last day and the day after', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(Date.parse('2026-11-29T12:00:00Z'));
  const register = unwrap(await createPurposes({ handle, clock, yaml: `purposes:${entry('noise', '    ends: "2026-11-30"\n')}${entry('later', '    starts: "2026-12-01"\n')}` }));
  let told = 0;
  register.onChange(() => (told += 1));
  expect([register.live('noise'), register.live('later'), register.live('faces')]).toEqual([true, false, false]);
  expect(register.refusalOf('later')?.detail).toMatch(/begins on 2026-12-01/);
  clock.set(Date.parse('2026-11-30T23:59:59.999Z'));
  await register.refresh();
  expect([register.live('noise'), register.refusalOf('noise'), told]).toEqual([true, null, 0]);
  clock.set(Date.parse('2026-12-01T00:00:00Z'));
  await register.refresh();
  expect([register.live('noise'), register.live('later'), told]).toEqual([false, true, 1]);
  expect(register.refusalOf('noise')).toMatchObject({ code: 'purpose.expired', detail: 'The purpose noise has ended on 2026-11-30.' });
  expect(register.refusalOf('faces')?.code).toBe('purpose.unknown');
  register.close();
});

test('a city without a register of its own starts with a small one', async () => {
  const handle = await freshDatabase();
  const register = unwrap(await createPurposes({ handle, clock: manualClock(0), yaml: null }));
  expect(register.all().map(({ id }) => id)).toEqual(['city-operations', 'service-requests']);
  expect(register.waitingFile()).toBe(null);
});

test('a register of an earlier release gets its new form and nothing else changes', async () => {
  const handle = await freshDatabase();
  const old = [{ id: 'noise', title: 'Noise of places', description: 'Levels at crossings, to plan quiet streets.', legal_basis: 'Environmental noise directive 2002/49/EC', owner: 'Environment office', retention_days: 30, ends: null, personal_data: false, observes: ['noise'] }];
  await handle.pool.query('insert into purpose_register (since, hash, document) values ($1, $2, $3)', [new Date(NOW), 'an-old-hash', JSON.stringify(old)]);
  const log = leaves();
  const register = unwrap(await createPurposes({ handle, clock: manualClock(NOW), log, yaml: `purposes:${entry('noise', '    observes: [noise]\n')}` }));
  expect(register.all()).toEqual([purpose('noise', { observes: ['noise'] })]);
  expect(register.waitingFile()).toBe(null);
  expect(register.hash()).toBe(hashRegister(canonicalRegister(register.all())));
  expect(log.told.map(({ kind }) => kind)).toEqual(['purpose.register', 'purpose.register']);
  const { rows } = await handle.pool.query<{ log_index: number | null }>('select log_index from purpose_register order by version');
  expect(rows.every(({ log_index }) => log_index !== null)).toBe(true);
});

test('a file that two people have not agreed to changes nothing, and says what it would change', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(NOW);
  const first = unwrap(await createPurposes({ handle, clock, yaml: `purposes:${entry('noise')}${entry('waste')}` }));
  const file = `purposes:${entry('noise').replace('30', '60')}${entry('rain')}`;
  const register = unwrap(await createPurposes({ handle, clock, yaml: file }));
  expect([register.version(), register.hash()]).toEqual([first.version(), first.hash()]);
  expect(register.live('rain')).toBe(false);
  expect(changeTowards(register.all(), register.waitingFile() ?? [])).toEqual({ set: [purpose('noise', { retention_days: 60 }), purpose('rain')], end: ['waste'] });
  const changes = createRegisterChanges({ purposes: register, approvals: { on: () => undefined, propose: async () => ok({} as Approval) } });
  expect(changes.fileChanges()).toEqual(
    expect.arrayContaining([
      { path: 'noise.retention_days', from: '30', to: '60' },
      { path: 'rain.owner', from: null, to: 'Environment office' },
      { path: 'waste.ended', from: 'false', to: 'true' },
    ]),
  );
});

test('nothing is taken out of the register, and a change that is none is refused', () => {
  const now = [purpose('noise'), purpose('waste')];
  const ended = unwrap(applyChange(now, { set: [], end: ['waste'] }));
  expect(ended.map(({ id, ended: over }) => [id, over])).toEqual([['noise', false], ['waste', true]]);
  const codeOf = (set: readonly Purpose[], end: readonly string[]): string => {
    const applied = applyChange(now, { set, end });
    return applied.ok ? 'taken' : applied.refusal.code;
  };
  expect(codeOf([], ['unheard'])).toBe('purpose.unknown');
  expect(codeOf([purpose('noise')], [])).toBe('purpose.change-invalid');
  expect(codeOf([purpose('rain'), purpose('rain')], [])).toBe('purpose.change-invalid');
  expect(codeOf([purpose('rain', { starts: '2027-01-02', ends: '2027-01-01' })], [])).toBe('purpose.change-invalid');
  expect(codeOf([purpose('rain')], [])).toBe('taken');
});

test('whatever is agreed to, no purpose leaves the register, what ended is not live, and the hash knows no order', () => {
  const ids = ['noise', 'waste', 'rain', 'light'];
  const date = fc.constantFrom(null, '2026-11-23', '2026-11-24', '2026-11-30');
  const step = fc.record({ set: fc.array(fc.record({ id: fc.constantFrom(...ids), ends: date, retention_days: fc.integer({ min: 1, max: 36_500 }) }), { maxLength: 3 }), end: fc.array(fc.constantFrom(...ids, 'unheard'), { maxLength: 2 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      let current: readonly Purpose[] = [purpose('noise')];
      for (const { set, end } of steps) {
        const next = applyChange(current, { set: set.map(({ id, ...more }) => purpose(id, more)), end });
        if (!next.ok) continue;
        for (const { id } of current) if (!next.value.some((each) => each.id === id)) return false;
        for (const id of end) if (next.value.find((each) => each.id === id)?.ended !== true) return false;
        current = next.value;
      }
      const back = parseRegister(stringify({ purposes: [...current].reverse() }));
      return back.ok && hashRegister(canonicalRegister(back.value)) === hashRegister(canonicalRegister(current)) && changeTowards(current, back.value).set.length === 0;
    }),
    { numRuns: 300 },
  );
});

test('two people change the register; it counts at once here and in other processes, and each version has its leaf', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(NOW);
  const log = leaves();
  const [here, there] = [await createBus(handle, clock, silentLogger), await createBus(handle, clock, silentLogger)];
  const register = unwrap(await createPurposes({ handle, clock, bus: here, log, yaml: `purposes:${entry('noise', '    ends: "2026-11-30"\n')}` }));
  const elsewhere = unwrap(await readPurposes({ handle, clock, bus: there }));
  const approvals = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log, may: (verb, who, _act, proposer) => verb === 'propose' || who.id !== proposer, note: () => null });
  const changes = createRegisterChanges({ purposes: register, approvals });
  const [ada, ben] = [await addPerson(handle, 'ada'), await addPerson(handle, 'ben')];

  const renewal = unwrap(await changes.propose(ada, { set: [purpose('noise', { ends: '2027-11-30' })], end: [], from_file: false, reason: 'The council prolonged it.' }));
  expect(renewal.changes).toEqual([{ path: 'noise.ends', from: '2026-11-30', to: '2027-11-30' }]);
  expect(register.version()).toBe(elsewhere.version());
  expect((await approvals.approve(ada, renewal.id)).ok).toBe(false);
  const competing = unwrap(await changes.propose(ben, { set: [], end: ['noise'], from_file: false, reason: 'Nobody uses it any more.' }));
  expect(unwrap(await approvals.approve(ben, renewal.id)).approval.state).toBe('performed');
  clock.advance(30 * DAY_MS);
  expect(register.live('noise')).toBe(true);
  await expect.poll(() => elsewhere.hash(), { timeout: 30_000 }).toBe(register.hash());
  expect(elsewhere.live('noise')).toBe(true);

  clock.advance(-30 * DAY_MS);
  const late = await approvals.approve(ada, competing.id);
  expect(late.ok ? '' : late.refusal.code).toBe('purpose.register-changed');
  const again = unwrap(await changes.propose(ben, { set: [], end: ['noise'], from_file: false, reason: 'Nobody uses it any more.' }));
  unwrap(await approvals.approve(ada, again.id));
  expect([register.live('noise'), register.refusalOf('noise')?.code]).toEqual([false, 'purpose.expired']);
  await expect.poll(() => elsewhere.live('noise'), { timeout: 30_000 }).toBe(false);

  const { rows } = await handle.pool.query<{ hash: string; approval: string | null; log_index: number }>('select hash, approval, log_index from purpose_register order by version');
  expect(rows.map(({ approval }) => approval)).toEqual([null, renewal.id, again.id]);
  for (const { hash, log_index } of rows) expect(log.told[log_index]).toMatchObject({ kind: 'purpose.register', body: { hash } });
  approvals.close();
  register.close();
  elsewhere.close();
  await here.close();
  await there.close();
});

test('of two approvals at the same moment one counts; an old one, a repeated one and the own one do not; prolonging, shortening and adding do', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(NOW);
  const log = leaves();
  const bus = await createBus(handle, clock, silentLogger);
  const register = unwrap(await createPurposes({ handle, clock, bus, log, yaml: `purposes:${entry('noise', '    ends: "2026-11-30"\n')}` }));
  const elsewhere = unwrap(await readPurposes({ handle, clock, bus }));
  const approvals = await createApprovals({ handle, clock, random: systemRandom, logger: silentLogger, log, may: (verb, who, _act, proposer) => verb === 'propose' || who.id !== proposer, note: () => null });
  const changes = createRegisterChanges({ purposes: register, approvals });
  const [ada, ben, cem] = [await addPerson(handle, 'ada'), await addPerson(handle, 'ben'), await addPerson(handle, 'cem')];
  const propose = async (who: Principal, set: readonly Purpose[], end: readonly string[] = []) => unwrap(await changes.propose(who, { set: [...set], end: [...end], from_file: false, reason: 'The council decided so.' }));
  const codeOf = async (answer: ReturnType<typeof approvals.approve>): Promise<string> => {
    const result = await answer;
    return result.ok ? result.value.approval.state : result.refusal.code;
  };

  // prolonged, shortened and added, each by two people
  for (const [set, ends] of [[purpose('noise', { ends: '2027-11-30' }), '2027-11-30'], [purpose('noise', { ends: '2026-12-15' }), '2026-12-15'], [purpose('rain', { starts: '2026-11-24', ends: '2026-12-24' }), '2026-12-24']] as const) {
    expect(await codeOf(approvals.approve(ben, (await propose(ada, [set])).id))).toBe('performed');
    expect([set.id, register.get(set.id)?.ends, register.live(set.id)]).toEqual([set.id, ends, true]);
    await expect.poll(() => elsewhere.get(set.id)?.ends, { timeout: 30_000 }).toBe(ends);
  }

  // two proposals on the same register, approved at once by different people
  const version = register.version();
  const rivals = [await propose(ada, [purpose('noise', { ends: '2028-01-01' })]), await propose(ben, [], ['noise'])];
  const answers = await Promise.all([codeOf(approvals.approve(cem, rivals[0]?.id ?? '')), codeOf(approvals.approve(ada, rivals[1]?.id ?? ''))]);
  expect(answers.sort()).toEqual(['performed', 'purpose.register-changed']);
  expect(register.version()).toBe(version + 1);

  // the same proposal by two people at once, by its proposer, and once more
  const one = await propose(ada, [purpose('rain', { retention_days: 7 })]);
  expect(await codeOf(approvals.approve(ada, one.id))).toBe('approval.same-person');
  const twice = await Promise.all([codeOf(approvals.approve(ben, one.id)), codeOf(approvals.approve(cem, one.id))]);
  expect(twice.filter((code) => code === 'performed')).toHaveLength(1);
  expect(await codeOf(approvals.approve(cem, one.id))).not.toBe('performed');
  expect(register.version()).toBe(version + 2);

  // after a day it does not count any more
  const old = await propose(ada, [purpose('rain', { retention_days: 8 })]);
  clock.advance(DAY_MS + 1);
  expect(await codeOf(approvals.approve(ben, old.id))).toBe('approval.expired');
  expect([register.version(), register.get('rain')?.retention_days]).toEqual([version + 2, 7]);
  const { rows } = await handle.pool.query<{ n: number }>('select count(*)::int as n from purpose_register where approval is not null');
  expect(rows).toEqual([{ n: register.version() - 1 }]);
  approvals.close();
  register.close();
  elsewhere.close();
  await bus.close();
});

function leaves(): { told: { kind: string; body: Json }[]; appendBody(kind: string, body: Json): Promise<number> } {
  const told: { kind: string; body: Json }[] = [];
  return { told, appendBody: async (kind, body) => told.push({ kind, body }) - 1 };
}

async function addPerson(handle: DatabaseHandle, name: string): Promise<Principal> {
  const id = `per_${name}`;
  await handle.pool.query(`insert into person (id, name, name_key, positions, pseudonym, created_at) values ($1, $2, $2, '{administrator}', $3, now())`, [id, name, `p-${name}`]);
  return { kind: 'person', id, name, positions: ['administrator'], pseudonym: `p-${name}` };
}
