import { Refused, isLonLat, parseInstantMs } from '../../../kernel/index.ts';
import { readText } from '../batch.ts';
import { childAt, childrenOf, findElement, textAt, type XmlElement } from '../xml.ts';

export type PublicationKind = 'SituationPublication' | 'MeasuredDataPublication' | 'MeasurementSiteTablePublication';

export interface Publication {
  readonly kind: PublicationKind;
  readonly element: XmlElement;
  /** Null when the publication does not say. */
  readonly publishedMs: number | null;
}

const KINDS: readonly PublicationKind[] = ['SituationPublication', 'MeasuredDataPublication', 'MeasurementSiteTablePublication'];
const SCHEMAS = /^http:\/\/datex2\.eu\/schema\/(2|3)\//;
const DEPTH_OF_PAYLOAD = 6;

/** The type that `xsi:type` names, without its prefix; versions 2 and 3 differ in prefixes only. */
export const typeOf = (element: XmlElement): string => element.attributes['type']?.split(':').at(-1) ?? '';

/**
 * Finds the publications of a DATEX II document: version 2 (d2LogicalModel), version 3 (messageContainer or payload), also inside
 * a SOAP envelope. Throws `Refused` for anything else.
 */
export function readPublications(root: XmlElement): Publication[] {
  const found: Publication[] = [];
  const search = (element: XmlElement, depth: number): void => {
    if (element.name === 'payloadPublication' || element.name === 'payload') {
      const kind = KINDS.find((one) => one === typeOf(element));
      if (!SCHEMAS.test(element.namespace)) throw invalid('It must be of DATEX II version 2 or 3.', element);
      if (kind === undefined) throw invalid(`Only ${KINDS.join(', ')} are read.`, element);
      found.push({ kind, element, publishedMs: parseInstantMs(textAt(element, 'publicationTime') ?? '') });
      return;
    }
    if (depth < DEPTH_OF_PAYLOAD) for (const child of element.children) search(child, depth + 1);
  };
  search(root, 0);
  if (found.length === 0) throw invalid('There is no DATEX II publication in it.', root);
  return found;
}

export const invalid = (detail: string, element: XmlElement): Refused => new Refused({ code: 'feed.document-invalid', detail, field: `${element.name}, line ${element.line}` });

/** The text in the wanted language of a MultilingualString, else its first. */
export function readMultilingual(element: XmlElement | undefined, language: string): string | null {
  const values = element === undefined ? [] : childrenOf(childAt(element, 'values') ?? element, 'value').filter((value) => value.text !== '');
  return readText((values.find((value) => value.attributes['lang'] === language) ?? values[0])?.text, 255);
}

export interface DatexLocation {
  /** Number or name of the road; null when the source does not say. */
  readonly road: string | null;
  readonly geometry: { readonly type: string; readonly coordinates: unknown } | null;
  /** A point of it, for messages. */
  readonly point: readonly [lon: number, lat: number] | null;
}

const LINE_POINTS_MAX = 2_000;

/** Road and position of groupOfLocations (version 2), locationReference (version 3) or measurementSiteLocation. */
export function readLocation(element: XmlElement | undefined): DatexLocation {
  if (element === undefined) return { road: null, geometry: null, point: null };
  const road = readText(textOf(element, 'roadNumber') ?? textOf(element, 'roadName'), 100) ?? readMultilingual(findElement(element, 'roadName'), '');
  const line = readLine(findElement(element, 'posList'));
  if (line !== null) return { road, geometry: { type: 'LineString', coordinates: line }, point: line[0] ?? null };
  const point = readPoint(findElement(element, 'pointCoordinates')) ?? readPoint(findElement(element, 'coordinatesForDisplay')) ?? readPoint(findElement(element, 'locationForDisplay'));
  return { road, geometry: point === null ? null : { type: 'Point', coordinates: point }, point };
}

const textOf = (element: XmlElement, name: string): string | null => {
  const text = findElement(element, name)?.text;
  return text === undefined || text === '' ? null : text;
};

function readPoint(element: XmlElement | undefined): [number, number] | null {
  const [lon, lat] = [textAt(element, 'longitude'), textAt(element, 'latitude')];
  return lon !== null && lat !== null && isLonLat(Number(lon), Number(lat)) ? [Number(lon), Number(lat)] : null;
}

/** gml:posList of latitude and longitude in turn (DATEX II GmlLineString, srsName EPSG:4326). */
function readLine(element: XmlElement | undefined): [number, number][] | null {
  const numbers = element?.text.split(/\s+/).map(Number) ?? [];
  if (numbers.length < 4 || numbers.length % 2 !== 0 || numbers.length > 2 * LINE_POINTS_MAX) return null;
  const line: [number, number][] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const [lat, lon] = [numbers[at], numbers[at + 1]];
    if (!isLonLat(lon, lat)) return null;
    line.push([lon as number, lat as number]);
  }
  return line;
}
