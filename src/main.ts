import { parseArgs } from 'node:util';
import { startCity, type RunningCity } from './app.ts';
import { loadConfig, printConfig, type Config } from './config.ts';
import { startIngest } from './ingest-process.ts';
import { startDemo } from './demo-process.ts';
import { Refused, REFUSALS, systemClock, systemRandom } from './kernel/index.ts';
import { createLogger } from './platform/index.ts';

const startedMs = Number(process.env['CLERESTORY_STARTED_MS'] ?? Date.now());
const say = (text: string): void => console.log(`[${((Date.now() - startedMs) / 1000).toFixed(1).padStart(5)} s] ${text}`);

async function main(): Promise<void> {
  const { values } = parseArgs({ args: process.argv.slice(2), options: { 'print-config': { type: 'boolean' }, empty: { type: 'boolean' } }, strict: true });
  const loaded = loadConfig(process.env, values.empty === true ? { empty: true } : {});
  if (values['print-config'] === true) {
    console.log(printConfig(loaded));
    return;
  }
  const { config } = loaded;
  const logger = createLogger(config.log_level);
  const stops: (() => Promise<void>)[] = [];
  stopOnSignal(stops);
  if (config.role === 'ingest') {
    const starting = startIngest(config, { clock: systemClock, random: systemRandom, logger, say });
    stops.push(async () => (await starting).stop());
    const ingest = await starting;
    console.log(['', '  Taking readings for the city.', '', `  HTTP      ${ingest.url}/v1.1`, `  MQTT      ${config.host}:${ingest.mqttPort}`, '', '  Ctrl-C stops it; the city goes on.', ''].join('\n'));
    return;
  }
  const demo = await startDemo(config, say);
  const starting = startCity(config, { clock: systemClock, random: systemRandom, logger, say });
  stops.push(() => demo.stop(), async () => (await starting).stop());
  const city = await starting;
  await demo.enter(city);
  await printBanner(city, config);
}

/** Stops in the order of `stops`, which grows while the city starts. */
function stopOnSignal(stops: readonly (() => Promise<void>)[]): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    say('stopping: finishing what was acknowledged, then the database');
    void (async () => {
      for (const each of stops) await each();
      process.exit(0);
    })();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  if (process.channel) process.on('disconnect', stop); // npm start is gone
}

async function printBanner(city: RunningCity, config: Config): Promise<void> {
  const lines = [
    '',
    `  ${city.name} is live.`,
    '',
    `  City      ${city.visitUrl}`,
    `  Sign in   ${await city.invite()}`,
    '            (works once, for an hour: choose your name and a passphrase or passkey)',
    `  MQTT      ${config.host}:${city.mqttPort}`,
    `  Data      ${config.data}`,
    '',
    '  Ctrl-C stops it; npm start brings it back with everything in it.',
    '',
  ];
  console.log(lines.join('\n'));
}

/** Says what happened and what to do, for the faults that a person at the terminal can mend. */
function explain(error: unknown): string {
  if (error instanceof Refused) return error.refusals.map((refusal) => `${refusal.detail} ${REFUSALS[refusal.code].cure}`).join('\n');
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return `${message}. Another program has this port: stop it, or set CLERESTORY_PORT or CLERESTORY_MQTT_PORT to a free one.`;
  if (code === 'EACCES') return `${message}. Ports below 1024 and foreign folders need rights that this user does not have.`;
  if (code === 'ELOCKED') return `${message}: Clerestory already runs on this data folder. Stop it first, or set CLERESTORY_DATA to another folder.`;
  if (code === 'ENOSPC' || /no space left/i.test(message)) return `The disk is full (${message}). Free some space and start again; nothing that was acknowledged is lost.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// Whoever read our lines may be gone before the city has stopped (npm start | head); that is no reason to stop badly.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
try {
  await main();
} catch (error) {
  console.error(`\nClerestory cannot start: ${explain(error)}\n`);
  process.exit(1);
}
