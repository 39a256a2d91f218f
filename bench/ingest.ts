/**
 * Ingest, measured in one run so that the ratios hold: the bound is the same rows by binary COPY over two connections of the
 * same machine. `node tools/run.mjs bench/ingest.ts [--seconds 5] [--only arrays|singles|mqtt] [--url http://… --token …]`: with a
 * URL it aims at a running server (CreateObservations and single POSTs only, into Datastreams that it finds there).
 */
import { parseArgs } from 'node:util';
import { measureCopy } from './rig/copy-bound.ts';
import { BLOCK_ROWS, runLoad, type Load } from './rig/load.ts';
import { openDatabaseRig, openSensingRig, sendFirstReadings } from './rig/sensing.ts';
import { seedStreams } from '../test/streams.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, url: { type: 'string' }, token: { type: 'string' }, streams: { type: 'string', default: '10000' }, only: { type: 'string' } } });
const seconds = Number(options.seconds);
const say = (line: string): void => {
  console.log(line);
};
const rate = (count: number, ms: number): string => Math.round((count / ms) * 1000).toLocaleString('en');
const NAMES = { arrays: `CreateObservations, ${BLOCK_ROWS} rows a request, durable, gate on  `, singles: 'POST Observations, 64 connections, durable              ', mqtt: 'MQTT QoS 1, 16 clients, PUBACK after commit             ' };

if (options.url === undefined) await measureAlone();
else {
  const [url, token] = [options.url, options.token ?? ''];
  const ids = await findStreams(url, token);
  await printLoad({ kind: 'arrays', url, token, ids, seconds }, undefined);
  await printLoad({ kind: 'singles', url, token, ids, seconds }, undefined);
}

async function measureAlone(): Promise<void> {
  const database = await openDatabaseRig();
  const { handle } = database;
  try {
    const ids = await seedStreams(handle, Number(options.streams));
    const bound = options.only === undefined || options.only === 'arrays' ? await measureCopy(database.embedded.connection, ids, seconds) : undefined;
    if (bound !== undefined) say(`bound: binary COPY of the same rows, 2 connections          ${rate(bound.rows, bound.ms)} rows/s`);
    const rig = await openSensingRig(database);
    let startMs = performance.now();
    await sendFirstReadings(rig.url, ids);
    say(`first reading of ${ids.length.toLocaleString('en')} datastreams, with their features of interest  ${Math.round(performance.now() - startMs)} ms`);
    for (const kind of ['arrays', 'singles', 'mqtt'] as const) {
      if (options.only === undefined || options.only === kind) await printLoad({ kind, url: kind === 'mqtt' ? rig.mqttUrl : rig.url, token: 'x', ids, seconds }, kind === 'arrays' ? bound : undefined);
    }
    startMs = performance.now();
    let newest = 0;
    for (const id of ids) newest += rig.sensing.latest(id) === undefined ? 0 : 1;
    say(`latest of ${newest.toLocaleString('en')} datastreams, from memory                    ${(performance.now() - startMs).toFixed(2)} ms`);
    const { admitted } = rig.sensing.ingestStats();
    await rig.close();
    const found = await handle.pool.query<{ n: number }>('select count(*) as n from observation');
    const stored = found.rows[0]?.n ?? 0;
    say(`admitted ${admitted.toLocaleString('en')}, stored ${stored.toLocaleString('en')}, consumed ${rig.consumed().toLocaleString('en')}: ${admitted === stored && rig.consumed() === admitted ? 'equal' : 'NOT EQUAL'}`);
    if (admitted !== stored || rig.consumed() !== admitted) process.exitCode = 1;
    startMs = performance.now();
    const again = await openSensingRig(database);
    say(`start of sensing with the latest of ${[...again.sensing.streams().keys()].filter((id) => again.sensing.latest(id) !== undefined).length.toLocaleString('en')} from the database ${Math.round(performance.now() - startMs)} ms`);
    startMs = performance.now();
    const at = await again.sensing.latestAt(Date.now());
    say(`latestAt(now) of ${at.size.toLocaleString('en')} datastreams                             ${Math.round(performance.now() - startMs)} ms`);
    await again.close();
  } finally {
    await database.close();
  }
}

async function printLoad(load: Load, bound: { rows: number; ms: number } | undefined): Promise<void> {
  const answer = await runLoad(load);
  const share = bound === undefined ? '' : `, ratio to the bound ${((answer.count / answer.ms) / (bound.rows / bound.ms)).toFixed(2)}`;
  say(`${NAMES[load.kind]}  ${rate(answer.count, answer.ms)} obs/s (p50 ${answer.p50.toFixed(1)} ms, p99 ${answer.p99.toFixed(1)} ms, server ${Math.round(answer.server * 100)} % of a core${share})`);
}

async function findStreams(url: string, token: string): Promise<number[]> {
  const response = await fetch(`${url}/v1.1/Datastreams?$select=id&$top=1000`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`the server answers ${response.status} to the list of Datastreams`);
  const body = (await response.json()) as { value: { '@iot.id': number }[] };
  return body.value.map((entry) => entry['@iot.id']);
}
