import { z } from 'zod';
import { Refused, isoOf } from '../../kernel/index.ts';
import type { Adapter, SourceBatch, SourcePlace, SourceReading, SourceRefusal, SourceSeries } from './adapter.ts';
import { isObject, readJson } from './json.ts';

const DEVICES_MAX = 5_000;
const VALUES_MAX = 64;

const Device = z.strictObject({
  /** As the firmware sends it: `esp8266id` digits, or the chip's kind in front, such as `esp8266-12345678`. */
  id: z.string().regex(/^[A-Za-z0-9-]{1,40}$/),
  /** What the place is called; it takes the place of the id everywhere. */
  key: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string().min(1).max(100),
  lon: z.number().min(-180).max(180),
  lat: z.number().min(-90).max(90),
});
export const SensorCommunityOptions = z.strictObject({ devices: z.array(Device).min(1).max(DEVICES_MAX) });
export type SensorCommunityOptions = z.infer<typeof SensorCommunityOptions>;

interface Measured {
  readonly property: SourceSeries['property'];
  readonly unit: NonNullable<SourceSeries['unit']>;
  readonly min: number;
  readonly max: number;
  /** The firmware sends pascals where others say hectopascals. */
  readonly factor: number;
}

const QUDT = 'http://qudt.org/vocab/quantitykind/';
const UCUM = 'http://unitsofmeasure.org/ucum#';
const measured = (key: string, name: string, quantity: string, unit: readonly [name: string, symbol: string, ucum: string], min: number, max: number, factor = 1): Measured => ({ property: { key, name, definition: QUDT + quantity }, unit: { name: unit[0], symbol: unit[1], definition: UCUM + unit[2] }, min, max, factor });

const MICROGRAM = ['microgram per cubic metre', 'µg/m³', 'ug/m3'] as const;
const PM10 = measured('pm10', 'Particles PM10', 'MassConcentration', MICROGRAM, 0, 2_000);
const PM25 = measured('pm25', 'Particles PM2.5', 'MassConcentration', MICROGRAM, 0, 1_000);
const PM1 = measured('pm1', 'Particles PM1', 'MassConcentration', MICROGRAM, 0, 1_000);
const TEMPERATURE = measured('temperature', 'Air temperature', 'Temperature', ['degree Celsius', '°C', 'Cel'], -60, 60);
const HUMIDITY = measured('humidity', 'Relative humidity', 'RelativeHumidity', ['percent', '%', '%'], 0, 100);
const PRESSURE = measured('pressure', 'Air pressure', 'AtmosphericPressure', ['hectopascal', 'hPa', 'hPa'], 800, 1_100, 0.01);
const NOISE = measured('noise', 'Noise, equivalent level', 'SoundPressureLevel', ['decibel A', 'dB(A)', 'dB[SPL]'], 0, 140);

// value_type of the airRohr firmware: the sensor's name in front, then the quantity
const PARTICLES: Readonly<Record<string, Measured>> = { SDS_P1: PM10, SDS_P2: PM25, PMS_P0: PM1, PMS_P1: PM10, PMS_P2: PM25, HPM_P1: PM10, HPM_P2: PM25, NPM_P0: PM1, NPM_P1: PM10, NPM_P2: PM25, SPS30_P0: PM1, SPS30_P1: PM10, SPS30_P2: PM25, IPS_P0: PM1, IPS_P1: PM10, IPS_P2: PM25, P1: PM10, P2: PM25, noise_LAeq: NOISE, DNMS_noise_LAeq: NOISE };
const AIR: Readonly<Record<string, Measured>> = { temperature: TEMPERATURE, humidity: HUMIDITY, pressure: PRESSURE };
const INSTRUMENTS = /^(?:BMP|BMP180|BMP280|BME280|DHT22|HTU21D|SHT3X|SCD30|DS18B20)_(temperature|humidity|pressure)$/;

function measuredOf(type: string): Measured | undefined {
  if (Object.hasOwn(PARTICLES, type)) return PARTICLES[type];
  const quantity = INSTRUMENTS.exec(type)?.[1] ?? type;
  return Object.hasOwn(AIR, quantity) ? AIR[quantity] : undefined;
}

/** Sensors of Sensor.Community (airRohr firmware) that send to an own address. Each id is listed; signal strength and counters are left out. */
export function createSensorCommunity(): Adapter<SensorCommunityOptions> {
  return {
    kind: 'sensor-community',
    title: 'Sensor.Community (citizens’ air sensors)',
    example: EXAMPLE,
    options: SensorCommunityOptions,
    push: {
      contentTypes: ['application/json'],
      topics: () => [],
      read: (options, { body, receivedMs }) => Promise.resolve(readMessage(options, readJson(body), receivedMs)),
    },
  };
}

const EXAMPLE = `- name: citizens-air
  adapter: sensor-community
  purpose: city-operations
  interval_s: 150
  options:
    devices:
      - { id: "12345678", key: market-square, name: Market square, lon: 7.6261, lat: 51.9607 }
`;

function readMessage({ devices }: SensorCommunityOptions, sent: unknown, receivedMs: number): SourceBatch {
  if (!isObject(sent)) throw new Refused({ code: 'feed.document-invalid', detail: 'A message is a JSON object.', field: 'document' });
  const id = sent['esp8266id'] ?? sent['espid'] ?? sent['raspiid'];
  const device = typeof id === 'string' || typeof id === 'number' ? devices.find((known) => known.id === String(id)) : undefined;
  if (device === undefined) throw new Refused({ code: 'feed.sender-unknown', detail: 'The id of the sensor is not listed under options.devices.', field: 'esp8266id' });
  const values = sent['sensordatavalues'];
  if (!Array.isArray(values) || values.length > VALUES_MAX) throw new Refused({ code: 'feed.document-invalid', detail: `It must be a list of at most ${VALUES_MAX} values.`, field: 'sensordatavalues' });
  const place: SourcePlace = { key: device.key, name: device.name, kind: 'air-station', geometry: { type: 'Point', coordinates: [device.lon, device.lat] }, properties: { operator: 'citizens' } };
  const series = new Map<string, SourceSeries>();
  const readings: SourceReading[] = [];
  const refusals: SourceRefusal[] = [];
  // the firmware sends no time: it sends as it measures
  const phenomenonTime = isoOf(receivedMs);
  for (const [at, entry] of (values as unknown[]).entries()) {
    const type = isObject(entry) && typeof entry['value_type'] === 'string' ? entry['value_type'] : '';
    const what = measuredOf(type);
    if (!isObject(entry) || what === undefined) continue; // signal, samples, min_micro, GPS and the like
    const value = readNumber(entry['value']);
    const key = `${device.key}/${what.property.key}`;
    if (value === null) refusals.push({ at: `sensordatavalues[${at}]`, refusal: { code: 'feed.value-invalid', detail: `The value of ${what.property.name} is not a number.` } });
    else if (!series.has(key)) {
      series.set(key, { key, placeKey: device.key, name: `${device.name}: ${what.property.name}`, property: what.property, unit: what.unit, observationType: 'OM_Measurement', min: what.min, max: what.max });
      readings.push({ seriesKey: key, phenomenonTime, result: round(value * what.factor) });
    }
  }
  return { places: [place], series: [...series.values()], readings, refusals };
}

/** The firmware writes numbers as texts. */
function readNumber(value: unknown): number | null {
  const number = typeof value === 'string' && /^-?\d{1,12}(?:\.\d{1,12})?$/.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}

/** Takes away what binary fractions add to `101325 * 0.01`. */
const round = (value: number): number => Number(value.toPrecision(12));
