import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import { Refused, systemClock, unwrap } from '../../src/kernel/index.ts';
import type { DatabaseHandle } from '../../src/platform/index.ts';
import type { CallOf } from '../../src/trust/broker/protocol.ts';
import { fingerprintOf } from '../../src/trust/broker/ciphers.ts';
import { BrokerDenied, type BrokerClient } from '../../src/trust/keys/broker-client.ts';
import { createCases, type Cases, type OpenAct } from '../../src/trust/keys/cases.ts';
import { createRoots } from '../../src/trust/keys/rotation.ts';
import type { KeeperAnswer, KeeperOrder } from '../../src/trust/keeper/main.ts';
import type { TransparencyLog } from '../../src/trust/log/log.ts';
import { hashLeaf } from '../../src/trust/log/merkle.ts';
import { createPurposes } from '../../src/trust/purposes/index.ts';
import { meetBrokerIn } from '../broker.ts';
import { freshDatabase } from '../database.ts';
import { openLogIn, temporaryFolder } from '../log-folder.ts';
import { canTrace, traceProcess, type Injection } from '../strace.ts';

// The broker and the key keeper end at every single system call, or the call fails as on a full or broken disk.

/** `EVERY=1` ends them at every call of every kind that was seen, not only at the first ones of each. */
const EVERY = process.env['EVERY'] === '1';
const FIRST = 4;
const PURPOSES = `
purposes:
  - { id: service-requests, title: Reports, description: Reports of faults in public space, legal_basis: Public task, owner: Office, retention_days: 365, personal_data: true }
`;
const WORKER: Principal = { kind: 'person', id: 'per_1', name: 'Wanda Weiss', positions: ['case_worker'], pseudonym: 'p-k3v9' };
const ACT: OpenAct = { principal: WORKER, position: 'case_worker', purpose: 'service-requests', reason: 'Ask where exactly the lamp is' };
const AWAY: readonly string[] = ['key.broker-away', 'look.log-unavailable'];
const WRITING = ['write', 'pwrite64', 'fsync', 'openat', 'ftruncate', 'rename', 'link', 'unlink'];
const IDS = Array.from({ length: 5 }, (_, at) => `req_step_${at}`);

const traceable = canTrace();
if (!traceable) console.warn('the kills at each system call are skipped: install strace, and allow ptrace, to run them');

const folder = temporaryFolder();
const trail = join(folder, 'strace');
let handle: DatabaseHandle;
let log: TransparencyLog;
let broker: BrokerClient;
let cases: Cases;
let lastOpen: CallOf<'open'> | null = null;
const shown: { index: number; commit: string }[] = [];

const phoneOf = (caseId: string): string => `+49 30 ${caseId}`;
const sealFor = (caseId: string): Promise<void> => handle.db.transaction().execute((trx) => cases.seal(trx, caseId, 'contact', { name: `name of ${caseId}`, phone: phoneOf(caseId) }, `secret of ${caseId}`));

beforeAll(async () => {
  handle = await freshDatabase();
  log = await openLogIn(folder, handle);
  const purposes = unwrap(await createPurposes({ handle, clock: systemClock, yaml: PURPOSES }));
  broker = await meetBrokerIn(folder, log.verifierKey());
  const watched: BrokerClient = {
    ...broker,
    call: (operation, call) => {
      if (operation === 'open') lastOpen = call as CallOf<'open'>;
      return broker.call(operation, call);
    },
  };
  cases = await createCases({ handle, clock: systemClock, broker: watched, log, purposes, authorize: () => true, mayLook: () => true });
  for (const caseId of IDS) await sealFor(caseId);
  return () => log.close();
});

async function untilBack(): Promise<void> {
  for (const end = Date.now() + 120_000; ; await sleep(20)) {
    try {
      await broker.refresh();
      return;
    } catch (error) {
      if (!(error instanceof Refused) || Date.now() > end) throw error;
    }
  }
}

/** Leaf hashes in the broker's journal, as they lie on the disk. */
const journalled = (): string[] => [...readFileSync(join(folder, 'broker', 'openings'), 'utf8').matchAll(/^open \d+ ([0-9a-f]{64}) /gm)].map((line) => line[1] as string);

/** Plain text that was handed out has a leaf of its own in the signed log and a line of its own in the journal. */
async function judge(): Promise<void> {
  const lines = journalled();
  expect(new Set(lines).size).toBe(lines.length);
  expect(new Set(shown.map(({ index }) => index)).size).toBe(shown.length);
  for (const { index, commit } of shown.slice(-10)) {
    const { entry } = await log.proveInclusion(index);
    expect(JSON.parse(Buffer.from(entry).toString('utf8'))).toMatchObject({ kind: 'look', commit });
    expect(lines).toContain(Buffer.from(hashLeaf(entry)).toString('hex'));
  }
}

async function traced(work: () => Promise<void>, injection?: Injection): Promise<Map<string, number>> {
  const trace = await traceProcess(broker.pid() as number, trail, injection);
  try {
    await work();
  } finally {
    await trace.end();
  }
  return trace.end();
}

/** Runs `work` once to see its calls, then once for each of them with a fault at that call. Gives how often the broker ended. */
async function atEachCall(work: () => Promise<void>, { what = 'signal=KILL', only, leaveOut = [], after }: { what?: Injection['what']; only?: readonly string[]; leaveOut?: readonly string[]; after?: () => Promise<void> }): Promise<Map<string, number>> {
  const counts = await traced(work);
  await after?.();
  const ended = new Map<string, number>();
  for (const [call, count] of counts) {
    if ((only !== undefined && !only.includes(call)) || leaveOut.includes(call)) continue;
    for (let when = 1; when <= (EVERY ? count : Math.min(count, FIRST)); when += 1) {
      const pid = broker.pid() as number;
      await traced(work, { call, when, what });
      await untilBack();
      if (broker.pid() !== pid) ended.set(call, (ended.get(call) ?? 0) + 1);
      await judge();
      await after?.();
    }
  }
  return ended;
}

const outcomes = new Set<string>();
async function look(ids: readonly string[]): Promise<void> {
  lastOpen = null;
  const opened = await cases.openMany(ACT, ids.map((caseId) => ({ caseId, record: 'contact', fields: ['phone'] })));
  outcomes.add(opened.ok ? 'ok' : opened.refusal.code);
  if (!opened.ok) return void expect(AWAY).toContain(opened.refusal.code);
  for (const { caseId, plain, look: { index, commit } } of opened.value) {
    expect(plain).toEqual({ phone: phoneOf(caseId) });
    shown.push({ index, commit });
  }
}

/** The very call that was cut off, once more and again: it opens when its leaves opened nothing, and never twice. */
async function replay(): Promise<void> {
  if (lastOpen === null) return;
  const size = Number(lastOpen.checkpoint.split('\n')[1]);
  const opens: boolean[] = [];
  for (let time = 0; time < 2; time += 1) {
    const { seen } = await broker.refresh();
    const call = { ...lastOpen, from: seen, consistency: (await log.proveConsistency(seen, size)).map((hash) => Buffer.from(hash).toString('base64')) };
    const before = new Set(journalled());
    const spent = await Promise.all(lastOpen.items.map(async ({ look: { index } }) => before.has(Buffer.from(hashLeaf((await log.proveInclusion(index)).entry)).toString('hex'))));
    try {
      await broker.call('open', call);
      opens.push(true);
      expect(spent).not.toContain(true);
    } catch (error) {
      if (!(error instanceof BrokerDenied)) throw error;
      expect(error.denial).toBe('leaf-spent');
      expect(spent).toContain(true);
      opens.push(false);
    }
  }
  expect(opens[1]).toBe(false);
}

test.skipIf(!traceable)('killed at each call of an opening of one record and of five: no plain text without a leaf, no leaf opens twice, and the broker comes back', { timeout: 600_000 }, async () => {
  for (const ids of [IDS.slice(0, 1), IDS]) {
    const ended = await atEachCall(() => look(ids), { after: replay });
    for (const call of ['read', 'write', 'fsync']) expect([call, ended.get(call) ?? 0]).not.toEqual([call, 0]);
  }
  expect(outcomes).toContain('ok');
  expect(outcomes).toContain('key.broker-away');
  for (const caseId of IDS) {
    const looks = await cases.looksOf(caseId);
    expect(looks.map(({ n }) => n)).toEqual(looks.map((_, at) => at + 1));
  }
});

test.skipIf(!traceable)('a disk that is full or broken at each call of an opening: nothing is shown without a leaf, and the broker comes back', { timeout: 600_000 }, async () => {
  for (const what of ['error=ENOSPC', 'error=EIO'] as const) {
    const ended = await atEachCall(() => look(IDS.slice(0, 2)), { what, only: WRITING, after: replay });
    expect([what, ended.get('fsync')]).toEqual([what, 1]);
  }
});

test.skipIf(!traceable)('killed at each call of a sealing: the record is there as a whole or not at all, and the next try seals it', { timeout: 600_000 }, async () => {
  let n = 0;
  const ended = await atEachCall(
    async () => {
      n += 1;
      await sealFor(`req_seal_${n}`).catch((error: unknown) => {
        if (!(error instanceof Refused)) throw error;
        expect(AWAY).toContain(error.refusals[0].code);
      });
    },
    {
      after: async () => {
        const { rows } = await handle.pool.query<{ keys: number; records: number }>(`select (select count(*)::int from case_key where case_id = $1) as keys, (select count(*)::int from sealed_record where case_id = $1) as records`, [`req_seal_${n}`]);
        expect(rows[0]?.records).toBe(rows[0]?.keys);
        await sealFor(`req_seal_${n}`);
        await look([`req_seal_${n}`]);
        expect(outcomes).toContain('ok');
      },
    },
  );
  expect(ended.get('write')).toBeGreaterThan(0);
});

test.skipIf(!traceable)('killed at each call of an erasure: the case is erased or opens as before, and the next try erases it', { timeout: 600_000 }, async () => {
  let n = 0;
  const next = async (): Promise<void> => {
    n += 1;
    await sealFor(`req_shred_${n}`);
  };
  await next();
  let erased = false;
  const ended = await atEachCall(
    async () => {
      const result = await cases.shred(`req_shred_${n}`);
      erased = result.ok;
      if (!result.ok) expect(AWAY).toContain(result.refusal.code);
    },
    {
      after: async () => {
        const opened = await cases.open({ ...ACT, caseId: `req_shred_${n}`, record: 'contact', fields: ['phone'] });
        expect(opened.ok ? opened.value.plain : opened.refusal.code).toEqual(erased ? 'key.gone' : { phone: phoneOf(`req_shred_${n}`) });
        if (!erased) unwrap(await cases.shred(`req_shred_${n}`));
        await next();
      },
    },
  );
  expect(ended.get('write')).toBeGreaterThan(0);
});

const rootFiles = (place: string): string[] => readdirSync(place).filter((name) => name.startsWith('root'));

test.skipIf(!traceable)('killed at the calls of a rotation, of rewrapping and of destroying an old version, broker or keeper: the next try goes on and every case opens', { timeout: 900_000 }, async () => {
  const roots = createRoots({ handle, clock: systemClock, broker, windowDays: 0 });
  const rotate = async (): Promise<void> => {
    try {
      await roots.rotate();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      expect(AWAY).toContain(error.refusals[0].code);
    }
  };
  const after = async (): Promise<void> => {
    await roots.tidy();
    const { version } = await roots.tidy();
    const { rows } = await handle.pool.query<{ version: number }>('select distinct version from case_key where destroyed_at is null');
    expect(rows).toEqual([{ version }]);
    await expect.poll(() => rootFiles(join(folder, 'keys')), { timeout: 60_000 }).toContain(`root-${version}.key`);
    await look(IDS);
  };
  const steps = EVERY ? {} : { only: ['write', 'pwrite64', 'fsync', 'rename', 'link', 'unlink', 'socketpair', 'clone3', 'execve', 'exit_group'] };
  const ended = await atEachCall(rotate, { ...steps, leaveOut: ['mmap', 'munmap', 'mprotect'], after });
  for (const call of ['fsync', 'rename', 'link', 'execve']) expect([call, ended.get(call) ?? 0]).not.toEqual([call, 0]);
  outcomes.clear();
  await look(IDS);
  expect([...outcomes]).toEqual(['ok']);
  for (const what of ['error=ENOSPC', 'error=EIO'] as const) await atEachCall(rotate, { what, only: ['pwrite64', 'fsync', 'rename', 'link', 'unlink'], after });
  await expect.poll(() => rootFiles(join(folder, 'keys')).filter((name) => !name.endsWith('.key')), { timeout: 60_000 }).toEqual([]);
});

const KEEPER = fileURLToPath(new URL('../../src/trust/keeper/main.ts', import.meta.url));

/** Runs the keeper, under strace when something is to go wrong; null when it ended without an answer. */
function keep(order: KeeperOrder, injection?: Injection | 'count'): { answer: KeeperAnswer | null; trail: string } {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', KEEPER];
  const inject = typeof injection === 'object' ? ['-e', `inject=${injection.call}:${injection.what}:when=${injection.when}`] : [];
  const command = injection === undefined ? node : ['strace', '-f', '-o', trail, '-e', `trace=${WRITING.join(',')}`, ...inject, ...node];
  const ran = spawnSync(command[0] as string, command.slice(1), { input: JSON.stringify(order), encoding: 'utf8', timeout: 60_000 });
  return { answer: ran.status === 0 ? (JSON.parse(ran.stdout) as KeeperAnswer) : null, trail: injection === undefined ? '' : readFileSync(trail, 'utf8') };
}

const fingerprintsOf = (answer: KeeperAnswer | null): string[] => {
  if (answer === null || 'locked' in answer) throw new Error(`the keeper opens nothing: ${JSON.stringify(answer)}`);
  return answer.roots.map(({ version, key }) => `${version} ${fingerprintOf(Buffer.from(key, 'base64')).toString('hex')}`);
};

test.skipIf(!traceable)('the key keeper ended at each call that writes, or refused by the disk: no key is lost, none is made twice, and no open form is left', { timeout: 900_000 }, () => {
  const start = temporaryFolder();
  const of = (place: string): KeeperOrder => ({ keyFolder: join(place, 'keys') });
  const before = fingerprintsOf(keep(of(start)).answer);
  const open = (JSON.parse(readFileSync(join(start, 'keys', 'root.key'), 'utf8')) as { key: string }).key;
  const two = temporaryFolder();
  cpSync(start, two, { recursive: true });
  const both = fingerprintsOf(keep({ ...of(two), rotate: { at: '2026-01-01T00:00:00.000Z' } }).answer);
  const sealed = { passphrase: 'correct horse battery' };
  const acts: { name: string; from: string | null; order: Partial<KeeperOrder>; then: (answer: KeeperAnswer | null, place: string) => void }[] = [
    { name: 'the first key', from: null, order: {}, then: (answer) => expect(fingerprintsOf(answer)).toHaveLength(1) },
    { name: 'a next version', from: start, order: { rotate: { at: '2026-01-01T00:00:00.000Z' } }, then: (answer) => expect(fingerprintsOf(answer)[0]).toBe(before[0]) },
    {
      name: 'the sealing of an open key',
      from: start,
      order: sealed,
      then: (answer, place) => {
        expect(fingerprintsOf(answer)).toEqual(before);
        for (const name of readdirSync(join(place, 'keys'))) expect(readFileSync(join(place, 'keys', name), 'latin1')).not.toContain(open);
      },
    },
    {
      name: 'the destruction of an old version',
      from: two,
      order: { retire: { version: 1, windowDays: 30, at: '2026-03-01T00:00:00.000Z' } },
      then: (answer, place) => {
        expect(both).toEqual(expect.arrayContaining(fingerprintsOf(answer)));
        expect(fingerprintsOf(keep({ ...of(place), retire: { version: 1, windowDays: 30, at: '2026-03-01T00:00:00.000Z' } }).answer)).toEqual(both.slice(1));
        for (const name of readdirSync(join(place, 'keys'))) expect(readFileSync(join(place, 'keys', name), 'latin1')).not.toContain(open);
      },
    },
  ];
  for (const { name, from, order, then } of acts) {
    const fresh = (): string => {
      const place = temporaryFolder();
      if (from !== null) cpSync(join(from, 'keys'), join(place, 'keys'), { recursive: true });
      return place;
    };
    const counted = keep({ ...of(fresh()), ...order }, 'count').trail;
    // Node itself writes to its own pipes and opens its modules; what counts begins with the key folder
    const total = new Map<string, number>();
    for (const [, call] of counted.matchAll(/^\d+ +(\w+)\(/gm)) total.set(call as string, (total.get(call as string) ?? 0) + 1);
    for (const call of ['write', 'pwrite64', 'fsync', 'rename', 'link', 'unlink'])
      for (let when = 1; when <= Math.min(total.get(call) ?? 0, EVERY ? 40 : 12); when += 1)
        for (const what of EVERY || call === 'fsync' ? (['signal=KILL', 'error=ENOSPC', 'error=EIO'] as const) : (['signal=KILL'] as const)) {
          const place = fresh();
          keep({ ...of(place), ...order }, { call, when, what });
          const again = { ...of(place), ...(order.passphrase === undefined ? {} : sealed) };
          const { answer } = keep(again);
          try {
            then(answer, place);
          } catch (cause) {
            throw new Error(`${name}: after ${what} at ${call} ${when}`, { cause });
          }
          expect([name, call, when, readdirSync(join(place, 'keys')).filter((file) => !/^root(-\d+)?\.key$/.test(file))]).toEqual([name, call, when, []]);
          rmSync(place, { recursive: true });
        }
  }
});

test.skipIf(!traceable)('killed at each call of a start that finds a torn line in the journal: the next start serves with every opening it knew', { timeout: 300_000 }, async () => {
  await untilBack();
  await look(IDS);
  const start = temporaryFolder();
  for (const part of ['keys', 'broker']) cpSync(join(folder, part), join(start, part), { recursive: true });
  const lines = readFileSync(join(start, 'broker', 'openings'), 'utf8');
  expect(lines).toMatch(/^open /m);
  appendFileSync(join(start, 'broker', 'openings'), 'open 12 abcdef');
  const main = fileURLToPath(new URL('../../src/trust/broker/main.ts', import.meta.url));
  const begin = (place: string, call?: string): void => {
    const env = { PATH: process.env['PATH'], BROKER_SETTINGS: JSON.stringify({ keyFolder: join(place, 'keys'), journalFolder: join(place, 'broker') }) };
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', main];
    const command = call === undefined ? node : ['strace', '-f', '-o', trail, '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=1`, ...node];
    spawnSync(command[0] as string, command.slice(1), { env, input: '', timeout: 60_000 }); // its input ends, and so does it
  };
  for (const call of ['ftruncate', 'fsync', 'write']) {
    const place = temporaryFolder();
    cpSync(start, place, { recursive: true });
    begin(place, call);
    expect(readFileSync(trail, 'utf8')).toContain('killed by SIGKILL');
    begin(place);
    expect(readFileSync(join(place, 'broker', 'openings'), 'utf8')).toBe(lines);
  }
});
