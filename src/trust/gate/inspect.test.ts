import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { makeCorpus } from '../../../test/gate-corpus.ts';
import { inspect } from './inspect.ts';

const rulesIn = (value: unknown, country = 'DE'): string[] => [...new Set(inspect(value, { country }).map(({ rule }) => rule))];

test('of each kind of number at least 99 of 100 are found, and of what is found at least 95 of 100 are right', () => {
  const found = new Map<string, { there: number; right: number; wrong: number }>();
  const of = (rule: string) => found.get(rule) ?? found.set(rule, { there: 0, right: 0, wrong: 0 }).get(rule)!;
  for (const seed of [1, 2]) {
    for (const { text, carries, misses, country } of makeCorpus(seed, 100)) {
      const rules = rulesIn(text, country);
      if (carries !== null) {
        of(carries).there += 1;
        if (rules.includes(carries)) of(carries).right += 1;
      }
      // a near miss may by chance be the right number of another country
      for (const rule of rules) if (rule !== carries && (misses === undefined || misses === rule)) of(rule).wrong += 1;
    }
  }
  const weak = [...found].filter(([, { there, right, wrong }]) => (there > 0 && (right / there < 0.99 || right / (right + wrong) < 0.95)) || (there === 0 && wrong > 2));
  expect(weak).toEqual([]);
  expect(found.size).toBeGreaterThan(25);
}, 120_000);

test('what is said of streams about vehicles is no plate of any country', () => {
  const said = ['Vehicles every 60 s', 'Free car spaces every 300 s', 'Cars in 15 min', 'Parked cars, deck 12 of 14', 'CAR PARK 60 SPACES', 'vehicles on b 51 at km 12', 'Kfz je 15 min', 'Fahrzeuge in 60 s', 'ladesäule für auto 22 kw', 'vehicle detector v 101', 'Autos cada 300 s', 'Voitures par 15 min', 'auto ogni 60 s', 'samochody co 60 s', 'Vehicle speed mean 50 km/h', 'car park, 812 places'];
  for (const country of ['DE', 'AT', 'CH', 'GB', 'FR', 'NL', 'FI', 'PL', 'SE', 'IT', 'ES', 'TR', 'UY', 'HU', 'PT', 'CZ', 'DK']) for (const text of said) expect(rulesIn(text, country), `${text} in ${country}`).toEqual([]);
});

/** The first bytes of each kind of file, filled up so that lengths are what they say. */
const fill = (head: readonly number[] | string, length = 48): Buffer => Buffer.concat([typeof head === 'string' ? Buffer.from(head, 'latin1') : Buffer.from(head), Buffer.from(Array.from({ length }, (_, at) => (at * 37 + 11) & 0xff))]);
const SECRETS: readonly (readonly [string, string, Buffer])[] = [
  ['JPEG', 'media.image', fill([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46])],
  ['PNG', 'media.image', fill('\x89PNG\r\n\x1a\n')],
  ['GIF', 'media.image', fill('GIF89a')],
  ['WebP', 'media.image', fill('RIFF\x40\0\0\0WEBPVP8 ')],
  ['AVIF', 'media.image', fill('\0\0\0\x20ftypavif')],
  ['HEIC', 'media.image', fill('\0\0\0\x18ftypheic')],
  ['TIFF', 'media.image', fill('II*\0\x08\0\0\0')],
  ['BMP', 'media.image', fill('BM\x66\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0')],
  ['MP4', 'media.video', fill('\0\0\0\x18ftypisom')],
  ['WAV', 'media.audio', fill('RIFF\x40\0\0\0WAVEfmt ')],
  ['Ogg', 'media.audio', fill('OggS\0\x02')],
  ['MP3', 'media.audio', fill('ID3\x04\0\0\0\0\0\0')],
  ['FMR', 'template.iso19794', fill('FMR\x00 20\x00')],
  ['FIR', 'template.iso19794', fill('FIR\x00010\x00')],
  ['FAC', 'template.iso19794', fill('FAC\x00010\x00')],
  ['IIR', 'template.iso19794', fill('IIR\x00010\x00')],
  ['WSQ', 'template.wsq', fill([0xff, 0xa0, 0xff, 0xa8, 0, 0x7a])],
];
const base32 = (bytes: Buffer): string => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)] as string).join('');
};
const base85 = (bytes: Buffer): string => {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const part = Buffer.concat([bytes.subarray(at, at + 4), Buffer.alloc(4)]).subarray(0, 4);
    let value = part.readUInt32BE(0);
    let group = '';
    for (let sign = 0; sign < 5; sign += 1) {
      group = String.fromCharCode(33 + (value % 85)) + group;
      value = Math.floor(value / 85);
    }
    text += group.slice(0, Math.min(4, bytes.length - at) + 1);
  }
  return text;
};
/** A map of one member (RFC 8949 §3.1): a name, then bytes or a text with a length of two bytes. */
const cborOf = (name: string, value: Buffer | string): Buffer => {
  const content = Buffer.from(value as string);
  const head = Buffer.from([typeof value === 'string' ? 0x79 : 0x59, content.length >> 8, content.length & 0xff]);
  return Buffer.concat([Buffer.from([0xa1, 0x60 + name.length]), Buffer.from(name), head, content]);
};
/** POSIX uuencode: 45 bytes a line, six bits a sign, a grave for nothing. */
const uuencode = (bytes: Buffer): string => {
  const six = (value: number): string => String.fromCharCode(value === 0 ? 96 : value + 32);
  const lines = Array.from({ length: Math.ceil(bytes.length / 45) }, (_, line) => {
    const part = bytes.subarray(line * 45, line * 45 + 45);
    let text = six(part.length);
    for (let at = 0; at < part.length; at += 3) {
      const [a = 0, b = 0, c = 0] = part.subarray(at, at + 3);
      text += [a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63].map(six).join('');
    }
    return text;
  });
  return ['begin 644 frame', ...lines, '`', 'end', ''].join('\n');
};
const backwards = (text: string): string => [...text].reverse().join('');
/** Encodings; each gives bytes or a JSON value. */
const ENCODINGS: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  base64: (bytes) => bytes.toString('base64'),
  base64url: (bytes) => bytes.toString('base64url'),
  hex: (bytes) => bytes.toString('hex'),
  base32,
  ascii85: base85,
  percent: (bytes) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  'list of bytes': (bytes) => [...bytes],
  gzip: (bytes) => gzipSync(bytes).toString('base64'),
  deflate: (bytes) => deflateSync(bytes).toString('base64'),
  cbor: (bytes) => cborOf('frame', bytes).toString('base64'),
  'raw deflate': (bytes) => deflateRawSync(bytes).toString('base64'),
  'raw deflate, stored': (bytes) => deflateRawSync(bytes, { level: 0 }).toString('base64'),
  brotli: (bytes) => brotliCompressSync(bytes).toString('base64'),
  zstd: (bytes) => zstdCompressSync(bytes).toString('base64'),
  uuencode,
  'base64 backwards': (bytes) => backwards(bytes.toString('base64')),
  'hex backwards': (bytes) => backwards(bytes.toString('hex')),
};
const NESTINGS: Readonly<Record<string, (value: unknown) => unknown>> = {
  itself: (value) => value,
  'in an object': (value) => ({ a: [{ b: value }] }),
  'JSON in a text': (value) => ({ payload: JSON.stringify({ frame: value }) }),
  'in base64 once more': (value) => ({ payload: Buffer.from(JSON.stringify({ frame: value })).toString('base64') }),
  'gzip in hex': (value) => gzipSync(JSON.stringify([value])).toString('hex'),
  'in CBOR': (value) => cborOf('v', JSON.stringify({ frame: value })).toString('base64url'),
};

describe('images, sound and templates', () => {
  test.each(SECRETS)('%s is found in seventeen encodings, nested', (_name, rule, bytes) => {
    const missed: string[] = [];
    for (const [encoding, write] of Object.entries(ENCODINGS)) for (const [nesting, nest] of Object.entries(NESTINGS)) if (!rulesIn(nest(write(bytes))).includes(rule)) missed.push(`${encoding}, ${nesting}`);
    expect(missed).toEqual([]);
  });
  test('an archive that is not opened is refused as one', () => {
    for (const head of ['PK\x03\x04', '7z\xbc\xaf\x27\x1c', 'Rar!\x1a\x07\0', '\xfd7zXZ\0', 'BZh91AY&SY', '\x04\x22\x4d\x18']) expect(rulesIn({ file: fill(head).toString('base64') }), head).toContain('media.document');
  });
  test('raw deflate, data URIs and links to cameras are found', () => {
    expect(rulesIn(deflateRawSync(fill([0xff, 0xd8, 0xff, 0xe0], 400)).toString('base64'))).toContain('media.image');
    expect(rulesIn('data:image/png;base64,AAAA')).toContain('media.image');
    expect(rulesIn({ stream: 'rtsp://camera.example/1' })).toContain('media.link');
  });
});

test('vectors are found as numbers, as texts, as bytes and cut into pieces; a spectrum that is registered is none', () => {
  const vector = Array.from({ length: 128 }, (_, at) => Math.sin(at * 12.9) / 8);
  const floats = Buffer.alloc(512);
  vector.forEach((value, at) => floats.writeFloatLE(value, at * 4));
  const cut = Object.fromEntries(vector.map((value, at) => [`f${String(at)}`, value]));
  const halves = { left: [vector.slice(0, 20), vector.slice(20, 40)] };
  for (const value of [vector, { embedding: vector }, vector.map(String), vector.join(','), vector.join(' '), floats.toString('base64'), cut, halves]) expect(rulesIn(value)).toContain('vector.embedding');
  expect(inspect(vector, { country: 'DE', mayBeVector: true })).toEqual([]);
  expect(rulesIn(vector.slice(0, 32))).toEqual([]);
});

test('three places of one object are its way; the course of a road and places without an object are none', () => {
  const places = [[7.61, 51.96], [7.62, 51.97], [7.63, 51.98]];
  expect(rulesIn({ id: 'a7', path: places })).toContain('trajectory');
  expect(rulesIn(places.map(([lon, lat]) => ({ track: 12, lon, lat })))).toContain('trajectory');
  expect(rulesIn({ id: 'road-7', type: 'LineString', coordinates: places })).toEqual([]);
  expect(rulesIn({ stops: places })).toEqual([]);
});

test('bombs are refused before they grow', () => {
  const zeros = Buffer.alloc(50_000_000);
  const deep = `${'['.repeat(5_000)}1${']'.repeat(5_000)}`;
  let nested: unknown = 1;
  for (let at = 0; at < 40; at += 1) nested = [nested];
  const cborNest = Buffer.concat([Buffer.alloc(2_000, 0x81), Buffer.from([0])]).toString('base64');
  const before = process.memoryUsage().arrayBuffers;
  for (const value of [gzipSync(zeros).toString('base64'), deflateSync(zeros).toString('base64'), { a: deep }, nested, 'x'.repeat(70_000)]) expect(rulesIn(value)).toContain('limit.size');
  // a length that the bytes do not have, an item without an end, a nest: no CBOR, and nothing is made of them
  for (const value of [Buffer.from([0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 1]).toString('base64'), Buffer.from([0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f, 0x9f]).toString('base64'), cborNest]) expect(() => rulesIn(value)).not.toThrow();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60_000_000);
});

test('an EUI-64 belongs into the envelope, not into a result, and is no MAC address', () => {
  expect(rulesIn({ devEUI: '70b3d57050001234' })).toEqual(['address.eui64']);
  expect(rulesIn('70b3d57050001234')).toEqual([]);
});

test('what a sensor says passes', () => {
  for (const value of [{ temperature: 21.4, humidity: 48, battery_volt: 3.6 }, { firmware: '2.10.3.44', uptime_s: 1_234_567_890, at: 1_780_842_686 }, { id: 'urn:ngsi-ld:AirQuality:7', location: { type: 'Point', coordinates: [7.62, 51.96] } }, { licensePlate: '' }]) expect(rulesIn(value)).toEqual([]);
});
