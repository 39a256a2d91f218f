import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unwrap } from '../../kernel/index.ts';
import { hasOddNumber, parseExactJson, writeExactJson } from './exact-json.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const throughParser = (text: string): string => writeExactJson(unwrap(parseExactJson(bytes(text))));

test.each(['1.0', '1e3', '-0', '-0.0', '12345678901234567890', '0.10', '0.0000001', '1E400', '123456789.1234567890123', '-1.50'])('the number %s is written again as it came', (text) => {
  expect(throughParser(text)).toBe(text);
  expect(throughParser(`{"a":[1,${text},"x"]}`)).toBe(`{"a":[1,${text},"x"]}`);
});

const numberText = fc
  .tuple(fc.constantFrom('', '-'), fc.oneof(fc.constant('0'), fc.bigInt({ min: 1n, max: 10n ** 22n }).map(String)), fc.option(fc.stringMatching(/^\d{1,20}$/), { nil: undefined }), fc.option(fc.stringMatching(/^[eE][+-]?\d{1,3}$/), { nil: undefined }))
  .map(([sign, whole, fraction, exponent]) => `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${exponent ?? ''}`);

test('any number of JSON is written again as it came, wherever it stands', () => {
  fc.assert(
    fc.property(numberText, fc.constantFrom('', ' ', '\n'), (text, space) => {
      expect(throughParser(text)).toBe(text);
      expect(throughParser(`[${text}${space}]`)).toBe(`[${text}]`);
      expect(throughParser(`{"a":${text}${space},"b":"${text}"}`)).toBe(`{"a":${text},"b":"${text}"}`);
    }),
  );
});

test('numbers that a double prints back need no second look', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !/e/.test(String(value)) && !Object.is(value, -0)), fc.string(), (value, name) => {
      expect(hasOddNumber(bytes(JSON.stringify({ [name]: value })))).toBe(false);
    }),
  );
});

test('any JSON value comes back as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(JSON.parse(throughParser(text))).toEqual(JSON.parse(text));
    }),
  );
});

test.each([['half an object', '{"a":', 'http.malformed'], ['a word', 'NaN', 'http.malformed'], ['a comma too many', '[1.0,]', 'http.malformed'], ['nothing', '', 'http.malformed'], ['a million brackets', `${'['.repeat(1_000_000)}1.0${']'.repeat(1_000_000)}`, 'http.too-deep']])('%s is refused', (_name, text, code) => {
  const parsed = parseExactJson(bytes(text));
  expect(parsed.ok ? 'taken' : parsed.refusal.code).toBe(code);
});

test('bytes that are not UTF-8 are refused', () => {
  const parsed = parseExactJson(Buffer.from([0x22, 0xff, 0x22]));
  expect(parsed.ok ? 'taken' : parsed.refusal.code).toBe('http.malformed');
});
