/** Deterministic randomness: the same text gives the same numbers on every machine, so any moment can be recomputed. */

/** 32-bit hash of a text (FNV-1a with a final mix). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return mix(hash);
}

/** Mixes two 32-bit numbers into one. */
function mixOf(a: number, b: number): number {
  return mix(Math.imul(a, 0x9e3779b1) ^ b);
}

function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Uniform in [0,1) from a seed and a counter. */
export function uniform(seed: number, counter: number): number {
  return mixOf(seed, counter) / 2 ** 32;
}

/** About normal with mean 0 and deviation 1 (sum of four uniforms), from a seed and a counter. */
export function normal(seed: number, counter: number): number {
  let sum = 0;
  for (let part = 0; part < 4; part += 1) sum += uniform(seed + part, counter);
  return (sum - 2) * Math.sqrt(3);
}

/** Smooth noise with mean 0 and deviation about 1: normal values every `period_ms`, eased in between. */
export function smoothNoise(seed: number, atMs: number, period_ms: number): number {
  const position = atMs / period_ms;
  const from = Math.floor(position);
  const share = position - from;
  const eased = share * share * (3 - 2 * share);
  return normal(seed, from) * (1 - eased) + normal(seed, from + 1) * eased;
}

/** A sequence of uniform numbers in [0,1). */
export function sequence(text: string): () => number {
  const seed = hashOf(text);
  let counter = 0;
  return () => uniform(seed, counter++);
}
