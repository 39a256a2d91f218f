import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { manualClock, isoOf, Refused, type ManualClock } from '../kernel/index.ts';
import { createBus, createMetrics, buildHttp, silentLogger, type Bus, type BusEvent, type DatabaseHandle } from '../platform/index.ts';
import { type Reading, type StreamInfo } from '../contracts/reading.ts';
import { Warnings, Rules, RuleCheck, Warning, WARNING_TOPICS } from '../contracts/warning.ts';
import { type Principal } from '../contracts/principal.ts';
import { createBrain, verifyExplanation, type Brain } from './index.ts';
import { MemorySensing } from './memory-sensing.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 10, 24, 6);
const DEMO_RULES = readFileSync(new URL('../../demo/city/rules.yaml', import.meta.url), 'utf8');
const PURPOSES = new Set(['air-quality', 'water-safety', 'street-lighting', 'traffic-management', 'parking', 'waste', 'noise']);
const purposes = { get: (id: string) => (PURPOSES.has(id) ? {} : undefined), live: (id: string) => PURPOSES.has(id) };
const TOPICS = [...WARNING_TOPICS];

const stream = (id: number, property: string, placeKind: string, unit: string, more: Partial<StreamInfo> = {}): StreamInfo => ({ id, name: `${property} ${String(id)}`, property, unit, purpose: 'water-safety', interval_s: 60, thingId: 100 + id, placeName: `Place ${String(id)}`, placeKind, point: [8 + id / 100, 50], ...more });
const gauge = stream(1, 'level', 'river_gauge', 'm', { placeName: 'Mill Bridge' });
const reading = (datastreamId: number, atMs: number, value: number | null, more: Partial<Reading> = {}): Reading => ({ datastreamId, phenomenonMs: atMs, arrivalMs: atMs, value, valid: value !== null, ...more });

let handle: DatabaseHandle;
let bus: Bus;
let clock: ManualClock;
let sensing: MemorySensing;
let brain: Brain | undefined;

beforeEach(async () => {
  handle ??= await freshDatabase();
  await handle.pool.query('truncate event, warning, warning_state, rule_version restart identity');
  clock = manualClock(START_MS);
  bus = await createBus(handle, clock, silentLogger);
  sensing = new MemorySensing();
});
afterEach(async () => {
  await brain?.close();
  brain = undefined;
  await bus.close();
});

const start = async (rulesYaml: string | null = DEMO_RULES): Promise<Brain> => {
  await brain?.close();
  brain = await createBrain({ handle, bus, clock, logger: silentLogger, metrics: createMetrics(), sensing, purposes, rulesYaml });
  return brain;
};
const events = (): Promise<BusEvent[]> => bus.readAfter(0, TOPICS, 1_000);
/** Lets the clock follow the readings and the brain store what they mean. */
const send = async (...batch: Reading[]): Promise<void> => {
  for (const each of batch) {
    clock.set(Math.max(clock.nowMs(), each.arrivalMs));
    sensing.admit(each);
  }
  await brain?.settled();
};
const minutes = (datastreamId: number, from: number, values: readonly (number | null)[]): Reading[] => values.map((value, at) => reading(datastreamId, START_MS + (from + at) * MINUTE_MS, value));

test('a rising river raises one warning with an explanation that the readings bear out, and clears it', async () => {
  sensing.register(gauge);
  const running = await start();
  await send(...minutes(1, 0, Array.from({ length: 61 }, (_, minute) => 1 + minute * 0.0061)));
  const raised = await events();
  expect(raised.map((event) => event.topic)).toEqual(['warning.raised']);
  const warning = Warning.parse(raised[0]?.payload);
  expect(warning).toMatchObject({ ruleId: 'river-rising', placeName: 'Mill Bridge', placeId: 101, severity: 'severe', state: 'warning', playbook: 'river-high-water', clearedAt: null });
  expect(warning.explanation.sentence).toBe('Level at Mill Bridge rose 0.305 m in 1 h (limit 0.300 m; 51 of 51 readings valid).');
  expect(await verifyExplanation(warning.explanation, (id, fromMs, toMs) => sensing.readSeries(id, fromMs, toMs))).toEqual([]);
  expect(running.stateOf(1)).toBe('warning');
  expect(await running.readWarnings([warning.id])).toEqual([warning]);
  await send(...minutes(1, 61, Array.from({ length: 91 }, () => 1.36)));
  expect((await events()).map((event) => event.topic)).toEqual(['warning.raised', 'warning.cleared']);
  expect(running.stateOf(1)).toBe('ok');
  expect(await running.statesAt(START_MS + 60 * MINUTE_MS)).toEqual(new Map([[1, 'warning']]));
  expect(await running.statesAt(START_MS)).toEqual(new Map());
});

test('a changed reading does not bear an explanation out', async () => {
  sensing.register(gauge);
  await start();
  await send(...minutes(1, 0, [2.6, 2.6, 2.6]));
  const warning = Warning.parse((await events())[0]?.payload);
  const tampered = async (id: number, fromMs: number, toMs: number): Promise<Reading[]> => (await sensing.readSeries(id, fromMs, toMs)).map((each) => ({ ...each, value: 2.4 }));
  expect((await verifyExplanation(warning.explanation, tampered)).map((each) => each.what)).toEqual(['value', 'holds']);
});

test('data that stops greys a warning, data that returns restores it; neither resolves it', async () => {
  sensing.register(gauge);
  const running = await start();
  const seen: number[] = [];
  running.onStates((ids) => seen.push(...ids));
  await send(...minutes(1, 0, [2.6, 2.6, 2.6]));
  await send(reading(1, START_MS + 20 * MINUTE_MS, 2.6));
  expect((await events()).map((event) => [event.topic, (event.payload as Warning).state])).toEqual([['warning.raised', 'warning'], ['warning.unknown', 'unknown'], ['warning.known', 'warning']]);
  expect(new Set(seen)).toEqual(new Set([1]));
});

test('a restart neither raises again nor forgets, whatever the warning was doing', async () => {
  sensing.register(gauge);
  await start();
  await send(...minutes(1, 0, [2.6, 2.6, 2.6, 2.6]));
  const [before] = await events();
  for (let minute = 4; minute < 8; minute += 1) {
    await start();
    await send(...minutes(1, minute, [2.6]));
  }
  expect((await events()).length).toBe(1);
  await send(...minutes(1, 8, Array.from({ length: 20 }, () => 1.5)));
  expect(brain?.stateOf(1)).toBe('clearing');
  await start();
  await send(...minutes(1, 28, Array.from({ length: 16 }, () => 1.5)));
  expect((await events()).map((event) => [event.topic, event.key])).toEqual([['warning.raised', before?.key], ['warning.cleared', before?.key]]);
  await start();
  expect(brain?.stateOf(1)).toBe('ok');
  expect((await events()).length).toBe(2);
});

test('readings that were durable when the server fell are judged after the restart, once', async () => {
  sensing.register(gauge);
  await start();
  await send(...minutes(1, 0, [2.4, 2.4, 2.6]));
  sensing.keep(...minutes(1, 3, [2.6, 2.6, 2.6]));
  clock.set(START_MS + 6 * MINUTE_MS);
  await start();
  await start();
  const stored = await events();
  expect(stored.map((event) => event.topic)).toEqual(['warning.raised']);
  expect((stored[0]?.payload as Warning).since).toBe(isoOf(START_MS + 2 * MINUTE_MS));
});

test('a history that is filled in fires nothing that is over, and what still stands once', async () => {
  sensing.register(gauge, stream(2, 'level', 'drain', 'm'));
  await start();
  const now = clock.nowMs();
  const values = [...Array.from({ length: 30 }, () => 2.6), ...Array.from({ length: 90 }, () => 1.5), ...Array.from({ length: 31 }, () => 2.7)];
  await send(...values.map((value, minute) => reading(1, now - (150 - minute) * MINUTE_MS, value, { arrivalMs: now + minute })));
  await send(...values.map((value, minute) => reading(2, now - (600 - minute) * MINUTE_MS, value > 2 ? 1 : 0.5, { arrivalMs: now + 1_000 + minute })));
  clock.advance(15_000);
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // the tick
  await brain?.settled();
  const since = isoOf(now - 30 * MINUTE_MS);
  expect((await events()).map((event) => [event.topic, (event.payload as Warning).ruleId, (event.payload as Warning).since])).toEqual([
    ['warning.raised', 'river-rising', since],
    ['warning.raised', 'river-high', since],
  ]);
  expect(brain?.stateOf(2)).toBe('unknown'); // its newest reading is seven hours old
});

test('a warning whose data stopped long before the restart comes back as UNKNOWN', async () => {
  sensing.register(gauge);
  await start();
  await send(...minutes(1, 0, [2.6, 2.6, 2.6]));
  clock.set(START_MS + 2 * 86_400_000);
  const running = await start();
  expect(running.stateOf(1)).toBe('unknown');
  expect((await events()).map((event) => event.topic)).toEqual(['warning.raised', 'warning.unknown']);
});

test('a warning of a rule or a place that was taken away does not stand for ever', async () => {
  sensing.register(gauge, stream(2, 'level', 'river_gauge', 'm'));
  await start();
  await send(...minutes(1, 0, [2.6, 2.6, 2.6]), ...minutes(2, 3, [2.6, 2.6, 2.6]));
  sensing.remove(2);
  await brain?.settled();
  expect((await events()).map((event) => event.topic)).toEqual(['warning.raised', 'warning.raised', 'warning.cleared']);
  await start(null);
  expect((await events()).map((event) => event.topic)).toEqual(['warning.raised', 'warning.raised', 'warning.cleared', 'warning.cleared']);
});

test('pumps that say nothing are silent on the arrival clock, and a restart does not count the time when the server was down', async () => {
  sensing.register(stream(5, 'heartbeat', 'pump_station', '1'));
  await start();
  await send(reading(5, START_MS, 1));
  clock.advance(30 * MINUTE_MS);
  await start();
  clock.advance(9 * MINUTE_MS);
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // the tick
  expect(await events()).toEqual([]);
  clock.advance(2 * MINUTE_MS);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await brain?.settled();
  const [raised] = await events();
  expect((raised?.payload as Warning).explanation.terms[0]).toMatchObject({ comparison: 'silent', limit: 600, readings: 0, holds: true });
  await send(reading(5, clock.nowMs() + 1, 1), reading(5, clock.nowMs() + MINUTE_MS + 1, 1));
  expect((await events()).map((event) => event.topic)).toEqual(['warning.raised', 'warning.cleared']);
});

test('every warning of a random run, with late and bad readings, is borne out by the readings', async () => {
  const streams = [
    ...[1, 2, 3].map((id) => stream(id, 'level', 'river_gauge', 'm')),
    ...[4, 5].map((id) => stream(id, 'level', 'drain', 'm')),
    ...[6, 7].map((id) => stream(id, 'pm25', 'air_station', 'ug/m3')),
    stream(8, 'speed', 'road_section', 'km/h', { thingId: 200 }),
    stream(9, 'flow', 'road_section', '1/h', { thingId: 200 }),
    stream(10, 'occupancy', 'car_park', '%'),
    stream(11, 'lamp_state', 'street_lamp', '1'),
  ];
  sensing.register(...streams);
  await start();
  let seed = 20_261_124;
  const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const scale: Record<string, number> = { level: 3.2, pm25: 140, speed: 30, flow: 500, occupancy: 115, lamp_state: 2 };
  const levels = new Map(streams.map((each) => [each.id, random()]));
  const batch: Reading[] = [];
  for (let minute = 0; minute < 600; minute += 1) {
    for (const each of streams) {
      const drift = Math.min(1, Math.max(0, (levels.get(each.id) ?? 0) + (random() - 0.5) * 0.12));
      levels.set(each.id, drift);
      const value = each.property === 'lamp_state' ? Number(drift > 0.4) : drift * (scale[each.property] ?? 1);
      const atMs = START_MS + minute * MINUTE_MS + Math.floor(random() * 1_000);
      if (random() < 0.01) continue;
      batch.push(reading(each.id, atMs, value, { arrivalMs: atMs + (random() < 0.1 ? Math.floor(random() * 200_000) : 5), valid: random() > 0.03 }));
    }
  }
  batch.sort((a, b) => a.arrivalMs - b.arrivalMs);
  for (let at = 0; at < batch.length; at += 50) {
    const part = batch.slice(at, at + 50);
    clock.set(part.at(-1)?.arrivalMs ?? 0);
    sensing.admit(...part);
  }
  await brain?.settled();
  const raised = (await events()).filter((event) => event.topic === 'warning.raised').map((event) => Warning.parse(event.payload));
  expect(new Set(raised.map((warning) => warning.ruleId)).size).toBeGreaterThanOrEqual(5);
  expect(raised.length).toBeGreaterThan(20);
  for (const warning of raised) {
    // a batch is judged reading by reading: what arrived in the same batch but was not yet judged is not part of the evidence
    expect({ id: warning.ruleId, found: await verifyExplanation(warning.explanation, (id, fromMs, toMs) => sensing.readSeries(id, fromMs, toMs)) }).toEqual({ id: warning.ruleId, found: [] });
  }
  const standing = await handle.pool.query<{ n: number }>('select count(*) as n from warning where cleared_at is null group by rule_id, place_id having count(*) > 1');
  expect(standing.rows).toEqual([]);
});

test('rules that are not valid refuse the start and name rule, line and place', async () => {
  const error = await start('- rule: river-high\n  title: High water\n  why: At 2.5 m it reaches the quay\n  owner: Office of water\n  purpose: water-safety\n  watch: {observe: level, at: river_gauge}\n  when: level.now() > mm(2500)\n  severity: severe\n').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Refused);
  expect((error as Refused).refusals).toEqual([{ code: 'rule.invalid', field: 'river-high.when', detail: expect.stringMatching(/^Rule river-high, line 7, when: Column 13 of when: m cannot be compared with mm\. Write the limit with its unit: m\(…\)\.\nlevel\.now\(\) > mm\(2500\)\n {12}\^$/) as string }]);
});

test('the routes show rules with their places, find warnings, and check a document without storing it', async () => {
  sensing.register(gauge, stream(2, 'level', 'river_gauge', 'cm', { placeName: 'Old Weir' }), stream(3, 'level', 'river_gauge', 'm', { point: null, placeName: 'Nowhere' }));
  const running = await start();
  await send(...minutes(1, 0, [2.6, 2.6, 2.6]));
  const principal: Principal = { kind: 'person', id: 'per_1', name: 'A. Adeyemi', positions: ['supervisor'], pseudonym: 'p' };
  const http = await buildHttp({ logger: silentLogger, authenticate: () => Promise.resolve(principal), authorize: () => true });
  await running.registerRoutes(http);
  const { rules } = Rules.parse((await http.inject('/api/rules')).json());
  expect(rules.map((rule) => rule.id)).toEqual(['air-pm25-high', 'river-rising', 'river-high', 'drain-level-high', 'pump-silent', 'lamp-fault', 'road-slow', 'car-park-full']);
  expect(rules[2]).toMatchObject({ version: 1, places: 1, standing: 1, notWatched: [{ placeName: 'Old Weir', reason: 'Its level comes in "cm", the rule is written for "m".' }, { placeName: 'Nowhere', reason: 'The place has no location.' }] });
  const found = Warnings.parse((await http.inject(`/api/warnings?from=${isoOf(START_MS)}&to=${isoOf(START_MS + 3_600_000)}`)).json());
  expect(found.warnings.map((warning) => warning.ruleId)).toEqual(['river-high']);
  expect((await http.inject('/api/warnings?from=2026-11-24T06:00:00Z&to=2026-11-24T05:00:00Z')).statusCode).toBe(400);
  const check = async (document: string): Promise<RuleCheck> => RuleCheck.parse((await http.inject({ method: 'POST', url: '/api/rules/check', payload: { document } })).json());
  const good = DEMO_RULES.slice(DEMO_RULES.indexOf('- rule: river-high'), DEMO_RULES.indexOf('- rule: drain-level-high'));
  expect(await check(good)).toMatchObject({ ok: true, rules: [{ id: 'river-high', places: 1 }], faults: [] });
  expect(await check(good.replace('severity:', 'serverity:'))).toMatchObject({ ok: false, faults: [{ rule: 'river-high', key: 'severity', line: 1 }, { key: 'serverity', line: 11, detail: 'The key serverity is not known here. Did you mean severity?' }] });
  expect((await handle.pool.query('select 1 from rule_version')).rowCount).toBe(8);
  await http.close();
});

test('a changed document gets a new version, the same one keeps its own', async () => {
  await start();
  await start(DEMO_RULES.replace('m(2.50)', 'm(2.52)'));
  await start();
  const rows = await handle.pool.query<{ rule_id: string; versions: number }>(`select rule_id, count(*) as versions from rule_version where rule_id in ('river-high', 'river-rising') group by rule_id order by rule_id`);
  expect(rows.rows).toEqual([{ rule_id: 'river-high', versions: 2 }, { rule_id: 'river-rising', versions: 1 }]);
});
