import { readText } from '../batch.ts';
import { childAt, childrenOf, findElement, textAt, type XmlElement } from '../xml.ts';
import { readLocation, readMultilingual, type DatexLocation, type Publication } from './document.ts';

/** What one index of a measurement site measures. */
export interface Characteristic {
  readonly valueType: string;
  readonly lane: string | null;
  readonly vehicleType: string | null;
  readonly period_s: number | null;
}

export interface MeasurementSite {
  readonly id: string;
  readonly name: string;
  readonly location: DatexLocation;
  /** What the source says of the equipment, in lower case; empty when it does not say. */
  readonly equipment: string;
  readonly characteristics: ReadonlyMap<string, Characteristic>;
}

const SITES_MAX = 50_000;

/** Reads the sites of a MeasurementSiteTablePublication: measurementSiteRecord in version 2, measurementSite in version 3. */
export function readSites({ element }: Publication, language: string): Map<string, MeasurementSite> {
  const sites = new Map<string, MeasurementSite>();
  for (const table of childrenOf(element, 'measurementSiteTable')) {
    for (const record of [...childrenOf(table, 'measurementSiteRecord'), ...childrenOf(table, 'measurementSite')]) {
      const id = readText(record.attributes['id'], 200);
      if (id === null || sites.size >= SITES_MAX) continue;
      sites.set(id, {
        id,
        name: readMultilingual(childAt(record, 'measurementSiteName'), language) ?? id,
        location: readLocation(childAt(record, 'measurementSiteLocation')),
        equipment: allText(childAt(record, 'measurementEquipmentTypeUsed')).concat(' ', textAt(record, 'measurementEquipmentReference') ?? '').trim().toLowerCase(),
        characteristics: new Map(childrenOf(record, 'measurementSpecificCharacteristics').map((outer) => [outer.attributes['index'] ?? '', readCharacteristic(outer)])),
      });
    }
  }
  return sites;
}

function readCharacteristic(outer: XmlElement): Characteristic {
  const inner = childAt(outer, 'measurementSpecificCharacteristics') ?? outer;
  const period_s = Number(textAt(inner, 'period') ?? NaN);
  const vehicle = childAt(inner, 'specificVehicleCharacteristics');
  return {
    valueType: readText(textAt(inner, 'specificMeasurementValueType'), 60) ?? '',
    lane: readText(textAt(inner, 'specificLane') ?? findElement(inner, 'laneNumber')?.text, 60),
    vehicleType: readText(vehicle === undefined ? null : findElement(vehicle, 'vehicleType')?.text, 60),
    period_s: period_s > 0 && period_s <= 86_400 ? period_s : null,
  };
}

const allText = (element: XmlElement | undefined): string => (element === undefined ? '' : [element.text, ...element.children.map(allText)].join(' ').replace(/\s+/g, ' ').trim().slice(0, 500));

// what reads plates or addresses of devices in passing cars, in the words of operators
const RECOGNISES = /\b(anpr|alpr|lpr|avi|plates?|licen[cs]e|\w*kennzeichen\w*|nummernschild\w*|plaques?|targhe?|matr[ií]culas?|blue ?tooth|wi-?fi|wlan|mac|re-?identif\w*|wiedererkennung|toll|transponder|e-?tag)\b/i;
const ANONYMOUS = /\b(loops?|induct(ion|ive)|\w*schleifen?|radar|microwave|laser|lidar|infra-?red|ultra-?sonic|magnet\w*|piezo\w*|pneumatic|acoustic|tube|spire|spira)\b/i;

/** Whether a site's equipment tells vehicles apart. `unknown` where the source says nothing that is known. */
export function recognitionOf(equipment: string): 'recognises' | 'anonymous' | 'unknown' {
  if (RECOGNISES.test(equipment)) return 'recognises';
  return ANONYMOUS.test(equipment) ? 'anonymous' : 'unknown';
}
