const BITS = new Float64Array(1);
const WORDS = new Uint32Array(BITS.buffer);

/** 32 bits of a double, mixed. */
export function hashNumber(value: number): number {
  BITS[0] = value;
  return mix((WORDS[0] as number) ^ Math.imul(WORDS[1] as number, 0x9e37_79b1));
}

function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** FNV-1a of 32 bits, mixed. */
export function hashText(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  return mix(hash);
}

const NEIGHBOURS = 65_536;

/** Values of all streams that were seen of late, by hash: where the last of them was. Bounded; the oldest half goes. */
export class Neighbourhood {
  #fresh = new Map<number, number>();
  #old = new Map<number, number>();

  /** Whether another stream has sent it. */
  note(hash: number, stream: number): boolean {
    const before = this.#fresh.get(hash) ?? this.#old.get(hash);
    if (this.#fresh.size >= NEIGHBOURS / 2) {
      this.#old = this.#fresh;
      this.#fresh = new Map();
    }
    this.#fresh.set(hash, stream);
    return before !== undefined && before !== stream;
  }
}

const SAMPLED = 192;
/** A window ends after so many sightings; salts change daily, and a busy counter sends some ten thousand a day. */
const WINDOW = 32_768;

/** See `Recurrence.figures`. */
export interface Figures {
  readonly distinct: number;
  readonly recurring: number;
  readonly fresh: number;
  readonly seen: number;
  readonly elsewhere: number;
}

interface Sighted {
  readonly hash: number;
  readonly first: number;
  last: number;
  returns: number;
}

/** Distinct sampling (Gibbons, VLDB 2001): of a share of all values every sighting is kept, so that what returns after hours is seen. */
export class Recurrence {
  readonly #others: Neighbourhood;
  readonly #stream: number;
  #values = new Map<number, Sighted>();
  #mask = 0;
  #count = 0;
  #elsewhere = 0;

  constructor(others: Neighbourhood, stream: number) {
    this.#others = others;
    this.#stream = stream;
  }

  note(value: number, hash: number): void {
    this.#count += 1;
    if (this.#count > WINDOW) this.#restart();
    if ((hash & 3) === 0 && this.#others.note(hash, this.#stream)) this.#elsewhere += 1;
    if ((hash & this.#mask) !== 0) return;
    const known = this.#values.get(value);
    if (known === undefined) {
      this.#values.set(value, { hash, first: this.#count, last: this.#count, returns: 0 });
      if (this.#values.size > SAMPLED) this.#thin();
      return;
    }
    // a meter that stands still repeats itself; something else must have come in between
    if (this.#count - known.last > 1) known.returns += 1;
    known.last = this.#count;
  }

  /** Of the sample: how many distinct values, how many of them came back, which share came first in the later half; and all sightings. */
  figures(): Figures {
    let [recurring, fresh] = [0, 0];
    for (const { returns, first } of this.#values.values()) {
      if (returns > 0) recurring += 1;
      if (first > this.#count / 2) fresh += 1;
    }
    return { distinct: this.#values.size, recurring, fresh: fresh / Math.max(1, this.#values.size), seen: this.#count, elsewhere: this.#elsewhere };
  }

  #thin(): void {
    while (this.#values.size > SAMPLED / 2 && this.#mask < 0xffff_ff) {
      this.#mask = (this.#mask << 1) | 1;
      for (const [value, { hash }] of this.#values) if ((hash & this.#mask) !== 0) this.#values.delete(value);
    }
  }

  #restart(): void {
    this.#values = new Map();
    this.#mask = 0;
    this.#count = 1;
    this.#elsewhere = 0;
  }
}
