import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import type { Position } from '../../src/contracts/principal.ts';
import { manualClock, systemRandom, type ManualClock } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type Bus, type DatabaseHandle, type Http, type Metrics } from '../../src/platform/index.ts';
import { createServices, type Services, type ServicesDeps } from '../../src/services/index.ts';
import { createTrust, mintToken, type Trust } from '../../src/trust/index.ts';
import { freshDatabase } from '../database.ts';

export const DEMO_SERVICES = readFileSync(new URL('../../demo/city/services.yaml', import.meta.url), 'utf8');

/** A small town with a street whose house numbers have a gap. */
export const GAZETTEER = [
  { label: 'High Street', kind: 'street', lon: 8.0005, lat: 50.0 },
  { label: 'High Street 10', kind: 'address', street: 'High Street', number: 10, lon: 8.0, lat: 50.0 },
  { label: 'High Street 20', kind: 'address', street: 'High Street', number: 20, lon: 8.001, lat: 50.0 },
  { label: 'Mill Lane 3', kind: 'address', street: 'Mill Lane', number: 3, lon: 8.01, lat: 50.01 },
  { label: 'Mill Lane', kind: 'street', lon: 8.01, lat: 50.0105 },
]
  .map((entry) => JSON.stringify(entry))
  .join('\n');

export interface ServicesCity {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: ManualClock;
  readonly trust: Trust;
  readonly metrics: Metrics;
  readonly services: Services;
  readonly http: Http;
  readonly dataFolder: string;
  /** A bearer token, which is also an api_key. */
  tokenOf(position: Position): string;
  close(): Promise<void>;
}

export const hashSecret = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The services side of a city on a fresh database, with the real trust. */
export async function startServicesCity(options: Partial<ServicesDeps> = {}): Promise<ServicesCity> {
  const handle = await freshDatabase();
  const dataFolder = mkdtempSync(join(tmpdir(), 'clerestory-services-'));
  const clock = manualClock(Date.parse('2026-11-24T06:00:00.250Z'));
  const metrics = createMetrics();
  const bus = await createBus(handle, clock, silentLogger);
  const common = { handle, bus, clock, random: systemRandom, logger: silentLogger, metrics };
  const trust = await createTrust({ ...common, dataFolder, purposesYaml: null, publicUrl: undefined, passwordCostLog2: 4 });
  const services = await createServices({ ...common, trust, hashSecret, servicesYaml: DEMO_SERVICES, gazetteerNdjson: GAZETTEER, publicUrl: 'http://city.test', ratePerMinute: { read: 100_000, write: 100_000 }, ...options });
  const http = await buildHttp({ logger: silentLogger, authenticate: (request) => trust.authenticate(request), authorize: (principal, action) => trust.authorize(principal, action) });
  await services.registerRoutes(http);
  await http.ready();
  return {
    handle,
    bus,
    clock,
    trust,
    metrics,
    services,
    http,
    dataFolder,
    tokenOf: (position) => mintToken(dataFolder, { position }),
    close: async () => {
      await http.close();
      await services.close();
      await trust.close();
      await bus.close();
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}
