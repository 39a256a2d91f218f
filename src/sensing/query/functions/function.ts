import type { Fragment } from '../fragment.ts';
import type { ScalarType, Value } from '../value.ts';

interface FunctionContext {
  readonly nowMs: number;
}

/**
 * One function of the query language. `parameters` names the types; from `least` on they may be left out. A function
 * over scalars gets SQL already cast; `apply` of one over geometries or times gets the values and may answer why not.
 * Where a geometry function takes a text, it is a literal.
 */
export type FunctionModel =
  | { readonly name: string; readonly parameters: readonly ScalarType[]; readonly least: number; readonly scalars: (args: readonly Fragment[], context: FunctionContext) => Value }
  | { readonly name: string; readonly parameters: readonly ('geometry' | 'times' | 'text')[]; readonly least: number; readonly apply: (args: readonly Value[]) => Value | string };
