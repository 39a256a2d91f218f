// Results in the JSON encoding of SWE Common (OGC 24-014) against the component that describes them.

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const LARGEST_LIST = 10_000;

/** Whether results must be looked at beyond the observationType of 1.1: it has no word for the structure, or there are bounds. */
export function needsCheck(resultType: unknown, observationType: string): resultType is Json {
  return isObject(resultType) && (observationType.endsWith('/OM_Observation') || resultType['constraint'] !== undefined);
}

/** Null when the result has the structure, else what is wrong with it, with its place; the content itself is not repeated. */
export function findMismatch(component: Json, result: unknown, place = 'result'): string | null {
  const { type } = component;
  switch (type) {
    case 'DataRecord':
      return recordMismatch(component, result, place);
    case 'Vector':
      return Array.isArray(result) ? partsMismatch(partsOf(component, 'coordinates'), result, place) : recordMismatch({ ...component, fields: component['coordinates'] }, result, place);
    case 'DataArray':
    case 'Matrix':
      return listMismatch(component, result, place);
    case 'DataChoice':
      return choiceMismatch(component, result, place);
    case 'QuantityRange':
    case 'CountRange':
    case 'CategoryRange':
    case 'TimeRange':
      return Array.isArray(result) && result.length === 2 ? firstOf(result.map((end, at) => scalarMismatch({ ...component, type: type.slice(0, -'Range'.length) }, end, `${place}/${String(at)}`))) : `${place} must be a list of two values`;
    case 'Geometry':
      return isObject(result) ? null : `${place} must be a GeoJSON geometry`;
    default:
      return scalarMismatch(component, result, place);
  }
}

const firstOf = (found: readonly (string | null)[]): string | null => found.find((one) => one !== null) ?? null;
const partsOf = (component: Json, name: string): readonly Json[] => (Array.isArray(component[name]) ? (component[name] as Json[]) : []);

function recordMismatch(component: Json, result: unknown, place: string): string | null {
  const fields = partsOf(component, 'fields');
  if (Array.isArray(result)) return partsMismatch(fields, result, place);
  if (!isObject(result)) return `${place} must be an object with the fields ${fields.map(({ name }) => String(name)).join(', ')}`;
  const names = new Set(fields.map(({ name }) => name));
  if (Object.keys(result).some((name) => !names.has(name))) return `${place} has a field that the resultType has not`;
  return firstOf(fields.map((field) => (Object.hasOwn(result, String(field['name'])) ? findMismatch(field, result[String(field['name'])], `${place}/${String(field['name'])}`) : field['optional'] === true ? null : `${place}/${String(field['name'])} is missing`)));
}

const partsMismatch = (parts: readonly Json[], values: readonly unknown[], place: string): string | null => (parts.length === values.length ? firstOf(parts.map((part, at) => findMismatch(part, values[at], `${place}/${String(at)}`))) : `${place} must have ${String(parts.length)} elements`);

function listMismatch({ elementType, elementCount }: Json, result: unknown, place: string): string | null {
  if (!Array.isArray(result) || result.length > LARGEST_LIST) return `${place} must be a list`;
  const count = isObject(elementCount) ? elementCount['value'] : elementCount;
  if (typeof count === 'number' && result.length !== count) return `${place} must have ${String(count)} elements`;
  return isObject(elementType) ? firstOf(result.map((element, at) => findMismatch(elementType, element, `${place}/${String(at)}`))) : null;
}

function choiceMismatch(component: Json, result: unknown, place: string): string | null {
  const [name, ...others] = isObject(result) ? Object.keys(result) : [];
  const item = partsOf(component, 'items').find((one) => one['name'] === name);
  if (!isObject(result) || name === undefined || item === undefined || others.length > 0) return `${place} must be an object with one of the items`;
  return findMismatch(item, result[name], `${place}/${name}`);
}

function scalarMismatch({ type, constraint }: Json, value: unknown, place: string): string | null {
  if (value === null) return null; // nothing was measured
  switch (type) {
    case 'Quantity':
    case 'Count':
      if (typeof value !== 'number' || !Number.isFinite(value)) return `${place} must be a number`;
      if (type === 'Count' && !Number.isInteger(value)) return `${place} must be a whole number`;
      return isAllowed(constraint, value, (interval) => isWithin(interval, value)) ? null : `${place} is outside of the constraint`;
    case 'Boolean':
      return typeof value === 'boolean' ? null : `${place} must be true or false`;
    case 'Time':
      return typeof value === 'string' || typeof value === 'number' ? null : `${place} must be a time`;
    default:
      if (typeof value !== 'string') return `${place} must be a text`;
      return isAllowed(constraint, value, () => false) ? null : `${place} is outside of the constraint`;
  }
}

/** AllowedValues and AllowedTokens; a form that is not known allows everything. */
function isAllowed(constraint: unknown, value: unknown, within: (interval: readonly unknown[]) => boolean): boolean {
  if (!isObject(constraint)) return true;
  const { values, intervals } = constraint;
  if (!Array.isArray(values) && !Array.isArray(intervals)) return true;
  return (Array.isArray(values) && values.includes(value)) || (Array.isArray(intervals) && (intervals as unknown[]).some((interval) => Array.isArray(interval) && within(interval)));
}

/** Ends may be numbers or the words "-Infinity" and "Infinity". */
const isWithin = ([low, high]: readonly unknown[], value: number): boolean => value >= Number(low ?? -Infinity) && value <= Number(high ?? Infinity);
