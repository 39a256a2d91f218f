import type { Principal } from '../../contracts/principal.ts';
import type { Result } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { ObservationRow } from '../observations/index.ts';
import { registerEntityRoutes, type ServerSettings } from '../routes.ts';
import { targetOf } from '../ingest/http.ts';
import { mqttApiOf } from '../ingest/mqtt-api.ts';
import type { MqttApi } from '../ingest/mqtt.ts';
import { assembleEntities, type EntitiesOptions, type EntityParts } from './entities.ts';
import type { EntityChange } from './entity-store.ts';
import { API_1_1, modelOf, type SetName } from './model.ts';
import { MANNERS_2_0 } from '../v2/manners.ts';
import { mqttApi20, mqttSettings20 } from '../v2/mqtt.ts';
import { API_2_0 } from '../v2/model.ts';

export type { EntitiesOptions } from './entities.ts';
export type { EntityChange } from './entity-store.ts';
export { API_1_1, type SetName } from './model.ts';
export type { ServerSettings } from '../routes.ts';

export interface Entities {
  /** All of /v1.1 but the creation of Observations. */
  registerEntityRoutes(http: Http): Promise<void>;
  /** Creates one entity with all that is inside the body; refusals as values. */
  createEntity(set: SetName, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  /** Changes what the body names (PATCH); refusals as values. */
  updateEntity(set: SetName, id: number, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  /** Creates what stands inside an observation. */
  readonly createInline: EntityParts['createInline'];
  /** Tells the listeners of changes that became durable elsewhere. */
  readonly tell: EntityParts['tell'];
  /** Deletes one entity with what depends on it (18-088 Table 27). */
  removeEntity(set: SetName, id: number): Promise<Result<{ readonly id: number }>>;
  /** Calls `handle` after every durable change; for a cascade, Datastreams that went with it are named too. */
  onEntityChange(handle: (change: EntityChange) => void): () => void;
  /** What MQTT needs of this version of the API. */
  mqttApi(): MqttApi;
  /** The same of version 2.0. */
  mqttApi20(): MqttApi;
  /** The JSON of an observation, as GET answers it; JSON.stringify writes odd numbers as they were sent. */
  renderObservation(row: ObservationRow): Record<string, unknown>;
}

/** Entities of OGC SensorThings 1.1 (18-088): reading, writing, querying. `settings` adds what the ingest side offers to the landing page. */
export function createEntities(options: EntitiesOptions & { readonly settings?: () => ServerSettings }): Entities {
  const parts = assembleEntities(options);
  const renderer = parts.rendererOf(API_1_1);
  return {
    registerEntityRoutes: async (http) => {
      await registerEntityRoutes(http, parts, options.publicUrl, options.settings);
      await registerEntityRoutes(http, parts, options.publicUrl, () => mqttSettings20(options.settings?.() ?? { conformance: [], more: {} }), API_2_0, MANNERS_2_0);
    },
    createEntity: (set, body, principal) => parts.writes.create(modelOf(set), null, body, principal),
    updateEntity: (set, id, body, principal) => parts.writes.update(modelOf(set), id, body, 'patch', principal),
    removeEntity: (set, id) => parts.writes.remove(modelOf(set), id),
    createInline: parts.createInline,
    tell: parts.tell,
    onEntityChange: parts.onEntityChange,
    mqttApi: () => mqttApiOf(API_1_1, parts, { targetOf }),
    mqttApi20: () => mqttApi20(parts),
    renderObservation: (row) => renderer.observation(row),
  };
}
