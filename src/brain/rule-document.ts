import { LineCounter, isMap, isNode, isScalar, isSeq, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { Severity } from '../contracts/common.ts';
import { parseDurationMs } from './durations.ts';
import { findNearest } from './spelling.ts';

const DOCUMENT_CHARS = 262_144;
const RULES_MAX = 1_000;
const CURE_DURATION = 'Write a number and s, m, h or d, such as 30s, 10m, 1h.';

const duration = z
  .string(CURE_DURATION)
  .max(20)
  .transform((text, context) => {
    const duration_ms = parseDurationMs(text);
    if (duration_ms === null) context.addIssue({ code: 'custom', message: `"${text}" is not a duration. ${CURE_DURATION}` });
    return duration_ms ?? 0;
  })
  .refine((duration_ms) => duration_ms <= 31 * 86_400_000, 'At most 31 days.');

const share = z
  .string('Write a percentage, such as 75%.')
  .regex(/^(100|\d{1,2})(\.\d{1,2})?%$/, 'Write a percentage, such as 75%.')
  .transform((text) => Number(text.slice(0, -1)) / 100)
  .refine((valid) => valid <= 1, 'At most 100%.');

const id = (what: string) => z.string(`Give ${what}.`).regex(/^[a-z][a-z0-9-]{1,62}$/, `Write ${what} in small letters, digits and hyphens, such as river-high.`);
const key = (what: string) => z.string(`Name ${what}.`).regex(/^[a-z][a-z0-9_]{0,62}$/, `Write ${what} in small letters, digits and underscores, such as pm25.`);
const words = (what: string, max: number) => z.string(`Give ${what}.`).trim().min(3, `Give ${what}, at least 3 characters.`).max(max, `At most ${String(max)} characters.`);
const condition = z.string('Write a condition, such as level.now() > m(2.5).').trim().min(1, 'Write a condition.');
const notBuilt = (trigger: string) => z.unknown().refine((value) => value === undefined, `The trigger ${trigger} is not built yet. Use when or silent.`);

const Expected = z.enum(['ok', 'pending', 'warning', 'clearing', 'unknown'], 'Expect ok, pending, warning, clearing or unknown.');
const timed = <T extends z.ZodType>(value: T) => z.record(z.string().refine((at) => parseDurationMs(at) !== null, CURE_DURATION), value);

/** One case that runs whenever the rule loads: readings by series and time since the start, and what must follow. */
const RuleCase = z.strictObject({
  /** Seconds between readings in the case, for staleness. Default 15m. */
  interval: duration.refine((interval_ms) => interval_ms >= 1_000 && interval_ms <= 86_400_000, 'At least 1s and at most 1d.').default(900_000),
  given: z.record(z.string(), timed(z.union([z.number(), z.literal('bad')]))),
  expect: timed(Expected),
});
export type RuleCase = z.infer<typeof RuleCase>;

/** The rule document. Unknown keys are refused. Defaults stand here and in docs/reference/rules.md. */
const RuleShape = z.strictObject({
  rule: id('the id of the rule'),
  title: words('a title that people read in the queue', 120),
  why: words('why the city wants this warning', 1_000),
  owner: words('who answers for the rule: an office or a position', 200),
  purpose: id('the id of a purpose of the register'),
  watch: z.strictObject({
    observe: key('the observed property'),
    at: key('the kind of place'),
    /** Only for properties whose unit is not known here. */
    unit: z.string().max(20).optional(),
    /** name → `property` at the same place, or `nearest(property)`. */
    with: z.record(key('the further series'), z.string().regex(/^(?:[a-z][a-z0-9_]*|nearest\([a-z][a-z0-9_]*\))$/, 'Write a property at the same place, such as no2, or nearest(rain).')).default({}),
  }),
  when: condition.optional(),
  silent: duration.refine((silent_ms) => silent_ms >= 10_000, 'At least 10s.').optional(),
  cluster: notBuilt('cluster').optional(),
  missing: notBuilt('missing').optional(),
  /** How long the condition must hold. */
  for: duration.default(0),
  /** When it is over; default: as soon as `when` does not hold. */
  clear: condition.optional(),
  clear_for: duration.default(0),
  quality: z.strictObject({ valid: share.default(0.75) }).default({ valid: 0.75 }),
  severity: Severity,
  group: z.strictObject({ by: z.literal('place', 'Only `place` is built: the same rule at the same place joins an open incident.') }).default({ by: 'place' }),
  /** Rules whose standing warning at the same place holds this one back. */
  inhibited_by: z.array(id('the id of a rule')).max(20).default([]),
  playbook: id('the id of a playbook').nullable().default(null),
  /** What the operator should know, in a sentence. */
  message: words('a message', 500).nullable().default(null),
  tests: z.array(RuleCase).max(20).default([]),
});
export type RuleDocument = z.infer<typeof RuleShape>;

/** Where a rule is wrong: rule, key, line of the file, and what to do. */
export interface RuleFault {
  /** Id of the rule, or its number in the list. */
  readonly rule: string;
  /** Key inside the rule, such as `watch.observe`; empty for the rule as a whole. */
  readonly key: string;
  /** Line in the document, counted from 1. */
  readonly line: number;
  /** What is wrong and the cure, one sentence each; for conditions also the line with a caret under the place. */
  readonly detail: string;
}

export interface ParsedDocument {
  readonly document: RuleDocument;
  /** As written, for the version table and the console. */
  readonly source: string;
  /** Line of a key of this rule in the file. */
  readonly lineOf: (path: readonly (string | number)[]) => number;
}

/**
 * Reads a YAML list of rule documents (or a single one). Answers those that have the right shape and every fault of the
 * others, each with its line; conditions are not looked at here.
 */
export function parseRuleDocuments(yaml: string): { readonly rules: readonly ParsedDocument[]; readonly faults: readonly RuleFault[] } {
  const fault = (rule: string, keyName: string, line: number, detail: string): RuleFault => ({ rule, key: keyName, line, detail });
  if (yaml.length > DOCUMENT_CHARS) return { rules: [], faults: [fault('', '', 1, `The document is longer than ${String(DOCUMENT_CHARS)} characters. Split it.`)] };
  const lines = new LineCounter();
  const tree = parseDocument(yaml, { lineCounter: lines, prettyErrors: false });
  const broken = tree.errors[0];
  if (broken !== undefined) return { rules: [], faults: [fault('', '', lines.linePos(broken.pos[0]).line, `This is not well-formed YAML: ${broken.message} Correct it here.`)] };
  if (tree.contents === null) return { rules: [], faults: [] };
  const single = isMap(tree.contents);
  if (!single && !isSeq(tree.contents)) return { rules: [], faults: [fault('', '', 1, 'The document is no list of rules. Begin each rule with `- rule: its-id`.')] };
  const content: unknown = tree.toJS({ maxAliasCount: 20 });
  const items = (single ? [content] : content) as unknown[];
  if (items.length > RULES_MAX) return { rules: [], faults: [fault('', '', 1, `The document has more than ${String(RULES_MAX)} rules. Split it.`)] };

  const rules: ParsedDocument[] = [];
  const faults: RuleFault[] = [];
  const seen = new Set<string>();
  items.forEach((item, at) => {
    const base = single ? [] : [at];
    const lineOf = (path: readonly (string | number)[]): number => lineAt(tree, lines, [...base, ...path]);
    const name = nameOf(item, at);
    const parsed = RuleShape.safeParse(item, { reportInput: true });
    if (!parsed.success) {
      for (const issue of parsed.error.issues.slice(0, 20)) faults.push(...faultsOf(issue, name, lineOf));
      return;
    }
    const triggers = (['when', 'silent'] as const).filter((trigger) => parsed.data[trigger] !== undefined);
    if (triggers.length !== 1) faults.push(fault(name, triggers[1] ?? '', lineOf(triggers.slice(1)), triggers.length === 0 ? 'The rule has no trigger. Add `when:` with a condition or `silent:` with a duration.' : 'The rule has two triggers. Keep when or silent.'));
    else if (seen.has(name)) faults.push(fault(name, 'rule', lineOf(['rule']), `Another rule is called ${name} already. Give this one its own id.`));
    else rules.push({ document: parsed.data, source: sourceOf(tree, yaml, base), lineOf });
    seen.add(name);
  });
  return { rules, faults };
}

const nameOf = (item: unknown, at: number): string => {
  const written = typeof item === 'object' && item !== null ? (item as { rule?: unknown }).rule : undefined;
  return typeof written === 'string' && written !== '' ? written.slice(0, 63) : `number ${String(at + 1)}`;
};

function faultsOf(issue: z.core.$ZodIssue, rule: string, lineOf: (path: readonly (string | number)[]) => number): RuleFault[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((unknown) => {
      const known = path.length === 0 ? Object.keys(RuleShape.shape) : path[0] === 'watch' ? ['observe', 'at', 'unit', 'with'] : path[0] === 'quality' ? ['valid'] : path[0] === 'tests' ? ['interval', 'given', 'expect'] : ['by'];
      const guess = findNearest(unknown, known);
      return { rule, key: [...path, unknown].join('.'), line: lineOf([...path, unknown]), detail: `The key ${unknown} is not known here. ${guess === null ? `Known keys are ${known.join(', ')}.` : `Did you mean ${guess}?`}` };
    });
  }
  const missing = 'input' in issue && issue.input === undefined;
  const allowed = issue.code === 'invalid_value' && issue.message.startsWith('Invalid') ? `Use one of ${issue.values.map(String).join(', ')}.` : issue.message.startsWith('Invalid') ? `${issue.message}.` : issue.message;
  const name = path.join('.') || 'rule';
  return [{ rule, key: path.join('.'), line: lineOf(path), detail: missing ? `The key ${name} is missing. ${allowed}` : `The value of ${name} is not valid. ${allowed}` }];
}

/** Line of the deepest part of `path` that exists. */
function lineAt(tree: Document.Parsed, lines: LineCounter, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const sub = path.slice(0, depth);
    const parent = depth === 0 ? null : tree.getIn(sub.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((each) => isScalar(each.key) && String(each.key.value) === String(sub.at(-1)));
      if (pair !== undefined && isNode(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
      continue;
    }
    const node = depth === 0 ? tree.contents : tree.getIn(sub, true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function sourceOf(tree: Document.Parsed, yaml: string, base: readonly number[]): string {
  const node = base.length === 0 ? tree.contents : tree.getIn(base, true);
  return isNode(node) && node.range ? yaml.slice(node.range[0], node.range[1]).trimEnd() : yaml;
}
