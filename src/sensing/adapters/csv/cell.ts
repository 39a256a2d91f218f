import type { CsvMapping, CsvValue } from '../../../contracts/csv-import.ts';
import { LIMITS } from '../../../kernel/index.ts';
import { readText } from '../batch.ts';

export type CellResult = number | boolean | string;

const TRUE: ReadonlySet<string> = new Set(['true', '1', 'yes', 'y', 'on', 'ja', 'wahr', 'oui', 'vrai', 'sí', 'si', 'verdadero']);
const FALSE: ReadonlySet<string> = new Set(['false', '0', 'no', 'n', 'off', 'nein', 'falsch', 'non', 'faux', 'falso']);
const PLAIN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/;

/** A reader of cells of one column: the result, or in words why it is none. */
export function readCellOf(value: CsvValue, { decimal, thousands }: Pick<CsvMapping, 'decimal' | 'thousands'>): (cell: string) => { readonly result: CellResult } | string {
  const { type, min = -Infinity, max = Infinity } = value;
  if (type === 'truth') {
    return (cell) => {
      const word = cell.toLowerCase();
      return TRUE.has(word) ? { result: true } : FALSE.has(word) ? { result: false } : 'It is neither true nor false.';
    };
  }
  if (type === 'term') {
    return (cell) => {
      const term = readText(cell, LIMITS.name_chars + 1);
      return term === null || term.length > LIMITS.name_chars ? `A term has 1 to ${LIMITS.name_chars} characters.` : { result: term };
    };
  }
  const grouped = thousands === '' ? null : new RegExp(`^[+-]?\\d{1,3}(?:${thousands === '.' ? '\\.' : thousands}\\d{3})+(?!\\d)`);
  return (cell) => {
    let text = cell;
    if (grouped !== null && grouped.test(text)) text = text.replaceAll(thousands, '');
    if (decimal === ',') {
      if (text.includes('.')) return 'It has a point where the mapping says that the decimal sign is a comma.';
      text = text.replace(',', '.');
    }
    if (!PLAIN.test(text)) return 'It is not a number in the form of the mapping.';
    const result = Number(text);
    if (!Number.isFinite(result)) return 'The number is larger than a double can hold.';
    if (type === 'count' && !Number.isSafeInteger(result)) return 'It is not a whole number.';
    return result < min || result > max ? `It is outside the bounds of the mapping, ${min} to ${max}.` : { result };
  };
}
