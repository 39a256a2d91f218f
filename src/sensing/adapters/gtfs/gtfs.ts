import { z } from 'zod';
import { Refused } from '../../../kernel/index.ts';
import type { Adapter, PullContext } from '../adapter.ts';
import { openBatch } from '../batch.ts';
import { addAlerts, type StandingAlerts } from './alerts.ts';
import { addDelays } from './delays.ts';
import { decodeFeed } from './realtime.ts';
import { readSchedule, type Schedule } from './schedule.ts';

const Url = z.url({ protocol: /^https?$/ }).max(2_000);
export const GtfsOptions = z.strictObject({
  /** Address of the GTFS archive (ZIP). */
  schedule: Url,
  /** Addresses of GTFS Realtime messages: trip updates, alerts, or both in one. */
  realtime: z.array(Url).min(1).max(10),
  /** From how many seconds on a trip counts as late. */
  late_s: z.number().int().min(1).max(3_600).default(300),
  /** How long a timetable is used before it is read again. */
  schedule_interval_s: z.number().int().min(300).max(604_800).default(86_400),
  /** For the headers of alerts. */
  language: z.string().min(2).max(35).default('en'),
});
export type GtfsOptions = z.infer<typeof GtfsOptions>;

const SCHEDULE_BYTES = 134_217_728;
const REALTIME_BYTES = 33_554_432;

interface KnownSchedule {
  readonly schedule: Schedule;
  readonly readMs: number;
}

/**
 * Public transport by GTFS and GTFS Realtime 2.0: delays by stop and line as means, trips late and cancelled by line, alerts. Positions
 * of vehicles are counted and refused. Between calls it keeps the timetable and the alerts that stand, one of each an address.
 */
export function createGtfs(): Adapter<GtfsOptions> {
  const schedules = new Map<string, KnownSchedule>(); // one timetable a feed of this city
  const standing = new Map<string, StandingAlerts>(); // the alerts of one message an address
  const scheduleOf = async (options: GtfsOptions, context: PullContext): Promise<Schedule> => {
    const known = schedules.get(options.schedule);
    if (known !== undefined && context.nowMs() - known.readMs < options.schedule_interval_s * 1_000) return known.schedule;
    const { body } = await context.fetch(options.schedule, { max_bytes: SCHEDULE_BYTES, accept: 'application/zip, application/octet-stream' });
    const schedule = await readSchedule(body);
    schedules.set(options.schedule, { schedule, readMs: context.nowMs() });
    return schedule;
  };
  return {
    kind: 'gtfs',
    title: 'GTFS and GTFS Realtime (public transport)',
    example: EXAMPLE,
    options: GtfsOptions,
    pull: {
      interval_s: 60,
      urls: (options) => [options.schedule, ...options.realtime],
      read: async (options, context) => {
        const schedule = await scheduleOf(options, context);
        const batch = openBatch();
        for (const url of options.realtime) {
          const { body } = await context.fetch(url, { max_bytes: REALTIME_BYTES, accept: 'application/x-protobuf, application/octet-stream' });
          const feed = decodeFeed(body);
          if (feed.incrementality === 'DIFFERENTIAL') throw new Refused({ code: 'feed.document-invalid', detail: 'Only messages with the full data set are read (incrementality FULL_DATASET).', field: 'header.incrementality' });
          const nowMs = context.nowMs();
          addDelays(batch, feed, schedule, { late_s: options.late_s, nowMs });
          standing.set(url, addAlerts(batch, feed, schedule, standing.get(url) ?? new Map(), { language: options.language, nowMs }));
          const vehicles = feed.entities.filter((entity) => entity.hasVehicle === true).length;
          if (vehicles > 0) batch.refuse('entity.vehicle', 'feed.single-vehicles', `Positions of ${vehicles} vehicles were left unread; delays of lines and stops are taken.`);
        }
        return batch.finish();
      },
    },
  };
}

const EXAMPLE = `- name: public-transport
  adapter: gtfs
  purpose: city-operations
  options:
    schedule: https://transit.example.org/gtfs.zip
    realtime: [https://transit.example.org/trip-updates.pb, https://transit.example.org/alerts.pb]
    late_s: 300`;
