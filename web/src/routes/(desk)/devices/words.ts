import type { Device, DeviceState } from '#contracts/device.ts';
import type { Problem } from '#lib/api/client.ts';

export const STATE_WORDS: Readonly<Record<DeviceState, string>> = { active: 'Active', quarantined: 'In quarantine', revoked: 'Revoked' };

/** What a refusal says and what to do, as one line. */
export const problemWords = ({ title, detail, cure }: Problem): string => `${detail === '' ? title : detail} ${cure}`.trim();

/** Refusals as “gate.out-of-bounds × 12”. */
export const refusalWords = ({ refused }: Device): string => refused.map(({ code, count }) => `${code} × ${String(count)}`).join(', ');

export const INTERVALS: readonly (readonly [seconds: number, words: string])[] = [
  [10, '10 seconds'],
  [60, 'minute'],
  [300, '5 minutes'],
  [600, '10 minutes'],
  [900, '15 minutes'],
  [3_600, 'hour'],
  [86_400, 'day'],
];

/** Kinds of places that the map knows a word for; the first is for everything else. */
export const PLACE_KINDS: readonly (readonly [kind: string, words: string])[] = [
  ['device', 'Other'],
  ['air_station', 'Air station'],
  ['weather_station', 'Weather station'],
  ['river_gauge', 'River gauge'],
  ['rain_gauge', 'Rain gauge'],
  ['drain', 'Drain'],
  ['noise_meter', 'Noise meter'],
  ['car_park', 'Car park'],
  ['road_section', 'Road section'],
  ['waste_bin', 'Container'],
];
