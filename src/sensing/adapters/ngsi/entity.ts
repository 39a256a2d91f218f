import { isObject, type JsonObject } from '../json.ts';

/** One attribute in any of the forms: normalized, concise or key-value, NGSI-v2 or NGSI-LD. */
export interface Attribute {
  readonly value: unknown;
  readonly unitCode: string | null;
  readonly observedAt: string | null;
}

export interface Entity {
  readonly id: string;
  readonly type: string;
  /** By name in small letters; relationships are left out. */
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly geometry: { readonly type: string; readonly coordinates: unknown } | null;
}

const ATTRIBUTES_MAX = 500;
const ID_CHARS = 256;

/** The entities of a notification or of a bare list, Feature or entity; the path of each in the document. Null for anything else. */
export function entitiesOf(document: unknown): { readonly at: string; readonly sent: unknown }[] | null {
  const list = (values: readonly unknown[], path: string): { at: string; sent: unknown }[] => values.map((sent, at) => ({ at: `${path}[${at}]`, sent }));
  if (Array.isArray(document)) return list(document, '');
  if (!isObject(document)) return null;
  // NGSI-LD by MQTT puts headers and body into one object (GS CIM 009 §7.2)
  if (isObject(document['body']) && isObject(document['metadata'])) return entitiesOf(document['body']);
  const { id, type, data, features } = document;
  if (type === 'FeatureCollection') return Array.isArray(features) ? list(features, 'features') : null;
  // an entity may have attributes of these names
  if (id !== undefined && type !== undefined && type !== 'Notification') return [{ at: 'entity', sent: document }];
  if (Array.isArray(data)) return list(data, 'data');
  return isObject(data) && Array.isArray(data['features']) ? list(data['features'], 'data.features') : null;
}

/** Reads one entity, or says which field is wrong. A context is never fetched: names are read as they are, expanded ones by their last part. */
export function readEntity(sent: unknown): Entity | string {
  if (!isObject(sent)) return 'entity';
  const isFeature = sent['type'] === 'Feature' && isObject(sent['properties']);
  const body: JsonObject = isFeature ? { ...(sent['properties'] as JsonObject), location: sent['geometry'] } : sent;
  const id = sent['id'] ?? sent['@id'];
  if (typeof id !== 'string' || id === '' || id.length > ID_CHARS) return 'id';
  const type = typeOf(body['type'] ?? body['@type']);
  if (type === null) return 'type';
  const names = Object.keys(body);
  if (names.length > ATTRIBUTES_MAX) return 'entity';
  const attributes = new Map<string, Attribute>();
  for (const name of names) {
    if (name === 'id' || name === 'type' || name.startsWith('@')) continue;
    const attribute = readAttribute(body[name]);
    if (attribute !== null) attributes.set(lastPart(name).toLowerCase(), attribute);
  }
  return { id, type, attributes, geometry: readGeometry(attributes.get('location')?.value) };
}

/** A type of NGSI-LD may be a list; the first that is a word counts. */
function typeOf(value: unknown): string | null {
  const first: unknown = Array.isArray(value) ? value[0] : value;
  const word = typeof first === 'string' ? lastPart(first) : '';
  return /^[A-Za-z][\w-]{0,99}$/.test(word) ? word : null;
}

const lastPart = (name: string): string => (name.includes(':') ? (/[^/#:]+$/.exec(name)?.[0] ?? name) : name);

function readAttribute(sent: unknown): Attribute | null {
  // several values of one attribute (GS CIM 009 §4.5.5): the one without datasetId is the default
  if (Array.isArray(sent) && sent.length > 0 && sent.every((one) => isObject(one) && ('value' in one || 'object' in one))) return readAttribute((sent as JsonObject[]).find((one) => one['datasetId'] === undefined) ?? sent[0]);
  if (!isObject(sent)) return { value: sent, unitCode: null, observedAt: null };
  const { type, value, unitCode, observedAt, metadata } = sent;
  if (type === 'Relationship' || 'object' in sent) return null;
  if (!('value' in sent)) return { value: plain(sent), unitCode: null, observedAt: null };
  const meta = isObject(metadata) ? metadata : {};
  const metaValue = (name: string): unknown => (isObject(meta[name]) ? meta[name]['value'] : undefined);
  return { value: plain(value), unitCode: textOf(unitCode ?? metaValue('unitCode')), observedAt: textOf(plain(observedAt ?? metaValue('timestamp') ?? metaValue('TimeInstant') ?? metaValue('dateObserved'))) };
}

/** `{"@type": "DateTime", "@value": …}` is its value. */
const plain = (value: unknown): unknown => (isObject(value) && '@value' in value ? value['@value'] : value);

function textOf(value: unknown): string | null {
  const text = isObject(value) ? value['value'] : value;
  return typeof text === 'string' && text.length <= 100 ? text : null;
}

/** GeoJSON, or `geo:point` of NGSI-v2: latitude first. */
function readGeometry(value: unknown): Entity['geometry'] {
  const inner = isObject(value) && isObject(value['value']) ? value['value'] : value;
  if (isObject(inner) && typeof inner['type'] === 'string' && Array.isArray(inner['coordinates'])) return { type: inner['type'], coordinates: inner['coordinates'] };
  const point = typeof inner === 'string' ? /^\s*(-?\d{1,2}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*$/.exec(inner) : null;
  return point === null ? null : { type: 'Point', coordinates: [Number(point[2]), Number(point[1])] };
}
