import { LIMITS, Refused } from '../../kernel/index.ts';

export type JsonObject = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Text of a source for people and for a PostgreSQL text: no control characters, no half of a surrogate pair, at most `chars`. */
export const plainText = (text: string, chars: number): string => text.slice(0, chars).replaceAll(/\p{Cc}+/gu, ' ').toWellFormed();

/** Parses a document of a source. Throws `Refused` when it is not JSON or nested too deeply. */
export function readJson(body: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new Refused({ code: 'feed.document-invalid', detail: 'The document is not well-formed JSON in UTF-8.', field: 'document' });
  }
  checkDepth(value, 0);
  return value;
}

function checkDepth(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth >= LIMITS.json_depth) throw new Refused({ code: 'http.too-deep', detail: `A document is nested at most ${LIMITS.json_depth} levels deep.`, field: 'document' });
  for (const member of Object.values(value)) checkDepth(member, depth + 1);
}
