import { dateFunctions } from './date.ts';
import type { FunctionModel } from './function.ts';
import { geoFunctions } from './geo.ts';
import { mathFunctions } from './math.ts';
import { temporalFunctions } from './temporal.ts';
import { textFunctions } from './text.ts';

/** Every function that $filter and $orderby know; a new group is one file and one line here. */
const FUNCTIONS: ReadonlyMap<string, FunctionModel> = new Map([...textFunctions, ...mathFunctions, ...dateFunctions, ...geoFunctions, ...temporalFunctions].map((model) => [model.name, model]));

/** Functions of OData 4.0 that 18-088 leaves out and that are not built. */
const NOT_BUILT: ReadonlySet<string> = new Set(['cast', 'isof', 'totalseconds', 'replace']);

/** What a server says that it has (OGC 23-019 §9.3.2.2); any and all belong to the language. */
export const functionNames = (): string[] => [...FUNCTIONS.keys(), 'any', 'all'].sort();

export function findFunction(name: string): FunctionModel | 'not built' | null {
  return FUNCTIONS.get(name) ?? (NOT_BUILT.has(name) ? 'not built' : null);
}
