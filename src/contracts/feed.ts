import { z } from 'zod';
import { Instant } from './common.ts';

/** Where and why something of a feed was not taken; content is never repeated. */
export const FeedRefusal = z.object({ at: z.string(), code: z.string(), detail: z.string() });
export type FeedRefusal = z.infer<typeof FeedRefusal>;

/** POST /api/feeds/{name}: what became of one document. All that counts as taken is durable. */
export const FeedAnswer = z.object({
  taken: z.number().int(),
  duplicate: z.number().int().describe('Readings that were stored before'),
  /** The first 100. */
  refused: z.array(FeedRefusal),
  refused_count: z.number().int(),
});
export type FeedAnswer = z.infer<typeof FeedAnswer>;

export const FEED_STATES = ['live', 'late', 'stale', 'waiting', 'failing', 'paused', 'off', 'broken'] as const;

/** Health of one feed of city/feeds.yaml. */
export const FeedHealth = z.object({
  name: z.string(),
  adapter: z.string(),
  /** What the adapter is called for people. */
  title: z.string(),
  purpose: z.string(),
  /**
   * live: younger than 2 intervals · late: than 3 · stale: older · waiting: nothing came yet · failing: the last attempt
   * failed and nothing is younger than 3 intervals · paused: by a person · off: enabled is false · broken: wrong in feeds.yaml
   */
  state: z.enum(FEED_STATES),
  interval_s: z.number(),
  takes: z.object({ pull: z.boolean(), webhook: z.boolean(), topics: z.array(z.string()) }),
  last_success_at: Instant.nullable(),
  age_s: z.number().nullable(),
  next_run_at: Instant.nullable(),
  running: z.boolean(),
  per_minute: z.number().describe('Readings taken, over the last minute'),
  taken: z.number().int(),
  duplicate: z.number().int(),
  ignored: z.number().int().describe('Values that nobody asked for, such as signal strength, since the start'),
  places: z.number().int(),
  series: z.number().int(),
  refused: z.array(z.object({ code: z.string(), count: z.number().int(), last_at: Instant, at: z.string(), cure: z.string() })),
  /** The last attempt, when it failed. */
  error: z.object({ at: Instant, code: z.string(), detail: z.string(), field: z.string().nullable(), cure: z.string() }).nullable(),
});
export type FeedHealth = z.infer<typeof FeedHealth>;

/** GET /api/feeds/setup: what the page needs beside the health. */
export const FeedSetup = z.object({
  /** What is wrong with city/feeds.yaml as a whole; then no feed runs. */
  problem: z.string().nullable(),
  egress: z.array(z.string()),
  adapters: z.array(z.object({ kind: z.string(), title: z.string(), pull: z.boolean(), push: z.boolean(), example: z.string() })),
});
export type FeedSetup = z.infer<typeof FeedSetup>;
