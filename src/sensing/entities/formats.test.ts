import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, FULL_THING, LEVEL, LOCATION, openSensorThings, SENSOR, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

let rig: SensorThingsRig;

beforeAll(async () => {
  rig = await openSensorThings();
  await rig.create('/Things', { ...FULL_THING, name: 'Gauge, "old"', properties: { kind: 'river_gauge', owner: { name: 'City\nworks', tags: ['a', 'b'] } } });
  await rig.create('/Things', { name: 'Bench', description: '=1+1', properties: { kind: 'bench' }, Datastreams: [datastream({ name: 'Use', unitOfMeasurement: { name: 'metre', symbol: 'cm', definition: null }, Sensor: SENSOR, ObservedProperty: LEVEL })] });
  await rig.create('/Things', { name: 'Bench', description: 'other', properties: { kind: 'bench' } });
  await rig.create('/Locations', { ...LOCATION, name: 'Park', location: { type: 'Feature', properties: {}, geometry: { type: 'LineString', coordinates: [[11, 48], [12, 48]] } } });
  await rig.create('/Locations', { ...LOCATION, name: 'Text', encodingType: 'text/plain', location: 'behind the station' });
  for (const [at, result] of ['1.0', '0', 'null', '""', '{"a":1}', '12345678901234567890'].entries()) await rig.send('POST', '/Datastreams(1)/Observations', `{"result":${result},"phenomenonTime":"2026-11-24T05:0${String(at)}:00Z"}`);
});

/** A small reader of RFC 4180, so that the writer is not checked by itself. */
function readCsv(text: string): Record<string, string>[] {
  const lines: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    lines.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\r\n') lines.push([]);
  }
  const [header = [], ...rows] = lines.slice(0, -1);
  return rows.map((row) => Object.fromEntries(header.map((name, at) => [name, row[at] ?? ''])));
}

describe('$resultFormat=CSV', () => {
  test('has a line an entity, with parts and expanded entities as columns', async () => {
    const answer = await rig.send('GET', '/Things?$resultFormat=CSV&$expand=Locations,Datastreams($expand=Sensor($select=name);$select=name)&$orderby=id');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toContain('text/csv');
    const rows = readCsv(answer.text);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toMatchObject({ '@iot.id': '1', name: 'Gauge, "old"', 'properties/owner/name': 'City\nworks', 'properties/owner/tags': '["a","b"]', 'Locations/0/name': 'Bridge', 'Locations/0/location': '{"type":"Point","coordinates":[11.57,48.14]}', 'Datastreams/0/Sensor/name': 'Radar' });
    expect(rows[1]).toMatchObject({ name: 'Bench', description: '=1+1', 'Locations/0/name': '' });
    expect(Object.keys(rows[0] ?? {}).filter((name) => /Link|count/i.test(name))).toEqual([]);
  });

  test('keeps results as they were sent, and tells a text from nothing no more than CSV can', async () => {
    const rows = readCsv((await rig.send('GET', '/Observations?$resultFormat=CSV&$select=result,phenomenonTime&$orderby=id')).text);
    expect(rows.map((row) => row['result'])).toEqual(['1.0', '0', '', '', '', '12345678901234567890']);
    expect(rows[4]?.['result/a']).toBe('1');
  });

  test('pages by a header, and the pages make up the whole', async () => {
    const names: string[] = [];
    let next: string | undefined = '/Observations?$resultFormat=CSV&$top=4&$select=id';
    while (next !== undefined) {
      const answer = await rig.send('GET', next);
      names.push(...readCsv(answer.text).map((row) => row['@iot.id'] ?? ''));
      next = /<(.+)>; rel="next"/.exec(answer.headers['link'] ?? '')?.[1];
    }
    expect(names).toHaveLength(6);
    expect(new Set(names).size).toBe(6);
  });

  test('of nothing is an empty line', async () => {
    expect((await rig.send('GET', "/Things?$resultFormat=CSV&$filter=name eq 'none'".replaceAll(' ', '%20'))).text).toBe('\r\n');
  });
});

describe('$resultFormat=GeoJSON', () => {
  test('is a FeatureCollection with flat properties', async () => {
    const answer = await rig.send('GET', '/Locations?$resultFormat=GeoJSON&$orderby=id&$count=true');
    expect(answer.headers['content-type']).toContain('application/geo+json');
    const collection = JSON.parse(answer.text) as { type: string; '@iot.count': number; features: { type: string; geometry: Json | null; properties: Json }[] };
    expect([collection.type, collection['@iot.count']]).toEqual(['FeatureCollection', 3]);
    expect(collection.features.map(({ geometry }) => geometry?.['type'] ?? null)).toEqual(['Point', 'LineString', null]);
    expect(collection.features[0]?.properties).toMatchObject({ '@iot.id': 1, name: 'Bridge' });
    expect(collection.features[0]?.properties).not.toHaveProperty('location');
  });

  test('takes the geometry of what is expanded', async () => {
    const collection = JSON.parse((await rig.send('GET', '/Things?$resultFormat=GeoJSON&$expand=Locations&$orderby=id')).text) as { features: { geometry: Json | null; properties: Json }[] };
    expect(collection.features.map(({ geometry }) => geometry)).toEqual([{ type: 'Point', coordinates: [11.57, 48.14] }, null, null]);
    expect(collection.features[0]?.properties).toMatchObject({ 'Locations/0/name': 'Bridge', 'properties/kind': 'river_gauge' });
    const observations = JSON.parse((await rig.send('GET', '/Observations?$resultFormat=GeoJSON&$expand=FeatureOfInterest&$top=1')).text) as { features: { geometry: Json; properties: Json }[] };
    expect(observations.features[0]?.geometry).toEqual({ type: 'Point', coordinates: [11.57, 48.14] });
  });
});

describe('a form that is not there', () => {
  test.each([
    ['/Sensors?$resultFormat=GeoJSON', '$resultFormat', 'no geometry'],
    ['/Things?$resultFormat=XML', '$resultFormat', 'one of'],
    ['/Things?$resultFormat=dataArray', '$resultFormat', 'Observations'],
    ['/Observations?$resultFormat=dataArray&$expand=Datastream', '$resultFormat', '$expand'],
    ['/Observations?$resultFormat=dataArray&$select=parameters/a', '$select', 'whole'],
    ['/Things(1)?$resultFormat=CSV', '$resultFormat', 'single'],
    ['/Things(1)/Datastreams/$ref?$resultFormat=CSV', '$resultFormat', 'JSON only'],
    ['/Things?$expand=Datastreams($resultFormat=CSV)', '$resultFormat', 'top only'],
    ['/Things?$resultMetadata=some', '$resultMetadata', 'one of'],
    ['/Things?$select=distinct:name&$expand=Datastreams', '$expand', 'no entities'],
    ['/Things?$select=distinct:name&$orderby=description', '$orderby', 'selected'],
    ['/Things?$select=distinct:name&$resultFormat=GeoJSON', '$resultFormat', 'JSON or CSV'],
    ['/Things?$select=distinct:nosuch', '$select', 'no property'],
    ['/Things?$select=distinct:Datastreams', '$select', 'takes properties'],
    ['/Things(1)?$select=distinct:name', '$select', 'sets'],
    ['/Things?$select=name/first', '$select', 'no parts'],
    ['/Things?$select=properties//a', '$select', 'missing'],
    ['/Things/$count?$top=1', '$top', '$filter only'],
  ])('%s is a 400 that names %s', async (address, option, word) => {
    const answer = await rig.send('GET', address);
    expect([answer.status, (answer.body['error'] as Json)['field']]).toEqual([400, option]);
    expect(answer.body['message']).toContain(word);
  });
});

describe('parts of an entity', () => {
  test('$select takes parts of properties', async () => {
    expect((await rig.get('/Things(1)?$select=properties/owner/name,properties/kind')).properties).toEqual({ kind: 'river_gauge', owner: { name: 'City\nworks' } });
    expect((await rig.get('/Things(1)?$select=properties/nothing')).properties).toEqual({});
    expect((await rig.get('/Things(1)?$select=properties/owner,properties/owner/name')).properties).toEqual({ owner: { name: 'City\nworks', tags: ['a', 'b'] } });
    expect(await rig.list('/Datastreams?$select=unitOfMeasurement/symbol&$orderby=id', 'unitOfMeasurement')).toEqual([{ symbol: 'm' }, { symbol: 'cm' }]);
    expect((await rig.get('/Locations(1)?$select=location/type')).location).toEqual({ type: 'Point' });
    expect(((await rig.get('/Things(1)?$expand=Datastreams($select=unitOfMeasurement/name)'))['Datastreams'] as Json[])[0]?.['unitOfMeasurement']).toEqual({ name: 'metre' });
  });

  test('$select=distinct: answers the different combinations, in order and by pages', async () => {
    expect((await rig.get('/Datastreams?$select=distinct:unitOfMeasurement/name'))['value']).toEqual([{ unitOfMeasurement: { name: 'metre' } }]);
    expect((await rig.get('/Things?$select=distinct:name,properties/kind&$count=true'))).toMatchObject({ '@iot.count': 2, value: [{ name: 'Bench', properties: { kind: 'bench' } }, { name: 'Gauge, "old"', properties: { kind: 'river_gauge' } }] });
    expect((await rig.get('/Things?$select=distinct:name&$orderby=name%20desc&$filter=id%20gt%201'))['value']).toEqual([{ name: 'Bench' }]);
    const first = await rig.get('/Observations?$select=distinct:phenomenonTime&$top=4&$orderby=phenomenonTime%20desc');
    expect((first['value'] as Json[])[0]).toEqual({ phenomenonTime: '2026-11-24T05:05:00.000Z' });
    const second = await rig.get(String(first['@iot.nextLink']));
    expect([...(first['value'] as Json[]), ...(second['value'] as Json[])]).toHaveLength(6);
    expect((await rig.send('GET', '/Things?$select=distinct:name&$resultFormat=CSV')).text).toBe('name\r\nBench\r\n"Gauge, ""old"""\r\n');
    expect((await rig.get('/Datastreams(1)/Observations?$select=distinct:result'))['value']).toHaveLength(6);
    expect((await rig.get('/Things?$select=distinct:id'))['value']).toEqual([{ '@iot.id': 1 }, { '@iot.id': 2 }, { '@iot.id': 3 }]);
  });

  test('a bare count is a number as text', async () => {
    const answer = await rig.send('GET', '/Things/$count');
    expect([answer.status, answer.text]).toEqual([200, '3']);
    expect(answer.headers['content-type']).toContain('text/plain');
    expect((await rig.send('GET', '/Things(1)/Datastreams/$count')).text).toBe('1');
    expect((await rig.send('GET', "/Things/$count?$filter=name%20eq%20'Bench'")).text).toBe('2');
    expect((await rig.send('GET', '/Observations/$count')).text).toBe('6');
    expect((await rig.send('POST', '/Things/$count', {})).status).toBe(405);
  });

  test('$resultMetadata leaves control information out', async () => {
    const shown = async (level: string): Promise<string[]> => {
      const page = await rig.get(`/Things?$resultMetadata=${level}&$top=1&$count=true&$expand=Datastreams($count=true;$top=1)&$select=name,Datastreams,Locations,id`);
      const [thing] = page['value'] as Json[];
      const [stream] = thing?.['Datastreams'] as Json[];
      return [...Object.keys(page), ...Object.keys(thing ?? {}), ...Object.keys(stream ?? {})].filter((name) => name.includes('@')).sort();
    };
    expect(await shown('full')).toEqual(['@iot.count', '@iot.id', '@iot.id', '@iot.nextLink', '@iot.selfLink', 'Datastreams@iot.count', 'Locations@iot.navigationLink', 'Observations@iot.navigationLink', 'ObservedProperty@iot.navigationLink', 'Sensor@iot.navigationLink', 'Thing@iot.navigationLink']);
    expect(await shown('minimal')).toEqual(['@iot.count', '@iot.id', '@iot.id', '@iot.nextLink', 'Datastreams@iot.count']);
    expect(await shown('none')).toEqual(['@iot.count', '@iot.nextLink', 'Datastreams@iot.count']);
    expect(Object.keys(await rig.get('/Things(1)?$resultMetadata=none&$select=name,id'))).toEqual(['name']);
  });
});
