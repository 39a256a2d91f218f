import type { Principal } from '../../contracts/principal.ts';
import { refuse, type Refusal, type Result } from '../../kernel/index.ts';
import { isObject, type ParsedEntity } from '../entities/body.ts';
import type { Parent, Written } from '../entities/entity-store.ts';
import { findNavigation, targetOf, type EntityModel } from '../entities/model.ts';
import { readObservation } from './observation-body.ts';

interface ObservationsDeps {
  /** Takes an observation in the form of 1.1. */
  readonly create: (parent: Parent | null, body: unknown, principal: Principal) => Promise<Result<{ readonly id: number }>>;
  /** Why the caller may not create entities; null when it may. */
  readonly refuseEntities: (principal: Principal) => Refusal | null;
  /** Parses and stores one entity with what is inside it, and tells of it. Throws `Refused`. */
  readonly store: (model: EntityModel, body: unknown, principal: Principal, at: (entity: ParsedEntity) => ParsedEntity) => Promise<Pick<Written, 'id' | 'changes'>>;
  readonly undo: (written: Pick<Written, 'changes'>) => Promise<void>;
}

/** Observations in the form of OGC 23-019: new entities inside are made first, and taken back when the observation is refused. */
export function createObservations({ create, refuseEntities, store, undo }: ObservationsDeps): { create(model: EntityModel, parent: Parent | null, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>> } {
  return {
    create: async (model, parent, body, principal) => {
      if (!isObject(body)) return create(parent, body, principal);
      const made: Pick<Written, 'id' | 'changes'>[] = [];
      const linked: Record<string, unknown> = { ...body };
      const takeBack = async (): Promise<void> => {
        for (const written of made.toReversed()) await undo(written);
      };
      try {
        for (const { name, inner, target } of newOnes(model, body)) {
          const forbidden = refuseEntities(principal);
          if (forbidden !== null) return await refused(forbidden, takeBack);
          if (inner['Observations'] !== undefined) return await refused({ code: 'sensing.entity-invalid', detail: 'The Observation itself is the one that is created with it.', field: `${name}.Observations` }, takeBack);
          const written = await store(target, JSON.parse(JSON.stringify(inner)), principal, (entity) => ({ ...entity, path: name }));
          made.push(written);
          linked[name] = { id: written.id };
        }
        const taken = await create(parent, readObservation(linked), principal);
        if (!taken.ok) await takeBack();
        return taken;
      } catch (error) {
        await takeBack();
        throw error;
      }
    },
  };
}

/** The body of 1.1, which has another relation for streams of lists. Throws `Refused`. */
export function inWordsOf11(body: unknown, isMulti: (datastreamId: number) => boolean): unknown {
  const read = readObservation(body);
  if (!isObject(read)) return read;
  const { Datastream: stream, ...rest } = read;
  const id = isObject(stream) ? stream['@iot.id'] : undefined;
  return typeof id === 'number' && isMulti(id) ? { ...rest, MultiDatastream: stream } : read;
}

function newOnes(model: EntityModel, body: Readonly<Record<string, unknown>>): { name: string; inner: Record<string, unknown>; target: EntityModel }[] {
  return ['Datastream', 'ProximateFeatureOfInterest'].flatMap((name) => {
    const [inner, navigation] = [body[name], findNavigation(model, name)];
    if (navigation === undefined || !isObject(inner) || model.api.control.readReference(inner, navigation.target) !== undefined) return [];
    return [{ name, inner, target: targetOf(model, navigation) }];
  });
}

async function refused(refusal: Refusal, takeBack: () => Promise<void>): Promise<Result<never>> {
  await takeBack();
  return refuse(refusal.code, refusal.detail, refusal.field);
}
