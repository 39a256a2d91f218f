import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { Refused } from '../../../kernel/index.ts';
import type { SourceBatch } from '../adapter.ts';
import { decodePayload } from './codec.ts';
import { createLorawan } from './lorawan.ts';

// Codecs written for this test after the makers' descriptions of their payloads: a list of types, and a frame with flags.
const ELSYS = `function decodeUplink(input) {
  var data = {};
  var b = input.bytes;
  var word = function (at) { return (b[at] << 8) | b[at + 1]; };
  var signed = function (at) { return (word(at) << 16) >> 16; };
  for (var at = 0; at < b.length; ) {
    switch (b[at]) {
      case 0x01: data.temperature = signed(at + 1) / 10; at += 3; break;
      case 0x02: data.humidity = b[at + 1]; at += 2; break;
      case 0x07: data.vdd = word(at + 1); at += 3; break;
      case 0x08: data.analog1 = word(at + 1); at += 3; break;
      case 0x0a: data.pulse1 = word(at + 1); at += 3; break;
      case 0x0c: data.externalTemperature = signed(at + 1) / 10; at += 3; break;
      case 0x0d: data.digital = b[at + 1]; at += 2; break;
      case 0x14: data.pressure = (((b[at + 1] << 24) | (b[at + 2] << 16) | (b[at + 3] << 8) | b[at + 4]) >>> 0) / 1000; at += 5; break;
      default: return { errors: ['type ' + b[at]] };
    }
  }
  return { data: data };
}`;
const CTD10 = `function Decode(fPort, bytes, variables) {
  var word = function (at) { return (bytes[at] << 8) | bytes[at + 1]; };
  if (bytes[0] !== 2) throw new Error('protocol version ' + bytes[0]);
  var flags = word(3);
  var at = 5;
  var out = { device_id: word(1) };
  if (flags & 1) {
    out.water_depth = word(at) - 32768;
    out.temperature = (word(at + 2) - 32768) / 10;
    out.electrical_conductivity = word(at + 4);
    at += 8;
  }
  if (flags & 2) out.battery_voltage = word(at) / 1000;
  return out;
}`;

const vectorsFile = `${SHARED_DATA}/lorawan/uplink-vectors.ndjson`;
interface Vector {
  readonly codec: string;
  readonly kind: string;
  readonly fPort?: number;
  readonly hex: string;
  readonly expected: { readonly data?: Record<string, unknown> };
}
const vectorsOf = (codec: string): Vector[] => readFileSync(vectorsFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Vector).filter((vector) => vector.codec === codec && vector.kind === 'decode');
const inputOf = ({ hex, fPort }: Vector): Parameters<typeof decodePayload>[2] => ({ bytes: Buffer.from(hex, 'hex'), fPort: fPort ?? 1, receivedMs: 0, variables: {} });

test.skipIf(!existsSync(vectorsFile))('published payloads decode to their published values in the sandbox', async () => {
  const elsys = vectorsOf('elsys');
  expect(elsys).toHaveLength(8);
  for (const vector of elsys) expect(await decodePayload('elsys', ELSYS, inputOf(vector))).toEqual(vector.expected.data);
  const ctd10 = vectorsOf('dl-ctd10');
  expect(ctd10).toHaveLength(2);
  for (const vector of ctd10) {
    const decoded = await decodePayload('ctd10', CTD10, inputOf(vector));
    for (const [name, value] of Object.entries(vector.expected.data ?? {})) {
      if (name in decoded) expect([name, decoded[name]]).toEqual([name, typeof value === 'object' ? (value as { value: unknown }).value : value]);
    }
    expect(decoded['battery_voltage']).toBe(3.168);
  }
});

async function faultOf(source: string): Promise<string> {
  try {
    return JSON.stringify(await decodePayload('test', source, { bytes: Buffer.from([1, 2]), fPort: 3, receivedMs: 5, variables: { a: 'b' } }));
  } catch (error) {
    if (error instanceof Refused) return `${error.refusals[0].code} ${error.refusals[0].detail}`;
    throw error;
  }
}

test('every form of codec is called, with what it needs and nothing else', async () => {
  expect(await faultOf('function decodeUplink(i) { return { data: { b: i.bytes, p: i.fPort, t: i.recvTime.getTime(), v: i.variables.a } } }')).toBe('{"b":[1,2],"p":3,"t":5,"v":"b"}');
  expect(await faultOf('function Decode(fPort, bytes, variables) { return { p: fPort, n: bytes.length, v: variables.a } }')).toBe('{"p":3,"n":2,"v":"b"}');
  expect(await faultOf('function Decoder(bytes, port) { return { p: port } }')).toBe('{"p":3}');
  expect(await faultOf('function decodeUplink() { return { data: { all: [typeof fetch, typeof require, typeof process, typeof setTimeout, typeof std, typeof os, typeof WebAssembly, typeof console].join() } } }')).toBe(`{"all":"${Array.from({ length: 8 }, () => 'undefined').join()}"}`);
  // nothing is left of one message for the next
  const counting = 'globalThis.n = (globalThis.n || 0) + 1; Object.prototype.leak = 1; function decodeUplink() { return { data: { n: n } } }';
  expect([await faultOf(counting), await faultOf(counting)]).toEqual(['{"n":1}', '{"n":1}']);
});

test('a codec that loops, eats memory, throws or returns something else is a refusal that names it, and the next one runs', async () => {
  const cases: [string, RegExp][] = [
    ['function decodeUplink() { for (;;) {} }', /test: It ran for more than 50 ms/],
    ['for (;;) {}', /more than 50 ms/],
    ['function decodeUplink() { return { data: { toJSON: function () { for (;;) {} } } } }', /more than 50 ms/],
    ['function decodeUplink() { return /^(a+)+$/.test("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!") }', /more than 50 ms/],
    ['function decodeUplink() { var a = []; for (;;) a.push(new ArrayBuffer(1000000)) }', /out of memory|more than 50 ms/],
    ['function decodeUplink() { var a = []; for (;;) a.push(new Array(100000).fill(1.5)) }', /out of memory|more than 50 ms/],
    ['function decodeUplink() { var a = "x"; for (;;) a += a }', /out of memory|string too long/],
    ['function decodeUplink(i) { return decodeUplink(i) }', /stack overflow/],
    // the interrupt does not reach into a built-in function: the thread is ended
    ['function decodeUplink() { return { data: { a: Array.prototype.indexOf.call({ length: 9007199254740991 }, 1) } } }', /did not come back/],
    ['function decodeUplink() { throw new Error("bad\\n frame") }', /It threw: bad frame/],
    ['function decodeUplink() { throw { toString: function () { for (;;) {} } } }', /It threw/],
    ['function (', /It threw: /],
    ['var a = 1', /none of decodeUplink/],
    ['function decodeUplink() { return { data: { a: "x".repeat(20000) } } }', /more than 16384 characters/],
    ['function decodeUplink() { return { errors: ["wrong port"] } }', /It reports: wrong port/],
    ['function decodeUplink() {}', /returned nothing/],
    ['function decodeUplink() { return 5 }', /did not return \{data/],
    ['function decodeUplink() { return { data: [1] } }', /did not return \{data/],
  ];
  for (const [source, expected] of cases) {
    expect(await faultOf(source)).toMatch(/^feed\.codec-failed /);
    expect([source, expected.test(await faultOf(source))]).toEqual([source, true]);
  }
  expect(await faultOf('function decodeUplink() { return { data: { ok: true } } }')).toBe('{"ok":true}');
});

const codecs = new Map([['elsys', ELSYS], ['broken', 'function decodeUplink() { throw new Error("no") }']]);
const adapter = createLorawan(codecs);
const optionsOf = (server: string, codec: string | null = 'elsys'): object => ({
  server,
  profiles: {
    climate: {
      ...(codec === null ? {} : { codec }),
      interval_s: 600,
      fields: [
        { field: 'temperature', property: 'temperature', name: 'Air temperature', unit: '°C', min: -40, max: 60 },
        { field: 'nested.leak', property: 'leak', name: 'Leak', type: 'term', terms: ['normal', 'leak'] },
        { field: 'door', property: 'door', name: 'Door open', type: 'truth' },
      ],
    },
  },
  devices: [{ dev_eui: '0011223344556677', profile: 'climate', key: 'market', name: 'Market', lon: 7.6, lat: 51.9 }],
});
async function read(options: object, message: unknown): Promise<SourceBatch> {
  if (adapter.push === undefined) throw new Error('lorawan is pushed');
  return adapter.push.read(adapter.options.parse(options), { contentType: 'application/json', body: Buffer.from(JSON.stringify(message)), topic: null, receivedMs: 0 });
}

// messages in the documented forms of both servers
const theThingsStack = (uplink: object, eui = '0011223344556677'): object => ({
  end_device_ids: { device_id: 'eui-0011223344556677', application_ids: { application_id: 'climate' }, dev_eui: eui, join_eui: '0000000000000000', dev_addr: '00BCB929' },
  correlation_ids: ['as:up:01E0WZGT6Y7657CPFPE5WEYDSQ'],
  received_at: '2026-11-24T05:00:01.934642156Z',
  uplink_message: { session_key_id: 'AXBSH1Pk6Z0G166', f_port: 5, f_cnt: 42, frm_payload: Buffer.from('0100ea0237', 'hex').toString('base64'), rx_metadata: [{ gateway_ids: { gateway_id: 'gtw1', eui: '9C5C8E00001A05C4' }, time: '2026-11-24T05:00:01.000Z', rssi: -35, snr: 5.2 }], settings: { data_rate: { lora: { bandwidth: 125000, spreading_factor: 7 } } }, received_at: '2026-11-24T05:00:01.734642156Z', ...uplink },
});
const chirpStack = (more: object, eui = '0011223344556677'): object => ({
  deduplicationId: '3ac7e3c4-4401-4b8d-9386-a5c902f9202d',
  time: '2026-11-24T05:00:01.734642156+00:00',
  deviceInfo: { tenantId: '52f14cd4-c6f1-4fbd-8f87-4025e1d49242', applicationId: '17c82e96-be03-4f38-aef3-f83d48582d97', applicationName: 'climate', deviceProfileName: 'Elsys', deviceName: 'market', devEui: eui, tags: {} },
  devAddr: '00189440',
  adr: true,
  fCnt: 4,
  fPort: 5,
  data: Buffer.from('0100ea0237', 'hex').toString('base64'),
  rxInfo: [{ gatewayId: '0016c001f153a14c', rssi: -36, snr: 10.5 }],
  ...more,
});

test('an uplink of either server is one place with its series; the DevEUI and the radio stay outside', async () => {
  for (const [server, message] of [['the-things-stack', theThingsStack({})], ['chirpstack', chirpStack({})]] as const) {
    const batch = await read(optionsOf(server), message);
    expect(batch).toMatchObject({ places: [{ key: 'market', name: 'Market', geometry: { coordinates: [7.6, 51.9] } }], series: [{ key: 'market/temperature', unit: { symbol: '°C' }, min: -40, max: 60, interval_s: 600 }], readings: [{ seriesKey: 'market/temperature', phenomenonTime: '2026-11-24T05:00:01.734Z', result: 23.4 }], refusals: [], ignored: 1 });
    expect(JSON.stringify(batch)).not.toMatch(/0011223344556677|rssi|gtw1|0016c001/i);
  }
});

test('what the network server decoded itself goes first, and its fields are checked one by one', async () => {
  const decoded = { temperature: 'hot', nested: { leak: 'leak' }, door: 1, extra: 4, more: { of: 'this' } };
  for (const message of [chirpStack({ object: decoded })]) {
    const batch = await read(optionsOf('chirpstack', null), message);
    expect(batch.readings.map(({ result }) => result)).toEqual(['leak', true]);
    expect(batch.refusals).toMatchObject([{ at: 'market: temperature', refusal: { code: 'feed.value-invalid' } }]);
    expect(batch.ignored).toBe(2);
  }
  const ttn = await read(optionsOf('the-things-stack'), theThingsStack({ decoded_payload: { temperature: 21 } }));
  expect(ttn.readings).toMatchObject([{ result: 21 }]);
  const word = await read(optionsOf('chirpstack'), chirpStack({ object: { nested: { leak: 'call me' } } }));
  expect([word.readings, word.refusals[0]?.refusal.code]).toEqual([[], 'feed.value-invalid']);
});

test('unknown devices, broken codecs and messages of other kinds', async () => {
  const stranger = await read(optionsOf('chirpstack'), chirpStack({}, 'FFFFFFFFFFFFFFFF'));
  expect(stranger).toEqual({ places: [], series: [], readings: [], refusals: [{ at: 'device', refusal: expect.objectContaining({ code: 'feed.sender-unknown' }) as unknown }] });
  expect(JSON.stringify(stranger)).not.toContain('FFFF');
  expect((await read(optionsOf('chirpstack', 'broken'), chirpStack({}))).refusals).toMatchObject([{ at: 'market', refusal: { code: 'feed.codec-failed', detail: 'broken: It threw: no' } }]);
  expect((await read(optionsOf('chirpstack', null), chirpStack({}))).refusals).toMatchObject([{ refusal: { code: 'feed.codec-failed' } }]);
  expect(await read(optionsOf('chirpstack'), chirpStack({ data: undefined, fPort: 0 }))).toMatchObject({ readings: [], refusals: [] });
  const wrong: [string, object][] = [
    ['the-things-stack', { end_device_ids: { dev_eui: '0011223344556677' }, join_accept: {} }],
    ['the-things-stack', { ...theThingsStack({}), simulated: true }],
    ['the-things-stack', theThingsStack({ frm_payload: 'not base64!' })],
    ['the-things-stack', theThingsStack({ f_port: 999 })],
    ['the-things-stack', theThingsStack({ received_at: 'now' })],
    ['chirpstack', chirpStack({ data: Buffer.alloc(300).toString('base64') })],
    ['chirpstack', theThingsStack({})],
    ['chirpstack', []],
  ];
  for (const [server, message] of wrong) await expect(read(optionsOf(server), message)).rejects.toThrow('feed.document-invalid');
});

test('options that cannot work are refused at their place', () => {
  const issueOf = (options: object): string => {
    const parsed = adapter.options.safeParse(options);
    return parsed.success ? 'good' : `${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? ''}`;
  };
  const good = optionsOf('chirpstack') as { profiles: { climate: { fields: object[] } }; devices: object[] };
  expect(issueOf(good)).toBe('good');
  expect(issueOf(optionsOf('chirpstack', 'missing'))).toBe('profiles.climate.codec: There is no file codecs/missing.js in the folder of the city.');
  expect(issueOf({ ...good, devices: [...good.devices, ...good.devices] })).toContain('devices.1.dev_eui: This DevEUI stands twice.');
  expect(issueOf({ ...good, devices: [{ ...good.devices[0], profile: 'other' }] })).toContain('There is no profile other');
  expect(issueOf({ ...good, profiles: { climate: { fields: [{ field: 'a', property: 'a', name: 'A', unit: 'furlong', min: 0, max: 1 }] } } })).toContain('There is no unit furlong');
  expect(issueOf({ ...good, profiles: { climate: { fields: [{ field: 'a', property: 'a', name: 'A', unit: 'm' }] } } })).toContain('A number needs unit, min and max');
});

test('no message of any shape makes the reader throw anything but a refusal', async () => {
  const options = adapter.options.parse(optionsOf('chirpstack'));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.jsonValue(), fc.record({ time: fc.constant('2026-11-24T05:00:00Z'), deviceInfo: fc.constant({ devEui: '0011223344556677' }), fPort: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.jsonValue()), data: fc.oneof(fc.base64String({ maxLength: 60 }), fc.jsonValue()), object: fc.oneof(fc.constant(undefined), fc.jsonValue()) })), async (message) => {
      try {
        await adapter.push?.read(options, { contentType: '', body: Buffer.from(JSON.stringify(message)), topic: null, receivedMs: 0 });
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
      }
    }),
    { numRuns: 200 },
  );
});
