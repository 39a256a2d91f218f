import type { DatabaseHandle } from '../src/platform/index.ts';

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';

/** Makes `count` Datastreams of one kind on as many Things, straight in the tables. Returns their ids in order. */
export async function seedStreams(handle: DatabaseHandle, count: number, options: { type?: string; properties?: Record<string, unknown>; purpose?: string; kind?: string; withLocation?: boolean } = {}): Promise<number[]> {
  const { type = 'OM_Measurement', properties = {}, purpose = 'city-operations', kind = 'gauge', withLocation = true } = options;
  const client = await handle.pool.connect();
  try {
    await client.query('begin');
    const sensor = await client.query<{ id: number }>(`insert into sensor (name, description, encoding_type, metadata) values ('Probe', 'A probe', 'text/html', '"x"') returning id`);
    const property = await client.query<{ id: number }>(`insert into observed_property (name, definition, description, properties) values ('Water level', 'http://example.org/level', 'Level of water', '{"key": "water-level"}') returning id`);
    const things = await client.query<{ id: number }>(`insert into thing (name, description, properties) select 'Gauge ' || n, 'A gauge', jsonb_build_object('kind', $2::text) from generate_series(1, $1::int) n returning id`, [count, kind]);
    const thingIds = things.rows.map((row) => row.id);
    if (withLocation) {
      await client.query(
        `with made as (insert into location (name, description, encoding_type, location) select 'Place', 'A place', 'application/geo+json', '{"type": "Point", "coordinates": [11.5, 48.1]}' from generate_series(1, $1::int) returning id),
              places as (select id, row_number() over (order by id) as n from made), owners as (select id, row_number() over (order by id) as n from unnest($2::bigint[]) as t (id))
         insert into thing_location (thing_id, location_id) select owners.id, places.id from owners join places using (n)`,
        [count, thingIds],
      );
    }
    const streams = await client.query<{ id: number }>(
      `insert into datastream (name, description, observation_type, unit_of_measurement, properties, purpose, thing_id, sensor_id, observed_property_id)
       select 'Level', 'Level of water', $2, '{"name": "metre", "symbol": "m", "definition": "ucum:m"}', $3, $4, t.id, $5, $6 from unnest($1::bigint[]) as t (id) order by t.id returning id`,
      [thingIds, OM + type, JSON.stringify(properties), purpose, sensor.rows[0]?.id, property.rows[0]?.id],
    );
    await client.query('commit');
    return streams.rows.map((row) => row.id).sort((a, b) => a - b);
  } finally {
    client.release();
  }
}
