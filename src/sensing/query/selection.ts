import type { SelectItem } from './syntax.ts';

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Of the value of property `name`, what `$select` asks for: all of it, or the parts `name/a/b`. A part that is not there
 * is left out.
 */
export function selectParts(value: unknown, name: string, select: readonly SelectItem[] | null): unknown {
  const items = select?.filter((item) => item.name === name) ?? [];
  if (items.length === 0 || items.some(({ rest }) => rest.length === 0)) return value;
  const kept: Json = {};
  for (const { rest } of items) copyPart(value, rest, kept);
  return kept;
}

function copyPart(from: unknown, [step, ...rest]: readonly string[], into: Json): void {
  if (step === undefined || !isObject(from) || !Object.hasOwn(from, step)) return;
  const part = from[step];
  if (rest.length === 0) {
    define(into, step, part);
    return;
  }
  if (!isObject(part)) return;
  const known = Object.hasOwn(into, step) ? into[step] : undefined;
  // a part that was selected whole before stays whole
  if (known === part) return;
  const inner: Json = isObject(known) ? known : {};
  copyPart(part, rest, inner);
  define(into, step, inner);
}

// a key may be __proto__
const define = (into: Json, key: string, value: unknown): void => void Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });

/** The object that has `value` at the path. */
export function nest(into: Json, path: readonly string[], value: unknown): void {
  const [step, ...rest] = path;
  if (step === undefined) return;
  if (rest.length === 0) {
    if (!Object.hasOwn(into, step)) define(into, step, value);
    return;
  }
  const known = Object.hasOwn(into, step) ? into[step] : undefined;
  const inner: Json = isObject(known) ? known : {};
  define(into, step, inner);
  nest(inner, rest, value);
}
