import { ANONYMOUS, type Principal } from '../src/contracts/principal.ts';
import { systemClock, type Refusal } from '../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle, type Http, type Metrics } from '../src/platform/index.ts';
import { createSensing, type Sensing } from '../src/sensing/index.ts';
import { createGate, createPolicy, type Gate } from '../src/trust/index.ts';

/** Every purpose is known and goes on, but `ended`. */
export const anyPurpose = { live: (id: string) => id !== 'ended', get: (id: string) => ({ id, observes: [] }) as never, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };

export interface SensingServer {
  readonly sensing: Sensing;
  readonly http: Http;
  readonly gate: Gate;
  readonly metrics: Metrics;
  readonly url: string;
  readonly mqttPort: number;
  readonly close: () => Promise<void>;
}

/** SensorThings by HTTP and MQTT on real sockets, with the policy as it ships; without a bearer token the caller is anonymous. */
export async function serveSensing(handle: DatabaseHandle, authenticateToken: (token: string) => Promise<Principal | Refusal>, more: { feeds?: NonNullable<Parameters<typeof createSensing>[0]['feeds']>; purposes?: Parameters<typeof createSensing>[0]['purposes'] } = {}): Promise<SensingServer> {
  const { authorize } = createPolicy(null);
  const metrics = createMetrics();
  const gate = createGate(metrics, 0);
  const bus = await createBus(handle, systemClock, silentLogger);
  let url = '';
  const sensing = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics, purposes: more.purposes ?? anyPurpose, gate, authenticateToken, authorize, publicUrl: () => url, ...(more.feeds !== undefined && { feeds: more.feeds }) });
  const http = await buildHttp({
    logger: silentLogger,
    authenticate: async (request) => {
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      return token === undefined ? ANONYMOUS : authenticateToken(token);
    },
    authorize,
  });
  await sensing.registerRoutes(http);
  url = await http.listen({ host: '127.0.0.1', port: 0 });
  const { port: mqttPort } = await sensing.startMqtt({ host: '127.0.0.1', port: 0 });
  const close = async (): Promise<void> => {
    await http.close();
    await sensing.close();
    await bus.close();
  };
  return { sensing, http, gate, metrics, url, mqttPort, close };
}
