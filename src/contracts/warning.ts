import { z } from 'zod';
import { Instant, LonLat, Severity } from './common.ts';

/** A rule's state at one place; UNKNOWN never resolves a warning. */
export const RULE_STATES = ['ok', 'pending', 'warning', 'clearing', 'unknown'] as const;
export const RuleState = z.enum(RULE_STATES);
export type RuleState = z.infer<typeof RuleState>;

/** One term of a rule's condition with what it was at the time, recomputable from the readings it names. */
export const ExplanationTerm = z.object({
  /** The term as written in the rule, such as `level.rise("1h")`. */
  text: z.string(),
  value: z.number().nullable(),
  unit: z.string(),
  /** What it was compared with, in the same unit; null when it stands alone. */
  limit: z.number().nullable(),
  comparison: z.enum(['>', '>=', '<', '<=', '==', '!=', 'silent']).nullable(),
  holds: z.boolean(),
  datastreamId: z.number().int(),
  /** Window of the readings, [from, to). */
  from: Instant,
  to: Instant,
  readings: z.number().int(),
  valid: z.number().int(),
});
export type ExplanationTerm = z.infer<typeof ExplanationTerm>;

export const Explanation = z.object({
  /** One plain sentence, generated. */
  sentence: z.string(),
  rule: z.object({ id: z.string(), version: z.number().int(), owner: z.string(), condition: z.string() }),
  /** Readings that arrived after this are not counted: nobody could know them. */
  asOf: Instant,
  terms: z.array(ExplanationTerm),
});
export type Explanation = z.infer<typeof Explanation>;

export const Warning = z.object({
  id: z.string(),
  ruleId: z.string(),
  title: z.string(),
  severity: Severity,
  /** `warning` or `clearing` while it stands, `ok` once cleared; `unknown` when its data went stale. */
  state: RuleState,
  placeId: z.number().int().describe('Thing id'),
  placeName: z.string(),
  placeKind: z.string(),
  point: LonLat,
  playbook: z.string().nullable(),
  purpose: z.string(),
  /** Event time of the first reading that made the condition hold. */
  since: Instant,
  raisedAt: Instant,
  clearedAt: Instant.nullable(),
  explanation: Explanation,
});
export type Warning = z.infer<typeof Warning>;

/** Bus topics of the brain; the payload is a Warning. */
export const WARNING_TOPICS = ['warning.raised', 'warning.cleared', 'warning.unknown', 'warning.known'] as const;

/** GET /api/warnings?from=&to=: warnings that stood at some time in [from, to), newest first. */
export const Warnings = z.object({ from: Instant, to: Instant, warnings: z.array(Warning) });
export type Warnings = z.infer<typeof Warnings>;

/** One loaded rule document and what it does now. */
export const RuleSummary = z.object({
  id: z.string(),
  title: z.string(),
  why: z.string(),
  owner: z.string(),
  purpose: z.string(),
  severity: Severity,
  version: z.number().int(),
  loadedAt: Instant,
  loadedBy: z.string(),
  /** The rule in plain words, generated from what is evaluated. */
  sentence: z.string(),
  /** The document as written, YAML. */
  document: z.string(),
  watch: z.object({ observe: z.string(), at: z.string(), unit: z.string() }),
  playbook: z.string().nullable(),
  /** Places that it watches. */
  places: z.number().int(),
  /** Places of its kind that it cannot watch, and why; at most 20. */
  notWatched: z.array(z.object({ placeName: z.string(), reason: z.string() })),
  standing: z.number().int(),
  unknown: z.number().int(),
});
export type RuleSummary = z.infer<typeof RuleSummary>;

/** GET /api/rules */
export const Rules = z.object({ rules: z.array(RuleSummary) });
export type Rules = z.infer<typeof Rules>;

/** POST /api/rules/check: a YAML document with one rule or a list. Nothing is stored. */
export const RuleCheckRequest = z.strictObject({ document: z.string().min(1, 'Send the rule document as YAML text.').max(262_144) });

export const RuleCheck = z.object({
  ok: z.boolean(),
  rules: z.array(z.object({ id: z.string(), sentence: z.string(), places: z.number().int() })),
  faults: z.array(z.object({ rule: z.string(), key: z.string(), line: z.number().int(), detail: z.string() })),
});
export type RuleCheck = z.infer<typeof RuleCheck>;
