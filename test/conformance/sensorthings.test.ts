import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, FULL_THING, LEVEL, LOCATION, openSensorThings, ROOT, SENSOR, type Json, type SensorThingsRig } from '../sensorthings-rig.ts';

// One test a requirement of OGC 18-088, named by the end of its URI. The landing page may list only what has a test here.
let rig: SensorThingsRig;
let things: number[];
const SETS = ['Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'MultiDatastreams', 'Sensors', 'ObservedProperties', 'Observations', 'FeaturesOfInterest'];
const tested = new Set<string>();
const requirement = (name: string, check: () => Promise<void>): void => {
  tested.add(name);
  test(name, check);
};

beforeAll(async () => {
  rig = await openSensorThings();
  things = [];
  for (const [at, name] of ['Ash', 'Birch', 'Cedar'].entries()) {
    things.push(
      await rig.create('/Things', {
        name,
        description: `Station ${String(at)}`,
        properties: { rank: at, owner: { name: 'City' } },
        Locations: [{ ...LOCATION, name: `At ${name}`, location: { type: 'Point', coordinates: [11 + at, 48] } }],
        Datastreams: [datastream({ name: `Level ${name}`, Sensor: SENSOR, ObservedProperty: { ...LEVEL, name: `Level of ${name}` }, Observations: [1, 2, 3].map((minute) => ({ result: at * 10 + minute, phenomenonTime: `2026-11-24T05:0${String(minute)}:00.250Z`, resultTime: `2026-11-24T05:0${String(minute)}:01Z` })) })],
      }),
    );
  }
  const [sensor] = await rig.list('/Sensors', '@iot.id');
  await rig.create('/MultiDatastreams', multiDatastream({ name: 'Wind Ash', Thing: { '@iot.id': things[0] }, Sensor: { '@iot.id': sensor } }));
});

const TYPE = 'http://www.opengis.net/def/observationType/OGC-OM/2.0';
const KNOTS = { name: 'knot', symbol: 'kn', definition: 'ucum:[kn_i]' };
const DEGREES = { name: 'degree', symbol: '°', definition: 'ucum:deg' };
const property = (name: string): Json => ({ ...LEVEL, name });
const multiDatastream = (more: Json = {}): Json => ({
  name: 'Wind',
  description: 'Speed and direction',
  observationType: `${TYPE}/OM_ComplexObservation`,
  multiObservationDataTypes: [`${TYPE}/OM_Measurement`, `${TYPE}/OM_CountObservation`],
  unitOfMeasurements: [KNOTS, DEGREES],
  properties: { purpose: 'city-operations' },
  ObservedProperties: [property('Wind speed'), property('Wind direction')],
  ...more,
});

const one = async (set: string, expand = ''): Promise<Json> => ((await rig.get(`/${set}?$top=1&$orderby=id${expand}`))['value'] as Json[])[0] ?? {};
const status = async (method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: unknown, headers?: Record<string, string>): Promise<number> => (await rig.send(method, path, body, headers)).status;
const newThing = (more: Json = {}): Promise<number> => rig.create('/Things', { name: 'Spare', description: 'spare', ...more });

describe('datamodel', () => {
  const PROPERTIES: Record<string, [string, string[], string[]]> = {
    thing: ['Things', ['name', 'description', 'properties'], ['Locations', 'HistoricalLocations', 'Datastreams', 'MultiDatastreams']],
    location: ['Locations', ['name', 'description', 'encodingType', 'location', 'properties'], ['Things', 'HistoricalLocations']],
    'historical-location': ['HistoricalLocations', ['time'], ['Thing', 'Locations']],
    datastream: ['Datastreams', ['name', 'description', 'observationType', 'unitOfMeasurement', 'observedArea', 'phenomenonTime', 'resultTime', 'properties'], ['Thing', 'Sensor', 'ObservedProperty', 'Observations']],
    sensor: ['Sensors', ['name', 'description', 'encodingType', 'metadata', 'properties'], ['Datastreams', 'MultiDatastreams']],
    'observed-property': ['ObservedProperties', ['name', 'definition', 'description', 'properties'], ['Datastreams', 'MultiDatastreams']],
    observation: ['Observations', ['phenomenonTime', 'resultTime', 'result'], ['Datastream', 'FeatureOfInterest']],
    'feature-of-interest': ['FeaturesOfInterest', ['name', 'description', 'encodingType', 'feature', 'properties'], ['Observations']],
  };
  for (const [name, [set, properties, relations]] of Object.entries(PROPERTIES)) {
    requirement(`datamodel/${name}/properties`, async () => {
      expect(Object.keys(await one(set)).filter((key) => !key.includes('@iot.'))).toEqual(properties);
    });
    requirement(`datamodel/${name}/relations`, async () => {
      const entity = await one(set);
      for (const relation of relations) {
        const link = entity[`${relation}@iot.navigationLink`];
        expect(link).toBe(`${ROOT}/${set}(${String(entity['@iot.id'])})/${relation}`);
        expect(await status('GET', String(link))).toBe(200);
      }
      expect(Object.keys(entity).filter((key) => key.endsWith('@iot.navigationLink'))).toHaveLength(relations.length);
    });
  }
  requirement('datamodel/entity-control-information/common-control-information', async () => {
    for (const set of SETS) {
      const entity = await one(set);
      expect(entity['@iot.selfLink']).toBe(`${ROOT}/${set}(${String(entity['@iot.id'])})`);
      expect((await rig.get(String(entity['@iot.selfLink'])))['@iot.id']).toBe(entity['@iot.id']);
    }
  });
  test('the times of a Datastream are those of its Observations, with milliseconds', async () => {
    expect(await one('Datastreams')).toMatchObject({ phenomenonTime: '2026-11-24T05:01:00.250Z/2026-11-24T05:03:00.250Z', resultTime: '2026-11-24T05:01:01.000Z/2026-11-24T05:03:01.000Z', observedArea: { type: 'Point', coordinates: [11, 48] } });
  });
});

describe('resource-path', () => {
  requirement('resource-path/resource-path-to-entities', async () => {
    const [thing] = things;
    const path = `/Things(${String(thing)})`;
    expect(await rig.list('/Things')).toEqual(['Ash', 'Birch', 'Cedar']);
    expect((await rig.get(path))['name']).toBe('Ash');
    expect((await rig.get(`/Things('${String(thing)}')`))['name']).toBe('Ash');
    expect(await rig.get(`${path}/name`)).toEqual({ name: 'Ash' });
    expect(await rig.get(`${path}/properties/owner`)).toEqual({ owner: { name: 'City' } });
    expect((await rig.send('GET', `${path}/name/$value`)).text).toBe('Ash');
    expect((await rig.send('GET', `${path}/properties/$value`)).text).toBe('{"rank":0,"owner":{"name":"City"}}');
    expect(await rig.list(`${path}/Datastreams`)).toEqual(['Level Ash']);
    const [stream] = await rig.list(`${path}/Datastreams`, '@iot.id');
    expect((await rig.get(`${path}/Datastreams(${String(stream)})/ObservedProperty`))['name']).toBe('Level of Ash');
    expect(await rig.list(`${path}/Datastreams(${String(stream)})/Observations`, 'result')).toEqual([1, 2, 3]);
    expect(await rig.get(`${path}/Datastreams/$ref`)).toEqual({ value: [{ '@iot.selfLink': `${ROOT}/Datastreams(${String(stream)})` }] });
    expect(await rig.get(`/Datastreams(${String(stream)})/Thing/$ref`)).toEqual({ '@iot.selfLink': `${ROOT}/Things(${String(thing)})` });
    expect(await status('GET', `/Things(${String(things[1])})/Datastreams(${String(stream)})`)).toBe(404);
  });
  test('the landing page names the nine sets, and lists a requirement only when it is tested', async () => {
    const landing = await rig.get('');
    expect(landing['value']).toEqual(SETS.map((name) => ({ name, url: `${ROOT}/${name}` })));
    const listed = (landing['serverSettings'] as { conformance: string[] }).conformance.map((uri) => uri.replace('http://www.opengis.net/spec/iot_sensing/1.1/req/', ''));
    const elsewhere = (name: string): boolean => name.startsWith('create-observations-via-mqtt/') || name.startsWith('receive-updates-via-mqtt/');
    expect(listed.filter((name) => !tested.has(name) && !elsewhere(name))).toEqual([]);
  });
});

describe('request-data', () => {
  requirement('request-data/order', async () => {
    // filter, then count, then order, skip and top; the page is expanded and selected last
    const answer = await rig.get('/Things?$select=name&$expand=Datastreams($select=name)&$top=1&$skip=1&$orderby=name%20desc&$count=true&$filter=properties/rank%20ge%200');
    expect(answer).toMatchObject({ '@iot.count': 3, value: [{ name: 'Birch', Datastreams: [{ name: 'Level Birch' }] }] });
  });
  requirement('request-data/expand', async () => {
    const [entity] = (await rig.get('/Things?$top=1&$expand=Locations,Datastreams/ObservedProperty,Datastreams($expand=Observations($top=1;$orderby=phenomenonTime%20desc;$count=true))'))['value'] as Json[];
    const [stream] = entity?.['Datastreams'] as Json[];
    expect([(entity?.['Locations'] as Json[])[0]?.['name'], (stream?.['ObservedProperty'] as Json)['name'], (stream?.['Observations'] as Json[]).map((observation) => observation['result']), stream?.['Observations@iot.count']]).toEqual(['At Ash', 'Level of Ash', [3], 3]);
    expect(stream?.['Observations@iot.nextLink']).toContain('$skiptoken=');
    expect(((await one('Observations', '&$expand=Datastream/Thing'))['Datastream'] as Json)['Thing']).toMatchObject({ name: 'Ash' });
  });
  requirement('request-data/select', async () => {
    expect((await rig.get('/Things?$select=id,name&$top=1'))['value']).toEqual([{ '@iot.id': things[0], name: 'Ash' }]);
    expect((await rig.get('/Things?$select=name,Datastreams&$top=1'))['value']).toEqual([{ name: 'Ash', 'Datastreams@iot.navigationLink': `${ROOT}/Things(${String(things[0])})/Datastreams` }]);
    expect(await rig.get(`/Things(${String(things[0])})?$select=description`)).toEqual({ description: 'Station 0' });
  });
  requirement('request-data/orderby', async () => {
    expect(await rig.list('/Things?$orderby=name%20desc')).toEqual(['Cedar', 'Birch', 'Ash']);
    expect(await rig.list('/Datastreams?$orderby=Thing/name%20desc,id')).toEqual(['Level Cedar', 'Level Birch', 'Level Ash']);
    expect(await rig.list('/Observations?$orderby=result%20desc&$top=2', 'result')).toEqual([23, 22]);
    expect(await rig.list('/Things?$orderby=properties/rank%20desc')).toEqual(['Cedar', 'Birch', 'Ash']);
  });
  requirement('request-data/top', async () => {
    expect(await rig.list('/Things?$top=2')).toEqual(['Ash', 'Birch']);
    expect(await rig.get('/Things?$top=0&$count=true')).toEqual({ '@iot.count': 3, value: [] });
  });
  requirement('request-data/skip', async () => {
    expect(await rig.list('/Things?$skip=2')).toEqual(['Cedar']);
  });
  requirement('request-data/count', async () => {
    expect((await rig.get('/Observations?$count=true&$top=1&$skip=3'))['@iot.count']).toBe(9);
    expect('@iot.count' in (await rig.get('/Observations?$count=false'))).toBe(false);
  });
  requirement('request-data/filter', async () => {
    expect(await rig.list("/Things?$filter=name%20eq%20'Birch'")).toEqual(['Birch']);
    expect(await rig.list("/Observations?$filter=Datastream/Thing/name%20eq%20'Cedar'%20and%20result%20gt%2021", 'result')).toEqual([22, 23]);
    expect(await rig.list("/Things?$filter=Datastreams/ObservedProperty/name%20eq%20'Level%20of%20Ash'")).toEqual(['Ash']);
    expect(await rig.list("/Things?$filter=properties/owner/name%20eq%20'City'")).toHaveLength(3);
  });
  requirement('request-data/pagination', async () => {
    const seen: unknown[] = [];
    for (let path: unknown = '/Observations?$top=2&$orderby=phenomenonTime'; typeof path === 'string'; ) {
      const answer: Json = await rig.get(path);
      seen.push(...(answer['value'] as Json[]).map((entity) => entity['result']));
      path = answer['@iot.nextLink'];
    }
    expect(seen).toEqual([1, 11, 21, 2, 12, 22, 3, 13, 23]);
  });
  requirement('request-data/status-code', async () => {
    expect(await Promise.all(['/Things', `/Things(${String(things[0])})`, '/Things(999999)', '/Nothing', '/Things(1)/nothing'].map((path) => status('GET', path)))).toEqual([200, 200, 404, 404, 404]);
    const refused = await rig.send('GET', '/Things(999999)');
    expect(refused.body).toMatchObject({ code: 404, type: 'error', error: { code: 'sensing.no-such-entity' } });
  });
  requirement('request-data/query-status-code', async () => {
    const wrong = ['$filter=nosuch%20eq%201', '$filter=name%20eq', '$orderby=nosuch', '$select=nosuch', '$expand=Nosuch', '$top=-1', '$skip=a', '$count=maybe', '$nosuch=1'];
    expect(await Promise.all(wrong.map((option) => status('GET', `/Things?${option}`)))).toEqual(wrong.map(() => 400));
    expect(await Promise.all(['$apply=groupby((name))', '$search=a'].map((option) => status('GET', `/Things?${option}`)))).toEqual([501, 501]);
  });
  requirement('request-data/built-in-filter-operations', async () => {
    const cases: [string, unknown[]][] = [['result eq 1', [1]], ['result ne 1 and result lt 3', [2]], ['result gt 22', [23]], ['result ge 22', [22, 23]], ['result le 2', [1, 2]], ['not (result lt 23)', [23]], ['result eq 1 or result eq 12', [1, 12]], ['(result add 1) eq 2', [1]], ['result sub 1 eq 0', [1]], ['result mul 2 eq 4', [2]], ['result div 2 eq 11.5', [23]], ['result mod 10 eq 1', [1, 11, 21]]];
    for (const [filter, wanted] of cases) expect([filter, await rig.list(`/Observations?$orderby=id&$filter=${encodeURIComponent(filter)}`, 'result')]).toEqual([filter, wanted]);
  });
  requirement('request-data/built-in-query-functions', async () => {
    // one of each group; every function has its own test in test/conformance/query-functions.test.ts
    for (const [filter, wanted] of [["startswith(name, 'At B')", ['At Birch']], ["length(name) eq 6", ['At Ash']], ["geo.distance(location, geography'POINT(11 48)') lt 0.5", ['At Ash']], ["st_relate(location, geography'POINT(13 48)', 'T********')", ['At Cedar']]] as const) {
      expect([filter, await rig.list(`/Locations?$orderby=id&$filter=${encodeURIComponent(filter)}`)]).toEqual([filter, wanted]);
    }
    for (const [filter, wanted] of [['minute(phenomenonTime) eq 3 and result lt 10', [3]], ['round(result div 10) eq 2', [21, 22, 23]]] as const) expect([filter, await rig.list(`/Observations?$orderby=id&$filter=${encodeURIComponent(filter)}`, 'result')]).toEqual([filter, wanted]);
  });
});

describe('create-update-delete', () => {
  requirement('create-update-delete/create-entity', async () => {
    const made = await rig.send('POST', '/Things', { name: 'New', description: 'new', properties: { a: [1, { b: null }] } });
    expect([made.status, made.headers['location']]).toEqual([201, made.body['@iot.selfLink']]);
    expect(await rig.get(String(made.headers['location']))).toMatchObject({ name: 'New', properties: { a: [1, { b: null }] } });
    const under = await rig.send('POST', `/Things(${String(made.body['@iot.id'])})/Datastreams`, datastream({ Sensor: SENSOR, ObservedProperty: LEVEL }));
    expect([under.status, (await rig.get(`${String(under.headers['location'])}/Thing`))['name']]).toEqual([201, 'New']);
    expect(await status('POST', '/Things', { name: 'New' })).toBe(400);
  });
  requirement('create-update-delete/link-to-existing-entities', async () => {
    const [sensor] = await rig.list('/Sensors', '@iot.id');
    const [property] = await rig.list('/ObservedProperties', '@iot.id');
    const thing = await newThing();
    const stream = await rig.create('/Datastreams', datastream({ Thing: { '@iot.id': thing }, Sensor: { '@iot.id': sensor }, ObservedProperty: { '@iot.id': property } }));
    expect([(await rig.get(`/Datastreams(${String(stream)})/Thing`))['@iot.id'], (await rig.get(`/Datastreams(${String(stream)})/Sensor`))['@iot.id']]).toEqual([thing, sensor]);
    const wrong = await rig.send('POST', '/Datastreams', datastream({ Thing: { '@iot.id': thing }, Sensor: { '@iot.id': 999_999 }, ObservedProperty: { '@iot.id': property } }));
    expect([wrong.status, (wrong.body['error'] as Json)['field']]).toEqual([400, 'Sensor']);
  });
  requirement('create-update-delete/deep-insert', async () => {
    const thing = await rig.create('/Things', { ...FULL_THING, Datastreams: [datastream({ Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result: 0 }, { result: false }] })] });
    const [entity] = (await rig.get(`/Things?$filter=id%20eq%20${String(thing)}&$expand=Locations,Datastreams($expand=Sensor,Observations($orderby=id))`))['value'] as Json[];
    const [stream] = entity?.['Datastreams'] as Json[];
    expect([(stream?.['Sensor'] as Json)['name'], (stream?.['Observations'] as Json[]).map(({ result }) => result)]).toEqual(['Radar', [0, false]]);
    const before = await rig.get('/Sensors?$count=true&$top=0');
    expect(await status('POST', '/Things', { ...FULL_THING, Datastreams: [datastream({ Sensor: SENSOR, ObservedProperty: LEVEL }), datastream({ Sensor: SENSOR })] })).toBe(400);
    expect(await rig.get('/Sensors?$count=true&$top=0')).toEqual(before);
  });
  requirement('create-update-delete/deep-insert-status-code', async () => {
    expect([await status('POST', '/Things', FULL_THING), await status('POST', '/Things', { ...FULL_THING, Locations: [{ name: 'x' }] }), await status('POST', '/Things', { ...FULL_THING, Locations: {} })]).toEqual([201, 400, 400]);
  });
  requirement('create-update-delete/update-entity', async () => {
    const thing = await newThing({ properties: { a: 1, b: 2 } });
    const answer = await rig.send('PATCH', `/Things(${String(thing)})`, { description: 'changed', properties: { c: 3 } });
    expect([answer.status, answer.body['name'], answer.body['description'], answer.body['properties']]).toEqual([200, 'Spare', 'changed', { c: 3 }]);
    // a body that was read before may come back with its links
    expect(await status('PATCH', `/Things(${String(thing)})`, answer.body)).toBe(200);
    expect(await status('PATCH', `/Things(${String(thing)})`, { Datastreams: [datastream()] })).toBe(400);
    expect([await status('PATCH', '/Things(999999)', { name: 'x' }), await status('PATCH', `/Things(${String(thing)})`, { nosuch: 1 })]).toEqual([404, 400]);
    const [stream] = await rig.list(`/Things(${String(things[0])})/Datastreams`, '@iot.id');
    expect((await rig.send('PATCH', `/Datastreams(${String(stream)})`, { properties: { interval_s: 60 } })).body['properties']).toEqual({ interval_s: 60, purpose: 'city-operations' });
  });
  requirement('create-update-delete/update-entity-put', async () => {
    const thing = await newThing({ properties: { a: 1 } });
    const answer = await rig.send('PUT', `/Things(${String(thing)})`, { name: 'Replaced', description: 'all of it' });
    expect([answer.status, answer.body['name'], answer.body['properties']]).toEqual([200, 'Replaced', {}]);
    expect(await status('PUT', `/Things(${String(thing)})`, { name: 'half' })).toBe(400);
  });
  requirement('create-update-delete/update-entity-jsonpatch', async () => {
    const thing = await newThing({ properties: { a: 1, list: [1, 2] } });
    const patch = (operations: unknown): ReturnType<SensorThingsRig['send']> => rig.send('PATCH', `/Things(${String(thing)})`, operations, { 'content-type': 'application/json-patch+json' });
    const answer = await patch([{ op: 'test', path: '/properties/a', value: 1 }, { op: 'add', path: '/properties/list/-', value: 3 }, { op: 'move', from: '/properties/a', path: '/properties/z' }]);
    expect([answer.status, answer.body['properties']]).toEqual([200, { list: [1, 2, 3], z: 1 }]);
    expect((await patch([{ op: 'test', path: '/name', value: 'Other' }, { op: 'remove', path: '/properties/z' }])).status).toBe(400);
    expect((await rig.get(`/Things(${String(thing)})`))['properties']).toEqual({ list: [1, 2, 3], z: 1 });
  });
  requirement('create-update-delete/delete-entity', async () => {
    const make = async (): Promise<Record<string, number>> => {
      const thing = await rig.create('/Things', { ...FULL_THING, Datastreams: [datastream({ Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result: 1 }] })] });
      const idOf = async (path: string): Promise<number> => (await rig.list(path, '@iot.id'))[0] as number;
      const stream = await idOf(`/Things(${String(thing)})/Datastreams`);
      const observation = await idOf(`/Datastreams(${String(stream)})/Observations`);
      const single = async (path: string): Promise<number> => (await rig.get(path))['@iot.id'] as number;
      const sensor = await single(`/Datastreams(${String(stream)})/Sensor`);
      const observed = await single(`/Datastreams(${String(stream)})/ObservedProperty`);
      const multi = await rig.create(`/Things(${String(thing)})/MultiDatastreams`, multiDatastream({ Sensor: { '@iot.id': sensor }, ObservedProperties: [property('Other'), { '@iot.id': observed }] }));
      return { Things: thing, Datastreams: stream, MultiDatastreams: multi, Observations: observation, Sensors: sensor, ObservedProperties: observed, Locations: await idOf(`/Things(${String(thing)})/Locations`), HistoricalLocations: await idOf(`/Things(${String(thing)})/HistoricalLocations`), FeaturesOfInterest: await single(`/Observations(${String(observation)})/FeatureOfInterest`) };
    };
    const gone: Record<string, string[]> = {
      Things: ['Things', 'Datastreams', 'MultiDatastreams', 'Observations', 'HistoricalLocations', 'FeaturesOfInterest'],
      Locations: ['Locations', 'HistoricalLocations'],
      HistoricalLocations: ['HistoricalLocations'],
      Datastreams: ['Datastreams', 'Observations', 'FeaturesOfInterest'],
      MultiDatastreams: ['MultiDatastreams'],
      Sensors: ['Sensors', 'Datastreams', 'MultiDatastreams', 'Observations', 'FeaturesOfInterest'],
      ObservedProperties: ['ObservedProperties', 'Datastreams', 'MultiDatastreams', 'Observations', 'FeaturesOfInterest'],
      Observations: ['Observations'],
      FeaturesOfInterest: ['FeaturesOfInterest', 'Observations'],
    };
    for (const set of SETS) {
      const ids = await make();
      const path = `/${set}(${String(ids[set])})`;
      expect([set, await status('DELETE', path), await status('DELETE', path)]).toEqual([set, 200, 404]);
      const missing: string[] = [];
      for (const other of SETS) if ((await status('GET', `/${other}(${String(ids[other])})`)) === 404) missing.push(other);
      expect([set, missing.sort()]).toEqual([set, gone[set]?.sort()]);
    }
  });
  requirement('create-update-delete/historical-location-auto-creation', async () => {
    const thing = await newThing({ Locations: [LOCATION] });
    rig.clock.advance(60_000);
    const place = await rig.create(`/Things(${String(thing)})/Locations`, { ...LOCATION, name: 'Second' });
    rig.clock.advance(60_000);
    expect(await status('PATCH', `/Things(${String(thing)})`, { Locations: [{ '@iot.id': place }] })).toBe(200); // where it is already
    const third = await rig.create('/Locations', { ...LOCATION, name: 'Third', Things: [{ '@iot.id': thing }] });
    expect(await rig.list(`/Things(${String(thing)})/Locations`, '@iot.id')).toEqual([third]);
    const history = (await rig.get(`/Things(${String(thing)})/HistoricalLocations?$orderby=time&$expand=Locations($select=name)`))['value'] as Json[];
    expect(history.map((entity) => (entity['Locations'] as Json[])[0]?.['name'])).toEqual(['Bridge', 'Second', 'Third']);
  });
  requirement('create-update-delete/historical-location-manual-creation', async () => {
    const thing = await newThing({ Locations: [LOCATION] });
    const place = await rig.create('/Locations', { ...LOCATION, name: 'Elsewhere' });
    await rig.create('/HistoricalLocations', { time: '2020-01-01T00:00:00Z', Thing: { '@iot.id': thing }, Locations: [{ '@iot.id': place }] });
    expect(await rig.list(`/Things(${String(thing)})/Locations`)).toEqual(['Bridge']);
    rig.clock.advance(60_000);
    await rig.create(`/Things(${String(thing)})/HistoricalLocations`, { time: new Date(rig.clock.nowMs()).toISOString(), Locations: [{ '@iot.id': place }] });
    expect(await rig.list(`/Things(${String(thing)})/Locations`)).toEqual(['Elsewhere']);
  });
});

describe('data-array', () => {
  requirement('data-array/data-array', async () => {
    const [stream, other] = await rig.list('/Datastreams?$orderby=id', '@iot.id');
    const answer = await rig.get(`/Observations?$resultFormat=dataArray&$select=id,result&$orderby=id&$top=5&$count=true`);
    const groups = answer['value'] as Json[];
    expect(groups.map((group) => [group['Datastream@iot.navigationLink'], group['components'], group['dataArray@iot.count'], (group['dataArray'] as unknown[][]).map((row) => row[1])])).toEqual([
      [`${ROOT}/Datastreams(${String(stream)})`, ['id', 'result'], 3, [1, 2, 3]],
      [`${ROOT}/Datastreams(${String(other)})`, ['id', 'result'], 2, [11, 12]],
    ]);
    expect(answer['@iot.nextLink']).toContain('$resultFormat=dataArray');
    const made = await rig.send('POST', '/CreateObservations', [{ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: [['2026-11-24T05:50:00Z', 7], ['yesterday', 8]] }]);
    const rows = JSON.parse(made.text) as string[];
    expect([made.status, (await rig.get(String(rows[0])))['result'], rows[1]?.startsWith('error')]).toEqual([201, 7, true]);
  });
});

describe('multi-datastream', () => {
  const list = (multi: number, options = ''): Promise<unknown[]> => rig.list(`/MultiDatastreams(${String(multi)})/Observations${options}`, 'result');
  requirement('multi-datastream/properties', async () => {
    const entity = await one('MultiDatastreams');
    expect(Object.keys(entity).filter((key) => !key.includes('@iot.'))).toEqual(['name', 'description', 'observationType', 'multiObservationDataTypes', 'unitOfMeasurements', 'properties']);
    expect(entity).toMatchObject({ observationType: `${TYPE}/OM_ComplexObservation`, unitOfMeasurements: [KNOTS, DEGREES], multiObservationDataTypes: [`${TYPE}/OM_Measurement`, `${TYPE}/OM_CountObservation`] });
    expect(await rig.list("/MultiDatastreams?$filter=unitOfMeasurements/0/symbol%20eq%20'kn'%20and%20name%20ne%20'Wind'")).toEqual(['Wind Ash']);
    expect(await rig.get(`/MultiDatastreams(${String(entity['@iot.id'])})/unitOfMeasurements`)).toEqual({ unitOfMeasurements: [KNOTS, DEGREES] });
    const multi = await rig.create(`/Things(${String(things[1])})/MultiDatastreams`, multiDatastream({ name: 'Wind Birch', unitOfMeasurements: [KNOTS, { name: null, symbol: null, definition: null }], Sensor: SENSOR, Observations: [{ result: [3.5, 270], phenomenonTime: '2026-11-24T05:00:00Z' }, { result: [4, 280], phenomenonTime: '2026-11-24T05:10:00Z' }] }));
    expect(await rig.get(`/MultiDatastreams(${String(multi)})`)).toMatchObject({ phenomenonTime: '2026-11-24T05:00:00.000Z/2026-11-24T05:10:00.000Z', observedArea: { type: 'Point', coordinates: [12, 48] }, unitOfMeasurements: [KNOTS, { name: null, symbol: null, definition: null }] });
    expect(await status('DELETE', `/MultiDatastreams(${String(multi)})`)).toBe(200);
  });
  requirement('multi-datastream/relations', async () => {
    const multi = await rig.create('/MultiDatastreams', multiDatastream({ name: 'Wind Cedar', Thing: { '@iot.id': things[2] }, Sensor: SENSOR, ObservedProperties: [property('Z first'), property('A second')] }));
    const path = `/MultiDatastreams(${String(multi)})`;
    for (const relation of ['Thing', 'Sensor', 'ObservedProperties', 'Observations']) expect((await rig.get(path))[`${relation}@iot.navigationLink`]).toBe(`${ROOT}${path}/${relation}`);
    // in the order of the elements, also expanded; the plain sets do not show it
    expect(await rig.list(`${path}/ObservedProperties`)).toEqual(['Z first', 'A second']);
    expect(((await rig.get(`${path}?$expand=ObservedProperties($select=name)`))['ObservedProperties'] as Json[]).map((entity) => entity['name'])).toEqual(['Z first', 'A second']);
    expect(await rig.list(`/Things(${String(things[2])})/MultiDatastreams`)).toEqual(['Wind Cedar']);
    expect(await rig.list(`/Things(${String(things[2])})/Datastreams`)).toEqual(['Level Cedar']);
    expect([await status('GET', `/Datastreams(${String(multi)})`), await status('GET', `/MultiDatastreams(${String((await rig.list('/Datastreams', '@iot.id'))[0])})`)]).toEqual([404, 404]);
    expect(await rig.list("/Things?$filter=Datastreams/name%20eq%20'Wind%20Cedar'")).toEqual([]);
    expect(await rig.list("/Things?$filter=MultiDatastreams/ObservedProperties/name%20eq%20'A%20second'")).toEqual(['Cedar']);
    const [first] = await rig.list(`${path}/ObservedProperties`, '@iot.id');
    expect(await rig.list(`/ObservedProperties(${String(first)})/MultiDatastreams`)).toEqual(['Wind Cedar']);
    const observation = await rig.send('POST', `${path}/Observations`, { result: [1.5, 2], phenomenonTime: '2026-11-24T05:00:00Z' });
    const link = String(observation.headers['location']);
    expect(Object.keys(await rig.get(link)).filter((key) => key.includes('Datastream'))).toEqual(['MultiDatastream@iot.navigationLink']);
    expect([await status('GET', `${link}/MultiDatastream`), await status('GET', `${link}/Datastream`)]).toEqual([200, 204]);
    expect(await rig.get(`${link}?$expand=Datastream,MultiDatastream($select=name)&$select=result`)).toEqual({ result: [1.5, 2], Datastream: null, MultiDatastream: { name: 'Wind Cedar' } });
    expect(await rig.list("/Observations?$filter=MultiDatastream/name%20eq%20'Wind%20Cedar'", 'result')).toEqual([[1.5, 2]]);
    expect(((await rig.get(`${path}/Observations?$resultFormat=dataArray&$select=result`))['value'] as Json[])[0]).toMatchObject({ 'MultiDatastream@iot.navigationLink': `${ROOT}${path}`, dataArray: [[[1.5, 2]]] });
    const made = await rig.send('POST', '/CreateObservations', [{ MultiDatastream: { '@iot.id': multi }, components: ['phenomenonTime', 'result'], dataArray: [['2026-11-24T05:01:00Z', [2, 3]], ['2026-11-24T05:02:00Z', [2]], ['2026-11-24T05:03:00Z', 2]] }]);
    expect((JSON.parse(made.text) as string[]).map((row) => row.startsWith('error'))).toEqual([false, true, true]);
    expect((await rig.send('POST', '/Observations', { result: [7, 8], phenomenonTime: '2026-11-24T05:04:00Z', MultiDatastream: { '@iot.id': multi } })).status).toBe(201);
    expect(await list(multi)).toEqual([[1.5, 2], [2, 3], [7, 8]]);
    expect((await rig.send('PATCH', link, { result: [9, 9] })).status).toBe(200);
    expect([await status('POST', `/Datastreams(${String(multi)})/Observations`, { result: [1, 1] }), await status('POST', '/Observations', { result: [1, 1], Datastream: { '@iot.id': multi } })]).toEqual([404, 403]);
    expect(await list(multi, '?$top=1')).toEqual([[9, 9]]);
    await rig.send('DELETE', path);
  });
  requirement('multi-datastream/constraints', async () => {
    const links = { Thing: { '@iot.id': things[0] }, Sensor: SENSOR };
    const field = async (more: Json): Promise<unknown> => ((await rig.send('POST', '/MultiDatastreams', multiDatastream({ ...links, ...more }))).body['error'] as Json | undefined)?.['field'];
    expect([
      await field({ unitOfMeasurements: [KNOTS] }),
      await field({ ObservedProperties: [property('One')] }),
      await field({ ObservedProperties: [property('One'), property('Two'), property('Three')] }),
      await field({ multiObservationDataTypes: [] }),
      await field({ multiObservationDataTypes: [`${TYPE}/OM_Measurement`, 'number'] }),
      await field({ unitOfMeasurements: [KNOTS, null] }),
      await field({ observationType: `${TYPE}/OM_Measurement` }),
      await field({ ObservedProperties: undefined }),
    ]).toEqual(['unitOfMeasurements', 'ObservedProperties', 'ObservedProperties', 'multiObservationDataTypes', 'multiObservationDataTypes.1', 'unitOfMeasurements.1', 'observationType', 'ObservedProperties']);
    const multi = await rig.create('/MultiDatastreams', multiDatastream({ ...links, properties: { purpose: 'city-operations', min: [0, null], max: [100] } }));
    const refused = async (result: unknown): Promise<unknown> => {
      const answer = await rig.send('POST', `/MultiDatastreams(${String(multi)})/Observations`, { result });
      return answer.status === 201 ? 201 : (answer.body['error'] as Json)['field'];
    };
    expect([await refused([1.5, 3]), await refused([1]), await refused([1, 2, 3]), await refused(1), await refused(['1', 2]), await refused([1, 2.5]), await refused([-1, 2]), await refused([1, null]), await refused({})]).toEqual([201, 'result', 'result', 'result', 'result.0', 'result.1', 'result.0', 'result.1', 'result']);
    // a change keeps the lengths equal, or is no change
    const path = `/MultiDatastreams(${String(multi)})`;
    const one = { multiObservationDataTypes: [`${TYPE}/OM_Measurement`], unitOfMeasurements: [KNOTS] };
    expect([await status('PATCH', path, one), await status('PATCH', path, { unitOfMeasurements: [DEGREES] }), (await rig.get(path))['unitOfMeasurements']]).toEqual([400, 400, [KNOTS, DEGREES]]);
    const [first] = await rig.list(`${path}/ObservedProperties`, '@iot.id');
    expect(await status('PATCH', path, { ...one, ObservedProperties: [{ '@iot.id': first }] })).toBe(200);
    expect([await rig.list(`${path}/ObservedProperties`, '@iot.id'), await refused([5]), await refused([5, 6])]).toEqual([[first], 201, 'result']);
    await rig.send('DELETE', path);
  });
});

describe('batch-request', () => {
  requirement('batch-request/batch-request', async () => {
    // 18-088 §11: a change set in a multipart batch, a reference inside it, and a query beside it; more in src/sensing/batch/batch.test.ts
    const lines = ['--b', 'Content-Type: multipart/mixed; boundary=c', '', '--c', 'Content-Type: application/http', 'Content-ID: 1', '', 'POST Things HTTP/1.1', 'Content-Type: application/json', '', '{"name": "Batched", "description": "by batch"}', '--c', 'Content-Type: application/http', 'Content-ID: 2', '', 'PATCH $1 HTTP/1.1', 'Content-Type: application/json', '', '{"description": "changed"}', '--c--', '--b', 'Content-Type: application/http', '', "GET Things?$filter=name%20eq%20'Batched'&$select=description HTTP/1.1", '', '', '--b--', ''];
    const answer = await rig.send('POST', '/$batch', lines.join('\r\n'), { 'content-type': 'multipart/mixed; boundary=b' });
    expect([answer.status, [...answer.text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((found) => found[1])]).toEqual([200, ['201', '200', '200']]);
    expect(answer.text).toContain('{"value":[{"description":"changed"}]}');
  });
});
