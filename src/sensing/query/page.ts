import { findNavigation, findProperty, targetOf, type EntityModel, type NaturalOrder } from '../entities/model.ts';
import { LIMITS } from '../../kernel/index.ts';
import { compileCondition, compileValue, joinsOf, rootScope, type CompileContext, type Scope } from './compiler.ts';
import { queryFault } from './fault.ts';
import { allOf, frag, join, raw, type Fragment } from './fragment.ts';
import type { QueryOptions } from './syntax.ts';
import { SQL_TYPES, type Value } from './value.ts';

/** One sort key. A page ends at its row's key values, and the next page starts after them (keyset paging). */
export interface SortKey {
  readonly sql: Fragment;
  readonly type: string;
  readonly descending: boolean;
  readonly nullable: boolean;
  /** The phenomenonTime of the row itself. */
  readonly isTime?: boolean;
}

/** One collection, ready to be put into a statement. */
export interface PagePlan {
  readonly model: EntityModel;
  readonly options: QueryOptions;
  readonly alias: string;
  /** Rows to show; statements ask for one more to know whether there is a next page. */
  readonly rows: number;
  /** The rows in order, with what `rowColumns` names and the key values as text in `keys`; `within` narrows them. */
  readonly select: (within?: Fragment, skip?: number) => Fragment;
  /** Only `columns` of all rows within, in the order of the sort keys when `ordered`. */
  readonly among: (columns: Fragment, within: Fragment, ordered: boolean) => Fragment;
  /** How many there are, before $top, $skip and the page. */
  readonly count: Fragment;
  /** Key values of the row that the page starts after. */
  readonly after: readonly (string | null)[] | null;
  /** Only the id decides the order, and nothing narrows the set. */
  readonly everythingById: boolean;
  /** Nothing narrows the set. */
  readonly everything: boolean;
  /** Observations by phenomenonTime first, from the first row on; then the newest or oldest days can be read first. */
  readonly byTime: 'asc' | 'desc' | null;
  /** The set is that of a parent. */
  readonly restricted: boolean;
}

/** The direct way by time through one datastream is also its order when none is asked for. */
export type { NaturalOrder } from '../entities/model.ts';

/**
 * Plans a collection: `restrict` says which rows belong to it at all. Throws `Refused` for options that do not fit the
 * entity. OData evaluates $filter, $count, $orderby, $skip, $top in this order (18-088 §9.3.1).
 */
export function planPage(model: EntityModel, options: QueryOptions, nowMs: number, restrict: (alias: string) => readonly Fragment[], natural: NaturalOrder = 'id'): PagePlan {
  let aliases = 0;
  const nextAlias = (): string => `t${String((aliases += 1))}`;
  const alias = 't0';
  const scope = rootScope(model, alias);
  const context = (option: string): CompileContext => ({ option, nowMs, nextAlias, variables: new Map() });
  const given = restrict(alias);
  const filter = options.filter === null ? [] : [compileCondition(options.filter, scope, context('$filter'))];
  const where = allOf([...given, ...filter]);
  const joinsOfFilter = joinsOf(scope);
  const keys = sortKeys(options, scope, natural, context('$orderby'));
  const after = options.after === null ? null : readToken(options.after, keys);
  const rows = Math.min(options.top ?? LIMITS.page_default_rows, LIMITS.page_rows);
  const order = orderOf(keys);
  const from = frag`${raw(model.table)} ${raw(alias)}`;
  const texts = join(keys.map(({ sql }) => frag`(${sql})::text`), ', ');
  return {
    model,
    options,
    alias,
    rows,
    select: (within = raw('true'), skip = options.skip) =>
      frag`select ${rowColumns(model, options, alias)}, array[${texts}] as keys from ${from}${joinsOf(scope)} where (${where}) and (${after === null ? raw('true') : isAfter(keys, after)}) and (${within}) order by ${order} limit ${rows + 1}::bigint offset ${skip}::bigint`,
    among: (columns, within, ordered) => frag`select ${columns} from ${from}${joinsOfFilter} where (${where}) and (${within})${ordered ? frag` order by ${raw(alias)}.phenomenon_start${raw(keys[0]?.descending === true ? ' desc' : '')}` : raw('')}`,
    count: frag`select count(*) as count from ${from}${joinsOfFilter} where ${where}`,
    after,
    byTime: model.set === 'Observations' && keys[0]?.isTime === true ? (keys[0].descending ? 'desc' : 'asc') : null,
    restricted: given.length > 0,
    everything: given.length === 0 && filter.length === 0,
    everythingById: given.length === 0 && filter.length === 0 && keys.length === 1,
  };
}

/** The sort of `keys`: null is the least (18-088 §9.3.3.2). */
export function orderOf(keys: readonly SortKey[]): Fragment {
  return join(keys.map(({ sql, descending, nullable }) => frag`${sql}${raw(descending ? ' desc' : '')}${raw(nullable ? (descending ? ' nulls last' : ' nulls first') : '')}`), ', ');
}

/** Checks names and expressions of every level before anything is read, also of those that would have no rows. */
export function checkOptions(model: EntityModel, options: QueryOptions, nowMs: number, single: boolean): void {
  if (single) refuseSetOptions(options);
  else planPage(model, { ...options, after: null }, nowMs, () => []); // the place in the set is checked with the order of the set itself
  checkSelect(model, options);
  for (const { name, at, options: nested } of options.expand) {
    const navigation = findNavigation(model, name);
    if (navigation === undefined) throw queryFault('$expand', at, `${model.name} has no relation ${JSON.stringify(name)}.`);
    checkOptions(targetOf(model, navigation), nested, nowMs, !navigation.many);
  }
}

function checkSelect(model: EntityModel, { select, distinct }: QueryOptions): void {
  for (const { name, rest, at } of select ?? []) {
    const property = findProperty(model, name);
    const isId = model.api.control.isId(name);
    const known = isId || name === model.api.control.selfLink || property !== undefined || findNavigation(model, name) !== undefined;
    if (!known) throw queryFault('$select', at, `${model.name} has no property ${JSON.stringify(name)}.`);
    const type = property?.value?.('t0').type;
    if (rest.length > 0 && type !== 'json' && type !== 'stored-geometry') throw queryFault('$select', at, `${name} has no parts; ${JSON.stringify(rest[0])} cannot be read from it.`);
    if (distinct && !isId && type === undefined) throw queryFault('$select', at, `distinct: takes properties, not ${JSON.stringify(name)}.`);
  }
}

/** What may narrow or shape a single entity; everything else is about sets. */
const OF_ONE = new Set(['$select', '$expand', '$resultMetadata']);

function refuseSetOptions(options: QueryOptions): void {
  const wrong = options.texts.find(([name]) => !OF_ONE.has(name));
  if (wrong !== undefined) throw queryFault(wrong[0], 0, `a single entity takes ${[...OF_ONE].join(', ')} only.`);
  if (options.distinct) throw queryFault('$select', 0, 'distinct: is for sets.');
}

/** The columns that the shown properties need, and the targets of single relations that are expanded. */
export function rowColumns(model: EntityModel, options: QueryOptions, alias: string): Fragment {
  const names = new Set(['id']);
  if (model.set === 'Observations') names.add('datastream_id');
  for (const property of model.properties) {
    if (options.select === null || options.select.some(({ name }) => name === property.name)) for (const name of property.columns) names.add(name);
  }
  const columns = [...names].map((name) => raw(`${alias}.${name}`));
  for (const { name } of options.expand) {
    const key = findNavigation(model, name)?.key;
    if (key !== undefined) columns.push(frag`${key(alias)} as ${raw(`"to ${name}"`)}`);
  }
  return join(columns, ', ');
}

function sortKeys(options: QueryOptions, scope: Scope, natural: NaturalOrder, context: CompileContext): SortKey[] {
  const keys: SortKey[] = options.orderby.map(({ expression, descending }) => {
    const plain = expression.kind === 'path' && expression.steps.length === 1 ? expression.steps[0] : undefined;
    const property = plain === undefined ? undefined : findProperty(scope.model, plain);
    const nullable = !((plain !== undefined && scope.model.api.control.isId(plain)) || property?.nullable === false);
    const value = compileValue(expression, scope, null, context);
    const sorted = sortable(value);
    if (sorted === null) throw queryFault('$orderby', expression.at, 'this cannot be put in order.');
    return { ...sorted, descending, nullable: nullable || value.type === 'json', isTime: plain === 'phenomenonTime' };
  });
  const time = scope.model.set === 'Observations' && natural === 'phenomenonTime' && keys.length === 0;
  if (time) keys.push({ sql: raw(`${scope.alias}.phenomenon_start`), type: 'timestamptz', descending: false, nullable: false, isTime: true });
  if (typeof natural === 'function' && keys.length === 0) keys.push({ sql: natural(scope.alias), type: 'bigint', descending: false, nullable: false });
  // the id makes the order total; nothing after it can matter
  const byId = options.orderby.findIndex(({ expression }) => expression.kind === 'path' && expression.steps.length === 1 && scope.model.api.control.isId(expression.steps[0] ?? ''));
  if (byId >= 0) return keys.slice(0, byId + 1);
  keys.push({ sql: raw(`${scope.alias}.id`), type: 'bigint', descending: keys.at(-1)?.descending ?? false, nullable: false });
  return keys;
}

function sortable(value: Value): { sql: Fragment; type: string } | null {
  switch (value.type) {
    case 'json':
      return value.order === undefined ? { sql: value.sql, type: 'jsonb' } : sortable(value.order);
    case 'interval':
      return { sql: value.start, type: 'timestamptz' };
    case 'geometry':
    case 'stored-geometry':
    case 'null':
      return null;
    default:
      return { sql: value.sql, type: value.integer === true ? 'bigint' : SQL_TYPES[value.type] };
  }
}

/** Opaque to clients: the key values of the last row of a page. */
export function writeToken(keys: readonly (string | null)[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

export function readToken(token: string, keys: readonly SortKey[]): (string | null)[] {
  let value: unknown = null;
  try {
    value = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    value = null; // refused below, as every other token that is not ours
  }
  const good =
    Array.isArray(value) &&
    value.length === keys.length &&
    value.every((part, at) => (part === null ? keys[at]?.nullable === true : typeof part === 'string' && !part.includes('\u0000') && (keys[at]?.type !== 'bigint' || /^-?\d{1,18}$/.test(part))));
  if (!good) throw queryFault('$skiptoken', 0, 'it is not from a next link of this query; start again without it.');
  return value as (string | null)[];
}

export function isAfter(keys: readonly SortKey[], values: readonly (string | null)[]): Fragment {
  const [first, ...rest] = keys.map((key, at) => ({ ...key, text: values[at] ?? null }));
  if (first === undefined) return raw('true');
  const typed = (key: { text: string | null; type: string }): Fragment => frag`${key.text}::text::${raw(key.type)}`;
  const all = [first, ...rest];
  // an index over the keys answers this form
  if (all.every((key) => !key.nullable && key.text !== null && key.descending === first.descending)) {
    return frag`(${join(all.map(({ sql }) => sql), ', ')}) ${raw(first.descending ? '<' : '>')} (${join(all.map(typed), ', ')})`;
  }
  const beyond = (key: (typeof all)[number]): Fragment => {
    if (key.text === null) return key.descending ? raw('false') : frag`${key.sql} is not null`;
    if (!key.descending) return frag`${key.sql} > ${typed(key)}`;
    return key.nullable ? frag`(${key.sql} < ${typed(key)} or ${key.sql} is null)` : frag`${key.sql} < ${typed(key)}`;
  };
  const same = (key: (typeof all)[number]): Fragment => (key.text === null ? frag`${key.sql} is null` : frag`${key.sql} = ${typed(key)}`);
  const from = ([key, ...others]: readonly (typeof all)[number][]): Fragment => {
    if (key === undefined) return raw('false');
    return others.length === 0 ? beyond(key) : frag`(${beyond(key)} or (${same(key)} and ${from(others)}))`;
  };
  return from(all);
}
