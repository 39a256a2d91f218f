import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ANONYMOUS, type Principal } from '../../src/contracts/principal.ts';
import { systemClock } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createLogger, createMetrics, migrate, openDatabase, silentLogger, startEmbeddedDatabase, type DatabaseHandle, type EmbeddedDatabase } from '../../src/platform/index.ts';
import { createSensing, type Sensing } from '../../src/sensing/index.ts';
import { createGate } from '../../src/trust/index.ts';

const EVERY_PURPOSE = { live: () => true, get: () => undefined, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };
const DEVICE: Principal = { kind: 'token', id: 'bench', name: 'bench', positions: ['device'], pseudonym: 'bench' };

/** An embedded database of its own, with its settings as a city has them. */
export interface DatabaseRig {
  readonly handle: DatabaseHandle;
  readonly embedded: EmbeddedDatabase;
  readonly folder: string;
  close(): Promise<void>;
}

export async function openDatabaseRig(): Promise<DatabaseRig> {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-bench-'));
  chmodSync(folder, 0o755);
  const embedded = await startEmbeddedDatabase(folder, silentLogger);
  const handle = openDatabase(embedded.connection, silentLogger);
  await migrate(handle.db);
  return {
    handle,
    embedded,
    folder,
    close: async () => {
      await handle.close();
      await embedded.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Sensing alone behind real sockets: gate on, any token a device's, nobody who consumes the readings but the counter. */
export interface SensingRig {
  readonly sensing: Sensing;
  readonly url: string;
  readonly mqttUrl: string;
  /** Readings that came out after their commit. */
  consumed(): number;
  close(): Promise<void>;
}

export async function openSensingRig({ handle }: DatabaseRig, { purposes = EVERY_PURPOSE }: { purposes?: Parameters<typeof createSensing>[0]['purposes'] } = {}): Promise<SensingRig> {
  const logger = createLogger('warn');
  const metrics = createMetrics();
  const bus = await createBus(handle, systemClock, silentLogger);
  const sensing = await createSensing({ handle, bus, clock: systemClock, logger, metrics, purposes, gate: createGate(metrics, 0), authenticateToken: async () => DEVICE, authorize: () => true, publicUrl: () => 'http://127.0.0.1' });
  let consumed = 0;
  sensing.onReadings((batch) => {
    for (const reading of batch) consumed += reading.valid ? 1 : 0;
  });
  const http = await buildHttp({ logger, authenticate: async (incoming) => (incoming.headers.authorization === undefined ? ANONYMOUS : DEVICE), authorize: (principal) => principal.kind === 'token' });
  await sensing.registerRoutes(http);
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  const mqtt = await sensing.startMqtt({ host: '127.0.0.1', port: 0 });
  return {
    sensing,
    url,
    mqttUrl: `mqtt://127.0.0.1:${mqtt.port}`,
    consumed: () => consumed,
    close: async () => {
      await http.close();
      await sensing.close();
      await bus.close();
    },
  };
}

/** One reading a datastream, so that features and partitions are made. */
export async function sendFirstReadings(url: string, ids: readonly number[]): Promise<void> {
  for (let from = 0; from < ids.length; from += 1_000) {
    const blocks = ids.slice(from, from + 1_000).map((id) => ({ Datastream: { '@iot.id': id }, components: ['phenomenonTime', 'result'], dataArray: [[new Date(Date.now() - 86_400_000).toISOString(), 1.5]] }));
    const response = await fetch(`${url}/v1.1/CreateObservations`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer x' }, body: JSON.stringify(blocks) });
    if (response.status !== 201) throw new Error(`the first readings were answered with ${response.status}`);
    await response.arrayBuffer();
  }
}
