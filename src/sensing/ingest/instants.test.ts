import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseInstantMs } from '../../kernel/index.ts';
import { readInstantMs, readSpan } from './instants.ts';

const instant = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true });

test('the short way reads what the long way reads', () => {
  fc.assert(
    fc.property(instant, (date) => {
      const text = date.toISOString();
      expect(readInstantMs(text)).toBe(date.getTime());
      const whole = `${text.slice(0, 19)}Z`;
      expect(readInstantMs(whole)).toBe(parseInstantMs(whole));
    }),
  );
});

test('one wrong character is never read as another time', () => {
  fc.assert(
    fc.property(instant, fc.nat(23), fc.constantFrom(...'0129:-/.TZ x', '٣'), (date, at, letter) => {
      const text = date.toISOString();
      const changed = text.slice(0, at) + letter + text.slice(at + 1);
      expect(readInstantMs(changed)).toBe(parseInstantMs(changed));
    }),
  );
});

test.each(['yesterday', '2026-11-24', '2026-11-24T06:00:00', '2026-02-31T06:00:00Z', '2026-11-24T25:00:00Z', '', '2026-11-24T06:00:60Z'])('%s is no instant', (text) => {
  expect(readInstantMs(text)).toBeNull();
});

test('an interval ends after it starts', () => {
  expect(readSpan('2026-11-24T06:00:00Z/2026-11-24T07:00:00+01:00')).toEqual({ startMs: Date.parse('2026-11-24T06:00:00Z'), endMs: Date.parse('2026-11-24T06:00:00Z') });
  expect(readSpan('2026-11-24T06:00:00Z/2026-11-24T05:00:00Z')).toBeNull();
  expect(readSpan('2026-11-24T06:00:00Z/')).toBeNull();
});
