import { LIMITS, type Refusal } from '../../kernel/index.ts';
import type { Gate } from '../../trust/index.ts';
import { describedIn } from '../entities/description.ts';
import type { SourceBatch, SourcePlace, SourceSeries } from './adapter.ts';

/** What the feeds and imports need of the gate. */
export type DescriptionDoor = Pick<Gate, 'admitDescription' | 'maySay'>;

/** The feed in whose name entities are made. */
export interface FeedTexts {
  readonly name: string;
  readonly title: string;
  readonly purpose: string;
  readonly interval_s: number;
}

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';

const nameOf = (name: string, key: string): string => {
  const text = name.trim() === '' ? key : name;
  return [...(text.trim() === '' ? 'unnamed' : text)].slice(0, LIMITS.name_chars / 2).join('');
};
const textOf = (text: string): string => text.slice(0, LIMITS.text_chars).toWellFormed();
const ownOf = ({ name }: FeedTexts, key: string): { feed: string; source_key: string } => ({ feed: name, source_key: key });

/** A Thing without its Location. */
export const thingOf = (feed: FeedTexts, place: SourcePlace) => ({ name: nameOf(place.name, place.key), description: textOf(place.description ?? feed.title), properties: { ...place.properties, ...ownOf(feed, place.key), kind: place.kind } });

export const locationOf = (name: string, { geometry }: SourcePlace): Record<string, unknown> => ({ name, description: `Where ${name} is`, encodingType: 'application/geo+json', location: geometry });

export const observedPropertyOf = ({ property: { key, name, definition } }: SourceSeries) => ({ name: nameOf(name, key), definition, description: textOf(name), properties: { key } });

/** The instrument of a series, or the feed itself. */
export const instrumentOf = (feed: FeedTexts, { sensor }: SourceSeries): { key: string; name: string; description: string } => sensor ?? { key: '', name: feed.name, description: feed.title };

export const sensorOf = (feed: FeedTexts, series: SourceSeries) => {
  const { key, name, description } = instrumentOf(feed, series);
  return { name: nameOf(name, key), description: textOf(description), encodingType: 'text/plain', metadata: feed.title, properties: ownOf(feed, key) };
};

/** A Datastream without its links. */
export const datastreamOf = (feed: FeedTexts, series: SourceSeries) => ({
  name: nameOf(series.name, series.key),
  description: textOf(`${series.property.name}, ${feed.title}`),
  observationType: OM + series.observationType,
  unitOfMeasurement: series.unit ?? { name: null, symbol: null, definition: null },
  properties: {
    ...ownOf(feed, series.key),
    purpose: feed.purpose,
    interval_s: series.interval_s ?? feed.interval_s,
    ...(series.min === undefined ? {} : { min: series.min }),
    ...(series.max === undefined ? {} : { max: series.max }),
    ...(series.parameters === undefined ? {} : { parameters: series.parameters }),
  },
});

/** What the gate says of the texts of a place: they are a source's, whoever sends them. */
export const refusePlace = (gate: DescriptionDoor, feed: FeedTexts, place: SourcePlace): Refusal | null => gate.admitDescription(describedIn(thingOf(feed, place)), '', 'source');

/** The same of a series, its property and its instrument. */
export const refuseSeries = (gate: DescriptionDoor, feed: FeedTexts, series: SourceSeries): Refusal | null =>
  gate.admitDescription(describedIn({ ...datastreamOf(feed, series), Sensor: sensorOf(feed, series), ObservedProperty: observedPropertyOf(series) }), '', 'source');

/** Where in a document something was refused: by the key of the source, or by its number when the key is what may not be said. */
export const placeOf = (gate: DescriptionDoor, kind: 'place' | 'series', key: string, at: number): string => (gate.maySay(key) ? `${kind} ${key}` : `${kind} number ${String(at + 1)}`);

/** The rule of the gate and the field, as they stand in the health of a feed. */
export function ruleAt(at: string, { code, detail, field }: Refusal): string {
  const rule = code.startsWith('gate.') ? /\(rule ([\w.-]+)\)/.exec(detail)?.[1] : undefined;
  return rule === undefined ? at : `${at}, ${field ?? 'text'}: rule ${rule}`;
}

/** What of a batch would be refused for its texts, places first; keys name them for who sent the batch. */
export function refusedTexts(gate: DescriptionDoor, feed: FeedTexts, { places, series }: Pick<SourceBatch, 'places' | 'series'>): { kind: 'place' | 'series'; key: string; placeKey: string; refusal: Refusal }[] {
  const refused = places.flatMap((place) => {
    const refusal = refusePlace(gate, feed, place);
    return refusal === null ? [] : [{ kind: 'place' as const, key: place.key, placeKey: place.key, refusal }];
  });
  const gone = new Set(refused.map(({ key }) => key));
  return [
    ...refused,
    ...series.flatMap((one) => {
      const refusal = gone.has(one.placeKey) ? null : refuseSeries(gate, feed, one);
      return refusal === null ? [] : [{ kind: 'series' as const, key: one.key, placeKey: one.placeKey, refusal }];
    }),
  ];
}
