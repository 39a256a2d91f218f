import { compileCondition, printCaret, type Condition } from './cel.ts';
import { runRuleCases } from './rule-cases.ts';
import { parseRuleDocuments, type ParsedDocument, type RuleDocument, type RuleFault } from './rule-document.ts';
import { printSentence } from './sentence.ts';
import { NUMBER, UNITS, unitOfProperty, unitOfSymbol, type Unit } from './units.ts';
import { ALLOWED_LATENESS_MS } from './windows.ts';

/** A series that a rule looks at beside the one that it watches. */
export interface Companion {
  readonly name: string;
  readonly property: string;
  readonly unit: Unit;
  /** False: the stream of the same place. True: the nearest stream in the city. */
  readonly nearest: boolean;
}

/** A rule that has passed every check and can be bound to places. */
export interface Rule {
  readonly document: RuleDocument;
  readonly source: string;
  readonly id: string;
  readonly unit: Unit;
  readonly companions: readonly Companion[];
  /** Exactly one of the two. */
  readonly when: Condition | null;
  readonly silent_ms: number | null;
  readonly clear: Condition | null;
  /** How far back a restart reads to know what the rule knew. */
  readonly history_ms: number;
  readonly window_ms: number;
  readonly usesAge: boolean;
  readonly sentence: string;
}

/** The part of the register of purposes that rules need. */
export interface PurposeRegister {
  get: (id: string) => object | undefined;
  /** Whether data for this purpose may flow now. */
  live: (id: string) => boolean;
}

/** Reads, checks and compiles rule documents. Either all rules stand or the faults say why not. */
export function loadRules(yaml: string, purposes: PurposeRegister): { readonly rules: readonly Rule[]; readonly faults: readonly RuleFault[] } {
  const parsed = parseRuleDocuments(yaml);
  const faults: RuleFault[] = [...parsed.faults];
  const rules: Rule[] = [];
  const ids = new Set(parsed.rules.map((each) => each.document.rule));
  for (const each of parsed.rules) {
    const own: RuleFault[] = [];
    const rule = compileRule(each, purposes, ids, own);
    if (rule !== null) own.push(...runRuleCases(rule, each.lineOf));
    if (rule !== null && own.length === 0) rules.push(rule);
    faults.push(...own);
  }
  return { rules, faults };
}

function compileRule(parsed: ParsedDocument, purposes: PurposeRegister, ids: ReadonlySet<string>, faults: RuleFault[]): Rule | null {
  const { document, source } = parsed;
  const report = (path: readonly string[], detail: string): null => {
    faults.push({ rule: document.rule, key: path.join('.'), line: parsed.lineOf(path), detail });
    return null;
  };
  if (purposes.get(document.purpose) === undefined) report(['purpose'], `The purpose ${document.purpose} is not in the register. Use an id of the register, or enter the purpose there first.`);
  for (const other of document.inhibited_by) {
    if (!ids.has(other) || other === document.rule) report(['inhibited_by'], `There is no other rule ${other} here. Name rules of this document; planned work and other causes are not built yet.`);
  }
  const unit = unitOfWatch(document);
  if (unit === null) return report(document.watch.unit === undefined ? ['watch', 'observe'] : ['watch', 'unit'], unitCure(document));
  const companions: Companion[] = [];
  for (const [name, written] of Object.entries(document.watch.with)) {
    const property = /^nearest\((\w+)\)$/.exec(written)?.[1];
    const companion = unitOfProperty(property ?? written);
    if (name === document.watch.observe) report(['watch', 'with', name], `${name} is what the rule watches already. Give the further series another name.`);
    else if (companion === undefined) report(['watch', 'with', name], `The unit of ${property ?? written} is not known here. Use a property that docs/reference/rules.md lists.`);
    else companions.push({ name, property: property ?? written, unit: companion, nearest: property !== undefined });
  }
  const series = new Map([[document.watch.observe, unit], ...companions.map((each) => [each.name, each.unit] as const)]);
  const compile = (key: 'when' | 'clear'): Condition | null => {
    const text = document[key];
    if (text === undefined) return null;
    const compiled = compileCondition(text, series);
    if (compiled.ok) return compiled.condition;
    const { start, message, cure } = compiled.problem;
    return report([key], `Column ${String(start + 1)} of ${key}: ${message}. ${cure}\n${printCaret(text, start)}`);
  };
  const when = compile('when');
  const clear = compile('clear');
  if (document.silent !== undefined) refuseBesideSilent(document, report);
  if (faults.length > 0) return null;
  const terms = [...(when?.terms ?? []), ...(clear?.terms ?? [])];
  const window_ms = Math.max(0, ...terms.map((term) => term.window_ms));
  return {
    document, source, id: document.rule, unit, companions, when, clear,
    silent_ms: document.silent ?? null,
    window_ms,
    history_ms: window_ms + Math.max(document.for, document.clear_for) + 2 * ALLOWED_LATENESS_MS,
    usesAge: terms.some((term) => term.fn === 'age'),
    sentence: printSentence(document, when, clear),
  };
}

function unitOfWatch({ watch }: RuleDocument): Unit | null {
  const known = unitOfProperty(watch.observe);
  if (watch.unit === undefined) return known ?? null;
  const written = unitOfSymbol(watch.unit);
  return written === undefined || (known !== undefined && known !== written) ? null : written;
}

function unitCure({ watch }: RuleDocument): string {
  const symbols = [NUMBER, ...UNITS].map((each) => each.symbols[0]).join(', ');
  const known = unitOfProperty(watch.observe);
  if (watch.unit === undefined) return `The unit of ${watch.observe} is not known here. Add watch.unit with one of ${symbols}, as the datastreams are registered.`;
  return known === undefined ? `${watch.unit} is not a unit here. Use one of ${symbols}.` : `${watch.observe} is measured in ${known.symbols[0] ?? ''} here. Leave watch.unit out.`;
}

function refuseBesideSilent(document: RuleDocument, report: (path: readonly string[], detail: string) => null): void {
  if (document.clear !== undefined) report(['clear'], 'A silent rule clears when readings come back. Leave clear out; clear_for may say how long they must have come.');
  if (document.for > 0) report(['for'], 'silent carries its own duration. Leave for out and lengthen silent instead.');
  if (Object.keys(document.watch.with).length > 0) report(['watch', 'with'], 'A silent rule watches one series. Leave with out.');
}
