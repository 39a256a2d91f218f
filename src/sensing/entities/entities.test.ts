import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, FULL_THING, LEVEL, LOCATION, openSensorThings, ROOT, SENSOR, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';
import { LIMITS } from '../../kernel/index.ts';

let rig: SensorThingsRig;
let firstThing: number;
beforeAll(async () => {
  rig = await openSensorThings();
  firstThing = await rig.create('/Things', { name: 'First', description: '' }); // id 1, which the addresses below name
});

const refusal = async (method: 'POST' | 'PATCH' | 'PUT' | 'GET' | 'DELETE', path: string, body?: unknown): Promise<[number, unknown, unknown]> => {
  const { status, body: answer } = await rig.send(method, path, body);
  const error = answer['error'] as Json | undefined;
  return [status, error?.['code'], error?.['field']];
};
const counts = async (): Promise<Record<string, number>> => {
  const tables = ['thing', 'location', 'historical_location', 'datastream', 'sensor', 'observed_property', 'feature_of_interest', 'observation'];
  const { rows } = await rig.handle.pool.query<Record<string, number>>(`select ${tables.map((table) => `(select count(*) from ${table}) as ${table}`).join(', ')}`);
  return rows[0] ?? {};
};

describe('a new entity', () => {
  test.each([
    ['/Things', { name: 'x' }, 'sensing.entity-invalid', 'description'],
    ['/Things', { name: '', description: '' }, 'sensing.entity-invalid', 'name'],
    ['/Things', { name: 1, description: '' }, 'sensing.entity-invalid', 'name'],
    ['/Things', { name: 'x', description: '', color: 'red' }, 'http.unknown-field', 'color'],
    ['/Things', { name: 'x', description: '', properties: [] }, 'sensing.entity-invalid', 'properties'],
    ['/Things', { name: 'x\u0000', description: '' }, 'sensing.entity-invalid', 'name'],
    ['/Things', { name: 'x', description: '', properties: { deep: { text: 'a\u0000b' } } }, 'sensing.entity-invalid', 'properties.deep.text'],
    ['/Things', { name: 'x', description: '', Locations: [{ '@iot.id': 999 }] }, 'sensing.entity-invalid', 'Locations.0'],
    ['/Things', { name: 'x', description: '', Locations: [{ ...LOCATION, location: { type: 'Point', coordinates: [200, 1] } }] }, 'sensing.entity-invalid', 'Locations.0.location'],
    ['/Things', { name: 'x', description: '', Locations: [{ ...LOCATION, nosuch: 1 }] }, 'http.unknown-field', 'Locations.0.nosuch'],
    ['/Datastreams', datastream({ Sensor: SENSOR, ObservedProperty: LEVEL }), 'sensing.entity-invalid', 'Thing'],
    ['/Datastreams', datastream({ Thing: { '@iot.id': 999 }, Sensor: SENSOR, ObservedProperty: LEVEL }), 'sensing.entity-invalid', 'Thing'],
    ['/Datastreams', datastream({ Thing: { '@iot.id': 'x' }, Sensor: SENSOR, ObservedProperty: LEVEL }), 'sensing.entity-invalid', 'Thing'],
    ['/Things', { ...FULL_THING, Datastreams: [datastream({ unitOfMeasurement: { name: 1 }, Sensor: SENSOR, ObservedProperty: LEVEL })] }, 'sensing.entity-invalid', 'Datastreams.0.unitOfMeasurement.name'],
    ['/Things', { ...FULL_THING, Datastreams: [datastream({ properties: {}, Sensor: SENSOR, ObservedProperty: LEVEL })] }, 'purpose.missing', 'Datastreams.0.properties.purpose'],
    ['/Things', { ...FULL_THING, Datastreams: [datastream({ properties: { purpose: 'none' }, Sensor: SENSOR, ObservedProperty: LEVEL })] }, 'purpose.unknown', 'Datastreams.0.properties.purpose'],
    ['/HistoricalLocations', { time: 'yesterday', Thing: { '@iot.id': 1 } }, 'sensing.time-invalid', 'time'],
    ['/Things', [], 'sensing.entity-invalid', 'body'],
  ])('at %s with %j is refused as a whole, naming the property', async (path, body, code, field) => {
    const before = await counts();
    expect(await refusal('POST', path, body)).toEqual([400, code, field]);
    expect(await counts()).toEqual(before);
  });

  test('with properties beyond the limit is refused with 413', async () => {
    expect(await refusal('POST', '/Things', { name: 'x', description: '', properties: { big: 'x'.repeat(LIMITS.properties_bytes) } })).toEqual([413, 'http.too-large', 'properties']);
  });

  test('with a purpose that has ended is refused with 403', async () => {
    expect(await refusal('POST', '/Things', { ...FULL_THING, Datastreams: [datastream({ properties: { purpose: 'old-study' }, Sensor: SENSOR, ObservedProperty: LEVEL })] })).toEqual([403, 'purpose.expired', 'Datastreams.0.properties.purpose']);
  });

  test('takes the purpose of the credential, and no other than that', async () => {
    const principal = rig.principal;
    rig.principal = { ...principal, purpose: 'flood-warning' };
    const thing = await rig.create('/Things', { ...FULL_THING, Datastreams: [datastream({ properties: {}, Sensor: SENSOR, ObservedProperty: LEVEL })] });
    expect(await rig.list(`/Things(${String(thing)})/Datastreams`, 'properties')).toEqual([{ purpose: 'flood-warning' }]);
    expect(await refusal('POST', '/Things', FULL_THING)).toEqual([403, 'auth.forbidden', 'Datastreams.0.properties.purpose']);
    rig.principal = principal;
  });

  test('leaves nothing behind when an observation deep inside is refused', async () => {
    const before = await counts();
    const stream = datastream({ observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result: 1 }, { result: 'not a number' }] });
    const [status, code, field] = await refusal('POST', '/Things', { ...FULL_THING, Datastreams: [stream] });
    expect([status, code]).toEqual([403, 'gate.not-a-number']);
    expect(field).toContain('Datastreams.0.Observations.1');
    expect(await counts()).toEqual(before);
  });

  test('keeps numbers of observations inside exactly as they were written', async () => {
    const thing = await rig.send('POST', '/Things', JSON.stringify({ ...FULL_THING, Datastreams: [datastream({ Sensor: SENSOR, ObservedProperty: LEVEL, Observations: 'OBS' })] }).replace('"OBS"', '[{"result": 1.0}, {"result": 12345678901234567890}, {"result": {"a": 1e3}}, {"result": 0}, {"result": false}, {"result": ""}, {"result": null}]'));
    expect(thing.status).toBe(201);
    const { text } = await rig.send('GET', `/Things(${String(thing.body['@iot.id'])})/Datastreams?$select=name&$expand=Observations($select=result;$orderby=id)`);
    expect(text).toContain('[{"result":1.0},{"result":12345678901234567890},{"result":{"a":1e3}},{"result":0},{"result":false},{"result":""},{"result":null}]');
  });

  test('under a Thing that eight requests move at the same time is made by each of them', async () => {
    const thing = await rig.create('/Things', { name: 'Bus', description: '' });
    const moves = await Promise.all(Array.from({ length: 8 }, (_, at) => rig.send('POST', `/Things(${String(thing)})/Locations`, { ...LOCATION, name: `Stop ${String(at)}` })));
    expect(moves.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201));
    expect(await rig.list(`/Things(${String(thing)})/Locations`)).toHaveLength(1);
    expect(await rig.list(`/Things(${String(thing)})/HistoricalLocations`)).toHaveLength(8);
  });
});

describe('an observation', () => {
  test('keeps the feature of the place where it was made when its Thing moves', async () => {
    const thing = await rig.create('/Things', FULL_THING);
    const [stream] = await rig.list(`/Things(${String(thing)})/Datastreams`, '@iot.id');
    const path = `/Datastreams(${String(stream)})/Observations`;
    await rig.send('POST', path, { result: 1 });
    rig.clock.advance(1_000);
    await rig.create(`/Things(${String(thing)})/Locations`, { ...LOCATION, name: 'New place', location: { type: 'Point', coordinates: [12, 49] } });
    rig.clock.advance(1_000);
    await rig.send('POST', path, { result: 2 });
    const entities = (await rig.get(`${path}?$orderby=id&$expand=FeatureOfInterest($select=name)`))['value'] as Json[];
    expect(entities.map((entity) => [entity['result'], (entity['FeatureOfInterest'] as Json)['name']])).toEqual([[1, 'Bridge'], [2, 'New place']]);
    const features = await Promise.all(entities.map(async (entity) => (await rig.get(`/Observations(${String(entity['@iot.id'])})/FeatureOfInterest`))['@iot.id']));
    expect(await rig.list(`/FeaturesOfInterest(${String(features[0])})/Observations`, 'result')).toEqual([1]);
    expect(await rig.list(`/FeaturesOfInterest(${String(features[1])})/Observations`, 'result')).toEqual([2]);
    const { observedArea } = await rig.get(`/Datastreams(${String(stream)})`);
    expect(observedArea).toMatchObject({ type: 'Polygon' });
  });

  test('is corrected through the gate, and the rest of it stays', async () => {
    const thing = await rig.create('/Things', { ...FULL_THING, Datastreams: [datastream({ observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result: 5, phenomenonTime: '2026-11-24T05:00:00.123Z', resultQuality: 'good' }] })] });
    const [id] = await rig.list(`/Things(${String(thing)})/Datastreams?$expand=Observations`, 'Observations').then(([list]) => (list as Json[]).map((entity) => entity['@iot.id']));
    const corrected = await rig.send('PATCH', `/Observations(${String(id)})`, '{"result": 6.50}');
    expect([corrected.status, corrected.text.includes('"result":6.50')]).toEqual([200, true]);
    expect(corrected.body).toMatchObject({ '@iot.id': id, phenomenonTime: '2026-11-24T05:00:00.123Z', resultQuality: 'good' });
    expect((await refusal('PATCH', `/Observations(${String(id)})`, { result: 'x' })).slice(0, 2)).toEqual([403, 'gate.not-a-number']);
    expect((await refusal('PATCH', `/Observations(${String(id)})`, { phenomenonTime: 'yesterday' })).slice(0, 2)).toEqual([400, 'sensing.time-invalid']);
    expect((await rig.send('DELETE', `/Observations(${String(id)})`)).status).toBe(200);
    expect((await rig.send('GET', `/Observations(${String(id)})`)).status).toBe(404);
  });
});

describe('paging by the next link', () => {
  test('shows every row that was there once, in order, whatever is inserted and deleted meanwhile', async () => {
    const tag = 'paged';
    const add = (rank: number | null, at: number): Promise<number> => rig.create('/ObservedProperties', { name: `${tag} ${String(at % 7)}`, definition: 'd', description: tag, properties: rank === null ? {} : { rank } });
    const orders = ['', '&$orderby=name', '&$orderby=name desc', '&$orderby=properties/rank desc,name', '&$orderby=properties/rank,id desc', '&$orderby=length(name) desc,properties/rank'];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...orders), fc.integer({ min: 1, max: 5 }), fc.array(fc.option(fc.integer({ min: 0, max: 3 })), { minLength: 3, maxLength: 14 }), async (order, top, ranks) => {
        await rig.handle.pool.query('delete from observed_property where description = $1', [tag]);
        for (const [at, rank] of ranks.entries()) await add(rank, at);
        const query = `$filter=description eq '${tag}'${order}`.replaceAll(' ', '%20');
        const whole = await rig.list(`/ObservedProperties?${query}`, '@iot.id');
        const seen: unknown[] = [];
        let path: unknown = `/ObservedProperties?${query}&$top=${String(top)}`;
        for (let page = 0; typeof path === 'string'; page += 1) {
          const answer: Json = await rig.get(path);
          seen.push(...(answer['value'] as Json[]).map((entity) => entity['@iot.id']));
          path = answer['@iot.nextLink'];
          if (page === 0) await add(1, 3);
          if (page > 50) throw new Error('the pages do not end');
        }
        expect(seen.filter((id) => whole.includes(id))).toEqual(whole);
        expect(new Set(seen).size).toBe(seen.length);
      }),
      { numRuns: 40 },
    );
  });

  test('walks all observations by id in windows, both ways, with gaps between the ids', async () => {
    const { rows } = await rig.handle.pool.query<{ id: number }>('select id from datastream limit 1');
    await rig.handle.pool.query(`insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select 5000000 + n * n * 40000, $1, '2026-11-01T00:00:00Z'::timestamptz + n * interval '1 hour', now(), n, true from generate_series(1, 30) n`, [rows[0]?.id]);
    await rig.handle.pool.query(`select setval('observation_id', 5000000 + 900 * 40000)`);
    for (const order of ['', '&$orderby=id%20desc']) {
      const ids: number[] = [];
      let path: unknown = `/Observations?$top=4${order}`;
      while (typeof path === 'string') {
        const answer: Json = await rig.get(path);
        ids.push(...(answer['value'] as Json[]).map((entity) => entity['@iot.id'] as number));
        path = answer['@iot.nextLink'];
      }
      const all = await rig.handle.pool.query<{ id: number }>(`select id from observation order by id ${order === '' ? '' : 'desc'}`);
      expect(ids).toEqual(all.rows.map(({ id }) => id));
    }
  });

  test('walks observations by time in windows, both ways, over hours, years and equal times', async () => {
    const thing = await rig.create('/Things', FULL_THING);
    const [stream] = await rig.list(`/Things(${String(thing)})/Datastreams`, '@iot.id');
    const hours = [-2, 0, 0, 0, 1, 3, 20, 47, 49, 49, 700, 800, 9_000, 90_000, 900_000];
    await rig.handle.pool.query(`insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select 90000000 + n, $1, $2::timestamptz - hours * interval '1 hour', now(), hours, true from unnest($3::int[]) with ordinality t(hours, n)`, [stream, new Date(rig.clock.nowMs()), hours]);
    for (const [base, where] of [[`/Datastreams(${String(stream)})/Observations`, `where datastream_id = ${String(stream)}`], ['/Observations', '']] as const) {
      for (const order of ['phenomenonTime', 'phenomenonTime desc', 'phenomenonTime desc,result', 'phenomenonTime,id desc']) {
        const ids: unknown[] = [];
        let path: unknown = `${base}?$top=3&$orderby=${order.replace(' ', '%20').replace(' ', '%20')}`;
        while (typeof path === 'string') {
          const answer: Json = await rig.get(path);
          ids.push(...(answer['value'] as Json[]).map((entity) => entity['@iot.id']));
          path = answer['@iot.nextLink'];
        }
        const direction = order.startsWith('phenomenonTime desc') ? 'desc' : 'asc';
        const second = { phenomenonTime: 'id', 'phenomenonTime desc': 'id desc', 'phenomenonTime desc,result': 'result_number nulls first, id', 'phenomenonTime,id desc': 'id desc' }[order] ?? 'id';
        const { rows } = await rig.handle.pool.query<{ id: number }>(`select id from observation ${where} order by phenomenon_start ${direction}, ${second}`);
        expect([base, order, ids]).toEqual([base, order, rows.map(({ id }) => id)]);
      }
    }
    const [latest] = (await rig.get(`/Things?$filter=id%20eq%20${String(thing)}&$expand=Datastreams($expand=Observations($top=4;$orderby=phenomenonTime%20desc,id))`))['value'] as Json[];
    const [entity] = latest?.['Datastreams'] as Json[];
    expect((entity?.['Observations'] as Json[]).map(({ result }) => result)).toEqual([-2, 0, 0, 0]);
    expect(entity?.['phenomenonTime']).toMatch(/^1\d{3}-.*\/2026-/);
  });

  test('caps $top, honours $skip, and gives nested sets their own next link', async () => {
    const thing = await rig.create('/Things', { name: 'Station', description: '', Datastreams: Array.from({ length: 5 }, (_, at) => datastream({ name: `S${String(at)}`, Sensor: SENSOR, ObservedProperty: LEVEL })) });
    expect(await rig.list(`/Things(${String(thing)})/Datastreams?$skip=3`)).toEqual(['S3', 'S4']);
    const [station] = (await rig.get(`/Things?$filter=id%20eq%20${String(thing)}&$expand=Datastreams($top=2;$orderby=name%20desc;$select=name;$count=true;$expand=Thing($select=name))`))['value'] as Json[];
    expect(station?.['Datastreams@iot.count']).toBe(5);
    expect(station?.['Datastreams']).toEqual([{ name: 'S4', Thing: { name: 'Station' } }, { name: 'S3', Thing: { name: 'Station' } }]);
    const next = await rig.get(station?.['Datastreams@iot.nextLink'] as string);
    expect(next['value']).toEqual([{ name: 'S2', Thing: { name: 'Station' } }, { name: 'S1', Thing: { name: 'Station' } }]);
    expect((await rig.get('/Things?$top=999999'))['value']).toBeDefined();
  });

  test.each(['x', 'WyJhIl0', 'WyIxIiwiMiJd', 'bnVsbA'])('refuses the token %s, which no page gave', async (token) => {
    expect(await refusal('GET', `/Things?$skiptoken=${token}`)).toEqual([400, 'sensing.query-invalid', '$skiptoken']);
  });
});

describe('an address', () => {
  test.each([
    ['/Nothings', 404, 'http.not-found'],
    ['/Things(999999)', 404, 'sensing.no-such-entity'],
    ['/Things(x)', 404, 'sensing.no-such-entity'],
    ["/Things('1;drop')", 404, 'sensing.no-such-entity'],
    ['/Things(99999999999999999999)', 404, 'sensing.no-such-entity'],
    ['/Things(1)/nosuch', 404, 'sensing.no-such-property'],
    ['/Things(1)/name/sub', 404, 'sensing.no-such-property'],
    ['/Things(1)/properties/nosuch', 404, 'sensing.no-such-property'],
    ['/Things(1)/Locations(999999)', 404, 'sensing.no-such-entity'],
    ['/Things/name', 404, 'http.not-found'],
    ['/Things(1)?$top=1', 400, 'sensing.query-invalid'],
    ['/Things(1)?$expand=Nope', 400, 'sensing.query-invalid'],
    ['/Things?$expand=Datastreams($filter=nope%20eq%201)', 400, 'sensing.query-invalid'],
    ['/Things?$expand=Datastreams/Thing($top=1)', 400, 'sensing.query-invalid'],
    ['/Things?$select=nope', 400, 'sensing.query-invalid'],
    ['/Things?$orderby=Datastreams/name', 400, 'sensing.query-invalid'],
    ['/Things?$resultFormat=GeoJSON', 400, 'sensing.query-invalid'],
    ['/Things?$resultFormat=dataArray', 400, 'sensing.query-invalid'],
    ['/Things?$apply=x', 501, 'http.not-implemented'],
    [`/Things?$filter=name%20eq%20'${'x'.repeat(LIMITS.url_bytes)}'`, 400, 'sensing.query-invalid'],
  ])('%s answers %i', async (path, status, code) => {
    expect((await refusal('GET', path)).slice(0, 2)).toEqual([status, code]);
  });

  test.each([
    ['PATCH', '/Things', 'POST'],
    ['POST', '/Things(1)', 'PATCH'],
    ['PUT', '/Things(1)/name', 'GET'],
    ['POST', '', 'GET'],
  ] as const)('%s %s is refused with the methods that are allowed', async (method, path, allowed) => {
    const answer = await rig.send(method, path, {});
    expect(answer.status).toBe(405);
    expect(answer.headers['allow']).toContain(allowed);
  });

  test('answers HEAD without a body and OPTIONS with the methods', async () => {
    const head = await rig.send('HEAD', '/Things');
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await rig.send('OPTIONS', '/Things')).headers['allow']).toContain('POST');
  });

  test('refuses bodies that are no JSON, too deep or of another type', async () => {
    expect((await rig.send('POST', '/Things', '{')).status).toBe(400);
    expect((await rig.send('POST', '/Things', '')).status).toBe(400);
    expect((await rig.send('POST', '/Things', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415);
    const deep = `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`;
    expect((await refusal('POST', '/Things', `{"name":"x","description":"","properties":${deep}}`))[1]).toBe('http.too-deep');
    expect((await rig.send('POST', '/Things', `${'['.repeat(200_000)}${']'.repeat(200_000)}`)).status).toBe(400);
  });

  test('is absolute in every link', async () => {
    const { '@iot.selfLink': self, 'Locations@iot.navigationLink': locations } = await rig.get('/Things(1)');
    expect([firstThing, self, locations]).toEqual([1, `${ROOT}/Things(1)`, `${ROOT}/Things(1)/Locations`]);
  });
});
