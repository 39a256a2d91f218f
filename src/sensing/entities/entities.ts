import type { Principal } from '../../contracts/principal.ts';
import type { Purpose } from '../../contracts/trust.ts';
import { ok, refuse, Refused, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { currentChangeSet } from '../change-set.ts';
import { refuseEntities } from '../devices/binding.ts';
import type { ObservationValues } from '../observations/index.ts';
import { parseEntity, inverseOf, type BodyContext, type Mode } from './body.ts';
import { authorOf, type AdmitDescription } from './description.ts';
import { createEntityStore, type Announce, type EntityChange, type Parent, type Written } from './entity-store.ts';
import { createHidden } from './hidden-store.ts';
import { API_1_1, type Api, type EntityModel, type NavigationModel } from './model.ts';
import { createObservationEntities, type ObservationEntities, type ObservationTarget } from './observation-entities.ts';
import { createObservations, inWordsOf11 } from '../v2/observations.ts';
import { createReadStore, type ReadStore } from './read-store.ts';
import type { RemovalFigures } from './removal-store.ts';
import { createRenderer, type Renderer } from './render.ts';

export interface EntitiesOptions {
  /** Tells other processes of changes; without it this process is alone. */
  readonly announce?: Announce | undefined;
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly purposes: { get(id: string): Purpose | undefined; live(id: string): boolean; all?(): readonly Purpose[] };
  /** Address under which others reach this server, without a slash at its end. */
  readonly publicUrl: () => string;
  /** Takes observations that came inside a new Datastream or FeatureOfInterest; all of them or none. */
  readonly insertObservations: (principal: Principal, target: ObservationTarget, observations: readonly unknown[]) => Promise<Result<undefined>>;
  /** Takes one observation as POST does. */
  readonly takeObservation: (principal: Principal, body: unknown, target: ObservationTarget) => Promise<Result<number>>;
  /** Lets the gate see what entities say of themselves; without it nothing looks. */
  readonly admitDescription?: AdmitDescription;
  /** Whether the id is that of a MultiDatastream. */
  readonly isMulti: (datastreamId: number) => boolean;
  /**
   * Checks a whole observation, in the form of a POST body, as if it came now, and stores nothing: what a correction of a
   * stored one must pass. Without it observations cannot be corrected (501).
   */
  readonly admitObservation?: (datastreamId: number, isMulti: boolean, body: unknown) => Promise<Result<ObservationValues>>;
}

interface EntityWriter {
  create(model: EntityModel, parent: Parent | null, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  update(model: EntityModel, id: number, body: unknown, mode: Exclude<Mode, 'create'>, principal: Principal): Promise<Result<{ readonly id: number }>>;
  remove(model: EntityModel, id: number): Promise<Result<{ readonly id: number }>>;
  /** Deletes several at once and adds what that takes to `figures`; with `dryRun` it only counts. */
  removeTogether(model: EntityModel, ids: readonly number[], figures: RemovalFigures, seen: Set<number>, dryRun: boolean): Promise<Result<undefined>>;
  /** Adds or takes away a member of a relation with many on both sides. */
  relate(act: 'link' | 'unlink', model: EntityModel, id: number, navigation: NavigationModel, memberId: number, principal: Principal): Promise<Result<{ readonly id: number }>>;
}

export interface EntityParts {
  readonly reads: ReadStore;
  readonly writes: EntityWriter;
  /** What makes the JSON of a version. */
  readonly rendererOf: (api: Api) => Renderer;
  readonly onEntityChange: (handle: (change: EntityChange) => void) => () => void;
  /** Tells the listeners of changes that became durable elsewhere. */
  readonly tell: (changes: readonly EntityChange[]) => void;
  readonly createInline: ObservationEntities['createInline'];
}

/** Puts the parts of the entities together: reading, writing and what is told of a change. */
export function assembleEntities({ handle, clock, purposes, publicUrl, insertObservations, takeObservation, isMulti, admitObservation, announce, admitDescription }: EntitiesOptions): EntityParts {
  const store = createEntityStore(handle, clock, announce);
  const reads = createReadStore(handle, clock, createHidden(handle, clock, purposes));
  const renderer = createRenderer(API_1_1, publicUrl, isMulti);
  const listeners = new Set<(change: EntityChange) => void>();
  const tellNow = (changes: readonly EntityChange[]): void => {
    for (const { set, id, kind } of changes) for (const listener of listeners) listener({ set, id, kind });
  };
  const tell = ({ changes }: { readonly changes: readonly EntityChange[] }): void => {
    const set = currentChangeSet();
    if (set === undefined) tellNow(changes);
    else set.changes.push(...changes);
  };
  const contextOf = (mode: Mode, principal: Principal, current: BodyContext['current']): BodyContext => ({ mode, purposes, boundPurpose: principal.purpose, current, admit: admitDescription === undefined ? undefined : (value, path) => admitDescription(value, path, authorOf(principal)) });
  const missing = (model: EntityModel, id: number): Result<never> => refuse('sensing.no-such-entity', `There is no ${model.name} ${String(id)}.`);

  const create: EntityWriter['create'] = (model, parent, body, principal) =>
    refusable(async () => {
      if (model.set === 'Observations') return model.api === API_1_1 ? observations.create(parent, body, principal) : otherObservations.create(model, parent, body, principal);
      const forbidden = refuseEntities(principal);
      if (forbidden !== null) return { ok: false, refusal: forbidden };
      const implied = parent === null ? null : inverseOf(parent.model, parent.navigation);
      const written = await store.create(parseEntity(model, body, contextOf('create', principal, null), implied), parent);
      tell(written);
      for (const { target, observations: inline, path } of written.inline) {
        const inserted = await insertObservations(principal, target, inline);
        if (inserted.ok) continue;
        await undo(written);
        return { ok: false, refusal: under(inserted.refusal, path) };
      }
      return ok({ id: written.id });
    });

  /** A deep insert whose observations are refused leaves nothing behind. */
  const undo = async ({ changes }: Pick<Written, 'changes'>): Promise<void> => tell({ changes: await store.undo(changes) });

  const otherObservations = createObservations({
    create: (parent, body, principal) => observations.create(parent, body, principal, true),
    refuseEntities,
    undo,
    store: async (model, body, principal, at) => {
      const written = await store.create(at(parseEntity(model, body, contextOf('create', principal, null))), null);
      tell(written);
      return written;
    },
  });
  const observations = createObservationEntities({ store, reads, renderer, isMulti, contextOf, tell, undo, takeObservation, admitObservation });

  return {
    reads,
    tell: tellNow,
    createInline: (principal, inline) => refusable(() => observations.createInline(principal, inline)),
    rendererOf: (api) => (api === API_1_1 ? renderer : createRenderer(api, publicUrl, isMulti)),
    onEntityChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    writes: {
      create,
      update: (model, id, body, mode, principal) =>
        refusable(async () => {
          const forbidden = refuseEntities(principal);
          if (forbidden !== null) return { ok: false, refusal: forbidden };
          if (model.set === 'Observations') return observations.update(id, model.api === API_1_1 ? body : inWordsOf11(body, isMulti), mode, principal);
          const written = await store.update(model, id, (current) => parseEntity(model, body, contextOf(mode, principal, current)));
          if (written === null) return missing(model, id);
          tell(written);
          return ok({ id });
        }),
      removeTogether: (model, ids, figures, seen, dryRun) =>
        refusable(async () => {
          const { changes } = await store.removeTogether(model, ids, figures, seen, dryRun);
          // observations are read again as a whole when some go
          const last = changes.findLast(({ set }) => set === 'Observations');
          tell({ changes: [...changes.filter(({ set }) => set !== 'Observations'), ...(last === undefined ? [] : [last])] });
          return ok(undefined);
        }),
      relate: (act, model, id, navigation, memberId, principal) =>
        refusable(async () => {
          const forbidden = refuseEntities(principal);
          if (forbidden !== null) return { ok: false, refusal: forbidden };
          const written = await store.relate(act, model, id, navigation, memberId);
          if (written === null) return refuse('sensing.no-such-entity', `${navigation.name}(${String(memberId)}) is not linked to ${model.set}(${String(id)}).`);
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
