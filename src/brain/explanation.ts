import { isoOf } from '../kernel/index.ts';
import { type Explanation, type ExplanationTerm } from '../contracts/warning.ts';
import { type Reading, type StreamInfo } from '../contracts/reading.ts';
import { SECONDS, parseTerm, type Comparator, type Operand, type SeriesContext, type SeriesTerm, type Shape } from './cel.ts';
import { printDuration } from './durations.ts';
import { type Rule } from './rule.ts';
import { printMeasured } from './sentence.ts';
import { NUMBER, decimalsFor, labelOfProperty, printValue, unitOfSymbol } from './units.ts';
import { type WindowOperator } from './windows.ts';

/** What an explanation needs of the place that a rule watches. */
export interface Evidence {
  readonly rule: Rule;
  readonly version: number;
  readonly placeName: string;
  /** Streams by the name that the rule gives them. */
  readonly streams: ReadonlyMap<string, StreamInfo>;
  readonly context: SeriesContext;
  operatorOf(term: SeriesTerm): WindowOperator;
}

const FLIPPED: Readonly<Record<Comparator, Comparator>> = { '>': '<', '>=': '<=', '<': '>', '<=': '>=', '==': '==', '!=': '!=' };

/**
 * Why the condition held at `atMs` (event time): each series function with its value, unit, limit and window, as far as
 * readings had arrived at `asOfMs`. A checker recomputes it from the readings alone.
 */
export function explainCondition(evidence: Evidence, shape: Shape, condition: string, atMs: number, asOfMs: number): Explanation {
  const terms: ExplanationTerm[] = [];
  const visit = (of: Shape): void => {
    if (of.kind === 'and' || of.kind === 'or') {
      visit(of.left);
      visit(of.right);
    } else if (of.kind === 'not') visit(of.of);
    else if (of.kind === 'other') for (const term of of.terms) terms.push(termAt(evidence, term, atMs, null, null, null));
    else terms.push(...compareTerms(evidence, of, atMs));
  };
  visit(shape);
  const unique = [...new Map(terms.map((term) => [`${term.text} ${term.comparison ?? ''} ${String(term.limit)}`, term])).values()];
  return {
    sentence: printExplanation(evidence, unique),
    rule: { id: evidence.rule.id, version: evidence.version, owner: evidence.rule.document.owner, condition },
    asOf: isoOf(asOfMs),
    terms: unique,
  };
}

function compareTerms(evidence: Evidence, of: Extract<Shape, { kind: 'compare' }>, atMs: number): ExplanationTerm[] {
  const holds = of.evaluate(evidence.context) === true;
  const { left, right, comparator } = of;
  const main = left.term !== null ? { term: left.term, other: right, comparison: comparator } : right.term !== null ? { term: right.term, other: left, comparison: FLIPPED[comparator] } : null;
  const rest = (side: Operand): ExplanationTerm[] => side.terms.map((term) => termAt(evidence, term, atMs, null, null, holds));
  if (main === null) return [...rest(left), ...rest(right)];
  return [termAt(evidence, main.term, atMs, main.other.evaluate(evidence.context), main.comparison, holds), ...rest(main.other)];
}

function termAt(evidence: Evidence, term: SeriesTerm, atMs: number, limit: number | null, comparison: Comparator | null, holds: boolean | null): ExplanationTerm {
  const operator = evidence.operatorOf(term);
  const value = operator.read(atMs);
  const stream = evidence.streams.get(term.series);
  const fromMs = operator.fromMs(atMs);
  const newest = term.fn === 'now';
  return {
    text: term.text,
    value: Number.isNaN(value) ? null : value,
    unit: term.unit === SECONDS ? 's' : (term.unit.symbols[0] ?? ''),
    limit,
    comparison,
    holds: holds ?? true,
    datastreamId: stream?.id ?? operator.series.id,
    from: isoOf(Number.isFinite(fromMs) ? fromMs : atMs),
    to: isoOf((newest && Number.isFinite(fromMs) ? fromMs : atMs) + 1),
    readings: operator.readings,
    valid: operator.valid,
  };
}

/** Why a silent rule raised: no reading arrived after `fromMs`; from and to are on the arrival clock. */
export function explainSilence(evidence: Evidence, fromMs: number, atMs: number): Explanation {
  const { rule } = evidence;
  const { observe } = rule.document.watch;
  const silent_s = (rule.silent_ms ?? 0) / 1_000;
  const value = (atMs - fromMs) / 1_000;
  return {
    sentence: `${labelOfProperty(observe)} at ${evidence.placeName} has not come for ${printDuration(atMs - fromMs)} (limit ${printDuration(silent_s * 1_000)}).`,
    rule: { id: rule.id, version: evidence.version, owner: rule.document.owner, condition: `silent for ${printDuration(silent_s * 1_000)}` },
    asOf: isoOf(atMs),
    terms: [{ text: `${observe}.silent()`, value, unit: 's', limit: silent_s, comparison: 'silent', holds: value >= silent_s, datastreamId: evidence.streams.get(observe)?.id ?? 0, from: isoOf(fromMs), to: isoOf(atMs), readings: 0, valid: 0 }],
  };
}

function printExplanation(evidence: Evidence, terms: readonly ExplanationTerm[]): string {
  const parts = terms.filter((term) => term.holds && term.comparison !== null && term.value !== null).map((term) => printTerm(evidence, term));
  return parts.length === 0 ? `The condition of ${evidence.rule.id} holds at ${evidence.placeName}.` : `${parts.join(' and ')}.`;
}

function printTerm(evidence: Evidence, term: ExplanationTerm): string {
  const parsed = parseTerm(term.text);
  if (parsed === null || term.value === null) return term.text;
  const stream = evidence.streams.get(parsed.series);
  const unit = term.unit === 's' ? SECONDS : (unitOfSymbol(term.unit) ?? NUMBER);
  const decimals = decimalsFor(term.value, term.limit, unit);
  const printLimit = (of: number): string => (unit === SECONDS ? printDuration(of * 1_000) : printValue(of, unit, decimals));
  const limit = term.limit === null ? '' : `limit ${printLimit(term.limit)}; `;
  const measured = printMeasured(parsed.fn, parsed.window_ms, term.value, unit, decimals);
  return `${labelOfProperty(stream?.property ?? parsed.series)} at ${stream?.placeName ?? evidence.placeName} ${measured} (${limit}${String(term.valid)} of ${String(term.readings)} readings valid)`;
}

/** Where a stored explanation and the readings differ; empty when it is borne out. */
export interface Discrepancy {
  readonly term: string;
  readonly what: 'value' | 'readings' | 'valid' | 'holds' | 'term';
  readonly stored: number | boolean | null;
  readonly recomputed: number | boolean | null;
}

/** Reads the readings of a datastream in [fromMs, toMs) of event time. */
export type ReadSeries = (datastreamId: number, fromMs: number, toMs: number) => Promise<readonly Reading[]>;

const TOLERANCE = 1e-9;

/**
 * Recomputes every term of an explanation from the readings, without any of the code that raised the warning.
 * Readings that arrived after `asOf` are left out: nobody could know them.
 */
export async function verifyExplanation(explanation: Explanation, readSeries: ReadSeries): Promise<Discrepancy[]> {
  const found: Discrepancy[] = [];
  for (const term of explanation.terms) found.push(...(term.comparison === 'silent' ? await verifySilence(term, readSeries) : await verifyTerm(term, Date.parse(explanation.asOf), readSeries)));
  return found;
}

async function verifyTerm(term: ExplanationTerm, asOfMs: number, readSeries: ReadSeries): Promise<Discrepancy[]> {
  const parsed = parseTerm(term.text);
  if (parsed === null) return [{ term: term.text, what: 'term', stored: null, recomputed: null }];
  const [fromMs, toMs] = [Date.parse(term.from), Date.parse(term.to)];
  const readings = (await readSeries(term.datastreamId, fromMs, parsed.fn === 'age' ? fromMs + 1 : toMs)).filter((reading) => reading.arrivalMs <= asOfMs);
  const sorted = [...readings].sort((a, b) => a.phenomenonMs - b.phenomenonMs || (a.value ?? -Infinity) - (b.value ?? -Infinity));
  const counted = parsed.fn === 'now' || parsed.fn === 'age' ? sorted.slice(-1) : sorted;
  const values = counted.filter((reading) => reading.valid && reading.value !== null).map((reading) => reading.value as number);
  const value = parsed.fn === 'age' ? (counted.length === 0 ? null : (toMs - 1 - (counted[0] as Reading).phenomenonMs) / 1_000) : recompute(parsed.fn, values);
  const differs: Discrepancy[] = [];
  const compare = (what: Discrepancy['what'], stored: number | boolean | null, recomputed: number | boolean | null): void => {
    if (!isClose(stored, recomputed)) differs.push({ term: term.text, what, stored, recomputed });
  };
  compare('value', term.value, value);
  compare('readings', term.readings, counted.length);
  compare('valid', term.valid, values.length);
  if (term.comparison !== null && term.comparison !== 'silent' && term.limit !== null && term.value !== null && !isClose(term.value, term.limit)) compare('holds', term.holds, value !== null && COMPARE[term.comparison](value, term.limit));
  return differs;
}

const COMPARE: Readonly<Record<Comparator, (a: number, b: number) => boolean>> = { '>': (a, b) => a > b, '>=': (a, b) => a >= b, '<': (a, b) => a < b, '<=': (a, b) => a <= b, '==': (a, b) => a === b, '!=': (a, b) => a !== b };

function recompute(fn: SeriesTerm['fn'], values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const [first, last] = [values[0] as number, values.at(-1) as number];
  switch (fn) {
    case 'mean':
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    case 'min':
      return values.reduce((least, value) => Math.min(least, value));
    case 'max':
      return values.reduce((greatest, value) => Math.max(greatest, value));
    case 'rise':
      return last - first;
    default:
      return last;
  }
}

const isClose = (a: number | boolean | null, b: number | boolean | null): boolean => (typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b)) : a === b);

/** A reading that arrived inside the silence refutes it; its event time may lie a day before. */
async function verifySilence(term: ExplanationTerm, readSeries: ReadSeries): Promise<Discrepancy[]> {
  const [fromMs, toMs] = [Date.parse(term.from), Date.parse(term.to)];
  const readings = await readSeries(term.datastreamId, fromMs - 86_400_000, toMs + 86_400_000);
  const heard = readings.filter((reading) => reading.arrivalMs > fromMs && reading.arrivalMs < toMs).length;
  const differs: Discrepancy[] = [];
  if (heard > 0) differs.push({ term: term.text, what: 'readings', stored: term.readings, recomputed: heard });
  const silence_s = (toMs - fromMs) / 1_000;
  if (!isClose(term.value, silence_s)) differs.push({ term: term.text, what: 'value', stored: term.value, recomputed: silence_s });
  if (term.holds !== (silence_s >= (term.limit ?? Infinity))) differs.push({ term: term.text, what: 'holds', stored: term.holds, recomputed: silence_s >= (term.limit ?? Infinity) });
  return differs;
}
