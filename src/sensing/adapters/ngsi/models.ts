import type { SourceSeries } from '../adapter.ts';
import { UNITS_BY_SYMBOL, type Unit } from '../units.ts';

/** What an attribute of a Smart Data Model means here. Whatever has no such line is not taken. */
export interface Measure {
  readonly key: string;
  readonly name: string;
  readonly type: 'number' | 'count' | 'truth' | 'term';
  readonly unit: Unit | null;
  /** The model leaves the unit to unitCode: without one the value says nothing. */
  readonly needsUnit: boolean;
  readonly min?: number;
  readonly max?: number;
  /** The words that a category may have, in small letters without blanks, hyphens and underscores. */
  readonly terms?: readonly string[];
}

export interface Model {
  /** `properties.kind` of the Thing. */
  readonly kind: string;
  readonly title: string;
  readonly attributes: readonly string[];
  /** An entity for each event: then the category is the place, not the event. */
  readonly event?: boolean;
}

const unitOf = (symbol: string): Unit => {
  const unit = UNITS_BY_SYMBOL.get(symbol);
  if (unit === undefined) throw new Error(`no unit ${symbol}`);
  return unit;
};
const number = (key: string, name: string, symbol: string, min: number, max: number, needsUnit = false): Measure => ({ key, name, type: 'number', unit: unitOf(symbol), needsUnit, min, max });
const count = (key: string, name: string, max = 1_000_000): Measure => ({ key, name, type: 'count', unit: unitOf('1'), needsUnit: false, min: 0, max });
const truth = (key: string, name: string): Measure => ({ key, name, type: 'truth', unit: null, needsUnit: false });
const term = (key: string, name: string, terms: readonly string[]): Measure => ({ key, name, type: 'term', unit: null, needsUnit: false, terms });
const gas = (key: string, name: string): Measure => number(key, name, 'µg/m³', 0, 1_000_000, true);

const QUALITY = ['good', 'satisfactory', 'moderate', 'fair', 'poor', 'verypoor', 'severe', 'unhealthy', 'unhealthyforsensitivegroups', 'veryunhealthy', 'hazardous', 'low', 'medium', 'high', 'veryhigh', 'extreme'];
const SEVERITY = ['informational', 'minor', 'low', 'medium', 'moderate', 'high', 'severe', 'critical', 'veryhigh', 'extreme'];
const CATEGORY = ['traffic', 'naturaldisaster', 'weather', 'environment', 'health', 'security', 'agriculture'];

/** By attribute in small letters, as the models of smart-data-models spell them in several ways. Units are those of their documentation. */
export const MEASURES: Readonly<Record<string, Measure>> = {
  temperature: number('temperature', 'Air temperature', '°C', -60, 60),
  ambienttemperature: number('temperature', 'Air temperature', '°C', -60, 60),
  skytemperature: number('sky-temperature', 'Temperature of the sky', '°C', -100, 60),
  feelsliketemperature: number('felt-temperature', 'Felt temperature', '°C', -80, 80),
  dewpoint: number('dew-point', 'Dew point', '°C', -80, 60),
  relativehumidity: number('humidity', 'Relative humidity', '1', 0, 1),
  atmosphericpressure: number('pressure', 'Air pressure', 'hPa', 500, 1_100),
  windspeed: number('wind', 'Wind speed', 'm/s', 0, 120),
  winddirection: number('wind-direction', 'Wind direction', '°', -180, 360),
  gustspeed: number('gust', 'Gusts', 'm/s', 0, 150),
  precipitation: number('rain', 'Precipitation', 'mm', 0, 1_000),
  snowheight: number('snow', 'Height of snow', 'cm', 0, 1_000),
  streamgauge: number('level', 'Water level', 'cm', -1_000, 10_000),
  illuminance: number('illuminance', 'Illuminance', 'lx', 0, 200_000),
  solarradiation: number('solar-radiation', 'Solar radiation', 'W/m²', 0, 2_000),
  uvindexmax: number('uv-index', 'Highest UV index', '1', 0, 30),
  visibilitydistance: number('visibility', 'Visibility', 'm', 0, 200_000),
  pm1: gas('pm1', 'Particles PM1'),
  pm10: gas('pm10', 'Particles PM10'),
  pm25: gas('pm25', 'Particles PM2.5'),
  co: gas('co', 'Carbon monoxide'),
  no: gas('no', 'Nitrogen monoxide'),
  no2: gas('no2', 'Nitrogen dioxide'),
  nox: gas('nox', 'Nitrogen oxides'),
  o3: gas('o3', 'Ozone'),
  so2: gas('so2', 'Sulphur dioxide'),
  nh3: gas('nh3', 'Ammonia'),
  co2: { ...number('co2', 'Carbon dioxide', 'ppm', 0, 100_000), needsUnit: true },
  airqualityindex: number('air-quality-index', 'Air quality index', '1', 0, 1_000),
  airqualitylevel: term('air-quality-level', 'Air quality level', QUALITY),
  colevel: term('co-level', 'Level of carbon monoxide', QUALITY),
  allergenrisk: term('allergen-risk', 'Allergen risk', QUALITY),
  alnus: number('pollen-alnus', 'Pollen of alder', '1/m³', 0, 100_000),
  casuarina: number('pollen-casuarina', 'Pollen of casuarina', '1/m³', 0, 100_000),
  laeq: number('noise', 'Noise, equivalent level', 'dB(A)', 0, 150),
  lamax: number('noise-max', 'Noise, highest level', 'dB(A)', 0, 170),
  laeq_d: number('noise-day', 'Noise by day', 'dB(A)', 0, 150),
  las: number('noise-slow', 'Noise, slow level', 'dB(A)', 0, 150),
  laeq2: number('noise', 'Noise, equivalent level', 'dB(A)', 0, 150),
  lamax2: number('noise-max', 'Noise, highest level', 'dB(A)', 0, 170),
  noiseannoyanceindex: number('noise-annoyance', 'Annoyance by noise', '1', 0, 10),
  skymagnitude: number('sky-brightness', 'Brightness of the night sky', 'mag/arcsec²', 0, 30),
  speciestotal: count('mosquitoes', 'Mosquitoes in the trap'),
  availablespotnumber: count('free-spaces', 'Free parking spaces'),
  totalspotnumber: count('spaces', 'Parking spaces'),
  occupiedspotnumber: count('taken-spaces', 'Taken parking spaces'),
  outofserviceslotnumber: count('slots-out-of-service', 'Places out of service'),
  occupancy: number('occupancy', 'Occupancy', '1', 0, 1),
  vehicleentrancecount: count('entries', 'Vehicles that came in'),
  vehicleexitcount: count('exits', 'Vehicles that left'),
  availablebikenumber: count('bikes-available', 'Bicycles available', 10_000),
  freeslotnumber: count('docks-available', 'Docks free', 10_000),
  totalslotnumber: count('docks', 'Docks', 10_000),
  intensity: number('flow', 'Vehicles in the time of observation', '1', 0, 1_000_000),
  averagevehiclespeed: number('speed', 'Mean speed', 'km/h', 0, 300),
  averagevehiclelength: number('vehicle-length', 'Mean length of vehicles', 'm', 0, 100),
  averageheadwaytime: number('headway', 'Mean headway', 's', 0, 86_400),
  congested: truth('congested', 'Congested'),
  fillinglevel: number('fill', 'Filling level', '1', 0, 1),
  cargoweight: number('weight', 'Weight inside', 'kg', 0, 100_000),
  powerstate: term('lamp-state', 'Power state', ['on', 'off', 'low', 'bootingup']),
  powerconsumption: number('power', 'Power', 'kW', 0, 100_000),
  totalactivepower: number('active-power', 'Active power', 'kW', 0, 100_000),
  totalreactivepower: number('reactive-power', 'Reactive power', 'kvar', -100_000, 100_000),
  voltage: number('voltage', 'Voltage', 'V', 0, 1_000_000),
  status: term('status', 'Status', ['free', 'occupied', 'open', 'closed', 'unknown', 'ok', 'working', 'outofservice', 'withincidence', 'full', 'almostfull', 'empty', 'almostempty', 'defectivelamp', 'columnissue', 'brokenlantern', 'dropped', 'moved', 'vandalized', 'burning', 'lidopen', 'limited']),
  severity: term('severity', 'Severity', SEVERITY),
};

const AIR = ['temperature', 'relativehumidity', 'atmosphericpressure', 'windspeed', 'winddirection', 'precipitation', 'illuminance', 'solarradiation'];
const GASES = ['pm1', 'pm10', 'pm25', 'co', 'no', 'no2', 'nox', 'o3', 'so2', 'nh3', 'co2'];
const SPACES = ['availablespotnumber', 'totalspotnumber', 'occupiedspotnumber', 'outofserviceslotnumber', 'occupancy', 'vehicleentrancecount', 'vehicleexitcount', 'status'];

/** Models of Smart Data Models whose entities stand still and whose values are measured there. */
export const MODELS: Readonly<Record<string, Model>> = {
  AirQualityObserved: { kind: 'air-station', title: 'Air quality', attributes: [...AIR, ...GASES, 'airqualityindex', 'airqualitylevel', 'colevel'] },
  AirQualityMonitoring: { kind: 'air-station', title: 'Air quality', attributes: [...AIR, ...GASES, 'airqualityindex', 'airqualitylevel'] },
  AeroAllergenObserved: { kind: 'pollen-trap', title: 'Pollen', attributes: ['allergenrisk', 'alnus', 'casuarina'] },
  IndoorEnvironmentObserved: { kind: 'room', title: 'Room', attributes: ['temperature', 'relativehumidity', 'illuminance', 'atmosphericpressure', 'co2'] },
  WeatherObserved: { kind: 'weather-station', title: 'Weather', attributes: [...AIR, 'feelsliketemperature', 'dewpoint', 'gustspeed', 'snowheight', 'streamgauge', 'uvindexmax', 'visibilitydistance'] },
  NightSkyQuality: { kind: 'sky-meter', title: 'Night sky', attributes: ['ambienttemperature', 'skytemperature', 'skymagnitude'] },
  NoiseLevelObserved: { kind: 'noise-meter', title: 'Noise', attributes: ['laeq', 'lamax', 'laeq_d', 'las'] },
  NoisePollution: { kind: 'noise-meter', title: 'Noise', attributes: ['laeq2', 'lamax2', 'noiseannoyanceindex'] },
  MosquitoDensity: { kind: 'mosquito-trap', title: 'Mosquitoes', attributes: ['speciestotal', 'temperature', 'precipitation'] },
  OffStreetParking: { kind: 'car-park', title: 'Car park', attributes: SPACES },
  OnStreetParking: { kind: 'car-park', title: 'Parking on the street', attributes: SPACES },
  ParkingGroup: { kind: 'car-park', title: 'Parking spaces', attributes: SPACES },
  ParkingSpot: { kind: 'parking-spot', title: 'Parking space', attributes: ['status'] },
  BikeHireDockingStation: { kind: 'bike-station', title: 'Bicycle station', attributes: ['availablebikenumber', 'freeslotnumber', 'totalslotnumber', 'outofserviceslotnumber', 'status'] },
  TrafficFlowObserved: { kind: 'traffic-counter', title: 'Traffic', attributes: ['intensity', 'occupancy', 'averagevehiclespeed', 'averagevehiclelength', 'averageheadwaytime', 'congested'] },
  WasteContainer: { kind: 'waste-container', title: 'Waste container', attributes: ['fillinglevel', 'cargoweight', 'temperature', 'status'] },
  Streetlight: { kind: 'street-lamp', title: 'Street lamp', attributes: ['powerstate', 'status', 'powerconsumption', 'voltage'] },
  StreetlightGroup: { kind: 'street-lamp-group', title: 'Street lamps', attributes: ['powerstate'] },
  StreetlightFeeder: { kind: 'street-lamp-feeder', title: 'Feeder of street lamps', attributes: ['powerstate', 'totalactivepower', 'totalreactivepower'] },
  Alert: { kind: 'alert', title: 'Alerts', attributes: ['severity'], event: true },
  WeatherAlert: { kind: 'alert', title: 'Weather alerts', attributes: ['severity'], event: true },
};

/** The words that the category of an event may have; another one is left out. */
export const CATEGORIES: ReadonlySet<string> = new Set(CATEGORY);

// Models whose every entity is a person, what a person owns or reports, a vehicle, or what was read from one
const PERSONS = /^(?:Person|PersonObserved|Family|User|Consumer|.*Owner|.*Operative|Patient|.*Worker|IssueReporting|service_?requests?|ServiceRequest|UserActivity|UserContext|RestrictionException)$/i;
const VEHICLES = /^(?:Vehicle(?!Model$).*|Fleet.*|EVVehicle.*|BikeLane.*Trip|Ship|Aircraft.*|Drone.*|.*Trip|Itinerary|UnmannedAerial.*)$/i;
const PLATES = /^(?:Anpr.*|APDS.*|.*(?:Plate|Anpr)(?:Read|Observed).*)$/i;

/** Why nothing of a type is ever taken; null for others. */
export function forbiddenType(type: string): 'feed.person-data' | 'feed.single-vehicles' | 'feed.plate-reading' | null {
  if (PERSONS.test(type)) return 'feed.person-data';
  if (PLATES.test(type)) return 'feed.plate-reading';
  return VEHICLES.test(type) ? 'feed.single-vehicles' : null;
}

interface Code {
  readonly symbol: string;
  /** Value in `symbol` for 1 of the code. */
  readonly factor: number;
  readonly offset?: number;
}

// UN/CEFACT Recommendation 20, common codes
const CODES: Readonly<Record<string, Code>> = {
  CEL: { symbol: '°C', factor: 1 },
  FAH: { symbol: '°C', factor: 5 / 9, offset: -160 / 9 },
  KEL: { symbol: '°C', factor: 1, offset: -273.15 },
  P1: { symbol: '1', factor: 0.01 },
  C62: { symbol: '1', factor: 1 },
  '59': { symbol: 'ppm', factor: 1 },
  '61': { symbol: 'ppm', factor: 0.001 },
  GQ: { symbol: 'µg/m³', factor: 1 },
  GP: { symbol: 'µg/m³', factor: 1_000 },
  MTS: { symbol: 'm/s', factor: 1 },
  KMH: { symbol: 'km/h', factor: 1 },
  DD: { symbol: '°', factor: 1 },
  MTR: { symbol: 'm', factor: 1 },
  CMT: { symbol: 'cm', factor: 1 },
  MMT: { symbol: 'mm', factor: 1 },
  KMT: { symbol: 'km', factor: 1 },
  LUX: { symbol: 'lx', factor: 1 },
  LX: { symbol: 'lx', factor: 1 },
  D54: { symbol: 'W/m²', factor: 1 },
  A97: { symbol: 'hPa', factor: 1 },
  PAL: { symbol: 'hPa', factor: 0.01 },
  KPA: { symbol: 'hPa', factor: 10 },
  MBR: { symbol: 'hPa', factor: 1 },
  '2N': { symbol: 'dB(A)', factor: 1 },
  SEC: { symbol: 's', factor: 1 },
  MIN: { symbol: 's', factor: 60 },
  KGM: { symbol: 'kg', factor: 1 },
  GRM: { symbol: 'kg', factor: 0.001 },
  VLT: { symbol: 'V', factor: 1 },
  KWT: { symbol: 'kW', factor: 1 },
  WTT: { symbol: 'kW', factor: 0.001 },
};

// lengths, speeds and times of one kind become the unit of the model
const KINSHIP: Readonly<Record<string, Readonly<Record<string, number>>>> = { mm: { cm: 10, m: 1_000, km: 1_000_000 }, cm: { mm: 0.1, m: 100, km: 100_000 }, m: { mm: 0.001, cm: 0.01, km: 1_000 }, 'm/s': { 'km/h': 1 / 3.6 }, 'km/h': { 'm/s': 3.6 } };

/** The value in the unit of the measure. Null when the code is not known or is of another kind. */
export function toUnitOf(measure: Measure, value: number, unitCode: string): number | null {
  const code = Object.hasOwn(CODES, unitCode) ? CODES[unitCode] : undefined;
  const wanted = measure.unit?.symbol;
  if (code === undefined || wanted === undefined) return null;
  // the models keep shares between 0 and 1 and still give the code of per cent: their own example says 0.54 P1
  if (wanted === '1' && unitCode === 'P1' && measure.max === 1 && value >= 0 && value <= 1) return value;
  const converted = value * code.factor + (code.offset ?? 0);
  if (code.symbol === wanted) return round(converted);
  const factor = KINSHIP[wanted]?.[code.symbol];
  return factor === undefined ? null : round(converted * factor);
}

/** Takes away what binary fractions add. */
const round = (value: number): number => Number(value.toPrecision(12));

export const observationTypeOf = ({ type }: Measure): SourceSeries['observationType'] => ({ number: 'OM_Measurement', count: 'OM_CountObservation', truth: 'OM_TruthObservation', term: 'OM_CategoryObservation' } as const)[type];
