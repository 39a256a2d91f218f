import type { PoolConfig } from 'pg';
import type { Config } from './config.ts';
import { createBrain } from './brain/index.ts';
import type { Clock, Random } from './kernel/index.ts';
import { createOperations } from './operations/index.ts';
import { buildHttp, createBus, createMetrics, findFreePort, lockFolder, migrate, openDatabase, startEmbeddedDatabase, type Http, type Logger } from './platform/index.ts';
import { readCityFolder } from './city.ts';
import { registerPages } from './pages.ts';
import { registerCspReports } from './csp-reports.ts';
import { registerPublicRoutes } from './public-routes.ts';
import { createSensing } from './sensing/index.ts';
import { createServices } from './services/index.ts';
import { readSignInServices } from './sign-in-service.ts';
import { createTrust, hashSecret } from './trust/index.ts';

export interface RunningCity {
  readonly http: Http;
  /** Where it listens. */
  readonly url: string;
  /** The same for a browser on this machine. */
  readonly visitUrl: string;
  readonly mqttPort: number;
  readonly name: string;
  /** A one-time link to set up an account; valid for an hour. */
  invite(): Promise<string>;
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly say: (progress: string) => void;
}

const INVITATION_LIFETIME_MS = 3_600_000;
const FOUNDER_POSITIONS = ['administrator', 'supervisor', 'operator', 'case_worker', 'auditor', 'data_protection_officer'] as const;

/**
 * The composition root: builds the modules in the order of their imports and opens the doors.
 * Whatever was opened is closed again, in reverse, when a later step fails or the city stops.
 */
export async function startCity(config: Config, { clock, random, logger, say }: Surroundings): Promise<RunningCity> {
  const closers: (() => Promise<void> | void)[] = [];
  const onClose = (close: () => Promise<void> | void): void => void closers.unshift(close);
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0)) await close();
  };
  try {
    onClose(lockFolder(config.data));
    const metrics = createMetrics();

    say('starting the database');
    const handle = openDatabase(await startDatabase(config, logger, onClose), logger);
    onClose(() => handle.close());
    await migrate(handle.db);
    const bus = await createBus(handle, clock, logger);
    onClose(() => bus.close());

    const city = await readCityFolder(config);
    const port = config.port === 0 ? await findFreePort(config.host, random) : config.port;
    const publicUrl = config.public_url ?? `http://${config.host}:${port}`;
    const visitUrl = publicUrl.replace('//127.0.0.1:', '//localhost:');

    const signIn = readSignInServices(config, city.feedsYaml, metrics);
    const trust = await createTrust({ handle, bus, clock, random, logger, metrics, dataFolder: config.data, purposesYaml: city.purposesYaml, witnessPolicy: city.witnessPolicy, timeZone: city.info.time_zone, ...(city.info.country === undefined ? {} : { country: city.info.country }), publicUrl: config.public_url, city: () => ({ name: city.info.name, url: publicUrl.replace(/\/+$/, '') }), secondFactor: config.second_factor, signInService: signIn.staff, residentService: signIn.residents, broker: config });
    onClose(() => trust.close());
    const sensing = await createSensing({ handle, bus, clock, logger, metrics, purposes: trust.purposes, gate: trust.gate, authenticateToken: (token) => trust.authenticateToken(token), authorize: (principal, action) => trust.authorize(principal, action), noteDenied: trust.noteDenied, publicUrl: () => publicUrl, history: { seal_after_days: config.seal_after_days, log: trust.log }, devices: { tokens: trust.deviceTokens, random }, sharedAs: `city-${String(process.pid)}-${clock.nowMs().toString(36)}`, feeds: { feedsYaml: city.feedsYaml, codecs: city.codecs, random } });
    onClose(() => sensing.close());
    const brain = await createBrain({ handle, bus, clock, logger, metrics, sensing, purposes: trust.purposes, rulesYaml: city.rulesYaml });
    onClose(() => brain.close());
    trust.parts.declareAlgorithms(() => brain.cards());
    trust.parts.declare('feed', () => sensing.feedHealth().map(({ name, purpose }) => ({ id: name, purpose })));
    onClose(trust.purposes.onChange(() => brain.rebind()));
    const operations = await createOperations({ handle, bus, clock, random, logger, metrics, sensing, brain, gate: trust.gate, playbooksYaml: city.playbooksYaml, timeZone: city.info.time_zone });
    onClose(() => operations.close());
    const services = await createServices({ handle, bus, clock, random, logger, metrics, trust, hashSecret, servicesYaml: city.servicesYaml, gazetteerNdjson: city.gazetteerNdjson, publicUrl, bounds: city.bounds, cityName: city.info.name });
    onClose(() => services.close());
    trust.parts.declare('service', () => services.offered());

    const http = await buildHttp({ logger, authenticate: (request) => trust.authenticate(request), authorize: (principal, action) => trust.authorize(principal, action), noteDecision: trust.noteDecision, isFresh: (request) => trust.isFresh(request), trustedProxies: config.trusted_proxies, isSecure: publicUrl.startsWith('https:') });
    onClose(() => http.close());
    await registerCspReports(http, { metrics, logger });
    await registerPublicRoutes(http, { config, city, metrics, handle });
    await trust.registerRoutes(http);
    await sensing.registerRoutes(http);
    await brain.registerRoutes(http);
    await operations.registerRoutes(http);
    await services.registerRoutes(http);
    await registerPages(http, publicUrl);

    trust.onRevoked((id) => {
      sensing.disconnectPrincipal(id);
      void http.cutRevoked(id);
    });
    await http.listen({ host: config.host, port });
    const mqtt = await sensing.startMqtt({ host: config.host, port: config.mqtt_port });
    sensing.startFeeds();
    return {
      http,
      url: publicUrl,
      // passkeys need a name: browsers refuse them on a bare address (WebAuthn Level 3 §5.1.3)
      visitUrl,
      mqttPort: mqtt.port,
      name: city.info.name,
      invite: async () => `${visitUrl}/invite/${await trust.createInvitation([...FOUNDER_POSITIONS], '', INVITATION_LIFETIME_MS)}`,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startDatabase(config: Config, logger: Logger, onClose: (close: () => Promise<void>) => void): Promise<PoolConfig> {
  if (config.database_url !== undefined) return { connectionString: config.database_url };
  const embedded = await startEmbeddedDatabase(config.data, logger);
  onClose(() => embedded.stop());
  return embedded.connection;
}
