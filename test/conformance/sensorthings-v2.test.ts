import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, LEVEL, LOCATION, openSensorThings, SENSOR, type Answer, type Json, type SensorThingsRig } from '../sensorthings-rig.ts';

// One test a requirement of OGC 23-019, named by the end of its URI. The landing page may list only what has its tests here.
const ROOT = 'http://city.test/v2.0';
const SPECIFICATION = 'http://www.opengis.net/spec/sensorthings/2.0/';
let rig: SensorThingsRig;
let things: number[];
const tested = new Set<string>();
const requirement = (name: string, check: () => Promise<void>): void => {
  tested.add(name);
  test(name, check);
};

const send = (method: Parameters<SensorThingsRig['send']>[0], path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> => rig.send(method, path.startsWith('http') ? path : `${ROOT}${path}`, body, headers);
const status = async (...request: Parameters<typeof send>): Promise<number> => (await send(...request)).status;
const get = async (path: string): Promise<Json> => {
  const answer = await send('GET', path);
  if (answer.status !== 200) throw new Error(`GET ${path}: ${String(answer.status)} ${answer.text}`);
  return answer.body;
};
const list = async (path: string, property = 'name'): Promise<unknown[]> => ((await get(path))['value'] as Json[]).map((entity) => entity[property]);
const idIn = (location: string | undefined): number => Number(/\((\d+)\)$/.exec(location ?? '')?.[1]);
const create = async (path: string, body: unknown): Promise<number> => {
  const answer = await send('POST', path, body);
  if (answer.status !== 201) throw new Error(`POST ${path}: ${String(answer.status)} ${answer.text}`);
  return idIn(answer.headers['location']);
};
const one = async (set: string, options = ''): Promise<Json> => ((await get(`/${set}?$top=1&$orderby=id${options}`))['value'] as Json[])[0] ?? {};
const refusal = async (...request: Parameters<typeof send>): Promise<[number, unknown]> => {
  const answer = await send(...request);
  return [answer.status, (answer.body['error'] as Json | undefined)?.['field']];
};

const TEMPERATURE = { name: 'Air temperature', definition: 'http://example.org/air-temperature' };
const PRESSURE = { name: 'Air pressure', definition: 'http://example.org/air-pressure' };
const quantity = (definition: string, more: Json = {}): Json => ({ type: 'Quantity', label: 'Temperature', definition, uom: { code: 'Cel', label: 'degree Celsius', symbol: '°C' }, ...more });
const properties = { purpose: 'city-operations' };
const newProperty = (more: Json = {}): Promise<number> => create('/ObservedProperties', { ...TEMPERATURE, ...more });
const newStream = async (more: Json = {}): Promise<number> => {
  const property = await newProperty({ definition: `http://example.org/${String(Math.random())}` });
  return create('/Datastreams', { name: 'Oven', resultType: quantity(`ObservedProperties(${String(property)})`), Thing: { name: 'Oven' }, Sensor: { name: 'Probe' }, properties, ...more });
};

beforeAll(async () => {
  rig = await openSensorThings();
  things = [];
  for (const [at, name] of ['Ash', 'Birch', 'Cedar'].entries()) {
    things.push(
      await rig.create('/Things', {
        name,
        description: `Station ${String(at)}`,
        properties: { rank: at, kind: at === 1 ? 'room' : 'hall', tags: ['a', name] },
        Locations: [{ ...LOCATION, name: `At ${name}`, location: { type: 'Point', coordinates: [11 + at, 48] } }],
        Datastreams: [datastream({ name: `Level ${name}`, Sensor: SENSOR, ObservedProperty: { ...LEVEL, name: `Level of ${name}`, definition: `${LEVEL.definition}-${name}` }, Observations: [1, 2, 3].map((minute) => ({ result: at * 10 + minute, phenomenonTime: `2026-11-24T05:0${String(minute)}:00.250Z`, resultTime: `2026-11-24T05:0${String(minute)}:01Z`, validTime: '2026-11-24T05:00:00Z/2026-11-24T06:00:00Z' })) })],
      }),
    );
  }
  const type = await create('/FeatureTypes', { name: 'River', definition: 'http://example.org/river', description: 'Flowing water', properties: {} });
  const river = await create('/Features', { name: 'Isar', definition: 'http://example.org/isar', description: 'A river', encodingType: 'application/geo+json', feature: { type: 'LineString', coordinates: [[11, 48], [12, 48]] }, properties: {}, FeatureTypes: [{ '@id': `FeatureTypes(${String(type)})` }] });
  const [stream] = await list(`/Things(${String(things[0])})/Datastreams`, 'id');
  expect(await status('PATCH', `/Datastreams(${String(stream)})`, { definition: 'http://example.org/level-ash', UltimateFeatureOfInterest: { '@id': `${ROOT}/Features(${String(river)})` } })).toBe(204);
});

describe('datamodel/core', () => {
  const MODEL: Record<string, [string, string[], string[], string[]]> = {
    thing: ['Things', ['name'], ['definition', 'description', 'properties'], ['Datastreams', 'Locations', 'HistoricalLocations']],
    location: ['Locations', ['name', 'encodingType', 'location'], ['definition', 'description', 'properties'], ['Things', 'HistoricalLocations']],
    'historical-location': ['HistoricalLocations', ['time'], [], ['Thing', 'Locations']],
    datastream: ['Datastreams', ['name', 'resultType'], ['definition', 'description', 'resultEncoding', 'observedArea', 'phenomenonTime', 'resultTime', 'properties'], ['Thing', 'Sensor', 'ObservedProperties', 'Observations', 'ProximateFeatureOfInterest', 'UltimateFeatureOfInterest']],
    sensor: ['Sensors', ['name'], ['definition', 'description', 'encodingType', 'metadata', 'properties'], ['Datastreams']],
    'observed-property': ['ObservedProperties', ['name', 'definition'], ['description', 'properties'], ['Datastreams']],
    observation: ['Observations', ['phenomenonTime', 'result'], ['resultTime', 'validTime', 'properties'], ['Datastream', 'ProximateFeatureOfInterest']],
    feature: ['Features', ['name', 'encodingType', 'feature'], ['definition', 'description', 'properties'], ['Observations', 'DatastreamsProximate', 'DatastreamsUltimate', 'FeatureTypes']],
    'feature-type': ['FeatureTypes', ['name'], ['definition', 'description', 'properties'], ['Features']],
  };
  for (const [name, [set, mandatory, optional, relations]] of Object.entries(MODEL)) {
    requirement(`req/datamodel/core/${name}`, async () => {
      const entities = (await get(`/${set}`))['value'] as Json[];
      expect(entities.length).toBeGreaterThan(0);
      for (const entity of entities) {
        const own = Object.keys(entity).filter((key) => !key.includes('@'));
        expect(own.slice(0, 1 + mandatory.length).filter((key) => key === 'id' || mandatory.includes(key)).length + own.slice(1 + mandatory.length).filter((key) => mandatory.includes(key)).length).toBe(1 + mandatory.length);
        expect(own.filter((key) => key !== 'id' && !mandatory.includes(key) && !optional.includes(key))).toEqual([]);
        expect(entity['@id']).toBe(`${ROOT}/${set}(${String(entity['id'])})`);
        expect(Object.keys(entity).filter((key) => key.endsWith('@navigationLink')).sort()).toEqual(relations.map((relation) => `${relation}@navigationLink`).sort());
      }
      for (const relation of relations) {
        const link = entities[0]?.[`${relation}@navigationLink`];
        expect(link).toBe(`${ROOT}/${set}(${String(entities[0]?.['id'])})/${relation}`);
        expect([200, 204]).toContain(await status('GET', String(link)));
      }
    });
  }
  test('the linked ObservedProperties are those that the resultType names', async () => {
    for (const stream of (await get('/Datastreams?$expand=ObservedProperties($select=id)'))['value'] as Json[]) {
      const named = (stream['resultType'] as Json)['definition'];
      expect((stream['ObservedProperties'] as Json[]).map(({ id }) => `ObservedProperties(${String(id)})`)).toEqual([named]);
    }
  });
  test('times are objects: an instant has a start, an interval both', async () => {
    expect(await one('Observations')).toMatchObject({ phenomenonTime: { start: '2026-11-24T05:01:00.250Z' }, resultTime: '2026-11-24T05:01:01.000Z', validTime: { start: '2026-11-24T05:00:00Z', end: '2026-11-24T06:00:00Z' } });
    expect(await one('Datastreams')).toMatchObject({ phenomenonTime: { start: '2026-11-24T05:01:00.250Z', end: '2026-11-24T05:03:00.250Z' }, resultTime: { start: '2026-11-24T05:01:01.000Z', end: '2026-11-24T05:03:01.000Z' }, observedArea: { type: 'Point', coordinates: [11, 48] } });
  });
});

describe('api/read', () => {
  requirement('req/api/read/paths', async () => {
    const [thing] = things;
    const path = `/Things(${String(thing)})`;
    const [stream] = await list(`${path}/Datastreams`, 'id');
    expect(await get('/Things?$top=1')).toMatchObject({ '@context': `${ROOT}/$metadata#Things`, value: [{ name: 'Ash' }] });
    expect(await get(path)).toMatchObject({ '@context': `${ROOT}/$metadata#Things/$entity`, '@id': `${ROOT}${path}`, id: thing, name: 'Ash' });
    expect(await get(`${path}/name`)).toEqual({ '@context': `${ROOT}/$metadata#Edm.String`, value: 'Ash' });
    expect((await send('GET', `${path}/name/$value`)).text).toBe('Ash');
    expect(await get(`${path}/properties/kind`)).toMatchObject({ value: 'hall' });
    expect(await get(`/Datastreams(${String(stream)})/Thing/name`)).toMatchObject({ value: 'Ash' });
    expect(await get(`/Datastreams(${String(stream)})/Thing/$ref`)).toEqual({ '@context': `${ROOT}/$metadata#$ref`, '@id': `${ROOT}${path}` });
    expect(await get(`${path}/Datastreams/$ref`)).toEqual({ '@context': `${ROOT}/$metadata#Collection($ref)`, value: [{ '@id': `${ROOT}/Datastreams(${String(stream)})` }] });
    expect(await list(`${path}/Datastreams(${String(stream)})/Observations`, 'result')).toEqual([1, 2, 3]);
    expect(await status('GET', `/Things(${String(things[1])})/Datastreams(${String(stream)})`)).toBe(404);
    expect(await status('GET', '/FeaturesOfInterest')).toBe(404);
    expect(await status('GET', '/MultiDatastreams')).toBe(404);
    const model = await get('/$metadata');
    const schema = model['org.ogc.sensorthings'] as Record<string, Json>;
    expect(model['$Version']).toBe('4.01');
    expect(schema['Datastream']?.['ObservedProperties']).toEqual({ $Kind: 'NavigationProperty', $Type: 'org.ogc.sensorthings.ObservedProperty', $Collection: true });
    expect(schema['Observation']?.['phenomenonTime']).toMatchObject({ $Type: 'org.ogc.sensorthings.TM_Object' });
    expect(Object.keys(schema['Service'] ?? {})).toEqual(['$Kind', 'Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'Sensors', 'ObservedProperties', 'Observations', 'Features', 'FeatureTypes']);
  });
  requirement('req/api/read/options/precedence', async () => {
    expect(await get('/Things?$select=name&$expand=Datastreams($select=name)&$top=1&$skip=1&$orderby=name%20desc&$count=true&$filter=properties/rank%20ge%200')).toMatchObject({ '@count': 3, value: [{ name: 'Birch', Datastreams: [{ name: 'Level Birch' }] }] });
  });
  requirement('req/api/read/options/select', async () => {
    expect(await get('/Things?$select=id,name&$top=1')).toEqual({ '@context': `${ROOT}/$metadata#Things`, '@nextLink': expect.any(String), value: [{ id: things[0], name: 'Ash' }] });
    expect(Object.keys(await get(`/Things(${String(things[0])})?$select=name,Datastreams`))).toEqual(['@context', 'name', 'Datastreams@navigationLink']);
    expect(await status('GET', '/Things?$select=nothing')).toBe(400);
  });
  requirement('req/api/read/options/select_distinct', async () => {
    expect(((await get('/Things?$select=distinct:properties/kind&$orderby=properties/kind'))['value'] as Json[]).filter(({ properties: kept }) => (kept as Json)['kind'] !== null)).toEqual([{ properties: { kind: 'hall' } }, { properties: { kind: 'room' } }]);
    expect(((await get('/Datastreams?$select=distinct:resultType/type'))['value'] as Json[])).toContainEqual({ resultType: { type: 'Quantity' } });
  });
  requirement('req/api/read/options/expand', async () => {
    const entity = await one('Things', '&$expand=Locations,Datastreams($expand=ObservedProperties,Observations($top=1;$orderby=phenomenonTime%20desc;$count=true;$select=result),UltimateFeatureOfInterest($expand=FeatureTypes))');
    const [stream] = entity['Datastreams'] as Json[];
    expect([(entity['Locations'] as Json[])[0]?.['name'], (stream?.['ObservedProperties'] as Json[])[0]?.['name'], stream?.['Observations'], stream?.['Observations@count']]).toEqual(['At Ash', 'Level of Ash', [{ result: 3 }], 3]);
    expect(stream?.['UltimateFeatureOfInterest']).toMatchObject({ name: 'Isar', FeatureTypes: [{ name: 'River' }] });
    expect(stream?.['Observations@nextLink']).toContain('$skiptoken=');
    expect((await one('Observations', '&$expand=Datastream/Thing,ProximateFeatureOfInterest'))).toMatchObject({ Datastream: { Thing: { name: 'Ash' } }, ProximateFeatureOfInterest: { feature: { coordinates: [11, 48] } } });
  });
  requirement('req/api/read/options/top', async () => {
    expect(await list('/Things?$top=2&$orderby=id')).toEqual(['Ash', 'Birch']);
    expect(await list('/Things?$top=0')).toEqual([]);
    expect(await status('GET', '/Things?$top=-1')).toBe(400);
    expect((await get('/Observations?$top=1000000'))['@nextLink']).toBeUndefined();
  });
  requirement('req/api/read/options/skip', async () => {
    expect(await list('/Things?$skip=1&$top=1&$orderby=id')).toEqual(['Birch']);
  });
  requirement('req/api/read/options/count', async () => {
    expect(await get(`/Observations?$count=true&$top=1&$skip=1&$filter=Datastream/name%20eq%20'Level%20Birch'`)).toMatchObject({ '@count': 3 });
    expect((await get('/Things?$count=false'))['@count']).toBeUndefined();
    expect(await status('GET', '/Things?$count=yes')).toBe(400);
  });
  requirement('req/api/read/options/orderby', async () => {
    expect(await list(`/Observations?$orderby=result%20desc&$top=2&$filter=result%20lt%2090`, 'result')).toEqual([23, 22]);
    expect(await list(`/Observations?$orderby=Datastream/id%20desc,phenomenonTime&$top=1&$filter=startswith(Datastream/name,'Level')`, 'result')).toEqual([21]);
  });
  requirement('req/api/read/options/filter', async () => {
    const found = (filter: string, path = '/Observations', property = 'result'): Promise<unknown[]> => list(`${path}?$orderby=id&$filter=${encodeURIComponent(filter)}`, property);
    expect(await found(`startswith(resultType/type,'Quan') and name eq 'Level Ash'`, '/Datastreams', 'name')).toEqual(['Level Ash']);
    expect(await found(`phenomenonTime/start gt 2026-11-24T05:02:30Z and result lt 20`)).toEqual([3, 13]);
    expect(await found(`validTime/end eq 2026-11-24T06:00:00Z and phenomenonTime lt 2026-11-24T05:01:30Z`)).toEqual([1, 11, 21]);
    expect(await found(`properties/kind in ('room','corridor')`, '/Things', 'name')).toEqual(['Birch']);
    expect(await found(`Datastreams/any(d: d/Observations/any(o: o/result eq 22))`, '/Things', 'name')).toEqual(['Cedar']);
    expect(await found(`st_within(location, geometry'POLYGON((10.5 47, 11.5 47, 11.5 49, 10.5 49, 10.5 47))')`, '/Locations', 'name')).toEqual(['At Ash']);
    expect(await found(`UltimateFeatureOfInterest/FeatureTypes/name eq 'River'`, '/Datastreams', 'name')).toEqual(['Level Ash']);
    expect(await found(`ProximateFeatureOfInterest/id eq Datastream/ProximateFeatureOfInterest/id and (result mul 2) sub 1 eq 5`)).toEqual([3]);
    // what is not shown is null
    const bare = await create('/Sensors', { name: 'Bare' });
    expect(await found(`description eq null and metadata eq null and definition eq null and id eq ${String(bare)}`, '/Sensors', 'name')).toEqual(['Bare']);
    expect(await refusal('GET', '/Observations?$filter=FeatureOfInterest/id%20eq%201')).toEqual([400, '$filter']);
    const { functions } = (await get(''))['serverSettings'] as { functions: string[] };
    for (const name of ['any', 'contains', 'geo.distance', 'now', 'st_relate', 'substringof', 'trim']) expect(functions).toContain(name);
  });
  requirement('req/api/read/options/format', async () => {
    const path = `/Things(${String(things[0])})`;
    expect(await get(`${path}?$format=json&$select=id,name`)).toEqual({ '@context': `${ROOT}/$metadata#Things/$entity`, id: things[0], name: 'Ash' });
    expect(Object.keys(await get(`${path}?$format=${encodeURIComponent('application/json;metadata=minimal')}`)).filter((key) => key.includes('@'))).toEqual(['@context']);
    const none = await get(`/Things?$top=1&$count=true&$expand=Datastreams&$format=${encodeURIComponent('application/json;metadata=none')}`);
    expect(await get('/Things?$top=1&$count=true&$expand=Datastreams&$format=application/json;metadata=none')).toEqual(none);
    const following = await get(none['@nextLink'] as string); // asks for the same format
    expect([Object.keys(following).filter((key) => key === '@context'), (following['value'] as Json[]).length]).toEqual([[], 1]);
    expect([Object.keys(none).sort(), Object.keys((none['value'] as Json[])[0] ?? {})]).toEqual([['@count', '@nextLink', 'value'], ['id', 'name', 'description', 'properties', 'Datastreams']]);
    expect(await refusal('GET', '/Things?$format=xml')).toEqual([400, '$format']);
  });
  requirement('req/api/read/options/pagination', async () => {
    const seen: unknown[] = [];
    for (let next: string | undefined = '/Observations?$top=2&$orderby=phenomenonTime%20desc&$filter=result%20lt%2090'; next !== undefined; ) {
      const page: Json = await get(next);
      seen.push(...(page['value'] as Json[]).map(({ result }) => result));
      next = page['@nextLink'] as string | undefined;
    }
    expect([seen.length, new Set(seen).size]).toEqual([9, 9]);
  });
});

describe('api/cud', () => {
  requirement('req/api/cud/advertisement', async () => {
    expect((await get(''))['serverSettings']).toMatchObject({ conformance: expect.arrayContaining([`${SPECIFICATION}req-class/api/cud`]) });
  });
  requirement('req/api/cud/create', async () => {
    const thing = await create('/Things', { id: 77, name: 'Oven', definition: 'http://example.org/oven' });
    const sensor = await create('/Sensors', { name: 'Probe' });
    const property = await newProperty();
    // the address wins over the body
    const stream = await create(`/Things(${String(thing)})/Datastreams`, { name: 'Heat', resultType: quantity(`ObservedProperties(${String(property)})`), Sensor: { '@id': `Sensors(${String(sensor)})` }, Thing: { '@id': `Things(${String(things[0])})` }, properties });
    expect(await get(`/Datastreams(${String(stream)})?$expand=Thing,Sensor,ObservedProperties`)).toMatchObject({ Thing: { id: thing, name: 'Oven', definition: 'http://example.org/oven' }, Sensor: { id: sensor, encodingType: 'text/plain' }, ObservedProperties: [{ id: property }] });
    const observation = await create('/Observations', { result: 25.1, phenomenonTime: { start: '2026-11-24T05:16:00Z' }, Datastream: { id: stream } });
    expect(await get(`/Datastreams(${String(stream)})/Observations(${String(observation)})`)).toMatchObject({ result: 25.1, phenomenonTime: { start: '2026-11-24T05:16:00.000Z' } });
    const interval = await create(`/Things(${String(thing)})/Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: { start: '2026-11-24T04:00:00Z', end: '2026-11-24T05:00:00Z' }, validTime: { start: '2026-11-24T04:00:00Z', end: '2026-11-24T05:00:00Z' } });
    expect(await get(`/Observations(${String(interval)})`)).toMatchObject({ phenomenonTime: { start: '2026-11-24T04:00:00.000Z', end: '2026-11-24T05:00:00.000Z' }, validTime: { start: '2026-11-24T04:00:00Z', end: '2026-11-24T05:00:00Z' } });
    // missing times are the server's
    const now = await create(`/Datastreams(${String(stream)})/Observations`, { result: 2 });
    expect(await get(`/Observations(${String(now)})/phenomenonTime`)).toMatchObject({ value: { start: '2026-11-24T06:00:00.000Z' } });
    for (const [path, body, field] of [
      ['/Things', {}, 'name'],
      ['/Datastreams', { name: 'x', properties, Thing: { '@id': `Things(${String(thing)})` }, Sensor: { '@id': `Sensors(${String(sensor)})` } }, 'resultType'],
      ['/Datastreams', { name: 'x', properties, resultType: quantity('ObservedProperties(999999)'), Thing: { '@id': `Things(${String(thing)})` }, Sensor: { '@id': `Sensors(${String(sensor)})` } }, 'resultType.definition'],
      ['/Datastreams', { name: 'x', properties, resultType: quantity('ObservedProperties(1)', { uom: 'K' }), Thing: { '@id': `Things(${String(thing)})` }, Sensor: { '@id': `Sensors(${String(sensor)})` } }, 'resultType.uom'],
      ['/Datastreams', { name: 'x', properties, resultType: quantity(`ObservedProperties(${String(property)})`), Sensor: { '@id': `Sensors(${String(sensor)})` } }, 'Thing'],
      ['/Datastreams', { name: 'x', properties, resultType: quantity(`ObservedProperties(${String(property)})`), Thing: { '@id': `Sensors(${String(sensor)})` }, Sensor: { '@id': `Sensors(${String(sensor)})` } }, 'Thing'],
      ['/Observations', { Datastream: { id: stream } }, 'result'],
      ['/Observations', { result: 1 }, 'Datastream'],
      ['/Observations', { result: 1, phenomenonTime: { end: '2026-11-24T05:16:00Z' }, Datastream: { id: stream } }, 'phenomenonTime.start'],
      ['/Observations', { result: 1, FeatureOfInterest: { '@iot.id': 1 }, Datastream: { id: stream } }, 'FeatureOfInterest'],
      ['/Features', { name: 'x', encodingType: 'application/geo+json' }, 'feature'],
      ['/FeatureTypes', { definition: 'http://example.org' }, 'name'],
      ['/ObservedProperties', { name: 'x' }, 'definition'],
    ] as const) {
      const [code, at] = await refusal('POST', path, body);
      expect([path, code >= 400 && code < 500, at]).toEqual([path, true, field]);
    }
    // a new Location moves the Thing and leaves a HistoricalLocation; a newer HistoricalLocation moves it too
    const here = await create(`/Things(${String(thing)})/Locations`, { name: 'Kitchen', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [11, 48] } });
    expect(await list(`/Things(${String(thing)})/HistoricalLocations?$expand=Locations`, 'time')).toEqual(['2026-11-24T06:00:00.000Z']);
    const there = await create('/Locations', { name: 'Cellar', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [12, 48] } });
    await create('/HistoricalLocations', { time: '2026-11-24T06:30:00Z', Thing: { '@id': `Things(${String(thing)})` }, Locations: [{ '@id': `Locations(${String(there)})` }] });
    expect([here, await list(`/Things(${String(thing)})/Locations`, 'id')]).toEqual([here, [there]]);
  });
  requirement('req/api/cud/deep_insert', async () => {
    const thing = await create('/Things', {
      name: 'Weather station',
      Locations: [{ name: 'Roof', encodingType: 'application/geo+json', location: { type: 'Feature', geometry: { type: 'Point', coordinates: [10, 10] } } }],
      Datastreams: [
        {
          name: 'Weather',
          resultType: { type: 'DataRecord', fields: [quantity(TEMPERATURE.definition, { name: 'temp' }), quantity(PRESSURE.definition, { name: 'press', uom: { code: 'mbar' } })] },
          ObservedProperties: [TEMPERATURE, PRESSURE],
          Sensor: { name: 'DS18B20', encodingType: 'application/pdf', metadata: 'http://example.org/DS18B20.pdf' },
          UltimateFeatureOfInterest: { name: 'Air', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [10, 10] }, FeatureTypes: [{ name: 'Air mass' }] },
          properties,
          Observations: [{ result: { temp: 15, press: 1024.5 }, phenomenonTime: { start: '2026-11-24T05:00:00Z' } }],
        },
      ],
    });
    expect(await get(`/Things(${String(thing)})?$expand=Locations,Datastreams($expand=ObservedProperties,Observations,UltimateFeatureOfInterest/FeatureTypes)`)).toMatchObject({
      Locations: [{ name: 'Roof' }],
      Datastreams: [{ ObservedProperties: [{ name: 'Air temperature' }, { name: 'Air pressure' }], Observations: [{ result: { temp: 15, press: 1024.5 } }], UltimateFeatureOfInterest: { FeatureTypes: [{ name: 'Air mass' }] } }],
    });
    // an observation brings its Datastream and its Feature
    const property = await newProperty({ definition: 'http://example.org/deep' });
    const observation = await create('/Observations', { result: 4, Datastream: { name: 'New', resultType: quantity(`ObservedProperties(${String(property)})`), Thing: { name: 'Probe' }, Sensor: { name: 'Probe' }, properties }, ProximateFeatureOfInterest: { name: 'Sample', definition: 'http://example.org/sample', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [1, 2] } } });
    expect(await get(`/Observations(${String(observation)})?$expand=Datastream,ProximateFeatureOfInterest`)).toMatchObject({ result: 4, Datastream: { name: 'New' }, ProximateFeatureOfInterest: { name: 'Sample', definition: 'http://example.org/sample' } });
    // all or nothing
    const before = await get('/Things?$count=true&$top=0');
    expect(await refusal('POST', '/Things', { name: 'Half', Datastreams: [{ name: 'x', properties, resultType: quantity('http://example.org/nowhere'), Sensor: { name: 's' } }] })).toEqual([400, 'Datastreams.0.resultType.definition']);
    expect((await refusal('POST', '/Observations', { result: 'image', Datastream: { name: 'Undone', resultType: quantity(`ObservedProperties(${String(property)})`), Thing: { name: 'Half' }, Sensor: { name: 'Half' }, properties } }))[0]).toBe(403);
    expect([(await get('/Things?$count=true&$top=0'))['@count'], await list(`/Things?$filter=name%20eq%20'Half'`), await list(`/Sensors?$filter=name%20eq%20'Half'`)]).toEqual([before['@count'], [], []]);
  });
  requirement('req/api/cud/update', async () => {
    const stream = await newStream({ definition: 'http://example.org/d' });
    expect(await status('PATCH', `/Datastreams(${String(stream)})`, { description: 'hot' })).toBe(204);
    expect(await get(`/Datastreams(${String(stream)})`)).toMatchObject({ name: 'Oven', definition: 'http://example.org/d', description: 'hot', resultType: { uom: { code: 'Cel' } } });
    for (const [set, body] of [['Sensors', { name: 'Probe' }], ['Features', { name: 'F', encodingType: 'text/plain', feature: 'here' }], ['FeatureTypes', { name: 'T' }], ['ObservedProperties', TEMPERATURE]] as const) {
      const id = await create(`/${set}`, { ...body, description: 'kept' });
      expect(await status('PATCH', `/${set}(${String(id)})`, { name: 'Renamed' })).toBe(204);
      expect(await get(`/${set}(${String(id)})`)).toMatchObject({ name: 'Renamed', description: 'kept' });
    }
    const observation = await create(`/Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: { start: '2026-11-24T05:00:00Z' } });
    expect(await status('PATCH', `/Observations(${String(observation)})`, { result: 2 })).toBe(204);
    expect(await get(`/Observations(${String(observation)})`)).toMatchObject({ result: 2, phenomenonTime: { start: '2026-11-24T05:00:00.000Z' } });
    // what the results look like stays, once there are some; the rest of the resultType may change
    const definition = String(((await get(`/Datastreams(${String(stream)})`))['resultType'] as Json)['definition']);
    expect(await refusal('PATCH', `/Datastreams(${String(stream)})`, { resultType: { type: 'Count', label: 'Heat', definition } })).toEqual([400, 'resultType']);
    expect(await status('PATCH', `/Datastreams(${String(stream)})`, { resultType: quantity(definition, { label: 'Heat' }) })).toBe(204);
  });
  requirement('req/api/cud/replace', async () => {
    const thing = await create('/Things', { name: 'Oven', definition: 'http://example.org/o', description: 'old', properties: { a: 1 }, Locations: [{ name: 'L', encodingType: 'text/plain', location: 'here' }] });
    expect(await status('PUT', `/Things(${String(thing)})`, { name: 'New oven' })).toBe(204);
    const replaced = await get(`/Things(${String(thing)})?$expand=Locations`);
    expect([replaced['name'], replaced['definition'], replaced['description'], replaced['properties'], (replaced['Locations'] as Json[]).length]).toEqual(['New oven', undefined, undefined, {}, 1]);
    expect(await refusal('PUT', `/Things(${String(thing)})`, { description: 'no name' })).toEqual([400, 'name']);
  });
  requirement('req/api/cud/deep_update', async () => {
    const thing = await create('/Things', { name: 'Oven', Locations: [{ name: 'Old place', encodingType: 'text/plain', location: 'a' }] });
    const other = await create('/Locations', { name: 'Other place', encodingType: 'text/plain', location: 'b' });
    expect(await status('PATCH', `/Things(${String(thing)})`, { name: 'Moved oven', Locations: [{ name: 'New place', encodingType: 'text/plain', location: 'c' }, { '@id': `Locations(${String(other)})`, description: 'told' }] })).toBe(204);
    const moved = await get(`/Things(${String(thing)})?$expand=Locations($orderby=name)`);
    expect([moved['name'], (moved['Locations'] as Json[]).map(({ name, description }) => [name, description])]).toEqual(['Moved oven', [['New place', undefined], ['Other place', 'told']]]);
    const stream = await newStream({ Thing: { '@id': `Things(${String(thing)})` } });
    expect(await refusal('PATCH', `/Things(${String(thing)})`, { name: 'Never', Datastreams: [] })).toEqual([400, 'Datastreams']);
    expect(await status('PATCH', `/Things(${String(thing)})`, { Datastreams: [{ '@id': `Datastreams(${String(stream)})`, name: 'Renamed' }] })).toBe(204);
    expect([await list(`/Things(${String(thing)})/Datastreams`), (await get(`/Things(${String(thing)})`))['name']]).toEqual([['Renamed'], 'Moved oven']);
    // one wrong member, and nothing is changed
    expect(await refusal('PATCH', `/Things(${String(thing)})`, { name: 'Never', Locations: [{ name: 'Half' }] })).toEqual([400, 'Locations.0.encodingType']);
    expect((await get(`/Things(${String(thing)})`))['name']).toBe('Moved oven');
  });
  requirement('req/api/cud/json_patch', async () => {
    const thing = await create('/Things', { name: 'Oven', properties: { status: 'inactive' } });
    const patch = (operations: unknown): Promise<number> => status('PATCH', `/Things(${String(thing)})`, operations, { 'content-type': 'application/json-patch+json' });
    const operations = [{ op: 'test', path: '/properties/status', value: 'inactive' }, { op: 'replace', path: '/properties/status', value: 'active' }];
    expect(await patch(operations)).toBe(204);
    expect(await get(`/Things(${String(thing)})/properties/status`)).toMatchObject({ value: 'active' });
    expect(await patch(operations)).toBe(409);
    const stream = await newStream();
    expect(await status('PATCH', `/Datastreams(${String(stream)})`, [{ op: 'replace', path: '/resultType/label', value: 'Heat' }], { 'content-type': 'application/json-patch+json' })).toBe(204);
    expect(await get(`/Datastreams(${String(stream)})`)).toMatchObject({ resultType: { label: 'Heat', uom: { code: 'Cel' } } });
    const observation = await create(`/Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: { start: '2026-11-24T05:00:00Z' } });
    expect(await status('PATCH', `/Observations(${String(observation)})`, [{ op: 'replace', path: '/result', value: 3 }], { 'content-type': 'application/json-patch+json' })).toBe(204);
    expect(await get(`/Observations(${String(observation)})/result`)).toMatchObject({ value: 3 });
  });
  requirement('req/api/cud/return_value', async () => {
    const made = await send('POST', '/Things', { name: 'Quiet' });
    expect([made.status, made.text, made.headers['location']]).toEqual([201, '', `${ROOT}/Things(${String(idIn(made.headers['location']))})`]);
    const shown = await send('POST', '/Things', { name: 'Loud' }, { prefer: 'return=representation' });
    expect([shown.status, shown.body['name'], shown.body['@context']]).toEqual([201, 'Loud', `${ROOT}/$metadata#Things/$entity`]);
    const path = `/Things(${String(shown.body['id'])})`;
    expect([await status('PATCH', path, { name: 'Louder' }), (await send('PATCH', path, { name: 'Loudest' }, { prefer: 'return=representation' })).body['name']]).toEqual([204, 'Loudest']);
    expect(await status('DELETE', path)).toBe(204);
  });
  requirement('req/api/cud/update_relations', async () => {
    const stream = await newStream();
    const feature = await create('/Features', { name: 'Kitchen', encodingType: 'text/plain', feature: 'here' });
    const types = [await create('/FeatureTypes', { name: 'Room' }), await create('/FeatureTypes', { name: 'Indoors' }), await create('/FeatureTypes', { name: 'Warm' })].map((id) => `FeatureTypes(${String(id)})`);
    const ultimate = `/Datastreams(${String(stream)})/UltimateFeatureOfInterest`;
    expect([await status('PUT', `${ultimate}/$ref`, { '@id': `Features(${String(feature)})` }), (await get(ultimate))['name'], await list(`/Features(${String(feature)})/DatastreamsUltimate`, 'id')]).toEqual([204, 'Kitchen', [stream]]);
    expect([await status('DELETE', `${ultimate}/$ref`), await status('GET', ultimate), await status('GET', `/Features(${String(feature)})`)]).toEqual([204, 204, 200]);
    const ofFeature = `/Features(${String(feature)})/FeatureTypes`;
    const names = (): Promise<unknown[]> => list(`${ofFeature}?$orderby=id`);
    for (const type of [types[0], types[0], types[1]]) expect(await status('POST', `${ofFeature}/$ref`, { '@id': type })).toBe(204);
    expect(await names()).toEqual(['Room', 'Indoors']);
    expect([await status('PUT', `${ofFeature}/$ref`, { value: [{ '@id': types[0] }, { '@id': types[2] }] }), await names()]).toEqual([204, ['Room', 'Warm']]);
    expect([await status('DELETE', `/Features(${String(feature)})/${types[2] ?? ''}/$ref`), await names()]).toEqual([204, ['Room']]);
    expect([await status('DELETE', `${ofFeature}/$ref?$id=../../${types[0] ?? ''}`), await names()]).toEqual([204, []]);
    await status('PUT', `${ofFeature}/$ref`, { value: types.map((type) => ({ '@id': type })) });
    expect([(await names()).length, await status('DELETE', `${ofFeature}/$ref`), await names()]).toEqual([3, 204, []]);
    // what needs its relation keeps it
    expect((await refusal('DELETE', `/Datastreams(${String(stream)})/Thing/$ref`))[0]).toBe(400);
    expect((await refusal('PUT', `/Datastreams(${String(stream)})/Thing/$ref`, { '@id': 'Sensors(1)' }))[0]).toBe(400);
    expect([await status('PUT', `/Datastreams(${String(stream)})/Thing/$ref`, { '@id': `Things(${String(things[2])})` }), (await get(`/Datastreams(${String(stream)})/Thing`))['name']]).toEqual([204, 'Cedar']);
  });
  requirement('req/api/cud/delete', async () => {
    const thing = await create('/Things', { name: 'Gone', Locations: [{ name: 'Stays', encodingType: 'text/plain', location: 'here' }] });
    const stream = await newStream({ Thing: { '@id': `Things(${String(thing)})` } });
    const observation = await create(`/Datastreams(${String(stream)})/Observations`, { result: 1 });
    expect(await status('DELETE', `/Things(${String(thing)})`)).toBe(204);
    expect([await status('GET', `/Things(${String(thing)})`), await status('GET', `/Datastreams(${String(stream)})`), await status('GET', `/Observations(${String(observation)})`), await list(`/Locations?$filter=name%20eq%20'Stays'`)]).toEqual([404, 404, 404, ['Stays']]);
    const type = await create('/FeatureTypes', { name: 'Gone' });
    const feature = await create('/Features', { name: 'Gone', encodingType: 'text/plain', feature: 'x', FeatureTypes: [{ '@id': `FeatureTypes(${String(type)})` }] });
    expect([await status('DELETE', `/FeatureTypes(${String(type)})`), await status('GET', `/Features(${String(feature)})`), await status('DELETE', `/Features(${String(feature)})`), await status('GET', `/Features(${String(feature)})`)]).toEqual([204, 200, 204, 404]);
    // observations do not depend on their Feature: nothing is deleted unasked
    const [used] = await list(`/Observations?$top=1&$orderby=id&$expand=ProximateFeatureOfInterest`, 'ProximateFeatureOfInterest');
    expect(await status('DELETE', `/Features(${String((used as Json)['id'])})`)).toBe(409);
  });
  requirement('req/api/cud/filtered_delete', async () => {
    const stream = await newStream();
    for (const minute of [1, 2, 3]) await create(`/Datastreams(${String(stream)})/Observations`, { result: minute, phenomenonTime: { start: `2026-11-24T05:0${String(minute)}:00Z` } });
    const path = `/Datastreams(${String(stream)})/Observations`;
    expect([await status('DELETE', path), await status('DELETE', `${path}?$filter=phenomenonTime%20lt%202026-11-24T05:02:30Z`), await list(path, 'result')]).toEqual([400, 200, [3]]);
  });
});

test('batches are taken under this root too, with references', async () => {
  const answer = await send('POST', '/$batch', {
    requests: [
      { id: 't', atomicityGroup: 'g', method: 'POST', url: 'Things', body: { name: 'Batched' } },
      { id: 'l', atomicityGroup: 'g', method: 'POST', url: '$t/Locations', body: { name: 'Batched', encodingType: 'text/plain', location: 'here' } },
      { id: 'h', atomicityGroup: 'g', method: 'POST', url: 'HistoricalLocations', body: { time: '2026-11-24T06:30:00Z', Thing: { '@id': '$t' }, Locations: [{ '@id': '$l' }] } },
      { id: 'r', method: 'GET', url: `Things?$filter=name%20eq%20'Batched'&$expand=Locations&$select=name` },
    ],
  });
  expect([answer.status, (answer.body['responses'] as Json[]).map(({ id, status: code }) => [id, code])]).toEqual([200, [['t', 201], ['l', 201], ['h', 201], ['r', 200]]]);
  expect((answer.body['responses'] as Json[])[3]?.['body']).toMatchObject({ '@context': `${ROOT}/$metadata#Things`, value: [{ name: 'Batched', Locations: [{ name: 'Batched' }] }] });
});

describe('binding/http', () => {
  requirement('req/binding/http/advertisement', async () => {
    expect((await get(''))['serverSettings']).toMatchObject({ [`${SPECIFICATION}req/binding/http`]: { endpoints: [ROOT] } });
  });
  requirement('req/binding/http/request_response', async () => {
    for (const method of ['GET', 'HEAD'] as const) expect([method, await status(method, '/Things'), await status(method, '/Nothing')]).toEqual([method, 200, 404]);
    expect((await send('HEAD', '/Things')).text).toBe('');
    expect([await status('OPTIONS', '/Things'), await status('OPTIONS', '/Nothing')]).toEqual([204, 404]);
    expect(await status('POST', `/Things(${String(things[0])})`, {})).toBe(405);
  });
  test('the service document names the sets, and lists a class or requirement only when all of it is tested', async () => {
    const landing = await get('');
    expect(landing['@context']).toBe(`${ROOT}/$metadata`);
    expect(landing['value']).toEqual(['Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'Sensors', 'ObservedProperties', 'Observations', 'Features', 'FeatureTypes'].map((name) => ({ name, url: `${ROOT}/${name}` })));
    const REQUIREMENTS: Record<string, string[]> = {
      'req-class/datamodel/core': ['thing', 'location', 'historical-location', 'datastream', 'sensor', 'observed-property', 'observation', 'feature', 'feature-type'].map((name) => `req/datamodel/core/${name}`),
      'req-class/api/read': ['paths', ...['precedence', 'select', 'expand', 'top', 'skip', 'count', 'orderby', 'filter', 'format', 'pagination'].map((name) => `options/${name}`)].map((name) => `req/api/read/${name}`),
      'req-class/api/cud': ['advertisement', 'create', 'deep_insert', 'update', 'return_value', 'update_relations', 'delete'].map((name) => `req/api/cud/${name}`),
      'req-class/binding/http': ['req/binding/http/advertisement', 'req/binding/http/request_response'],
    };
    const listed = (landing['serverSettings'] as { conformance: string[] }).conformance.map((uri) => uri.replace(SPECIFICATION, ''));
    expect(listed.flatMap((name) => REQUIREMENTS[name] ?? [name]).filter((name) => !tested.has(name))).toEqual([]);
  });
});
