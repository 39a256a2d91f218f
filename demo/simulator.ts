import { setTimeout as sleep } from 'node:timers/promises';
import { CityRefusal, type CityClient, connectCity } from './city-client.ts';
import { deliver } from './faults.ts';
import { formOf, reportsBetween, type ResidentReport } from './residents.ts';
import { isDue, listStreams, type Row, sendReadings } from './registered-streams.ts';
import { type Scenario } from './storm.ts';

const TICK_MS = 1_000;
const BATCH_ROWS = 5_000;
/** After a longer absence of the city, or a sleep of this machine, the simulator does not catch up on what came before. */
const CATCH_UP_MS = 5 * 60_000;
/** Readings that a fault delays. */
const LATE_ROWS_MAX = 20_000;
/** Residents do not stand exactly where a sensor hangs. */
const STROLL_DEGREES = 0.0003;

interface SimulatorOptions {
  readonly city: CityClient;
  /** Files reports without a token, as residents do. */
  readonly residents: CityClient;
  readonly scenario: Scenario;
  /** How many seconds of the city pass in one of ours. */
  readonly speed: number;
  readonly nowMs: () => number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

interface Due extends Row {
  readonly dueMs: number;
}

/**
 * The demo city's sensors and residents; ends when the signal says so. At speed s the values evolve s times faster and each
 * stream reports s times more often (at most once a second), while every reading carries the real time: nothing lies in the
 * future, and a rule that waits for minutes still waits for real minutes.
 */
export async function simulate({ city, residents, scenario, speed, nowMs, say, signal }: SimulatorOptions): Promise<void> {
  const streams = await listStreams(city);
  if (streams.length === 0) throw new Error('the city has none of the demo\'s datastreams; seed it first');
  const pointOf = new Map(streams.map(({ model, point }) => [model.reference.replace(/\..*$/, ''), point]));
  say(`${streams.length} sensors report: ${scenario}${speed === 1 ? '' : `, ${speed} times as fast`}`);
  const beganMs = nowMs();
  const cityTimeOf = (atMs: number): number => beganMs + (atMs - beganMs) * speed;
  let late: Due[] = [];
  let doneMs = Math.floor(beganMs / TICK_MS) * TICK_MS;
  while (!signal.aborted) {
    const untilMs = Math.floor(nowMs() / TICK_MS) * TICK_MS;
    doneMs = Math.max(doneMs, untilMs - CATCH_UP_MS);
    const fromMs = doneMs;
    let rows: Row[] = late.filter(({ dueMs }) => dueMs < untilMs);
    late = late.filter(({ dueMs }) => dueMs >= untilMs);
    for (; doneMs < untilMs; doneMs += TICK_MS) {
      const moment = { atMs: cityTimeOf(doneMs), scenario, beganMs };
      for (const stream of streams) {
        if (!isDue(stream, doneMs, Math.max(1, Math.round(stream.model.stream.interval_s / speed)))) continue;
        const delivery = deliver(stream.model, moment);
        if (!delivery) continue;
        const row = { datastreamId: stream.id, atMs: doneMs, value: delivery.value };
        if (delivery.late_ms > 0 && late.length < LATE_ROWS_MAX) late.push({ ...row, dueMs: doneMs + delivery.late_ms });
        else rows.push(...(delivery.times === 2 ? [row, row] : [row]));
      }
      if (rows.length >= BATCH_ROWS) rows = await sendAll(city, rows, say);
    }
    if (rows.length > 0) await sendAll(city, rows, say);
    for (const report of reportsBetween(scenario, beganMs, cityTimeOf(fromMs), cityTimeOf(untilMs))) await fileReport(residents, report, pointOf, say);
    await sleep(TICK_MS - (nowMs() % TICK_MS), undefined, { signal });
  }
}

async function sendAll(city: CityClient, rows: readonly Row[], say: (text: string) => void): Promise<Row[]> {
  const taken = await sendReadings(city, rows);
  if (taken < rows.length) say(`the city refused ${rows.length - taken} of ${rows.length} readings`);
  return [];
}

async function fileReport(residents: CityClient, report: ResidentReport, pointOf: ReadonlyMap<string, readonly [number, number]>, say: (text: string) => void): Promise<void> {
  const near = pointOf.get(report.near);
  if (!near) return say(`nobody reports about ${report.near}: this city does not have it`);
  const turn = report.description.length;
  try {
    await residents.post('/open311/v2/requests.json', formOf(report, [near[0] + STROLL_DEGREES * Math.cos(turn), near[1] + STROLL_DEGREES * Math.sin(turn)]), report.language);
  } catch (error) {
    if (!(error instanceof CityRefusal)) throw error;
    say(`a report about ${report.service_code} was refused: ${error.message}`);
  }
}

/** The process of its own: configured by the environment, ended by a signal or by the end of its parent. */
async function run(): Promise<void> {
  const { CLERESTORY_URL: url, CLERESTORY_TOKEN: token, CLERESTORY_DEMO_SPEED: speedText = '1', CLERESTORY_DEMO_SCENARIO: scenarioText = 'storm-day' } = process.env;
  if (url === undefined || token === undefined) throw new Error('set CLERESTORY_URL and CLERESTORY_TOKEN');
  const speed = Number(speedText);
  if (!(speed >= 0.1 && speed <= 600)) throw new Error('CLERESTORY_DEMO_SPEED must lie between 0.1 and 600');
  if (scenarioText !== 'storm-day' && scenarioText !== 'ordinary-day') throw new Error('CLERESTORY_DEMO_SCENARIO must be storm-day or ordinary-day');
  const end = new AbortController();
  const stop = (): void => end.abort();
  process.once('SIGTERM', stop).once('SIGINT', stop).once('disconnect', stop);
  // A parent that holds the other end of the input ends this process by its own end, however it comes.
  process.stdin.once('end', stop).once('close', stop).resume();
  const say = (text: string): void => console.log(text);
  const onRetry = (reason: string, wait_ms: number): void => say(`the city is away (${reason}); again in ${wait_ms / 1_000} s`);
  try {
    await simulate({ city: connectCity({ url, token, onRetry, signal: end.signal }), residents: connectCity({ url, token: undefined, onRetry, signal: end.signal }), scenario: scenarioText, speed, nowMs: Date.now, say, signal: end.signal });
  } catch (error) {
    if (!end.signal.aborted) throw error;
  } finally {
    process.stdin.destroy();
    if (process.connected) process.disconnect();
  }
}

if (import.meta.main) await run();
