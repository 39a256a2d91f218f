/**
 * What the register of purposes costs reads: the same questions over HTTP without a register, with one of 20 purposes that live, with
 * one that ended and whose readings are gone, and with one that ended and whose readings are still there. Medians, asked
 * by turns; the register may add a quarter and a millisecond at most, except in the last case, which lasts until the next upkeep.
 * `node tools/run.mjs bench/purposes.ts [--rows 1000000]`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { silentLogger } from '../src/platform/index.ts';
import { systemClock, unwrap } from '../src/kernel/index.ts';
import { createPurposes, type PurposeRegistry } from '../src/trust/purposes/index.ts';
import { seedStreams } from '../test/streams.ts';
import { fillDays } from './rig/fill.ts';
import { openDatabaseRig, openSensingRig, type SensingRig } from './rig/sensing.ts';

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '1000000' } } });
const STREAMS = 1_000;
const DAYS = 10;
const ROUNDS = 41;
const WARM_UPS = 8;
const MAY_ADD = 1.25;
const MAY_ADD_MS = 1;
const entry = (id: string, ends: string | null): object => ({ id, title: 'Levels', description: 'Levels of water.', legal_basis: 'Public task', owner: 'Water', retention_days: 400, ends });
const LIVING = ['city-operations', ...Array.from({ length: 19 }, (_, n) => `purpose-${n}`)].map((id) => entry(id, null));

const database = await openDatabaseRig();
let holds = true;
try {
  const ids = await seedStreams(database.handle, STREAMS);
  await seedStreams(database.handle, 1, { purpose: 'gone' });
  const still = await seedStreams(database.handle, 10, { purpose: 'still-there' });
  await fillDays(database, ids, Number(options.rows), DAYS);
  await fillDays(database, still, Number(options.rows) / 100, DAYS);
  const of = ids[0] as number;
  const questions: [string, string][] = [
    ['page of 100 observations', '/v1.1/Observations?$top=100'],
    ['newest of one datastream', `/v1.1/Datastreams(${of})/Observations?$top=1&$orderby=phenomenonTime desc`],
    ['page of 100 of one datastream', `/v1.1/Datastreams(${of})/Observations?$top=100`],
    ['$count of all observations', '/v1.1/Observations?$count=true&$top=1'],
    ['1,000 datastreams with their newest', '/v1.1/Datastreams?$top=1000&$select=id&$expand=Observations($top=1;$orderby=phenomenonTime desc;$select=result)'],
    ['hourly means of a day', `/api/history/datastreams/${of}?from=${new Date(Date.now() - 3 * 86_400_000).toISOString()}&to=${new Date(Date.now() - 2 * 86_400_000).toISOString()}&step=hour`],
  ];
  await database.handle.pool.query('vacuum analyze');
  const rigs: { purposes: PurposeRegistry | undefined; rig: SensingRig }[] = [];
  for (const more of [null, [], [entry('gone', '2020-01-01')], [entry('gone', '2020-01-01'), entry('still-there', '2020-01-01')]]) {
    await database.handle.pool.query('delete from purpose_register'); // each keeps the one that it read
    const purposes = more === null ? undefined : unwrap(await createPurposes({ handle: database.handle, clock: systemClock, logger: silentLogger, yaml: JSON.stringify({ purposes: [...LIVING, ...more] }) }));
    rigs.push({ purposes, rig: await openSensingRig(database, purposes === undefined ? {} : { purposes }) });
  }
  const ask = async (rig: SensingRig, path: string): Promise<number> => {
    const from = performance.now();
    const answer = await fetch(`${rig.url}${path}`, { headers: { authorization: 'Bearer x' } });
    if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}`);
    await answer.arrayBuffer();
    return performance.now() - from;
  };
  // an ended purpose counts as empty a minute after a process first saw that it had ended
  for (const { rig } of rigs) await ask(rig, '/v1.1/Observations?$top=1');
  await sleep(61_000);
  const figures = new Map<string, number[]>();
  for (const [name, path] of questions) {
    const took = rigs.map((): number[] => []);
    for (let round = -WARM_UPS; round < ROUNDS; round += 1) {
      for (const [at, { rig }] of rigs.entries()) {
        const ms = await ask(rig, path);
        if (round >= 0) took[at]?.push(ms);
      }
    }
    figures.set(name, took.map((each) => each.sort((x, y) => x - y)[ROUNDS >> 1] ?? NaN));
  }
  for (const { rig, purposes } of rigs) {
    await rig.close();
    purposes?.close();
  }
  console.log(`ms: no register, 20 that live, one ended and deleted, one ended and not deleted yet`);
  for (const [name, [none = 0, living = 0, ended = 0, kept = 0]] of figures) {
    const isHeld = [living, ended].every((ms) => ms <= none * MAY_ADD + MAY_ADD_MS);
    holds &&= isHeld;
    console.log(`${name.padEnd(38)} ${[none, living, ended, kept].map((ms) => ms.toFixed(2).padStart(9)).join(' ')}  ${isHeld ? 'holds' : 'DOES NOT HOLD'}`);
  }
} finally {
  await database.close();
}
if (!holds) process.exitCode = 1;
