import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIMITS, Refused } from '../../kernel/index.ts';
import { parseQuery } from './options.ts';
import { parseFilter } from './parser.ts';
import { ARITHMETIC, COMPARISONS, type Expression, type Literal } from './syntax.ts';

const name = fc.stringMatching(/^[a-z][a-zA-Z0-9_]{0,8}$/).filter((text) => !['null', 'true', 'false', 'not', 'and', 'or', 'in', 'any', 'all', 'asc', 'desc', ...COMPARISONS, ...ARITHMETIC].includes(text));
const literal: fc.Arbitrary<Literal> = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }).map((value): Literal => ({ type: 'number', value })),
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((value): Literal => ({ type: 'text', value })),
  fc.boolean().map((value): Literal => ({ type: 'boolean', value })),
  fc.constant<Literal>({ type: 'null' }),
  fc.date({ min: new Date('0001-01-02'), max: new Date('9999-12-30'), noInvalidDate: true }).map((value): Literal => ({ type: 'instant', value: value.toISOString() })),
);
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    literal.map((value): Expression => ({ kind: 'literal', literal: value, at: 0 })),
    fc.array(name, { minLength: 1, maxLength: 3 }).map((steps): Expression => ({ kind: 'path', steps, at: 0 })),
    fc.record({ kind: fc.constant('compare' as const), op: fc.constantFrom(...COMPARISONS), left: tie('expression'), right: tie('expression'), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('arithmetic' as const), op: fc.constantFrom(...ARITHMETIC), left: tie('expression'), right: tie('expression'), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('logic' as const), op: fc.constantFrom('and' as const, 'or' as const), left: tie('expression'), right: tie('expression'), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('expression'), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('call' as const), name, args: fc.array(tie('expression'), { maxLength: 3 }), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('in' as const), left: tie('expression'), items: fc.array(tie('expression'), { minLength: 1, maxLength: 3 }), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('lambda' as const), quantifier: fc.constantFrom('any' as const, 'all' as const), steps: fc.array(name, { minLength: 1, maxLength: 2 }), variable: name, condition: tie('expression'), at: fc.constant(0) }),
    fc.array(name, { minLength: 1, maxLength: 2 }).map((steps): Expression => ({ kind: 'lambda', quantifier: 'any', steps, variable: null, condition: null, at: 0 })),
  ),
}));

function print(part: Expression): string {
  switch (part.kind) {
    case 'literal':
      return printLiteral(part.literal);
    case 'path':
      return part.steps.join('/');
    case 'call':
      return `${part.name}(${part.args.map(print).join(', ')})`;
    case 'not':
      return `(not (${print(part.operand)}))`;
    case 'negate':
      return `- ${print(part.operand)}`;
    case 'in':
      return `(${print(part.left)} in (${part.items.map(print).join(', ')}))`;
    case 'lambda':
      return `${part.steps.join('/')}/${part.quantifier}(${part.variable === null || part.condition === null ? '' : `${part.variable}: ${print(part.condition)}`})`;
    default:
      return `(${print(part.left)} ${part.op} ${print(part.right)})`;
  }
}

function printLiteral(value: Literal): string {
  if (value.type === 'text') return `'${value.value.replaceAll("'", "''")}'`;
  if (value.type === 'null') return 'null';
  if (value.type === 'geometry' || value.type === 'interval') throw new Error('not printed here');
  return String(value.value);
}

function withoutPlaces(part: unknown): unknown {
  return JSON.parse(JSON.stringify(part, (key, value: unknown) => (key === 'at' ? undefined : value)));
}

describe('the filter parser', () => {
  test('reads back every expression that is printed', () => {
    fc.assert(
      fc.property(expression, (wanted) => {
        expect(withoutPlaces(parseFilter(print(wanted)))).toEqual(withoutPlaces(wanted));
      }),
      { numRuns: 300 },
    );
  });

  test('answers any text with an expression or a refusal, never with another error', () => {
    const piece = fc.constantFrom('(', ')', ',', ' ', "'", 'eq', 'and', 'not', '-', '1', '1e999', '2026-13-01', '2026-11-24T06:00:00Z', '/', 'name', "geography'POINT(1 2)'", "duration'P1D'", 'substringof(', 'null', '\u0001', '🚲');
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(' '))), (text) => {
        try {
          parseFilter(text);
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('binds not weaker than a comparison, and stronger than or, sums weaker than products', () => {
    expect(withoutPlaces(parseFilter('not a eq 1 and b or c lt 1 add 2 mul 3'))).toEqual(withoutPlaces(parseFilter('((not (a eq 1)) and b) or (c lt (1 add (2 mul 3)))')));
  });

  test.each([
    ["name eq 'a", 9, 'the quote'],
    ['name eq', 8, 'a value is expected'],
    ['(name eq 1', 11, 'closing parenthesis'],
    ['name = 1', 6, 'not expected'],
    ['name eq 1 1', 11, 'is expected here'],
    ["a eq datetime'2020'", 6, 'not a literal'],
    ['a eq 2026-02-30T00:00:00Z', 6, 'not a time'],
    ["location eq geography'POINT(200 1)'", 13, 'longitude'],
    ['Datastreams/any(d/name eq 1)', 17, 'variable'],
    ['id in 1', 7, 'list'],
  ])('names the place of the fault in %s', (text, place, word) => {
    expect(() => parseFilter(text)).toThrow(new RegExp(`character ${String(place)}: .*${word.replace(/[()]/g, '\\$&')}`));
  });

  test('stops at the limits of size and depth instead of the stack', () => {
    const many = Array.from({ length: LIMITS.filter_nodes }, () => 'a').join(' or ');
    expect(() => parseFilter(many)).toThrow('parts');
    expect(() => parseFilter('('.repeat(5_000))).toThrow('nested deeper');
    expect(() => parseFilter('not '.repeat(5_000))).toThrow('nested deeper');
    expect(() => parseFilter('-'.repeat(5_000))).toThrow('nested deeper');
  });
});

describe('the query options', () => {
  test('are read at every level of an expand, with options split by semicolons', () => {
    const options = parseQuery("$top=5&$expand=Locations,Datastreams($filter=name%20eq%20'a;b)';$expand=Observations($top=1;$orderby=phenomenonTime%20desc),Sensor;$count=true)");
    const [locations, streams] = options.expand;
    expect(options.top).toBe(5);
    expect(locations?.name).toBe('Locations');
    expect(streams?.options.count).toBe(true);
    expect(streams?.options.expand.map((item) => [item.name, item.options.top])).toEqual([['Observations', 1], ['Sensor', null]]);
  });

  test('join two expand paths with the same head', () => {
    expect(parseQuery('$expand=Datastreams/Sensor,Datastreams/ObservedProperty').expand.map((item) => item.options.expand.map(({ name: step }) => step))).toEqual([['Sensor', 'ObservedProperty']]);
  });

  test('take a plus as a blank between words, as forms send it', () => {
    expect(withoutPlaces(parseQuery("$filter=name+eq+'a+b'").filter)).toEqual(withoutPlaces(parseFilter("name eq 'a+b'")));
  });

  test.each([
    ['$top=-1', 'whole number'],
    ['$top=1.5', 'whole number'],
    ['$skip=x', 'whole number'],
    ['$count=yes', 'true or false'],
    ['$top=1&$top=2', 'twice'],
    ['filter=a', 'begin with \\$'],
    ['$fliter=a', 'no query option'],
    ['$filter=%ff', 'UTF-8'],
    ['$filter=a%00', 'NUL'],
    ['$expand=Datastreams(', 'not closed'],
    ['$expand=Datastreams(top=1)', 'no query option'],
    ['$expand=A/B/C/D/E', 'deep'],
    ['$expand=', 'name'],
    ['$select=', 'missing'],
    ['$orderby=a sideways', 'expected'],
  ])('refuse %s', (search, word) => {
    expect(() => parseQuery(search)).toThrow(new RegExp(word));
  });
});
