import type { Change } from '../../contracts/approval.ts';
import { canonicalJson, type Json } from '../log/canonical.ts';

type Tree = { readonly [key: string]: Json };
const isTree = (value: Json | undefined): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
const textOf = (value: Json | undefined): string | null => (value === undefined || value === null ? null : typeof value === 'string' ? value : canonicalJson(value));

/**
 * What an act changes, member by member: the difference of `before` and `after` when the body has them, else the whole body as new.
 * Nothing is cut short: what is not shown would not have been agreed to. The size of the body is the bound.
 */
export function changesOf(body: Json): Change[] {
  const found: Change[] = [];
  if (isTree(body) && Object.keys(body).length === 0) return found;
  if (isTree(body) && 'after' in body) compare('', body.before ?? null, body.after, found);
  else compare('', null, body, found);
  return found;
}

function compare(path: string, before: Json | undefined, after: Json | undefined, found: Change[]): void {
  if (canonicalJson(before ?? null) === canonicalJson(after ?? null)) return;
  const [old, next] = [byId(before), byId(after)];
  const comparable = (side: Json | undefined): boolean => side === undefined || side === null || isTree(side);
  if (comparable(old) && comparable(next) && (isTree(old) || isTree(next))) {
    const [left, right]: [Tree, Tree] = [isTree(old) ? old : {}, isTree(next) ? next : {}];
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    if (keys.length > 0) {
      for (const key of keys) compare(path === '' ? key : `${path}.${key}`, left[key], right[key], found);
      return;
    }
  }
  found.push({ path, from: textOf(before), to: textOf(after) });
}

/** A list of things with ids as one thing by id, so that a change of one is not shown as a change of all. */
function byId(value: Json | undefined): Json | undefined {
  if (!isList(value) || value.length === 0) return value;
  const list = value;
  const ids = list.map((item) => (isTree(item) && typeof item.id === 'string' ? item.id : null));
  if (ids.includes(null) || new Set(ids).size !== ids.length) return value;
  return Object.fromEntries(list.map((item, at) => [ids[at] as string, item]));
}
