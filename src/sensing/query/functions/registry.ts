import { dateFunctions } from './date.ts';
import type { FunctionModel } from './function.ts';
import { geoFunctions } from './geo.ts';
import { mathFunctions } from './math.ts';
import { textFunctions } from './text.ts';

/** Every function that $filter and $orderby know; a new group is one file and one line here. */
const FUNCTIONS: ReadonlyMap<string, FunctionModel> = new Map([...textFunctions, ...mathFunctions, ...dateFunctions, ...geoFunctions].map((model) => [model.name, model]));

/** Functions of 18-088 Table 24 that are not built. */
const NOT_BUILT: ReadonlySet<string> = new Set(['geo.length', 'st_equals', 'st_touches', 'st_overlaps', 'st_crosses', 'st_relate']);

export function findFunction(name: string): FunctionModel | 'not built' | null {
  return FUNCTIONS.get(name) ?? (NOT_BUILT.has(name) ? 'not built' : null);
}
