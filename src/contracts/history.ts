import { z } from 'zod';
import { Instant } from './common.ts';

export const HISTORY_STEPS = ['raw', 'minute', 'hour', 'day'] as const;
export const HistoryStep = z.enum(HISTORY_STEPS);
export type HistoryStep = z.infer<typeof HistoryStep>;

/** GET /api/history/datastreams/{id}?from&to&step&timeZone: readings with from <= phenomenonTime < to. */
export const HistoryQuery = z.strictObject({
  from: Instant,
  to: Instant,
  step: HistoryStep.default('hour'),
  /** IANA name; days begin at its midnight, so that one has 23 and one has 25 hours where clocks change. */
  timeZone: z.string().max(64).default('UTC'),
});

/** The valid numbers of one step; a step without any is absent. */
export const HistoryBucket = z.object({
  from: Instant,
  to: Instant,
  n: z.number().int(),
  sum: z.number(),
  mean: z.number(),
  min: z.number(),
  max: z.number(),
  first: z.number(),
  last: z.number(),
});
export type HistoryBucket = z.infer<typeof HistoryBucket>;

export const HistorySeries = z.object({
  datastreamId: z.number().int(),
  unit: z.string(),
  step: HistoryStep,
  timeZone: z.string(),
  buckets: z.array(HistoryBucket),
  /** Only with step=raw; value is null for what is no number. */
  readings: z.array(z.object({ at: Instant, value: z.number().nullable(), valid: z.boolean() })),
  /** With step=raw: ask again from here; null when that was all. */
  next: Instant.nullable(),
});
export type HistorySeries = z.infer<typeof HistorySeries>;

/** GET /api/latest?datastreams=1,2: the newest reading of each datastream, of all without the question; from memory. */
export const LatestQuery = z.strictObject({ datastreams: z.string().regex(/^\d{1,15}(?:,\d{1,15}){0,999}$/, 'Name up to 1,000 ids with commas between them.').optional() });
export const LatestReadings = z.object({
  asOf: Instant,
  /** Datastreams without a reading are absent. */
  readings: z.array(z.object({ datastreamId: z.number().int(), at: Instant, value: z.number().nullable().describe('Null for what is no number'), valid: z.boolean() })),
});
export type LatestReadings = z.infer<typeof LatestReadings>;

/** GET /api/history: what is kept, by purpose. */
export const HistoryOverview = z.object({
  /** All readings, now. */
  observations: z.number().int(),
  /** When the figures by purpose were counted. */
  asOf: Instant,
  purposes: z.array(
    z.object({
      purpose: z.string(),
      retentionDays: z.number().int().nullable(),
      observations: z.number().int(),
      sealedObservations: z.number().int(),
      oldest: Instant.nullable(),
      /** On the disk with indexes; the share of the purpose by readings. */
      bytes: z.number().int(),
      sealedBytes: z.number().int(),
      /** When the oldest day goes; null when there is none. */
      nextDeletion: Instant.nullable(),
    }),
  ),
});
export type HistoryOverview = z.infer<typeof HistoryOverview>;

/** GET /api/history/days: the sealed days. `logIndex` is the leaf of the transparency log with the hash. */
export const SealedDays = z.object({
  days: z.array(z.object({ day: z.iso.date(), observations: z.number().int(), bytes: z.number().int(), sha256: z.string(), sealedAt: Instant, logIndex: z.number().int().nullable(), changed: z.boolean() })),
});
export type SealedDays = z.infer<typeof SealedDays>;

/** GET /api/history/days/2026-10-01.json: SHA-256(nonce ‖ body) is `commit` of the leaf at `index`, and the body names the hash of the CSV. */
export const SealedDayProof = z.object({
  day: z.iso.date(),
  sha256: z.string(),
  leaf: z.object({ index: z.number().int(), nonce: z.string().describe('hex'), body: z.string() }).nullable(),
});
export type SealedDayProof = z.infer<typeof SealedDayProof>;

/** GET /api/history/observations/{id}/corrections: what it was, oldest first. */
export const ObservationCorrections = z.object({
  observationId: z.number().int(),
  corrections: z.array(
    z.object({
      at: Instant.describe('When it was corrected'),
      pseudonym: z.string().describe('Who corrected it'),
      phenomenonTime: Instant,
      phenomenonEnd: Instant.nullable(),
      resultTime: Instant.nullable(),
      /** JSON text exactly as it was sent. */
      result: z.string(),
      valid: z.boolean(),
    }),
  ),
});
export type ObservationCorrections = z.infer<typeof ObservationCorrections>;

/** GET /api/export/observations.{csv,parquet,geojson} */
export const ExportQuery = z.strictObject({
  datastreams: z
    .string()
    .regex(/^\d{1,15}(?:,\d{1,15}){0,999}$/, 'Name up to 1,000 ids with commas between them.')
    .optional(),
  from: Instant.optional(),
  to: Instant.optional(),
});
