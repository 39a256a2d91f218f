import { call } from '#lib/api/client.ts';
import type { RequestLine } from './request-line.ts';

/** What the query builder needs to know of the entities; read from the API's own OpenAPI document. */
export interface PropertyShape {
  readonly name: string;
  readonly type: 'text' | 'number' | 'time' | 'json';
}
export interface RelationShape {
  readonly name: string;
  /** Name of the target, such as Datastream. */
  readonly target: string;
  readonly many: boolean;
}
export interface EntityShape {
  readonly name: string;
  readonly set: string;
  readonly properties: readonly PropertyShape[];
  readonly relations: readonly RelationShape[];
}
export type Shapes = readonly EntityShape[];

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly 'x-entity-set'?: string;
}
interface Document {
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

const targetOf = (schema: Schema): string | undefined => /^#\/components\/schemas\/(.+)$/.exec(schema.$ref ?? '')?.[1];

/** Entities, their properties and relations out of an OpenAPI document; schemas that name no entity set are left out. */
export function readShapes(document: Document): Shapes {
  const schemas = document.components?.schemas ?? {};
  const isEntity = (name: string | undefined): name is string => name !== undefined && schemas[name]?.['x-entity-set'] !== undefined;
  return Object.entries(schemas).flatMap(([name, schema]) => {
    const set = schema['x-entity-set'];
    if (set === undefined) return [];
    const properties: PropertyShape[] = [];
    const relations: RelationShape[] = [];
    for (const [key, part] of Object.entries(schema.properties ?? {})) {
      const one = targetOf(part) ?? part.anyOf?.map(targetOf).find(isEntity);
      const many = part.items === undefined ? undefined : targetOf(part.items);
      if (isEntity(many)) relations.push({ name: key, target: many, many: true });
      else if (isEntity(one)) relations.push({ name: key, target: one, many: false });
      else if (!key.includes('@')) properties.push({ name: key, type: typeOf(part) });
    }
    return [{ name, set, properties, relations }];
  });
}

function typeOf({ type, format }: Schema): PropertyShape['type'] {
  const types = Array.isArray(type) ? (type as readonly string[]) : [type as string | undefined];
  if (format === 'date-time' || format === 'iso8601-interval') return 'time';
  if (types.includes('string')) return 'text';
  return types.includes('number') || types.includes('integer') ? 'number' : 'json';
}

const known = new Map<string, Promise<Shapes>>();

/** Shapes of one API, read once a visit. Without them the builder offers what the answer shows. */
export function loadShapes(root: string): Promise<Shapes> {
  let shapes = known.get(root);
  if (shapes === undefined) known.set(root, (shapes = call<Document>(fetch, `${root}/api`).then((answer) => (answer.ok ? readShapes(answer.value) : []))));
  return shapes;
}

/** What stands at the end of a path: an entity or a set of them; undefined for a property, `$value` and the unknown. */
export function shapeAt({ path }: RequestLine, shapes: Shapes): { readonly shape: EntityShape; readonly many: boolean } | undefined {
  const [, , first = '', ...rest] = path.split('/');
  const start = shapes.find(({ set }) => set === nameOf(first));
  if (start === undefined) return undefined;
  let found = { shape: start, many: !first.endsWith(')') };
  for (const step of rest) {
    const relation = found.shape.relations.find(({ name }) => name === nameOf(step));
    const target = shapes.find(({ name }) => name === relation?.target);
    if (relation === undefined || target === undefined) return undefined;
    found = { shape: target, many: relation.many && !step.endsWith(')') };
  }
  return found;
}

const nameOf = (step: string): string => step.replace(/\(.*\)$/s, '');
