import { Refused } from '../../kernel/index.ts';
import { findNavigation, findProperty, isStreamSet, storedSetOf, targetOf, type Api, type EntityModel } from '../entities/model.ts';
import { parseQuery } from '../query/options.ts';
import type { QueryOptions } from '../query/syntax.ts';
import { readId } from './observation-body.ts';

/** What a subscription is for (18-088 §14.3): a set of entities, one entity, or a property of one. */
export interface Topic {
  /** As it was sent. */
  readonly text: string;
  readonly kind: 'collection' | 'entity' | 'property';
  /** Model of the entities that it is about. */
  readonly model: EntityModel;
  /** Address under the root, without the property and without options. */
  readonly path: string;
  /** Id of the entity when the address is Set(id) or Set(id)/property; null where it goes through relations. */
  readonly id: number | null;
  readonly property: string | null;
  /** `$select` and `$expand` as they were sent. */
  readonly search: string;
  readonly options: QueryOptions;
  /** Only for Observations: whose they are. */
  readonly observations: { readonly of: 'all' } | { readonly of: 'stream' | 'feature'; readonly id: number; readonly thingId: number | null } | null;
}

const SEGMENT = /^([A-Za-z]+)(?:\((\d{1,15})\))?$/;
const STEPS = 6;
const OPTIONS: ReadonlySet<string> = new Set(['$select', '$expand']);
const STREAM_SETS: ReadonlySet<string> = new Set(['Datastreams', 'MultiDatastreams']);

interface Step {
  readonly name: string;
  readonly id: number | null;
}

/** Reads the topic of a subscription; `path` and `search` are what stands before and after its `?`. Null when it is none. */
export function readTopic(api: Api, text: string, path: string, search: string): Topic | null {
  const steps = readSteps(path);
  const options = readOptions(search);
  const [first, ...rest] = steps ?? [];
  let model = first === undefined ? undefined : api.find(first.name);
  if (first === undefined || options === null || model === undefined) return null;
  let kind: Topic['kind'] = first.id === null ? 'collection' : 'entity';
  let property: string | null = null;
  for (const step of rest) {
    if (kind !== 'entity') return null;
    const navigation = findNavigation(model, step.name);
    if (navigation === undefined) {
      if (step.id !== null || findProperty(model, step.name) === undefined) return null;
      kind = 'property';
      property = step.name;
    } else {
      if (!navigation.many && step.id !== null) return null;
      kind = navigation.many && step.id === null ? 'collection' : 'entity';
      model = targetOf(model, navigation);
    }
  }
  if (kind === 'property' && search !== '') return null;
  const entityPath = property === null ? path : path.slice(0, -property.length - 1);
  const isDirect = kind === 'entity' ? rest.length === 0 : kind === 'property' && rest.length === 1;
  const isOfObservations = kind === 'collection' && storedSetOf(model) === 'Observations';
  const observations = isOfObservations ? observationsOf(first, rest) : null;
  if (isOfObservations && observations === null) return null;
  return { text, kind, model, path: entityPath, id: isDirect ? first.id : null, property, search, options, observations };
}

function readSteps(path: string): Step[] | null {
  const parts = path.split('/');
  if (parts.length > STEPS) return null;
  const steps: Step[] = [];
  for (const part of parts) {
    const shape = SEGMENT.exec(part);
    if (shape === null) return null;
    const id = shape[2] === undefined ? null : readId(shape[2]);
    if (shape[2] !== undefined && id === null) return null;
    steps.push({ name: shape[1] as string, id });
  }
  return steps;
}

/** Null for what is no query, and for options that a message cannot answer, such as $filter. */
function readOptions(search: string): QueryOptions | null {
  try {
    const options = parseQuery(search);
    return options.texts.every(([name]) => OPTIONS.has(name)) && !options.distinct ? options : null;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** Observations of one Datastream or FeatureOfInterest are found without asking the database; null for longer ways. */
function observationsOf(first: Step, rest: readonly Step[]): Topic['observations'] {
  const owner = rest.at(-2) ?? first;
  if (rest.length === 0) return { of: 'all' };
  if (owner.id === null || rest.length > 2) return null;
  if (STREAM_SETS.has(owner.name)) {
    if (rest.length === 1) return { of: 'stream', id: owner.id, thingId: null };
    return first.name === 'Things' && first.id !== null ? { of: 'stream', id: owner.id, thingId: first.id } : null;
  }
  return rest.length === 1 && (owner.name === 'FeaturesOfInterest' || owner.name === 'Features') ? { of: 'feature', id: owner.id, thingId: null } : null;
}

/** The Datastream that a topic is about, for devices, which see nothing else; null when it is about more or something else. */
export function streamOf({ observations, model, id }: Topic): number | null {
  if (observations !== null) return observations.of === 'stream' ? observations.id : null;
  return isStreamSet(storedSetOf(model)) ? id : null;
}
