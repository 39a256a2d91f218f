import type { Principal } from '../../contracts/principal.ts';
import type { Result } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { ObservationRow } from '../observations/index.ts';
import { registerEntityRoutes, type ServerSettings } from '../routes.ts';
import { assembleEntities, type EntitiesOptions } from './entities.ts';
import type { EntityChange } from './entity-store.ts';
import { modelOf, type SetName } from './model.ts';

export type { EntitiesOptions } from './entities.ts';
export type { EntityChange } from './entity-store.ts';
export type { SetName } from './model.ts';
export type { ServerSettings } from '../routes.ts';

export interface Entities {
  /** All of /v1.1 but the creation of Observations. */
  registerEntityRoutes(http: Http): Promise<void>;
  /** Creates one entity with all that is inside the body; refusals as values. */
  createEntity(set: SetName, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  /** Calls `handle` after every durable change; for a cascade, Datastreams that went with it are named too. */
  onEntityChange(handle: (change: EntityChange) => void): () => void;
  /** The JSON of an observation, as GET answers it; JSON.stringify writes odd numbers as they were sent. */
  renderObservation(row: ObservationRow): Record<string, unknown>;
}

/** Entities of OGC SensorThings 1.1 (18-088): reading, writing, querying. `settings` adds what the ingest side offers to the landing page. */
export function createEntities(options: EntitiesOptions & { readonly settings?: () => ServerSettings }): Entities {
  const parts = assembleEntities(options);
  return {
    registerEntityRoutes: (http) => registerEntityRoutes(http, parts, options.publicUrl, options.settings),
    createEntity: (set, body, principal) => parts.writes.create(modelOf(set), null, body, principal),
    onEntityChange: parts.onEntityChange,
    renderObservation: (row) => parts.renderer.observation(row),
  };
}
