import { LIMITS, Refused } from '../../kernel/index.ts';

// SWE Common JSON (OGC 24-014) as the resultType of OGC 23-019 §8.6 uses it, and what 18-088 says in its place.

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';
const UCUM = 'http://www.opengis.net/def/uom/UCUM/0/';
const TYPE_OF_COMPONENT: ReadonlyMap<string, string> = new Map([['Quantity', `${OM}OM_Measurement`], ['Count', `${OM}OM_CountObservation`], ['Boolean', `${OM}OM_TruthObservation`], ['Category', `${OM}OM_CategoryObservation`]]);
const ANY = `${OM}OM_Observation`;
const COMPLEX = `${OM}OM_ComplexObservation`;
const SIMPLE: ReadonlySet<string> = new Set(['Quantity', 'Count', 'Boolean', 'Category', 'Text', 'Time', 'QuantityRange', 'CountRange', 'CategoryRange', 'TimeRange', 'Geometry']);
const HAS_UNIT: ReadonlySet<string> = new Set(['Quantity', 'QuantityRange']);
/** Where the parts of a composite component stand. */
const PARTS: ReadonlyMap<string, 'fields' | 'coordinates' | 'items' | 'elementType'> = new Map([['DataRecord', 'fields'], ['Vector', 'coordinates'], ['DataChoice', 'items'], ['DataArray', 'elementType'], ['Matrix', 'elementType']] as const);
const COMPONENTS = 100;
const DEPTH = 8;
// as for the elements of a MultiDatastream
const ELEMENTS = 32;
const FIELD_NAME = /^[A-Za-z][\w-]{0,254}$/;

type Json = Readonly<Record<string, unknown>>;

export interface Unit {
  readonly name: string | null;
  readonly symbol: string | null;
  readonly definition: string | null;
}

export interface ResultType {
  readonly observationType: string;
  /** Of a plain Datastream; null for one whose results are lists. */
  readonly unit: Unit | null;
  /** Of a MultiDatastream: one unit and type each element. */
  readonly multi: { readonly units: readonly Unit[]; readonly types: readonly string[] } | null;
  /** What the components are about, each once, in the order of the first mention. */
  readonly names: readonly { readonly definition: string; readonly label: string | null; readonly path: string }[];
  /** The same resultType with the entity-ids of the ObservedProperties, in the order of `names`. */
  restate(ids: readonly number[]): Json;
  /** The structure without what may change while there are observations. */
  readonly shape: string;
}

const fault = (path: string, detail: string): Refused => new Refused({ code: 'sensing.entity-invalid', detail, field: path });
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Reads a resultType and its resultEncoding. Scalars become what 18-088 has for them; a record of scalars whose results are
 * lists becomes a MultiDatastream; everything else is any JSON. Throws `Refused` naming the place.
 */
export function readResultType(value: unknown, encoding: unknown, path: string): ResultType {
  if (!isObject(value)) throw fault(path, 'It must be a component of SWE Common: {"type": "Quantity", "label": …, "definition": "ObservedProperties(1)", "uom": {"code": …}}.');
  const names = new Map<string, ResultType['names'][number]>();
  readComponent(value, path, 0, names, { components: 0 });
  if (names.size === 0) throw fault(path, 'At least one component names its ObservedProperty as its definition.');
  const order = [...names.keys()];
  const restate = (ids: readonly number[]): Json => replaceDefinitions(value, new Map(order.map((definition, at) => [definition, `ObservedProperties(${String(ids[at])})`])));
  const common = { names: [...names.values()], restate, shape: shapeOf(value) };
  const fields = recordOfScalars(value, names.size);
  if (asArrays(encoding, path) && fields !== null) return { ...common, observationType: COMPLEX, unit: null, multi: { units: fields.map(unitOf), types: fields.map(typeOf) } };
  return { ...common, observationType: typeOf(value), unit: unitOf(value), multi: null };
}

/** Types and names of all components, as text: what the results of a Datastream depend on. */
export function shapeOf(component: unknown): string {
  if (!isObject(component)) return '';
  const parts = PARTS.get(String(component['type']));
  const inner = parts === undefined ? [] : [component[parts]].flat();
  const own = [component['type'], component['name'] ?? null];
  return JSON.stringify([...own, inner.map(shapeOf)]);
}

function readComponent(component: Json, path: string, depth: number, names: Map<string, ResultType['names'][number]>, count: { components: number }): void {
  count.components += 1;
  if (depth > DEPTH || count.components > COMPONENTS) throw fault(path, `A resultType has at most ${String(COMPONENTS)} components, nested at most ${String(DEPTH)} deep.`);
  const { type, definition, label, uom } = component;
  if (typeof type !== 'string' || (!SIMPLE.has(type) && !PARTS.has(type))) throw fault(`${path}.type`, `It is one of ${[...SIMPLE, ...PARTS.keys()].join(', ')}.`);
  if (label !== undefined && (typeof label !== 'string' || label.length > LIMITS.name_chars)) throw fault(`${path}.label`, `It must be a text of at most ${String(LIMITS.name_chars)} characters.`);
  if (SIMPLE.has(type) && label === undefined) throw fault(`${path}.label`, `A ${type} has a label.`);
  if (HAS_UNIT.has(type) && !isUom(uom)) throw fault(`${path}.uom`, 'It must be {"code": a UCUM code} or {"href": a link}, with label and symbol as you like.');
  if (SIMPLE.has(type) && definition === undefined) throw fault(`${path}.definition`, `A ${type} names its ObservedProperty: "ObservedProperties(1)".`);
  if (definition !== undefined && (SIMPLE.has(type) || typeof definition === 'string')) {
    if (typeof definition !== 'string' || definition === '' || definition.length > LIMITS.text_chars) throw fault(`${path}.definition`, 'It must be the entity-id of an ObservedProperty, such as "ObservedProperties(1)".');
    if (SIMPLE.has(type) && !names.has(definition)) names.set(definition, { definition, label: typeof label === 'string' ? label : null, path: `${path}.definition` });
  }
  for (const [part, at] of partsOf(component, type, path)) readComponent(part, at, depth + 1, names, count);
}

function partsOf(component: Json, type: string, path: string): [Json, string][] {
  const place = PARTS.get(type);
  if (place === undefined) return [];
  const value = component[place];
  const single = place === 'elementType';
  const list = single ? [value] : value;
  if (!Array.isArray(list) || list.length === 0) throw fault(`${path}.${place}`, single ? 'It must be a component.' : 'It must be a list of components.');
  const used = new Set<string>();
  return (list as unknown[]).map((part, at) => {
    const own = single ? `${path}.${place}` : `${path}.${place}.${String(at)}`;
    if (!isObject(part)) throw fault(own, 'It must be a component.');
    const { name } = part;
    if (!single && (typeof name !== 'string' || !FIELD_NAME.test(name) || used.has(name))) throw fault(`${own}.name`, 'It must be a name of letters, digits, _ and -, that no other part has.');
    used.add(String(name));
    return [part, own];
  });
}

/** The fields of a record in which every field is a scalar about a property of its own; null for everything else. */
function recordOfScalars({ type, fields }: Json, properties: number): readonly Json[] | null {
  if (type !== 'DataRecord' || !Array.isArray(fields) || fields.length !== properties || fields.length > ELEMENTS) return null;
  return (fields as Json[]).every((field) => SIMPLE.has(String(field['type']))) ? (fields as Json[]) : null;
}

function asArrays(encoding: unknown, path: string): boolean {
  if (encoding === undefined || encoding === null) return false;
  const at = path.replace(/resultType$/, 'resultEncoding');
  if (!isObject(encoding) || encoding['type'] !== 'JSONEncoding') throw fault(at, 'Results are JSON here: {"type": "JSONEncoding", "recordsAsArrays": true or false}.');
  const { recordsAsArrays } = encoding;
  if (recordsAsArrays !== undefined && typeof recordsAsArrays !== 'boolean') throw fault(`${at}.recordsAsArrays`, 'It must be true or false.');
  return recordsAsArrays === true;
}

const isUom = (uom: unknown): boolean => isObject(uom) && [uom['code'], uom['href']].some((value) => typeof value === 'string' && value !== '' && value.length <= LIMITS.name_chars) && ['code', 'href', 'label', 'symbol'].every((key) => uom[key] === undefined || (typeof uom[key] === 'string' && uom[key].length <= LIMITS.name_chars));
const typeOf = (component: Json): string => TYPE_OF_COMPONENT.get(String(component['type'])) ?? ANY;

function unitOf({ type, uom, codeSpace }: Json): Unit {
  if (type === 'Category') return { name: null, symbol: null, definition: typeof codeSpace === 'string' ? codeSpace.slice(0, LIMITS.name_chars) : null };
  if (!HAS_UNIT.has(String(type)) || !isObject(uom)) return { name: null, symbol: null, definition: null };
  const text = (key: string): string | null => (typeof uom[key] === 'string' ? uom[key] : null);
  const code = text('code');
  return { name: text('label'), symbol: text('symbol') ?? code, definition: text('href') ?? (code === null ? null : `${UCUM}${code}`) };
}

function replaceDefinitions(component: Json, to: ReadonlyMap<string, string>): Json {
  const { type, definition } = component;
  const place = PARTS.get(String(type));
  const inner = place === undefined ? undefined : component[place];
  const replaced = Array.isArray(inner) ? (inner as Json[]).map((part) => replaceDefinitions(part, to)) : isObject(inner) ? replaceDefinitions(inner, to) : inner;
  return { ...component, ...(SIMPLE.has(String(type)) && typeof definition === 'string' ? { definition: to.get(definition) } : {}), ...(place === undefined ? {} : { [place]: replaced }) };
}
