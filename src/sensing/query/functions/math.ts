import { frag, type Fragment } from '../fragment.ts';
import { scalar } from '../value.ts';
import type { FunctionModel } from './function.ts';

const number = (name: string, build: (x: Fragment) => Fragment): FunctionModel => ({ name, parameters: ['number'], least: 1, scalars: ([x = frag`0`]) => scalar('number', build(x)) });

/** OData 4.0 Part 2 §5.1.1.9. A half is rounded away from zero. */
export const mathFunctions: readonly FunctionModel[] = [
  number('round', (x) => frag`(sign(${x}) * floor(abs(${x}) + 0.5))`),
  number('floor', (x) => frag`floor(${x})`),
  number('ceiling', (x) => frag`ceil(${x})`),
];
