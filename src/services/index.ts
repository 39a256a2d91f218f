import { unwrap, type Bounds, type Clock, type Random } from '../kernel/index.ts';
import { Counter, type Bus, type DatabaseHandle, type Http, type Logger, type Metrics } from '../platform/index.ts';
import { registerAccess, type AccessDoor } from './access-routes.ts';
import { EMPTY_CATALOGUE, parseCatalogue } from './catalogue.ts';
import { sealClearWords } from './clear-words.ts';
import type { HashSecret, ResidentDoor, TrustDoor } from './doors.ts';
import type { FilingDeps } from './filing.ts';
import { registerGazetteer } from './gazetteer-routes.ts';
import { loadGazetteer } from './gazetteer.ts';
import { registerGeoReport } from './georeport/routes.ts';
import { createKeptReports } from './kept-report-store.ts';
import { registerMyReports } from './my-routes.ts';
import { registerPortal } from './portal-routes.ts';
import { applyIncidentChange } from './progress.ts';
import { createRequestStore } from './request-store.ts';
import { createRetention, type RetentionDoor, type Retention } from './retention.ts';
import { createRetentionStore } from './retention-store.ts';
import { registerSealedLooks } from './sealed-look-routes.ts';
import { registerStaff } from './staff-routes.ts';
import { registerWords } from './words-routes.ts';

export interface ServicesDeps {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly trust: TrustDoor & AccessDoor & Partial<ResidentDoor> & RetentionDoor;
  /** As it stands in the files that residents keep. */
  readonly cityName?: string;
  readonly hashSecret: HashSecret;
  /** Text of services.yaml; null for a city without a catalogue. */
  readonly servicesYaml: string | null;
  /** Text or lines of gazetteer.ndjson; null for a city without one. */
  readonly gazetteerNdjson: string | AsyncIterable<string> | null;
  /** Address under which residents reach this server, without a slash at its end. */
  readonly publicUrl: string;
  /** Reports outside are refused; null takes them from anywhere. */
  readonly bounds?: Bounds | null;
  /** Requests a minute from one network address. */
  readonly ratePerMinute?: { readonly read: number; readonly write: number };
}

export interface Services {
  /** The services that residents may ask for, with the purpose of each. */
  offered(): readonly { readonly id: string; readonly purpose: string }[];
  /** Erases what residents wrote when the register allows it no longer. Happens by itself, every hour. */
  retain: Retention['retain'];
  registerRoutes(http: Http): Promise<void>;
  close(): Promise<void>;
}

const RATE_PER_MINUTE = { read: 3_000, write: 300 };

/** Starts the services side: catalogue, gazetteer, GeoReport, portal and staff routes, and the consumer that carries incidents to requests. */
export async function createServices(deps: ServicesDeps): Promise<Services> {
  const { handle, bus, clock, random, trust, hashSecret, logger, metrics } = deps;
  const { residents } = trust;
  const catalogue = deps.servicesYaml === null ? EMPTY_CATALOGUE : unwrap(parseCatalogue(deps.servicesYaml));
  const gazetteer = await loadGazetteer(typeof deps.gazetteerNdjson === 'string' ? deps.gazetteerNdjson.split('\n') : (deps.gazetteerNdjson ?? []));
  const store = createRequestStore(handle);
  const retentionStore = createRetentionStore(handle);
  await retentionStore.namePurposes(catalogue, 'service-requests');
  await sealClearWords({ store, catalogue, trust, logger });
  const wholeSecond = new Date(Math.floor(clock.nowMs() / 1_000) * 1_000);
  const changeset = await store.catalogueSince(hashSecret(deps.servicesYaml ?? ''), wholeSecond);
  const publicUrl = deps.publicUrl.replace(/\/+$/, '');
  const ratePerMinute = deps.ratePerMinute ?? RATE_PER_MINUTE;
  const filed = new Counter({ name: 'clerestory_requests_filed_total', help: 'Service requests filed, by service and door.', labelNames: ['service', 'source'], registers: [metrics] });
  const filing: FilingDeps = { catalogue, filed, store, bus, trust, clock, random, hashSecret, followUpUrl: (token) => `${publicUrl}/r/${token}` };
  const stop = await bus.subscribe(['incident.changed'], (event) => applyIncidentChange({ store }, event), 'services.requests');
  const retention = createRetention({ store: retentionStore, catalogue, trust, clock, logger, metrics });
  const shared = { ...filing, gazetteer, bounds: deps.bounds ?? null, ratePerMinute };

  return {
    offered: () => catalogue.services.map(({ code, purpose }) => ({ id: code, purpose })),
    registerRoutes: async (http) => {
      await registerGeoReport(http, { ...shared, changeset, logger, metrics, publicUrl });
      await registerPortal(http, { ...shared, retention: retentionStore });
      if (residents !== undefined) await registerMyReports(http, { catalogue, store, kept: createKeptReports(handle), trust, residents, clock, hashSecret, ratePerMinute });
      await registerAccess(http, { store, retention: retentionStore, trust, clock, hashSecret, cityName: deps.cityName ?? '', ratePerMinute });
      await registerGazetteer(http, shared);
      registerStaff(http, { store, catalogue, trust, clock });
      registerWords(http, { store, catalogue, trust, clock });
      registerSealedLooks(http, { store, catalogue, trust, clock });
    },
    retain: () => retention.retain(),
    close: async () => {
      await retention.close();
      stop();
    },
  };
}

