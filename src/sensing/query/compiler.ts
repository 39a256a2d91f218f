import { findNavigation, findProperty, targetOf, type EntityModel, type NavigationModel } from '../entities/model.ts';
import { compare } from './comparison.ts';
import { notBuilt, queryFault } from './fault.ts';
import { allOf, frag, join, raw, type Fragment } from './fragment.ts';
import { findFunction } from './functions/registry.ts';
import type { Expression, Literal } from './syntax.ts';
import { castTo, jsonOf, jsonValue, scalar, SQL_TYPES, TYPE_WORDS, type ScalarType, type Value } from './value.ts';

/** A table in the FROM list, or in the EXISTS of one condition. */
interface Source {
  readonly table: string;
  readonly alias: string;
  readonly on: Fragment;
  /** A single target may be missing; a member of a set must be there. */
  readonly many: boolean;
}

type Lambda = Expression & { readonly kind: 'lambda' };

/** Where the tables of a path are added: the statement itself, or one condition. */
interface Frame {
  readonly sources: Source[];
  readonly scopes: Map<string, Scope>;
}

export interface Scope {
  readonly alias: string;
  readonly model: EntityModel;
  readonly frame: Frame;
}

export interface CompileContext {
  readonly option: string;
  readonly nowMs: number;
  /** Names for tables; one counter a statement. */
  readonly nextAlias: () => string;
  /** What the variables of any() and all() stand for here. */
  readonly variables: ReadonlyMap<string, Scope | Value>;
}

export function rootScope(model: EntityModel, alias: string): Scope {
  return { alias, model, frame: { sources: [], scopes: new Map() } };
}

/** The joins that compiled paths have asked for. Read it after everything is compiled. */
export function joinsOf(scope: Scope): Fragment {
  return join(scope.frame.sources.map(({ table, alias, on }) => frag` left join ${raw(table)} ${raw(alias)} on ${on}`), '');
}

/** SQL of a condition over the rows of `root`. Throws `Refused` naming the place. */
export function compileCondition(expression: Expression, root: Scope, context: CompileContext): Fragment {
  switch (expression.kind) {
    case 'logic':
      return frag`(${compileCondition(expression.left, root, context)} ${raw(expression.op)} ${compileCondition(expression.right, root, context)})`;
    case 'not':
      return frag`((${compileCondition(expression.operand, root, context)}) is not true)`;
    default:
      return compileLeaf(expression, root, context);
  }
}

/** A path through a set holds when the condition holds for at least one member. */
function compileLeaf(expression: Expression, root: Scope, context: CompileContext): Fragment {
  const leaf: Frame = { sources: [], scopes: new Map() };
  const value = compileValue(expression, root, leaf, context);
  const condition = castTo(value, 'boolean');
  if (condition === null || value.type === 'null') throw queryFault(context.option, expression.at, `a condition is expected, not ${TYPE_WORDS[value.type]}.`);
  const [first, ...others] = leaf.sources;
  if (first === undefined) return condition;
  const joins = others.map(({ table, alias, on, many }) => frag` ${raw(many ? 'join' : 'left join')} ${raw(table)} ${raw(alias)} on ${on}`);
  return frag`exists (select 1 from ${raw(first.table)} ${raw(first.alias)}${join(joins, '')} where ${allOf([first.on, condition])})`;
}

/** SQL of a value over the rows of `root`; `leaf` takes sets on the path, null refuses them. */
export function compileValue(expression: Expression, root: Scope, leaf: Frame | null, context: CompileContext): Value {
  const inner = (part: Expression): Value => compileValue(part, root, leaf, context);
  switch (expression.kind) {
    case 'literal':
      return literalValue(expression.literal);
    case 'path':
      return compilePath(expression.steps, expression.at, root, leaf, context);
    case 'call':
      return compileCall(expression, inner, context);
    case 'compare': {
      const isLiteral = (part: Expression): boolean => part.kind === 'literal';
      const compared = compare(expression.op, inner(expression.left), inner(expression.right), !isLiteral(expression.left) && !isLiteral(expression.right));
      if (typeof compared === 'string') throw queryFault(context.option, expression.at, `${compared}.`);
      return scalar('boolean', frag`(${compared})`);
    }
    case 'in':
      return scalar('boolean', compileIn(expression, inner, context));
    case 'lambda':
      return scalar('boolean', compileLambda(expression, root, context));
    case 'arithmetic':
      return compileArithmetic(expression, inner(expression.left), inner(expression.right), context);
    case 'negate':
      return scalar('number', frag`(- ${cast(inner(expression.operand), 'number', expression.operand.at, context)})`);
    case 'not':
      return scalar('boolean', frag`((${cast(inner(expression.operand), 'boolean', expression.operand.at, context)}) is not true)`);
    case 'logic':
      return scalar('boolean', frag`(${cast(inner(expression.left), 'boolean', expression.left.at, context)} ${raw(expression.op)} ${cast(inner(expression.right), 'boolean', expression.right.at, context)})`);
  }
}

function cast(value: Value, type: ScalarType, at: number, context: CompileContext): Fragment {
  const sql = castTo(value, type);
  if (sql === null) throw queryFault(context.option, at, `${TYPE_WORDS[type]} is expected, not ${TYPE_WORDS[value.type]}.`);
  return sql;
}

function literalValue(literal: Literal): Value {
  switch (literal.type) {
    case 'null':
      return { type: 'null' };
    case 'geometry':
      return { type: 'geometry', literal: literal.value };
    case 'interval':
      return { type: 'interval', start: frag`${literal.start}::timestamptz`, end: frag`${literal.end}::timestamptz` };
    case 'number':
      return Number.isSafeInteger(literal.value) ? { type: 'number', sql: frag`${literal.value}::bigint`, integer: true } : scalar('number', frag`${literal.value}::double precision`);
    case 'text':
      return { type: 'text', sql: frag`${literal.value}::text`, constant: literal.value };
    default:
      return scalar(literal.type, frag`${literal.value}::${raw(SQL_TYPES[literal.type])}`);
  }
}

function compilePath(steps: readonly string[], at: number, root: Scope, leaf: Frame | null, context: CompileContext): Value {
  const start = startOf(steps, root, context);
  if ('value' in start) return start.rest.length === 0 ? start.value : subValue(start.value, steps[0] ?? '', start.rest, at, context);
  let { scope } = start;
  for (const [index, step] of start.rest.entries()) {
    const rest = start.rest.slice(index + 1);
    const value = readProperty(scope, step, at, context);
    if (value !== null) return rest.length === 0 ? value : subValue(value, step, rest, at, context);
    const navigation = relationOf(scope, step, at, context);
    if (rest.length === 0) throw queryFault(context.option, at, `${step} is a relation; name a property of it, such as ${step}/id.`);
    if (navigation.many && leaf === null) throw queryFault(context.option, at, `${step} is a set; order by a path of single relations.`);
    scope = enter(scope, navigation, navigation.many && leaf !== null ? leaf : scope.frame, context);
  }
  throw queryFault(context.option, at, 'a property is expected.');
}

/** Where a path begins: at the row itself ($it), or at what a variable stands for. */
function startOf(steps: readonly string[], root: Scope, context: CompileContext): { readonly scope: Scope; readonly rest: readonly string[] } | { readonly value: Value; readonly rest: readonly string[] } {
  const [first = '', ...rest] = steps;
  const bound = context.variables.get(first);
  if (bound === undefined) return first === '$it' ? { scope: root, rest } : { scope: root, rest: steps };
  return 'frame' in bound ? { scope: bound, rest } : { value: bound, rest };
}

function relationOf(scope: Scope, step: string, at: number, context: CompileContext): NavigationModel {
  const navigation = findNavigation(scope.model, step);
  if (navigation === undefined) throw queryFault(context.option, at, `${scope.model.name} has no property or relation ${JSON.stringify(step)}.`);
  return navigation;
}

/** Adds the table that a relation leads to, once for each path. */
function enter(scope: Scope, navigation: NavigationModel, frame: Frame, context: CompileContext): Scope {
  const key = `${scope.alias}/${navigation.name}`;
  const known = frame.scopes.get(key);
  if (known !== undefined) return known;
  const next: Scope = { ...memberOf(scope.model, navigation, context), frame };
  frame.sources.push({ table: next.model.table, alias: next.alias, on: linkOf(scope, navigation, next.alias), many: navigation.many });
  frame.scopes.set(key, next);
  return next;
}

const memberOf = (model: EntityModel, navigation: NavigationModel, context: CompileContext): Pick<Scope, 'alias' | 'model'> => ({ alias: context.nextAlias(), model: targetOf(model, navigation) });

/** SQL that holds for the rows `alias` that the relation leads to. */
function linkOf(scope: Scope, navigation: NavigationModel, alias: string): Fragment {
  return navigation.key === undefined ? navigation.link(alias, raw(`${scope.alias}.id`)) : frag`${raw(alias)}.id = ${navigation.key(scope.alias)}`;
}

// each level is a subquery over all days; nobody has a use for more
const LAMBDA_DEPTH = 6;

/** any() and all() over a set or over a JSON list; all() of nothing holds. */
function compileLambda(lambda: Lambda, root: Scope, context: CompileContext): Fragment {
  const { steps, at, quantifier, variable, condition } = lambda;
  if (variable !== null && context.variables.has(variable)) throw queryFault(context.option, at, `the variable ${variable} is taken by the any() or all() around it.`);
  if (context.variables.size >= LAMBDA_DEPTH) throw queryFault(context.option, at, `any() and all() are nested at most ${String(LAMBDA_DEPTH)} deep.`);
  const bind = (bound: Scope | Value): Fragment => {
    if (condition === null || variable === null) return raw('true');
    const holds = compileCondition(condition, root, { ...context, variables: new Map([...context.variables, [variable, bound]]) });
    return quantifier === 'any' ? holds : frag`((${holds}) is not true)`;
  };
  const exists = (from: Fragment, where: Fragment): Fragment => frag`(${raw(quantifier === 'any' ? '' : 'not ')}exists (select 1 from ${from} where ${where}))`;
  const overList = (value: Value, name: string, rest: readonly string[]): Fragment => {
    const list = rest.length === 0 ? value : subValue(value, name, rest, at, context);
    if (list.type !== 'json') throw queryFault(context.option, at, `${quantifier}() goes over a set or a JSON list, not over ${TYPE_WORDS[list.type]}.`);
    const alias = context.nextAlias();
    return exists(frag`jsonb_array_elements(case when jsonb_typeof(${list.sql}) = 'array' then ${list.sql} else '[]'::jsonb end) ${raw(alias)}(item)`, bind(jsonValue(raw(`${alias}.item`))));
  };
  const start = startOf(steps, root, context);
  if ('value' in start) return overList(start.value, steps[0] ?? '', start.rest);
  let { scope } = start;
  for (const [index, step] of start.rest.entries()) {
    const rest = start.rest.slice(index + 1);
    const value = readProperty(scope, step, at, context);
    if (value !== null) return overList(value, step, rest);
    const navigation = relationOf(scope, step, at, context);
    if (!navigation.many) {
      scope = enter(scope, navigation, scope.frame, context);
      continue;
    }
    if (rest.length > 0) throw queryFault(context.option, at, `${step} is a set; write ${step}/any(x:x/${rest.join('/')}/${quantifier}(…)).`);
    const frame: Frame = { sources: [], scopes: new Map() };
    const member: Scope = { ...memberOf(scope.model, navigation, context), frame };
    const holds = bind(member);
    return exists(frag`${raw(member.model.table)} ${raw(member.alias)}${joinsOf(member)}`, allOf([linkOf(scope, navigation, member.alias), holds]));
  }
  throw queryFault(context.option, at, `${quantifier}() stands after a set, such as Datastreams/${quantifier}(x:x/id gt 1).`);
}

/** `x in (1, 2)`: equal to one of them. Literals of one type become one comparison. */
function compileIn({ left, items, at }: Expression & { kind: 'in' }, inner: (part: Expression) => Value, context: CompileContext): Fragment {
  const value = inner(left);
  const literals = items.map((item) => (item.kind === 'literal' ? item.literal : null));
  if (literals.every((literal) => literal?.type === 'text') && (value.type === 'text' || value.type === 'json')) return frag`(${cast(value, 'text', at, context)} = any(${literals.map((literal) => literal.value)}::text[]))`;
  if (literals.every((literal) => literal?.type === 'number')) {
    const numbers = literals.map((literal) => literal.value);
    if (value.type === 'number' && value.integer === true) return frag`(${value.sql} = any(${numbers.filter((number) => Number.isSafeInteger(number))}::bigint[]))`;
    if (value.type === 'number' || value.type === 'json') return frag`(${cast(value, 'number', at, context)} = any(${numbers}::double precision[]))`;
  }
  const equal = items.map((item) => {
    const compared = compare('eq', value, inner(item), left.kind !== 'literal' && item.kind !== 'literal');
    if (typeof compared === 'string') throw queryFault(context.option, item.at, `${compared}.`);
    return frag`(${compared})`;
  });
  return frag`(${join(equal, ' or ')})`;
}

function readProperty(scope: Scope, name: string, at: number, context: CompileContext): Value | null {
  if (scope.model.api.control.isId(name)) return { type: 'number', sql: raw(`${scope.alias}.id`), integer: true };
  const property = findProperty(scope.model, name);
  if (property === undefined) return null;
  if (property.value === null) throw notBuilt(context.option, at, `${name} of ${scope.model.name} cannot be used in a query.`);
  return property.value(scope.alias);
}

function subValue(value: Value, name: string, rest: readonly string[], at: number, context: CompileContext): Value {
  if (value.type === 'stored-geometry') return jsonValue(frag`(${jsonOf(value.stored)} #> ${rest}::text[])`);
  if (value.type === 'interval' && value.hasParts === true && rest.length === 1 && (rest[0] === 'start' || rest[0] === 'end')) return scalar('instant', value[rest[0]]);
  if (value.type !== 'json') throw queryFault(context.option, at, `${name} has no parts; ${JSON.stringify(rest[0])} cannot be read from it.`);
  return jsonValue(frag`(${value.sql} #> ${rest}::text[])`);
}

function compileCall({ name, args, at }: Expression & { kind: 'call' }, inner: (part: Expression) => Value, context: CompileContext): Value {
  const model = findFunction(name);
  if (model === null) throw queryFault(context.option, at, `there is no function ${name}().`);
  if (model === 'not built') throw notBuilt(context.option, at, `${name}() is not built.`);
  if (args.length < model.least || args.length > model.parameters.length) {
    const wanted = model.least === model.parameters.length ? String(model.least) : `${String(model.least)} to ${String(model.parameters.length)}`;
    throw queryFault(context.option, at, `${name}() takes ${wanted} values, not ${String(args.length)}.`);
  }
  const values = args.map(inner);
  if ('scalars' in model) {
    const casts = values.map((value, index) => cast(value, model.parameters[index] ?? 'text', args[index]?.at ?? at, context));
    return model.scalars(casts, { nowMs: context.nowMs });
  }
  const result = model.apply(values);
  if (typeof result === 'string') throw queryFault(context.option, at, `${name}(): ${result}.`);
  return result;
}

function compileArithmetic({ op, at, left, right }: Expression & { kind: 'arithmetic' }, a: Value, b: Value, context: CompileContext): Value {
  if (op === 'add' || op === 'sub') {
    const sign = raw(op === 'add' ? '+' : '-');
    const [start, end] = [castTo(a, 'instant'), castTo(b, 'instant')];
    if (start !== null && a.type !== 'null' && b.type === 'duration') return scalar('instant', frag`(${start} ${sign} ${b.sql})`);
    if (end !== null && b.type !== 'null' && a.type === 'duration' && op === 'add') return scalar('instant', frag`(${end} + ${a.sql})`);
    if (start !== null && end !== null && a.type !== 'null' && b.type !== 'null' && op === 'sub') return scalar('duration', frag`(${start} - ${end})`);
    if (a.type === 'duration' && b.type === 'duration') return scalar('duration', frag`(${a.sql} ${sign} ${b.sql})`);
  }
  const [x, y] = [cast(a, 'number', left.at, context), cast(b, 'number', right.at, context)];
  switch (op) {
    case 'add':
      return scalar('number', frag`(${x} + ${y})`);
    case 'sub':
      return scalar('number', frag`(${x} - ${y})`);
    case 'mul':
      return scalar('number', frag`(${x} * ${y})`);
    case 'div':
      if (right.kind === 'literal' && right.literal.type === 'number' && right.literal.value === 0) throw queryFault(context.option, at, 'nothing can be divided by 0.');
      return scalar('number', frag`(${x} / nullif(${y}, 0))`);
    case 'mod':
      return scalar('number', frag`mod((${x})::numeric, nullif((${y})::numeric, 0))::double precision`);
  }
}
