/**
 * The gate on one core: readings a second for streams of numbers, of a slow and of a jumping course; microseconds a message
 * for messages with texts; and what is found of made-up numbers, kind by kind.
 * `node tools/run.mjs bench/gate.ts [--seconds 2]`
 */
import { parseArgs } from 'node:util';
import { createMetrics } from '../src/platform/index.ts';
import { inspect } from '../src/trust/gate/inspect.ts';
import { createGate, registrationOf } from '../src/trust/index.ts';
import { makeCorpus, seeded } from '../test/gate-corpus.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
const MS = Number(options.seconds) * 1_000;
const gate = createGate(createMetrics(), 0);
const random = seeded(1);
const registered = (name: string, properties: Record<string, unknown> = {}, stream = 1) => registrationOf({ observationType: `/${name}`, properties, purpose: 'bench', stream });

/** Readings a second over 1,000 streams. */
function readingsASecond(name: string, make: (at: number) => number): void {
  const streams = Array.from({ length: 1_000 }, (_, at) => registered('OM_Measurement', {}, at + 1));
  const values = Float64Array.from({ length: 65_536 }, (_, at) => make(at));
  let count = 0;
  let refused = 0;
  const start = performance.now();
  while (performance.now() - start < MS) {
    for (let n = 0; n < 10_000; n += 1, count += 1) if (gate.admit(streams[count % 1_000]!, values[(Math.floor(count / 1_000) + (count % 1_000) * 61) & 65_535]) !== null) refused += 1;
  }
  const seconds = (performance.now() - start) / 1_000;
  console.log(`${name.padEnd(44)} ${Math.round(count / seconds).toLocaleString('en').padStart(12)} readings/s, ${((seconds * 1e9) / count).toFixed(0)} ns each, ${String(refused)} refused`);
}

let next = 5_000;
function microsecondsAMessage(name: string, allows: string, make: () => unknown): void {
  const registration = registered(allows, {}, (next += 1));
  const messages = Array.from({ length: 2_000 }, make);
  for (const message of messages) if (gate.admit(registration, message) !== null) throw new Error(`the gate refused a message of '${name}'`);
  // of each message the best of some rounds: what else runs on the machine is not the gate's cost
  const best = new Float64Array(messages.length).fill(Infinity);
  const all: number[] = [];
  const start = performance.now();
  while (performance.now() - start < MS || all.length < messages.length * 5) {
    for (const [at, message] of messages.entries()) {
      const from = performance.now();
      gate.admit(registration, message);
      const us = (performance.now() - from) * 1_000;
      all.push(us);
      best[at] = Math.min(best[at]!, us);
    }
  }
  const of = (values: readonly number[], share: number): string => ([...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0).toFixed(1);
  console.log(`${name.padEnd(44)} p50 ${of([...best], 0.5)} us, p99 ${of([...best], 0.99)} us; as run, with pauses of the machine: p50 ${of(all, 0.5)} us, p99 ${of(all, 0.99)} us`);
}

readingsASecond('numbers, a slow course', (at) => Math.round(200 + 50 * Math.sin(at / 900)) / 10);
readingsASecond('numbers, a course that jumps', () => Math.round(random() * 600) / 10);
microsecondsAMessage('terms without a list', 'OM_CategoryObservation', () => (random() < 0.5 ? 'open' : 'closed'));
microsecondsAMessage('an uplink of eight members', 'OM_Observation', () => ({ temperature: Math.round(random() * 400) / 10, humidity: 40, co2_ppm: 500 + Math.floor(random() * 300), battery_volt: 3.6, state: 'ok', open: false, rssi: -97, firmware: '2.1.4' }));
microsecondsAMessage('an uplink with a text of 80 letters', 'OM_Observation', () => ({ level: Math.round(200 + random() * 30) / 100, status: 'pump 3 is running, the inlet is clear and the outlet valve stands at 40 percent' }));
const frame = Array.from({ length: 36 }, () => Math.floor(random() * 256).toString(16).padStart(2, '0')).join('');
microsecondsAMessage('an uplink with 40 bytes in hex', 'OM_Observation', () => ({ fPort: 18, payload: frame + Array.from({ length: 4 }, () => `0${Math.floor(random() * 16).toString(16)}`).join('') }));

console.log('\nrule                there  recall  precision');
const found = new Map<string, { there: number; right: number; wrong: number }>();
const of = (rule: string): { there: number; right: number; wrong: number } => found.get(rule) ?? found.set(rule, { there: 0, right: 0, wrong: 0 }).get(rule)!;
for (const { text, carries, misses, country } of makeCorpus(77, 1_000)) {
  const rules = new Set<string>(inspect(text, { country }).map(({ rule }) => rule));
  if (carries !== null) {
    of(carries).there += 1;
    if (rules.has(carries)) of(carries).right += 1;
  }
  for (const rule of rules) if (rule !== carries && (misses === undefined || misses === rule)) of(rule).wrong += 1;
}
for (const [rule, { there, right, wrong }] of [...found].sort()) if (there > 0) console.log(`${rule.padEnd(18)} ${String(there).padStart(6)}  ${(right / there).toFixed(4)}  ${(right / (right + wrong)).toFixed(4)}`);
