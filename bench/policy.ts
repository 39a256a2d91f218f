/**
 * Decisions of the policy: asked of Cedar anew each time (a department of its own for each person), and as the city asks,
 * where the same class of question is remembered. The median holds the bound; the mean of
 * processor time and the 99th percentile are printed beside it, because other work on the machine stretches them.
 */
import type { Action, Principal } from '../src/contracts/principal.ts';
import { createPolicy } from '../src/trust/policy/policy.ts';

const BOUND_US = 100;
const DECISIONS = Number(process.env['BENCH_DECISIONS'] ?? 10_000);
const ASKED: readonly Action[] = ['operations.act', 'requests.look', 'sensing.write', 'people.manage', 'sensing.read'];
const policy = createPolicy(null);
const person = (department: string): Principal => ({ kind: 'person', id: 'per_1', name: 'A', positions: ['operator', 'case_worker'], pseudonym: 'p', department });

/** Median of the wall time of one of `count` calls, in microseconds. */
function measure(name: string, count: number, ask: (n: number) => unknown): number {
  for (let n = 0; n < 500; n += 1) ask(-n - 1);
  const walls = new Float64Array(count);
  const cpu = process.cpuUsage();
  for (let n = 0; n < count; n += 1) {
    const start = performance.now();
    ask(n);
    walls[n] = performance.now() - start;
  }
  const { user, system } = process.cpuUsage(cpu);
  walls.sort();
  const us = (user + system) / count;
  console.log(`${name.padEnd(34)} median ${((walls[count >> 1] ?? 0) * 1_000).toFixed(2)} us, processor ${us.toFixed(2)} us, p99 ${((walls[Math.floor(count * 0.99)] ?? 0) * 1_000).toFixed(2)} us`);
  return (walls[count >> 1] ?? 0) * 1_000;
}

const asked = (n: number): Action => ASKED[Math.abs(n) % ASKED.length] as Action;
const device: Principal = { kind: 'token', id: 'tok_1', name: 'device token', positions: ['device'], pseudonym: 'token-1' };
const cold = measure('Cedar anew, by position', DECISIONS, (n) => policy.authorize(person(`Department ${n}`), asked(n)));
const look = measure('Cedar anew, a look at a case', DECISIONS / 2, (n) => policy.mayLook(person(`Department ${n}`), { purpose: 'service-requests', purposeLive: true, reason: true, via: 'detail' }));
const warm = measure('remembered, a device that writes', DECISIONS * 10, () => policy.authorize(device, 'sensing.write'));
const worst = Math.max(cold, look, warm);
console.log(`${worst <= BOUND_US ? 'holds' : 'DOES NOT HOLD'}: at most ${BOUND_US} us a decision (median)`);
if (worst > BOUND_US) process.exitCode = 1;
