/** What a rule can ask of a series at an instant. */
export type SeriesFunction = 'now' | 'mean' | 'min' | 'max' | 'rise' | 'age';

/** A reading may come this much later than the newest one of its series and still count as if it had come in time. */
export const ALLOWED_LATENESS_MS = 120_000;
/** Most readings that one series keeps in memory; a day of one a second. */
const SERIES_READINGS = 100_000;
const COMPACT_AFTER = 512;

/** Four times the registered interval, and 2 min at least. */
export const staleAfter = (interval_s: number): number => Math.max(4 * interval_s * 1_000, 120_000);

/**
 * `newest`: after all others. `late`: behind the newest by no more than the allowed lateness. `past`: later than that.
 * `gone`: so late that no window reaches back to it; it is not kept here.
 */
export type Arrival = 'newest' | 'late' | 'past' | 'gone';

/**
 * Readings of one datastream in event time, as far back as the longest window, and the operators over them.
 * Readings of the same instant stand in the order of their values, so that the order of arrival never matters.
 */
export class Series {
  readonly id: number;
  /** Without a reading for this long the series is stale. */
  stale_ms: number;
  readonly lateness_ms: number;
  maxMs = -Infinity;
  /** When the newest reading (by event time) arrived. */
  arrivalOfMaxMs = -Infinity;
  lastArrivalMs = -Infinity;
  /** Readings that were dropped because the series holds as many as it may. */
  dropped = 0;
  /** Grows with each insertion that is not at the end; operators then start over. */
  generation = 0;
  #retain_ms = 0;
  readonly #times: number[] = [];
  /** NaN where the reading is not a valid number. */
  readonly #values: number[] = [];
  #head = 0;
  #removed = 0;
  readonly #operators = new Map<string, WindowOperator>();

  constructor(id: number, interval_s: number, lateness_ms = ALLOWED_LATENESS_MS) {
    this.id = id;
    this.stale_ms = staleAfter(interval_s);
    this.lateness_ms = lateness_ms;
    this.#retain_ms = 2 * lateness_ms;
  }

  /** Positions are absolute: they stay the same when old readings are let go. */
  get first(): number {
    return this.#removed + this.#head;
  }
  get end(): number {
    return this.#removed + this.#times.length;
  }
  timeAt(position: number): number {
    return this.#times[position - this.#removed] as number;
  }
  valueAt(position: number): number {
    return this.#values[position - this.#removed] as number;
  }

  /** The operator over a window; one for all rules that ask the same. */
  operator(fn: SeriesFunction, window_ms: number): WindowOperator {
    const key = `${fn} ${String(window_ms)}`;
    let operator = this.#operators.get(key);
    if (operator === undefined) {
      operator = new WindowOperator(this, fn, window_ms);
      this.#operators.set(key, operator);
      this.#retain_ms = Math.max(this.#retain_ms, window_ms + 2 * this.lateness_ms);
    }
    return operator;
  }

  get retain_ms(): number {
    return this.#retain_ms;
  }

  /** First position whose time is ≥ `atMs`. */
  lowerBound(atMs: number): number {
    let low = this.#head;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] as number) < atMs) low = middle + 1;
      else high = middle;
    }
    return low + this.#removed;
  }

  /** Time of the newest reading at or before `atMs`; -Infinity when there is none. */
  newestAt(atMs: number): number {
    if (this.maxMs <= atMs) return this.maxMs;
    const position = this.lowerBound(atMs + 1) - 1;
    return position < this.first ? -Infinity : this.timeAt(position);
  }

  has(atMs: number, value: number): boolean {
    for (let position = this.lowerBound(atMs); position < this.end && this.timeAt(position) === atMs; position += 1) {
      if (Object.is(this.valueAt(position), value)) return true;
    }
    return false;
  }

  /** Takes a reading; `value` is NaN when it is not valid. */
  insert(atMs: number, value: number, arrivalMs: number): Arrival {
    if (arrivalMs > this.lastArrivalMs) this.lastArrivalMs = arrivalMs;
    if (atMs > this.maxMs) {
      // what reaches back from the reading before stays: instants in the gap may still be looked at
      const keepFromMs = this.maxMs - this.#retain_ms;
      this.maxMs = atMs;
      this.arrivalOfMaxMs = arrivalMs;
      this.#times.push(atMs);
      this.#values.push(value);
      this.#letGo(keepFromMs);
      return 'newest';
    }
    if (atMs < this.maxMs - this.#retain_ms) return 'gone';
    let index = this.lowerBound(atMs + 1) - this.#removed;
    while (index > this.#head && this.#times[index - 1] === atMs && ordersAfter(this.#values[index - 1] as number, value)) index -= 1;
    this.#times.splice(index, 0, atMs);
    this.#values.splice(index, 0, value);
    this.generation += 1;
    this.#letGo(-Infinity);
    return atMs >= this.maxMs - this.lateness_ms ? 'late' : 'past';
  }

  #letGo(keepFromMs: number): void {
    while ((this.#times[this.#head] as number) < keepFromMs) this.#head += 1;
    if (this.#times.length - this.#head > SERIES_READINGS) {
      this.#head += 1;
      this.dropped += 1;
    }
    if (this.#head > COMPACT_AFTER && this.#head * 2 > this.#times.length) {
      this.#times.splice(0, this.#head);
      this.#values.splice(0, this.#head);
      this.#removed += this.#head;
      this.#head = 0;
    }
  }
}

/** Total order of values of one instant, not-a-number first. */
function ordersAfter(a: number, b: number): boolean {
  return Number.isNaN(b) ? !Number.isNaN(a) : a > b;
}

/**
 * One function over one window (at − w, at] of one series; `rise` also takes the reading at exactly at − w, so that
 * "in an hour" compares readings an hour apart. Going forward costs O(1) a reading; going back, or a reading between
 * others, starts it over.
 */
export class WindowOperator {
  readonly series: Series;
  readonly fn: SeriesFunction;
  readonly window_ms: number;
  /** Readings in the window and the valid ones among them. */
  readings = 0;
  valid = 0;
  #atMs = -Infinity;
  #start = 0;
  #end = 0;
  #generation = -1;
  // Neumaier's compensated sum: error stays near one rounding however many readings come and go
  #sum = 0;
  #compensation = 0;
  /** Positions of candidates for the extreme, from the best to the newest. */
  #candidates: number[] = [];
  #candidatesHead = 0;
  #firstValid = 0;
  #lastValid = -1;

  constructor(series: Series, fn: SeriesFunction, window_ms: number) {
    this.series = series;
    this.fn = fn;
    this.window_ms = window_ms;
  }

  /** Start of the window at `atMs`: readings at or after it belong to it. */
  fromMs(atMs: number): number {
    if (this.fn === 'now' || this.fn === 'age') return this.series.newestAt(atMs);
    return this.fn === 'rise' ? atMs - this.window_ms : atMs - this.window_ms + 1;
  }

  /** Moves the window to end at `atMs` and returns the value; NaN when no valid reading is in it. */
  read(atMs: number): number {
    if (this.fn === 'now' || this.fn === 'age') return this.#readNewest(atMs);
    const fromMs = this.fromMs(atMs);
    const { series } = this;
    if (this.#generation !== series.generation || atMs < this.#atMs || this.#start < series.first) this.#startOver(fromMs);
    this.#atMs = atMs;
    while (this.#end < series.end && series.timeAt(this.#end) <= atMs) this.#add(this.#end++);
    while (this.#start < this.#end && series.timeAt(this.#start) < fromMs) this.#remove(this.#start++);
    return this.#value();
  }

  #readNewest(atMs: number): number {
    const { series } = this;
    const last = series.maxMs <= atMs ? series.end - 1 : series.lowerBound(atMs + 1) - 1;
    this.readings = last < series.first ? 0 : 1;
    if (this.readings === 0) {
      this.valid = 0;
      return NaN;
    }
    const value = series.valueAt(last);
    this.valid = Number.isNaN(value) ? 0 : 1;
    return this.fn === 'age' ? (atMs - series.timeAt(last)) / 1_000 : value;
  }

  #startOver(fromMs: number): void {
    this.#generation = this.series.generation;
    this.#start = this.#end = this.series.lowerBound(fromMs);
    this.readings = this.valid = 0;
    this.#sum = this.#compensation = 0;
    this.#candidates = [];
    this.#candidatesHead = 0;
    this.#firstValid = this.#start;
    this.#lastValid = -1;
  }

  #add(position: number): void {
    this.readings += 1;
    const value = this.series.valueAt(position);
    if (Number.isNaN(value)) return;
    this.valid += 1;
    this.#lastValid = position;
    if (this.fn === 'mean') this.#accumulate(value);
    else if (this.fn === 'min' || this.fn === 'max') {
      const sign = this.fn === 'min' ? 1 : -1;
      while (this.#candidates.length > this.#candidatesHead && sign * this.series.valueAt(this.#candidates.at(-1) as number) >= sign * value) this.#candidates.pop();
      this.#candidates.push(position);
    }
  }

  #remove(position: number): void {
    this.readings -= 1;
    const value = this.series.valueAt(position);
    if (Number.isNaN(value)) return;
    this.valid -= 1;
    if (this.fn === 'mean') {
      if (this.valid === 0) this.#sum = this.#compensation = 0;
      else this.#accumulate(-value);
    } else if (this.#candidates[this.#candidatesHead] === position) {
      this.#candidatesHead += 1;
      if (this.#candidatesHead > COMPACT_AFTER) {
        this.#candidates.splice(0, this.#candidatesHead);
        this.#candidatesHead = 0;
      }
    }
  }

  #accumulate(value: number): void {
    const sum = this.#sum + value;
    this.#compensation += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum;
    this.#sum = sum;
  }

  #value(): number {
    if (this.valid === 0) return NaN;
    switch (this.fn) {
      case 'mean':
        return (this.#sum + this.#compensation) / this.valid;
      case 'min':
      case 'max':
        return this.series.valueAt(this.#candidates[this.#candidatesHead] as number);
      case 'rise': {
        let first = Math.max(this.#firstValid, this.#start);
        while (Number.isNaN(this.series.valueAt(first))) first += 1;
        this.#firstValid = first;
        // to a billionth of the unit, so that 1.3 - 1.0 is 0.3 and not 0.30000000000000004
        return Math.round((this.series.valueAt(this.#lastValid) - this.series.valueAt(first)) * 1e9) / 1e9;
      }
      default:
        return NaN;
    }
  }
}
