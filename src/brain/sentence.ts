import { SECONDS, type Condition, type Operand, type Shape, type SeriesTerm } from './cel.ts';
import { printDuration } from './durations.ts';
import { labelOfProperty, printValue, type Unit } from './units.ts';
import { type RuleDocument } from './rule-document.ts';

const COMPARE_WORDS: Readonly<Record<string, string>> = { '>': 'above', '>=': 'at or above', '<': 'below', '<=': 'at or below', '==': 'equal to', '!=': 'other than' };
const LITERAL = /^\w+\((-?[\d.]+)\)$/;

/** The rule as one plain sentence, generated from what will be evaluated, so that it cannot say something else. */
export function printSentence(document: RuleDocument, when: Condition | null, clear: Condition | null): string {
  const place = articleOf(document.watch.at.replaceAll('_', ' '));
  const property = labelOfProperty(document.watch.observe);
  const parts: string[] = [];
  if (document.silent !== undefined) parts.push(`Raise ${document.severity.toUpperCase()} when ${place} has sent no ${property} reading for ${printDuration(document.silent)}`);
  else if (when !== null) parts.push(`Raise ${document.severity.toUpperCase()} at ${place} when ${printShape(when.shape, document)}${document.for > 0 ? `, for ${printDuration(document.for)} without a break` : ''}`);
  if (document.inhibited_by.length > 0) parts.push(`not while ${document.inhibited_by.join(' or ')} stands there`);
  const over = document.silent !== undefined ? 'readings have come back' : clear === null ? 'that no longer holds' : printShape(clear.shape, document);
  parts.push(`clear when ${over}${document.clear_for > 0 ? ` for ${printDuration(document.clear_for)}` : ''}`);
  if (document.silent === undefined) parts.push(`unknown while fewer than ${(document.quality.valid * 100).toFixed(0)}% of the readings are valid or none come`);
  return `${parts.join('; ')}.`;
}

const articleOf = (noun: string): string => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;

function printShape(shape: Shape, document: RuleDocument): string {
  switch (shape.kind) {
    case 'and':
    case 'or': {
      const side = (of: Shape): string => ((of.kind === 'and' || of.kind === 'or') && of.kind !== shape.kind ? `(${printShape(of, document)})` : printShape(of, document));
      return `${side(shape.left)} ${shape.kind} ${side(shape.right)}`;
    }
    case 'not':
      return `it is not so that ${printShape(shape.of, document)}`;
    case 'compare':
      return `${printOperand(shape.left, document)} is ${COMPARE_WORDS[shape.comparator] ?? shape.comparator} ${printOperand(shape.right, document)}`;
    case 'other':
      return `\`${shape.text}\``;
  }
}

function printOperand(operand: Operand, document: RuleDocument): string {
  if (operand.term !== null) return printTerm(operand.term, document);
  const literal = LITERAL.exec(operand.text)?.[1] ?? (/^-?[\d.]+$/.test(operand.text) ? operand.text : undefined);
  if (literal !== undefined && operand.unit !== null) return printLimit(Number(literal), operand.unit);
  const seconds = operand.unit === SECONDS ? operand.evaluate({}) : null;
  return seconds === null ? `\`${operand.text}\`` : printDuration(seconds * 1_000);
}

/** A limit as short as it was meant: `50 µg/m³`, `0.3 m`. */
function printLimit(limit: number, of: Unit): string {
  if (of.label === '') return String(limit);
  return of.label === '%' ? `${String(limit)}%` : `${String(limit)} ${of.label}`;
}

function printTerm(term: SeriesTerm, document: RuleDocument): string {
  const nearest = /^nearest\((\w+)\)$/.exec(document.watch.with[term.series] ?? '');
  const property = document.watch.with[term.series] ?? term.series;
  const name = nearest === null ? labelOfProperty(property) : `the nearest ${labelOfProperty(nearest[1] ?? '')}`;
  const window = printDuration(term.window_ms);
  switch (term.fn) {
    case 'now':
      return name;
    case 'mean':
      return `the mean of ${name} over ${window}`;
    case 'min':
      return `the least ${name} in ${window}`;
    case 'max':
      return `the greatest ${name} in ${window}`;
    case 'rise':
      return `the rise of ${name} in ${window}`;
    case 'age':
      return `the age of the newest ${name} reading`;
  }
}

/** A term with its value, as it stands in a warning: `rose 0.41 m in 1 h`. */
export function printMeasured(fn: SeriesTerm['fn'], window_ms: number, value: number, unit: Unit, decimals: number): string {
  const shown = unit === SECONDS ? printDuration(value * 1_000) : printValue(fn === 'rise' ? Math.abs(value) : value, unit, decimals);
  const window = printDuration(window_ms);
  switch (fn) {
    case 'now':
      return `is ${shown}`;
    case 'mean':
      return `averaged ${shown} over ${window}`;
    case 'min':
      return `was at least ${shown} for ${window}`;
    case 'max':
      return `was at most ${shown} for ${window}`;
    case 'rise':
      return `${value < 0 ? 'fell' : 'rose'} ${shown} in ${window}`;
    case 'age':
      return `was last read ${shown} before`;
  }
}
