import { z } from 'zod';

/** ISO 8601 instant in UTC with milliseconds. */
export const Instant = z.iso.datetime({ offset: true });
/** [longitude, latitude], WGS 84 degrees. */
export const LonLat = z.tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)]);
export type LonLat = z.infer<typeof LonLat>;

/** CAP 1.2 §3.2.2 severity, without Unknown: a rule must state one. */
export const SEVERITIES = ['minor', 'moderate', 'severe', 'extreme'] as const;
export const Severity = z.enum(SEVERITIES);
export type Severity = z.infer<typeof Severity>;

export const Language = z.enum(['en', 'de', 'es', 'fr']);
export type Language = z.infer<typeof Language>;

/** GET /api/city: what pages need to know of the city that runs here. */
export const City = z.object({
  name: z.string(),
  /** Short line under the name. */
  motto: z.string(),
  center: LonLat,
  bounds: z.tuple([z.number(), z.number(), z.number(), z.number()]).describe('west, south, east, north'),
  /** Shown on every map; ODbL asks for it. */
  attribution: z.string(),
  /** Path of the PMTiles basemap on this server; null when the city has none. */
  basemap: z.string().nullable(),
  time_zone: z.string(),
  /** ISO 3166-1 alpha-2: whose telephone numbers and plates the gate knows in their national forms; DE when left out. */
  country: z.string().regex(/^[A-Z]{2}$/, 'It is the code of ISO 3166-1, such as DE.').optional(),
  languages: z.array(Language),
  demo: z.object({ scenario: z.string(), speed: z.number() }).nullable(),
  version: z.string(),
});
export type City = z.infer<typeof City>;
