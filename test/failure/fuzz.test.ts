import { connect as connectTcp } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';
import { LANES, REQUESTS, openBombardment, type Bombardment, type Sent } from './bombardment.ts';
import { createMutator, type Mutator } from './mutation.ts';

const FEEDS = `
egress: []
feeds:
  - name: lora
    adapter: lorawan
    purpose: city-operations
    options:
      server: chirpstack
      profiles: { climate: { fields: [{ field: t, property: temperature, name: Air temperature, unit: °C, min: -40, max: 60 }] } }
      devices: [{ dev_eui: '0004A30B001C0530', profile: climate, key: probe, name: Probe, lon: 7.6, lat: 51.9 }]
  - name: context
    adapter: ngsi
    purpose: city-operations
    options: {}
`;

let city: TestCity;
let token = '';
let attack: Bombardment;

beforeAll(async () => {
  city = await startTestCity({ files: { 'feeds.yaml': FEEDS } });
  token = city.token('administrator');
  attack = openBombardment(city, token);
  const thing = await city.call('POST', '/v1.1/Things', { token, body: { name: 'Gauge', description: 'A gauge', Locations: [{ name: 'Here', description: 'Here', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }], Datastreams: [{ name: 'Level', description: 'Level', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' }, Observations: [{ phenomenonTime: '2026-01-01T00:00:00Z', result: 1.5 }] }] } });
  expect(thing.status).toBe(201);
});
afterAll(async () => {
  attack.close();
  await city.stop();
  city.remove();
});

const SETS = ['Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'MultiDatastreams', 'Sensors', 'ObservedProperties', 'Observations', 'FeaturesOfInterest', 'Features', 'FeatureTypes'];
const ROOTS = ['/v1.1', '/v2.0'];
const FILTERS = ["name eq 'Gauge'", 'result gt 1 and result lt 5', "substringof('a',name) or not startswith(name,'b')", "geo.distance(location,geography'POINT(7 51)') lt 1", "st_within(location,geography'POLYGON((0 0,10 0,10 60,0 60,0 0))')", 'phenomenonTime ge 2026-01-01T00:00:00Z', 'phenomenonTime add duration\'P1D\' gt now()', "properties/a/b eq 3", "Datastreams/Observations/result eq 1.5", "Datastream/Thing/name ne null", 'year(phenomenonTime) eq 2026 and mod(id,2) eq 0', 'id in (1,2,3)', "Datastreams/any(d:d/name eq 'x')", "indexof(tolower(name),'g') eq 0", 'round(result) div 0 eq 1', "st_relate(location,geography'POINT(1 1)','T********')"];
const OPTIONS = ['$top=2', '$skip=1', '$count=true', '$orderby=name desc,id', '$orderby=properties/a', '$select=name,id', '$select=distinct:name', '$expand=Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc))', '$expand=Locations,HistoricalLocations($count=true)', '$resultFormat=dataArray', '$resultFormat=CSV', '$resultFormat=GeoJSON', '$skiptoken=WyIxIl0'];
const PATHS = ['', '(1)', "('1')", '(1)/name', '(1)/name/$value', '(1)/properties/a', '(1)/Datastreams', '(1)/Datastreams(1)/Observations', '(1)/Locations/$ref', '/$count', '/$ref', '(1)/Thing', '(99999)', '(1)/Datastreams(1)/Thing/Locations(1)'];

const encode = (text: string): string => encodeURI(text.toWellFormed()).replaceAll('#', '%23').replaceAll(/[\r\n\t ]/g, '%20');

function makeQuery(mutator: Mutator): Sent {
  const set = mutator.pick(SETS) + mutator.pick(PATHS);
  const options = Array.from({ length: mutator.number(4) }, () => (mutator.number(2) === 0 ? `$filter=${mutator.pick(FILTERS)}` : mutator.pick(OPTIONS)));
  const text = `${mutator.pick(ROOTS)}/${mutator.mutate(set)}${options.length === 0 ? '' : `?${mutator.mutate(options.join('&'))}`}`;
  return { method: 'GET', path: encode(text), body: null, type: '' };
}

const BODIES: readonly (readonly [path: string, body: string])[] = [
  ['Things', '{"name":"T","description":"d","properties":{"a":{"b":3}},"Locations":[{"name":"L","description":"l","encodingType":"application/geo+json","location":{"type":"Point","coordinates":[7.6,51.9]}}]}'],
  ['Observations', '{"phenomenonTime":"2026-01-02T00:00:00.123Z","result":1.25,"resultQuality":"good","Datastream":{"@iot.id":1}}'],
  ['Datastreams(1)/Observations', '{"phenomenonTime":"2026-01-02T00:00:00Z/2026-01-02T01:00:00Z","result":12345678901234567890,"parameters":{"x":1}}'],
  ['CreateObservations', '[{"Datastream":{"@iot.id":1},"components":["phenomenonTime","result","resultTime"],"dataArray@iot.count":1,"dataArray":[["2026-01-03T00:00:00Z",2,"2026-01-03T00:00:01Z"]]}]'],
  ['Locations(1)', '{"name":"moved","location":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}}'],
  ['Things(1)', '[{"op":"replace","path":"/name","value":"x"},{"op":"move","from":"/properties","path":"/properties"}]'],
  ['Datastreams', '{"name":"D","description":"d","observationType":"http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement","unitOfMeasurement":{"name":"m","symbol":"m","definition":"m"},"properties":{"purpose":"city-operations"},"Thing":{"@iot.id":1},"Sensor":{"@iot.id":1},"ObservedProperty":{"@iot.id":1}}'],
  ['Things(1)/Locations/$ref', '{"@iot.id":1}'],
  ['MultiDatastreams', '{"name":"M","description":"m","observationType":"http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation","multiObservationDataTypes":["http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"],"unitOfMeasurements":[{"name":"m","symbol":"m","definition":"m"}],"properties":{"purpose":"city-operations"},"Thing":{"@iot.id":1},"Sensor":{"@iot.id":1},"ObservedProperties":[{"@iot.id":1}]}'],
];

function makeWrite(mutator: Mutator): Sent {
  const [path, body] = mutator.pick(BODIES);
  const isPatch = path.endsWith('(1)');
  const method = isPatch ? mutator.pick(['PATCH', 'PUT']) : mutator.pick(['POST', 'POST', 'POST', 'PUT', 'PATCH']);
  const type = mutator.number(8) === 0 ? mutator.pick(['text/plain', 'application/xml', 'application/json-patch+json', 'multipart/form-data', 'application/json; charset=utf-7']) : body.startsWith('[{"op"') ? 'application/json-patch+json' : 'application/json';
  const mutated = mutator.number(30) === 0 ? mutator.bytes(mutator.number(200)) : mutator.mutate(body);
  return { method, path: encode(`${mutator.pick(ROOTS)}/${mutator.number(5) === 0 ? mutator.mutate(path) : path}`), body: mutated, type };
}

const MULTIPART = '--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\nPOST Things HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"name":"B","description":"b"}\r\n--c\r\nContent-Type: application/http\r\nContent-ID: 2\r\n\r\nPATCH $1 HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"name":"C"}\r\n--c--\r\n--b\r\nContent-Type: application/http\r\n\r\nGET Things?$top=1 HTTP/1.1\r\n\r\n\r\n--b--\r\n';
const JSON_BATCH = '{"requests":[{"id":"1","method":"post","url":"Things","atomicityGroup":"g","body":{"name":"J","description":"j"}},{"id":"2","method":"patch","url":"$1","atomicityGroup":"g","body":{"name":"K"}},{"id":"3","method":"get","url":"Things?$top=1","dependsOn":["g"]}]}';

function makeBatch(mutator: Mutator): Sent {
  const isJson = mutator.number(2) === 0;
  return { method: 'POST', path: `${mutator.pick(ROOTS)}/$batch`, body: mutator.mutate(isJson ? JSON_BATCH : MULTIPART), type: isJson ? 'application/json' : mutator.pick(['multipart/mixed; boundary=b', 'multipart/mixed; boundary="b"', 'multipart/mixed; boundary=c', 'multipart/mixed']) };
}

const PUSHED = ['{"end_device_ids":{"device_id":"d","dev_eui":"0004A30B001C0530"},"received_at":"2026-01-01T00:00:00Z","uplink_message":{"f_port":1,"frm_payload":"AQID","decoded_payload":{"t":1}}}', '{"deviceInfo":{"devEui":"0004a30b001c0530"},"time":"2026-01-01T00:00:00Z","fPort":1,"data":"AQID","object":{"t":1}}', '{"subscriptionId":"s","data":[{"id":"urn:ngsi-ld:AirQualityObserved:1","type":"AirQualityObserved","NO2":{"type":"Number","value":12},"dateObserved":{"type":"DateTime","value":"2026-01-01T00:00:00Z"}}]}'];

function makePush(mutator: Mutator): Sent {
  const body = mutator.mutate(mutator.pick(PUSHED));
  const isPacked = mutator.number(6) === 0;
  return { method: 'POST', path: `/api/feeds/${mutator.pick(['lora', 'context'])}`, body: isPacked ? gzipSync(body) : body, type: 'application/json', ...(isPacked ? { headers: { 'content-encoding': 'gzip' } } : {}) };
}

test.each([
  ['queries', 1, makeQuery],
  ['writes', 2, makeWrite],
  ['batches', 3, makeBatch],
  ['feeds', 4, makePush],
] as const)(`${REQUESTS} bad %s are answered and break nothing`, async (name, seed, make) => {
  const statuses = await attack.send(seed, make);
  console.log(`${name}: ${attack.describe(statuses)}`);
  expect([...statuses.keys()].some((status) => status >= 400 && status < 500)).toBe(true);
  await attack.expectHealthy();
});

test(`${REQUESTS} bad MQTT connections are cut off or answered and break nothing`, async () => {
  const mutator = createMutator(5);
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
  const packet = (head: number, body: Buffer): Buffer => Buffer.concat([Buffer.from([head, ...(body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7])]), body]);
  // MQTT 5 has the length of the properties where 3.1.1 has nothing
  const good = ([4, 5] as const).map((version) => {
    const none = Buffer.alloc(version - 4);
    return {
      hello: packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([version, 0xc2, 0, 60]), none, text(`fuzz`), text('u'), text(token)])),
      publish: packet(0x32, Buffer.concat([text('v1.1/Observations'), Buffer.from([0, 1]), none, Buffer.from('{"result":1,"Datastream":{"@iot.id":1}}')])),
      subscribe: packet(0x82, Buffer.concat([Buffer.from([0, 2]), none, text('v1.1/Datastreams(1)/Observations?$select=result'), Buffer.from([1])])),
    };
  });
  const scramble = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    for (let left = mutator.number(4); left > 0; left -= 1) copy[mutator.number(copy.length)] = mutator.number(256);
    return mutator.number(4) === 0 ? copy.subarray(0, mutator.number(copy.length)) : copy;
  };
  let left = REQUESTS;
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (left > 0) {
        left -= 1;
        const { hello, publish, subscribe } = mutator.pick(good);
        const parts = mutator.number(3) === 0 ? [mutator.bytes(1 + mutator.number(300))] : [mutator.number(4) === 0 ? scramble(hello) : hello, scramble(mutator.pick([publish, subscribe])), scramble(mutator.pick([publish, subscribe]))];
        await new Promise<void>((resolve) => {
          const socket = connectTcp(city.mqttPort, '127.0.0.1');
          const patience = setTimeout(() => socket.destroy(), 20);
          socket.on('error', () => undefined); // a connection that the server resets is what this asks for
          socket.on('close', () => {
            clearTimeout(patience);
            resolve();
          });
          socket.resume().on('connect', () => socket.write(Buffer.concat(parts)));
        });
      }
    }),
  );
  await attack.expectHealthy();
});

test('broken HTTP on the wire is answered or cut off', async () => {
  const mutator = createMutator(6);
  const good = `POST /v1.1/Observations HTTP/1.1\r\nHost: city.test\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"result":1,"Datastream":{"@iot.id":1}}  `;
  for (let left = Math.min(REQUESTS, 5_000); left > 0; left -= 1) {
    const answer = await new Promise<string>((resolve) => {
      let got = '';
      const socket = connectTcp(Number(new URL(city.url).port), '127.0.0.1');
      socket.setTimeout(200, () => socket.destroy());
      socket.on('error', () => undefined); // a reset is an answer too
      socket.on('close', () => resolve(got));
      socket.setEncoding('latin1').on('data', (part: string) => (got += part));
      socket.on('connect', () => socket.end(mutator.mutate(good)));
    });
    expect(answer).not.toMatch(/^HTTP\/1\.1 500/);
  }
  await attack.expectHealthy();
});
