import type { Watch } from './watch.ts';

/** What a datastream has registered to send; everything else is refused. */
export interface GateRegistration {
  readonly purpose: string;
  readonly allows: 'number' | 'integer' | 'boolean' | 'term' | 'any' | 'list';
  readonly min: number;
  readonly max: number;
  /** What each element of a list may be; only for lists (18-088 §8.2.10). */
  readonly elements?: readonly GateRegistration[];
  /** Id of the Datastream, for counts and quarantine. */
  readonly stream?: number;
  /** The terms that may be sent; without them a term is short and no detector knows it. */
  readonly terms?: ReadonlySet<string>;
  /** Long lists of numbers are what the stream is for. */
  readonly shape?: 'spectrum' | 'histogram';
  /** It counts people or vehicles: small counts are not told apart. */
  readonly counts?: Counted;
  /** It stands beside the results of a stream that counts. */
  readonly isBesideCounts?: true;
  /** How its values behave; kept by the gate. */
  watch?: Watch | null;
}

export type Counted = 'people' | 'vehicles';

// last part of http://www.opengis.net/def/observationType/OGC-OM/2.0/…
const ALLOWED_BY_TYPE: Readonly<Record<string, GateRegistration['allows']>> = {
  OM_Measurement: 'number',
  OM_CountObservation: 'integer',
  OM_TruthObservation: 'boolean',
  OM_CategoryObservation: 'term',
  OM_Observation: 'any',
};
const MAX_TERMS = 1_000;

/**
 * Reads what a Datastream registers: its observationType says the type, properties.min and properties.max the bounds,
 * properties.terms the terms, properties.shape that lists of numbers are a spectrum or a histogram, properties.counts that it
 * counts people or vehicles. An unknown observationType registers numbers only. With `elementTypes` the result is a list, one
 * element each, and bounds and terms are lists as well; `counts` is a list, or one word for every element that is a count.
 */
export function registrationOf(datastream: { observationType: string; properties: Readonly<Record<string, unknown>>; purpose: string; elementTypes?: readonly string[] | null; stream?: number }): GateRegistration {
  const { elementTypes, properties, purpose } = datastream;
  const stream = datastream.stream === undefined ? {} : { stream: datastream.stream };
  if (elementTypes !== undefined && elementTypes !== null) {
    const nth = (value: unknown, at: number): unknown => (Array.isArray(value) ? (value[at] as unknown) : undefined);
    // one word for the whole list is meant for each of its counts
    const countsOf = (type: string, at: number): unknown => (Array.isArray(properties['counts']) ? nth(properties['counts'], at) : type.endsWith('OM_CountObservation') ? properties['counts'] : undefined);
    const elements = elementTypes.map((observationType, at) => registrationOf({ observationType, properties: { min: nth(properties['min'], at), max: nth(properties['max'], at), terms: nth(properties['terms'], at), counts: countsOf(observationType, at) }, purpose }));
    return { purpose, allows: 'list', min: -Infinity, max: Infinity, elements, ...stream };
  }
  const name = datastream.observationType.slice(datastream.observationType.lastIndexOf('/') + 1);
  const bound = (key: string, otherwise: number): number => {
    const value = properties[key];
    return typeof value === 'number' ? value : otherwise;
  };
  const { terms, shape, counts } = properties;
  return {
    purpose,
    allows: ALLOWED_BY_TYPE[name] ?? 'number',
    min: bound('min', -Infinity),
    max: bound('max', Infinity),
    ...(Array.isArray(terms) && terms.length > 0 ? { terms: new Set(terms.slice(0, MAX_TERMS).filter((term): term is string => typeof term === 'string')) } : {}),
    ...(shape === 'spectrum' || shape === 'histogram' ? { shape } : {}),
    ...(counts === 'people' || counts === 'vehicles' ? { counts } : {}),
    ...stream,
  };
}
