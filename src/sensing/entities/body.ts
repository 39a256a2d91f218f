import type { Purpose } from '../../contracts/trust.ts';
import { LIMITS, parseInstantMs, Refused, type Refusal, type RefusalCode } from '../../kernel/index.ts';
import { floorNotice } from '../../trust/index.ts';
import { boxOf, geometryOf, type Box } from '../query/geometry.ts';
import { describedIn } from './description.ts';
import { findNavigation, findProperty, isStreamSet, storedSetOf, targetOf, type ElementReferences, type EntityModel, type NavigationModel, type PropertyModel } from './model.ts';

/** What a body says, checked and ready to be stored. Column values are as the driver takes them; JSON is text. */
export interface ParsedEntity {
  readonly model: EntityModel;
  readonly columns: ReadonlyMap<string, unknown>;
  readonly links: ReadonlyMap<NavigationModel, readonly ParsedLink[]>;
  /** Bodies of Observations inside a Datastream or FeatureOfInterest, for the ingest path. */
  readonly observations: readonly unknown[];
  /** What the elements of its results name, where they name it so. */
  readonly references?: ElementReferences | undefined;
  /** Path of the entity in the body, such as `Datastreams.0`; empty at the top. */
  readonly path: string;
}

/** `change` says what is updated in the linked entity as well (23-019 §9.4.6). */
export type ParsedLink = { readonly kind: 'existing'; readonly id: number; readonly path: string; readonly change?: (current: Readonly<Record<string, unknown>>) => ParsedEntity } | { readonly kind: 'new'; readonly entity: ParsedEntity };

export type Mode = 'create' | 'patch' | 'put';

export interface BodyContext {
  readonly mode: Mode;
  readonly purposes: { get(id: string): Purpose | undefined; live(id: string): boolean };
  /** Purpose that the credential is bound to. */
  readonly boundPurpose: string | undefined;
  /** What is stored now; null at creation. */
  readonly current: Readonly<Record<string, unknown>> | null;
  /** What the gate says of the texts of a body; absent in a room without a gate. */
  readonly admit?: ((value: unknown, path: string) => Refusal | null) | undefined;
}

const MEMBERS = 1_000;
const INSERTED = 10_000;
// Longer lists of numbers are what the gate refuses elsewhere: templates of faces and voices have this form.
const ELEMENTS = 32;
const COMPLEX_OBSERVATION = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation';
const ELEMENT_TYPES: ReadonlySet<string> = new Set(['OM_Measurement', 'OM_CountObservation', 'OM_TruthObservation', 'OM_CategoryObservation', 'OM_Observation']);
const GEOJSON = new Set(['application/geo+json', 'application/vnd.geo+json']);

const fault = (path: string, detail: string, code: RefusalCode = 'sensing.entity-invalid'): Refused => new Refused({ code, detail, field: path === '' ? 'body' : path });

/**
 * Reads a body for `model`. `implied` names the single relation that the address or the entity around it settles.
 * Throws `Refused` naming the property by its path in the body.
 */
export function parseEntity(model: EntityModel, body: unknown, context: BodyContext, implied: string | null = null): ParsedEntity {
  checkText(body, '', 0);
  const refused = context.admit?.(describedIn(body), '') ?? null;
  if (refused !== null) throw new Refused(refused);
  return readEntity(model, body, context, implied, '', { entities: 0 });
}

function readEntity(model: EntityModel, body: unknown, context: BodyContext, implied: string | null, path: string, count: { entities: number }): ParsedEntity {
  count.entities += 1;
  if (count.entities > INSERTED) throw fault(path, `One request creates at most ${String(INSERTED)} entities.`, 'http.too-large');
  if (!isObject(body)) throw fault(path || 'body', `${model.name} must be a JSON object.`);
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const columns = new Map<string, unknown>();
  const links = new Map<NavigationModel, ParsedLink[]>();
  let observations: readonly unknown[] = [];
  for (const name of Object.keys(body)) {
    if (model.api.control.isControl(name)) continue;
    const property = findProperty(model, name);
    const navigation = findNavigation(model, name);
    if (property === undefined && navigation === undefined) throw fault(at(name), `${model.name} has no property ${JSON.stringify(name.slice(0, 100))}.`, 'http.unknown-field');
    if (navigation === undefined) continue;
    if (navigation.name === implied && model.api.control.addressWins === true) continue;
    if (navigation.name === implied) throw fault(at(name), `The ${name} is the one that this ${model.name} is created under; leave it out.`);
    if (navigation.target === 'Observations' && (isStreamSet(model.set) || model.set === 'FeaturesOfInterest') && context.mode === 'create') {
      if (!Array.isArray(body[name])) throw fault(at(name), 'It must be a list.');
      observations = body[name].map((observation: unknown) => model.api.control.readObservation?.(observation) ?? observation);
      continue;
    }
    if (body[name] === null && navigation.column !== undefined && !navigation.many && !navigation.required) {
      columns.set(navigation.column, null);
      continue;
    }
    links.set(navigation, readLinks(model, navigation, body[name], context, at(name), count));
  }
  for (const property of model.properties) readProperty(property, body, context, at, columns);
  if (isStreamSet(model.set)) settlePurpose(columns, context, at('properties'));
  if (model.set === 'MultiDatastreams') settleElements(columns, context, at);
  const references = model.settle?.(columns, at);
  if (storedSetOf(model) === 'Locations' || storedSetOf(model) === 'FeaturesOfInterest') settleBox(model, columns, context, at);
  if (context.mode === 'create') {
    const missing = model.navigations.find((navigation) => navigation.required && navigation.name !== implied && !links.has(navigation));
    if (missing !== undefined) throw fault(at(missing.name), `${model.name} needs a ${missing.name}: ${model.api.control.example} for one that exists, or its properties for a new one.`);
  }
  return { model, columns, links, observations, references, path };
}

function readLinks(model: EntityModel, navigation: NavigationModel, value: unknown, context: BodyContext, path: string, count: { entities: number }): ParsedLink[] {
  if (navigation.target === 'Observations') throw fault(path, 'Observations come with the creation of a Datastream or FeatureOfInterest, or by themselves.', 'http.not-implemented');
  const { example, readReference, isControl, updatesDeep } = model.api.control;
  const isDeep = context.mode !== 'create' && updatesDeep === true;
  const one = (body: unknown, at: string): ParsedLink => {
    if (!isObject(body)) throw fault(at, `It must be ${example} for one that exists, or the properties of a new one.`);
    const id = readReference(body, navigation.target);
    if (id !== undefined) {
      if (id === null) throw fault(at, `It must be ${example}, with a positive whole number.`);
      if (!isDeep || Object.keys(body).every(isControl)) return { kind: 'existing', id, path: at };
      return { kind: 'existing', id, path: at, change: (current) => readEntity(targetOf(model, navigation), body, { ...context, mode: 'patch', current }, null, at, count) };
    }
    if (context.mode !== 'create' && !isDeep) throw fault(at, `An update links what exists: ${example}. Create the new entity first (18-088 §10.3).`);
    const target = targetOf(model, navigation);
    return { kind: 'new', entity: readEntity(target, body, isDeep ? { ...context, mode: 'create', current: null } : context, inverseOf(model, navigation), at, count) };
  };
  if (!navigation.many) return [one(value, path)];
  if (!Array.isArray(value)) throw fault(path, 'It must be a list.');
  if (value.length > MEMBERS) throw fault(path, `At most ${String(MEMBERS)} members are taken in one request.`, 'http.too-large');
  return value.map((member, at) => one(member, `${path}.${String(at)}`));
}

/** The single relation by which a member of `navigation` leads back, when its rows carry the id. */
export function inverseOf(model: EntityModel, navigation: NavigationModel): string | null {
  const { foreignKey } = navigation;
  if (foreignKey === undefined) return null;
  return targetOf(model, navigation).navigations.find((back) => back.column === foreignKey && back.target === model.set)?.name ?? null;
}

function readProperty({ name, columns: [shown], write, computed }: PropertyModel, body: Readonly<Record<string, unknown>>, context: BodyContext, at: (name: string) => string, columns: Map<string, unknown>): void {
  const column = write?.column ?? shown;
  if (write === undefined || computed === true || column === undefined) return;
  const value = body[name];
  if (value === undefined || (value === null && !write.required)) {
    if (context.mode === 'patch' && value === undefined) return;
    if (write.required) throw fault(at(name), 'It is required.');
    if (write.otherwise !== undefined) columns.set(column, write.otherwise);
    else if (write.kind === 'object') columns.set(column, '{}');
    return;
  }
  const path = at(name);
  switch (write.kind) {
    case 'name':
    case 'text': {
      const limit = write.kind === 'name' ? LIMITS.name_chars : LIMITS.text_chars;
      if (typeof value !== 'string') throw fault(path, 'It must be a text.');
      if (value.length > limit) throw fault(path, `It has at most ${String(limit)} characters.`);
      if (write.kind === 'name' && value.trim() === '') throw fault(path, 'It must not be empty.');
      columns.set(column, value);
      return;
    }
    case 'object':
      if (!isObject(value)) throw fault(path, 'It must be a JSON object.');
      columns.set(column, jsonText(value, path));
      return;
    case 'unit':
      columns.set(column, JSON.stringify(readUnit(value, path)));
      return;
    case 'units':
      columns.set(column, readElements(value, path).map((unit, nth) => readUnit(unit, `${path}.${String(nth)}`)));
      return;
    case 'types':
      columns.set(column, readElements(value, path).map((type, nth) => readElementType(type, `${path}.${String(nth)}`)));
      return;
    case 'complex':
      if (value !== COMPLEX_OBSERVATION) throw fault(path, `It is always ${COMPLEX_OBSERVATION} (18-088 §8.2.10).`);
      columns.set(column, value);
      return;
    case 'json':
    case 'geometry':
      if (value === null) throw fault(path, 'It must not be null.');
      columns.set(column, jsonText(value, path));
      return;
    case 'instant': {
      const atMs = typeof value === 'string' ? parseInstantMs(value) : null;
      if (atMs === null) throw fault(path, `${JSON.stringify(value)?.slice(0, 60)} is not an instant.`, 'sensing.time-invalid');
      columns.set(column, new Date(atMs));
      return;
    }
    case 'time':
    case 'optional-instant':
    case 'result':
    case 'quality':
    case 'interval':
    case 'parameters':
      throw fault(path, 'Observations are written by the ingest path.', 'http.not-implemented');
  }
}

/** `{name, symbol, definition}`, texts or null (18-088 Table 8). */
function readUnit(value: unknown, path: string): Record<string, string | null> {
  if (!isObject(value)) throw fault(path, 'It must be {"name": …, "symbol": …, "definition": …}, each a text or null.');
  const unknown = Object.keys(value).find((key) => !['name', 'symbol', 'definition'].includes(key));
  if (unknown !== undefined) throw fault(`${path}.${unknown}`, 'A unit has name, symbol and definition only.', 'http.unknown-field');
  const part = (key: string): string | null => {
    const text = value[key] ?? null;
    if (text !== null && (typeof text !== 'string' || text.length > LIMITS.name_chars)) throw fault(`${path}.${key}`, `It must be a text of at most ${String(LIMITS.name_chars)} characters, or null.`);
    return text;
  };
  return { name: part('name'), symbol: part('symbol'), definition: part('definition') };
}

function readElements(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > ELEMENTS) throw fault(path, `It must be a list of 1 to ${String(ELEMENTS)}, one for each element of a result.`);
  return value;
}

function readElementType(value: unknown, path: string): string {
  const name = typeof value === 'string' ? value.slice(value.lastIndexOf('/') + 1) : '';
  if (typeof value !== 'string' || value.length > LIMITS.name_chars || !ELEMENT_TYPES.has(name)) throw fault(path, `It must be the URI of an observation type: ${[...ELEMENT_TYPES].join(', ')}.`);
  return value;
}

/** Joins what a MultiDatastream says of its elements: as many units as types (18-088 §8.2.10). */
function settleElements(columns: Map<string, unknown>, { mode, current }: BodyContext, at: (name: string) => string): void {
  if (mode === 'create') columns.set('observation_type', COMPLEX_OBSERVATION);
  if (!columns.has('units') && !columns.has('types')) return;
  const before = current?.['multi'] as { units?: unknown; types?: unknown } | undefined;
  const units = (columns.get('units') ?? before?.units) as readonly unknown[];
  const types = (columns.get('types') ?? before?.types) as readonly unknown[];
  if (units.length !== types.length) throw fault(at(columns.has('units') ? 'unitOfMeasurements' : 'multiObservationDataTypes'), `There are ${String(types.length)} multiObservationDataTypes and ${String(units.length)} unitOfMeasurements; each element has one of both.`);
  columns.delete('units');
  columns.delete('types');
  columns.set('multi', JSON.stringify({ units, types }));
}

/** Which purpose the Datastream is for: its own word, then the credential's; checked against the register. */
function settlePurpose(columns: Map<string, unknown>, { mode, purposes, boundPurpose, current }: BodyContext, path: string): void {
  const text = columns.get('properties');
  if (mode === 'patch' && text === undefined) return;
  const properties = JSON.parse(typeof text === 'string' ? text : '{}') as Record<string, unknown>;
  const named = properties['purpose'] ?? (mode === 'create' ? boundPurpose : current?.['purpose']);
  const field = `${path}.purpose`;
  if (named === undefined || named === null) throw fault(field, 'A Datastream says what it is for.', 'purpose.missing');
  if (typeof named !== 'string' || purposes.get(named) === undefined) throw fault(field, `There is no purpose ${JSON.stringify(named)?.slice(0, 80)}.`, 'purpose.unknown');
  if (named !== current?.['purpose'] && !purposes.live(named)) throw fault(field, `The purpose ${named} has ended.`, 'purpose.expired');
  if (boundPurpose !== undefined && named !== boundPurpose) throw fault(field, `The credential is bound to the purpose ${boundPurpose}.`, 'auth.forbidden');
  columns.set('purpose', named);
  columns.set('properties', JSON.stringify({ ...properties, ...floorNotice(properties), purpose: named }));
}

/** GeoJSON must be GeoJSON; its box is kept for the index. Other encodings are stored as they are, without a box. */
function settleBox(model: EntityModel, columns: Map<string, unknown>, { current }: BodyContext, at: (name: string) => string): void {
  const column = model.set === 'Locations' ? 'location' : 'feature';
  if (!columns.has(column) && !columns.has('encoding_type')) return;
  const encoding = columns.get('encoding_type') ?? current?.['encoding_type'];
  const text = columns.get(column);
  const geometry = geometryOf(typeof text === 'string' ? (JSON.parse(text) as unknown) : current?.[column]);
  if (geometry === null && GEOJSON.has(String(encoding))) throw fault(at(column), `It must be GeoJSON, as the encodingType ${String(encoding)} says: longitude first, at most 180 and 90 degrees, rings closed.`);
  const box: Box | null = geometry === null ? null : boxOf(geometry);
  columns.set('bbox', box === null ? null : `(${String(box[2])},${String(box[3])}),(${String(box[0])},${String(box[1])})`);
}

function jsonText(value: unknown, path: string): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > LIMITS.properties_bytes) throw fault(path, `It has at most ${String(LIMITS.properties_bytes)} bytes of JSON.`, 'http.too-large');
  return text;
}

/** jsonb and text hold neither NUL nor half a surrogate pair (PostgreSQL documentation 8.14.1), JSON no infinite number. */
export function checkText(value: unknown, path: string, depth: number): void {
  if (depth > LIMITS.json_depth) throw fault(path, `The body is nested at most ${String(LIMITS.json_depth)} deep.`, 'http.too-deep');
  if (typeof value === 'string' && (value.includes('\u0000') || !value.isWellFormed())) throw fault(path, 'It contains NUL or half of a surrogate pair.');
  if (typeof value === 'number' && !Number.isFinite(value)) throw fault(path, 'The number is larger than a double holds.');
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    checkText(key, path, depth);
    checkText(member, path === '' ? key : `${path}.${key}`, depth + 1);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
