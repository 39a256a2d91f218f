/**
 * Shapes of a day and a week, as numbers of our own. What they imitate was learnt from a year of open series of Münster
 * (bicycle counts, car parks, air, weather): two sharp peaks on working days and one broad one on other days; car parks
 * of shops full at noon and empty at night; NO2 follows the traffic, ozone the sun; wind and warmth peak at three.
 */

/** One value an hour, from midnight; eased linearly in between. */
export function atHour(shape: readonly number[], hour: number): number {
  const from = Math.floor(hour) % 24;
  const share = hour - Math.floor(hour);
  return (shape[from] as number) * (1 - share) + (shape[(from + 1) % 24] as number) * share;
}

const TRAFFIC_WORKDAY = [0.16, 0.1, 0.07, 0.07, 0.12, 0.26, 0.58, 0.95, 1, 0.8, 0.68, 0.7, 0.76, 0.8, 0.78, 0.82, 0.9, 1, 0.96, 0.74, 0.54, 0.42, 0.34, 0.24] as const;
const TRAFFIC_OTHER_DAY = [0.3, 0.22, 0.17, 0.13, 0.11, 0.12, 0.16, 0.22, 0.32, 0.46, 0.58, 0.66, 0.7, 0.68, 0.66, 0.66, 0.66, 0.68, 0.66, 0.58, 0.5, 0.42, 0.36, 0.3] as const;
export const PARKING_SHOPS = [0.12, 0.1, 0.1, 0.1, 0.1, 0.1, 0.12, 0.18, 0.26, 0.4, 0.6, 0.74, 0.8, 0.82, 0.8, 0.78, 0.78, 0.76, 0.68, 0.5, 0.32, 0.2, 0.16, 0.14] as const;
export const PARKING_OFFICES = [0.14, 0.14, 0.14, 0.14, 0.14, 0.15, 0.22, 0.42, 0.68, 0.8, 0.84, 0.84, 0.8, 0.8, 0.82, 0.78, 0.66, 0.46, 0.32, 0.26, 0.22, 0.2, 0.18, 0.16] as const;
export const PARKING_EVENINGS = [0.34, 0.24, 0.16, 0.14, 0.12, 0.12, 0.12, 0.14, 0.18, 0.24, 0.32, 0.38, 0.42, 0.42, 0.4, 0.38, 0.38, 0.42, 0.54, 0.7, 0.82, 0.84, 0.7, 0.5] as const;
/** µg/m³ at a busy street. */
export const NO2 = [17, 15, 13, 12, 12, 13, 17, 24, 29, 27, 23, 21, 20, 20, 21, 23, 26, 29, 31, 30, 27, 24, 21, 19] as const;
/** µg/m³ in the open. */
export const OZONE = [44, 43, 42, 41, 40, 39, 37, 34, 33, 36, 43, 50, 56, 61, 65, 67, 68, 66, 63, 59, 55, 51, 48, 46] as const;
/** dB at a main street. */
export const NOISE = [53, 51, 50, 49, 50, 53, 58, 62, 64, 63, 62, 62, 63, 63, 62, 63, 64, 65, 64, 62, 60, 58, 57, 55] as const;
/** Share of the day's swing. */
export const WARMTH = [0.22, 0.16, 0.11, 0.07, 0.03, 0, 0.02, 0.12, 0.28, 0.46, 0.64, 0.78, 0.89, 0.97, 1, 0.99, 0.93, 0.84, 0.72, 0.6, 0.49, 0.4, 0.33, 0.27] as const;
/** km/h */
export const WIND = [9, 9, 9, 9, 9, 9, 9, 10, 11, 12, 14, 15, 16, 17, 17, 16, 15, 13, 12, 11, 10, 10, 9, 9] as const;

const MINUTE_MS = 60_000;
/** America/Montevideo keeps UTC-3 all year. */
const ZONE_OFFSET_MS = -3 * 60 * MINUTE_MS;
const DAY_MS = 86_400_000;

/** Hour of the local day (0 to 24, with fractions), the day's number, and whether offices are open on that day. */
export function localDay(atMs: number): { readonly hour: number; readonly day: number; readonly workday: boolean } {
  const localMs = atMs + ZONE_OFFSET_MS;
  const day = Math.floor(localMs / DAY_MS);
  const weekday = (day + 4) % 7;
  return { hour: (localMs - day * DAY_MS) / 3_600_000, day, workday: weekday >= 1 && weekday <= 5 };
}

export function trafficShareOfDay(atMs: number): number {
  const { hour, workday } = localDay(atMs);
  return atHour(workday ? TRAFFIC_WORKDAY : TRAFFIC_OTHER_DAY, hour);
}
