import { z } from 'zod';
import { Refused, isoOf, parseInstantMs, type RefusalCode } from '../../../kernel/index.ts';
import type { Adapter, SourceBatch, SourceReading } from '../adapter.ts';
import { openBatch, type DraftBatch } from '../batch.ts';
import { isObject, readJson } from '../json.ts';
import { wallOf, zoneOf, type Zone } from '../local-time.ts';
import { UNITS_BY_SYMBOL } from '../units.ts';
import { entitiesOf, readEntity, type Attribute, type Entity } from './entity.ts';
import { CATEGORIES, MEASURES, MODELS, forbiddenType, observationTypeOf, toUnitOf, type Measure, type Model } from './models.ts';

const ENTITIES_MAX = 1_000;
const Key = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'Use small letters, digits and hyphens.');

export const NgsiOptions = z.strictObject({
  /** IANA zone of times that carry none; without it they are refused. */
  time_zone: z.string().max(60).refine((name) => zoneOf(name) !== null, 'It must be a zone of the IANA database, such as Europe/Madrid.').optional(),
  /** Unit codes of attributes that come without one, such as `co: GP`. */
  units: z.record(z.string().max(100), z.string().max(3)).default({}),
  /** More attributes that are numbers, by name, beside those of the models that are known here. */
  attributes: z
    .record(z.string().max(100), z.strictObject({ property: Key, name: z.string().min(1).max(100), unit: z.string().max(20).refine((symbol) => UNITS_BY_SYMBOL.has(symbol), 'This unit is not known here.'), min: z.number(), max: z.number() }))
    .default({}),
  /** Topics of this server's broker on which notifications come, beside the webhook. */
  topics: z.array(z.string().regex(/^[^\0$][^\0]{0,254}$/)).max(20).default([]),
});
export type NgsiOptions = z.infer<typeof NgsiOptions>;

/**
 * Notifications of NGSI-v2 and NGSI-LD brokers with entities of the Smart Data Models. What is taken is a list: models of
 * places, and of those the attributes that are measured there. Texts, relationships, persons and vehicles never are.
 */
export function createNgsi(): Adapter<NgsiOptions> {
  return {
    kind: 'ngsi',
    title: 'NGSI-v2 and NGSI-LD (FIWARE)',
    example: EXAMPLE,
    options: NgsiOptions,
    push: {
      contentTypes: ['application/json', 'application/ld+json', 'application/geo+json'],
      topics: ({ topics }) => topics,
      read: (options, { body, receivedMs }) => Promise.resolve(readNotification(options, readJson(body), receivedMs)),
    },
  };
}

const EXAMPLE = `- name: context-broker
  adapter: ngsi
  purpose: city-operations
  interval_s: 3600
  options:
    time_zone: Europe/Madrid
    units: { co: GP, no2: GQ } # codes of UN/CEFACT for attributes that carry none
`;

function readNotification(options: NgsiOptions, document: unknown, receivedMs: number): SourceBatch {
  const entities = entitiesOf(document);
  if (entities === null) throw new Refused({ code: 'feed.document-invalid', detail: 'It is neither a notification with a list "data" nor an entity with id and type.', field: 'document' });
  if (entities.length > ENTITIES_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A notification carries at most ${ENTITIES_MAX} entities.`, field: 'data' });
  const notifiedAt = isObject(document) && typeof document['notifiedAt'] === 'string' ? parseInstantMs(document['notifiedAt']) : null;
  const batch = openBatch();
  let ignored = 0;
  for (const { at, sent } of entities) {
    const entity = readEntity(sent);
    if (typeof entity === 'string') batch.refuse(`${at}.${entity}`, 'feed.document-invalid', 'An entity has an id, a type and at most 500 attributes.');
    else ignored += takeEntity(batch, options, entity, at, notifiedAt ?? receivedMs);
  }
  return { ...batch.finish(), ignored };
}

/** Takes what is listed of one entity; answers how many attributes were left out. */
function takeEntity(batch: DraftBatch, options: NgsiOptions, entity: Entity, at: string, fallbackMs: number): number {
  const forbidden = forbiddenType(entity.type);
  const model = Object.hasOwn(MODELS, entity.type) ? MODELS[entity.type] : undefined;
  if (forbidden !== null || model === undefined) {
    batch.refuse(at, forbidden ?? 'feed.type-unregistered', forbidden === null ? 'The type is no model of places and measurements that is known here.' : 'Entities of this type are never taken.');
    return 0;
  }
  const zone = options.time_zone === undefined ? null : zoneOf(options.time_zone);
  const place = placeOf(entity, model);
  let taken = 0;
  let refused = 0;
  for (const [name, attribute] of entity.attributes) {
    const measure = measureOf(name, model, options);
    if (measure === undefined || attribute.value === null) continue;
    const fail = (code: RefusalCode, detail: string): void => {
      refused += 1;
      batch.refuse(`${at}.${name}`, code, detail);
    };
    const result = readResult(measure, attribute, options.units[name] ?? options.units[name.toUpperCase()]);
    if (result === null) continue; // a word outside of the declared terms is free text
    if (typeof result === 'object') {
      fail('feed.value-invalid', result.detail);
      continue;
    }
    const time = readTime(entity, attribute, zone, fallbackMs);
    if (time === null) {
      fail('sensing.time-invalid', options.time_zone === undefined ? 'The entity has no time with a zone; set options.time_zone when it is always local.' : 'The time of the entity cannot be read.');
      continue;
    }
    if (taken === 0) batch.place(place);
    taken += 1;
    const key = `${place.key}/${measure.key}`;
    batch.series({
      key,
      placeKey: place.key,
      name: `${place.name}: ${measure.name}`,
      property: { key: measure.key, name: measure.name, definition: `https://smartdatamodels.org/${name}` },
      unit: measure.unit,
      observationType: observationTypeOf(measure),
      ...(measure.min === undefined ? {} : { min: measure.min }),
      ...(measure.max === undefined ? {} : { max: measure.max }),
      ...(model.event === true ? { parameters: ['validFrom', 'validTo'] } : {}),
    });
    const reading: SourceReading = { seriesKey: key, phenomenonTime: time, result, ...(model.event === true ? { parameters: validityOf(entity, zone) } : {}) };
    batch.reading(reading);
  }
  if (taken + refused === 0) batch.refuse(at, 'feed.type-unregistered', 'It carries none of the attributes that are registered for its type.');
  return entity.attributes.size - taken - refused;
}

function measureOf(name: string, model: Model, { attributes }: NgsiOptions): Measure | undefined {
  if (model.attributes.includes(name)) return MEASURES[name];
  const own = Object.entries(attributes).find(([known]) => known.toLowerCase() === name)?.[1];
  return own === undefined ? undefined : { key: own.property, name: own.name, type: 'number', unit: UNITS_BY_SYMBOL.get(own.unit) ?? null, needsUnit: false, min: own.min, max: own.max };
}

/** Some brokers make an entity of every observation, with its time in the id: the place is what is left without it. */
function placeOf({ id, type, attributes, geometry }: Entity, model: Model): { key: string; name: string; kind: string; geometry: Entity['geometry'] } {
  if (model.event === true) {
    const said = attributes.get('category')?.value;
    const category = typeof said === 'string' && CATEGORIES.has(wordOf(said)) ? wordOf(said) : 'other';
    return { key: `${type}/${category}`, name: `${model.title}: ${category}`, kind: model.kind, geometry: null };
  }
  const key = id.replace(/^urn:ngsi-ld:/i, '').replace(/(?:[-:_]\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)+$/, '');
  return { key, name: `${model.title} ${(/[^:/]+$/.exec(key)?.[0] ?? key).slice(0, 60)}`, kind: model.kind, geometry };
}

const wordOf = (text: string): string => text.toLowerCase().replaceAll(/[\s_-]+/g, '');

/** The result, null for what is not to be taken at all, or what is wrong with it. */
function readResult(measure: Measure, { value, unitCode }: Attribute, ownUnit: string | undefined): number | boolean | string | null | { readonly detail: string } {
  switch (measure.type) {
    case 'truth':
      return typeof value === 'boolean' ? value : { detail: 'It must be true or false.' };
    case 'term': {
      const said: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
      const word = typeof said === 'string' ? wordOf(said) : '';
      return measure.terms?.includes(word) === true ? word : null;
    }
    case 'count':
      return typeof value === 'number' && Number.isInteger(value) ? value : { detail: 'It must be a whole number.' };
    case 'number': {
      if (typeof value !== 'number' || !Number.isFinite(value)) return { detail: 'It must be a number.' };
      const code = unitCode ?? ownUnit;
      if (code === undefined) return measure.needsUnit ? { detail: `It carries no unitCode; name it under options.units.${measure.key}.` } : value;
      return toUnitOf(measure, value, code) ?? { detail: 'Its unitCode is not known here or does not fit what is measured.' };
    }
  }
}

const TIMES = ['dateobserved', 'observationdatetime', 'observationdate', 'timeinstant', 'dateissued', 'binloggedtime', 'datemodified', 'modifiedat'];

/** Of the attribute itself, else of the entity, else when the broker told. Null when a time is there and cannot be read. */
function readTime({ attributes }: Entity, { observedAt }: Attribute, zone: Zone | null, fallbackMs: number): string | null {
  if (observedAt !== null) return readSpan(observedAt, zone);
  const textOf = (name: string): string | null => {
    const value = attributes.get(name)?.value;
    return typeof value === 'string' ? value : null;
  };
  const [from, to] = [textOf('dateobservedfrom'), textOf('dateobservedto')];
  const said = from !== null && to !== null ? `${from}/${to}` : TIMES.map(textOf).find((text) => text !== null);
  return said === undefined ? isoOf(fallbackMs) : readSpan(said, zone);
}

function readSpan(text: string, zone: Zone | null): string | null {
  const ends = text.split('/').map((end) => readMoment(end, zone));
  if (ends.length > 2 || ends.some((end) => end === null)) return null;
  const [start, end] = ends as number[];
  if (start === undefined || (end !== undefined && end < start)) return null;
  return end === undefined ? isoOf(start) : `${isoOf(start)}/${isoOf(end)}`;
}

const WALL = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?$/;

function readMoment(text: string, zone: Zone | null): number | null {
  const atMs = parseInstantMs(text);
  const parts = atMs === null && zone !== null ? WALL.exec(text) : null;
  if (atMs !== null || parts === null || zone === null) return atMs;
  const [year, month, day, hour, minute, second] = parts.slice(1).map((part) => Number(part ?? 0)) as [number, number, number, number, number, number];
  const wallMs = wallOf(year, month, day, hour, minute, second);
  return wallMs === null ? null : (zone.instantsOf(wallMs)[0] ?? null);
}

function validityOf({ attributes }: Entity, zone: Zone | null): Record<string, string> {
  return Object.fromEntries(
    (['validFrom', 'validTo'] as const).flatMap((name) => {
      const value = attributes.get(name.toLowerCase())?.value;
      const time = typeof value === 'string' ? readSpan(value, zone) : null;
      return time === null ? [] : [[name, time]];
    }),
  );
}
