import { parseExactJson } from '../ingest/exact-json.ts';
import type { ObservationExtra, ObservationRow } from '../observations/index.ts';
import { unwrap } from '../../kernel/index.ts';
import { selectParts } from '../query/selection.ts';
import { NO_OPTIONS, type ExpandItem, type QueryOptions } from '../query/syntax.ts';
import { API_1_1, findNavigation, findProperty, isStreamSet, type Api, type ControlNames, type EntityModel, type PropertyModel, type SetName } from './model.ts';
import type { Entity, Page } from './read-store.ts';
import type { Row } from './windows.ts';

export type Json = Record<string, unknown>;

/** Makes the JSON of entities and pages (18-088 §8.1, §9.3). */
export interface Renderer {
  entity(entity: Entity): Json;
  page(page: Page, ownPath: string, options: QueryOptions): Json;
  references(page: Page, ownPath: string, options: QueryOptions): Json;
  dataArray(page: Page, ownPath: string, options: QueryOptions): Json;
  observation(row: ObservationRow): Json;
  selfLink(model: EntityModel, id: number): string;
}

/** `publicUrl` is the address of this server without a slash at its end; `isMulti` knows the MultiDatastreams. */
export function createRenderer(api: Api, publicUrl: () => string, isMulti: (datastreamId: number) => boolean): Renderer {
  const { control } = api;
  const observationModel = api.modelOf('Observations');
  const root = (): string => `${publicUrl()}${api.root}`;
  const selfLink = (model: EntityModel, id: number): string => `${root()}/${model.set}(${String(id)})`;

  // an observation has a Datastream or a MultiDatastream (18-088 §8.2.10), where the version tells them apart
  const tellsApart = findNavigation(observationModel, 'MultiDatastream') !== undefined;
  const isOtherStream = (target: SetName, row: Row): boolean => tellsApart && isStreamSet(target) && row['datastream_id'] !== undefined && isMulti(row['datastream_id'] as number) !== (target === 'MultiDatastreams');

  const entity = ({ model, options, row, related }: Entity): Json => {
    const json: Json = {};
    const { select } = options;
    const shows = (name: string): boolean => select === null || select.some((item) => item.name === name);
    const self = selfLink(model, row.id);
    if (shows(control.id) || shows('id')) json[control.id] = row.id;
    if (shows(control.selfLink)) json[control.selfLink] = self;
    for (const property of model.properties) {
      if (!shows(property.name)) continue;
      const value = valueOf(model, property, row);
      if (value !== undefined) json[property.name] = selectParts(value, property.name, select);
      else if (select !== null) json[property.name] = null;
    }
    for (const { name, target } of model.navigations) {
      const expanded = related.get(name);
      const item = options.expand.find((candidate) => candidate.name === name);
      if (expanded === undefined || item === undefined) {
        if (shows(name) && !isOtherStream(target, row)) json[`${name}${control.navigationLink}`] = `${self}/${name}`;
      } else addRelated(json, item, expanded, `${self}/${name}`);
    }
    return json;
  };

  const addRelated = (json: Json, { name, options }: ExpandItem, related: Entity | Page | null, path: string): void => {
    if (related === null || 'row' in related) {
      json[name] = related === null ? null : entity(related);
      return;
    }
    if (related.count !== null) json[`${name}${control.count}`] = related.count;
    json[name] = related.entities.map(entity);
    if (related.next !== null) json[`${name}${control.nextLink}`] = nextLink(path, options, related.next, control);
  };

  const envelope = (page: Page, path: string, options: QueryOptions, value: unknown[]): Json => ({
    ...(page.count === null ? {} : { [control.count]: page.count }),
    ...(page.next === null ? {} : { [control.nextLink]: nextLink(`${root()}/${path}`, options, page.next, control) }),
    value,
  });

  return {
    entity,
    selfLink,
    page: (page, path, options) => envelope(page, path, options, page.entities.map(entity)),
    references: (page, path, options) => envelope(page, path, options, page.entities.map(({ model, row }) => ({ [control.selfLink]: selfLink(model, row.id) }))),
    dataArray: (page, path, options) => {
      const groups = Map.groupBy(page.entities, ({ row }) => row['datastream_id'] as number);
      const value = [...groups].map(([datastreamId, members]) => {
        const kind = tellsApart && isMulti(datastreamId) ? 'MultiDatastream' : 'Datastream';
        return { [`${kind}@iot.navigationLink`]: `${root()}/${kind}s(${String(datastreamId)})`, ...dataArrayOf(members, options) };
      });
      return envelope(page, path, options, value);
    },
    observation: (row) => {
      return entity({ model: observationModel, options: NO_OPTIONS, row: { ...row }, related: new Map() });
    },
  };
}

/** Undefined for what an entity does not have. */
function valueOf(model: EntityModel, property: PropertyModel, row: Row): unknown {
  if (property.read !== undefined) return property.read(row);
  const { name, columns: [column], computed } = property;
  if (model.set === 'Observations') return observationValue(name, row as unknown as ObservationRow);
  if (computed === true) return computedValue(name, row);
  const value = row[column ?? name];
  if (value instanceof Date) return value.toISOString();
  if (isStreamSet(model.set) && name === 'properties') return { ...(value as Json), purpose: row['purpose'] };
  return value;
}

function observationValue(name: string, row: ObservationRow): unknown {
  switch (name) {
    case 'phenomenonTime':
      return timeText(row.phenomenon_start, row.phenomenon_end);
    case 'resultTime':
      return row.result_time?.toISOString() ?? null;
    case 'result':
      return row.result_json === null ? row.result_number : unwrap(parseExactJson(Buffer.from(row.result_json)));
    default:
      return row.extra?.[name as keyof ObservationExtra];
  }
}

function computedValue(name: string, row: Row): unknown {
  const extent = row['extent'] as { first_start: Date; first_result: Date | null; last_end: Date; last_result: Date | null } | null;
  if (name === 'observedArea') return row['observed_area'] ?? areaOf(row['area'] as Area | null) ?? undefined;
  if (extent === null) return undefined;
  if (name === 'phenomenonTime') return `${extent.first_start.toISOString()}/${extent.last_end.toISOString()}`;
  return extent.first_result === null || extent.last_result === null ? undefined : `${extent.first_result.toISOString()}/${extent.last_result.toISOString()}`;
}

interface Area {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** The box as GeoJSON; a box without extent is a point or a line, since a ring needs four different positions. */
function areaOf(area: Area | null): unknown {
  if (area === null) return null;
  const { west, south, east, north } = area;
  if (west === east && south === north) return { type: 'Point', coordinates: [west, south] };
  if (west === east || south === north) return { type: 'LineString', coordinates: [[west, south], [east, north]] };
  return { type: 'Polygon', coordinates: [[[west, south], [east, south], [east, north], [west, north], [west, south]]] };
}

function timeText(start: Date, end: Date | null): string {
  return end === null ? start.toISOString() : `${start.toISOString()}/${end.toISOString()}`;
}

const ARRAY_COMPONENTS = ['id', 'phenomenonTime', 'resultTime', 'result'];

/** One group of 18-088 §13.1 Table 37: the observations of one Datastream as rows. */
function dataArrayOf(members: readonly Entity[], { select }: QueryOptions): Json {
  const components = select === null ? ARRAY_COMPONENTS : select.map(({ name }) => (name === '@iot.id' ? 'id' : name)).filter((name) => name === 'id' || findProperty(API_1_1.modelOf('Observations'), name) !== undefined);
  const dataArray = members.map(({ row }) => components.map((name) => (name === 'id' ? row.id : (observationValue(name, row as unknown as ObservationRow) ?? null))));
  return { components, 'dataArray@iot.count': dataArray.length, dataArray };
}

/** The same question again, from the place where the page ended. $skip was done by then. */
function nextLink(address: string, options: QueryOptions, next: string, control: ControlNames): string {
  let again = asked.get(options);
  if (again === undefined) asked.set(options, (again = askAgain(options, control)));
  return `${address}?${again}$skiptoken=${next}`; // base64url needs no escapes (RFC 4648 §5)
}

/** Questions of pages, ready for their next links: an expanded set has one for each of its thousand owners. */
const asked = new WeakMap<QueryOptions, string>();

function askAgain(options: QueryOptions, { askMetadata }: ControlNames): string {
  const kept = options.texts
    .filter(([name]) => name !== '$skip' && name !== '$skiptoken' && name !== '$expand')
    .map(([name, text]) => (name === '$resultMetadata' ? (askMetadata?.(text) ?? [name, text]) : ([name, text] as const)));
  const expand = options.expand.length > 0 ? [['$expand', expandText(options.expand)] as const] : [];
  return [...kept, ...expand].map(([name, text]) => `${name}=${encodeText(text)}&`).join('');
}

function expandText(items: readonly ExpandItem[]): string {
  return items
    .map(({ name, options }) => {
      const parts = options.texts.filter(([option]) => option !== '$expand').map(([option, text]) => `${option}=${text}`);
      if (options.expand.length > 0) parts.push(`$expand=${expandText(options.expand)}`);
      return parts.length === 0 ? name : `${name}(${parts.join(';')})`;
    })
    .join(',');
}

const encodeText = (text: string): string => encodeURIComponent(text).replaceAll('%24', '$').replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%3D', '=').replaceAll('%3B', ';').replaceAll('%3A', ':');
