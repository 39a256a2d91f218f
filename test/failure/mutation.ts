/** A seeded source of bad input: the same seed gives the same bytes, so a failure can be seen again. */
export interface Mutator {
  /** A whole number from 0 to `below` - 1. */
  number(below: number): number;
  pick<T>(from: readonly T[]): T;
  /** Between none and six changes of `text`. */
  mutate(text: string): string;
  bytes(length: number): Buffer;
}

const TOKENS = ["'", '"', '(', ')', '/', '//', '..', '$', '@iot.', '@iot.id', '\\', '%', '%00', '%zz', '%C3%28', '\u0000', '\uD800', '\u202E', '😀', '{', '}', '[', ']', ',', ':', ';', '=', '&', '?', '#', ' ', '\n', '\r\n', '\t', '-', '+', '0', '-0', '1e309', '1e-400', '9223372036854775808', '99999999999999999999999', 'NaN', 'null', 'true', '__proto__', 'constructor', 'toString', ' or 1 eq 1', "';drop table thing;--", ' and ', ' eq ', 'not ', "geography'POINT(1 2)'", "duration'P1D'", '2026-13-45T99:99:99Z', '1969-12-31T23:59:60Z', '+294276-12-31T23:59:59Z', '$filter=', '$expand=', '$select=', '$top=-1', '$skip=1e9', '((((((((((', '[[[[[[[[[[', '{"a":{"a":{"a":'];

export function createMutator(seed: number): Mutator {
  let state = seed >>> 0;
  // mulberry32, a public domain generator of 32 bits
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const number = (below: number): number => next() % below;
  const pick = <T>(from: readonly T[]): T => from[number(from.length)] as T;
  const change = (text: string): string => {
    const at = number(text.length + 1);
    const to = Math.min(text.length, at + number(12));
    switch (number(7)) {
      case 0:
        return text.slice(0, at) + text.slice(to);
      case 1:
        return text.slice(0, at) + pick(TOKENS) + text.slice(at);
      case 2:
        return text.slice(0, at) + text.slice(at, to) + text.slice(at);
      case 3:
        return text.slice(0, at) + pick(TOKENS) + text.slice(to);
      case 4:
        return text.slice(0, at) + String.fromCharCode(number(0xffff)) + text.slice(at);
      case 5:
        return text.slice(0, at);
      default:
        return text.slice(0, at) + pick(TOKENS).repeat(1 + number(40)) + text.slice(at);
    }
  };
  return {
    number,
    pick,
    mutate: (text) => {
      let mutated = text;
      for (let left = number(7); left > 0; left -= 1) mutated = change(mutated);
      return mutated;
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => number(256))),
  };
}
