import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inspect } from '../../src/trust/gate/inspect.ts';
import { describedIn } from '../../src/sensing/entities/description.ts';
import { ROOT } from '../city.ts';

// The same address, number or plate in other clothes.

const ruleOf = (value: unknown): string | undefined => inspect(value, { country: 'DE', first: true })[0]?.rule;
const packed = (text: string, times: number): string => (times === 0 ? text : packed(Buffer.from(text).toString('base64'), times - 1));
const MAIL = 'anna.q@mail.example.com';

test.each([
  ['small commercial at', MAIL.replace('@', '\ufe6b'), 'address.email'],
  ['full-width letters', [...MAIL].map((sign) => String.fromCodePoint((sign.codePointAt(0) as number) + 0xfee0)).join(''), 'address.email'],
  ['zero-width space', 'anna.q\u200b@mail.exam\u200bple.com', 'address.email'],
  ['soft hyphen', 'anna.q@mail\u00ad.example.com', 'address.email'],
  ['HTML, decimal', 'anna.q&#64;mail.example.com', 'address.email'],
  ['HTML, hexadecimal', 'anna.q&#x40;mail.example.com', 'address.email'],
  ['HTML, by name', 'anna.q&commat;mail.example.com', 'address.email'],
  ['one percent escape', 'anna.q%40mail.example.com', 'address.email'],
  ['a JSON escape that was escaped', 'anna.q\\u0040mail.example.com', 'address.email'],
  ['UTF-16 in base64', Buffer.from(MAIL, 'utf16le').toString('base64'), 'address.email'],
  ['base64 five times', packed(MAIL, 5), 'limit.size'],
  ['base64 seven times', packed(MAIL, 7), 'limit.size'],
  ['pieces', ['anna.q', '@mail.', 'example.com'], 'address.email'],
  ['Arabic digits', '+\u0664\u0669 \u0661\u0665\u0661 \u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669', 'phone'],
  ['mathematical digits', `+${[...'4915123456789'].map((digit) => String.fromCodePoint(0x1d7ce + Number(digit))).join('')}`, 'phone'],
  ['full-width digits', `+${[...'4915123456789'].map((digit) => String.fromCodePoint(0xff10 + Number(digit))).join('')}`, 'phone'],
  ['thin spaces', '+49\u2009151\u200923456789', 'phone'],
  ['middle dots', '+49\u00b7151\u00b723456789', 'phone'],
  ['number in pieces', ['+49 151', '23456789'], 'phone'],
  ['MAC with a zero-width space', 'aa\u200b:bb:cc:dd:ee:0f', 'address.mac'],
  ['MAC in pieces', ['aa', 'bb', 'cc', 'dd', 'ee', '0f'], 'address.mac'],
  ['gaps beside the sign', 'anna.q @ mail.example.com', 'address.email'],
  ['at in brackets, with gaps', 'anna.q (at) mail.example.com', 'address.email'],
  ['at and dot as words', 'anna.q at mail dot example dot com', 'address.email'],
  ['quoted local part', '"anna q"@mail.example.com', 'address.email'],
  ['address of a machine as the domain', 'anna.q@[192.0.2.7]', 'address.email'],
  ['address over two members', { user: 'anna.q', host: '@mail.example.com', level: 3 }, 'address.email'],
  ['number over two members', { country: '+49', line: '151 23456789' }, 'phone'],
  ['plate in pieces', ['MS', 'AB', '1234'], 'plate'],
  ['account in pieces', ['DE89', '3704', '0044', '0532', '0130', '00'], 'iban'],
  ['plate in small letters, alone', 'ms-ab 1234', 'plate'],
  ['plate without a gap, alone', 'FSAB1234', 'plate'],
  ['MAC as six whole numbers', { bssid: [170, 187, 204, 221, 238, 15] }, 'address.mac'],
  ['Finnish code that ran into a word', 'the code is131052-308T', 'id.fi-hetu'],
  ['plate with an en dash', 'MS\u2013AB 1234', 'plate'],
  ['plate with a no-break space', 'MS-AB\u00a01234', 'plate'],
  ['plate in Cyrillic capitals', '\u041cS-\u0410\u0412 1234', 'plate'],
])('%s is seen through', (_name, value, rule) => {
  expect(ruleOf(value)).toBe(rule);
});

test.each(['Müllerstraße – Ecke Süd', '21,5 °C', 'Überlauf·Becken 3', 'niveau d’eau', 'Ζώνη 3', 'Район 12', '٢٣٫٥', '水位 3', '100%20', 'R&D', ['open', 'closed'], ['a', 'b', 'c', 'd', 'e', 'f'], ['+', '-'], 'pump @ hall.north', '4 units @ 3.5 kW', 'wi-fi 24', 'bus 123', 'am 107', 'EM500', 'RNV 39A', { status: 'OK', band: 'EU', sf: 12 }, { values: [170, 187, 204, 221, 238, 15] }, { gain: '+3', unit: 'dB' }, 'SN-1234 at the outlet'].map((value) => [value]))('%j is no data about a person', (value) => {
  expect(ruleOf(value)).toBeUndefined();
});

test('the texts of an entity are looked at wherever they stand, its numbers and positions are not', () => {
  const body = { name: 'Mast 4', properties: { Observations: [MAIL], coordinates: [[MAIL]] }, Locations: [{ location: { type: 'Polygon', coordinates: [Array.from({ length: 500 }, (_, at) => [7 + at / 1_000, 51])] } }], Observations: [{ result: 3 }] };
  const seen = JSON.stringify(describedIn(body));
  expect(seen.split(MAIL)).toHaveLength(3);
  expect(seen).not.toMatch(/\d{2}\.\d|"result"/);
});

test('no text keeps the gate busy: digits, gaps and letters that have many readings', () => {
  // in a process of its own: a search that does not end could not be stopped here
  const repeated = [['01100001 ', 10], ['1', 60_000], ['1 ', 30_000], ['11   ', 12_000], ['1.1', 20_000], ['a', 60_000], ['01 ', 20_000], ['tel 0151 ', 6_000], ['a at ', 12_000], ['a.a at b dot ', 4_000], ['"a', 30_000], ['a@', 30_000], ['a.', 30_000], ['#', 60_000], ['A1 ', 20_000], ['AB 12 CD ', 6_000], ['begin 644 \n', 5_000], ['8912345 ', 8_000], ['::1', 20_000]];
  const code = `import { inspect } from ${JSON.stringify(join(ROOT, 'src/trust/gate/inspect.ts'))}; for (const [part, times] of ${JSON.stringify(repeated)}) inspect(part.repeat(times).trim() + '!', { country: 'DE' }); console.log('done');`;
  const { status, stdout } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code], { encoding: 'utf8', timeout: 120_000 });
  expect([status, stdout]).toEqual([0, 'done\n']);
}, 150_000);
