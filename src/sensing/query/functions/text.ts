import { frag, raw, type Fragment } from '../fragment.ts';
import { scalar, type ScalarType, type Value } from '../value.ts';
import type { FunctionModel } from './function.ts';

type Two = (a: Fragment, b: Fragment) => Value;
const none = frag`null::text`;
const one = (name: string, build: (a: Fragment) => Value): FunctionModel => ({ name, parameters: ['text'], least: 1, scalars: ([a = none]) => build(a) });
const two = (name: string, build: Two): FunctionModel => ({ name, parameters: ['text', 'text'], least: 2, scalars: ([a = none, b = none]) => build(a, b) });
const whole = (number: Fragment): Fragment => frag`least(greatest(floor(${number}), -1000000), 1000000)::integer`;

// The database compares by code points (C), whose case is that of ASCII only; Ü and É have theirs in Unicode's root locale.
const changeCase = (name: 'lower' | 'upper', text: Fragment): Fragment => frag`(${raw(name)}(${text} collate "und-x-icu") collate "C")`;

/** String functions (18-088 Table 24; OData 4.0 Part 2 §5.1.1.5). Positions count characters from 0. */
export const textFunctions: readonly FunctionModel[] = [
  two('substringof', (needle, text) => scalar('boolean', frag`strpos(${text}, ${needle}) > 0`)),
  two('contains', (text, needle) => scalar('boolean', frag`strpos(${text}, ${needle}) > 0`)),
  two('startswith', (text, head) => scalar('boolean', frag`starts_with(${text}, ${head})`)),
  two('endswith', (text, tail) => scalar('boolean', frag`right(${text}, length(${tail})) = ${tail}`)),
  two('indexof', (text, needle) => scalar('number', frag`strpos(${text}, ${needle}) - 1`)),
  two('concat', (a, b) => scalar('text', frag`(${a} || ${b})`)),
  one('length', (text) => scalar('number', frag`length(${text})`)),
  one('tolower', (text) => scalar('text', changeCase('lower', text))),
  one('toupper', (text) => scalar('text', changeCase('upper', text))),
  one('trim', (text) => scalar('text', frag`regexp_replace(${text}, '^[[:space:]]+|[[:space:]]+$', '', 'g')`)),
  {
    name: 'substring',
    parameters: ['text', 'number', 'number'] satisfies ScalarType[],
    least: 2,
    scalars: ([text = none, start = frag`0`, length]) => {
      const from = frag`greatest(${whole(start)}, 0) + 1`;
      return scalar('text', length === undefined ? frag`substr(${text}, ${from})` : frag`substr(${text}, ${from}, greatest(${whole(length)}, 0))`);
    },
  },
];
