import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/kernel/index.ts';
import { createMetrics, createOutgoing, silentLogger } from '../../src/platform/index.ts';
import { formatAddCheckpoint } from '../../src/trust/witness/add-checkpoint.ts';
import { PACE, startCosigning, type Cosigning } from '../../src/trust/witness/cosigning.ts';
import { parsePolicy, type Policy } from '../../src/trust/witness/policy-file.ts';
import { openCosignedHead } from '../../src/trust/witness/witnessed.ts';
import { readState } from '../../src/trust/witness/state-file.ts';
import { makePaperLog, policyOf, removeWitnessFolders, startWitness, type PaperLog, type WitnessProcess } from '../witnesses.ts';

const running: WitnessProcess[] = [];
const cosignings: Cosigning[] = [];
afterAll(async () => {
  for (const each of cosignings) await each.close();
  for (const each of running) await each.kill();
  removeWitnessFolders();
});

async function startThree(log: PaperLog): Promise<WitnessProcess[]> {
  const three = await Promise.all(['dpo.example/w', 'paper.example/w', 'neighbour.example/w'].map((name) => startWitness({ name, logs: [log.vkey] })));
  running.push(...three);
  return three;
}

const must = (text: string): Policy => {
  const parsed = parsePolicy(Buffer.from(text));
  if (!parsed.ok) throw new Error(parsed.refusal.detail);
  return parsed.value;
};

/** The city's side, faster than in a city. Keeps the heads that met the quorum. */
function watch(log: PaperLog, policy: Policy): { cosigning: Cosigning; witnessed: string[] } {
  const witnessed: string[] = [];
  const metrics = createMetrics();
  const outgoing = createOutgoing({ egress: policy.witnesses.map(({ url }) => ({ host: new URL(url ?? '').origin, private: true })), metrics });
  const cosigning = startCosigning({
    policy,
    log: {
      size: () => log.size(),
      checkpoint: () => log.checkpoint(),
      proveConsistency: (from, to) => log.prove(from, to),
      cosign: (size, lines, quorum) => {
        if (quorum) witnessed.push(log.checkpoint(size) + lines.join(''));
      },
    },
    witnessed: null,
    outgoing,
    clock: systemClock,
    logger: silentLogger,
    metrics,
    pace: { ...PACE, tick_ms: 20, round_ms: 100, refresh_ms: 1_000, backoff_max_ms: 200, quorum_grace_ms: 500 },
  });
  cosignings.push(cosigning);
  return { cosigning, witnessed };
}

async function until<T>(look: () => T | null | undefined | false, what: string): Promise<T> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; ) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    await sleep(20);
  }
  throw new Error(`did not happen in 60 s: ${what}`);
}

const send = (witness: WitnessProcess, body: string): Promise<Response> => fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });

test('2 of 3: growth is witnessed, with one away too; with two away an alarm comes, and goes by itself', async () => {
  const log = makePaperLog();
  log.grow(['one']);
  const [a, b, c] = (await startThree(log)) as [WitnessProcess, WitnessProcess, WitnessProcess];
  const policy = must(policyOf([log.vkey], [a, b, c], 2));
  const { cosigning, witnessed } = watch(log, policy);
  await until(() => cosigning.status().each.every(({ lastSize }) => lastSize === 1), 'all three cosign');
  expect(cosigning.status()).toMatchObject({ quorum: 'met', required: 2, witnessedSize: 1, alarm: null });
  log.grow(['two', 'three']);
  await until(() => cosigning.status().witnessedSize === 3, 'growth is witnessed');
  const held = openCosignedHead(Buffer.from(witnessed.at(-1) ?? ''), policy);
  expect('wrong' in held ? held.wrong : held.times.size).toBeGreaterThanOrEqual(2);

  await c.kill();
  log.grow(['four']);
  await until(() => cosigning.status().witnessedSize === 4 && cosigning.status().each[2]?.fault, 'two are enough');
  expect(cosigning.status()).toMatchObject({ quorum: 'met', alarm: null });

  await b.kill();
  log.grow(['five']);
  const status = await until(() => (cosigning.status().alarm === null ? null : cosigning.status()), 'an alarm');
  expect(status).toMatchObject({ quorum: 'failing', witnessedSize: 4, alarm: { code: 'quorum' } });
  running.push(await startWitness({ name: b.name, logs: [log.vkey], data: b.data, port: Number(new URL(b.url).port) }));
  await until(() => cosigning.status().witnessedSize === 5, 'the witness is back');
  expect(cosigning.status()).toMatchObject({ quorum: 'met', alarm: null });
});

test('a fork shown to one witness: no quorum for both, and the witness refuses the other branch', async () => {
  const honest = makePaperLog();
  honest.grow(['one', 'two', 'three']);
  const secret = honest.fork(2);
  secret.grow(['another three', 'another four']);
  const [a, b, c] = (await startThree(honest)) as [WitnessProcess, WitnessProcess, WitnessProcess];
  const policy = must(policyOf([honest.vkey], [a, b, c], 2));
  expect((await send(c, formatAddCheckpoint(0, [], secret.checkpoint()))).status).toBe(200);
  const { cosigning } = watch(honest, policy);
  await until(() => cosigning.status().alarm?.code === 'refused' && cosigning.status().witnessedSize === 3, 'the third refuses at once');
  expect(cosigning.status()).toMatchObject({ quorum: 'met', each: [{ refuses: false }, { refuses: false }, { refuses: true, fault: expect.stringMatching(/4 entries.*only 3/) }] });
  honest.grow(['four']); // now both have four entries: one size, two trees
  await until(() => cosigning.status().witnessedSize === 4 && /another tree of 4/.test(cosigning.status().each[2]?.fault ?? ''), 'it still refuses');
  expect((await send(c, formatAddCheckpoint(4, [], honest.checkpoint()))).status).toBe(409);
  honest.grow(['five']);
  expect((await send(c, formatAddCheckpoint(4, await honest.prove(4, 5), honest.checkpoint()))).status).toBe(422);

  // the secret branch gets one cosignature of three, and never a quorum
  const other = watch(secret, policy);
  await until(() => other.cosigning.status().each.filter(({ refuses }) => refuses).length === 2, 'two refuse the secret branch');
  expect(other.witnessed).toEqual([]);
  expect(other.cosigning.status()).toMatchObject({ quorum: 'failing', witnessedSize: null, alarm: { code: 'refused' } });
});

test('after each of 10 kill -9 a witness knows all that it signed, and never signs two trees of one size', async () => {
  const log = makePaperLog();
  log.grow(Array.from({ length: 200 }, (_, at) => `entry ${at}`));
  const fork = log.fork(1);
  fork.grow(Array.from({ length: 199 }, (_, at) => `other ${at}`));
  const signed = new Map<number, string>();
  let witness = await startWitness({ name: 'w.example/w', logs: [log.vkey] });
  running.push(witness);
  expect((await send(witness, formatAddCheckpoint(0, [], log.checkpoint(1)))).status).toBe(200);
  let size = 1;
  for (let round = 0; round < 10; round += 1) {
    const gone = sleep(round * 7).then(() => witness.kill());
    for (let alive = true; alive && size < 200; ) {
      // both branches at once: the state must decide for one before any answer leaves
      const answers = await Promise.all([log, fork].map(async (branch) => ({ branch, status: await send(witness, formatAddCheckpoint(size, await branch.prove(size, size + 1), branch.checkpoint(size + 1))).then((response) => response.status, () => null) })));
      for (const { branch, status } of answers) {
        if (status !== 200) continue;
        const root = branch.checkpoint(size + 1);
        expect(signed.get(size + 1) ?? root).toBe(root);
        signed.set(size + 1, root);
      }
      alive = answers.every(({ status }) => status !== null);
      if (answers.some(({ status }) => status === 200)) size += 1;
    }
    await gone;
    const held = readState(witness.data).logs['city.example/log'];
    expect(held?.size).toBeGreaterThanOrEqual(size);
    size = held?.size ?? 0;
    witness = await startWitness({ name: 'w.example/w', logs: [log.vkey], data: witness.data });
    running.push(witness);
    const again = await send(witness, formatAddCheckpoint(0, [], log.checkpoint(1)));
    expect([again.status, await again.text()]).toEqual([409, `${size}\n`]);
  }
  expect(signed.size).toBeGreaterThan(0);
  expect(readFileSync(`${witness.data}/witness.state`, 'utf8')).toContain('sha256 ');
});
