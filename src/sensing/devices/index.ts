import type { Clock, Random } from '../../kernel/index.ts';
import type { Bus, DatabaseHandle, Http, Logger } from '../../platform/index.ts';
import type { Trust } from '../../trust/index.ts';
import { createDeviceStore } from './device-store.ts';
import { createDevices, type DevicesDeps } from './devices.ts';
import { registerDeviceRoutes } from './device-routes.ts';
import { openDeviceRegister } from './register.ts';

interface DevicesOptions {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tokens: Trust['deviceTokens'];
  readonly purposes: Pick<Trust['purposes'], 'live' | 'all'>;
  readonly gate: Pick<Trust['gate'], 'admitDescription'>;
}

interface Surroundings extends Pick<DevicesDeps, 'entities' | 'streams' | 'settled' | 'latest' | 'publicUrl' | 'mqttUrl' | 'together'> {
  /** Ends the MQTT connections of a device. */
  readonly disconnect: (deviceId: string) => void;
}

/** Devices with credentials of their own. */
export interface DevicesDoor {
  noteUnknown(pseudonym: string): void;
  registerRoutes(http: Http, surroundings: Surroundings): Promise<void>;
  close(): Promise<void>;
}

export async function openDevices({ handle, bus, clock, random, logger, tokens, purposes, gate }: DevicesOptions): Promise<DevicesDoor> {
  const store = createDeviceStore(handle, bus);
  const register = await openDeviceRegister({ store, bus, clock, logger });
  tokens.bindDevices((id) => register.find(id));
  return {
    noteUnknown: (pseudonym) => register.noteUnknown(pseudonym),
    registerRoutes: async (http, { disconnect, ...surroundings }) => {
      register.onCredentialEnded(disconnect);
      await registerDeviceRoutes(http, createDevices({ store, register, clock, random, tokens, ...surroundings }), purposes, (name) => gate.admitDescription({ name }, '', 'person'));
    },
    close: () => register.close(),
  };
}
