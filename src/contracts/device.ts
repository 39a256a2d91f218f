import { z } from 'zod';
import { Instant, LonLat } from './common.ts';

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';
const QUDT = 'http://qudt.org/vocab/quantitykind/';

/** What a device can be said to measure when it is added on the page: enough to make its Datastream. */
export interface MeasureKind {
  /** Key of the ObservedProperty, as rules name it. */
  readonly key: string;
  readonly title: string;
  readonly unit: { readonly name: string; readonly symbol: string; readonly definition: string };
  readonly definition: string;
  readonly observationType: string;
  /** Bounds that the gate enforces; null for what is not a number. */
  readonly bounds: readonly [min: number, max: number] | null;
  /** A result to try with. */
  readonly example: number | boolean;
}

const kind = (key: string, title: string, symbol: string, name: string, ucum: string, quantity: string, bounds: readonly [number, number], example: number, type = 'OM_Measurement'): MeasureKind => ({
  key,
  title,
  unit: { name, symbol, definition: `http://unitsofmeasure.org/ucum#${ucum}` },
  definition: QUDT + quantity,
  observationType: OM + type,
  bounds,
  example,
});

/** The short list, in the order of the page. Units as UCUM writes them. */
export const MEASURE_KINDS: readonly MeasureKind[] = [
  kind('temperature', 'Air temperature', '°C', 'degree Celsius', 'Cel', 'Temperature', [-60, 60], 12.5),
  kind('humidity', 'Relative humidity', '%', 'percent', '%', 'RelativeHumidity', [0, 100], 64),
  kind('pressure', 'Air pressure', 'hPa', 'hectopascal', 'hPa', 'AtmosphericPressure', [800, 1_100], 1_013),
  kind('wind', 'Wind speed', 'm/s', 'metre per second', 'm/s', 'Speed', [0, 75], 4.2),
  kind('rain', 'Rain since the last reading', 'mm', 'millimetre', 'mm', 'Precipitation', [0, 300], 0.4),
  kind('pm25', 'Particles PM2.5', 'µg/m³', 'microgram per cubic metre', 'ug/m3', 'MassConcentration', [0, 1_000], 9.1),
  kind('pm10', 'Particles PM10', 'µg/m³', 'microgram per cubic metre', 'ug/m3', 'MassConcentration', [0, 2_000], 18),
  kind('no2', 'Nitrogen dioxide', 'µg/m³', 'microgram per cubic metre', 'ug/m3', 'MassConcentration', [0, 1_000], 22),
  kind('co2', 'Carbon dioxide', 'ppm', 'parts per million', '[ppm]', 'AmountOfSubstanceFraction', [300, 10_000], 620),
  kind('noise', 'Sound level, mean', 'dB', 'decibel', 'dB', 'SoundPressureLevel', [0, 140], 54),
  kind('level', 'Water level', 'm', 'metre', 'm', 'Height', [-10, 50], 1.35),
  kind('flow', 'Water flow', 'm³/s', 'cubic metre per second', 'm3/s', 'VolumeFlowRate', [0, 20_000], 12),
  kind('water_temperature', 'Water temperature', '°C', 'degree Celsius', 'Cel', 'Temperature', [-5, 50], 14.1),
  kind('soil_moisture', 'Soil moisture', '%', 'percent', '%', 'VolumetricWaterContent', [0, 100], 31),
  kind('fill', 'Fill level', '%', 'percent', '%', 'DimensionlessRatio', [0, 100], 40),
  kind('occupancy', 'Occupancy', '%', 'percent', '%', 'DimensionlessRatio', [0, 100], 75),
  kind('free_spaces', 'Free parking spaces', '1', 'count', '{#}', 'Count', [0, 100_000], 12, 'OM_CountObservation'),
  kind('count', 'Passages since the last reading', '1', 'count', '{#}', 'Count', [0, 1_000_000], 17, 'OM_CountObservation'),
  kind('battery', 'Battery', 'V', 'volt', 'V', 'Voltage', [0, 60], 3.6),
  { key: 'open', title: 'Open or shut', unit: { name: 'true when open', symbol: '', definition: '' }, definition: `${QUDT}Dimensionless`, observationType: `${OM}OM_TruthObservation`, bounds: null, example: true },
];

const KEYS = MEASURE_KINDS.map(({ key }) => key) as [string, ...string[]];

export const DEVICE_STATES = ['active', 'quarantined', 'revoked'] as const;
export const DeviceState = z.enum(DEVICE_STATES);
export type DeviceState = z.infer<typeof DeviceState>;

/** POST /api/devices: makes the Thing, its Location, a Datastream for each measure and the token, all or nothing. */
export const NewDevice = z.strictObject({
  name: z.string().trim().min(1, 'Give it a name, such as the street and what it is.').max(255),
  /** Longitude and latitude, WGS 84. */
  point: LonLat,
  measures: z.array(z.enum(KEYS)).min(1, 'Choose at least one measure.').max(20).refine((keys) => new Set(keys).size === keys.length, 'A measure stands here twice.'),
  interval_s: z.number().int().min(1).max(31 * 86_400),
  purpose: z.string().min(1, 'Choose a purpose of the register.').max(63),
  /** What sort of place it is, such as river_gauge; decides its mark on the map. */
  kind: z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'Use small letters, digits and underscores.').default('device'),
});
export type NewDevice = z.infer<typeof NewDevice>;

export const DeviceStream = z.object({ id: z.number().int().describe('Datastream id'), name: z.string(), unit: z.string(), lastAt: Instant.nullable(), lastValue: z.number().nullable() });
export type DeviceStream = z.infer<typeof DeviceStream>;

export const Device = z.object({
  id: z.string().describe('Also the MQTT user name'),
  name: z.string(),
  thingId: z.number().int().nullable(),
  purpose: z.string(),
  state: DeviceState,
  /** Why it is in quarantine or revoked, in a sentence. */
  stateReason: z.string().nullable(),
  stateAt: Instant,
  createdAt: Instant,
  lastSeenAt: Instant.nullable().describe('Last connection or message, taken or not'),
  taken: z.number().int().describe('Readings taken since it was added'),
  perMinute: z.number().describe('Readings taken in the last minute'),
  refused: z.array(z.object({ code: z.string(), count: z.number().int(), lastAt: Instant })),
  streams: z.array(DeviceStream),
});
export type Device = z.infer<typeof Device>;

/** Senders with a good token that wrote to Datastreams which do not exist; counted since the start, no content. */
export const UnknownSender = z.object({ pseudonym: z.string(), count: z.number().int(), lastAt: Instant });
export type UnknownSender = z.infer<typeof UnknownSender>;

/** GET /api/devices */
export const DeviceList = z.object({ asOf: Instant, devices: z.array(Device), unknownSenders: z.array(UnknownSender) });
export type DeviceList = z.infer<typeof DeviceList>;

/** Answer of POST /api/devices and of POST /api/devices/{id}/token: the token is shown this once and kept nowhere. */
export const DeviceCredential = z.object({ device: Device, token: z.string(), curl: z.string(), mosquitto: z.string() });
export type DeviceCredential = z.infer<typeof DeviceCredential>;

/** POST /api/devices/{id}/state */
export const DeviceAct = z.strictObject({ act: z.enum(['quarantine', 'release', 'revoke']), reason: z.string().trim().min(3, 'Say why in a few words.').max(300).optional() });
export type DeviceAct = z.infer<typeof DeviceAct>;

/** POST /api/devices/csv?dryRun=true|false: body text/csv with the columns of GET /api/devices/template.csv. */
export const DeviceCsvReport = z.object({
  rows: z.number().int(),
  faults: z.array(z.object({ line: z.number().int(), column: z.string(), detail: z.string() })),
  /** Made now; 0 in a dry run and when there is a fault: all rows or none. */
  made: z.number().int(),
  /** The rows again with id, Datastreams and token; only when devices were made. */
  csv: z.string().nullable(),
});
export type DeviceCsvReport = z.infer<typeof DeviceCsvReport>;
