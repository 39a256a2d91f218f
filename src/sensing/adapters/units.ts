import type { SourceSeries } from './adapter.ts';

export type Unit = NonNullable<SourceSeries['unit']>;

const UCUM = 'http://unitsofmeasure.org/ucum#';
const unit = (symbol: string, name: string, ucum: string): readonly [string, Unit] => [symbol, { name, symbol, definition: UCUM + ucum }];

/** Units by the symbol that people write, with their UCUM code (UCUM 2.1, case sensitive). */
export const UNITS_BY_SYMBOL: ReadonlyMap<string, Unit> = new Map([
  unit('1', 'number', '1'),
  unit('%', 'percent', '%'),
  unit('°', 'degree', 'deg'),
  unit('°C', 'degree Celsius', 'Cel'),
  unit('K', 'kelvin', 'K'),
  unit('hPa', 'hectopascal', 'hPa'),
  unit('kPa', 'kilopascal', 'kPa'),
  unit('Pa', 'pascal', 'Pa'),
  unit('mm', 'millimetre', 'mm'),
  unit('cm', 'centimetre', 'cm'),
  unit('m', 'metre', 'm'),
  unit('km', 'kilometre', 'km'),
  unit('l', 'litre', 'L'),
  unit('m³', 'cubic metre', 'm3'),
  unit('m³/s', 'cubic metre per second', 'm3/s'),
  unit('l/s', 'litre per second', 'L/s'),
  unit('mm/h', 'millimetre per hour', 'mm/h'),
  unit('m/s', 'metre per second', 'm/s'),
  unit('km/h', 'kilometre per hour', 'km/h'),
  unit('s', 'second', 's'),
  unit('min', 'minute', 'min'),
  unit('h', 'hour', 'h'),
  unit('1/h', 'per hour', '/h'),
  unit('µg/m³', 'microgram per cubic metre', 'ug/m3'),
  unit('mg/m³', 'milligram per cubic metre', 'mg/m3'),
  unit('1/m³', 'per cubic metre', '/m3'),
  unit('ppm', 'parts per million', '[ppm]'),
  unit('ppb', 'parts per billion', '[ppb]'),
  unit('lx', 'lux', 'lx'),
  unit('W/m²', 'watt per square metre', 'W/m2'),
  unit('dB(A)', 'decibel A', 'dB[SPL]'),
  unit('V', 'volt', 'V'),
  unit('mV', 'millivolt', 'mV'),
  unit('A', 'ampere', 'A'),
  unit('mA', 'milliampere', 'mA'),
  unit('W', 'watt', 'W'),
  unit('kW', 'kilowatt', 'kW'),
  unit('kvar', 'kilovolt ampere reactive', 'kV.A'),
  unit('kWh', 'kilowatt hour', 'kW.h'),
  unit('µS/cm', 'microsiemens per centimetre', 'uS/cm'),
  unit('kg', 'kilogram', 'kg'),
  unit('pH', 'pH', '[pH]'),
  unit('mag/arcsec²', 'magnitude per square arcsecond', "1/('')2"),
]);
