import { z } from 'zod';
import { Instant } from './common.ts';
import { Incident, LogEntry } from './incident.ts';
import { Feed, StreamState } from './place.ts';

/**
 * GET /live, Server-Sent Events. `event:` is the kind, `data:` JSON. Durable kinds carry `id:` = bus position, so that
 * Last-Event-ID (or `?after=`) resumes without a gap. A client that lags too far gets `resync` and reads the pictures again.
 */
export const LiveIncident = z.object({ incident: Incident, entry: LogEntry });
export type LiveIncident = z.infer<typeof LiveIncident>;
/** Coalesced per stream, at most four frames a second. */
export const LiveReadings = z.object({ asOf: Instant, streams: z.array(StreamState.extend({ placeId: z.number().int() })) });
export type LiveReadings = z.infer<typeof LiveReadings>;
export const LiveFeeds = z.object({ feeds: z.array(Feed) });
/** Every 15 s, and at once after opening. Two missed beats make the page visibly stale. */
export const LiveHeartbeat = z.object({ now: Instant, seq: z.number().int() });
export const LiveResync = z.object({ reason: z.string() });
export const LIVE_KINDS = ['incident', 'readings', 'feeds', 'heartbeat', 'resync'] as const;
