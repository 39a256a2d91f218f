import { distance, geometryOf, parseWkt, type Geometry } from '../src/sensing/query/geometry.ts';
import { matches, relate } from '../src/sensing/query/topology.ts';
import type { Json, SensorThingsRig } from './sensorthings-rig.ts';

/**
 * A second, plain reading of $filter over entities in memory: no SQL, no parser. An expression is built from parts that
 * know their text and what they are worth for a row, so that what the server answers can be held against it.
 */
export interface Entity {
  readonly set: string;
  readonly json: Json;
  /** Members of every relation; a single one that is missing is an empty list. */
  readonly related: Map<string, readonly Entity[]>;
}

interface Bindings {
  readonly root: Entity;
  /** Members that paths through sets go by, named by their path. */
  readonly members: ReadonlyMap<string, Entity>;
  readonly variables: ReadonlyMap<string, Entity>;
}

/** `sets` names the paths through sets that it goes by, each as its variable (or '') and its steps. */
export interface Term<T> {
  readonly text: string;
  readonly sets: readonly SetPath[];
  readonly literal: boolean;
  /** The JSON itself, where `value` reads it as one type. */
  readonly json?: (at: Bindings) => unknown;
  readonly value: (at: Bindings) => T | null;
}

interface SetPath {
  readonly variable: string;
  readonly steps: readonly string[];
}

export interface Condition {
  readonly text: string;
  readonly holds: (at: Bindings) => boolean;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

const SINGLE = new Set(['Thing', 'Datastream', 'Sensor', 'ObservedProperty', 'FeatureOfInterest']);
const isRelation = (entity: Entity, step: string): boolean => entity.related.has(step);

/** Reads every entity of the sets with all its relations. */
export async function readWorld(rig: SensorThingsRig, relations: Readonly<Record<string, readonly string[]>>): Promise<Map<string, Entity[]>> {
  const world = new Map<string, Entity[]>();
  for (const set of Object.keys(relations)) world.set(set, ((await rig.get(`/${set}?$top=1000&$orderby=id`))['value'] as Json[]).map((json) => ({ set, json, related: new Map() })));
  const byId = new Map([...world].map(([set, entities]) => [set, new Map(entities.map((entity) => [entity.json['@iot.id'], entity]))]));
  for (const [set, names] of Object.entries(relations)) {
    for (const entity of world.get(set) ?? []) {
      for (const name of names) {
        const target = SINGLE.has(name) ? ({ Thing: 'Things', Datastream: 'Datastreams', Sensor: 'Sensors', ObservedProperty: 'ObservedProperties', FeatureOfInterest: 'FeaturesOfInterest' }[name] ?? name) : name;
        const answer = await rig.send('GET', `/${set}(${String(entity.json['@iot.id'])})/${name}${SINGLE.has(name) ? '' : '?$top=1000'}`);
        const found = answer.status === 204 ? [] : SINGLE.has(name) ? [answer.body] : (answer.body['value'] as Json[]);
        entity.related.set(name, found.map((json) => byId.get(target)?.get(json['@iot.id'])).filter((member) => member !== undefined));
      }
    }
  }
  return world;
}

export const rowsThatHold = (entities: readonly Entity[], { holds }: Condition): unknown[] => entities.filter((root) => holds({ root, members: new Map(), variables: new Map() })).map(({ json }) => json['@iot.id']);

/** A path to a property or a part of it; `read` turns the JSON into the value, undefined being null. */
export function path<T>(text: string, read: (json: unknown) => T | null, variable = ''): Term<T> {
  const steps = text.split('/');
  const sets: SetPath[] = [];
  for (let length = 1; length < steps.length; length += 1) {
    const head = steps.slice(0, length);
    if (/^[A-Z]/.test(head.at(-1) ?? '') && !SINGLE.has(head.at(-1) ?? '')) sets.push({ variable, steps: head });
  }
  return { text: variable === '' ? text : `${variable}/${text}`, sets, literal: false, value: (at) => readPath(at, variable, steps, read) };
}

function readPath<T>(at: Bindings, variable: string, steps: readonly string[], read: (json: unknown) => T | null): T | null {
  const walked = walk(at, variable, steps);
  if (walked === null) return null;
  let value: unknown = walked.rest[0] === 'id' ? walked.entity.json['@iot.id'] : walked.entity.json;
  for (const step of walked.rest[0] === 'id' ? [] : walked.rest) value = typeof value === 'object' && value !== null ? (value as Json)[step] : undefined;
  return value === undefined || value === null ? null : read(value);
}

function walk(at: Bindings, variable: string, steps: readonly string[]): { readonly entity: Entity; readonly rest: readonly string[] } | null {
  let entity = variable === '' ? at.root : at.variables.get(variable);
  for (const [index, step] of steps.entries()) {
    if (entity === undefined) return null;
    if (!isRelation(entity, step)) return { entity, rest: steps.slice(index) };
    entity = SINGLE.has(step) ? entity.related.get(step)?.[0] : at.members.get(keyOf({ variable, steps: steps.slice(0, index + 1) }));
  }
  return entity === undefined ? null : { entity, rest: [] };
}

const keyOf = ({ variable, steps }: SetPath): string => `${variable}:${steps.join('/')}`;

/** Every way to choose one member for each set on the paths. */
function choices(at: Bindings, sets: readonly SetPath[]): Bindings[] {
  const ordered = [...new Map(sets.map((set) => [keyOf(set), set])).values()].sort((a, b) => a.steps.length - b.steps.length);
  return ordered.reduce<Bindings[]>((all, set) => all.flatMap((one) => membersOf(one, set).map((member) => ({ ...one, members: new Map([...one.members, [keyOf(set), member]]) }))), [at]);
}

function membersOf(at: Bindings, { variable, steps }: SetPath): readonly Entity[] {
  const owner = walk(at, variable, steps.slice(0, -1));
  return owner?.entity.related.get(steps.at(-1) ?? '') ?? [];
}

/** A comparison or a call that answers true or false: it holds when it is true for one choice of members. */
export const leaf = (text: string, terms: readonly Term<unknown>[], test: (at: Bindings) => boolean | null): Condition => ({ text, holds: (at) => choices(at, terms.flatMap(({ sets }) => sets)).some((one) => test(one) === true) });

export const both = (a: Condition, b: Condition): Condition => ({ text: `(${a.text} and ${b.text})`, holds: (at) => a.holds(at) && b.holds(at) });
export const either = (a: Condition, b: Condition): Condition => ({ text: `(${a.text} or ${b.text})`, holds: (at) => a.holds(at) || b.holds(at) });
export const negated = (a: Condition): Condition => ({ text: `not (${a.text})`, holds: (at) => !a.holds(at) });

export function lambda(quantifier: 'any' | 'all', steps: string, variable: string, inner: Condition, base = ''): Condition {
  return {
    text: `${base === '' ? '' : `${base}/`}${steps}/${quantifier}(${variable}:${inner.text})`,
    holds: (at) => {
      const members = membersOf(at, { variable: base, steps: steps.split('/') });
      const holds = (member: Entity): boolean => inner.holds({ ...at, variables: new Map([...at.variables, [variable, member]]) });
      return quantifier === 'any' ? members.some(holds) : members.every(holds);
    },
  };
}

export const literal = <T>(text: string, value: T): Term<T> => ({ text, sets: [], literal: true, value: () => value });

/** A function of other terms; null when one of them is null. */
export function derived<T>(text: string, terms: readonly Term<unknown>[], work: (...values: never[]) => T | null): Term<T> {
  return {
    text,
    sets: terms.flatMap(({ sets }) => sets),
    literal: false,
    value: (at) => {
      const values = terms.map(({ value }) => value(at));
      return values.includes(null) ? null : work(...(values as never[]));
    },
  };
}

export type Op = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le';

const decide = (op: Op, order: number): boolean => ({ eq: order === 0, ne: order !== 0, gt: order > 0, ge: order >= 0, lt: order < 0, le: order <= 0 })[op];

/**
 * Numbers by size, texts by code points, false before true. Null equals null and has no place in an order. A JSON value of
 * another type is no null, and is neither equal nor in order; lists and objects are equal or not, and in no order.
 */
export function compare(a: Term<unknown>, op: Op, b: Term<unknown>): Condition {
  const whole = (term: Term<unknown>, at: Bindings): unknown => (term.json === undefined ? term.value(at) : term.json(at)) ?? null;
  return leaf(`${a.text} ${op} ${b.text}`, [a, b], (at) => {
    const [x, y] = [whole(a, at), whole(b, at)];
    if (x === null || y === null) return op === 'eq' ? x === y : op === 'ne' ? x !== y : false;
    if (typeof x !== typeof y) return op === 'ne';
    if (typeof x === 'object') return op === 'eq' ? JSON.stringify(x) === JSON.stringify(y) : op === 'ne' && JSON.stringify(x) !== JSON.stringify(y);
    return decide(op, typeof x === 'string' && typeof y === 'string' ? Buffer.compare(Buffer.from(x), Buffer.from(y)) : Number(x) - Number(y));
  });
}

/** A path to a JSON value, read as one type where a value of that type is asked for. */
export function jsonPath<T>(text: string, read: (json: unknown) => T | null, variable = ''): Term<T> {
  return { ...path(text, read, variable), json: path(text, (json) => json, variable).value };
}

export const isNull = (term: Term<unknown>, wanted: boolean): Condition => leaf(`${term.text} ${wanted ? 'eq' : 'ne'} null`, [term], (at) => (term.value(at) === null) === wanted);

/** One time is before another when it has ended where that begins, and begins earlier. */
export function compareTimes(a: Term<Span>, op: Op, b: Term<Span>): Condition {
  const isBefore = (x: Span, y: Span): boolean => x.start < y.start && x.end <= y.start;
  return leaf(`${a.text} ${op} ${b.text}`, [a, b], (at) => {
    const [x, y] = [a.value(at), b.value(at)];
    if (x === null || y === null) return op === 'eq' ? x === y : op === 'ne' ? x !== y : false;
    const same = x.start === y.start && x.end === y.end;
    return { eq: same, ne: !same, lt: isBefore(x, y), gt: isBefore(y, x), le: x.start <= y.start && x.end <= y.end, ge: x.start >= y.start && x.end >= y.end }[op];
  });
}

export function isAmong<T extends number | string>(term: Term<T>, items: readonly Term<T>[]): Condition {
  return leaf(`${term.text} in (${items.map(({ text }) => text).join(',')})`, [term, ...items], (at) => items.some((item) => item.value(at) === term.value(at) && (term.value(at) !== null || !item.literal)));
}

const SHAPES: Readonly<Record<string, (matrix: string) => boolean>> = {
  st_intersects: (matrix) => !matches(matrix, 'FF*FF****'),
  'geo.intersects': (matrix) => !matches(matrix, 'FF*FF****'),
  st_disjoint: (matrix) => matches(matrix, 'FF*FF****'),
  st_within: (matrix) => matches(matrix, 'T*F**F***'),
  st_contains: (matrix) => matches(matrix, 'T*****FF*'),
  st_equals: (matrix) => matches(matrix, 'T*F**FFF*'),
  st_touches: (matrix) => ['FT*******', 'F**T*****', 'F***T****'].some((pattern) => matches(matrix, pattern)),
};
export const SHAPE_NAMES = Object.keys(SHAPES);

export function relatesTo(name: string, a: Term<Geometry>, b: Term<Geometry>): Condition {
  return leaf(`${name}(${a.text},${b.text})`, [a, b], (at) => {
    const [x, y] = [a.value(at), b.value(at)];
    const matrix = x === null || y === null ? null : relate(x, y);
    return matrix !== null && SHAPES[name]?.(matrix) === true;
  });
}

export const shapeLiteral = (wkt: string): Term<Geometry> => {
  const shape = parseWkt(wkt);
  if (typeof shape === 'string') throw new Error(shape);
  return literal(`geography'${wkt}'`, shape);
};
export const shapeAt = (text: string, variable = ''): Term<Geometry> => path(text, geometryOf, variable);
export const distanceOf = (a: Term<Geometry>, b: Term<Geometry>): Term<number> => derived(`geo.distance(${a.text},${b.text})`, [a, b], (x: Geometry, y: Geometry) => distance(x, y));
