import { Refused } from '../../kernel/index.ts';

/** A query that cannot be answered as asked: 400, naming the option and the place in its text, counted from 1. */
export function queryFault(option: string, at: number, detail: string): Refused {
  return new Refused({ code: 'sensing.query-invalid', detail: `${option}, character ${String(at + 1)}: ${detail}`, field: option });
}

/** A part of the standard, or of OData, that is not built: 501, naming the option and the place. */
export function notBuilt(option: string, at: number, detail: string): Refused {
  return new Refused({ code: 'http.not-implemented', detail: `${option}, character ${String(at + 1)}: ${detail}`, field: option });
}
