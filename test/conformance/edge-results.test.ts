import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { datastream, LEVEL, LOCATION, openSensorThings, SENSOR, type SensorThingsRig } from '../sensorthings-rig.ts';

// Results that other servers lose or bend: false values, numbers that a double prints otherwise, nothing, lists, objects. Each
// one by each way in, and out again exactly as it was sent. All are JSON text, since parsing is what bends them.
const RESULTS = [
  '0', '-0', '-0.0', '0.0', '1.0', '1e3', '1E-7', '1e-300', '5e-324', '1.7976931348623157e308', '0.1', '0.30000000000000004', '9007199254740993', '12345678901234567890', '-12345678901234567890.5', '1e+2',
  'true', 'false', 'null', '""', '" "', '"0"', '"null"', '"\\\\ \\" / ä 水 😀"', '[]', '[0,false,"",null,-0.0,1e-300]', '{}', '{"a":0,"b":false,"c":"","d":null,"e":[1.0,{"f":12345678901234567890}]}',
] as const;

let rig: SensorThingsRig;
let mqtt: MqttClient;
let streams: number[];
const WAYS = ['POST', 'nested POST', 'deep insert', 'CreateObservations', 'multipart batch', 'change set', 'JSON batch', 'MQTT'] as const;
beforeAll(async () => {
  rig = await openSensorThings();
  const { port } = await rig.startMqtt();
  mqtt = await connectAsync(`mqtt://127.0.0.1:${String(port)}`, { username: 'device', password: 'token', clientId: 'edge' });
  const thing = await rig.create('/Things', { name: 'Edge', description: 'edge', Locations: [LOCATION] });
  streams = [];
  for (const name of WAYS) streams.push(await rig.create(`/Things(${String(thing)})/Datastreams`, datastream({ name, Sensor: SENSOR, ObservedProperty: LEVEL })));
});
afterAll(async () => mqtt.endAsync());

const timeOf = (at: number): string => new Date(Date.parse('2026-11-24T04:00:00Z') + at * 1_001).toISOString();
const bodyOf = (result: string, at: number, more = ''): string => `{"result":${result},"phenomenonTime":"${timeOf(at)}"${more}}`;
const part = (line: string, body: string): string => `Content-Type: application/http\r\n\r\n${line} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n${body}\r\n`;
const enclose = (parts: readonly string[], boundary: string): string => `${parts.map((one) => `--${boundary}\r\n${one}`).join('')}--${boundary}--\r\n`;

/** Sends every result by one way into the Datastream. */
async function sendAll(way: (typeof WAYS)[number], stream: number): Promise<void> {
  const path = `/Datastreams(${String(stream)})/Observations`;
  const link = `,"Datastream":{"@iot.id":${String(stream)}}`;
  const batch = async (body: string, type: string): Promise<void> => {
    const answer = await rig.send('POST', '/$batch', body, { 'content-type': type });
    expect([...answer.text.matchAll(/HTTP\/1\.1 (\d+)|"status":(\d+)/g)].map((found) => Number(found[1] ?? found[2]))).toEqual(RESULTS.map(() => 201));
  };
  switch (way) {
    case 'POST':
      for (const [at, result] of RESULTS.entries()) expect((await rig.send('POST', '/Observations', bodyOf(result, at, link))).text).toContain(`"result":${result}`);
      return;
    case 'nested POST':
      for (const [at, result] of RESULTS.entries()) expect((await rig.send('POST', path, bodyOf(result, at))).text).toContain(`"result":${result}`);
      return;
    case 'deep insert':
      expect((await rig.send('POST', '/Datastreams', JSON.stringify(datastream({ name: 'deep', Thing: { name: 'Deep', description: '' }, Sensor: SENSOR, ObservedProperty: LEVEL })).replace(/\}$/, `,"Observations":[${RESULTS.map((result, at) => bodyOf(result, at)).join(',')}]}`))).status).toBe(201);
      return;
    case 'CreateObservations': {
      const answer = await rig.send('POST', '/CreateObservations', `[{"Datastream":{"@iot.id":${String(stream)}},"components":["phenomenonTime","result"],"dataArray":[${RESULTS.map((result, at) => `["${timeOf(at)}",${result}]`).join(',')}]}]`);
      expect((JSON.parse(answer.text) as string[]).filter((row) => row.startsWith('error'))).toEqual([]);
      return;
    }
    case 'multipart batch':
      return batch(enclose(RESULTS.map((result, at) => part(`POST ${path.slice(1)}`, bodyOf(result, at))), 'b'), 'multipart/mixed; boundary=b');
    case 'change set':
      return batch(enclose([`Content-Type: multipart/mixed; boundary=c\r\n\r\n${enclose(RESULTS.map((result, at) => part('POST Observations', bodyOf(result, at, link))), 'c')}`], 'b'), 'multipart/mixed; boundary=b');
    case 'JSON batch':
      return batch(`{"requests":[${RESULTS.map((result, at) => `{"id":"${String(at)}","method":"post","url":"${path.slice(1)}","body":${bodyOf(result, at)}}`).join(',')}]}`, 'application/json');
    case 'MQTT':
      for (const [at, result] of RESULTS.entries()) await mqtt.publishAsync(`v1.1${path}`, bodyOf(result, at), { qos: 1 });
      return;
  }
}

describe.each(WAYS.map((way, at) => [way, at] as const))('by %s', (way, number) => {
  let stream: number;
  beforeAll(async () => {
    stream = streams[number] as number;
    await sendAll(way, stream);
    if (way === 'deep insert') stream = (await rig.list("/Datastreams?$filter=name%20eq%20'deep'", '@iot.id'))[0] as number;
  });
  test('every result is there once, as it was sent, with its time to the millisecond', async () => {
    const answer = await rig.send('GET', `/Datastreams(${String(stream)})/Observations?$orderby=phenomenonTime&$select=result,phenomenonTime`);
    expect(answer.text).toBe(`{"value":[${RESULTS.map((result, at) => `{"phenomenonTime":"${timeOf(at)}","result":${result}}`).join(',')}]}`);
  });
  test('a data array gives the same', async () => {
    const answer = await rig.send('GET', `/Datastreams(${String(stream)})/Observations?$orderby=phenomenonTime&$select=result&$resultFormat=dataArray`);
    expect(answer.text).toContain(`"dataArray":[${RESULTS.map((result) => `[${result}]`).join(',')}]`);
  });
  test('one result alone is text, number or nothing', async () => {
    const ids = (await rig.list(`/Datastreams(${String(stream)})/Observations?$orderby=phenomenonTime`, '@iot.id')) as number[];
    for (const [at, result] of RESULTS.entries()) {
      const value = await rig.send('GET', `/Observations(${String(ids[at])})/result/$value`);
      expect([result, value.status, value.text]).toEqual([result, result === 'null' ? 204 : 200, result === 'null' ? '' : result.startsWith('"') ? (JSON.parse(result) as string) : result]);
    }
  });
  test('false values are found and counted', async () => {
    const count = async (filter: string): Promise<unknown> => (await rig.get(`/Datastreams(${String(stream)})/Observations?$filter=${encodeURIComponent(filter)}&$count=true&$top=0`))['@iot.count'];
    expect([await count('result eq 0'), await count('result eq false'), await count("result eq ''"), await count('result eq null'), await count('result eq 1e-300')]).toEqual([4, 1, 1, 1, 1]);
  });
});

test('a MultiDatastream takes lists of such values by MQTT, and nothing else', async () => {
  const type = 'http://www.opengis.net/def/observationType/OGC-OM/2.0';
  const none = { name: null, symbol: null, definition: null };
  const multi = await rig.create('/MultiDatastreams', { name: 'Edges', description: '', multiObservationDataTypes: ['OM_Measurement', 'OM_TruthObservation', 'OM_CategoryObservation', 'OM_Observation'].map((name) => `${type}/${name}`), unitOfMeasurements: [none, none, none, none], properties: { purpose: 'city-operations' }, Thing: { name: 'Edges', description: '' }, Sensor: SENSOR, ObservedProperties: ['a', 'b', 'c', 'd'].map((name) => ({ ...LEVEL, name })) });
  const results = ['[-0.0,false,"",null]', '[1.0,true,"0",{"a":[0]}]', '[12345678901234567890,false,"x",[]]'];
  const wrong = ['[0,0,"",null]', '[null,false,"",null]', '[0,false,"",null,null]', '0', '[]', '{}'];
  for (const [at, result] of [...results, ...wrong].entries()) await mqtt.publishAsync(`v1.1/MultiDatastreams(${String(multi)})/Observations`, bodyOf(result, at), { qos: 1 });
  expect((await rig.send('GET', `/MultiDatastreams(${String(multi)})/Observations?$select=result`)).text).toBe(`{"value":[${results.map((result) => `{"result":${result}}`).join(',')}]}`);
});
