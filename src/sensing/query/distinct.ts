import type { EntityModel } from '../entities/model.ts';
import { LIMITS } from '../../kernel/index.ts';
import { compileCondition, compileValue, joinsOf, rootScope, type CompileContext } from './compiler.ts';
import { queryFault } from './fault.ts';
import { allOf, frag, join, raw, type Fragment } from './fragment.ts';
import { isAfter, orderOf, readToken, type SortKey } from './page.ts';
import type { Expression, QueryOptions, SelectItem } from './syntax.ts';
import { jsonOf, type Value } from './value.ts';

/** The different combinations of the selected values, ready to be asked for. */
export interface DistinctPlan {
  readonly rows: number;
  /** Rows with `parts` (jsonb, one a selected path) and `keys` for the next page; one row more than is shown. */
  readonly select: Fragment;
  readonly count: Fragment;
}

/**
 * Plans `$select=distinct:a,b/c`: the combinations come in the order of their values, or of $orderby, which names
 * selected paths only. Throws `Refused`.
 */
export function planDistinct(model: EntityModel, options: QueryOptions, nowMs: number, restrict: (alias: string) => readonly Fragment[]): DistinctPlan {
  if (options.expand.length > 0) throw queryFault('$expand', 0, 'combinations of distinct: are no entities; leave $expand out.');
  const select = options.select ?? [];
  let aliases = 0;
  const scope = rootScope(model, 't0');
  const context = (option: string): CompileContext => ({ option, nowMs, nextAlias: () => `t${String((aliases += 1))}`, variables: new Map() });
  const filter = options.filter === null ? [] : [compileCondition(options.filter, scope, context('$filter'))];
  const parts = select.map((item) => shown(compileValue(pathOf(item), scope, null, context('$select'))));
  const names = parts.map((_part, at) => raw(`part${String(at)}`));
  const inner = frag`select distinct ${join(parts.map((part, at) => frag`coalesce(${part}, 'null'::jsonb) as ${names[at] ?? raw('')}`), ', ')} from ${raw(model.table)} t0${joinsOf(scope)} where ${allOf([...restrict('t0'), ...filter])}`;
  const keys = keysOf(options, select, names);
  const after = options.after === null ? null : readToken(options.after, keys);
  const rows = Math.min(options.top ?? LIMITS.page_default_rows, LIMITS.page_rows);
  return {
    rows,
    select: frag`select jsonb_build_array(${join(names, ', ')}) as parts, array[${join(keys.map(({ sql }) => frag`(${sql})::text`), ', ')}] as keys from (${inner}) combination where ${after === null ? raw('true') : isAfter(keys, after)} order by ${orderOf(keys)} limit ${rows + 1}::bigint offset ${options.skip}::bigint`,
    count: frag`select count(*) as count from (${inner}) combination`,
  };
}

const pathOf = ({ name, rest, at }: SelectItem): Expression => ({ kind: 'path', steps: [name, ...rest], at });

function keysOf({ orderby }: QueryOptions, select: readonly SelectItem[], names: readonly Fragment[]): SortKey[] {
  const paths = select.map(({ name, rest }) => [name, ...rest].join('/'));
  const asked = orderby.map(({ expression, descending }) => {
    const position = expression.kind === 'path' ? paths.indexOf(expression.steps.join('/')) : -1;
    if (position < 0) throw queryFault('$orderby', expression.at, 'with distinct: the order is by selected paths.');
    return { position, descending };
  });
  const others = names.map((_name, position) => ({ position, descending: false })).filter(({ position }) => asked.every((key) => key.position !== position));
  return [...asked, ...others].map(({ position, descending }) => ({ sql: names[position] ?? raw('null'), type: 'jsonb', descending, nullable: false }));
}

/** The value as it stands in the JSON of an entity. */
function shown(value: Value): Fragment {
  const time = (at: Fragment): Fragment => frag`to_char(${at} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  switch (value.type) {
    case 'json':
      return value.sql;
    case 'stored-geometry':
      return jsonOf(value.stored);
    case 'interval':
      return frag`to_jsonb(case when ${value.start} = ${value.end} then ${time(value.start)} else ${time(value.start)} || '/' || ${time(value.end)} end)`;
    case 'instant':
      return frag`to_jsonb(${time(value.sql)})`;
    case 'geometry':
    case 'null':
      return raw("'null'::jsonb");
    default:
      return frag`to_jsonb(${value.sql})`;
  }
}
