/**
 * The one door to the expression library (CEL, github.com/google/cel-spec). It fixes the city profile of CEL and makes
 * units types, so that `level.rise("1h") > mm(300)` is refused at load, with the place and the cure.
 *
 * Traps of the library that end here: a custom operator without an explicit result takes its left type; a whole number
 * beside a decimal one is refused unless each pair is registered; whole numbers are BigInt; a receiver's type name must
 * not hold an underscore.
 */
import { Environment, EvaluationError, type ASTNode, type ParseError, type TypeError as CelTypeError } from '@marcbachmann/cel-js';
import { serialize } from '@marcbachmann/cel-js/serialize';
import { assert } from '../kernel/index.ts';
import { findNearest } from './spelling.ts';
import { parseDurationMs } from './durations.ts';
import { NUMBER, UNITS, unitOfType, type Unit } from './units.ts';
import { type SeriesFunction } from './windows.ts';

/** What is wrong in a condition, where (offset in its text), and what to do about it. */
export interface Problem {
  readonly start: number;
  readonly message: string;
  readonly cure: string;
}

/** A function on a series, such as `level.rise("1h")`. */
export interface SeriesTerm {
  readonly text: string;
  readonly series: string;
  readonly fn: SeriesFunction;
  /** 0 for now() and age(). */
  readonly window_ms: number;
  readonly unit: Unit | typeof SECONDS;
}

export type Comparator = '>' | '>=' | '<' | '<=' | '==' | '!=';

/** One side of a comparison. */
export interface Operand {
  readonly text: string;
  readonly unit: Unit | typeof SECONDS | null;
  /** Set when the side is one series function and nothing else. */
  readonly term: SeriesTerm | null;
  readonly terms: readonly SeriesTerm[];
  /** The number in the operand's unit; null when there is no data or it is not a number. */
  evaluate(context: SeriesContext): number | null;
}

/** The shape of a condition, for sentences and explanations. */
export type Shape =
  | { readonly kind: 'and'; readonly left: Shape; readonly right: Shape }
  | { readonly kind: 'or'; readonly left: Shape; readonly right: Shape }
  | { readonly kind: 'not'; readonly of: Shape }
  | { readonly kind: 'compare'; readonly comparator: Comparator; readonly left: Operand; readonly right: Operand; evaluate(context: SeriesContext): boolean | null }
  | { readonly kind: 'other'; readonly text: string; readonly terms: readonly SeriesTerm[] };

/** Reads a function of one series at the instant that is looked at; NaN when there is no valid reading. */
export type SeriesReader = (fn: SeriesFunction, window_ms: number) => number;
export type SeriesContext = Readonly<Record<string, object>>;

export interface Condition {
  readonly text: string;
  readonly terms: readonly SeriesTerm[];
  readonly shape: Shape;
  /** Binds readers to the names of the series; made once a place. */
  bind(readers: Readonly<Record<string, SeriesReader>>): SeriesContext;
  /** Null when a value that decides is missing (CEL §Logical operators: `false && error` is false). */
  evaluate(context: SeriesContext): boolean | null;
}

/** What durations are measured in; age() only. */
export const SECONDS = { type: 'google.protobuf.Duration', literal: 'duration', label: 's', symbols: [], decimals: 0 } as const satisfies Unit;

const CONDITION_CHARS = 1_000;
const WINDOW_MIN_MS = 1_000;
const WINDOW_MAX_MS = 86_400_000;
const FUNCTIONS: readonly SeriesFunction[] = ['now', 'mean', 'min', 'max', 'rise', 'age'];
const LATER_FUNCTIONS = new Set(['usual', 'surprise', 'forecast', 'near', 'events_nearby', 'inside']);
const COMPARATORS: readonly string[] = ['>', '>=', '<', '<=', '==', '!='];
const CALLS: ReadonlySet<string> = new Set([...UNITS.flatMap((each) => (each.literal === null ? [] : [each.literal])), 'duration']);
const MACROS = new Set(['exists', 'all']);
const PLAIN_OPERATORS = new Set(['value', 'id', 'list', 'in', '?:', '&&', '||', '!_', '-_', '+', '-', '*', '/', ...COMPARATORS]);

/** The missing value travels as this one error, made once: CEL's && and || absorb errors as the specification says. */
const NO_DATA = new Error('no valid reading');

abstract class Quantity {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
type QuantityClass = new (value: number) => Quantity;

class SeriesBox {
  readonly read: SeriesReader;
  constructor(read: SeriesReader) {
    this.read = read;
  }
}
type SeriesClass = new (read: SeriesReader) => SeriesBox;

interface UnitClasses {
  readonly quantity: QuantityClass | null;
  readonly series: SeriesClass;
}
const CLASSES: ReadonlyMap<Unit, UnitClasses> = new Map([NUMBER, ...UNITS].map((each) => [each, { quantity: each === NUMBER ? null : class extends Quantity {}, series: class extends SeriesBox {} }]));
const seriesTypeOf = (of: Unit): string => `SeriesOf${of.type.charAt(0).toUpperCase()}${of.type.slice(1)}`;
const classesOf = (of: Unit): UnitClasses => {
  const classes = CLASSES.get(of);
  assert(classes !== undefined, `unit ${of.type} has classes`);
  return classes;
};

const WINDOW_TEXTS = 10_000;
const windows = new Map<string, number>(); // so that evaluation parses no literal twice

function windowOf(text: string): number {
  let window_ms = windows.get(text);
  if (window_ms === undefined) {
    window_ms = parseDurationMs(text) ?? NaN;
    assert(window_ms > 0, 'a loaded condition has checked windows');
    if (windows.size >= WINDOW_TEXTS) windows.clear();
    windows.set(text, window_ms);
  }
  return window_ms;
}

function registerSeries(env: Environment, of: Unit): void {
  const { quantity: Q, series } = classesOf(of);
  const receiver = seriesTypeOf(of);
  env.registerType(receiver, series as unknown as () => unknown);
  const wrap = (value: number): unknown => {
    if (Number.isNaN(value)) throw NO_DATA;
    return Q === null ? value : new Q(value);
  };
  env.registerFunction(`${receiver}.now(): ${of.type}`, (box: SeriesBox) => wrap(box.read('now', 0)));
  for (const fn of ['mean', 'min', 'max', 'rise'] as const) {
    env.registerFunction(`${receiver}.${fn}(string): ${of.type}`, (box: SeriesBox, window: string) => wrap(box.read(fn, windowOf(window))));
  }
  // age() is whole and broken seconds; `duration("10m")` beside it is turned into seconds by the same pair of operators
  env.registerFunction(`${receiver}.age(): Age`, (box: SeriesBox) => new Age(wrapSeconds(box.read('age', 0))));
}
class Age extends Quantity {}
const wrapSeconds = (value: number): number => {
  if (Number.isNaN(value)) throw NO_DATA;
  return value;
};

const DURATION = 'google.protobuf.Duration';
const secondsOf = (duration: { valueOf(): unknown }): number => Number(duration.valueOf()) / 1_000;

function registerUnit(env: Environment, of: Unit): void {
  const { quantity: Q } = classesOf(of);
  if (Q === null) return;
  const t = of.type;
  env.registerType(t, Q as unknown as () => unknown);
  for (const from of ['double', 'int']) {
    env.registerFunction(`${String(of.literal)}(${from}): ${t}`, (value: number | bigint) => new Q(Number(value)));
    env.registerOperator(`${t} * ${from}: ${t}`, (a: Quantity, b: number | bigint) => new Q(a.value * Number(b)));
    env.registerOperator(`${from} * ${t}: ${t}`, (a: number | bigint, b: Quantity) => new Q(Number(a) * b.value));
    env.registerOperator(`${t} / ${from}: ${t}`, (a: Quantity, b: number | bigint) => new Q(a.value / Number(b)));
  }
  env.registerOperator(`${t} + ${t}: ${t}`, (a: Quantity, b: Quantity) => new Q(a.value + b.value));
  env.registerOperator(`${t} - ${t}: ${t}`, (a: Quantity, b: Quantity) => new Q(a.value - b.value));
  env.registerOperator(`${t} / ${t}: double`, (a: Quantity, b: Quantity) => a.value / b.value);
  env.registerOperator(`-${t}: ${t}`, (a: Quantity) => new Q(-a.value));
  registerComparisons(env, t, t, (a: Quantity) => a.value, (b: Quantity) => b.value);
}

function registerComparisons<A, B>(env: Environment, left: string, right: string, a: (of: A) => number, b: (of: B) => number): void {
  env.registerOperator(`${left} > ${right}: bool`, (x: A, y: B) => a(x) > b(y));
  env.registerOperator(`${left} >= ${right}: bool`, (x: A, y: B) => a(x) >= b(y));
  env.registerOperator(`${left} < ${right}: bool`, (x: A, y: B) => a(x) < b(y));
  env.registerOperator(`${left} <= ${right}: bool`, (x: A, y: B) => a(x) <= b(y));
  // the library mirrors == of two kinds by itself, and makes != of it
  if (left <= right) env.registerOperator(`${left} == ${right}: bool`, (x: A, y: B) => a(x) === b(y));
}

function registerMixedNumbers(env: Environment): void {
  for (const [left, right] of [['int', 'double'], ['double', 'int']] as const) {
    env.registerOperator(`${left} + ${right}: double`, (a: number | bigint, b: number | bigint) => Number(a) + Number(b));
    env.registerOperator(`${left} - ${right}: double`, (a: number | bigint, b: number | bigint) => Number(a) - Number(b));
    env.registerOperator(`${left} * ${right}: double`, (a: number | bigint, b: number | bigint) => Number(a) * Number(b));
    env.registerOperator(`${left} / ${right}: double`, (a: number | bigint, b: number | bigint) => Number(a) / Number(b));
  }
  env.registerOperator('double == int: bool', (a: number, b: bigint) => a === Number(b));
}

const CITY = new Environment({ limits: { maxAstNodes: 200, maxDepth: 32, maxListElements: 100, maxMapEntries: 1, maxCallArguments: 4 } });
registerMixedNumbers(CITY);
CITY.registerType('Age', Age as unknown as () => unknown);
registerComparisons(CITY, 'Age', DURATION, (age: Age) => age.value, secondsOf);
registerComparisons(CITY, DURATION, 'Age', secondsOf, (age: Age) => age.value);
for (const each of UNITS) registerUnit(CITY, each);
for (const each of [NUMBER, ...UNITS]) registerSeries(CITY, each);

/** `no such overload` with the two sides, for a cure that fits. */
const operandTypes = (node: ASTNode): readonly [string, string] => {
  const typeOf = (of: unknown): string => (of as { checkedType?: { name: string } }).checkedType?.name ?? '';
  const args = node.args as [ASTNode, ASTNode];
  return [typeOf(args[0]), typeOf(args[1])];
};

/** Where a node's own name or sign stands, not where its first operand begins. */
function anchorOf(node: ASTNode): number {
  if (node.op === 'rcall') {
    const receiver = node.args[1];
    return node.input.indexOf(node.args[0], receiver.end);
  }
  if (COMPARATORS.includes(node.op) || ['+', '-', '*', '/', '%', 'in', '&&', '||'].includes(node.op)) {
    const [left, right] = node.args as [ASTNode, ASTNode];
    const at = node.input.slice(0, right.start).indexOf(node.op, left.end);
    return at < 0 ? node.start : at;
  }
  return node.start;
}

const childrenOf = (node: ASTNode): readonly ASTNode[] => {
  switch (node.op) {
    case 'value':
    case 'id':
      return [];
    case 'call':
      return node.args[1];
    case 'rcall':
      return [node.args[1], ...node.args[2]];
    case 'list':
      return node.args;
    case '!_':
    case '-_':
      return [node.args];
    case 'map':
    case '.':
    case '.?':
    case '[]':
    case '[?]':
      return []; // refused before anybody looks inside
    default:
      return node.args;
  }
};

const problem = (node: ASTNode, message: string, cure: string): Problem => ({ start: anchorOf(node), message, cure });

/** Names that a condition can use, for cures. */
const listOf = (names: Iterable<string>): string => [...names].join(', ');

/** Refuses what the city profile leaves out, and windows that are none. */
function findOutsideProfile(node: ASTNode, series: ReadonlyMap<string, Unit>): Problem | null {
  const own = checkNode(node, series);
  if (own !== null) return own;
  for (const child of childrenOf(node)) {
    const found = findOutsideProfile(child, series);
    if (found !== null) return found;
  }
  return null;
}

function checkNode(node: ASTNode, series: ReadonlyMap<string, Unit>): Problem | null {
  switch (node.op) {
    case 'call': {
      const [name, args] = node.args;
      if (LATER_FUNCTIONS.has(name)) return problem(node, `${name}() is not built yet`, `Use ${FUNCTIONS.map((fn) => `${fn}()`).join(', ')} on a series for now.`);
      if (name === 'duration' && (args[0]?.op !== 'value' || typeof args[0].args !== 'string' || parseDurationMs(args[0].args) === null)) return problem(node, 'duration() takes a literal such as "10m"', 'Write duration("10m"), duration("1h") or duration("30s").');
      if (CALLS.has(name)) return null;
      if (name === 'has') return problem(node, 'has() has nothing to look into here', 'Series have no fields; ask for now() and leave missing data to `quality`.');
      const guess = findNearest(name, [...CALLS]);
      return problem(node, `there is no function ${name}()`, `${guess === null ? '' : `Did you mean ${guess}()? `}Units are ${listOf([...CALLS].map((each) => `${each}()`))}.`);
    }
    case 'rcall':
      return checkMethod(node, node.args[0], node.args[1], node.args[2], series);
    case 'value':
      return node.args === null || node.args instanceof Uint8Array ? problem(node, 'this kind of literal is not part of the city profile', 'Use numbers, true, false and text in lists only.') : null;
    case '.': {
      const [base] = node.args;
      if (base.op === 'id' && !series.has(base.args)) return problem(base, ...unknownName(base.args, series));
      return problem(node, 'a series has no fields', `Use one of its functions: ${FUNCTIONS.map((fn) => `${fn}()`).join(', ')}.`);
    }
    default:
      return PLAIN_OPERATORS.has(node.op) ? null : problem(node, `${node.op === 'map' ? 'a map' : `\`${node.op}\``} is not part of the city profile of CEL`, 'Use && || ! comparisons + - * / ?: in, exists and all; docs/reference/rules.md lists it.');
  }
}

/** CEL divides whole numbers without a fraction (1 / 2 is 0), which no rule means. */
function findWholeDivision(node: ASTNode): Problem | null {
  if (node.op === '/' && operandTypes(node).every((type) => type === 'int')) return problem(node, 'a whole number divided by a whole number loses its fraction', 'Write at least one of them with a decimal point, such as 1.0 / 2.');
  for (const child of childrenOf(node)) {
    const found = findWholeDivision(child);
    if (found !== null) return found;
  }
  return null;
}

function checkMethod(node: ASTNode, name: string, receiver: ASTNode, args: readonly ASTNode[], series: ReadonlyMap<string, Unit>): Problem | null {
  if (LATER_FUNCTIONS.has(name)) return problem(node, `${name}() is not built yet`, `Use ${FUNCTIONS.map((fn) => `${fn}()`).join(', ')} for now.`);
  if (MACROS.has(name)) return receiver.op === 'list' ? null : problem(node, `${name}() works on a list`, 'Write it as [a, b].exists(x, x > limit).');
  if (!FUNCTIONS.includes(name as SeriesFunction)) {
    const guess = findNearest(name, FUNCTIONS);
    return problem(node, `a series has no function ${name}()`, `${guess === null ? '' : `Did you mean ${guess}()? `}A series has ${FUNCTIONS.map((fn) => `${fn}()`).join(', ')}.`);
  }
  if (receiver.op !== 'id') return problem(node, `${name}() belongs to a series`, `Write it behind a name of the rule: ${listOf(series.keys())}.`);
  if (!series.has(receiver.args)) return problem(receiver, ...unknownName(receiver.args, series));
  if (name === 'now' || name === 'age') return args[0] === undefined ? null : problem(args[0], `${name}() takes no window`, `Write ${receiver.args}.${name}().`);
  const [window] = args;
  if (window === undefined || args.length > 1) return problem(node, `${name}() takes one window`, `Write ${receiver.args}.${name}("15m").`);
  if (window.op !== 'value' || typeof window.args !== 'string') return problem(window, 'the window must be a literal in quotes', `Write ${receiver.args}.${name}("15m").`);
  const window_ms = parseDurationMs(window.args);
  if (window_ms === null) return problem(window, `"${window.args}" is not a window`, 'Use a number and s, m, h or d, such as "30s", "15m", "1h".');
  if (window_ms < WINDOW_MIN_MS || window_ms > WINDOW_MAX_MS) return problem(window, `a window of "${window.args}" is out of range`, 'A window is at least 1s and at most 24h.');
  return null;
}

function unknownName(name: string, series: ReadonlyMap<string, Unit>): [message: string, cure: string] {
  const guess = findNearest(name, [...series.keys()]);
  return [`there is no ${name} in this rule`, `${guess === null ? '' : `Did you mean ${guess}? `}The rule watches ${listOf(series.keys())}; add others under watch.with. Properties of persons do not exist here.`];
}

const nameOfType = (type: string): string => {
  const of = unitOfType(type);
  if (of !== undefined) return of === NUMBER ? 'a number' : of.label;
  if (type.startsWith('SeriesOf')) return 'a series';
  return type === 'int' ? 'a number' : type === DURATION ? 'a duration' : type === 'Age' ? 'an age' : type;
};

/** The library's error in our words, with place and cure. */
function explainError(error: ParseError | CelTypeError | EvaluationError, series: ReadonlyMap<string, Unit>): Problem {
  const node = error.node as ASTNode | undefined;
  const start = error.range?.start ?? 0;
  if (error.name === 'ParseError' || node === undefined || node.op === undefined) {
    const assignment = error.summary === 'Unexpected character: =';
    return { start, message: `the condition cannot be read: ${lowerFirst(error.summary)}`, cure: assignment ? 'Compare with ==, not with =.' : 'Correct it at the place shown; text and windows stand in double quotes.' };
  }
  if (error.code === 'unknown_variable' && node.op === 'id') return problem(node, ...unknownName(node.args, series));
  if (error.code === 'no_such_overload' && Array.isArray(node.args) && node.args.length === 2) return explainOverload(node, series);
  if (error.code === 'no_matching_overload' && node.op === 'call') return problem(node, `${node.args[0]}() takes one number`, `Write ${node.args[0]}(10) or ${node.args[0]}(0.5).`);
  if (error.code === 'invalid_logical_operand') return problem(node, `${node.op} joins conditions, and one side is not a condition: ${lowerFirst(error.summary)}`, 'Compare each side with a limit first.');
  return { start: anchorOf(node), message: lowerFirst(error.summary), cure: 'Correct it at the place shown.' };
}

function explainOverload(node: ASTNode, series: ReadonlyMap<string, Unit>): Problem {
  const [left, right] = operandTypes(node);
  const names = [...series.keys()];
  if (left.startsWith('SeriesOf') || right.startsWith('SeriesOf')) return problem(node, 'a series is compared where a value is needed', `Ask it for a value, such as ${names[0] ?? 'level'}.now().`);
  const unitSide = [left, right].map((type) => unitOfType(type)).find((each) => each !== undefined && each !== NUMBER);
  const other = unitSide !== undefined && unitOfType(left) === unitSide ? right : left;
  const isNumber = other === 'int' || other === 'double';
  const verb = COMPARATORS.includes(node.op) ? 'compared with' : node.op === '+' ? 'added to' : node.op === '-' ? 'subtracted from' : `combined by ${node.op} with`;
  if (unitSide !== undefined) {
    const message = isNumber ? `a number without a unit cannot be ${verb} ${nameOfType(unitSide.type)}` : `${nameOfType(left)} cannot be ${verb} ${nameOfType(right)}`;
    return problem(node, message, `Write the limit with its unit: ${String(unitSide.literal)}(…).`);
  }
  if (left === 'Age' || right === 'Age') return problem(node, 'an age is compared with something that is no duration', 'Write age() > duration("10m").');
  return problem(node, `${nameOfType(left)} cannot be ${verb} ${nameOfType(right)}`, 'Both sides must be of one kind.');
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

type Compiled = { readonly ok: true; readonly condition: Condition } | { readonly ok: false; readonly problem: Problem };

/**
 * Reads and type-checks a condition over the series of a rule (name → unit). A condition is a bool of the city profile
 * that looks at one series at least; everything else is refused with its place.
 */
export function compileCondition(text: string, series: ReadonlyMap<string, Unit>): Compiled {
  const fail = (of: Problem): Compiled => ({ ok: false, problem: of });
  if (text.length > CONDITION_CHARS) return fail({ start: CONDITION_CHARS, message: `the condition is longer than ${String(CONDITION_CHARS)} characters`, cure: 'Split it into several rules.' });
  const env = CITY.clone();
  for (const [name, of] of series) env.registerVariable(name, seriesTypeOf(of));
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = env.parse(text);
  } catch (error) {
    if (error instanceof Error && error.name === 'ParseError') return fail(explainError(error as ParseError, series));
    throw error;
  }
  const outside = findOutsideProfile(parsed.ast, series);
  if (outside !== null) return fail(outside);
  const checked = parsed.check();
  if (!checked.valid) {
    assert(checked.error !== undefined, 'a failed check says why');
    return fail(explainError(checked.error, series));
  }
  const ast = parsed.ast;
  const truncated = findWholeDivision(ast);
  if (truncated !== null) return fail(truncated);
  if (checked.type !== 'bool') return fail({ start: ast.start, message: `the condition gives ${nameOfType(checked.type ?? '')}, not true or false`, cure: 'Compare it with a limit, such as > or <.' });
  const terms = collectTerms(ast, series);
  if (terms.length === 0) return fail({ start: ast.start, message: 'the condition looks at no series', cure: `Use a function on ${listOf(series.keys())}, such as ${[...series.keys()][0] ?? 'level'}.now().` });
  return {
    ok: true,
    condition: { text: serialize(ast), terms, shape: shapeOf(ast, env, series), bind: (readers) => bindReaders(readers, series), evaluate: (context) => evaluateBool(parsed, context) },
  };
}

function bindReaders(readers: Readonly<Record<string, SeriesReader>>, series: ReadonlyMap<string, Unit>): SeriesContext {
  const context: Record<string, object> = {};
  for (const [name, of] of series) {
    const read = readers[name];
    assert(read !== undefined, `series ${name} has a reader`);
    const { series: Box } = classesOf(of);
    context[name] = new Box(read);
  }
  return context;
}

function evaluateAny(parsed: (context: SeriesContext) => unknown, context: SeriesContext): unknown {
  try {
    return parsed(context);
  } catch (error) {
    // an arithmetic fault, such as an overflow, leaves the outcome unknown as a missing value does
    if (error === NO_DATA || error instanceof EvaluationError) return null;
    throw error;
  }
}

function evaluateBool(parsed: (context: SeriesContext) => unknown, context: SeriesContext): boolean | null {
  const value = evaluateAny(parsed, context);
  assert(value === null || typeof value === 'boolean', 'a checked condition is a bool');
  return value;
}

function evaluateNumber(parsed: (context: SeriesContext) => unknown, context: SeriesContext): number | null {
  const value = evaluateAny(parsed, context);
  const number = value instanceof Quantity ? value.value : typeof value === 'bigint' ? Number(value) : typeof value === 'number' ? value : value !== null && typeof value === 'object' ? secondsOf(value) : NaN;
  return Number.isFinite(number) ? number : null;
}

/** A condition over plain numbers and flags, without series; the tests compare it with a second CEL library. */
export function evaluatePlain(text: string, values: Readonly<Record<string, number | boolean>>): unknown {
  const env = CITY.clone();
  for (const [name, value] of Object.entries(values)) env.registerVariable(name, typeof value === 'number' ? 'double' : 'bool');
  return env.evaluate(text, values);
}

/** Every series function of a condition, each once. */
function collectTerms(node: ASTNode, series: ReadonlyMap<string, Unit>): SeriesTerm[] {
  const found = new Map<string, SeriesTerm>();
  const visit = (at: ASTNode): void => {
    const term = termOf(at, series);
    if (term !== null) found.set(term.text, term);
    childrenOf(at).forEach(visit);
  };
  visit(node);
  return [...found.values()];
}

function termOf(node: ASTNode, series: ReadonlyMap<string, Unit>): SeriesTerm | null {
  if (node.op !== 'rcall' || node.args[1].op !== 'id') return null;
  const [name, receiver, args] = node.args;
  const of = series.get(receiver.args);
  if (of === undefined || !FUNCTIONS.includes(name as SeriesFunction)) return null;
  const window = args[0]?.args;
  return { text: serialize(node), series: receiver.args, fn: name as SeriesFunction, window_ms: typeof window === 'string' ? (parseDurationMs(window) ?? 0) : 0, unit: name === 'age' ? SECONDS : of };
}

function shapeOf(node: ASTNode, env: Environment, series: ReadonlyMap<string, Unit>): Shape {
  if (node.op === '&&' || node.op === '||') return { kind: node.op === '&&' ? 'and' : 'or', left: shapeOf(node.args[0], env, series), right: shapeOf(node.args[1], env, series) };
  if (node.op === '!_') return { kind: 'not', of: shapeOf(node.args, env, series) };
  if (!COMPARATORS.includes(node.op)) return { kind: 'other', text: serialize(node), terms: collectTerms(node, series) };
  const [left, right] = node.args as [ASTNode, ASTNode];
  const alone = parseAlone(node, env);
  return { kind: 'compare', comparator: node.op as Comparator, left: operandOf(left, env, series), right: operandOf(right, env, series), evaluate: (context) => evaluateBool(alone, context) };
}

function operandOf(node: ASTNode, env: Environment, series: ReadonlyMap<string, Unit>): Operand {
  const parsed = parseAlone(node, env);
  const type = parsed.check().type ?? '';
  return {
    text: serialize(node),
    unit: type === DURATION || type === 'Age' ? SECONDS : type === 'int' ? NUMBER : (unitOfType(type) ?? null),
    term: termOf(node, series),
    terms: collectTerms(node, series),
    evaluate: (context) => evaluateNumber(parsed, context),
  };
}

/** A part of a checked condition as its own expression. */
function parseAlone(node: ASTNode, env: Environment): ReturnType<Environment['parse']> {
  const parsed = env.parse(serialize(node));
  assert(parsed.check().valid, 'a part of a checked condition checks alone');
  return parsed;
}

/** Parses the text of a term as an explanation stores it: `level.rise("1h")`. Null when it is none. */
export function parseTerm(text: string): { series: string; fn: SeriesFunction; window_ms: number } | null {
  const match = /^(\w+)\.(\w+)\((?:"([^"]*)")?\)$/.exec(text);
  const fn = match?.[2] as SeriesFunction | undefined;
  if (match?.[1] === undefined || fn === undefined || !FUNCTIONS.includes(fn)) return null;
  return { series: match[1], fn, window_ms: match[3] === undefined ? 0 : (parseDurationMs(match[3]) ?? 0) };
}

/** The line of the condition that holds `start`, and a caret under the place. */
export function printCaret(text: string, start: number): string {
  const before = text.slice(0, start);
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = text.indexOf('\n', start);
  const line = text.slice(lineStart, lineEnd < 0 ? undefined : lineEnd);
  return `${line}\n${' '.repeat(start - lineStart)}^`;
}
