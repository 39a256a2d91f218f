import { Refused } from '../../kernel/index.ts';
import { frag } from '../query/fragment.ts';
import { findNavigation, findProperty, naturalOrderOf, targetOf, type Api, type EntityModel, type NavigationModel, type PropertyModel } from './model.ts';
import type { Collection, ReadSession } from './read-store.ts';

/** What an address under the root names (18-088 §9.2). */
export type Target =
  | { readonly kind: 'collection'; readonly collection: Collection; readonly parent: { readonly model: EntityModel; readonly navigation: NavigationModel; readonly id: number } | null; readonly references: boolean }
  | { readonly kind: 'entity'; readonly model: EntityModel; readonly id: number; readonly references: boolean }
  | { readonly kind: 'count'; readonly collection: Collection }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'property'; readonly model: EntityModel; readonly id: number; readonly property: PropertyModel; readonly rest: readonly string[]; readonly bare: boolean };

const SEGMENT = /^([A-Za-z@.]+)(?:\((?:'([^']*)'|([^)']*))\))?$/;
const STEPS = 12;

interface Segment {
  readonly text: string;
  readonly name: string;
  readonly id: string | undefined;
}

const notThere = (detail: string): Refused => new Refused({ code: 'sensing.no-such-entity', detail });
const noAddress = (detail: string): Refused => new Refused({ code: 'http.not-found', detail });

/** Follows an address step by step; every entity on the way must exist and belong to the one before. Throws `Refused`. */
export async function resolvePath(api: Api, path: string, session: ReadSession): Promise<Target> {
  const segments = readSegments(path);
  const [first, ...others] = segments;
  const model = first === undefined ? undefined : api.find(first.name);
  if (first === undefined || model === undefined) throw noAddress(`There is no entity set ${JSON.stringify(first?.name.slice(0, 60) ?? '')}.`);
  if (first.id === undefined) return endCollection({ model, restrict: () => [], natural: 'id' }, null, others);
  const id = readPathId(first);
  if (!(await session.exists(model, id))) throw notThere(`There is no ${model.name} ${String(id)}.`);
  return follow(model, id, others, session);
}

function readSegments(path: string): Segment[] {
  const parts = path.replace(/\/$/, '').split('/');
  if (parts.length > STEPS) throw noAddress(`An address has at most ${String(STEPS)} steps.`);
  return parts.map((part) => {
    let text: string;
    try {
      text = decodeURIComponent(part);
    } catch {
      throw new Refused({ code: 'http.malformed', detail: 'The percent-encoding of the address is not valid UTF-8.', field: 'path' });
    }
    const shape = SEGMENT.exec(text);
    return { text, name: shape?.[1] ?? text, id: shape?.[2] ?? shape?.[3] };
  });
}

function readPathId({ name, id }: Segment): number {
  if (id === undefined || !/^\d{1,15}$/.test(id)) throw notThere(`${name} has whole numbers as ids.`);
  return Number(id);
}

async function follow(model: EntityModel, id: number, segments: readonly Segment[], session: ReadSession): Promise<Target> {
  const [step, ...rest] = segments;
  if (step === undefined) return { kind: 'entity', model, id, references: false };
  if (step.text === '$ref' && rest.length === 0) return { kind: 'entity', model, id, references: true };
  const navigation = findNavigation(model, step.name);
  if (navigation !== undefined) return followRelation(model, id, navigation, step, rest, session);
  const property = findProperty(model, step.text);
  if (property === undefined) throw new Refused({ code: 'sensing.no-such-property', detail: `${model.name} has no property or relation ${JSON.stringify(step.text.slice(0, 60))}.` });
  const bare = rest.at(-1)?.text === '$value';
  return { kind: 'property', model, id, property, rest: (bare ? rest.slice(0, -1) : rest).map(({ text }) => text), bare };
}

async function followRelation(model: EntityModel, id: number, navigation: NavigationModel, step: Segment, rest: readonly Segment[], session: ReadSession): Promise<Target> {
  const target = targetOf(model, navigation);
  if (target.set === 'Observations') await session.refuseNotLive(model, id);
  if (navigation.many && step.id === undefined) {
    const parentId = frag`${id}::bigint`;
    return endCollection({ model: target, restrict: (alias) => [navigation.link(alias, parentId)], natural: naturalOrderOf(model, navigation, parentId) }, { model, navigation, id }, rest);
  }
  if (!navigation.many && step.id !== undefined) throw noAddress(`${navigation.name} is a single entity; it takes no id.`);
  const wanted = navigation.many ? readPathId(step) : null;
  const found = await session.follow(model, id, navigation, wanted);
  if (found !== null) return follow(target, found, rest, session);
  if (wanted === null && rest.length === 0) return { kind: 'nothing' };
  throw notThere(`There is no ${target.name}${wanted === null ? '' : ` ${String(wanted)}`} at this ${model.name}.`);
}

function endCollection(collection: Collection, parent: (Target & { kind: 'collection' })['parent'], rest: readonly Segment[]): Target {
  const [step, ...more] = rest;
  if (step === undefined) return { kind: 'collection', collection, parent, references: false };
  if (step.text === '$ref' && more.length === 0) return { kind: 'collection', collection, parent, references: true };
  if (step.text === '$count' && more.length === 0) return { kind: 'count', collection };
  throw noAddress(`After a set stands the id of an entity, such as ${collection.model.set}(1).`);
}
