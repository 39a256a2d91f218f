import { Refused, unwrap, type Refusal, type Result } from '../../kernel/index.ts';
import type { Principal } from '../../contracts/principal.ts';
import type { SourceBatch, SourcePlace, SourceSeries } from './adapter.ts';
import { datastreamOf, instrumentOf, locationOf, observedPropertyOf, placeOf, refusePlace, refuseSeries, ruleAt, sensorOf as describeSensor, thingOf, type DescriptionDoor, type FeedTexts } from './feed-descriptions.ts';
import type { FeedStore, MadeKind, MadeRow } from './feed-store.ts';

/** What the feeds need of the entities. */
export interface EntityDoor {
  createEntity(set: 'Things' | 'Locations' | 'Sensors' | 'ObservedProperties' | 'Datastreams', body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  updateEntity(set: 'Things' | 'Datastreams', id: number, body: unknown, principal: Principal): Promise<Result<{ readonly id: number }>>;
  onEntityChange(handle: (change: { readonly set: string; readonly id: number; readonly kind: string }) => void): () => void;
}

export interface FeedIdentity extends FeedTexts {
  readonly principal: Principal;
}

export interface RefusedEntity {
  /** Its key in the source where that may be said, and the rule of the gate that refuses it. */
  readonly at: string;
  readonly refusal: Refusal;
  /** Key of the place that it is or stands at; for the server, never to be shown. */
  readonly placeKey: string;
}

/** Entities of one feed: made once, changed when the source says something else. */
export interface FeedEntities {
  /** Makes and changes what the batch describes; what cannot be made is refused and the rest goes on. Not to be called twice at once. */
  upsert(batch: Pick<SourceBatch, 'places' | 'series'>): Promise<RefusedEntity[]>;
  datastreamOf(seriesKey: string): number | undefined;
  counts(): { readonly places: number; readonly series: number };
  close(): void;
}

const KIND_OF_SET: Readonly<Record<string, MadeKind>> = { Things: 'place', Datastreams: 'series', ObservedProperties: 'property', Sensors: 'sensor' };
const ENTITIES_MAX = 200_000;
/** Entities that are made at the same time; each takes a connection of the pool. */
const LANES = 6;

export async function openFeedEntities({ feed, store, entities, gate }: { feed: FeedIdentity; store: FeedStore; entities: EntityDoor; gate: DescriptionDoor }): Promise<FeedEntities> {
  const made = new Map<string, MadeRow>();
  const keyOfId = new Map<string, string>();
  const { principal } = feed;
  const idOf = (kind: MadeKind, key: string): number | undefined => made.get(`${kind} ${key}`)?.id;
  const remember = (row: MadeRow): void => {
    made.set(`${row.kind} ${row.key}`, row);
    keyOfId.set(`${row.kind} ${row.id}`, `${row.kind} ${row.key}`);
  };
  for (const row of await store.madeBy(feed.name)) remember(row);
  let isUnsure = false; // a fault came between making something and keeping its id
  const counted: Record<MadeKind, number> = { place: 0, series: 0, property: 0, sensor: 0 };
  for (const { kind } of made.values()) counted[kind] += 1;

  // deleted by a person: made again when the source speaks of it next
  const stop = entities.onEntityChange(({ set, id, kind: change }) => {
    const kind = KIND_OF_SET[set];
    if (change !== 'deleted' || kind === undefined) return;
    const key = keyOfId.get(`${kind} ${id}`);
    if (key === undefined) return;
    keyOfId.delete(`${kind} ${id}`);
    if (made.delete(key)) counted[kind] -= 1;
  });

  const keep = async (row: MadeRow): Promise<number> => {
    await store.keepMade(feed.name, row);
    if (!made.has(`${row.kind} ${row.key}`)) counted[row.kind] += 1;
    remember(row);
    return row.id;
  };
  /** Made by this feed and not known here: the database went away before it had said so. */
  const takeUp = async (): Promise<void> => {
    for (const row of await store.madeBy(feed.name)) {
      if (made.has(`${row.kind} ${row.key}`)) continue;
      counted[row.kind] += 1;
      remember(row);
    }
    isUnsure = false;
  };
  const upsertPlace = async (place: SourcePlace): Promise<void> => {
    const body = thingOf(feed, place);
    const said = digest(JSON.stringify(body));
    const said_where = place.geometry === null ? '' : digest(JSON.stringify(place.geometry));
    const known = made.get(`place ${place.key}`);
    if (known?.said !== said) refuse(refusePlace(gate, feed, place));
    if (known === undefined) {
      if (made.size >= ENTITIES_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A feed makes at most ${ENTITIES_MAX} entities.` });
      const { id } = unwrap(await entities.createEntity('Things', { ...body, ...(place.geometry === null ? {} : { Locations: [locationOf(body.name, place)] }) }, principal));
      await keep({ kind: 'place', key: place.key, id, said, said_where });
      return;
    }
    if (known.said === said && known.said_where === said_where) return;
    if (known.said !== said) unwrap(await entities.updateEntity('Things', known.id, body, principal));
    // a source that says no place any more does not make the old one wrong
    if (place.geometry !== null && known.said_where !== said_where) unwrap(await entities.createEntity('Locations', { ...locationOf(body.name, place), Things: [{ '@iot.id': known.id }] }, principal));
    await keep({ ...known, said, said_where: place.geometry === null ? known.said_where : said_where });
  };

  const underWay = new Map<string, Promise<number>>();
  /** What several series share is made once, also when they come at the same time. */
  const shared = (kind: 'property' | 'sensor', key: string, make: () => Promise<number>): Promise<number> => {
    const known = idOf(kind, key);
    if (known !== undefined) return Promise.resolve(known);
    const name = `${kind} ${key}`;
    const making = underWay.get(name) ?? make().then((id) => keep({ kind, key, id, said: '', said_where: '' })).finally(() => underWay.delete(name));
    underWay.set(name, making);
    return making;
  };
  const propertyOf = (series: SourceSeries): Promise<number> => {
    const { key, definition } = series.property;
    return shared('property', `${key} ${definition}`, async () => {
      const known = await store.findProperty(key, definition);
      return known ?? unwrap(await entities.createEntity('ObservedProperties', observedPropertyOf(series), principal)).id;
    });
  };
  const sensorOf = (series: SourceSeries): Promise<number> => shared('sensor', instrumentOf(feed, series).key, async () => unwrap(await entities.createEntity('Sensors', describeSensor(feed, series), principal)).id);

  const upsertSeries = async (series: SourceSeries): Promise<void> => {
    const thingId = idOf('place', series.placeKey);
    if (thingId === undefined) throw new Refused({ code: 'feed.reference-unknown', detail: 'The series stands at a place that the source has not described.' });
    const body = datastreamOf(feed, series);
    const said = digest(JSON.stringify([body, series.property, series.sensor, thingId]));
    const known = made.get(`series ${series.key}`);
    if (known?.said === said) return;
    refuse(refuseSeries(gate, feed, series));
    if (known === undefined && made.size >= ENTITIES_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A feed makes at most ${ENTITIES_MAX} entities.` });
    const links = { Thing: { '@iot.id': thingId }, Sensor: { '@iot.id': await sensorOf(series) }, ObservedProperty: { '@iot.id': await propertyOf(series) } };
    const { id } = unwrap(known === undefined ? await entities.createEntity('Datastreams', { ...body, ...links }, principal) : await entities.updateEntity('Datastreams', known.id, { ...body, ...links }, principal));
    await keep({ kind: 'series', key: series.key, id, said, said_where: '' });
  };

  return {
    upsert: async ({ places, series }) => {
      if (isUnsure) await takeUp();
      const refused: RefusedEntity[] = [];
      const attempt = async (kind: 'place' | 'series', { key, placeKey = key }: { key: string; placeKey?: string }, number: number, act: () => Promise<void>): Promise<void> => {
        try {
          await act();
        } catch (error) {
          if (!(error instanceof Refused)) {
            isUnsure = true;
            throw error;
          }
          const [refusal] = error.refusals;
          refused.push({ at: ruleAt(placeOf(gate, kind, key, number), refusal), refusal, placeKey });
        }
      };
      // one entity a key, so that no two lanes make the same
      await inLanes([...new Map(places.map((place, at) => [place.key, { place, at }])).values()], ({ place, at }) => attempt('place', place, at, () => upsertPlace(place)));
      await inLanes([...new Map(series.map((one, at) => [one.key, { one, at }])).values()], ({ one, at }) => attempt('series', one, at, () => upsertSeries(one)));
      return refused;
    },
    datastreamOf: (key) => idOf('series', key),
    counts: () => ({ places: counted.place, series: counted.series }),
    close: stop,
  };
}

function refuse(refusal: Refusal | null): void {
  if (refusal !== null) throw new Refused(refusal);
}

/** After a fault no lane begins another item, and all have ended when it is thrown. */
async function inLanes<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const lane = async (): Promise<void> => {
    try {
      for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
    } catch (error) {
      left.length = 0;
      throw error;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: LANES }, lane));
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

// FNV-1a (draft-eastlake-fnv) with two offsets: tells a changed text from the same one, and nothing hangs on it but an update
const PRIME = 16_777_619;

function digest(text: string): string {
  let a = 2_166_136_261;
  let b = 3_735_928_559;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    a = Math.imul(a ^ code, PRIME);
    b = Math.imul(b ^ (code + at), PRIME);
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
}
