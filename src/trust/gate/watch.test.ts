import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { seeded } from '../../../test/gate-corpus.ts';
import { Neighbourhood } from './recurrence.ts';
import { createWatch } from './watch.ts';

const gauss = (random: () => number): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** A day at a counter: most pass once, some come back after a while. `write` makes the identifier of a passer-by. */
function* passers(random: () => number, count: number, write: (person: number, hour: number) => number | string): Generator<number | string> {
  const met: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const hour = Math.floor((at / count) * 24);
    const returns = met.length > 30 && random() < 0.25;
    const person = returns ? (met[Math.max(0, met.length - 1 - Math.floor(random() * 150))] as number) : Math.floor(random() * 2 ** 40);
    met.push(person);
    yield write(person, hour);
  }
}

const digest = (person: number, salt: string): Buffer => createHash('sha256').update(`${salt}:${String(person)}`).digest();
/** How a hashed address is written: a text or a number, of two to eight bytes. */
const SPELLINGS: Readonly<Record<string, (hash: Buffer) => number | string>> = {
  'hex 8': (hash) => hash.toString('hex', 0, 8),
  'hex 6': (hash) => hash.toString('hex', 0, 6),
  'hex 4': (hash) => hash.toString('hex', 0, 4),
  'hex 3': (hash) => hash.toString('hex', 0, 3),
  'base64 6': (hash) => hash.toString('base64url', 0, 6),
  'hex 32': (hash) => hash.toString('hex'),
  'integer 6': (hash) => hash.readUIntBE(0, 6),
  'integer 4': (hash) => hash.readUInt32BE(0),
  'integer 3': (hash) => hash.readUIntBE(0, 3),
  'integer 2': (hash) => hash.readUInt16BE(0),
  'float of 4': (hash) => hash.readUInt32BE(0) / 2 ** 32,
  'float of 6': (hash) => hash.readUIntBE(0, 6) / 2 ** 48,
};

test('at least 99 of 100 streams of hashed addresses are noticed within a day of passers-by', () => {
  const random = seeded(5);
  const missed: string[] = [];
  let streams = 0;
  for (const [name, spell] of Object.entries(SPELLINGS)) {
    for (const salted of ['daily', 'hourly'] as const) {
      for (let n = 0; n < 10; n += 1) {
        streams += 1;
        const watch = createWatch(new Neighbourhood(), streams);
        let isNoticed = false;
        for (const value of passers(random, 6_000, (person, hour) => spell(digest(person, `${String(streams)} ${salted === 'daily' ? '' : String(hour)}`)))) {
          isNoticed ||= typeof value === 'number' ? watch.noteNumber(value) : watch.noteText(value);
          if (isNoticed) break;
        }
        if (!isNoticed) missed.push(`${name}, ${salted}`);
      }
    }
  }
  expect(missed.length / streams, missed.join('; ')).toBeLessThanOrEqual(0.01);
}, 120_000);

type Course = (at: number, random: () => number) => number | string;
const SMOOTH = (mean: number, spread: number, digits: number): (() => Course) => () => {
  let value = mean;
  return (_at, random) => (value = Number((value + gauss(random) * spread + (mean - value) * 0.05).toFixed(digits)));
};
/** What honest sensors send, each kind made anew with its own state. */
const HONEST: Readonly<Record<string, (random: () => number) => Course>> = {
  temperature: SMOOTH(15, 0.2, 1),
  'noise level': () => (_at, random) => Number((55 + gauss(random) * 6).toFixed(1)),
  'noise, fine': () => (_at, random) => 55 + gauss(random) * 6,
  'energy meter': () => { let sum = 1e6; return (_at, random) => (sum += Math.floor(random() * 40)); },
  'energy, float': () => { let sum = 1e4; return (_at, random) => (sum += random() * 0.7); },
  'water level': SMOOTH(2.3, 0.01, 3),
  'river, raw': SMOOTH(2.3, 0.02, 12),
  'milliseconds': (random) => { const start = 1.78e12 + Math.floor(random() * 1e9); return (at) => start + at * 60_000; },
  'milliseconds, jittered': (random) => { const start = 1.78e12; void random; return (at, draw) => start + at * 60_000 + Math.floor(draw() * 900); },
  'sequence number': (random) => { const start = Math.floor(random() * 5e4); return (at) => (start + at) % 65_536; },
  'sequence of 32 bits': (random) => { const start = Math.floor(random() * 4e9); return (at) => start + at; },
  'traffic count': () => (at, random) => Math.max(0, Math.round(80 + 70 * Math.sin(at / 40) + gauss(random) * 12)),
  'people count': () => (at, random) => Math.max(0, Math.round(20 + 18 * Math.sin(at / 60) + gauss(random) * 6)),
  'GPS of a fixed thing': () => (_at, random) => Number((51.9612 + gauss(random) * 0.00003).toFixed(6)),
  'signal strength': () => (_at, random) => Math.round(-95 + gauss(random) * 7),
  'signal to noise': () => (_at, random) => Number((5 + gauss(random) * 4).toFixed(1)),
  'battery voltage': SMOOTH(3.6, 0.001, 3),
  'even noise': () => (_at, random) => Math.floor(random() * 1_024),
  'even noise, float': () => (_at, random) => Number((random() * 100).toFixed(2)),
  'wind direction': () => { let value = 200; return (_at, random) => (value = Math.round((value + gauss(random) * 25 + 360) % 360)); },
  'wind direction, calm': () => (_at, random) => Math.floor(random() * 360),
  'rain': () => (_at, random) => (random() < 0.9 ? 0 : Number((random() * 3).toFixed(1))),
  'dust': () => (_at, random) => Number(Math.exp(2.5 + gauss(random) * 0.6).toFixed(2)),
  'dust, fine': () => (_at, random) => Math.exp(2.5 + gauss(random) * 0.6),
  'status word': () => (_at, random) => [0, 1, 16, 32_768, 33][Math.floor(random() ** 3 * 5)] as number,
  'flags': () => (_at, random) => Math.floor(random() * 256) & 0b1011,
  'occupancy': () => { let value = 60; return (_at, random) => (value = Math.min(120, Math.max(0, value + Math.round(gauss(random) * 2)))); },
  'state text': () => (_at, random) => ['open', 'closed', 'moving', 'fault'][Math.floor(random() * 4)] as string,
  'firmware': () => (at) => (at < 500 ? '2.1.0' : '2.1.1'),
  'time text': () => (at) => new Date(1.78e12 + at * 60_000).toISOString(),
  'error code': () => (_at, random) => `E${String(Math.floor(random() * 20)).padStart(2, '0')}`,
  'line name': () => (_at, random) => `Line ${String(1 + Math.floor(random() * 60))}`,
  'speed': () => (_at, random) => Math.max(5, Math.round(48 + gauss(random) * 9)),
  'speed, fine': () => (_at, random) => Number(Math.max(5, 48 + gauss(random) * 9).toFixed(1)),
  'vehicle length': () => (_at, random) => Number((random() < 0.85 ? 4.4 + gauss(random) * 0.4 : 14 + gauss(random) * 3).toFixed(2)),
  'light': () => (at, random) => Math.max(0, Math.round(20_000 * Math.sin(at / 220) + gauss(random) * 400)),
  'pulse counter that wraps': () => { let sum = 0; return (_at, random) => (sum = (sum + Math.floor(random() * 900)) % 65_536); },
  'power': () => (_at, random) => Math.round(Math.abs(900 + gauss(random) * 500)),
  'response time': () => (_at, random) => Math.round(20 - Math.log(1 - random()) * 30),
  'frequency': () => (_at, random) => Number((50 + gauss(random) * 0.02).toFixed(3)),
};

test('of honest streams at most one in 500 is taken for identifiers', () => {
  const random = seeded(9);
  const others = new Neighbourhood();
  const wronged: string[] = [];
  let streams = 0;
  for (const [name, make] of Object.entries(HONEST)) {
    for (let n = 0; n < 15; n += 1) {
      streams += 1;
      const watch = createWatch(others, streams);
      const course = make(random);
      for (let at = 0; at < 2_880; at += 1) {
        const value = course(at, random);
        if (typeof value === 'number' ? watch.noteNumber(value) : watch.noteText(value)) {
          wronged.push(name);
          break;
        }
      }
    }
  }
  expect(streams).toBeGreaterThanOrEqual(500);
  expect(wronged.length, wronged.join('; ')).toBeLessThanOrEqual(Math.floor(streams / 500));
}, 120_000);

/** A street by the clock, made in another way than above: a telephone is heard some times within minutes; some people come back hours later. */
function* street(random: () => number, visitors: number, mode: 'probes' | 'commuters' | 'both'): Generator<{ time_s: number; who: number }> {
  const wait = (mean_s: number): number => -Math.log(1 - random()) * mean_s;
  const heard: { time_s: number; who: number }[] = [];
  for (let who = 0; who < visitors; who += 1) {
    const first_s = random() * 86_400 * (0.3 + 0.7 * random());
    const times = mode === 'commuters' ? 1 : 1 + Math.floor(wait(1.2));
    for (let at = 0; at < times; at += 1) heard.push({ time_s: first_s + at * wait(60), who });
    if (mode !== 'probes' && random() < (mode === 'commuters' ? 0.35 : 0.15)) heard.push({ time_s: Math.min(86_399, first_s + 20_000 + wait(8_000)), who });
  }
  yield* heard.sort((a, b) => a.time_s - b.time_s);
}

const base32 = (bytes: Buffer): string => [...bytes].map((byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte & 31] as string).join('');
const asUuid = (hash: Buffer): string => hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
const OTHER_SPELLINGS: Readonly<Record<string, (hash: Buffer) => number | string>> = {
  '24 bits, hex': (hash) => hash.toString('hex', 0, 3),
  '48 bits, HEX': (hash) => hash.toString('hex', 0, 6).toUpperCase(),
  '20 bits': (hash) => hash.readUIntBE(0, 3) & 0xf_ffff,
  '24 bits': (hash) => hash.readUIntBE(0, 3),
  '32 bits, signed': (hash) => hash.readInt32BE(0),
  '48 bits': (hash) => hash.readUIntBE(0, 6),
  '53 bits': (hash) => Number(hash.readBigUInt64BE(0) >> 11n),
  '32 bits, decimal text': (hash) => String(hash.readUInt32BE(0)),
  'base32': (hash) => base32(hash.subarray(0, 8)),
  'base64, whole': (hash) => hash.toString('base64'),
  'as a UUID': asUuid,
  'behind a prefix': (hash) => `dev_${hash.toString('hex', 0, 4)}`,
  'micro-units': (hash) => hash.readUInt32BE(0) / 1e6,
};

test('hashed addresses of a street that was made in another way are noticed as well, and those that only pass from counter to counter', () => {
  const random = seeded(31);
  const missed: string[] = [];
  let streams = 0;
  for (const [name, spell] of Object.entries(OTHER_SPELLINGS)) {
    for (const [salt_s, mode] of [[86_400, 'probes'], [86_400, 'commuters'], [3_600, 'probes'], [3_600, 'both']] as const) {
      for (const visitors of [1_500, 6_000]) {
        streams += 1;
        const watch = createWatch(new Neighbourhood(), streams);
        let isNoticed = false;
        for (const { time_s, who } of street(random, visitors, mode)) {
          const value = spell(digest(who, `${String(streams)} ${String(Math.floor(time_s / salt_s))}`));
          if (typeof value === 'number' ? watch.noteNumber(value) : watch.noteText(value)) {
            isNoticed = true;
            break;
          }
        }
        if (!isNoticed) missed.push(`${name}, ${String(salt_s)}, ${mode}, ${String(visitors)}`);
      }
    }
  }
  expect(missed.length, missed.join('; ')).toBeLessThanOrEqual(Math.floor(streams / 100));
  const others = new Neighbourhood();
  const [here, there] = [createWatch(others, 901), createWatch(others, 902)];
  let isSeenAgain = false;
  for (let who = 0; who < 4_000; who += 1) {
    isSeenAgain ||= here.noteText(digest(who, 'day').toString('hex', 0, 5));
    isSeenAgain ||= there.noteText(digest(who > 30 && random() < 0.3 ? who - 20 : who + 1e6, 'day').toString('hex', 0, 5));
  }
  expect(isSeenAgain).toBe(true);
}, 120_000);

/** Numbers of messages, sessions, batches and places, as members of a result: no passer-by among them. */
const NUMBERED: Readonly<Record<string, (random: () => number) => Course>> = {
  'UUID of a message': (random) => () => asUuid(digest(Math.floor(random() * 2 ** 40), 'message')),
  'hex number of a message': (random) => () => digest(Math.floor(random() * 2 ** 40), 'message').toString('hex', 0, 6),
  'nonce of 32 bits': (random) => () => Math.floor(random() * 2 ** 32),
  'session of twelve readings': (random) => { const start = Math.floor(random() * 1e9); return (at) => digest(start + Math.floor(at / 12), 'session').toString('hex', 0, 5); },
  'batch': () => (at) => `B${String(20_260_000 + Math.floor(at / 50))}-${'ABC'[at % 3] as string}`,
  'one of 400 bays': (random) => () => `P-${String(Math.floor(random() * 400)).padStart(4, '0')}`,
  'one of 3000 bays': (random) => () => `P${String(Math.floor(random() * 3_000)).padStart(4, '0')}`,
  'number of a bus': (random) => () => 3_000 + Math.floor(random() * 250),
  'check of 16 bits': (random) => () => Math.floor(random() * 65_536).toString(16).padStart(4, '0'),
  'trip': () => (at) => `1.T0.10-${String(Math.floor(at / 7))}-j26-1.${String(1 + (at % 9))}.H`,
  'bytes of a message': (random) => {
    let [warmth, damp, mains] = [215, 96, 3_600];
    return (at, draw) => {
      [warmth, damp, mains] = [warmth + Math.round(gauss(draw) * 2), Math.min(200, Math.max(20, damp + Math.round(gauss(draw)))), 3_600 - Math.floor(at / 400)];
      const bytes = Buffer.alloc(9);
      bytes.writeUInt8(random() < 0.02 ? 3 : 1, 0);
      bytes.writeInt16BE(Math.round(warmth / 2) * 2, 1);
      bytes.writeUInt8(damp, 3);
      bytes.writeUInt16BE(mains, 4);
      bytes.writeUInt16BE(Math.max(0, Math.round(400 + 250 * Math.sin(at / 60) + gauss(draw) * 4)), 6);
      return bytes.toString('hex');
    };
  },
  'bytes with few states': () => (_at, draw) => `0a${['00', '2c', '55'][Math.floor(draw() * 3)] as string}${Math.floor(draw() * 40).toString(16).padStart(2, '0')}0001`,
  'frame counter with losses': (random) => { let counter = Math.floor(random() * 65_536); return (_at, draw) => (counter = (counter + 1 + (draw() < 0.1 ? Math.floor(draw() * 5) : 0)) % 65_536); },
  'time out of order': () => (at, draw) => 1_780_000_000 + at * 60 - (draw() < 0.1 ? Math.floor(draw() * 3_600) : 0),
  'signal strength, float': () => (_at, draw) => -60 - draw() * 60,
};

test('numbers of messages, sessions, batches and places are none, not even where two streams carry the same', () => {
  const random = seeded(32);
  const others = new Neighbourhood();
  const wronged: string[] = [];
  let streams = 1_000;
  for (const [name, make] of Object.entries(NUMBERED)) {
    for (let n = 0; n < 8; n += 1) {
      const watch = createWatch(others, (streams += 1)).field('.id');
      const course = make(random);
      for (let at = 0; at < 4_000; at += 1) {
        const value = course(at, random);
        if ((typeof value === 'number' ? watch?.noteNumber(value) : watch?.noteText(value)) === true) {
          wronged.push(name);
          break;
        }
      }
    }
  }
  const [first, second] = [createWatch(others, (streams += 1)).field('.id'), createWatch(others, (streams += 1)).field('.id')];
  for (let at = 0; at < 4_000; at += 1) {
    const number = digest(at, 'shared').toString('hex', 0, 8);
    if (first?.noteText(number) === true || second?.noteText(number) === true) wronged.push('shared by two streams');
  }
  expect(wronged).toEqual([]);
}, 120_000);
