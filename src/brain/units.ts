/** A unit that a condition can speak of: its own type, its own literal. Symbols are UCUM or what devices register. */
export interface Unit {
  /** Type name inside CEL; a receiver name there takes letters and digits only. */
  readonly type: string;
  /** How a rule writes it: `m(0.30)`. Null for plain numbers. */
  readonly literal: string | null;
  /** What people read behind the number. */
  readonly label: string;
  /** Unit symbols on datastreams that mean exactly this unit; no conversion takes place. */
  readonly symbols: readonly string[];
  /** Decimals in a sentence. */
  readonly decimals: number;
}

const unit = (type: string, literal: string | null, label: string, decimals: number, symbols: readonly string[]): Unit => ({ type, literal, label, decimals, symbols });

/** Plain numbers without a dimension: counts, states. */
export const NUMBER = unit('double', null, '', 0, ['1', '{count}', 'count', '']);

/** Every unit with a dimension. docs/reference/rules.md lists them. */
export const UNITS: readonly Unit[] = [
  unit('metre', 'm', 'm', 2, ['m']),
  unit('millimetre', 'mm', 'mm', 1, ['mm']),
  unit('ugm3', 'ug_m3', 'µg/m³', 1, ['ug/m3', 'µg/m3', 'μg/m3', 'µg/m³', 'μg/m³', 'ug.m-3']),
  unit('kmh', 'kmh', 'km/h', 1, ['km/h']),
  unit('mps', 'mps', 'm/s', 1, ['m/s']),
  unit('percentage', 'percent', '%', 1, ['%']),
  unit('degree', 'celsius', '°C', 1, ['Cel', '°C', 'degC']),
  unit('decibel', 'db', 'dB', 1, ['dB', 'dB[A]', 'dB(A)']),
  unit('perhour', 'per_hour', 'per hour', 0, ['1/h', '/h', 'h-1']),
  unit('voltage', 'volt', 'V', 2, ['V']),
  unit('hectopascal', 'hpa', 'hPa', 1, ['hPa']),
];

const byType = new Map([NUMBER, ...UNITS].map((each) => [each.type, each]));
const bySymbol = new Map([NUMBER, ...UNITS].flatMap((each) => each.symbols.map((symbol) => [symbol, each] as const)));

export const unitOfType = (type: string): Unit | undefined => byType.get(type);
export const unitOfSymbol = (symbol: string): Unit | undefined => bySymbol.get(symbol);

/** Observed properties whose unit a rule need not state. Any other property is written with `watch.unit`. */
const PROPERTIES: Readonly<Record<string, readonly [symbol: string, label: string]>> = {
  pm25: ['ug/m3', 'PM2.5'],
  pm10: ['ug/m3', 'PM10'],
  no2: ['ug/m3', 'NO2'],
  o3: ['ug/m3', 'Ozone'],
  level: ['m', 'Level'],
  rain: ['mm', 'Rain'],
  heartbeat: ['1', 'Heartbeat'],
  flow: ['1/h', 'Flow'],
  speed: ['km/h', 'Speed'],
  occupancy: ['%', 'Occupancy'],
  fill: ['%', 'Fill'],
  lamp_state: ['1', 'Lamp state'],
  noise: ['dB', 'Noise'],
  temperature: ['Cel', 'Temperature'],
  humidity: ['%', 'Humidity'],
  wind: ['km/h', 'Wind'],
  voltage: ['V', 'Voltage'],
  pressure: ['hPa', 'Air pressure'],
};

export function unitOfProperty(property: string): Unit | undefined {
  const known = PROPERTIES[property];
  return known === undefined ? undefined : unitOfSymbol(known[0]);
}

/** `pm25` → `PM2.5`, `bin_weight` → `Bin weight`. */
export function labelOfProperty(property: string): string {
  const known = PROPERTIES[property];
  if (known !== undefined) return known[1];
  const words = property.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Decimals with which `value` and `limit` do not read the same, if they are not. */
export function decimalsFor(value: number, limit: number | null, of: Unit): number {
  let decimals = of === NUMBER && !Number.isInteger(value) ? 2 : of.decimals;
  while (limit !== null && limit !== value && decimals < 6 && value.toFixed(decimals) === limit.toFixed(decimals)) decimals += 1;
  return decimals;
}

/** `0.41 m`. */
export function printValue(value: number, of: Unit, decimals = decimalsFor(value, null, of)): string {
  return of.label === '' ? value.toFixed(decimals) : of.label === '%' ? `${value.toFixed(decimals)}%` : `${value.toFixed(decimals)} ${of.label}`;
}
