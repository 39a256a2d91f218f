import { lineOfLink, type RequestLine } from './request-line.ts';

export type Entity = Readonly<Record<string, unknown>>;

/** An answer of either API, read by the names of its control information (18-088 §8.1; 23-019). */
export type Content =
  | { readonly kind: 'set'; readonly rows: readonly Entity[]; readonly count: number | null; readonly next: RequestLine | null }
  | { readonly kind: 'entity'; readonly entity: Entity }
  | { readonly kind: 'text' };

const isObject = (value: unknown): value is Entity => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads the body of an answer; a number that a double cannot write back as it came is kept as its digits. */
export function parseAnswer(text: string): unknown {
  const keep = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => (typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? context.source : value);
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

export function contentOf(body: unknown): Content {
  if (!isObject(body)) return { kind: 'text' };
  if (Array.isArray(body['value'])) {
    const next = body['@iot.nextLink'] ?? body['@nextLink'];
    const count = body['@iot.count'] ?? body['@count'];
    return { kind: 'set', rows: (body['value'] as unknown[]).filter(isObject), count: typeof count === 'number' ? count : null, next: typeof next === 'string' ? lineOfLink(next) : null };
  }
  return { kind: 'entity', entity: body };
}

export function idOf(entity: Entity): string | null {
  const id = entity['@iot.id'] ?? entity['id'];
  return typeof id === 'number' || typeof id === 'string' ? String(id) : null;
}

/** The address of an entity: its own link, else the set it stands in and its id. */
export function lineOf(entity: Entity, within: RequestLine): RequestLine | null {
  const link = entity['@iot.selfLink'] ?? entity['@id'] ?? entity['url'];
  if (typeof link === 'string') return lineOfLink(link);
  const id = idOf(entity);
  return id === null || within.path.endsWith(')') ? null : { path: `${within.path}(${/^\d+$/.test(id) ? id : `'${id}'`})`, options: [] };
}

export interface Related {
  readonly name: string;
  readonly line: RequestLine | null;
  /** What came with the answer by $expand; null when it did not. */
  readonly expanded: readonly Entity[] | null;
}

const LINK = /^(.+)@(?:iot\.)?navigationLink$/;

/** Related sets and entities of an entity, expanded or not. */
export function relatedOf(entity: Entity, own: RequestLine | null): Related[] {
  const related = new Map<string, Related>();
  for (const [key, value] of Object.entries(entity)) {
    const name = LINK.exec(key)?.[1];
    if (name !== undefined && typeof value === 'string') related.set(name, { name, line: lineOfLink(value), expanded: related.get(name)?.expanded ?? null });
    else if (isExpanded(value)) related.set(key, { name: key, line: own === null ? null : { path: `${own.path}/${key}`, options: [] }, expanded: Array.isArray(value) ? (value as Entity[]) : [value as Entity] });
  }
  return [...related.values()];
}

/** An entity, or a list of entities, that stands inside another one. */
export function isExpanded(value: unknown): boolean {
  const entity = (one: unknown): boolean => isObject(one) && ('@iot.selfLink' in one || '@id' in one || '@iot.id' in one || Object.keys(one).some((key) => LINK.test(key)));
  return Array.isArray(value) ? value.length > 0 && value.every(entity) : entity(value);
}

/** Properties alone: no control information, no related entities. */
export const propertiesOf = (entity: Entity): [name: string, value: unknown][] => Object.entries(entity).filter(([key, value]) => !key.includes('@') && !isExpanded(value));

/** The columns of a table of these rows, in the order of their first appearance. */
export function columnsOf(rows: readonly Entity[]): string[] {
  const names = new Set<string>();
  for (const row of rows) for (const [name] of propertiesOf(row)) names.add(name);
  return [...names];
}

/** A value as one line; `limit` characters at most. */
export function valueText(value: unknown, limit: number): string {
  if (value === null || value === undefined) return '—';
  const text = typeof value === 'string' ? value : isFlat(value) ? Object.entries(value).map(([name, part]) => `${name}: ${String(part)}`).join(', ') : JSON.stringify(value);
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

/** An object of plain values only, which reads well without its braces. */
const isFlat = (value: unknown): value is Entity => isObject(value) && Object.values(value).every((part) => typeof part !== 'object');

/** JSON with line breaks and indents; every number and text stays as the server wrote it. */
export function indentJson(text: string): string {
  let depth = 0;
  let indented = '';
  const line = (): string => `\n${'  '.repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\[\s*\]|\{\s*\}|[[\]{},:]|[^\s[\]{},:"]+/gs)) {
    if (token === '{' || token === '[') {
      depth += 1;
      indented += token + line();
    } else if (token === '}' || token === ']') {
      depth -= 1;
      indented += line() + token;
    } else if (token === ',') indented += token + line();
    else indented += token === ':' ? ': ' : token;
  }
  return indented;
}
