import { LIMITS } from '../../kernel/index.ts';
import { queryFault } from './fault.ts';
import { ARITHMETIC, COMPARISONS, type Arithmetic, type Comparison, type Expression, type OrderKey } from './syntax.ts';
import { tokenize, type Token } from './tokenizer.ts';

const PARENTHESES = 100;
const ORDER_KEYS = 10;

/** Parses a $filter (OData 4.0 Part 2 §5.1.1, weakest operator first: or, and, not, comparison, add, mul, sign). Throws `Refused`. */
export function parseFilter(text: string, offset = 0): Expression {
  const parser = parserOf('$filter', text, offset);
  const expression = parser.parseOr();
  parser.expectEnd();
  return expression;
}

/** Parses `a desc,b/c`. Throws `Refused`. */
export function parseOrderby(text: string, offset = 0): OrderKey[] {
  const parser = parserOf('$orderby', text, offset);
  const keys: OrderKey[] = [];
  do {
    const expression = parser.parseSum();
    const direction = parser.takeWord(['asc', 'desc']);
    keys.push({ expression, descending: direction === 'desc' });
    if (keys.length > ORDER_KEYS) throw queryFault('$orderby', offset, `at most ${String(ORDER_KEYS)} keys are taken.`);
  } while (parser.takePunctuation(','));
  parser.expectEnd();
  return keys;
}

interface Parser {
  parseOr(): Expression;
  parseSum(): Expression;
  takeWord<T extends string>(words: readonly T[]): T | null;
  takePunctuation(text: string): boolean;
  expectEnd(): void;
}

function parserOf(option: string, text: string, offset: number): Parser {
  const tokens = tokenize(option, text, offset);
  let position = 0;
  let nodes = 0;
  let depth = 0;
  const end: Token = { kind: 'end', at: text.length + offset };
  const peek = (): Token => tokens[position] ?? end;
  const fault = (detail: string): Error => queryFault(option, peek().at, detail);
  const node = <T extends Expression>(expression: T): T => {
    nodes += 1;
    if (nodes > LIMITS.filter_nodes) throw queryFault(option, expression.at, `the expression has more than ${String(LIMITS.filter_nodes)} parts.`);
    return expression;
  };
  const takeWord = <T extends string>(words: readonly T[]): T | null => {
    const token = peek();
    const word = token.kind === 'name' ? words.find((candidate) => candidate === token.text) : undefined;
    if (word !== undefined) position += 1;
    return word ?? null;
  };
  const takePunctuation = (wanted: string): boolean => {
    const token = peek();
    const found = token.kind === 'punctuation' && token.text === wanted;
    if (found) position += 1;
    return found;
  };
  const nested = <T>(parse: () => T): T => {
    depth += 1;
    if (depth > PARENTHESES) throw fault(`the expression is nested deeper than ${String(PARENTHESES)}.`);
    const value = parse();
    depth -= 1;
    return value;
  };

  const parseOr = (): Expression => {
    let left = parseAnd();
    for (let at = peek().at; takeWord(['or']) !== null; at = peek().at) left = node({ kind: 'logic', op: 'or', left, right: parseAnd(), at });
    return left;
  };
  const parseAnd = (): Expression => {
    let left = parseNot();
    for (let at = peek().at; takeWord(['and']) !== null; at = peek().at) left = node({ kind: 'logic', op: 'and', left, right: parseNot(), at });
    return left;
  };
  const parseNot = (): Expression => {
    const { at } = peek();
    if (takeWord(['not']) === null) return parseComparison();
    return node({ kind: 'not', operand: nested(parseNot), at });
  };
  const parseComparison = (): Expression => {
    const left = parseSum();
    const { at } = peek();
    if (takeWord(['in']) !== null) return node({ kind: 'in', left, items: parseItems(), at });
    const op = takeWord<Comparison>(COMPARISONS);
    return op === null ? left : node({ kind: 'compare', op, left, right: parseSum(), at });
  };
  /** The list of `in` (OData 4.01 Part 2 §5.1.1.1.12). */
  const parseItems = (): Expression[] => {
    if (!takePunctuation('(')) throw fault('a list in parentheses is expected after in.');
    const items: Expression[] = [];
    do items.push(nested(parseSum));
    while (takePunctuation(','));
    if (!takePunctuation(')')) throw fault('the list of in is not closed.');
    return items;
  };
  const parseSum = (): Expression => parseChain(parseProduct, ['add', 'sub']);
  const parseProduct = (): Expression => parseChain(parseSign, ['mul', 'div', 'mod']);
  const parseChain = (parse: () => Expression, ops: readonly Arithmetic[]): Expression => {
    let left = parse();
    for (;;) {
      const { at } = peek();
      const op = takeWord(ops);
      if (op === null) return left;
      left = node({ kind: 'arithmetic', op, left, right: parse(), at });
    }
  };
  const parseSign = (): Expression => {
    const { at } = peek();
    return takePunctuation('-') ? node({ kind: 'negate', operand: nested(parseSign), at }) : parsePrimary();
  };
  const parsePrimary = (): Expression => {
    const token = peek();
    if (takePunctuation('(')) {
      const inner = nested(parseOr);
      if (!takePunctuation(')')) throw fault('a closing parenthesis is missing.');
      return inner;
    }
    if (token.kind === 'literal') {
      position += 1;
      return node({ kind: 'literal', literal: token.literal, at: token.at });
    }
    if (token.kind !== 'name') throw fault('a value is expected here.');
    if ((COMPARISONS as readonly string[]).includes(token.text) || (ARITHMETIC as readonly string[]).includes(token.text) || token.text === 'and' || token.text === 'or' || (token.text === 'in' && !token.call)) throw fault(`a value is expected before ${token.text}.`);
    position += 1;
    if (!token.call) return node({ kind: 'path', steps: token.text.split('/'), at: token.at });
    const quantifier = /^(.+)\/(any|all)$/.exec(token.text);
    if (quantifier?.[1] !== undefined) return parseLambda(quantifier[1].split('/'), quantifier[2] === 'all' ? 'all' : 'any', token.at);
    return parseCall(token.text, token.at);
  };
  /** OData 4.0 Part 2 §5.1.1.10. */
  const parseLambda = (steps: readonly string[], quantifier: 'any' | 'all', at: number): Expression => {
    takePunctuation('(');
    const token = peek();
    if (token.kind !== 'variable') {
      if (quantifier === 'any' && takePunctuation(')')) return node({ kind: 'lambda', quantifier, steps, variable: null, condition: null, at });
      throw fault(`${quantifier}() takes a variable and a condition, such as ${steps.join('/')}/${quantifier}(x:x/id gt 1).`);
    }
    position += 1;
    const condition = nested(parseOr);
    if (!takePunctuation(')')) throw fault(`the parenthesis of ${quantifier}( is not closed.`);
    return node({ kind: 'lambda', quantifier, steps, variable: token.text, condition, at });
  };
  const parseCall = (name: string, at: number): Expression => {
    takePunctuation('(');
    const args: Expression[] = [];
    if (!takePunctuation(')')) {
      do args.push(nested(parseOr));
      while (takePunctuation(','));
      if (!takePunctuation(')')) throw fault(`the parenthesis of ${name}( is not closed.`);
    }
    return node({ kind: 'call', name, args, at });
  };
  return {
    parseOr,
    parseSum,
    takeWord,
    takePunctuation,
    expectEnd: () => {
      if (peek().kind !== 'end') throw fault('and, or, a comparison or the end is expected here.');
    },
  };
}
