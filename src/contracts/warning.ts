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
