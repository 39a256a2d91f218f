import type { Principal } from '../../contracts/principal.ts';
import type { Purpose } from '../../contracts/trust.ts';
import { ok, refuse, Refused, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { NO_OPTIONS } from '../query/syntax.ts';
import { isObject, parseEntity, readId, inverseOf, type BodyContext, type Mode } from './body.ts';
import { createEntityStore, type EntityChange, type ObservationValues, type Parent, type Written } from './entity-store.ts';
import { modelOf, type EntityModel } from './model.ts';
import { createReadStore, type ReadStore } from './read-store.ts';
import { createRenderer, type Json, type Renderer } from './render.ts';
import type { Row } from './windows.ts';

export interface EntitiesOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly purposes: { get(id: string): Purpose | undefined; live(id: string): boolean };
  /** Address under which others reach this server, without a slash at its end. */
  readonly publicUrl: () => string;
  /** Takes observations that came inside a new Datastream; all of them or none. Their ids. */
  readonly insertObservations: (datastreamId: number, observations: readonly unknown[]) => Promise<Result<readonly number[]>>;
  /**
   * Checks a whole observation, in the form of a POST body, as if it came now, and stores nothing: what a correction of a
   * stored one must pass. Without it observations cannot be corrected (501).
   */
  readonly admitObservation?: (datastreamId: number, body: unknown) => Promise<Result<ObservationValues>>;
}

interface EntityWriter {
  create(model: EntityModel, parent: Parent | null, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  update(model: EntityModel, id: number, body: unknown, mode: Exclude<Mode, 'create'>, principal: Principal): Promise<Result<{ readonly id: number }>>;
  remove(model: EntityModel, id: number): Promise<Result<{ readonly id: number }>>;
}

export interface EntityParts {
  readonly reads: ReadStore;
  readonly writes: EntityWriter;
  readonly renderer: Renderer;
  readonly onEntityChange: (handle: (change: EntityChange) => void) => () => void;
}

/** Puts the parts of the entities together: reading, writing and what is told of a change. */
export function assembleEntities({ handle, clock, purposes, publicUrl, insertObservations, admitObservation }: EntitiesOptions): EntityParts {
  const store = createEntityStore(handle, clock);
  const reads = createReadStore(handle, clock);
  const renderer = createRenderer(() => `${publicUrl()}/v1.1`);
  const listeners = new Set<(change: EntityChange) => void>();
  const tell = ({ changes }: Pick<Written, 'changes'>): void => {
    for (const change of changes) for (const listener of listeners) listener(change);
  };
  const contextOf = (mode: Mode, principal: Principal, current: BodyContext['current']): BodyContext => ({ mode, purposes, boundPurpose: principal.purpose, current });
  const missing = (model: EntityModel, id: number): Result<never> => refuse('sensing.no-such-entity', `There is no ${model.name} ${String(id)}.`);

  const create: EntityWriter['create'] = (model, parent, body, principal) =>
    refusable(async () => {
      if (model.set === 'Observations') return createObservation(parent, body);
      const implied = parent === null ? null : inverseOf(parent.model, parent.navigation);
      const written = await store.create(parseEntity(model, body, contextOf('create', principal, null), implied), parent);
      tell(written);
      for (const { datastreamId, observations: inline, path } of written.inline) {
        const inserted = await insertObservations(datastreamId, inline);
        if (inserted.ok) continue;
        await undo(written);
        return { ok: false, refusal: under(inserted.refusal, path) };
      }
      return ok({ id: written.id });
    });

  /** A deep insert whose observations are refused leaves nothing behind. */
  const undo = async ({ changes }: Written): Promise<void> => tell({ changes: await store.undo(changes) });

  const createObservation = async (parent: Parent | null, body: unknown): Promise<Result<{ id: number }>> => {
    if (!isObject(body)) return refuse('sensing.entity-invalid', 'Observation must be a JSON object.', 'body');
    const { Datastream: stream, ...rest } = body;
    const named = isObject(stream) ? readId(stream['@iot.id']) : undefined;
    const datastreamId = parent?.model.set === 'Datastreams' ? parent.id : named;
    if (typeof datastreamId !== 'number') return refuse('sensing.entity-invalid', 'An Observation names its Datastream: {"@iot.id": 1}.', 'Datastream');
    const about = parent?.model.set === 'FeaturesOfInterest' ? { FeatureOfInterest: { '@iot.id': parent.id } } : {};
    const inserted = await insertObservations(datastreamId, [{ ...rest, ...about }]);
    return inserted.ok ? ok({ id: inserted.value[0] ?? 0 }) : inserted;
  };

  const updateObservation = async (id: number, body: unknown, mode: Exclude<Mode, 'create'>): Promise<Result<{ id: number }>> => {
    if (!isObject(body)) return refuse('sensing.entity-invalid', 'Observation must be a JSON object.', 'body');
    if (admitObservation === undefined) return refuse('http.not-implemented', 'Observations cannot be corrected here.');
    const current = await reads.inSession((session) => session.readEntity(modelOf('Observations'), id, NO_OPTIONS));
    if (current === null) return missing(modelOf('Observations'), id);
    const { Datastream: stream, ...sent } = Object.fromEntries(Object.entries(body).filter(([name]) => !/^(?:\w+)?@iot\.\w+$/.test(name)));
    const datastreamId = stream === undefined ? (current.row['datastream_id'] as number) : isObject(stream) ? readId(stream['@iot.id']) : null;
    if (typeof datastreamId !== 'number') return refuse('sensing.entity-invalid', 'It must be {"@iot.id": 1} of an existing Datastream.', 'Datastream');
    const before = observationBody(renderer.entity(current), current.row);
    const base = mode === 'patch' ? before : { phenomenonTime: before['phenomenonTime'], FeatureOfInterest: before['FeatureOfInterest'] };
    const admitted = await admitObservation(datastreamId, { ...base, ...sent });
    if (!admitted.ok) return admitted;
    if (!(await store.correctObservation(id, datastreamId, admitted.value))) return missing(modelOf('Observations'), id);
    tell({ changes: [{ set: 'Observations', id, kind: 'updated' }] });
    return ok({ id });
  };

  return {
    reads,
    renderer,
    onEntityChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    writes: {
      create,
      update: (model, id, body, mode, principal) =>
        refusable(async () => {
          if (model.set === 'Observations') return updateObservation(id, body, mode);
          const written = await store.update(model, id, (current) => parseEntity(model, body, contextOf(mode, principal, current)));
          if (written === null) return missing(model, id);
          tell(written);
          return ok({ id });
        }),
      remove: (model, id) =>
        refusable(async () => {
          const written = await store.remove(model, id);
          if (written === null) return missing(model, id);
          tell(written);
          return ok({ id });
        }),
    },
  };
}

/** An observation as it would be sent now, to be changed and admitted again. */
function observationBody(json: Json, { extra }: Row): Json {
  const feature = (extra as { feature?: number } | null)?.feature;
  const kept = Object.entries(json).filter(([name, value]) => !name.includes('@iot.') && value !== null);
  return { ...Object.fromEntries(kept), result: json['result'], ...(feature === undefined ? {} : { FeatureOfInterest: { '@iot.id': feature } }) };
}

const under = (refusal: Refusal, path: string): Refusal => (path === '' ? refusal : { ...refusal, field: refusal.field === undefined ? path : `${path}.${refusal.field}` });

/** Turns a thrown refusal of the parsing and storing code into a value. */
async function refusable<T>(act: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusals[0] };
    throw error;
  }
}
