import { z } from 'zod';
import { Instant } from './common.ts';

/** One entry of the register of purposes (GDPR art. 30); the register is the configuration of the gate. */
export const Purpose = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{1,62}$/, 'Use small letters, digits and hyphens.'),
  title: z.string().min(3).max(200),
  /** What it is for, in plain words. */
  description: z.string().min(10).max(2_000),
  legal_basis: z.string().min(3).max(500),
  owner: z.string().min(3).max(200),
  retention_days: z.number().int().min(1).max(36_500),
  ends: z.iso.date().nullable().default(null),
  personal_data: z.boolean().default(false),
  /** Kinds of observed properties that may be collected; empty means none. */
  observes: z.array(z.string().max(100)).max(200).default([]),
});
export type Purpose = z.infer<typeof Purpose>;

/** GET /api/purposes: public. */
export const PurposeRegister = z.object({
  version: z.number().int(),
  since: Instant,
  /** SHA-256 of the canonical register, hex. */
  hash: z.string(),
  purposes: z.array(Purpose.extend({ datastreams: z.number().int(), refused: z.number().int() })),
});
export type PurposeRegister = z.infer<typeof PurposeRegister>;

/** A resident's view of one access to their data. */
export const Look = z.object({
  index: z.number().int().describe('Leaf index in the transparency log'),
  at: Instant,
  position: z.string(),
  pseudonym: z.string(),
  purpose: z.string(),
  reason: z.string(),
  fields: z.array(z.string()),
});
export type Look = z.infer<typeof Look>;

/** POST /api/requests/{id}/contact: purpose and reason come first, the look is durable before the answer. */
export const LookRequest = z.strictObject({ purpose: z.string().min(1).max(63), reason: z.string().trim().min(5, 'Give a reason; the resident will read it.').max(500) });

/** GET /api/log: for the public page. */
export const LogStatus = z.object({
  origin: z.string(),
  size: z.number().int(),
  root: z.string().describe('base64'),
  checkpointAt: Instant.nullable(),
  vkey: z.string().describe('note verifier key'),
  looks: z.number().int(),
});
export type LogStatus = z.infer<typeof LogStatus>;

/** GET /api/gate: public counts of refusals. */
export const GateCounts = z.object({ since: Instant, refused: z.array(z.object({ code: z.string(), purpose: z.string(), count: z.number().int() })), admitted: z.number().int() });
export type GateCounts = z.infer<typeof GateCounts>;
