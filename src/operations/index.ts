import type { Clock, Random } from '../kernel/index.ts';
import type { Bus, DatabaseHandle, Http, LiveLimits, Logger, Metrics } from '../platform/index.ts';
import type { BrainDoor, GateDoor, SensingDoor } from './doors.ts';
import { createIncidentStore } from './incident-store.ts';
import { JOINING_CONSUMER, JOINING_TOPICS, createJoining } from './joining.ts';
import { createLiveStream } from './live-stream.ts';
import { loadPlaybooks } from './playbooks.ts';
import { registerOperationsRoutes } from './routes.ts';

export type { BrainDoor, GateDoor, SensingDoor };

export interface OperationsDeps {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly sensing: SensingDoor;
  readonly brain: BrainDoor;
  /** Counts of refused readings for the feed strip, `trust.gate`; a room without a gate counts none. */
  readonly gate?: GateDoor;
  /** Content of playbooks.yaml; null for a city without playbooks. */
  readonly playbooksYaml: string | null;
  /** IANA name of the city's zone, for "closed today"; UTC when left out. */
  readonly timeZone?: string;
  /** For tests and small machines. */
  readonly liveLimits?: Partial<LiveLimits>;
}

export interface Operations {
  registerRoutes(http: Http): Promise<void>;
  /** Ends the live streams and stops taking from the bus; nothing acknowledged is lost. */
  close(): Promise<void>;
}

const NO_GATE: GateDoor = { refusedOf: () => 0 };

/**
 * The room: incidents, their log and playbooks, the queue, the map's pictures and the live stream.
 * Throws `Refused` with `start.config-invalid` when the playbooks are not valid.
 */
export async function createOperations(deps: OperationsDeps): Promise<Operations> {
  const { handle, bus, clock, random, logger, metrics, sensing, brain, gate = NO_GATE } = deps;
  const playbooks = loadPlaybooks(deps.playbooksYaml);
  const store = createIncidentStore(handle, bus, clock);
  const live = await createLiveStream({ bus, clock, logger, metrics, sensing, brain, gate, ...(deps.liveLimits === undefined ? {} : { limits: deps.liveLimits }) });
  const stopJoining = await bus.subscribe(JOINING_TOPICS, createJoining({ store, playbooks, clock, random, logger, metrics }), JOINING_CONSUMER);
  return {
    registerRoutes: (http) => registerOperationsRoutes(http, { store, playbooks, live, bus, clock, random, sensing, brain, gate, timeZone: deps.timeZone ?? 'UTC' }),
    close: async () => {
      stopJoining();
      live.close();
    },
  };
}
