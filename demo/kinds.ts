/** The kinds of streams of the demo city: what each measures, how often, within which bounds, and for which purpose. */
export interface StreamKind {
  readonly property: string;
  readonly title: string;
  readonly unit: string;
  readonly unitName: string;
  readonly definition: string;
  readonly purpose: string;
  readonly interval_s: number;
  readonly min: number;
  readonly max: number;
}

export interface PlaceKind {
  readonly kind: string;
  readonly title: string;
  /** What stands there, for the Sensor entity. */
  readonly instrument: string;
  readonly count: number;
  readonly streams: readonly StreamKind[];
}

const QUDT = 'http://qudt.org/vocab/quantitykind/';
const EIONET = 'http://dd.eionet.europa.eu/vocabulary/aq/pollutant/';

function stream(property: string, title: string, unit: readonly [symbol: string, name: string], definition: string, purpose: string, interval_s: number, bounds: readonly [number, number]): StreamKind {
  return { property, title, unit: unit[0], unitName: unit[1], definition, purpose, interval_s, min: bounds[0], max: bounds[1] };
}

const CONCENTRATION = ['ug/m3', 'microgram per cubic metre'] as const;
const LEVEL = ['m', 'metre'] as const;

export const PLACE_KINDS: readonly PlaceKind[] = [
  {
    kind: 'air_station',
    title: 'Air station',
    instrument: 'Reference analyser',
    count: 12,
    streams: [
      stream('pm25', 'PM2.5', CONCENTRATION, `${EIONET}6001`, 'air-quality', 300, [0, 1_000]),
      stream('no2', 'Nitrogen dioxide', CONCENTRATION, `${EIONET}8`, 'air-quality', 300, [0, 1_000]),
      stream('o3', 'Ozone', CONCENTRATION, `${EIONET}7`, 'air-quality', 300, [0, 1_000]),
    ],
  },
  { kind: 'river_gauge', title: 'Stream gauge', instrument: 'Radar level gauge', count: 14, streams: [stream('level', 'Water level', LEVEL, `${QUDT}Height`, 'water-safety', 60, [-1, 12])] },
  { kind: 'drain', title: 'Drain', instrument: 'Ultrasonic level sensor', count: 120, streams: [stream('level', 'Water level', LEVEL, `${QUDT}Height`, 'water-safety', 30, [0, 6])] },
  { kind: 'pump_station', title: 'Pump station', instrument: 'Pump controller', count: 16, streams: [stream('heartbeat', 'Heartbeat', ['1', 'count'], `${QUDT}Count`, 'water-safety', 30, [0, 1_000_000])] },
  { kind: 'rain_gauge', title: 'Rain gauge', instrument: 'Tipping bucket', count: 20, streams: [stream('rain', 'Rain in the last hour', ['mm', 'millimetre'], `${QUDT}Precipitation`, 'water-safety', 60, [0, 300])] },
  {
    kind: 'road_section',
    title: 'Road section',
    instrument: 'Counting radar, aggregates only',
    count: 120,
    streams: [
      stream('flow', 'Vehicles', ['1/h', 'vehicles per hour'], `${QUDT}VolumeFlowRate`, 'traffic-management', 60, [0, 8_000]),
      stream('speed', 'Mean speed', ['km/h', 'kilometre per hour'], `${QUDT}Speed`, 'traffic-management', 60, [0, 200]),
    ],
  },
  { kind: 'car_park', title: 'Car park', instrument: 'Barrier counter', count: 26, streams: [stream('occupancy', 'Occupancy', ['%', 'percent'], `${QUDT}DimensionlessRatio`, 'parking', 120, [0, 100])] },
  { kind: 'waste_bin', title: 'Container', instrument: 'Ultrasonic fill sensor', count: 200, streams: [stream('fill', 'Fill level', ['%', 'percent'], `${QUDT}DimensionlessRatio`, 'waste', 900, [0, 100])] },
  { kind: 'street_lamp', title: 'Street lamp', instrument: 'Lamp controller', count: 280, streams: [stream('lamp_state', 'Lamp works', ['1', 'one when it works, zero at a fault'], `${QUDT}Dimensionless`, 'street-lighting', 120, [0, 1])] },
  { kind: 'noise_meter', title: 'Noise meter', instrument: 'Sound level meter, means only', count: 30, streams: [stream('noise', 'Sound level', ['dB', 'decibel'], `${QUDT}SoundPressureLevel`, 'noise', 60, [0, 140])] },
  {
    kind: 'weather_station',
    title: 'Weather station',
    instrument: 'Weather transmitter',
    count: 6,
    streams: [
      stream('temperature', 'Air temperature', ['Cel', 'degree Celsius'], `${QUDT}Temperature`, 'weather', 300, [-40, 60]),
      stream('wind', 'Wind speed', ['km/h', 'kilometre per hour'], `${QUDT}WindSpeed`, 'weather', 60, [0, 300]),
    ],
  },
];
