import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import { Refused, systemClock, unwrap, type Result } from '../../src/kernel/index.ts';
import type { DatabaseHandle } from '../../src/platform/index.ts';
import type { BrokerClient } from '../../src/trust/keys/broker-client.ts';
import { createCases, type Cases, type OpenAct } from '../../src/trust/keys/cases.ts';
import { hashLeaf } from '../../src/trust/log/merkle.ts';
import type { TransparencyLog } from '../../src/trust/log/log.ts';
import { createPurposes } from '../../src/trust/purposes/index.ts';
import { meetBrokerIn } from '../broker.ts';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';

/** `CALLS=10000` for the long run. */
const CALLS = Number(process.env['CALLS'] ?? 250);
const SEED = Number(process.env['SEED'] ?? 20_261_124);
const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
`;
const WORKER: Principal = { kind: 'person', id: 'per_1', name: 'Wanda Weiss', positions: ['case_worker'], pseudonym: 'p-k3v9' };
const ACT: OpenAct = { principal: WORKER, position: 'case_worker', purpose: 'service-requests', reason: 'Ask where exactly the lamp is' };
/** What may come in the place of plain text; anything else is a fault. */
const AWAY: readonly string[] = ['key.broker-away', 'look.log-unavailable'];

const folder = temporaryFolder();
let handle: DatabaseHandle;
let log: TransparencyLog;
let broker: BrokerClient;
let cases: Cases;
/** Runs around each call to the broker; tests put their kills here. */
let around: <T>(operation: string, call: () => Promise<T>) => Promise<T> = (_operation, call) => call();

const kill = (): void => {
  const pid = broker.pid();
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
};
const phoneOf = (caseId: string): string => `+49 30 ${caseId}`;
const sealFor = (caseId: string): Promise<void> => handle.db.transaction().execute((trx) => cases.seal(trx, caseId, 'contact', { name: `name of ${caseId}`, phone: phoneOf(caseId) }, `secret of ${caseId}`));

beforeAll(async () => {
  handle = await freshDatabase();
  log = await openLogIn(folder, handle);
  const purposes = unwrap(await createPurposes({ handle, clock: systemClock, yaml: PURPOSES }));
  broker = await meetBrokerIn(folder, log.verifierKey());
  const watched: BrokerClient = { ...broker, call: (operation, call) => around(operation, () => broker.call(operation, call)) };
  cases = await createCases({ handle, clock: systemClock, broker: watched, log, purposes, authorize: () => true, mayLook: () => true });
  return () => log.close();
});

/** Waits until the broker is there again; the client brings it back by itself. */
async function untilBack(): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(20)) {
    try {
      await broker.refresh();
      return;
    } catch (error) {
      if (!(error instanceof Refused) || Date.now() > end) throw error;
    }
  }
}

/** Leaf hashes of the openings in the broker's journal, as they lie on the disk. */
const journalled = (): string[] => [...readFileSync(join(folder, 'broker', 'openings'), 'utf8').matchAll(/^open \d+ ([0-9a-f]{64}) /gm)].map((line) => line[1] as string);

/** Every plain text that was shown has a leaf of its own in the log and a line of its own in the journal. */
async function judge(shown: readonly { caseId: string; index: number; commit: string }[]): Promise<void> {
  const lines = journalled();
  expect(new Set(lines).size).toBe(lines.length);
  expect(new Set(shown.map(({ index }) => index)).size).toBe(shown.length);
  for (const { index, commit } of shown) {
    const { entry } = await log.proveInclusion(index);
    expect(JSON.parse(Buffer.from(entry).toString('utf8'))).toMatchObject({ kind: 'look', commit });
    expect(lines).toContain(Buffer.from(hashLeaf(entry)).toString('hex'));
  }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.refusal.code);

test('a broker killed before, during and after each call of an opening shows nothing without a leaf, and comes back', async () => {
  await sealFor('req_kill');
  const shown: { caseId: string; index: number; commit: string }[] = [];
  const outcomes: string[] = [];
  for (const at of ['prepare', 'open'])
    for (const moment of ['before', 'during', 'during', 'during', 'after', 'never'] as const) {
      let armed = true;
      around = async (operation, call) => {
        if (operation !== at || !armed || moment === 'never') return call();
        armed = false;
        if (moment === 'before') kill();
        const answer = call();
        if (moment === 'during') setTimeout(kill, Math.random() * 3);
        if (moment !== 'after') return answer;
        const value = await answer;
        kill();
        return value;
      };
      const opened = await cases.open({ ...ACT, caseId: 'req_kill', record: 'contact', fields: ['phone'] });
      around = (_operation, call) => call();
      outcomes.push(codeOf(opened));
      if (opened.ok) {
        expect(opened.value.plain).toEqual({ phone: phoneOf('req_kill') });
        shown.push({ caseId: 'req_kill', index: opened.value.look.index, commit: opened.value.look.commit });
      } else expect(AWAY).toContain(opened.refusal.code);
      await untilBack();
    }
  expect(outcomes).toContain('ok');
  expect(outcomes).toContain('key.broker-away');
  await judge(shown);
  // whatever happened, the numbers of the looks have no gap and each stands in the log
  const looks = await cases.looksOf('req_kill');
  expect(looks.map(({ n }) => n)).toEqual(looks.map((_, at) => at + 1));
});

test('a log and a database that were set back under a broker that saw more are a refusal that says what to do', async () => {
  await sealFor('req_back');
  unwrap(await cases.open({ ...ACT, caseId: 'req_back', record: 'contact', fields: ['phone'] }));
  // another copy of the city: the same keys, and log and database as they were at the very beginning
  const copy = temporaryFolder();
  mkdirSync(join(copy, 'keys'));
  cpSync(join(folder, 'keys', 'log.key'), join(copy, 'keys', 'log.key'));
  const handleOfCopy = await freshDatabase();
  const logOfCopy = await openLogIn(copy, handleOfCopy);
  try {
    const purposes = unwrap(await createPurposes({ handle: handleOfCopy, clock: systemClock, yaml: PURPOSES }));
    const rewound = await createCases({ handle: handleOfCopy, clock: systemClock, broker, log: logOfCopy, purposes, authorize: () => true, mayLook: () => true });
    await handleOfCopy.db.transaction().execute((trx) => rewound.seal(trx, 'req_back', 'contact', { phone: phoneOf('req_back') }));
    const lines = journalled();
    const detail = expect.stringContaining('clerestory log restart') as string;
    expect(await rewound.open({ ...ACT, caseId: 'req_back', record: 'contact', fields: ['phone'] })).toMatchObject({ ok: false, refusal: { code: 'look.log-unavailable', detail } });
    // and when the copy has grown past what the broker saw
    while (logOfCopy.size() <= log.size()) await logOfCopy.appendBody('policy', { at: logOfCopy.size() });
    expect(await rewound.open({ ...ACT, caseId: 'req_back', record: 'contact', fields: ['phone'] })).toMatchObject({ ok: false, refusal: { code: 'look.log-unavailable' } });
    expect(journalled()).toEqual(lines);
  } finally {
    await logOfCopy.close();
  }
  unwrap(await cases.open({ ...ACT, caseId: 'req_back', record: 'contact', fields: ['phone'] }));
});

/** Mulberry32: the same calls for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test(`${CALLS} random calls with a broker that is killed and a log that fails at random (seed ${SEED}): plain text without a leaf = 0`, { timeout: 300_000 + CALLS * 100 }, async () => {
  const random = seeded(SEED);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const ids = Array.from({ length: 12 }, (_, at) => `req_random_${at}`);
  for (const caseId of ids) await sealFor(caseId);
  const blocked = join(folder, 'log/checkpoint.tmp');
  const shown: { caseId: string; index: number; commit: string }[] = [];
  const gone = new Set<string>();
  const refusals = new Map<string, number>();
  const keep = (opened: Result<readonly { caseId: string; plain: Record<string, string>; look: { index: number; commit: string } }[]>): void => {
    if (!opened.ok) return void refusals.set(opened.refusal.code, (refusals.get(opened.refusal.code) ?? 0) + 1);
    for (const { caseId, plain, look } of opened.value) {
      expect(plain).toEqual({ phone: phoneOf(caseId) });
      shown.push({ caseId, index: look.index, commit: look.commit });
    }
  };
  const refusing = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refusals.set(error.refusals[0].code, (refusals.get(error.refusals[0].code) ?? 0) + 1);
    }
  };
  const item = (caseId: string) => ({ caseId, record: 'contact', fields: ['phone'] });
  const one = async (): Promise<void> => {
    const [dice, caseId] = [random(), pick(ids)];
    if (dice < 0.5) return keep(await cases.openMany(ACT, [item(caseId)]));
    if (dice < 0.65) return keep(await cases.openMany(ACT, [...new Set([caseId, pick(ids), pick(ids)])].map(item)));
    if (dice < 0.75) return keep(await cases.openMany({ ...ACT, reason: pick(['', 'Ask where it is']), purpose: pick(['', 'curiosity']) }, [item(caseId)]));
    if (dice < 0.82) return refusing(() => sealFor(caseId));
    if (dice < 0.88) return refusing(async () => void (await cases.looksOf(caseId)));
    if (dice < 0.92) return refusing(async () => void (await cases.openOwn(caseId, `secret of ${caseId}`, 'contact')));
    if (dice < 0.96) return kill();
    if (dice < 0.975 && gone.size < 4) {
      const erased = await cases.shred(caseId);
      if (erased.ok) gone.add(caseId);
      return;
    }
    mkdirSync(blocked, { recursive: true });
    await sleep(Math.floor(random() * 10));
    rmSync(blocked, { recursive: true, force: true });
  };
  for (let done = 0; done < CALLS; done += 10) {
    await Promise.all(Array.from({ length: Math.min(10, CALLS - done) }, one));
    if (random() < 0.3) await untilBack();
  }
  rmSync(blocked, { recursive: true, force: true });
  await untilBack();
  expect(shown.length).toBeGreaterThan(CALLS / 20);
  for (const code of refusals.keys()) expect([...AWAY, 'key.gone', 'look.reason-missing', 'purpose.unknown', 'request.not-found']).toContain(code);
  await judge(shown);
  for (const caseId of ids) {
    if (gone.has(caseId)) continue;
    const looks = await cases.looksOf(caseId);
    expect(looks.map(({ n }) => n)).toEqual(looks.map((_, at) => at + 1));
    for (const { index, commit } of shown.filter((each) => each.caseId === caseId)) expect(looks.find((look) => look.index === index)?.commit).toBe(commit);
  }
});
