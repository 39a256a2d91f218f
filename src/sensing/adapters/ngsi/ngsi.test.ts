import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { Refused } from '../../../kernel/index.ts';
import type { SourceBatch } from '../adapter.ts';
import { NgsiOptions, createNgsi } from './ngsi.ts';

const adapter = createNgsi();
const RECEIVED = Date.parse('2026-11-24T06:00:00Z');

async function read(document: unknown, options: unknown = {}): Promise<SourceBatch> {
  if (adapter.push === undefined) throw new Error('ngsi is pushed');
  return adapter.push.read(NgsiOptions.parse(options), { contentType: 'application/json', body: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), topic: null, receivedMs: RECEIVED });
}
const plain = ({ readings }: SourceBatch): unknown[] => readings.map(({ seriesKey, phenomenonTime, result }) => [seriesKey, phenomenonTime, result]);

test('one entity says the same in NGSI-v2 and NGSI-LD, normalized, concise and as key-values', async () => {
  const at = '2026-11-24T05:00:00Z';
  const location = { type: 'Point', coordinates: [7.6, 51.9] };
  const normalizedLd = { id: 'urn:ngsi-ld:AirQualityObserved:ms-1', type: 'AirQualityObserved', temperature: { type: 'Property', value: 3.5, unitCode: 'CEL', observedAt: at }, no2: { type: 'Property', value: 0.04, unitCode: 'GP', observedAt: at }, airQualityLevel: { type: 'Property', value: 'very poor', observedAt: at }, location: { type: 'GeoProperty', value: location } };
  const expected = [
    ['AirQualityObserved:ms-1/temperature', '2026-11-24T05:00:00.000Z', 3.5],
    ['AirQualityObserved:ms-1/no2', '2026-11-24T05:00:00.000Z', 40],
    ['AirQualityObserved:ms-1/air-quality-level', '2026-11-24T05:00:00.000Z', 'verypoor'],
  ];
  const ld = await read({ id: 'urn:ngsi-ld:Notification:1', type: 'Notification', subscriptionId: 'urn:ngsi-ld:Subscription:1', notifiedAt: at, data: [normalizedLd] });
  expect(plain(ld)).toEqual(expected);
  expect(ld.places).toEqual([{ key: 'AirQualityObserved:ms-1', name: 'Air quality ms-1', kind: 'air-station', geometry: location }]);
  expect(ld.series[1]).toMatchObject({ unit: { symbol: 'µg/m³' }, observationType: 'OM_Measurement', min: 0 });
  const v2 = { id: 'AirQualityObserved:ms-1', type: 'AirQualityObserved', temperature: { type: 'Number', value: 38.3, metadata: { unitCode: { value: 'FAH' }, timestamp: { type: 'DateTime', value: at } } }, no2: { type: 'Number', value: 40, metadata: { unitCode: { type: 'Text', value: 'GQ' } } }, airQualityLevel: { type: 'Text', value: 'Very_Poor', metadata: {} }, dateObserved: { type: 'DateTime', value: at, metadata: {} }, location: { type: 'geo:point', value: '51.9, 7.6', metadata: {} } };
  const fromV2 = await read({ subscriptionId: '5aeb0ee97d4ef10a12a0262f', data: [v2] });
  expect(plain(fromV2)).toEqual(expected);
  expect(fromV2.places).toEqual(ld.places);
  const keyValues = { id: 'AirQualityObserved:ms-1', type: 'AirQualityObserved', temperature: 3.5, no2: 40, airQualityLevel: 'very poor', dateObserved: at, location };
  expect(plain(await read(keyValues, { units: { no2: 'GQ' } }))).toEqual(expected);
  expect(plain(await read([keyValues], { units: { no2: 'GQ' } }))).toEqual(expected);
  const concise = { ...normalizedLd, temperature: { value: 3.5, unitCode: 'CEL', observedAt: at }, no2: { value: 40, unitCode: 'GQ', observedAt: at }, airQualityLevel: { value: 'very poor', observedAt: at }, location };
  expect(plain(await read(concise))).toEqual(expected);
  const expanded = { id: 'urn:ngsi-ld:AirQualityObserved:ms-1', type: ['https://smartdatamodels.org/dataModel.Environment/AirQualityObserved'], 'https://smartdatamodels.org/temperature': [{ type: 'Property', value: 3.5, observedAt: at }, { type: 'Property', value: 9, observedAt: at, datasetId: 'urn:x:other' }], '@context': 'https://never.fetched.example/' };
  expect(plain(await read(expanded))).toEqual(expected.slice(0, 1));
  expect(plain(await read({ metadata: {}, body: { type: 'Notification', data: [normalizedLd] } }))).toEqual(expected);
});

test('times: of the attribute, of the entity, spans, local ones with a zone only', async () => {
  const weather = (more: object): object => ({ id: 'w', type: 'WeatherObserved', temperature: 1, ...more });
  const timeOf = async (more: object, options = {}): Promise<unknown> => {
    const batch = await read(weather(more), options);
    return batch.readings[0]?.phenomenonTime ?? batch.refusals[0]?.refusal.code;
  };
  expect(await timeOf({})).toBe('2026-11-24T06:00:00.000Z');
  expect(await timeOf({ dateObserved: '2026-11-24T05:00:00+01:00' })).toBe('2026-11-24T04:00:00.000Z');
  expect(await timeOf({ dateObserved: '2026-11-24T05:00:00Z/2026-11-24T05:30:00Z' })).toBe('2026-11-24T05:00:00.000Z/2026-11-24T05:30:00.000Z');
  expect(await timeOf({ dateObservedFrom: '2026-11-24T05:00:00Z', dateObservedTo: '2026-11-24T05:30:00Z' })).toBe('2026-11-24T05:00:00.000Z/2026-11-24T05:30:00.000Z');
  expect(await timeOf({ dateObserved: '2026-07-24T05:00:00' })).toBe('sensing.time-invalid');
  expect(await timeOf({ dateObserved: '2026-07-24T05:00:00' }, { time_zone: 'Europe/Berlin' })).toBe('2026-07-24T03:00:00.000Z');
  expect(await timeOf({ dateObserved: 'yesterday' }, { time_zone: 'Europe/Berlin' })).toBe('sensing.time-invalid');
});

test('a time in the id makes no new place, and alerts stand at their category', async () => {
  const of = async (id: string): Promise<string | undefined> => (await read({ id, type: 'AirQualityObserved', temperature: 1 })).places[0]?.key;
  expect(await of('Madrid-AmbientObserved-28079004-2016-03-15T11:00:00')).toBe('Madrid-AmbientObserved-28079004');
  expect(await of('France-1_2022-07-01T18:00:00_2022-07-01T00:00:00')).toBe('France-1');
  const alert = await read({ id: 'urn:ngsi-ld:Alert:77', type: 'Alert', category: 'weather', severity: 'high', dateIssued: '2026-11-24T05:00:00Z', validFrom: '2026-11-24T05:00:00Z', description: 'call John Smith on 555-1234' });
  expect(alert.places[0]?.key).toBe('Alert/weather');
  expect(alert.readings[0]).toMatchObject({ result: 'high', parameters: { validFrom: '2026-11-24T05:00:00.000Z' } });
  expect(JSON.stringify(alert)).not.toContain('555');
});

test('values that do not fit, units that are not known, words that are not declared', async () => {
  const batch = await read({ id: 'a', type: 'AirQualityObserved', dateObserved: '2026-11-24T05:00:00Z', temperature: '3', no2: 4, co: { type: 'Property', value: 1, unitCode: 'XYZ' }, so2: { type: 'Property', value: 1, unitCode: 'CEL' }, airQualityLevel: 'phone me', relativeHumidity: null });
  expect(batch.readings).toEqual([]);
  expect(batch.refusals.map(({ at, refusal }) => [at, refusal.code])).toEqual([['entity.temperature', 'feed.value-invalid'], ['entity.no2', 'feed.value-invalid'], ['entity.co', 'feed.value-invalid'], ['entity.so2', 'feed.value-invalid']]);
  const own = await read({ id: 'a', type: 'WeatherObserved', soilMoisture: 12 }, { attributes: { soilMoisture: { property: 'soil-moisture', name: 'Soil moisture', unit: '%', min: 0, max: 100 } } });
  expect(own.readings).toMatchObject([{ seriesKey: 'a/soil-moisture', result: 12 }]);
});

test('no document of any shape makes the reader throw anything but a refusal', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.jsonValue({ maxDepth: 6 }), fc.record({ data: fc.array(fc.record({ id: fc.jsonValue(), type: fc.oneof(fc.constantFrom('AirQualityObserved', 'Alert', 'OffStreetParking', 'Vehicle'), fc.jsonValue()), location: fc.jsonValue(), temperature: fc.jsonValue(), status: fc.jsonValue(), dateObserved: fc.jsonValue() })) })), async (document) => {
      try {
        await read(document, { time_zone: 'Europe/Berlin' });
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
      }
    }),
    { numRuns: 500 },
  );
});

interface Example {
  readonly model: string;
  readonly form: string;
  readonly doc: unknown;
}
const examplesOf = (name: string): Example[] => readFileSync(`${SHARED_DATA}/fiware/${name}`, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Example);
const hasData = existsSync(`${SHARED_DATA}/fiware/examples.ndjson`);
const OPTIONS = { time_zone: 'UTC', units: { co: 'GQ', no: 'GQ', no2: 'GQ', nox: 'GQ', so2: 'GQ', o3: 'GQ', pm10: 'GQ', pm25: 'GQ', pm1: 'GQ', nh3: 'GQ', co2: '59' } };
// models whose examples carry something that is measured at a place
const TAKEN = ['AeroAllergenObserved', 'AirQualityMonitoring', 'AirQualityObserved', 'Alert', 'BikeHireDockingStation', 'IndoorEnvironmentObserved', 'MosquitoDensity', 'NightSkyQuality', 'NoiseLevelObserved', 'NoisePollution', 'OffStreetParking', 'ParkingSpot', 'Streetlight', 'StreetlightFeeder', 'StreetlightGroup', 'TrafficFlowObserved', 'WeatherAlert', 'WeatherObserved'];
// one of its examples has a filling level, the other only its size
const MIXED = ['WasteContainer'];
// what the examples say of persons, vehicles and single devices, and texts that nobody declared
const PERSONAL = /KA23F2345|67855734|1ENC003|3456ABC|KA052134|John Smith|9942142573|861123052561188|6755375727|VDFWitw|contactPoint|streetAddress|telephone|@[a-z]+\.|pedalsaddle|imgur|openstreetmap|aemet|dataProvider/i;

test.skipIf(!hasData)('every example of the Smart Data Models is taken or refused as it should be', async () => {
  const table = new Map<string, { forms: number; readings: number; refused: Set<string> }>();
  for (const { model, doc } of examplesOf('examples.ndjson')) {
    const row = table.get(model) ?? { forms: 0, readings: 0, refused: new Set<string>() };
    table.set(model, row);
    const batch = await read(doc, OPTIONS);
    row.forms += 1;
    row.readings += batch.readings.length;
    for (const { refusal } of batch.refusals) row.refused.add(refusal.code);
    expect([model, PERSONAL.exec(JSON.stringify([batch.places, batch.series, batch.readings]))?.[0]]).toEqual([model, undefined]);
    for (const { result } of batch.readings) expect(['number', 'boolean', 'string']).toContain(typeof result);
    expect([model, batch.readings.length > 0 || !TAKEN.includes(model)]).toEqual([model, true]);
    if (!TAKEN.includes(model) && !MIXED.includes(model)) expect([model, batch.places, batch.readings]).toEqual([model, [], []]);
  }
  expect(table.get('WasteContainer')?.readings).toBeGreaterThan(0);
  process.stdout.write(['', 'model | documents | readings | refused as', ...[...table].sort().map(([model, { forms, readings, refused }]) => `${model} | ${forms} | ${readings} | ${[...refused].join(', ')}`), ''].join('\n'));
});

test.skipIf(!hasData)('of persons, plates and single vehicles nothing at all is taken', async () => {
  for (const { model, form, doc } of examplesOf('gate-personal-or-borderline.ndjson')) {
    const batch = await read(doc, OPTIONS);
    expect([model, form, batch.places, batch.series, batch.readings]).toEqual([model, form, [], [], []]);
    expect(batch.refusals).toHaveLength(1);
    expect([model, batch.refusals[0]?.refusal.code]).toEqual([model, model === 'ParkingAccess' ? 'feed.type-unregistered' : model === 'AnprFlowObserved' ? 'feed.plate-reading' : 'feed.single-vehicles']);
    expect(JSON.stringify(batch.refusals)).not.toMatch(PERSONAL);
  }
});
