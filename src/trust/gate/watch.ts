import { hashNumber, hashText, Recurrence, type Figures, type Neighbourhood } from './recurrence.ts';

/** Readings that a stream has to jump about in before it is looked at closely; smooth ones never are. */
const PROBE = 64;
const JUMPS = 20;
const RING = 256;
const JUDGED_EVERY = 64;
const LEAST = 192;
const FIELDS = 32;
const LEAST_TEXTS = 128;
/** Of tokens the latest, and of each the end, for what stands at their places. */
const LATEST = 32;
const LATEST_CHARS = 40;
/** Digests of 24 bits and more have so many at their places; numbers of lines, bays and batches have fewer. */
const DIGEST_BITS = 20;

/** Watches whether the values of a field behave like the identifiers of passers-by. Bounded memory. */
export interface Watch {
  noteNumber(value: number): boolean;
  noteText(value: string): boolean;
  /** The watch of a member of a structured result; null when there are too many. */
  field(path: string): Watch | null;
}

const TOKEN = /^[0-9A-Za-z+/_=-]{3,128}$/;
/** A digit, a sign of base64, or capitals inside: no word. */
const ODD = /[\d+/=]|[a-z][A-Z]|[A-Z]{2}[a-z]|[A-Z][a-z][A-Z]/;
const NO_TOKEN = /^\d{4}-\d\d-\d\d|^\d\d:\d\d|^v?\d+(?:\.\d+)+$/;

/** `isMember`: a member of a structured result. `others` is shared by all streams: a value that comes back elsewhere is an identifier as well. */
export function createWatch(others: Neighbourhood, stream: number, isMember = false): Watch {
  const fields = new Map<string, Watch>();
  let ring: Float64Array | null = null;
  let recurrence: Recurrence | null = null;
  let [count, jumps, previous] = [0, 0, 0];
  let due = LEAST;
  let [texts, tokens, ascents, before] = [0, 0, 0, ''];
  const latest: string[] = [];

  const start = (): void => {
    ring = new Float64Array(RING);
    recurrence = new Recurrence(others, stream);
    count = 0;
  };
  const stop = (): void => {
    ring = null;
    recurrence = null;
    count = jumps = 0;
    due = LEAST;
  };

  return {
    noteNumber: (value) => {
      count += 1;
      if (ring === null || recurrence === null) {
        const step = value - previous;
        if ((step > 0 ? step : -step) > (value > 0 ? value : -value) * 0.01) jumps += 1;
        previous = value;
        if (count < PROBE) return false;
        if (jumps >= JUMPS) start();
        else count = jumps = 0;
        return false;
      }
      if (value === previous) {
        count -= 1; // a meter that stands still
        return false;
      }
      previous = value;
      ring[count & (RING - 1)] = value;
      recurrence.note(value, hashNumber(value));
      if (count < due) return false;
      due = count + Math.max(JUDGED_EVERY, count >> 2);
      const seen = Array.from(count < RING ? ring.subarray(1, count + 1) : [...ring.subarray((count & (RING - 1)) + 1), ...ring.subarray(0, (count & (RING - 1)) + 1)]);
      const verdict = judgeNumbers(seen, recurrence, isMember);
      if (verdict === 'smooth') stop();
      return verdict === 'identifiers';
    },
    noteText: (value) => {
      recurrence ??= new Recurrence(others, stream);
      if (value === before) return false; // a state that lasts
      const isToken = TOKEN.test(value) && ODD.test(value) && !NO_TOKEN.test(value);
      texts += 1;
      if (isToken) {
        tokens += 1;
        latest[tokens % LATEST] = value.slice(-LATEST_CHARS);
      }
      if (value > before) ascents += 1;
      before = value;
      const hash = hashText(value);
      recurrence.note(hash, hash);
      if (texts < LEAST_TEXTS || texts % JUDGED_EVERY !== 0 || tokens < texts * 0.75 || ascents > texts * 0.85) return false;
      return returnsAsPassersDo(recurrence.figures()) && bitsOf(latest) >= DIGEST_BITS;
    },
    field: (path) => {
      const known = fields.get(path);
      if (known !== undefined) return known;
      if (fields.size >= FIELDS) return null;
      const made = createWatch(others, stream, true);
      fields.set(path, made);
      return made;
    },
  };
}

/**
 * Some come back later while new ones go on coming, here or at another counter. The number of a message never comes back; where two
 * streams carry it, all of them are seen twice.
 */
function returnsAsPassersDo({ distinct, recurring, fresh, seen, elsewhere }: Figures): boolean {
  if (distinct < 48 || fresh < 0.2) return false;
  const share = (elsewhere * 4) / seen;
  return (recurring >= 4 && recurring / distinct >= 0.03) || (elsewhere >= 12 && share >= 0.02 && share < 0.7);
}

/**
 * How many bits tell these tokens apart, about, in places side by side, counted from the end. A digest varies at all of them; the bytes of a
 * message vary at the low ends of its fields.
 */
function bitsOf(tokens: readonly string[]): number {
  let [bits, most] = [0, 0];
  for (let place = 1; place <= LATEST_CHARS; place += 1) {
    const signs = new Set<string>();
    for (const token of tokens) if (token !== undefined && token.length >= place) signs.add(token[token.length - place] as string);
    if (signs.size >= VARIED) most = Math.max(most, (bits += Math.log2(signs.size)));
    else if (signs.size !== 1 || /[\dA-Za-z]/.test([...signs].join(''))) bits = 0; // a dash between groups ends nothing
  }
  return most;
}
/** Of 32 tokens, ten digits are nearly all seen at a place that they fill evenly. */
const VARIED = 7;

/** Values in their order, oldest first. Smooth: not worth a closer look. */
function judgeNumbers(values: readonly number[], recurrence: Recurrence, isMember: boolean): 'smooth' | 'undecided' | 'identifiers' {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[0] as number, sorted.at(-1) as number];
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = Math.max(...counts.values());
  if (counts.size < 24 || most > values.length / 3) return 'smooth';
  // what follows one another: a meter, a clock, a counter, a curve
  if (Math.abs(rankCorrelation(values, sorted)) > 0.5) return 'smooth';
  // digests fill their range evenly, and every bit of them as often as not; what is measured gathers somewhere
  const different = [...counts.keys()].sort((a, b) => a - b);
  if (!isEven(different, low, high) || !hasEvenBits(different)) return 'undecided';
  const { distinct, recurring, fresh, seen, elsewhere } = recurrence.figures();
  const byChance = 1 - Math.exp((-1.2 * seen * unitOf(sorted)) / (high - low));
  const returning = recurring / distinct;
  if (distinct < 48 || fresh < 0.15) return 'undecided';
  if (recurring >= 12 && returning >= 0.06 && returning > byChance * 2 + 0.03) return 'identifiers';
  // whole numbers of 32 bits and more in no order are drawn, not measured; beside other members they may number a message
  const isLarge = high - low > 2 ** 31 && values.every(Number.isInteger);
  if (!isLarge) return 'undecided';
  const share = (elsewhere * 4) / seen;
  return (elsewhere >= 12 && (!isMember || share < 0.7)) || (!isMember && different.length > values.length * 0.5) ? 'identifiers' : 'undecided';
}

const BITS = 8;
/** Of whole numbers below 2^31: the low bits are set in about half of them. */
function hasEvenBits(values: readonly number[]): boolean {
  if (!values.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 31)) return true;
  for (let bit = 0; bit < BITS; bit += 1) {
    const share = values.reduce((sum, value) => sum + ((value >> bit) & 1), 0) / values.length;
    if (share < 0.35 || share > 0.65) return false;
  }
  return true;
}

function rankCorrelation(values: readonly number[], sorted: readonly number[]): number {
  const rank = new Map(sorted.map((value, at) => [value, at]));
  const ranks = values.map((value) => rank.get(value) as number);
  const mean = ranks.reduce((sum, each) => sum + each, 0) / ranks.length;
  let [product, square] = [0, 0];
  for (let at = 0; at < ranks.length; at += 1) {
    const here = (ranks[at] as number) - mean;
    square += here * here;
    if (at > 0) product += here * ((ranks[at - 1] as number) - mean);
  }
  return square === 0 ? 1 : product / square;
}

/** The step that values are told apart by: the common divisor of six digits of them, at least that of a two-byte number. */
function unitOf(sorted: readonly number[]): number {
  const largest = Math.max(Math.abs(sorted[0] as number), Math.abs(sorted.at(-1) as number));
  const scale = 10 ** (Math.floor(Math.log10(largest || 1)) - 5);
  let divisor = 0;
  for (const value of sorted) divisor = gcd(divisor, Math.abs(Math.round((value - (sorted[0] as number)) / scale)));
  return Math.max(1, divisor) * scale;
}

function gcd(a: number, b: number): number {
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

function isEven(sorted: readonly number[], low: number, high: number): boolean {
  const bins = new Array<number>(8).fill(0);
  for (const value of sorted) {
    const bin = Math.min(7, Math.floor(((value - low) / (high - low)) * 8));
    bins[bin] = (bins[bin] as number) + 1;
  }
  const fair = sorted.length / 8;
  return bins.every((count) => count > fair * 0.4 && count < fair * 1.9);
}
