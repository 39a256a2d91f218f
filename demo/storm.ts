/** The storm as seen at one place, from its minute in the city's storm. All shapes are between 0 and 1 unless said otherwise. */

export type Scenario = 'storm-day' | 'ordinary-day';

/** Where the storm stays longest: low ground at the mouth of the city's main stream. Degrees. */
export const STORM_CENTRE: readonly [lon: number, lat: number] = [-56.205, -34.862];
/** A storm, then calm until the next one. */
export const STORM_CYCLE_MS = 240 * 60_000;
/** A newcomer first sees a calm city. */
const CALM_BEFORE_MS = 30_000;
const RAIN_PEAK_MM_H = 84;
/** The front moves out from the storm's centre. */
const DELAY_MIN_PER_KM = 0.7;

/** Instant of the first drops of a storm, counted from 0. */
export function firstDropsMs(beganMs: number, storm: number): number {
  return beganMs + CALM_BEFORE_MS + storm * STORM_CYCLE_MS;
}

/**
 * Minute of the present storm at an instant, counted from its first drops at the centre; null when the scenario has none or
 * none began yet. Storms come every four hours; what they did is over after two.
 */
export function stormMinute(scenario: Scenario, beganMs: number, atMs: number): number | null {
  const since_ms = atMs - firstDropsMs(beganMs, 0);
  return scenario !== 'storm-day' || since_ms < 0 ? null : (since_ms % STORM_CYCLE_MS) / 60_000;
}

/** The storm's minute at a place that far from its centre. */
export function localMinute(minute: number, distance_km: number): number {
  return minute - Math.min(distance_km, 15) * DELAY_MIN_PER_KM;
}

/** Straight lines between corner points [minute, value]; constant outside. */
function alongCorners(corners: readonly (readonly [minute: number, value: number])[], minute: number): number {
  let before = corners[0] as readonly [number, number];
  if (minute <= before[0]) return before[1];
  for (const corner of corners) {
    if (minute < corner[0]) {
      const share = (minute - before[0]) / (corner[0] - before[0]);
      return before[1] + (corner[1] - before[1]) * share;
    }
    before = corner;
  }
  return before[1];
}

const RAIN = [[0, 0.15], [1.5, 0.5], [4, 1], [13, 1], [20, 0.45], [30, 0.12], [40, 0]] as const;

/** Rain rate in mm/h, at most 84. */
export function rainRate(minute: number): number {
  return minute < 0 ? 0 : RAIN_PEAK_MM_H * alongCorners(RAIN, minute);
}

/** Rain of the hour before, in mm, for a gauge with readings a minute. */
export function rainLastHour(minute: number): number {
  let sum_mm = 0;
  for (let ago = 0.5; ago < 60; ago += 1) sum_mm += rainRate(minute - ago) / 60;
  return sum_mm;
}

/** How full drains run: they answer within a minute or two and empty slowly. */
export function drainShare(minute: number): number {
  return alongCorners([[0, 0], [0.7, 0.5], [1.5, 0.8], [5, 1], [15, 1], [22, 0.55], [32, 0.2], [50, 0]], minute);
}

/** How high streams stand: they begin to rise at once, stand highest after the rain, and fall for an hour. */
export function riverShare(minute: number): number {
  return alongCorners([[0, 0], [1.2, 0.28], [4, 0.45], [10, 0.85], [15, 1], [24, 0.97], [45, 0.45], [90, 0]], minute);
}

/** How slow traffic becomes where water stands. */
export function trafficShare(minute: number): number {
  return alongCorners([[3, 0], [6, 1], [27, 1], [33, 0.2], [42, 0]], minute);
}

/** Wind of the gust front, before and in the rain. */
export function gustShare(minute: number): number {
  return alongCorners([[-1, 0], [1.5, 0.9], [5, 1], [14, 0.8], [25, 0.35], [45, 0]], minute);
}

/** Whether flooded pump stations send nothing. */
export function pumpsSilent(minute: number): boolean {
  return minute >= 6 && minute < 26;
}

/** Whether the storm's district has no light. */
export function lampsOut(minute: number): boolean {
  return minute >= 9 && minute < 34;
}

/** Whether drivers who wait for the rain to end fill the nearest car park. */
export function carParkFills(minute: number): boolean {
  return minute >= 5 && minute < 38;
}

/** Smoke of a fire after a lightning stroke. */
export function smokeShare(minute: number): number {
  return alongCorners([[12, 0], [15, 1], [42, 1], [52, 0]], minute);
}

/** Whether a flooded level sensor says nothing for a while, in the middle of its warning. */
export function sensorFlooded(minute: number): boolean {
  return minute >= 10 && minute < 17;
}
