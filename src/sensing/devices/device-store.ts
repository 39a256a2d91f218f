import { sql } from 'kysely';
import type { DeviceState } from '../../contracts/device.ts';
import type { Bus, Database, DatabaseHandle, Trx } from '../../platform/index.ts';
import { currentChangeSet } from '../change-set.ts';

export interface DeviceRow {
  readonly id: string;
  readonly name: string;
  readonly thing_id: number | null;
  readonly purpose: string;
  readonly token_id: string | null;
  readonly state: DeviceState;
  readonly state_reason: string | null;
  readonly state_at: Date;
  readonly created_at: Date;
  readonly last_seen_at: Date | null;
  readonly taken: number;
  readonly streams: readonly number[];
}

export interface RefusalRow {
  readonly device_id: string;
  readonly code: string;
  readonly count: number;
  readonly last_at: Date;
}

/** What happened since it was written last. */
export interface DeviceCounts {
  readonly id: string;
  readonly taken: number;
  readonly seenAt: Date;
  readonly refused: readonly { readonly code: string; readonly count: number }[];
}

export const DEVICE_CHANGED = 'device.changed';

export interface DeviceStore {
  /** Devices by state (quarantined first) and name; `search` looks into names and ids. */
  list(search: string, limit: number): Promise<DeviceRow[]>;
  find(id: string): Promise<DeviceRow | undefined>;
  all(): Promise<DeviceRow[]>;
  refusalsOf(ids: readonly string[]): Promise<RefusalRow[]>;
  insert(devices: readonly (Omit<DeviceRow, 'state' | 'state_reason' | 'state_at' | 'last_seen_at' | 'taken'> & { readonly created_by: string })[]): Promise<void>;
  setState(id: string, from: DeviceState, to: DeviceState, reason: string | null, at: Date): Promise<boolean>;
  setToken(id: string, tokenId: string): Promise<boolean>;
  remove(id: string): Promise<void>;
  addCounts(counts: readonly DeviceCounts[]): Promise<void>;
  /** Datastreams of a Thing in the order in which they were made. */
  streamsOfThing(thingId: number): Promise<number[]>;
  hasReadings(streamIds: readonly number[]): Promise<boolean>;
  /** What was made together with a Thing and belongs to nothing else. */
  partsOfThing(thingId: number): Promise<{ readonly locations: readonly number[]; readonly sensors: readonly number[] }>;
  /** ObservedProperties by `properties.key`; the oldest of each. */
  observedProperties(keys: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

const ROW = sql.raw(`d.id, d.name, d.thing_id, d.purpose, d.token_id, d.state, d.state_reason, d.state_at, d.created_at, d.last_seen_at, d.taken,
  coalesce((select json_agg(s.datastream_id order by s.datastream_id) from device_stream s where s.device_id = d.id), '[]') as streams`);

export function createDeviceStore(handle: DatabaseHandle, bus: Bus): DeviceStore {
  const { db } = handle;
  const within = <T>(act: (trx: Trx) => Promise<T>): Promise<T> => {
    const set = currentChangeSet();
    return set === undefined ? db.transaction().execute(act) : act(set.trx);
  };
  const reader = (): Database => currentChangeSet()?.trx ?? db;
  const change = <T>(id: string, act: (trx: Trx) => Promise<T>): Promise<T> =>
    within(async (trx) => {
      const done = await act(trx);
      await bus.publish(trx, DEVICE_CHANGED, id, {});
      return done;
    });
  return {
    list: async (search, limit) =>
      (await sql<DeviceRow>`select ${ROW} from device d where ${search} = '' or position(lower(${search}) in lower(d.name)) > 0 or d.id = ${search}
        order by d.state <> 'quarantined', d.state = 'revoked', lower(d.name), d.id limit ${limit}`.execute(db)).rows,
    find: async (id) => (await sql<DeviceRow>`select ${ROW} from device d where d.id = ${id}`.execute(db)).rows[0],
    all: async () => (await sql<DeviceRow>`select ${ROW} from device d`.execute(db)).rows,
    refusalsOf: async (ids) => (await sql<RefusalRow>`select device_id, code, count, last_at from device_refusal where device_id = any(${ids}::text[]) order by count desc, code`.execute(db)).rows,
    insert: async (devices) => {
      await within(async (trx) => {
        for (const device of devices) {
          await sql`insert into device (id, name, thing_id, purpose, token_id, state, state_at, created_at, created_by)
            values (${device.id}, ${device.name}, ${device.thing_id}, ${device.purpose}, ${device.token_id}, 'active', ${device.created_at}, ${device.created_at}, ${device.created_by})`.execute(trx);
          await sql`insert into device_stream (device_id, datastream_id) select ${device.id}, s.id from unnest(${device.streams}::bigint[]) as s (id)`.execute(trx);
        }
        for (const { id } of devices) await bus.publish(trx, DEVICE_CHANGED, id, {});
      });
    },
    setState: (id, from, to, reason, at) =>
      change(id, async (trx) => {
        const { numAffectedRows } = await sql`update device set state = ${to}, state_reason = ${reason}, state_at = ${at}, token_id = case when ${to} = 'revoked' then null else token_id end where id = ${id} and state = ${from}`.execute(trx);
        return numAffectedRows === 1n;
      }),
    setToken: (id, tokenId) =>
      change(id, async (trx) => {
        const { numAffectedRows } = await sql`update device set token_id = ${tokenId} where id = ${id} and state <> 'revoked'`.execute(trx);
        return numAffectedRows === 1n;
      }),
    remove: (id) => change(id, async (trx) => void (await sql`delete from device where id = ${id}`.execute(trx))),
    addCounts: async (counts) => {
      const refused = counts.flatMap(({ id, seenAt, refused: codes }) => codes.map(({ code, count }) => ({ id, code, count, seenAt })));
      await db.transaction().execute(async (trx) => {
        // in the order of the ids, so that two servers do not wait for each other
        await sql`select id from device where id = any(${counts.map(({ id }) => id)}::text[]) order by id for update`.execute(trx);
        await sql`update device d set taken = d.taken + c.taken, last_seen_at = greatest(d.last_seen_at, c.seen)
          from unnest(${counts.map(({ id }) => id)}::text[], ${counts.map(({ taken }) => taken)}::bigint[], ${counts.map(({ seenAt }) => seenAt)}::timestamptz[]) as c (id, taken, seen)
          where d.id = c.id`.execute(trx);
        await sql`insert into device_refusal (device_id, code, count, last_at)
          select c.id, c.code, c.count, c.seen from unnest(${refused.map(({ id }) => id)}::text[], ${refused.map(({ code }) => code)}::text[], ${refused.map(({ count }) => count)}::bigint[], ${refused.map(({ seenAt }) => seenAt)}::timestamptz[]) as c (id, code, count, seen)
            join device d on d.id = c.id order by c.id, c.code
          on conflict (device_id, code) do update set count = device_refusal.count + excluded.count, last_at = greatest(device_refusal.last_at, excluded.last_at)`.execute(trx);
      });
    },
    streamsOfThing: async (thingId) => (await sql<{ id: number }>`select id from datastream where thing_id = ${thingId} order by id`.execute(reader())).rows.map(({ id }) => id),
    hasReadings: async (streamIds) => {
      for (const id of streamIds) if ((await sql`select 1 from observation where datastream_id = ${id} limit 1`.execute(db)).rows.length > 0) return true;
      return false;
    },
    partsOfThing: async (thingId) => {
      const locations = await sql<{ id: number }>`select location_id as id from thing_location p where thing_id = ${thingId} and not exists (select 1 from thing_location o where o.location_id = p.location_id and o.thing_id <> ${thingId})`.execute(reader());
      const sensors = await sql<{ id: number }>`select distinct sensor_id as id from datastream p where thing_id = ${thingId} and not exists (select 1 from datastream o where o.sensor_id = p.sensor_id and o.thing_id <> ${thingId})`.execute(reader());
      return { locations: locations.rows.map(({ id }) => id), sensors: sensors.rows.map(({ id }) => id) };
    },
    observedProperties: async (keys) => {
      const { rows } = await sql<{ key: string; id: number }>`select properties ->> 'key' as key, min(id)::bigint as id from observed_property where properties ->> 'key' = any(${keys}::text[]) group by 1`.execute(db);
      return new Map(rows.map(({ key, id }) => [key, id]));
    },
  };
}
