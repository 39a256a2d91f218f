import { z } from 'zod';
import { Instant } from './common.ts';
import { LookWay } from './trust.ts';

export const LookRule = z.object({ id: z.string(), threshold: z.number().int(), text: z.string() });
export type LookRule = z.infer<typeof LookRule>;

/** Looks that met a published rule: a question to a person, never a judgement of one. */
export const LookAlert = z.object({
  rule: z.string(),
  day: z.string(),
  pseudonyms: z.array(z.string()),
  count: z.number().int(),
  looks: z.array(z.object({ index: z.number().int(), at: Instant, requestId: z.string(), via: LookWay, pseudonym: z.string() })).describe('At most 50'),
});
export type LookAlert = z.infer<typeof LookAlert>;

/** GET /api/looks/figures?from=&to=: for the data protection officer and the auditor. */
export const LookFigures = z.object({
  from: Instant,
  to: Instant,
  looks: z.number().int(),
  /** Looks in the log that have no line here, such as after a crash between log and figures; they stand on the residents' pages all the same. */
  withoutDetails: z.number().int(),
  /** False when there were more looks than are counted at once; choose a shorter time. */
  complete: z.boolean(),
  rows: z.array(z.object({ day: z.string(), pseudonym: z.string(), department: z.string(), position: z.string(), purpose: z.string(), via: LookWay, looks: z.number().int(), requests: z.number().int() })),
  rules: z.array(LookRule),
  alerts: z.array(LookAlert),
});
export type LookFigures = z.infer<typeof LookFigures>;

/** GET /api/looks/sealed: public. */
export const SealedCounts = z.object({
  /** Sealed looks made in each quarter (UTC), how many of them are still closed, and how many extensions were made. */
  quarters: z.array(z.object({ quarter: z.string(), made: z.number().int(), extended: z.number().int(), closed: z.number().int() })),
});
export type SealedCounts = z.infer<typeof SealedCounts>;

/** GET /api/looks/sealed/entries: each by its entry in the log, without its case. */
export const SealedEntries = z.object({
  entries: z.array(z.object({ index: z.number().int(), at: Instant, until: Instant, told: z.boolean().describe('Whether the resident has been told'), extensions: z.number().int() })),
});
export type SealedEntries = z.infer<typeof SealedEntries>;

/** POST /api/looks/disclosures: asks that a pseudonym be named; another person has to agree. */
export const DisclosureRequest = z.strictObject({ pseudonym: z.string().min(1).max(100), reason: z.string().trim().min(10).max(500) });
/** POST /api/looks/disclosures/{approval} */
export const Disclosure = z.object({ pseudonym: z.string(), name: z.string() });
export type Disclosure = z.infer<typeof Disclosure>;

/** POST /api/looks/sealed/{index}/extension/proposals: `index` is the entry of the sealed look in the log. */
export const ExtensionProposal = z.strictObject({ until: z.iso.date(), reason: z.string().trim().min(10).max(500) });
/** POST /api/looks/sealed/{index}/extension */
export const ExtensionRequest = z.strictObject({ until: z.iso.date(), approval: z.string().min(1).max(64) });
