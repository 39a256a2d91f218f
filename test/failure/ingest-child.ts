// A small server for ingest-crash.test.ts: the real ingest path on a real embedded database with its real settings.
import { systemClock } from '../../src/kernel/index.ts';
import { ANONYMOUS, type Principal } from '../../src/contracts/principal.ts';
import { buildHttp, createBus, createMetrics, migrate, openDatabase, silentLogger, startEmbeddedDatabase } from '../../src/platform/index.ts';
import { createSensing } from '../../src/sensing/index.ts';
import { createGate } from '../../src/trust/index.ts';
import { seedStreams } from '../streams.ts';

const folder = process.argv[2] ?? '';
const device: Principal = { kind: 'token', id: 'device', name: 'device', positions: ['device'], pseudonym: 'device' };
const embedded = await startEmbeddedDatabase(folder, silentLogger);
const handle = openDatabase(embedded.connection, silentLogger);
await migrate(handle.db);
const known = await handle.pool.query<{ id: number }>('select id from datastream order by id');
const streams = known.rows.length > 0 ? known.rows.map((row) => row.id) : await seedStreams(handle, 20);
const metrics = createMetrics();
const bus = await createBus(handle, systemClock, silentLogger);
const purposes = { live: () => true, get: () => undefined, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };
const sensing = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://city.test' });
const http = await buildHttp({ logger: silentLogger, authenticate: async (request) => (request.headers.authorization === undefined ? ANONYMOUS : device), authorize: () => true });
await sensing.registerRoutes(http);
const url = await http.listen({ host: '127.0.0.1', port: 0 });
const mqtt = await sensing.startMqtt({ host: '127.0.0.1', port: 0 });
process.send?.({ url, mqttPort: mqtt.port, streams, postgresPid: embedded.pid() });
process.on('message', (message) => {
  if (message !== 'stop') return;
  void (async () => {
    await http.close();
    await sensing.close();
    await bus.close();
    await handle.close();
    await embedded.stop();
    process.disconnect();
  })();
});
