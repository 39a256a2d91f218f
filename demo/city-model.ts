import { atHour, localDay, NO2, NOISE, OZONE, PARKING_EVENINGS, PARKING_OFFICES, PARKING_SHOPS, trafficShareOfDay, WARMTH, WIND } from './daily-shapes.ts';
import { isEventOn } from './everyday-events.ts';
import { type PlaceKind, PLACE_KINDS, type StreamKind } from './kinds.ts';
import { hashOf, normal, smoothNoise, uniform } from './random.ts';
import { carParkFills, drainShare, gustShare, lampsOut, localMinute, pumpsSilent, rainLastHour, rainRate, riverShare, type Scenario, sensorFlooded, smokeShare, STORM_CENTRE, stormMinute, trafficShare } from './storm.ts';
import { distance_m, worldOf } from './world.ts';

/** What a stream's values are computed from. Everything else follows from the instant. */
export interface StreamModel {
  readonly reference: string;
  readonly kind: PlaceKind['kind'];
  readonly stream: StreamKind;
  /** From 1; the nearest to the storm's centre is 1. */
  readonly index: number;
  readonly seed: number;
  readonly fromStorm_km: number;
}

/** When the model is asked for a value. */
export interface Moment {
  readonly atMs: number;
  readonly scenario: Scenario;
  /** Start of the scenario; the first storm of a storm day begins here. */
  readonly beganMs: number;
}

/** Places of a kind that the storm hits so hard that a rule must speak; all others only come near it. */
export const HARD_HIT: Readonly<Record<string, number>> = { air_station: 1, drain: 4, river_gauge: 2, pump_station: 2, road_section: 1, street_lamp: 2, car_park: 1 };
/** This drain's sensor drowns while its warning stands. */
const DROWNED_DRAIN = 3;
/** This lamp has been dark for weeks; somebody will come. */
const OLD_FAULT_LAMP = 77;

const REFERENCE = /^([a-z-]+)-(\d{3})\.([a-z0-9_]+)$/;

/** The model of a stream from its reference (`drain-007.level`) and its point; null when the stream is not one of the demo's. */
export function modelOf(reference: string, point: readonly [lon: number, lat: number]): StreamModel | null {
  const [, kindPart, number, property] = REFERENCE.exec(reference) ?? [];
  const place = PLACE_KINDS.find(({ kind }) => kind === kindPart?.replaceAll('-', '_'));
  const stream = place?.streams.find((each) => each.property === property);
  if (!place || !stream) return null;
  return { reference, kind: place.kind, stream, index: Number(number), seed: hashOf(`puerto-claro/${reference}`), fromStorm_km: distance_m(worldOf(...point), worldOf(...STORM_CENTRE)) / 1_000 };
}

/** Character of a stream, the same for ever: 0 to 1 for each trait. */
const trait = (model: StreamModel, which: number): number => uniform(model.seed, 1_000_003 + which);
const isHardHit = (model: StreamModel): boolean => model.index <= (HARD_HIT[model.kind] ?? 0);

type ValueModel = (model: StreamModel, atMs: number, minute: number | null) => number | null;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

const particles: ValueModel = (model, atMs, minute) => {
  const slow = 9 * Math.exp(0.45 * smoothNoise(hashOf('particles'), atMs, 18 * HOUR_MS));
  const washed = minute === null ? 1 : 1 - 0.45 * Math.min(1, rainLastHour(minute) / 12);
  const event = isEventOn(model.kind, model.index, atMs) ? 62 : 0;
  const smoke = Math.max(event, minute !== null && isHardHit(model) ? 85 * smokeShare(minute) : 0);
  return slow * washed * (0.8 + 0.4 * trait(model, 0)) + smoke + 0.6 * smoothNoise(model.seed, atMs, 20 * MINUTE_MS);
};

const nitrogenDioxide: ValueModel = (model, atMs) => {
  const { hour, workday } = localDay(atMs);
  const street = 0.55 + 0.75 * trait(model, 0);
  return atHour(NO2, hour) * street * (workday ? 1 : 0.72) * Math.exp(0.22 * smoothNoise(model.seed, atMs, 3 * HOUR_MS)) + 1.2 * smoothNoise(model.seed + 1, atMs, 15 * MINUTE_MS);
};

const ozone: ValueModel = (model, atMs, minute) => {
  const { hour } = localDay(atMs);
  const clouded = minute === null ? 1 : 1 - 0.25 * drainShare(minute);
  return atHour(OZONE, hour) * clouded * (0.85 + 0.3 * trait(model, 0)) * Math.exp(0.2 * smoothNoise(hashOf('ozone'), atMs, 20 * HOUR_MS)) + 2 * smoothNoise(model.seed, atMs, HOUR_MS);
};

const riverLevel: ValueModel = (model, atMs, minute) => {
  const base = 0.35 + 0.4 * trait(model, 0) + 0.06 * smoothNoise(model.seed, atMs, 14 * HOUR_MS);
  // The gauge nearest to the storm's centre reaches the lowest quay.
  const rise = model.index === 1 ? 2.35 : isHardHit(model) ? 1.3 : 0.08 + 0.12 * trait(model, 1);
  return base + rise * (minute === null ? 0 : riverShare(minute)) + 0.004 * normal(model.seed, Math.floor(atMs / MINUTE_MS));
};

const drainLevel: ValueModel = (model, atMs, minute) => {
  if (minute !== null && model.index === DROWNED_DRAIN && sensorFlooded(minute)) return null;
  const { hour } = localDay(atMs);
  const base = 0.1 + 0.12 * trait(model, 0) + 0.05 * Math.sin(((hour - 9) / 12) * Math.PI) ** 2;
  const rise = isHardHit(model) ? 1.35 + 0.4 * trait(model, 1) : 0.08 + 0.3 * trait(model, 1);
  const blocked = isEventOn(model.kind, model.index, atMs) ? 1.1 : 0;
  return base + Math.max(blocked, rise * (minute === null ? 0 : drainShare(minute))) + 0.008 * normal(model.seed, Math.floor(atMs / 15_000));
};

/** A counter that runs on while the station works; it says nothing when it does not. */
const heartbeat: ValueModel = (model, atMs, minute) => {
  if (isEventOn(model.kind, model.index, atMs)) return null;
  if (minute !== null && isHardHit(model) && pumpsSilent(minute)) return null;
  return Math.floor(atMs / (model.stream.interval_s * 1_000)) % 1_000_000;
};

const rain: ValueModel = (model, _atMs, minute) => (minute === null ? 0 : rainLastHour(minute) * (0.8 + 0.4 * trait(model, 0)));

function loadOf(model: StreamModel, atMs: number): number {
  const placeSeed = hashOf(model.reference.replace(/\..*$/, ''));
  return Math.max(0.02, trafficShareOfDay(atMs) * (0.85 + 0.3 * uniform(placeSeed, 1)) * Math.exp(0.1 * smoothNoise(placeSeed, atMs, 25 * MINUTE_MS)));
}

/** 0 where traffic runs freely, 1 where it stands. */
function standstill(model: StreamModel, atMs: number, minute: number | null): number {
  if (isEventOn(model.kind, model.index, atMs)) return 0.9;
  if (minute === null) return 0;
  return isHardHit(model) ? trafficShare(minute) : 0.22 * trafficShare(minute);
}

const trafficFlow: ValueModel = (model, atMs, minute) => {
  const placeSeed = hashOf(model.reference.replace(/\..*$/, ''));
  const peak = 500 + 1_900 * uniform(placeSeed, 2);
  const still = standstill(model, atMs, minute);
  // A jam is one at night too: whoever is on the road comes through here.
  const expected = Math.max(still > 0.5 ? 130 : 0, peak * loadOf(model, atMs) * (1 - 0.6 * still));
  return Math.max(0, expected + Math.sqrt(expected * 12) * normal(model.seed, Math.floor(atMs / MINUTE_MS)) * 0.5);
};

const trafficSpeed: ValueModel = (model, atMs, minute) => {
  const free = 38 + 16 * trait(model, 0);
  const dense = 1 - 0.28 * Math.min(1, loadOf(model, atMs)) ** 3;
  const still = standstill(model, atMs, minute);
  return Math.max(3, free * dense * (1 - 0.86 * still) + 1.4 * normal(model.seed, Math.floor(atMs / MINUTE_MS)));
};

const occupancy: ValueModel = (model, atMs, minute) => {
  const { hour, workday } = localDay(atMs);
  const shape = [PARKING_SHOPS, PARKING_OFFICES, PARKING_EVENINGS][Math.floor(trait(model, 0) * 3)] ?? PARKING_SHOPS;
  const offices = shape === PARKING_OFFICES && !workday ? 0.3 : 1;
  const usual = atHour(shape, hour) * offices * (0.75 + 0.35 * trait(model, 1)) + 0.03 * smoothNoise(model.seed, atMs, 40 * MINUTE_MS);
  const full = isEventOn(model.kind, model.index, atMs) || (minute !== null && isHardHit(model) && carParkFills(minute));
  return 100 * (full ? Math.max(usual, 0.985) : Math.min(usual, 0.93));
};

/** Fills for days, faster by day, and is emptied before it overflows; three containers are emptied too late. */
const binFill: ValueModel = (model, atMs) => {
  const days = 2 + 3 * trait(model, 0);
  const peak = model.index <= 3 ? 99 : 55 + 30 * trait(model, 1);
  const { day, hour } = localDay(atMs);
  const byDay = day + (hour - Math.sin(((hour - 4) / 12) * Math.PI) * 2.5) / 24;
  const share = (byDay / days + trait(model, 2)) % 1;
  return peak * share;
};

/** A lamp a day fails by itself; the storm darkens the street it hits hardest. */
const lampState: ValueModel = (model, atMs, minute) => {
  if (model.index === OLD_FAULT_LAMP || isEventOn(model.kind, model.index, atMs)) return 0;
  return minute !== null && isHardHit(model) && lampsOut(minute) ? 0 : 1;
};

const soundLevel: ValueModel = (model, atMs, minute) => {
  const { hour } = localDay(atMs);
  const rainNoise = minute === null ? 0 : 5 * Math.min(1, rainRate(minute) / 60);
  const event = isEventOn(model.kind, model.index, atMs) ? 22 : 0;
  return atHour(NOISE, hour) - 8 + 9 * trait(model, 0) + rainNoise + event + 1.6 * normal(model.seed, Math.floor(atMs / MINUTE_MS));
};

const temperature: ValueModel = (model, atMs, minute) => {
  const { hour, day } = localDay(atMs);
  // Warmest in January on this side of the equator.
  const season = 17 + 6.5 * Math.cos(((day % 365.25) - 18) * ((2 * Math.PI) / 365.25));
  const cooled = minute === null ? 0 : 5 * riverShare(minute);
  return season - 4 + 8 * atHour(WARMTH, hour) - cooled + trait(model, 0) + 1.5 * smoothNoise(hashOf('temperature'), atMs, 30 * HOUR_MS) + 0.15 * normal(model.seed, Math.floor(atMs / (5 * MINUTE_MS)));
};

const windSpeed: ValueModel = (model, atMs, minute) => {
  const { hour } = localDay(atMs);
  const calm = atHour(WIND, hour) * Math.exp(0.3 * smoothNoise(hashOf('wind'), atMs, 8 * HOUR_MS));
  const gust = minute === null ? 0 : 58 * gustShare(minute) * (0.85 + 0.3 * trait(model, 0));
  return Math.max(0, calm + gust + (2 + gust * 0.06) * normal(model.seed, Math.floor(atMs / MINUTE_MS)));
};

const VALUES: Readonly<Record<string, readonly [value: ValueModel, decimals: number]>> = {
  'air_station.pm25': [particles, 1],
  'air_station.no2': [nitrogenDioxide, 1],
  'air_station.o3': [ozone, 1],
  'river_gauge.level': [riverLevel, 3],
  'drain.level': [drainLevel, 2],
  'pump_station.heartbeat': [heartbeat, 0],
  'rain_gauge.rain': [rain, 1],
  'road_section.flow': [trafficFlow, 0],
  'road_section.speed': [trafficSpeed, 1],
  'car_park.occupancy': [occupancy, 1],
  'waste_bin.fill': [binFill, 0],
  'street_lamp.lamp_state': [lampState, 0],
  'noise_meter.noise': [soundLevel, 1],
  'weather_station.temperature': [temperature, 1],
  'weather_station.wind': [windSpeed, 1],
};

/**
 * The true value of a stream at a moment, within its registered bounds and rounded as the instrument shows it; null when the
 * place says nothing. A pure function of stream and moment.
 */
export function valueAt(model: StreamModel, { atMs, scenario, beganMs }: Moment): number | null {
  const [value, decimals] = VALUES[`${model.kind}.${model.stream.property}`] ?? [];
  if (!value || decimals === undefined) throw new Error(`no value model for ${model.reference}`);
  const minute = stormMinute(scenario, beganMs, atMs);
  const exact = value(model, atMs, minute === null ? null : localMinute(minute, model.fromStorm_km));
  if (exact === null) return null;
  const bounded = Math.min(model.stream.max, Math.max(model.stream.min, exact));
  return Math.round(bounded * 10 ** decimals) / 10 ** decimals;
}
