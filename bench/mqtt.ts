/**
 * MQTT: what 5,000 connections that listen cost in memory, and how many QoS 1 messages a second are taken beside them, each
 * acknowledged after its commit. `node tools/run.mjs bench/mqtt.ts [--seconds 5] [--connections 4980]`. Ends with an error when a
 * bound is missed: 500 MB for the process with its connections, 15,000 messages/s.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seedStreams } from '../test/streams.ts';
import { openIdleConnections } from './rig/idle-connections.ts';
import { runLoad } from './rig/load.ts';
import { openDatabaseRig, openSensingRig, sendFirstReadings } from './rig/sensing.ts';

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '5' }, connections: { type: 'string', default: '4980' } } });
const CONNECTIONS = Number(options.connections);
const MEMORY_BOUND_MB = 500;
const RATE_FLOOR = 15_000;
const SETTLE_MS = 5_000;
const mb = (): number => process.memoryUsage.rss() / 1_048_576;
const say = (line: string): void => {
  console.log(line);
};

const database = await openDatabaseRig();
const ids = await seedStreams(database.handle, 1_000);
const rig = await openSensingRig(database);
await sendFirstReadings(rig.url, ids);
const alone = await runLoad({ kind: 'mqtt', url: rig.mqttUrl, token: 'x', ids, seconds: Number(options.seconds) });
say(`MQTT QoS 1, 16 clients, PUBACK after commit, nobody else connected   ${Math.round((alone.count / alone.ms) * 1000).toLocaleString('en')} messages/s (p50 ${alone.p50.toFixed(1)} ms, p99 ${alone.p99.toFixed(1)} ms), ${Math.round((alone.server * alone.ms * 1000) / alone.count)} µs of the server's processor each`);

await wait(SETTLE_MS);
const before = mb();
const { hostname, port } = new URL(rig.mqttUrl);
const startMs = performance.now();
const idle = await openIdleConnections({ host: hostname, port: Number(port), count: CONNECTIONS, ids });
const connectMs = performance.now() - startMs;
await wait(SETTLE_MS);
const after = mb();
say(`${CONNECTIONS.toLocaleString('en')} connections, each listening to a Datastream, in ${(connectMs / 1000).toFixed(1)} s   ${after.toFixed(0)} MB in all, ${(((after - before) * 1024) / CONNECTIONS).toFixed(1)} kB a connection, ratio to the bound ${(after / MEMORY_BOUND_MB).toFixed(2)}`);

const beside = await runLoad({ kind: 'mqtt', url: rig.mqttUrl, token: 'x', ids, seconds: Number(options.seconds) });
const rate = (beside.count / beside.ms) * 1000;
say(`the same beside them, every message sent on to ${Math.floor(CONNECTIONS / ids.length)} of them or more   ${Math.round(rate).toLocaleString('en')} messages/s (p50 ${beside.p50.toFixed(1)} ms, p99 ${beside.p99.toFixed(1)} ms), ${(rate / ((alone.count / alone.ms) * 1000)).toFixed(2)} of the rate alone, ${(rate / RATE_FLOOR).toFixed(1)} times the floor`);
const peak = mb();
say(`memory after it   ${peak.toFixed(0)} MB`);
await idle.close();
await rig.close();
await database.close();
if (after > MEMORY_BOUND_MB || rate < RATE_FLOOR) process.exitCode = 1;
