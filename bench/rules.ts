/**
 * Rules on a stream of readings, on one core: the eight rules of the demo city over 1,000 streams, from the durable batch to the
 * published warning. Prints readings a second, and how many changes of warnings a second are stored and published.
 * `node tools/run.mjs bench/rules.ts [--seconds 5] [--streams 1000]`
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBrain, type SensingDoor } from '../src/brain/index.ts';
import type { Reading, StreamInfo } from '../src/contracts/reading.ts';
import { systemClock } from '../src/kernel/index.ts';
import { createBus, createMetrics, migrate, openDatabase, silentLogger, startEmbeddedDatabase } from '../src/platform/index.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, streams: { type: 'string', default: '1000' } } });
const SECONDS = Number(options.seconds);
const STREAMS = Number(options.streams);
const BATCH_ROWS = 1_000;
const RULES = readFileSync(new URL('../demo/city/rules.yaml', import.meta.url), 'utf8');

/** A kind of stream, its share of all streams, and what it reads: quiet below its limit, with an episode above it now and then. */
const WATCHED = [
  ['pm25', 'air_station', 'ug/m3', 12, 65],
  ['level', 'river_gauge', 'm', 1, 2.8],
  ['level', 'drain', 'm', 0.3, 1.1],
  ['heartbeat', 'pump_station', '1', 1, 1],
  ['lamp_state', 'street_lamp', '1', 1, 0],
  ['occupancy', 'car_park', '%', 60, 99],
] as const;
const UNWATCHED = [['fill', 'waste_bin', '%', 40, 80], ['noise', 'noise_meter', 'dB', 55, 80], ['temperature', 'weather_station', 'Cel', 9, 12], ['no2', 'air_station', 'ug/m3', 20, 40], ['rain', 'rain_gauge', 'mm', 0, 4]] as const;

function makeStreams(watchedShare: number): { info: StreamInfo; quiet: number; loud: number }[] {
  return Array.from({ length: STREAMS }, (_, at) => {
    const watched = at < STREAMS * watchedShare;
    const kinds = watched ? WATCHED : UNWATCHED;
    const [property, placeKind, unit, quiet, loud] = kinds[at % kinds.length] as (typeof WATCHED)[number] | (typeof UNWATCHED)[number];
    return { info: { id: at + 1, name: `${property} ${at}`, property, unit, purpose: 'water-safety', interval_s: 60, thingId: at + 1, placeName: `Place ${at}`, placeKind, point: [8, 50] }, quiet, loud };
  });
}

async function measure(name: string, watchedShare: number, episodes: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-'));
  chmodSync(folder, 0o755);
  const embedded = await startEmbeddedDatabase(folder, silentLogger);
  const handle = openDatabase(embedded.connection, silentLogger, 4);
  try {
    await migrate(handle.db);
    const bus = await createBus(handle, systemClock, silentLogger);
    const streams = makeStreams(watchedShare);
    let give: (batch: readonly Reading[]) => void = () => undefined;
    const sensing: SensingDoor = {
      streams: () => new Map(streams.map(({ info }) => [info.id, info])),
      onStreamsChanged: () => () => undefined,
      onReadings: (take) => {
        give = take;
        return () => undefined;
      },
      readHistory: async function* () {},
    };
    const brain = await createBrain({ handle, bus, clock: systemClock, logger: silentLogger, metrics: createMetrics(), sensing, purposes: { get: () => ({}), live: () => true }, rulesYaml: RULES });

    // event time runs a minute a round, as if each stream sent once a minute
    let minute = 0;
    let readings = 0;
    let inRules_ms = 0;
    const began = performance.now();
    const startMs = Date.now() - 240_000;
    while (performance.now() - began < SECONDS * 1_000) {
      for (let at = 0; at < streams.length; at += BATCH_ROWS) {
        const batch = streams.slice(at, at + BATCH_ROWS).map(({ info, quiet, loud }): Reading => {
          const atMs = startMs + minute * 60_000;
          const isLoud = episodes && (minute + info.id * 7) % 300 < 20;
          return { datastreamId: info.id, phenomenonMs: atMs, arrivalMs: atMs, value: (isLoud ? loud : quiet) + (info.id % 7) * 0.001 * (minute % 5), valid: true };
        });
        const from = performance.now();
        give(batch);
        inRules_ms += performance.now() - from;
        readings += batch.length;
      }
      minute += 1;
      if (minute % 20 === 0) await new Promise((resolve) => setImmediate(resolve)); // the writer has its turn, as between real batches
    }
    const took_ms = performance.now() - began;
    await brain.settled();
    const settled_ms = performance.now() - began;
    const changes = await bus.lastSeq();
    const perSecond = (count: number, ms: number): string => Math.round((count / ms) * 1_000).toLocaleString('en').padStart(11);
    console.log(`${name.padEnd(44)} ${perSecond(readings, inRules_ms)} readings/s in the rules, ${perSecond(readings, took_ms)} with making them; ${changes.toLocaleString('en')} changes of warnings published${changes === 0 ? '' : `, ${perSecond(changes, settled_ms).trim()} a second`}`);
    await brain.close();
    await bus.close();
  } finally {
    await handle.close();
    await embedded.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

console.log(`8 rules, ${STREAMS.toLocaleString('en')} streams, one core; batches of ${BATCH_ROWS.toLocaleString('en')}`);
await measure('no stream is watched', 0, false);
await measure('10 % of the streams are watched, calm', 0.1, false);
await measure('all streams are watched, calm', 1, false);
await measure('all streams are watched, 7 % in an episode', 1, true);
