import { ok, refuse, type RefusalCode, type Result } from '../../kernel/index.ts';
import { isObject } from './body.ts';

const OPERATIONS = 100;

type Step = { readonly ok: true } | { readonly ok: false; readonly why: string; readonly isTest?: boolean };
const done: Step = { ok: true };
const no = (why: string): Step => ({ ok: false, why });

/** Applies a JSON Patch (RFC 6902) to a document and returns the new one; all operations or none. `failedTest` is the code when a test fails. */
export function applyJsonPatch(document: Record<string, unknown>, patch: unknown, failedTest: RefusalCode = 'sensing.entity-invalid'): Result<Record<string, unknown>> {
  if (!Array.isArray(patch)) return refuse('sensing.entity-invalid', 'A JSON Patch is a list of operations.', 'body');
  if (patch.length > OPERATIONS) return refuse('http.too-large', `At most ${String(OPERATIONS)} operations are taken.`, 'body');
  const holder = { root: structuredClone(document) as unknown };
  for (const [at, operation] of patch.entries()) {
    const step = isObject(operation) ? apply(holder, operation) : no('an operation is an object');
    if (!step.ok) return refuse(step.isTest === true ? failedTest : 'sensing.entity-invalid', `Operation ${String(at)}: ${step.why}.`, String(at));
  }
  return isObject(holder.root) ? ok(holder.root) : refuse('sensing.entity-invalid', 'The patch leaves no object.', 'body');
}

function apply(holder: { root: unknown }, { op, path, from, value }: Record<string, unknown>): Step {
  const tokens = readPointer(path);
  if (tokens === null) return no('path must be a JSON Pointer such as /properties/a');
  const source = op === 'move' || op === 'copy' ? readPointer(from) : [];
  if (source === null) return no('from must be a JSON Pointer');
  switch (op) {
    case 'add':
      return value === undefined ? no('a value is needed') : add(holder, tokens, structuredClone(value));
    case 'remove':
      return remove(holder, tokens);
    case 'replace': {
      if (value === undefined) return no('a value is needed');
      if (tokens.length === 0) return add(holder, tokens, structuredClone(value));
      const removed = remove(holder, tokens);
      return removed.ok ? add(holder, tokens, structuredClone(value)) : removed;
    }
    case 'copy':
    case 'move': {
      const found = find(holder.root, source);
      if (found === undefined) return no('there is nothing at from');
      if (op === 'move' && tokens.length > source.length && source.every((token, at) => token === tokens[at])) return no('a value cannot move into itself');
      const taken = op === 'move' ? remove(holder, source) : done;
      return taken.ok ? add(holder, tokens, structuredClone(found)) : taken;
    }
    case 'test':
      return isSame(find(holder.root, tokens), value) ? done : { ok: false, why: `the test of ${String(path)} failed`, isTest: true };
    default:
      return no('op is one of add, remove, replace, move, copy, test');
  }
}

/** RFC 6901 §4. */
function readPointer(path: unknown): string[] | null {
  if (path === '') return [];
  if (typeof path !== 'string' || !path.startsWith('/')) return null;
  const tokens = path.slice(1).split('/');
  return tokens.every((token) => !/~(?![01])/.test(token)) ? tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~')) : null;
}

const ownIndex = (list: readonly unknown[], token: string): number => (/^(0|[1-9]\d{0,8})$/.test(token) && Number(token) < list.length ? Number(token) : -1);

function find(root: unknown, tokens: readonly string[]): unknown {
  let value = root;
  for (const token of tokens) {
    if (Array.isArray(value)) value = value[ownIndex(value, token)] as unknown;
    else if (isObject(value) && Object.hasOwn(value, token)) value = value[token];
    else return undefined;
  }
  return value;
}

function add(holder: { root: unknown }, tokens: readonly string[], value: unknown): Step {
  const last = tokens.at(-1);
  if (last === undefined) {
    holder.root = value;
    return done;
  }
  const target = find(holder.root, tokens.slice(0, -1));
  if (Array.isArray(target)) {
    const at = last === '-' || last === String(target.length) ? target.length : ownIndex(target, last);
    if (at < 0) return no(`there is no place ${last} in the list`);
    target.splice(at, 0, value);
    return done;
  }
  if (!isObject(target) || last === '__proto__') return no('there is nothing to add to at path');
  target[last] = value;
  return done;
}

function remove(holder: { root: unknown }, tokens: readonly string[]): Step {
  const last = tokens.at(-1);
  const target = last === undefined ? undefined : find(holder.root, tokens.slice(0, -1));
  if (last !== undefined && Array.isArray(target)) {
    const at = ownIndex(target, last);
    if (at < 0) return no('there is nothing at path');
    target.splice(at, 1);
    return done;
  }
  if (last === undefined || !isObject(target) || !Object.hasOwn(target, last)) return no('there is nothing at path');
  return Reflect.deleteProperty(target, last) ? done : no('there is nothing at path');
}

/** Equality of JSON values (RFC 6902 §4.6): the order of members does not matter. */
function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((member, at) => isSame(member, b[at]));
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
  }
  return a === b;
}
