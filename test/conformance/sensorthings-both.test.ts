import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, LEVEL, LOCATION, openSensorThings, SENSOR, type Answer, type Json, type SensorThingsRig } from '../sensorthings-rig.ts';

// Both versions are two views of the same rows: what came by one is read by the other, to the unit.
const ROOT = 'http://city.test/v2.0';
const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';
const properties = { purpose: 'city-operations' };
let rig: SensorThingsRig;
let property: number;
let pressure: number;
let thing: number;
let sensor: number;

const two = (method: Parameters<SensorThingsRig['send']>[0], path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> => rig.send(method, `${ROOT}${path}`, body, headers);
const get2 = async (path: string): Promise<Json> => {
  const answer = await two('GET', path);
  if (answer.status !== 200) throw new Error(`GET ${path}: ${String(answer.status)} ${answer.text}`);
  return answer.body;
};
const create2 = async (path: string, body: unknown): Promise<number> => {
  const answer = await two('POST', path, body);
  if (answer.status !== 201) throw new Error(`POST ${path}: ${String(answer.status)} ${answer.text}`);
  return Number(/\((\d+)\)$/.exec(answer.headers['location'] ?? '')?.[1]);
};
const value2 = async (path: string): Promise<Json[]> => (await get2(path))['value'] as Json[];
const link = (id: number): Json => ({ '@iot.id': id });
const stream11 = (more: Json): Json => datastream({ Thing: link(thing), Sensor: link(sensor), ObservedProperty: link(property), ...more });
const stream2 = (resultType: Json, more: Json = {}): Json => ({ name: 'Of 2.0', resultType, Thing: { '@id': `Things(${String(thing)})` }, Sensor: { '@id': `Sensors(${String(sensor)})` }, properties, ...more });
const definition = (id: number): string => `ObservedProperties(${String(id)})`;

beforeAll(async () => {
  rig = await openSensorThings();
  thing = await rig.create('/Things', { name: 'Oven', description: 'An oven', Locations: [LOCATION] });
  sensor = await rig.create('/Sensors', SENSOR);
  property = await rig.create('/ObservedProperties', LEVEL);
  pressure = await rig.create('/ObservedProperties', { ...LEVEL, name: 'Pressure', definition: 'http://example.org/pressure' });
});

describe('a Datastream of 1.1', () => {
  const unit = (symbol: string | null, unitDefinition: string | null, name: string | null = null): Json => ({ name, symbol, definition: unitDefinition });
  test.each([
    ['OM_Measurement', unit('°C', 'ucum:Cel', 'degree Celsius'), { type: 'Quantity', uom: { label: 'degree Celsius', symbol: '°C', code: 'Cel' } }],
    ['OM_Measurement', unit('m', 'http://www.opengis.net/def/uom/UCUM/0/m'), { type: 'Quantity', uom: { symbol: 'm', code: 'm' } }],
    ['OM_Measurement', unit('m', 'http://qudt.org/vocab/unit/M'), { type: 'Quantity', uom: { symbol: 'm', href: 'http://qudt.org/vocab/unit/M' } }],
    ['OM_Measurement', unit('%', null), { type: 'Quantity', uom: { symbol: '%', code: '%' } }],
    ['OM_Measurement', unit(null, null), { type: 'Quantity', uom: { code: '1' } }],
    ['OM_CountObservation', unit(null, null), { type: 'Count' }],
    ['OM_TruthObservation', unit(null, null), { type: 'Boolean' }],
    ['OM_CategoryObservation', unit(null, 'http://example.org/codes'), { type: 'Category', codeSpace: 'http://example.org/codes' }],
    ['OM_Observation', unit(null, null), { type: 'Text' }],
    ['OM_Observation', unit('m', 'ucum:m'), { type: 'Quantity', uom: { symbol: 'm', code: 'm' } }],
  ])('of %s in %j has its resultType in 2.0', async (type, unitOfMeasurement, resultType) => {
    const id = await rig.create('/Datastreams', stream11({ observationType: OM + type, unitOfMeasurement }));
    const shown = await get2(`/Datastreams(${String(id)})?$expand=ObservedProperties`);
    expect(shown['resultType']).toEqual({ ...resultType, label: 'Water level', definition: definition(property) });
    expect([shown['resultEncoding'], (shown['ObservedProperties'] as Json[]).map((one) => one['id'])]).toEqual([undefined, [property]]);
    // as it is read, it can be written back, and 1.1 says the same still
    const before = await rig.get(`/Datastreams(${String(id)})`);
    expect((await two('PUT', `/Datastreams(${String(id)})`, await get2(`/Datastreams(${String(id)})`))).status).toBe(204);
    const after = await rig.get(`/Datastreams(${String(id)})`);
    expect([after['observationType'], (await get2(`/Datastreams(${String(id)})`))['resultType']]).toEqual([type === 'OM_Observation' && unitOfMeasurement['symbol'] === 'm' ? `${OM}OM_Measurement` : before['observationType'], shown['resultType']]);
  });

  test('of several elements is a record whose results are lists', async () => {
    const id = await rig.create('/MultiDatastreams', {
      name: 'Weather',
      description: 'Both at once',
      observationType: `${OM}OM_ComplexObservation`,
      multiObservationDataTypes: [`${OM}OM_Measurement`, `${OM}OM_CountObservation`],
      unitOfMeasurements: [unit('m', 'ucum:m', 'metre'), unit(null, null)],
      properties,
      Thing: link(thing),
      Sensor: link(sensor),
      ObservedProperties: [link(pressure), link(property)],
    });
    const shown = await get2(`/Datastreams(${String(id)})?$expand=ObservedProperties`);
    expect(shown['resultType']).toEqual({
      type: 'DataRecord',
      fields: [
        { name: 'element1', type: 'Quantity', label: 'Pressure', definition: definition(pressure), uom: { label: 'metre', symbol: 'm', code: 'm' } },
        { name: 'element2', type: 'Count', label: 'Water level', definition: definition(property) },
      ],
    });
    expect([shown['resultEncoding'], (shown['ObservedProperties'] as Json[]).map((one) => one['id'])]).toEqual([{ type: 'JSONEncoding', recordsAsArrays: true }, [pressure, property]]);
    const observation = await create2(`/Datastreams(${String(id)})/Observations`, '{"result": [1.0, 2], "phenomenonTime": {"start": "2026-11-24T05:00:00Z"}}');
    const named = await create2('/Observations', { result: [3, 4], phenomenonTime: { start: '2026-11-24T05:01:00Z' }, Datastream: { '@id': `Datastreams(${String(id)})` } });
    expect((await rig.send('GET', `/MultiDatastreams(${String(id)})/Observations(${String(observation)})`)).text).toContain('"result":[1.0,2]');
    expect(await rig.list(`/MultiDatastreams(${String(id)})/Observations`, 'result')).toEqual([[1, 2], [3, 4]]);
    expect(await get2(`/Observations(${String(named)})?$expand=Datastream`)).toMatchObject({ result: [3, 4], Datastream: { id, name: 'Weather' } });
    expect((await two('POST', `/Datastreams(${String(id)})/Observations`, { result: { element1: 1, element2: 2 } })).status).toBe(403);
    expect((await two('PATCH', `/Observations(${String(named)})`, { result: [5, 6] })).status).toBe(204);
    expect((await rig.get(`/Observations(${String(named)})`))['result']).toEqual([5, 6]);
    expect((await rig.send('PATCH', `/MultiDatastreams(${String(id)})`, { ObservedProperties: [link(property), link(pressure)] })).status).toBe(200);
    expect(((await get2(`/Datastreams(${String(id)})`))['resultType'] as { fields: Json[] }).fields.map((field) => field['label'])).toEqual(['Water level', 'Pressure']);
    expect((await two('DELETE', `/Datastreams(${String(id)})`)).status).toBe(204);
    expect((await rig.send('GET', `/MultiDatastreams(${String(id)})`)).status).toBe(404);
  });

  test('changes in 2.0 when 1.1 changes it', async () => {
    const id = await create2('/Datastreams', stream2({ type: 'Quantity', label: 'Own label', definition: definition(property), uom: { code: 'Cel' }, constraint: { intervals: [[-40, 60]] } }));
    const typeOf = async (): Promise<Json> => (await get2(`/Datastreams(${String(id)})`))['resultType'] as Json;
    expect(await typeOf()).toMatchObject({ label: 'Own label', constraint: { intervals: [[-40, 60]] } });
    // what 1.1 can not say stays as long as 1.1 says nothing else
    await rig.send('PATCH', `/Datastreams(${String(id)})`, { description: 'told by 1.1' });
    expect(await typeOf()).toMatchObject({ label: 'Own label' });
    await rig.send('PATCH', `/Datastreams(${String(id)})`, { unitOfMeasurement: unit('K', 'ucum:K') });
    expect(await typeOf()).toEqual({ type: 'Quantity', label: 'Water level', definition: definition(property), uom: { symbol: 'K', code: 'K' } });
    expect((await two('PATCH', `/Datastreams(${String(id)})`, { resultType: { type: 'Quantity', label: 'Again', definition: definition(property), uom: { code: 'K' } } })).status).toBe(204);
    await rig.send('PATCH', `/Datastreams(${String(id)})`, { ObservedProperty: link(pressure) });
    expect([(await typeOf())['label'], (await typeOf())['definition'], (await value2(`/Datastreams(${String(id)})/ObservedProperties`)).map((one) => one['id'])]).toEqual(['Pressure', definition(pressure), [pressure]]);
    expect(await value2(`/ObservedProperties(${String(pressure)})/Datastreams?$filter=id%20eq%20${String(id)}`)).toHaveLength(1);
  });
});

describe('a Datastream of 2.0', () => {
  test.each([
    [{ type: 'Quantity', label: 'T', uom: { code: 'Cel', label: 'degree Celsius', symbol: '°C' } }, 'OM_Measurement', { name: 'degree Celsius', symbol: '°C', definition: 'http://www.opengis.net/def/uom/UCUM/0/Cel' }, 21.5, 'warm'],
    [{ type: 'Quantity', label: 'T', uom: { href: 'http://qudt.org/vocab/unit/M' } }, 'OM_Measurement', { name: null, symbol: null, definition: 'http://qudt.org/vocab/unit/M' }, 0, null],
    [{ type: 'Count', label: 'N' }, 'OM_CountObservation', { name: null, symbol: null, definition: null }, 7, 7.5],
    [{ type: 'Boolean', label: 'On' }, 'OM_TruthObservation', { name: null, symbol: null, definition: null }, false, 0],
    [{ type: 'Category', label: 'Period', codeSpace: 'http://example.org/periods' }, 'OM_CategoryObservation', { name: null, symbol: null, definition: 'http://example.org/periods' }, 'jurassic', 5],
    [{ type: 'Text', label: 'Note' }, 'OM_Observation', { name: null, symbol: null, definition: null }, '', 0],
    [{ type: 'DataRecord', fields: [{ name: 'a', type: 'Text', label: 'A', definition: 'own' }, { name: 'b', type: 'Count', label: 'B', definition: 'own' }] }, 'OM_Observation', { name: null, symbol: null, definition: null }, { a: 'x', b: 0 }, { a: 'x', b: 0.5 }],
    [{ type: 'Quantity', label: 'T', uom: { code: 'Cel' }, constraint: { intervals: [[-40, 60]] } }, 'OM_Measurement', { name: null, symbol: 'Cel', definition: 'http://www.opengis.net/def/uom/UCUM/0/Cel' }, 60, 61],
  ])('of %j is a Datastream of 1.1 that takes the same results', async (component, type, unitOfMeasurement, good, bad) => {
    const resultType = 'fields' in component ? { ...component, fields: component.fields?.map((field) => ({ ...field, definition: definition(property) })) } : { ...component, definition: definition(property) };
    const id = await create2('/Datastreams', stream2(resultType));
    expect(await get2(`/Datastreams(${String(id)})`)).toMatchObject({ resultType });
    expect(await rig.get(`/Datastreams(${String(id)})?$expand=ObservedProperty`)).toMatchObject({ name: 'Of 2.0', description: '', observationType: OM + type, unitOfMeasurement, ObservedProperty: { '@iot.id': property } });
    const observation = await create2(`/Datastreams(${String(id)})/Observations`, { result: good, phenomenonTime: { start: '2026-11-24T05:00:00Z' } });
    expect((await rig.get(`/Observations(${String(observation)})`))['result']).toEqual(good);
    await rig.create(`/Datastreams(${String(id)})/Observations`, { result: good, phenomenonTime: '2026-11-24T05:01:00Z' });
    expect((await value2(`/Datastreams(${String(id)})/Observations`)).map((one) => [one['phenomenonTime'], one['result']])).toEqual([0, 1].map((minute) => [{ start: `2026-11-24T05:0${String(minute)}:00.000Z` }, good]));
    for (const at of ['/v1.1', '/v2.0']) expect([at, (await rig.send('POST', `http://city.test${at}/Datastreams(${String(id)})/Observations`, { result: bad })).status]).toEqual([at, 403]);
  });

  test('of a record of scalars with results as lists is a MultiDatastream', async () => {
    const fields = [{ name: 'temp', type: 'Quantity', label: 'Temperature', definition: definition(property), uom: { code: 'Cel' } }, { name: 'on', type: 'Boolean', label: 'On', definition: definition(pressure) }];
    const id = await create2('/Datastreams', stream2({ type: 'DataRecord', fields }, { resultEncoding: { type: 'JSONEncoding', recordsAsArrays: true } }));
    expect((await rig.send('GET', `/Datastreams(${String(id)})`)).status).toBe(404);
    expect(await rig.get(`/MultiDatastreams(${String(id)})?$expand=ObservedProperties`)).toMatchObject({
      multiObservationDataTypes: [`${OM}OM_Measurement`, `${OM}OM_TruthObservation`],
      unitOfMeasurements: [{ name: null, symbol: 'Cel', definition: 'http://www.opengis.net/def/uom/UCUM/0/Cel' }, { name: null, symbol: null, definition: null }],
      ObservedProperties: [{ '@iot.id': property }, { '@iot.id': pressure }],
    });
    await rig.create(`/MultiDatastreams(${String(id)})/Observations`, { result: [1.5, false], phenomenonTime: '2026-11-24T05:00:00Z' });
    expect(await value2(`/Datastreams(${String(id)})/Observations`)).toMatchObject([{ result: [1.5, false] }]);
    expect(await get2(`/Datastreams(${String(id)})`)).toMatchObject({ resultType: { fields }, resultEncoding: { recordsAsArrays: true } });
  });

  test('of a record is what 1.1 says once 1.1 has changed it', async () => {
    const fields = [{ name: 'a', type: 'Text', label: 'A', definition: definition(property) }, { name: 'b', type: 'Count', label: 'B', definition: definition(pressure) }];
    const shown = async (id: number): Promise<unknown[]> => {
      const one = await get2(`/Datastreams(${String(id)})?$expand=ObservedProperties`);
      return [(one['resultType'] as Json)['type'], (one['resultType'] as Json)['definition'], (one['ObservedProperties'] as Json[]).map((link2) => link2['id'])];
    };
    for (const [change, kind, kept] of [[{ ObservedProperty: link(pressure) }, 'Text', pressure], [{ unitOfMeasurement: { name: null, symbol: 'm', definition: null } }, 'Quantity', property]] as const) {
      const id = await create2('/Datastreams', stream2({ type: 'DataRecord', fields }));
      expect(await shown(id)).toEqual(['DataRecord', undefined, [property, pressure]]);
      expect((await rig.send('PATCH', `/Datastreams(${String(id)})`, { name: 'Renamed' })).status).toBe(200);
      expect(await shown(id)).toEqual(['DataRecord', undefined, [property, pressure]]);
      expect((await rig.send('PATCH', `/Datastreams(${String(id)})`, change)).status).toBe(200);
      expect(await shown(id)).toEqual([kind, definition(kept), [kept]]);
      // and 2.0 may say it again, in another order
      expect((await two('PATCH', `/Datastreams(${String(id)})`, { resultType: { type: 'DataRecord', fields: fields.toReversed() } })).status).toBe(204);
      expect(await shown(id)).toEqual(['DataRecord', undefined, [pressure, property]]);
      expect((await two('PATCH', `/Datastreams(${String(id)})`, { resultType: { type: 'DataRecord', fields } })).status).toBe(204);
      expect(await shown(id)).toEqual(['DataRecord', undefined, [property, pressure]]);
    }
  });

  test('finds its ObservedProperties by their definition and name too', async () => {
    const twin = await rig.create('/ObservedProperties', { ...LEVEL, name: 'Twin' });
    const of = (label: string, uri: string): Promise<Answer> => two('POST', '/Datastreams', stream2({ type: 'Count', label, definition: uri }));
    const propertiesOf = async (answer: Answer): Promise<unknown[]> => (await value2(`/${String(answer.headers['location']).split('/').at(-1) ?? ''}/ObservedProperties`)).map((one) => one['id']);
    expect(await propertiesOf(await of('Anything', 'http://example.org/pressure'))).toEqual([pressure]);
    expect(await propertiesOf(await of('Twin', LEVEL.definition))).toEqual([twin]);
    expect(await propertiesOf(await of('x', `${ROOT}/ObservedProperties(${String(twin)})`))).toEqual([twin]);
    for (const [label, uri] of [['x', LEVEL.definition], ['x', 'http://example.org/unknown'], ['x', 'Sensors(1)']] as const) expect([uri, (await of(label, uri)).status]).toEqual([uri, 400]);
  });
});

describe('everything else', () => {
  test('of 1.1 is read by 2.0, and the other way round', async () => {
    const feature = await create2('/Features', { name: 'Sample', definition: 'http://example.org/sample', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [1, 2] }, FeatureTypes: [{ name: 'Water sample' }] });
    expect(await rig.get(`/FeaturesOfInterest(${String(feature)})`)).toMatchObject({ name: 'Sample', description: '', feature: { type: 'Point', coordinates: [1, 2] } });
    const id = await rig.create('/Datastreams', stream11({ properties: { ...properties, parameters: ['depth_m'] } }));
    const observation = await create2(`/Datastreams(${String(id)})/Observations`, { result: 0, phenomenonTime: { start: '2026-11-24T04:00:00Z', end: '2026-11-24T05:00:00Z' }, resultTime: '2026-11-24T05:00:01Z', validTime: { start: '2026-11-24T05:00:00Z', end: '2026-11-25T05:00:00Z' }, properties: { depth_m: 3 }, resultQuality: 'good', ProximateFeatureOfInterest: { '@id': `Features(${String(feature)})` } });
    const of11 = await rig.get(`/Observations(${String(observation)})?$expand=FeatureOfInterest`);
    expect(of11).toMatchObject({ result: 0, phenomenonTime: '2026-11-24T04:00:00.000Z/2026-11-24T05:00:00.000Z', resultTime: '2026-11-24T05:00:01.000Z', validTime: '2026-11-24T05:00:00Z/2026-11-25T05:00:00Z', parameters: { depth_m: 3 }, resultQuality: 'good', FeatureOfInterest: { '@iot.id': feature } });
    expect(await get2(`/Observations(${String(observation)})?$expand=ProximateFeatureOfInterest`)).toMatchObject({ properties: { depth_m: 3 }, resultQuality: 'good', validTime: { start: '2026-11-24T05:00:00Z', end: '2026-11-25T05:00:00Z' }, ProximateFeatureOfInterest: { id: feature } });
    expect((await value2(`/Features(${String(feature)})/Observations`)).map((one) => one['id'])).toEqual([observation]);
    // the feature that 1.1 makes of the Location is the proximate one of the Datastream
    await rig.create(`/Datastreams(${String(id)})/Observations`, { result: 1, phenomenonTime: '2026-11-24T05:30:00Z' });
    const made = (await rig.get(`/Datastreams(${String(id)})/Observations?$orderby=phenomenonTime%20desc&$top=1&$expand=FeatureOfInterest`))['value'] as Json[];
    expect((await get2(`/Datastreams(${String(id)})?$expand=ProximateFeatureOfInterest`))['ProximateFeatureOfInterest']).toMatchObject({ id: (made[0]?.['FeatureOfInterest'] as Json)['@iot.id'], feature: LOCATION.location });
    // another proximate feature is for later readings; earlier ones keep theirs
    rig.clock.advance(60_000);
    expect((await two('PATCH', `/Datastreams(${String(id)})`, { ProximateFeatureOfInterest: { '@id': `Features(${String(feature)})` } })).status).toBe(204);
    rig.clock.advance(60_000);
    await rig.create(`/Datastreams(${String(id)})/Observations`, { result: 2, phenomenonTime: '2026-11-24T05:45:00Z' });
    const features = (await rig.get(`/Datastreams(${String(id)})/Observations?$orderby=phenomenonTime&$expand=FeatureOfInterest&$filter=result%20ge%201`))['value'] as Json[];
    expect(features.map((one) => (one['FeatureOfInterest'] as Json)['name'])).toEqual([LOCATION.name, 'Sample']);
    expect(await rig.get(`/Things(${String(thing)})`)).toMatchObject({ name: 'Oven' });
    expect((await two('PATCH', `/Things(${String(thing)})`, { definition: 'http://example.org/oven' })).status).toBe(204);
    expect((await rig.send('PUT', `/Things(${String(thing)})`, { name: 'Oven', description: 'Told by 1.1' })).status).toBe(200);
    expect(await get2(`/Things(${String(thing)})`)).toMatchObject({ definition: 'http://example.org/oven', description: 'Told by 1.1' });
  });

  test.each(['0', 'false', '""', '-0.0', '1e-300', 'null', '{"a":[]}', '[1,"x"]', '12345678901234567890', '1.0'])('the result %s is the same in both', async (text) => {
    const id = await rig.create('/Datastreams', stream11({}));
    const observation = await create2(`/Datastreams(${String(id)})/Observations`, `{"result":${text},"phenomenonTime":{"start":"2026-11-24T05:00:00Z"}}`);
    for (const at of ['v1.1', 'v2.0']) expect((await rig.send('GET', `http://city.test/${at}/Observations(${String(observation)})`)).text).toContain(`"result":${text}`);
  });

  test('both count the same', async () => {
    const [streams, multis] = [(await rig.get('/Datastreams?$count=true&$top=0'))['@iot.count'] as number, (await rig.get('/MultiDatastreams?$count=true&$top=0'))['@iot.count'] as number];
    expect([(await get2('/Datastreams?$count=true&$top=0'))['@count'], multis > 0]).toEqual([streams + multis, true]);
    for (const [set1, set2] of [['Things', 'Things'], ['Observations', 'Observations'], ['FeaturesOfInterest', 'Features'], ['Sensors', 'Sensors']] as const) {
      expect([set2, (await get2(`/${set2}?$count=true&$top=0`))['@count']]).toEqual([set2, (await rig.get(`/${set1}?$count=true&$top=0`))['@iot.count']]);
    }
  });
});
