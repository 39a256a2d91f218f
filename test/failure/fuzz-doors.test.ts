import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';
import { LANES, REQUESTS, openBombardment, type Bombardment, type Sent } from './bombardment.ts';
import { createMutator, type Mutator } from './mutation.ts';
import { writeZip } from '../zip.ts';

// The doors beside the entities: links, filtered DELETE, devices, history, exports, imports, feeds, sources, sockets.
const feedsOf = (source: string): string => `
egress: [{ host: '${source}', private: true }]
feeds:
  - { name: alerts, adapter: cap, purpose: city-operations, options: {} }
  - { name: roads, adapter: datex, purpose: city-operations, options: {} }
  - name: lora
    adapter: lorawan
    purpose: city-operations
    options:
      server: the-things-stack
      profiles: { climate: { fields: [{ field: temperature, property: temperature, name: Air temperature, unit: °C, min: -40, max: 60 }] } }
      devices: [{ dev_eui: '0004A30B001C0530', profile: climate, key: probe, name: Probe, lon: 7.6, lat: 51.9 }]
  - name: levels
    adapter: csv
    purpose: city-operations
    options: { mapping: { delimiter: ';', time: { columns: [t], format: 'YYYY-MM-DD HH:mm' }, station: { column: s }, values: [{ column: v, key: level, name: Water level }] } }
  - { name: pull-bikes, adapter: gbfs, purpose: city-operations, interval_s: 86400, options: { url: '${source}/gbfs.json' } }
  - { name: pull-transport, adapter: gtfs, purpose: city-operations, interval_s: 86400, options: { schedule: '${source}/gtfs.zip', realtime: ['${source}/trips.pb'] } }
  - { name: pull-roads, adapter: datex, purpose: city-operations, interval_s: 86400, options: { urls: ['${source}/situations.xml'] } }
  - { name: pull-alerts, adapter: cap, purpose: city-operations, interval_s: 86400, options: { url: '${source}/alerts.atom' } }
`;

let city: TestCity;
let token = '';
let attack: Bombardment;
let source: Server;
let page: (path: string) => { status?: number; headers?: Record<string, string>; body: string | Buffer } = () => ({ body: '' });

beforeAll(async () => {
  source = createServer((request, response) => {
    const { status = 200, headers = {}, body } = page(request.url ?? '/');
    response.on('error', () => undefined); // the city breaks off what is too long
    response.writeHead(status, headers).end(body);
  }).listen(0, '127.0.0.1');
  await once(source, 'listening');
  city = await startTestCity({ files: { 'feeds.yaml': feedsOf(`http://127.0.0.1:${String((source.address() as AddressInfo).port)}`) } });
  token = city.token('administrator');
  attack = openBombardment(city, token);
  const stream = { description: 'Level', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' } };
  for (const name of ['One', 'Two']) {
    const made = await city.call('POST', '/v1.1/Things', { token, body: { name, description: name, Locations: [{ name, description: name, encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }], Datastreams: [{ name, ...stream, Observations: [{ phenomenonTime: '2026-01-01T00:00:00Z', result: 1.5 }] }] } });
    expect(made.status).toBe(201);
  }
});
afterAll(async () => {
  attack.close();
  source.closeAllConnections();
  source.close();
  await city.stop();
  city.remove();
});

const encode = (text: string): string => encodeURI(text.toWellFormed()).replaceAll('#', '%23').replaceAll(/[\r\n\t ]/g, '%20');
const sometimes = (mutator: Mutator, text: string): string => (mutator.number(3) === 0 ? text : mutator.mutate(text));
const ROOTS = ['/v1.1', '/v2.0'];

const LINKS = ['Things(1)/Locations/$ref', 'Things(1)/Datastreams/$ref', 'Datastreams(1)/Thing/$ref', 'Datastreams(1)/Sensor/$ref', 'Datastreams(1)/ObservedProperty/$ref', 'Locations(1)/Things/$ref', 'Things(1)/Locations(1)/$ref', 'HistoricalLocations(1)/Locations/$ref', 'Observations(1)/FeatureOfInterest/$ref', 'Things(1)/HistoricalLocations/$ref', 'Features(1)/FeatureTypes/$ref'];
const LINK_BODIES = ['{"@iot.id":2}', '{"@odata.id":"../Locations(2)"}', '{"@id":"Things(2)"}', '{"@odata.id":"http://city.test/v1.1/Sensors(1)"}', '{"@iot.id":"2"}', '{"id":2}', '[{"@iot.id":1}]', '{}', 'null'];
function makeLink(mutator: Mutator): Sent {
  const method = mutator.pick(['POST', 'PUT', 'PATCH', 'DELETE', 'GET']);
  const id = method === 'DELETE' && mutator.number(2) === 0 ? `?$id=${sometimes(mutator, mutator.pick(['../../Locations(1)', 'Things(1)', 'http://x/v1.1/Locations(2)']))}` : '';
  const link = sometimes(mutator, mutator.pick(LINKS));
  if (method === 'DELETE' && !link.includes('/$ref')) return { method: 'GET', path: encode(`${mutator.pick(ROOTS)}/${link}`), body: null, type: '' }; // it would delete what the others link
  return { method, path: encode(`${mutator.pick(ROOTS)}/${link}${id}`), body: method === 'GET' ? null : sometimes(mutator, mutator.pick(LINK_BODIES)), type: 'application/json' };
}

const REMOVALS = ["Observations?$filter=result eq 77&dryRun=true", "Things?$filter=name eq 'Nobody'", "Datastreams(1)/Observations?$filter=phenomenonTime lt 2020-01-01T00:00:00Z&dryRun=false", "Locations?$filter=st_within(location,geography'POLYGON((0 0,1 0,1 1,0 0))')", 'Sensors?$filter=id gt 1000&dryRun=true', "HistoricalLocations?$filter=time lt 1990-01-01T00:00:00Z", 'Observations?$filter=Datastream/Thing/name eq \'x\'&dryRun=true'];
function makeRemoval(mutator: Mutator): Sent {
  // what the changes make of it may still delete: never everything, or the later requests would find nothing
  const text = sometimes(mutator, mutator.pick(REMOVALS));
  return { method: 'DELETE', path: encode(`${mutator.pick(ROOTS)}/${text.includes('dryRun=true') || /\$filter=(?:result eq 77|name eq 'Nobody')/.test(text) ? text : `${text}&dryRun=true`}`), body: null, type: '' };
}

const DEVICE = '{"name":"Probe","point":[7.6,51.9],"measures":["level","temperature"],"interval_s":60,"purpose":"city-operations","kind":"gauge"}';
const DEVICE_CSV = 'name,longitude,latitude,measures,interval_s,purpose,kind\nProbe,7.6,51.9,level temperature,60,city-operations,gauge\n';
function makeDevice(mutator: Mutator): Sent {
  const kind = mutator.number(10);
  if (kind < 5) return { method: 'POST', path: '/api/devices', body: mutator.mutate(DEVICE), type: 'application/json' };
  if (kind < 7) return { method: 'POST', path: `/api/devices/csv?dryRun=${mutator.pick(['true', 'false', 'x'])}`, body: mutator.mutate(DEVICE_CSV), type: mutator.pick(['text/csv', 'text/csv; charset=utf-16', 'application/json']) };
  const id = encode(sometimes(mutator, 'dev_01J00000000000000000000000'));
  return { method: mutator.pick(['GET', 'POST', 'DELETE']), path: `/api/devices${mutator.pick(['/', `/${id}`, `/${id}/state`, `/${id}/token`, `?q=${encode(mutator.mutate('probe'))}`])}`, body: sometimes(mutator, '{"act":"quarantine","reason":"It talks too much"}'), type: 'application/json' };
}

const PAST = ['/api/history', '/api/history/datastreams/1?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&step=hour&timeZone=Europe/Berlin', '/api/history/datastreams/1?from=2025-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&step=raw', '/api/history/observations/1/corrections', '/api/history/days', '/api/history/days/2026-01-01.csv', '/api/history/days/2026-01-01.json', '/api/export/observations.csv?datastreams=1,2&from=2026-01-01T00:00:00Z', '/api/export/observations.parquet?to=2026-01-02T00:00:00Z', '/api/export/observations.geojson'];
const makePast = (mutator: Mutator): Sent => ({ method: mutator.pick(['GET', 'GET', 'GET', 'HEAD']), path: encode(sometimes(mutator, mutator.pick(PAST))), body: null, type: '' });

const MAPPING = '{"name":"archive","purpose":"city-operations","time":{"columns":["t"],"format":"YYYY-MM-DD HH:mm","zone":"Europe/Berlin","ambiguous":"by-order"},"station":{"column":"s"},"values":[{"column":"v","key":"level","name":"Level","unit":{"name":"metre","symbol":"m"},"quality":{"column":"q","good":["ok"]}}],"missing_words":["-"]}';
const TABLE = 't,s,v,q\n2026-03-29 01:59,a,1.5,ok\n2026-03-29 02:30,a,2.5,ok\n2026-10-25 02:30,"b ""x""",-,bad\n2026-10-25 02:30,b,1e3,ok\n';
function makeImport(mutator: Mutator): Sent {
  const table = mutator.number(6) === 0 ? gzipSync(mutator.mutate(TABLE)) : Buffer.from(sometimes(mutator, TABLE));
  const head = `--b\r\nContent-Disposition: form-data; name="mapping"\r\n\r\n${sometimes(mutator, MAPPING)}\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\nContent-Type: text/csv\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(mutator.number(5) === 0 ? mutator.mutate(head) : head), table, Buffer.from('\r\n--b--\r\n')]);
  return { method: 'POST', path: `/api/import/csv?dryRun=${mutator.pick(['true', 'true', 'false', 'maybe'])}`, body: mutator.number(8) === 0 ? body.subarray(0, mutator.number(body.length)) : body, type: mutator.pick(['multipart/form-data; boundary=b', 'multipart/form-data; boundary=b', 'multipart/form-data; boundary="b', 'multipart/form-data']), ...(mutator.number(4) === 0 ? { headers: { accept: 'application/x-ndjson' } } : {}) };
}

const ALERT = '<?xml version="1.0"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>1</identifier><sender>w@city.test</sender><sent>2026-11-21T06:00:00+01:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category><event>Storm</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty><expires>2026-11-22T06:00:00+01:00</expires><area><areaDesc>Old town</areaDesc><polygon>51.9,7.6 51.9,7.7 52,7.7 51.9,7.6</polygon><circle>51.9,7.6 3</circle></area></info></alert>';
const SITUATIONS = '<d2LogicalModel xmlns="http://datex2.eu/schema/2/2_0" modelBaseVersion="2"><payloadPublication xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="SituationPublication" lang="de"><publicationTime>2026-11-21T06:00:00Z</publicationTime><situation id="s1"><situationRecord xsi:type="AbnormalTraffic" id="r1" version="1"><situationRecordVersionTime>2026-11-21T06:00:00Z</situationRecordVersionTime><validity><validityStatus>active</validityStatus></validity><groupOfLocations xsi:type="Point"><pointByCoordinates><pointCoordinates><latitude>51.9</latitude><longitude>7.6</longitude></pointCoordinates></pointByCoordinates></groupOfLocations><abnormalTrafficType>slowTraffic</abnormalTrafficType></situationRecord></situation></payloadPublication></d2LogicalModel>';
const ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>';
function makePush(mutator: Mutator): Sent {
  const [name, type, text] = mutator.pick([['alerts', 'application/cap+xml', ALERT], ['roads', 'application/xml', SITUATIONS], ['lora', 'application/json', '{"end_device_ids":{"device_id":"d","dev_eui":"0004A30B001C0530"},"received_at":"2026-01-01T00:00:00Z","uplink_message":{"f_port":1,"f_cnt":3,"frm_payload":"AQID","decoded_payload":{"temperature":12.5},"rx_metadata":[{"rssi":-90}],"settings":{"time":"2026-01-01T00:00:00Z"}}}'], ['levels', 'text/csv', 't;s;v\n2026-01-01 00:00;a;1\n2026-01-01 00:01;b;x\n']] as const);
  const mutated = sometimes(mutator, text);
  const body = name === 'levels' || name === 'lora' ? mutated : mutator.number(12) === 0 ? ENTITIES + mutated.replace('Severe', '&b;&c;') : mutator.number(40) === 0 ? '<a>'.repeat(20_000) : mutated;
  const isPacked = mutator.number(6) === 0;
  return { method: 'POST', path: `/api/feeds/${name}`, body: isPacked ? gzipSync(body).subarray(mutator.number(3) === 0 ? 3 : 0) : body, type: mutator.number(10) === 0 ? 'text/html' : type, ...(isPacked ? { headers: { 'content-encoding': mutator.pick(['gzip', 'br', 'deflate', 'nothing']) } } : {}) };
}

function makeDeepBatch(mutator: Mutator): Sent {
  const root = mutator.pick(ROOTS);
  const request = (n: number): object => ({
    id: mutator.number(40) === 0 ? mutator.pick([String(n - 1), '', '$', 'a'.repeat(200)]) : String(n),
    method: mutator.number(40) === 0 ? mutator.pick(['options', 'x', '']) : mutator.pick(['get', 'post', 'post', 'post', 'patch', 'put', 'GET']),
    url: sometimes(mutator, mutator.pick(['Things', '$1', '$1/Datastreams', 'Observations', 'Things(1)', '$batch', `${root}/Things?$top=1`, 'http://elsewhere.test/v1.1/Things', '../api/devices', 'Things(1)/Locations/$ref', 'Observations?$filter=result eq 77', 'CreateObservations'])),
    ...(mutator.number(2) === 0 ? { atomicityGroup: mutator.number(20) === 0 ? mutator.pick(['', '1']) : mutator.pick(['g', 'h']) } : {}),
    ...(mutator.number(3) === 0 ? { dependsOn: [mutator.number(20) === 0 ? mutator.pick([String(n), 'nobody']) : '1'] } : {}),
    ...(mutator.number(3) === 0 ? { headers: { 'content-type': mutator.pick(['application/json', 'text/plain', 'application/json-patch+json']), prefer: 'return=minimal', authorization: 'Bearer nobody' } } : {}),
    body: mutator.pick<unknown>([{ name: 'J', description: 'j' }, { result: 1, Datastream: { '@iot.id': 1 } }, { result: 1, Datastream: { '@iot.id': '$1' } }, { requests: [{ id: '1', method: 'get', url: 'Things' }] }, [], null, 'text', { '@iot.id': '$1' }, { name: 'K', description: 'k', Locations: [{ '@iot.id': '$2' }] }]),
  });
  const body = JSON.stringify({ requests: Array.from({ length: mutator.number(8) }, (_, n) => request(n + 1)) });
  return { method: 'POST', path: `${root}/$batch`, body: mutator.number(10) === 0 ? mutator.mutate(body) : body, type: 'application/json', ...(mutator.number(2) === 0 ? { headers: { prefer: 'odata.continue-on-error' } } : {}) };
}

test.each([
  ['links', 11, makeLink],
  ['filtered deletions', 12, makeRemoval],
  ['devices', 13, makeDevice],
  ['questions about the past', 14, makePast],
  ['imports', 15, makeImport],
  ['pushes', 16, makePush],
  ['deep batches', 17, makeDeepBatch],
] as const)(`${REQUESTS} bad %s are answered and break nothing`, async (name, seed, make) => {
  const statuses = await attack.send(seed, make);
  console.log(`${name}: ${attack.describe(statuses)}`);
  expect([...statuses.keys()].some((status) => status >= 400 && status < 500)).toBe(true);
  await attack.expectHealthy();
});

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const bytesField = (number: number, bytes: readonly number[]): number[] => [...varint((number << 3) | 2), ...varint(bytes.length), ...bytes];
const textField = (number: number, text: string): number[] => bytesField(number, [...Buffer.from(text)]);
const REALTIME = Buffer.from([...bytesField(1, textField(1, '2.0')), ...bytesField(2, [...textField(1, 'e'), ...bytesField(3, [...bytesField(1, [...textField(1, 't'), ...textField(5, 'r')]), ...bytesField(2, [8, 1, ...textField(4, 's'), ...bytesField(2, [8, 120])])])])]);
const SCHEDULE: Record<string, string> = { 'stops.txt': 'stop_id,stop_name,stop_lat,stop_lon\ns,Square,51.9,7.6\n', 'routes.txt': 'route_id,route_short_name,route_type\nr,1,3\n', 'trips.txt': 'route_id,service_id,trip_id\nr,w,t\n', 'stop_times.txt': 'trip_id,arrival_time,departure_time,stop_id,stop_sequence\nt,06:00:00,06:00:00,s,1\n', 'agency.txt': 'agency_name,agency_url,agency_timezone\nA,http://a.test,Europe/Berlin\n', 'calendar.txt': 'service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nw,1,1,1,1,1,1,1,20200101,20301231\n' };

test('sources that answer nonsense are refused, run after run', async () => {
  const mutator = createMutator(18);
  const scramble = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    for (let left = mutator.number(6); left > 0; left -= 1) copy[mutator.number(copy.length)] = mutator.number(256);
    return mutator.number(4) === 0 ? copy.subarray(0, mutator.number(copy.length)) : copy;
  };
  const zips = await Promise.all(Array.from({ length: 60 }, () => writeZip(Object.fromEntries(Object.entries(SCHEDULE).map(([name, text]) => [name, sometimes(mutator, text)])))));
  const bomb = gzipSync(Buffer.alloc(150_000_000));
  page = (path) => {
    const odd = mutator.number(40);
    if (odd === 0) return { body: '<!doctype html><html>Sign in</html>', headers: { 'content-type': 'text/html' } };
    if (odd === 1) return { body: bomb, headers: { 'content-encoding': 'gzip' } };
    if (odd === 2) return { status: 302, headers: { location: mutator.pick([path, 'http://127.0.0.1:1/', '//', 'file:///etc/passwd']) }, body: '' };
    if (odd === 3) return { body: '['.repeat(1_000_000) };
    if (odd === 4) return { body: `${ENTITIES}<a>&b;&c;</a>` };
    if (odd === 5) return { status: mutator.pick([204, 304, 404, 500, 503]), body: '' };
    if (path === '/gtfs.zip') return { body: mutator.number(2) === 0 ? mutator.pick(zips) : scramble(mutator.pick(zips)) };
    if (path === '/trips.pb') return { body: scramble(REALTIME) };
    if (path === '/situations.xml') return { body: sometimes(mutator, SITUATIONS) };
    if (path === '/alerts.atom') return { body: sometimes(mutator, '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><link href="/1.cap"/></entry></feed>') };
    if (path.endsWith('.cap')) return { body: sometimes(mutator, ALERT) };
    const data = path.includes('information') ? { stations: [{ station_id: 's', name: 'Castle', lat: 51.96, lon: 7.61 }] } : path.includes('status') ? { stations: [{ station_id: 's', num_bikes_available: 0, is_renting: true, last_reported: 1_751_437_200 }] } : { en: { feeds: [{ name: 'station_information', url: `http://127.0.0.1:${String((source.address() as AddressInfo).port)}/station_information` }, { name: 'station_status', url: `http://127.0.0.1:${String((source.address() as AddressInfo).port)}/station_status` }] } };
    return { body: sometimes(mutator, JSON.stringify({ last_updated: 1_751_437_263, ttl: 0, version: '2.3', data })) };
  };
  const names = ['pull-bikes', 'pull-transport', 'pull-roads', 'pull-alerts'];
  const statuses = await attack.send(19, (from) => ({ method: 'POST', path: `/api/feeds/${from.pick(names)}/run`, body: null, type: '' }), Math.ceil(REQUESTS / 4));
  console.log(`sources: ${attack.describe(statuses)}`);
  await attack.expectHealthy();
});

test(`${REQUESTS} bad WebSocket connections are cut off and break nothing`, async () => {
  const mutator = createMutator(20);
  const port = Number(new URL(city.url).port);
  const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: city.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`;
  const frame = (payload: Buffer): Buffer => {
    const length = mutator.number(10) === 0 ? [mutator.pick([126, 127]), 255, 255, 255, 255, 255, 255, 255, 255] : payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
    const [first = 0, ...more] = length;
    return Buffer.concat([Buffer.from([mutator.pick([0x82, 0x82, 0x81, 0x02, 0x80, 0x88, 0x89, 0xf2, mutator.number(256)]), first | (mutator.number(8) === 0 ? 0 : 128), ...more, 0, 0, 0, 0]), payload]);
  };
  const hello = Buffer.from([0x10, 16, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 4, 102, 117, 122, 122]);
  let left = REQUESTS;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const path = mutator.number(3) === 0 ? mutator.pick(['//', '/mqtt?x', '/mqtt/', '*', 'http://', '/%zz', '/other', '//mqtt', 'mqtt']) : '/mqtt';
      const text = mutator.number(4) === 0 ? mutator.mutate(ask(path)) : ask(path);
      const isReset = mutator.number(4) === 0;
      await new Promise<void>((resolve) => {
        const socket = connectTcp(port, '127.0.0.1');
        const patience = setTimeout(() => (isReset ? socket.resetAndDestroy() : socket.destroy()), 15);
        socket.on('error', () => undefined); // a connection that the server resets is what this asks for
        socket.on('close', () => {
          clearTimeout(patience);
          resolve();
        });
        socket.resume().on('connect', () => {
          socket.write(Buffer.concat([Buffer.from(text, 'latin1'), frame(hello), frame(mutator.bytes(mutator.number(200)))]));
          if (isReset && mutator.number(2) === 0) socket.resetAndDestroy();
        });
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await attack.expectHealthy();
});

test(`${REQUESTS} bad packets of MQTT 5 and of QoS 2 are answered or cut off`, async () => {
  const mutator = createMutator(21);
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
  const packet = (head: number, ...parts: readonly Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([head, ...varint(body.length)]), body]);
  };
  const pair = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x26]), text(name), text(value)]);
  const properties = (...all: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from(varint(all.reduce((sum, { length }) => sum + length, 0))), ...all]);
  const parts = {
    hello: () => packet(0x10, text('MQTT'), Buffer.from([5, mutator.pick([0xc2, 0xc2, 0xc6, 0xce, mutator.number(256)]), 0, 60]), properties(Buffer.from([0x11, 0, 0, 0, 60]), Buffer.from([0x21, 0, mutator.number(3)]), Buffer.from([0x27, 0, 0, 1, 0]), pair('a', 'b')), text(`fuzz`), text('u'), text(token)),
    publish: () => packet(mutator.pick([0x30, 0x32, 0x34, 0x3a, 0x33]), text(mutator.pick(['v1.1/Observations', 'v1.1/Datastreams(1)/Observations', 'v2.0/Datastreams(1)/Observations/create', 'v1.1/Things', '$SYS/x', 'v1.1/#', ''])), Buffer.from([0, 1 + mutator.number(3)]), properties(Buffer.from([0x01, 1]), Buffer.from([0x23, 0, mutator.number(4)]), pair('x', 'y'.repeat(mutator.number(300)))), Buffer.from(mutator.mutate('{"result":1,"Datastream":{"@iot.id":1}}'))),
    subscribe: () => packet(0x82, Buffer.from([0, 2]), properties(Buffer.from([0x0b, 1 + mutator.number(127)])), text(mutator.mutate('v1.1/Datastreams(1)/Observations?$select=result')), Buffer.from([mutator.number(256)])),
    unsubscribe: () => packet(0xa2, Buffer.from([0, 3]), properties(), text('v1.1/Things')),
    release: () => packet(0x62, Buffer.from([0, 1 + mutator.number(3), mutator.number(256)]), properties()),
    received: () => packet(mutator.pick([0x40, 0x50, 0x70]), Buffer.from([0, mutator.number(4)])),
    ping: () => packet(0xc0),
    auth: () => packet(0xf0, Buffer.from([0x18]), properties(Buffer.concat([Buffer.from([0x15]), text('SCRAM')]))),
    leave: () => packet(0xe0, Buffer.from([mutator.number(256)]), properties(Buffer.from([0x11, 255, 255, 255, 255]))),
  };
  const kinds = Object.keys(parts) as (keyof typeof parts)[];
  let left = REQUESTS;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      const sent = [mutator.number(10) === 0 ? mutator.pick(kinds) : ('hello' as const), ...Array.from({ length: 1 + mutator.number(6) }, () => mutator.pick(kinds))].map((kind) => {
        const bytes = parts[kind]();
        if (mutator.number(5) === 0) bytes[mutator.number(bytes.length)] = mutator.number(256);
        return bytes;
      });
      left -= sent.length;
      await new Promise<void>((resolve) => {
        const socket = connectTcp(city.mqttPort, '127.0.0.1');
        const patience = setTimeout(() => socket.destroy(), 20);
        socket.on('error', () => undefined); // a connection that the server resets is what this asks for
        socket.on('close', () => {
          clearTimeout(patience);
          resolve();
        });
        socket.resume().on('connect', () => socket.write(Buffer.concat(sent)));
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await attack.expectHealthy();
});
