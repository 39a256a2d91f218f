import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { openSensorThings, type SensorThingsRig } from '../sensorthings-rig.ts';

// Whatever is sent to /v2.0: an answer, never a 5xx but for what is not built (501), and a message that names a place.
const ROOT = 'http://city.test/v2.0';
const RUNS = 700;
let rig: SensorThingsRig;

beforeAll(async () => {
  rig = await openSensorThings();
  const thing = { name: 'T', Locations: [{ name: 'L', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [1, 2] } }], Datastreams: [{ name: 'D', resultType: { type: 'Quantity', label: 'l', definition: 'http://example.org/p', uom: { code: 'm' } }, ObservedProperties: [{ name: 'P', definition: 'http://example.org/p' }], Sensor: { name: 'S' }, UltimateFeatureOfInterest: { name: 'F', encodingType: 'text/plain', feature: 'x', FeatureTypes: [{ name: 'Y' }] }, properties: { purpose: 'city-operations' }, Observations: [{ result: 1 }] }] };
  expect((await rig.send('POST', `${ROOT}/Things`, thing)).status).toBe(201);
});

const sets = fc.constantFrom('Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'Sensors', 'ObservedProperties', 'Observations', 'Features', 'FeatureTypes', 'MultiDatastreams', '$metadata', '$batch');
const names = fc.constantFrom('name', 'definition', 'description', 'properties', 'encodingType', 'location', 'feature', 'metadata', 'time', 'resultType', 'resultEncoding', 'phenomenonTime', 'validTime', 'resultTime', 'result', 'Thing', 'Things', 'Sensor', 'Datastream', 'Datastreams', 'DatastreamsUltimate', 'Locations', 'ObservedProperties', 'Observations', 'ProximateFeatureOfInterest', 'UltimateFeatureOfInterest', 'FeatureTypes', 'Features', 'id', '@id', '@context', '__proto__', 'toString');
const atoms = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('Things(1)', 'Features(1)', 'ObservedProperties(1)', 'http://example.org/p', '2026-11-24T06:00:00Z', 'application/geo+json', { id: 1 }, { '@id': 'Things(1)' }, { '@id': 'Sensors(1)' }, { start: '2026-11-24T06:00:00Z' }, { type: 'Quantity', label: 'l', definition: 'ObservedProperties(1)', uom: { code: 'm' } }, { type: 'DataRecord', fields: [] }, { purpose: 'city-operations' }, null, [], {}));
const bodies = fc.letrec<{ body: unknown }>((tie) => ({ body: fc.oneof({ maxDepth: 3, depthSize: 'small' }, atoms, fc.dictionary(names, fc.oneof(atoms, tie('body'), fc.array(tie('body'), { maxLength: 2 })), { maxKeys: 6 })) })).body;
const steps = fc.oneof(sets.map((set) => set), fc.tuple(sets, fc.integer({ min: 0, max: 3 })).map(([set, id]) => `${set}(${String(id)})`), fc.tuple(sets, fc.integer({ min: 1, max: 2 }), fc.oneof(names, fc.constantFrom('$ref', '$value', '$count', '$ref/$value', 'name/$value'))).map(([set, id, rest]) => `${set}(${String(id)})/${rest}`), fc.tuple(sets, names).map(([set, relation]) => `${set}(1)/${relation}/$ref`));
const options = fc.constantFrom('', '?$format=json', '?$format=xml', '?$format=application/json;metadata=none', '?$format=%zz', '?$select=distinct:name', '?$select=@id,id', '?$expand=Datastreams', '?$filter=phenomenonTime/start%20gt%20now()', '?$filter=resultType/type%20eq%201', '?$filter=true', '?$id=../../FeatureTypes(1)', '?$resultFormat=dataArray', '?$resultFormat=CSV', '?$orderby=resultType', '?dryRun=true&$filter=true');

const check = async (method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: unknown, headers?: Record<string, string>): Promise<void> => {
  const { status, text } = await rig.send(method, `${ROOT}/${path}`, body, headers);
  expect(status < 500 || status === 501, `${method} ${path} ${JSON.stringify(body)}: ${String(status)} ${text}`).toBe(true);
  if (status >= 400) expect(JSON.parse(text)).toMatchObject({ message: expect.any(String), error: { code: expect.any(String) } });
};

test('reading any address with any option', async () => {
  await fc.assert(fc.asyncProperty(steps, options, (path, option) => check('GET', `${path}${option}`)), { numRuns: RUNS });
});

test('writing any body to any address', async () => {
  await fc.assert(fc.asyncProperty(fc.constantFrom('POST', 'PATCH', 'PUT'), steps, bodies, (method, path, body) => check(method, path, body)), { numRuns: RUNS });
});

test('patching with any operations, and unlinking anything', async () => {
  const operation = fc.record({ op: fc.constantFrom('add', 'remove', 'replace', 'test', 'move'), path: fc.oneof(names.map((name) => `/${name}`), fc.string({ maxLength: 5 })), value: bodies, from: names.map((name) => `/${name}`) });
  await fc.assert(fc.asyncProperty(steps, fc.array(operation, { maxLength: 3 }), (path, patch) => check('PATCH', path, patch, { 'content-type': 'application/json-patch+json' })), { numRuns: RUNS / 2 });
  await fc.assert(fc.asyncProperty(fc.tuple(sets, names, fc.constantFrom('/$ref', '(1)/$ref', '/$ref?$id=FeatureTypes(1)')).map(([set, name, end]) => `${set}(1)/${name}${end}`), (path) => check('DELETE', path)), { numRuns: RUNS / 4 });
});
