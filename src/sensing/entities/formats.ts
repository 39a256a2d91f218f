import { queryFault } from '../query/fault.ts';
import type { QueryOptions, ResultMetadata } from '../query/syntax.ts';
import { findNavigation, targetOf, type EntityModel } from './model.ts';
import type { Json } from './render.ts';

/** A page of a set in another form than JSON; `next` is the address of the next page, for a header. */
export class FormattedPage {
  readonly mediaType: string;
  readonly text: string;
  readonly next: string | null;

  constructor(mediaType: string, text: string, next: string | null) {
    this.mediaType = mediaType;
    this.text = text;
    this.next = next;
  }
}

type Rows = readonly Json[];

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value);
// numbers of observations that come as they were sent (ingest/exact-json.ts)
const isExactNumber = (value: object): boolean => (JSON as unknown as { isRawJSON(value: unknown): boolean }).isRawJSON(value);

/** The names of control information that belongs to the whole answer, not to an entity. */
const isAnnotation = (name: string): boolean => name.indexOf('@') > 0;

/** Comma-separated values (RFC 4180): one line an entity, parts and expanded entities as columns `Thing/properties/a`. */
export function formatCsv(model: EntityModel, page: Json): FormattedPage {
  const rows = rowsOf(page).map((entity) => flatten(model, entity, false));
  // the first row's order leads; a column that a later row brings stands at the end
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const lines = [columns.map(field), ...rows.map((row) => columns.map((column) => field(row.get(column))))];
  return new FormattedPage('text/csv; charset=utf-8; header=present', lines.map((line) => `${line.join(',')}\r\n`).join(''), nextOf(model, page));
}

/**
 * A FeatureCollection (RFC 7946): the geometry is the entity's own, else the first one of what is expanded; everything
 * else becomes a property with a name as in CSV. Throws `Refused` when nothing that is asked for can have a geometry.
 */
export function formatGeoJson(model: EntityModel, options: QueryOptions, page: Json): FormattedPage {
  if (!hasGeometry(model, options)) throw queryFault('$resultFormat', 0, `${model.set} have no geometry; expand what has one, such as Locations or FeatureOfInterest.`);
  const control = Object.fromEntries(Object.entries(page).filter(([name]) => name !== 'value'));
  const features = rowsOf(page).map((entity) => ({ type: 'Feature', geometry: geometryIn(model, entity), properties: Object.fromEntries(flatten(model, entity, true)) }));
  return new FormattedPage('application/geo+json; charset=utf-8', JSON.stringify({ type: 'FeatureCollection', ...control, features }), nextOf(model, page));
}

const rowsOf = (page: Json): Rows => page['value'] as Rows;
const nextOf = ({ api }: EntityModel, page: Json): string | null => (page[api.control.nextLink] as string | undefined) ?? null;

/** All values of an entity under one name each. `forFeature` leaves the own geometry out. */
function flatten(model: EntityModel, entity: Json, forFeature: boolean): Map<string, unknown> {
  const flat = new Map<string, unknown>();
  const add = (prefix: string, value: unknown): void => {
    if (!isObject(value)) flat.set(prefix, value);
    else for (const [name, part] of Object.entries(value)) add(`${prefix}/${name}`, part);
  };
  const addEntity = (of: EntityModel, json: Json, prefix: string): void => {
    const geometries = geometryNames(of);
    for (const [name, value] of Object.entries(json)) {
      if (isAnnotation(name)) continue;
      const navigation = findNavigation(of, name);
      if (navigation !== undefined && Array.isArray(value)) value.forEach((member: unknown, at) => addEntity(targetOf(of, navigation), member as Json, `${prefix}${name}/${String(at)}/`));
      else if (navigation !== undefined && isObject(value)) addEntity(targetOf(of, navigation), value, `${prefix}${name}/`);
      else if (navigation !== undefined) continue;
      else if (!geometries.includes(name)) add(`${prefix}${name}`, value);
      else if (!forFeature) flat.set(`${prefix}${name}`, value);
    }
  };
  addEntity(model, entity, '');
  return flat;
}

function field(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const geometryNames = (model: EntityModel): string[] => model.properties.filter(({ value }) => value?.('t0').type === 'stored-geometry').map(({ name }) => name);

function hasGeometry(model: EntityModel, { select, expand }: QueryOptions): boolean {
  if (geometryNames(model).some((name) => select === null || select.some((item) => item.name === name))) return true;
  return expand.some(({ name, options }) => {
    const navigation = findNavigation(model, name);
    return navigation !== undefined && hasGeometry(targetOf(model, navigation), options);
  });
}

function geometryIn(model: EntityModel, entity: Json): unknown {
  for (const name of geometryNames(model)) {
    const geometry = plainGeometry(entity[name]);
    if (geometry !== null) return geometry;
  }
  for (const navigation of model.navigations) {
    const related = entity[navigation.name];
    for (const member of Array.isArray(related) ? (related as unknown[]) : [related]) {
      const geometry = isObject(member) ? geometryIn(targetOf(model, navigation), member) : null;
      if (geometry !== null) return geometry;
    }
  }
  return null;
}

const GEOMETRY_TYPES = new Set(['Point', 'MultiPoint', 'LineString', 'MultiLineString', 'Polygon', 'MultiPolygon', 'GeometryCollection']);

/** A stored GeoJSON may be a Feature; what is no GeoJSON has no geometry. */
function plainGeometry(value: unknown): unknown {
  if (!isObject(value) || typeof value['type'] !== 'string') return null;
  if (value['type'] === 'Feature') return plainGeometry(value['geometry']);
  if (value['type'] === 'FeatureCollection' && Array.isArray(value['features'])) return { type: 'GeometryCollection', geometries: value['features'].map(plainGeometry).filter((geometry) => geometry !== null) };
  return GEOMETRY_TYPES.has(value['type']) ? value : null;
}

/** Takes control information out of an answer: `minimal` keeps ids, counts and next links, `none` only counts and next links. */
export function withMetadata(model: EntityModel, json: Json, metadata: ResultMetadata): Json {
  if (metadata === 'full') return json;
  const { control } = model.api;
  const kept: Json = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === control.selfLink || name.endsWith(control.navigationLink)) continue;
    // in 2.0 the id is a property
    if (metadata === 'none' && name === control.id && name !== 'id') continue;
    const navigation = findNavigation(model, name);
    const inner = (member: unknown): unknown => (navigation !== undefined && isObject(member) ? withMetadata(targetOf(model, navigation), member, metadata) : member);
    kept[name] = Array.isArray(value) && navigation !== undefined ? value.map(inner) : inner(value);
  }
  return kept;
}
