import type { GateVerdict } from '../../contracts/gate.ts';
import { RULES } from './detectors/index.ts';
import { inspect, maskPath } from './inspect.ts';

export const MAX_FINDINGS = 100;

/**
 * What the gate would say to a document: JSON as a result, anything else as text. Every rule that fires, where, and through which
 * encodings; never the content itself. Stores nothing.
 */
export function judge(document: string | Buffer, country: string): GateVerdict {
  const value = readDocument(document);
  const found = inspect(value, { country });
  const findings = found.slice(0, MAX_FINDINGS).map(({ rule, path, start, end, through }) => ({ rule, meaning: RULES[rule], path: maskPath(path), start, end, through: [...through] }));
  return { refused: found.length > 0, rules: [...new Set(found.map(({ rule }) => rule))], findings };
}

function readDocument(document: string | Buffer): unknown {
  if (typeof document === 'string') return parseOr(document);
  const text = document.toString('utf8');
  // bytes that are no text are looked at as a list of bytes would be
  return text.includes('\ufffd') || /[\0-\x08\x0e-\x1f]/.test(text) ? document : parseOr(text);
}

function parseOr(text: string): unknown {
  const first = text.trimStart()[0];
  if (first !== '{' && first !== '[') return text;
  let [open, deepest] = [0, 0];
  for (const sign of text) {
    if (sign === '[' || sign === '{') deepest = Math.max(deepest, (open += 1));
    else if (sign === ']' || sign === '}') open -= 1;
  }
  if (deepest > 1_000) return text; // the walk refuses it without building it
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // not JSON: a text
  }
}
