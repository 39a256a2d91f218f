import { isoOf, parseInstantMs } from '../../../kernel/index.ts';
import { UNITS, readText, type DraftBatch } from '../batch.ts';
import { childAt, childrenOf, findElement, textAt, type XmlElement } from '../xml.ts';
import { typeOf, type Publication } from './document.ts';
import { recognitionOf, type Characteristic, type MeasurementSite } from './sites.ts';

const DEFINITION = 'https://docs.datex2.eu/levels/mastering/datamodel/measuredData/';
const VALUES_MAX = 200_000;

interface Quantity {
  readonly key: string;
  readonly name: string;
  readonly unit: (typeof UNITS)[keyof typeof UNITS];
  readonly max: number;
  /** Where the number stands inside basicData, by local names. */
  readonly paths: readonly (readonly string[])[];
}

// BasicData of the models 2 and 3 that loops give
const QUANTITIES: Readonly<Record<string, readonly Quantity[]>> = {
  TrafficFlow: [{ key: 'traffic-flow', name: 'Traffic flow', unit: UNITS.anHour, max: 100_000, paths: [['vehicleFlow', 'vehicleFlowRate']] }],
  TrafficSpeed: [{ key: 'traffic-speed', name: 'Mean speed of traffic', unit: UNITS.kilometreAnHour, max: 300, paths: [['averageVehicleSpeed', 'speed']] }],
  TrafficConcentration: [{ key: 'occupancy', name: 'Occupancy', unit: UNITS.percent, max: 100, paths: [['occupancy', 'percentage'], ['vehicleDetectorTimeOccupancy', 'percentage']] }],
};
/** Types that describe one vehicle each. */
const INDIVIDUAL = /^IndividualVehicle/;

/**
 * Values of measurement sites as series with units. Times between two places are taken only from sites whose equipment is stated
 * and cannot tell vehicles apart; measurements of single vehicles never.
 */
export function addMeasurements(batch: DraftBatch, { element, publishedMs }: Publication, sites: ReadonlyMap<string, MeasurementSite>, nowMs: number): void {
  let values = 0;
  for (const [at, measurements] of childrenOf(element, 'siteMeasurements').entries()) {
    const path = `siteMeasurements[${at}]`;
    const siteId = readText(childAt(measurements, 'measurementSiteReference')?.attributes['id'], 200);
    if (siteId === null) {
      batch.refuse(`${path}.measurementSiteReference`, 'feed.value-invalid', 'It names no site.');
      continue;
    }
    const timeElement = childAt(measurements, 'measurementTimeDefault');
    const timeText = timeElement === undefined ? null : timeElement.text !== '' ? timeElement.text : (findElement(timeElement, 'timeValue')?.text ?? null);
    const atMs = timeText === null ? (publishedMs ?? nowMs) : parseInstantMs(timeText);
    if (atMs === null) {
      batch.refuse(`${path}.measurementTimeDefault`, 'feed.value-invalid', 'It is not a time with a zone.');
      continue;
    }
    const site = sites.get(siteId) ?? { id: siteId, name: siteId, location: { road: null, geometry: null, point: null }, equipment: '', characteristics: new Map<string, Characteristic>() };
    // version 2 wraps values as measuredValue, version 3 as physicalQuantity
    for (const value of [...childrenOf(measurements, 'measuredValue'), ...childrenOf(measurements, 'physicalQuantity')]) {
      values += 1;
      if (values > VALUES_MAX) return batch.refuse(path, 'feed.document-too-large', `A publication has at most ${VALUES_MAX} values.`);
      addValue(batch, value, site, isoOf(atMs), `${path}.${value.name}[${value.attributes['index'] ?? ''}]`);
    }
    for (const name of ['individualVehicleMeasurements', 'individualVehicleDataValues']) {
      if (findElement(measurements, name) !== undefined) batch.refuse(`${path}.${name}`, 'feed.single-vehicles', 'Measurements of single vehicles are never read.');
    }
  }
}

function addValue(batch: DraftBatch, value: XmlElement, site: MeasurementSite, phenomenonTime: string, path: string): void {
  const index = readText(value.attributes['index'], 60) ?? '';
  const basic = findElement(value, 'basicData');
  if (basic === undefined) return;
  const type = typeOf(basic);
  if (INDIVIDUAL.test(type)) return batch.refuse(path, 'feed.single-vehicles', 'Measurements of single vehicles are never read.');
  const travelTime = type === 'TravelTimeData';
  if (travelTime) {
    const refusal = checkTravelTime(site, basic);
    if (refusal !== null) return batch.refuse(path, 'feed.plate-reading', refusal);
  }
  const quantities = travelTime ? [TRAVEL_TIME] : QUANTITIES[type];
  if (quantities === undefined) return batch.refuse(path, 'feed.value-invalid', 'Flow, speed, occupancy and travel time are read; this is another kind of data.');
  for (const quantity of quantities) {
    const holder = quantity.paths.map((steps) => childAt(basic, ...steps.slice(0, -1))).find((found) => found !== undefined);
    const text = quantity.paths.map((steps) => textAt(basic, ...steps)).find((found) => found !== null);
    const isFaulty = holder !== undefined && textAt(holder, 'dataError') === 'true';
    if (text === undefined || text === null) {
      if (!isFaulty) batch.refuse(path, 'feed.value-invalid', 'It has no value.');
      continue;
    }
    const result = Number(text);
    if (!Number.isFinite(result) || (!isFaulty && (result < 0 || result > quantity.max))) {
      // -1 is what many stations send for "no vehicle passed"
      batch.refuse(path, 'feed.value-invalid', `It must be a number from 0 to ${quantity.max}.`);
      continue;
    }
    if (isFaulty && (result < 0 || result > quantity.max)) continue;
    write(batch, site, index, quantity, phenomenonTime, result, isFaulty);
  }
}

const TRAVEL_TIME: Quantity = { key: 'travel-time', name: 'Travel time', unit: UNITS.second, max: 86_400, paths: [['travelTime', 'duration']] };

function checkTravelTime(site: MeasurementSite, basic: XmlElement): string | null {
  const recognition = recognitionOf(site.equipment);
  if (recognition === 'recognises') return 'The site recognises vehicles by plate or device.';
  if (findElement(basic, 'vehicleIdentification') !== undefined || findElement(basic, 'vehicleRegistrationNumber') !== undefined) return 'The value carries the identity of a vehicle.';
  return recognition === 'anonymous' ? null : 'The site table does not state equipment that cannot tell vehicles apart (measurementEquipmentTypeUsed).';
}

function write(batch: DraftBatch, site: MeasurementSite, index: string, quantity: Quantity, phenomenonTime: string, result: number, isFaulty: boolean): void {
  const placeKey = `site/${site.id}`;
  batch.place({ key: placeKey, name: site.name, kind: 'traffic-counter', geometry: site.location.geometry, ...(site.location.road === null ? {} : { properties: { road: site.location.road } }) });
  const characteristic = site.characteristics.get(index);
  const about = [characteristic?.lane, characteristic?.vehicleType].filter((part) => typeof part === 'string');
  const seriesKey = `${placeKey}/${index}/${quantity.key}`;
  batch.series({
    key: seriesKey,
    placeKey,
    name: `${site.name}: ${quantity.name.toLowerCase()}${about.length === 0 ? '' : ` (${about.join(', ')})`}`.slice(0, 255),
    property: { key: quantity.key, name: quantity.name, definition: DEFINITION },
    unit: quantity.unit,
    observationType: 'OM_Measurement',
    min: 0,
    max: quantity.max,
    ...(characteristic?.period_s === null || characteristic === undefined ? {} : { interval_s: characteristic.period_s }),
  });
  batch.reading({ seriesKey, phenomenonTime, result, ...(isFaulty ? { resultQuality: 'faulty' } : {}) });
}
