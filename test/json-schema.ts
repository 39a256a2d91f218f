/** The part of JSON Schema 2020-12 that the documents of this server use; a keyword that is not known here is a fault of the test. */
type Schema = Readonly<Record<string, unknown>>;

const SILENT = new Set(['description', 'title', 'examples', 'example', 'default', 'format', 'readOnly', 'deprecated', 'x-entity-set', '$schema', 'id']);

/** Where the value is not as the schema says, as `path: why`; empty when it is. `root` is the document that references lead into. */
export function schemaFaults(value: unknown, schema: Schema | boolean, root: unknown, path = ''): string[] {
  if (typeof schema === 'boolean') return schema ? [] : [`${path}: nothing may stand here`];
  const faults: string[] = [];
  const fault = (why: string): void => void faults.push(`${path || '/'}: ${why}`);
  const inside = (part: unknown, rule: unknown, at = path): string[] => schemaFaults(part, rule as Schema, root, at);
  for (const [keyword, rule] of Object.entries(schema)) {
    switch (keyword) {
      case '$ref':
        faults.push(...inside(value, resolve(root, rule as string)));
        break;
      case 'type':
        if (![rule].flat().some((type) => isOfType(value, type as string))) fault(`${JSON.stringify(value)?.slice(0, 80)} is not ${String(rule)}`);
        break;
      case 'const':
        if (JSON.stringify(value) !== JSON.stringify(rule)) fault(`is not ${JSON.stringify(rule)}`);
        break;
      case 'enum':
        if (!(rule as unknown[]).some((each) => JSON.stringify(each) === JSON.stringify(value))) fault(`${JSON.stringify(value)} is none of ${JSON.stringify(rule)}`);
        break;
      case 'anyOf':
        if (!(rule as Schema[]).some((each) => inside(value, each).length === 0)) fault(`fits none of anyOf: ${(rule as Schema[]).flatMap((each) => inside(value, each)).slice(0, 4).join('; ')}`);
        break;
      case 'allOf':
        for (const each of rule as Schema[]) faults.push(...inside(value, each));
        break;
      case 'pattern':
        if (typeof value === 'string' && !new RegExp(rule as string, 'u').test(value)) fault(`${JSON.stringify(value)} does not match ${rule as string}`);
        break;
      case 'minLength':
        if (typeof value === 'string' && value.length < (rule as number)) fault('is too short');
        break;
      case 'maxLength':
        if (typeof value === 'string' && value.length > (rule as number)) fault('is too long');
        break;
      case 'minimum':
        if (typeof value === 'number' && value < (rule as number)) fault('is too small');
        break;
      case 'maximum':
        if (typeof value === 'number' && value > (rule as number)) fault('is too large');
        break;
      case 'minItems':
        if (Array.isArray(value) && value.length < (rule as number)) fault('has too few items');
        break;
      case 'maxItems':
        if (Array.isArray(value) && value.length > (rule as number)) fault('has too many items');
        break;
      case 'items':
        if (Array.isArray(value)) for (const [at, item] of value.slice(numberOf(schema['prefixItems'])).entries()) faults.push(...inside(item, rule, `${path}/${at}`));
        break;
      case 'prefixItems':
        if (Array.isArray(value)) for (const [at, each] of (rule as Schema[]).entries()) if (at < value.length) faults.push(...inside(value[at], each, `${path}/${at}`));
        break;
      case 'contains':
        if (Array.isArray(value) && !value.some((item) => inside(item, rule).length === 0)) fault('does not contain what it must');
        break;
      case 'required':
        if (isObject(value)) for (const name of rule as string[]) if (!Object.hasOwn(value, name)) fault(`${name} is missing`);
        break;
      case 'properties':
        if (isObject(value)) for (const [name, each] of Object.entries(rule as Record<string, Schema>)) if (Object.hasOwn(value, name)) faults.push(...inside(value[name], each, `${path}/${name}`));
        break;
      case 'patternProperties':
        if (isObject(value)) for (const [pattern, each] of Object.entries(rule as Record<string, Schema>)) for (const name of Object.keys(value)) if (new RegExp(pattern, 'u').test(name)) faults.push(...inside(value[name], each, `${path}/${name}`));
        break;
      case 'additionalProperties':
        if (isObject(value)) {
          const patterns = Object.keys((schema['patternProperties'] ?? {})).map((pattern) => new RegExp(pattern, 'u'));
          for (const name of Object.keys(value)) if (!Object.hasOwn((schema['properties'] ?? {}), name) && !patterns.some((pattern) => pattern.test(name))) faults.push(...inside(value[name], rule, `${path}/${name}`));
        }
        break;
      case 'minProperties':
        if (isObject(value) && Object.keys(value).length < (rule as number)) fault('has too few members');
        break;
      case 'maxProperties':
        if (isObject(value) && Object.keys(value).length > (rule as number)) fault('has too many members');
        break;
      default:
        if (!SILENT.has(keyword)) throw new Error(`this check does not know the keyword ${keyword} (at ${path || '/'})`);
    }
  }
  return faults;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const numberOf = (prefix: unknown): number => (Array.isArray(prefix) ? prefix.length : 0);

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** What a reference inside a document leads to; throws for one that leads nowhere (RFC 6901). */
export function resolve(root: unknown, ref: string): Schema {
  if (!ref.startsWith('#/')) throw new Error(`${ref} leads out of the document`);
  let found: unknown = root;
  for (const token of ref.slice(2).split('/')) {
    const name = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    if (!isObject(found) || !Object.hasOwn(found, name)) throw new Error(`${ref} leads nowhere`);
    found = found[name];
  }
  return found as Schema;
}
