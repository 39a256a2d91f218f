/**
 * Reads beside ten million stored readings, over HTTP where a client would: each figure with its floor and its aim, median of several.
 * `node tools/run.mjs bench/reads.ts [--rows 10000000] [--days 30]`. Ends with an error when a floor is missed.
 */
import { parseArgs } from 'node:util';
import { loadavg } from 'node:os';
import { systemClock } from '../src/kernel/index.ts';
import { rollUp } from '../src/sensing/history/rollup-store.ts';
import { seedStreams } from '../test/streams.ts';
import { fillDays } from './rig/fill.ts';
import { median } from './rig/median.ts';
import { openDatabaseRig, openSensingRig, sendFirstReadings } from './rig/sensing.ts';

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '10000000' }, days: { type: 'string', default: '30' } } });
const STREAMS = 10_000;
const DEPTH = 500_000;
const PAGE = 1_000;
const MINUTES_OF_DAY = 1_440;
const DAY_MS = 86_400_000;
const rows = Number(options.rows);
const days = Number(options.days);
const say = (line: string): void => {
  console.log(line);
};

const database = await openDatabaseRig();
try {
  const ids = await seedStreams(database.handle, STREAMS);
  // the last one sends every minute, for the means of a month
  const busy = ids.at(-1) as number;
  await fillDays(database, ids.slice(0, -1), rows, days);
  await fillDays(database, [busy], MINUTES_OF_DAY * days, days);
  for (let startMs = performance.now(); await rollUp(database.handle, systemClock.nowMs()); ) if (performance.now() - startMs > 600_000) throw new Error('the roll-ups do not come to an end');
  const rig = await openSensingRig(database);
  await sendFirstReadings(rig.url, ids);
  await measure(rig.url, busy);
  let startMs = performance.now();
  let found = 0;
  for (const id of ids) found += rig.sensing.latest(id) === undefined ? 0 : 1;
  print(`latest of ${found.toLocaleString('en')} datastreams, from memory`, performance.now() - startMs, 100, 50);
  startMs = performance.now();
  await rig.sensing.latestAt(Date.now() - DAY_MS / 2);
  say(`latest of ${STREAMS.toLocaleString('en')} datastreams at a past moment: ${(performance.now() - startMs).toFixed(1)} ms`);
  await rig.close();
} finally {
  await database.close();
}

async function measure(url: string, busy: number): Promise<void> {
  const get = async (path: string): Promise<{ value?: unknown[]; '@iot.nextLink'?: string; '@iot.count'?: number; buckets?: unknown[] }> => {
    const response = await fetch(path.startsWith('http') ? `${url}${path.slice('http://127.0.0.1'.length)}` : `${url}${path}`, { headers: { authorization: 'Bearer x' } });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}: ${text.slice(0, 500)}`);
    return JSON.parse(text) as Awaited<ReturnType<typeof get>>;
  };
  const walk = async (path: string): Promise<void> => {
    let seen = 0;
    for (let next: string | undefined = path; next !== undefined; ) {
      const page = await get(next);
      seen += page.value?.length ?? 0;
      next = page['@iot.nextLink'];
    }
    if (seen !== STREAMS) throw new Error(`${path} showed ${seen} datastreams`);
  };
  const latest = '$expand=Observations($top=1;$orderby=phenomenonTime desc';
  print(`latest of ${STREAMS.toLocaleString('en')} datastreams by ${PAGE}, ids and results`, await median(() => walk(`/v1.1/Datastreams?$top=${PAGE}&$select=id&${latest};$select=result)`), 5, 1), Infinity, Infinity);
  print(`latest of ${STREAMS.toLocaleString('en')} datastreams in one answer, /api/latest`, await median(async () => void (await get('/api/latest')), 11, 1), 100, 50);
  print(`the same, whole entities`, await median(() => walk(`/v1.1/Datastreams?$top=${PAGE}&${latest})`), 3, 1), Infinity, Infinity);
  const [from, to] = [new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - 31 * DAY_MS), new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS)];
  const month = `/api/history/datastreams/${busy}?from=${from.toISOString()}&to=${to.toISOString()}&step=hour`;
  const buckets = (await get(month)).buckets?.length ?? 0;
  print(`month of hourly means (${buckets} hours)`, await median(async () => void (await get(month)), 21, 1), 30, 10);
  print('$count of all observations', await median(async () => void (await get('/v1.1/Observations?$count=true&$top=1')), 21, 1), 100, 30);
  for (const [name, order] of [['by id', ''], ['by time, newest first', '&$orderby=phenomenonTime desc'], ['by time, oldest first', '&$orderby=phenomenonTime']] as const) {
    const startMs = performance.now();
    const { '@iot.nextLink': next } = await get(`/v1.1/Observations?$top=100&$skip=${DEPTH}${order}`);
    const skip_ms = performance.now() - startMs;
    if (next === undefined) throw new Error('there is no next page');
    print(`page of 100 at depth ${DEPTH.toLocaleString('en')} by next link, ${name} (by $skip ${skip_ms.toFixed(0)} ms)`, await median(async () => void (await get(next)), 21, 1), 20, 10);
  }
  const things = `/v1.1/Things?$top=${PAGE}`;
  print(`$expand=Datastreams($expand=Observations($top=1)) of ${PAGE} things, names and results`, await median(async () => void (await get(`${things}&$select=name&$expand=Datastreams($select=name;$expand=Observations($top=1;$select=result))`)), 11, 1), 150, 50);
  print('the same, whole entities', await median(async () => void (await get(`${things}&$expand=Datastreams($expand=Observations($top=1))`)), 11, 1), 150, 50);
}

function print(what: string, ms: number, floor_ms: number, aim_ms: number): void {
  const bounds = floor_ms === Infinity ? '' : ` (floor ${floor_ms} ms, aim ${aim_ms} ms): ${ms <= aim_ms ? 'aim met' : ms <= floor_ms ? 'floor met' : 'MISSED'}`;
  say(`${what}: ${ms.toFixed(1)} ms${bounds}, load ${(loadavg()[0] ?? 0).toFixed(1)}`);
  if (ms > floor_ms) process.exitCode = 1;
}
