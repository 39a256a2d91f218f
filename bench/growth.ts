/**
 * Whether ingest slows down as the history grows: the rate at a million stored readings and again at a hundred million, in one run.
 * `node tools/run.mjs bench/growth.ts [--rows 100000000] [--seconds 10]`. Needs about 15 GB of disk for a hundred million.
 */
import { parseArgs } from 'node:util';
import { fillDays } from './rig/fill.ts';
import { runLoad } from './rig/load.ts';
import { openDatabaseRig, openSensingRig, sendFirstReadings } from './rig/sensing.ts';
import { seedStreams } from '../test/streams.ts';

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '100000000' }, seconds: { type: 'string', default: '10' } } });
const FLOOR = 0.8;
const STREAMS = 10_000;
const DAYS = 30;
const SMALL = 1_000_000;
const large = Number(options.rows);

const database = await openDatabaseRig();
try {
  const ids = await seedStreams(database.handle, STREAMS);
  const first = await openSensingRig(database);
  await sendFirstReadings(first.url, ids);
  await first.close();
  await fillDays(database, ids, SMALL, DAYS);
  const small = await measure(ids);
  console.log(`CreateObservations at ${SMALL.toLocaleString('en')} stored readings: ${Math.round(small).toLocaleString('en')} obs/s`);
  await fillDays(database, ids, large - SMALL, DAYS, DAYS + 1);
  const grown = await measure(ids);
  console.log(`CreateObservations at ${large.toLocaleString('en')} stored readings: ${Math.round(grown).toLocaleString('en')} obs/s, ratio ${(grown / small).toFixed(2)} (floor ${FLOOR})`);
  if (grown / small < FLOOR) process.exitCode = 1;
} finally {
  await database.close();
}

async function measure(ids: readonly number[]): Promise<number> {
  const rig = await openSensingRig(database);
  const answer = await runLoad({ kind: 'arrays', url: rig.url, token: 'x', ids, seconds: Number(options.seconds) });
  await rig.close();
  return (answer.count / answer.ms) * 1000;
}
