import type { PoolConfig } from 'pg';
import type { RunningCity, Surroundings } from './app.ts';
import { readCityFolder } from './city.ts';
import type { Config } from './config.ts';
import { Refused } from './kernel/index.ts';
import { buildHttp, createBus, createMetrics, findFreePort, findRunningDatabase, isMigrated, openDatabase } from './platform/index.ts';
import { registerHealthRoutes } from './public-routes.ts';
import { createSensing } from './sensing/index.ts';
import { createDoorkeeper } from './trust/index.ts';

export type RunningIngest = Pick<RunningCity, 'url' | 'mqttPort' | 'stop'>;

/**
 * One more process that takes readings and answers SensorThings beside a city that runs, on the same database: `CLERESTORY_ROLE=ingest`.
 * It has no rules, no incidents, no pages and no transparency log; the city hears of what it stored.
 */
export async function startIngest(config: Config, { clock, random, logger, say }: Surroundings): Promise<RunningIngest> {
  const closers: (() => Promise<void> | void)[] = [];
  const onClose = (close: () => Promise<void> | void): void => void closers.unshift(close);
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0)) await close();
  };
  try {
    const metrics = createMetrics();
    const handle = openDatabase(connectionOf(config), logger);
    onClose(() => handle.close());
    if (!(await isMigrated(handle.db))) throw new Refused({ code: 'start.config-invalid', detail: 'The database is not of this version: start the city itself first, and all of its processes from the same release.', field: 'role' });
    const bus = await createBus(handle, clock, logger);
    onClose(() => bus.close());
    const { country } = (await readCityFolder(config)).info;
    const door = await createDoorkeeper({ handle, bus, clock, random, logger, metrics, dataFolder: config.data, ...(country === undefined ? {} : { country }) });
    onClose(() => door.close());

    const port = config.port === 0 ? await findFreePort(config.host, random) : config.port;
    const url = `http://${config.host}:${port}`;
    const http = await buildHttp({ logger, authenticate: (request) => door.authenticate(request), authorize: door.authorize, noteDecision: door.noteDecision });
    onClose(() => http.close());
    registerHealthRoutes(http, { metrics, handle });

    say('making itself known to the other processes');
    const sharedAs = `ingest-${String(process.pid)}-${clock.nowMs().toString(36)}`;
    const sensing = await createSensing({ handle, bus, clock, logger, metrics, purposes: door.purposes, gate: door.gate, authenticateToken: (token) => door.authenticateToken(token), authorize: door.authorize, noteDenied: door.noteDenied, publicUrl: () => config.public_url ?? url, devices: { tokens: door.deviceTokens, random }, sharedAs });
    onClose(() => sensing.close());
    await sensing.registerRoutes(http);
    door.onRevoked((id) => sensing.disconnectPrincipal(id));
    await http.listen({ host: config.host, port });
    const mqtt = await sensing.startMqtt({ host: config.host, port: config.mqtt_port });
    return { url, mqttPort: mqtt.port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function connectionOf(config: Config): PoolConfig {
  if (config.database_url !== undefined) return { connectionString: config.database_url };
  const running = findRunningDatabase(config.data);
  if (running === null) throw new Refused({ code: 'start.config-invalid', detail: `No city runs on ${config.data}: start it first, or name its database in CLERESTORY_DATABASE_URL.`, field: 'role' });
  return running;
}
