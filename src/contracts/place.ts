import { z } from 'zod';
import { Instant, LonLat } from './common.ts';
import { FeedHealth } from './feed.ts';
import { RuleState } from './warning.ts';

/** Latest value of one datastream; `stale` when older than four times its expected interval, and at least 2 min. */
export const StreamState = z.object({
  id: z.number().int().describe('Datastream id'),
  property: z.string().describe('Key of the observed property, such as pm25'),
  label: z.string(),
  unit: z.string(),
  /** Null when it is not a number or nothing came yet. */
  value: z.number().nullable(),
  at: Instant.nullable(),
  stale: z.boolean(),
  state: RuleState,
});
export type StreamState = z.infer<typeof StreamState>;

/** A Thing with a Location, as the map shows it. */
export const PlaceState = z.object({
  id: z.number().int().describe('Thing id'),
  name: z.string(),
  kind: z.string().describe('properties.kind of the Thing, such as river_gauge'),
  point: LonLat,
  /** Worst of its streams. */
  state: RuleState,
  stale: z.boolean(),
  streams: z.array(StreamState),
});
export type PlaceState = z.infer<typeof PlaceState>;

/** GET /api/places[?at=] */
export const Places = z.object({ asOf: Instant, places: z.array(PlaceState) });
export type Places = z.infer<typeof Places>;

/** GET /api/datastreams/{id}/readings?from=&to=  At most 5,000 points; longer spans come as means of equal windows. */
export const Readings = z.object({
  datastreamId: z.number().int(),
  unit: z.string(),
  label: z.string(),
  /** [milliseconds since 1970, value] */
  points: z.array(z.tuple([z.number(), z.number().nullable()])),
  window_ms: z.number().int().describe('0 when the points are raw readings'),
});
export type Readings = z.infer<typeof Readings>;

/** GET /api/feeds: the feed health strip, one entry a kind of place. */
export const Feed = z.object({
  id: z.string(),
  label: z.string(),
  streams: z.number().int(),
  stale: z.number().int(),
  /** Age of the newest reading. */
  age_s: z.number().nullable(),
  per_minute: z.number(),
  refused: z.number().int().describe('Readings refused by the gate since start'),
  state: z.enum(['live', 'late', 'stale', 'empty']),
});
export type Feed = z.infer<typeof Feed>;
/** `feeds` by kind of place, `sources` by the entry of city/feeds.yaml. */
export const Feeds = z.object({ asOf: Instant, feeds: z.array(Feed), sources: z.array(FeedHealth) });
export type Feeds = z.infer<typeof Feeds>;
