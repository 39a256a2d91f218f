import { assert } from '../kernel/index.ts';
import { type StreamInfo } from '../contracts/reading.ts';
import { type Explanation } from '../contracts/warning.ts';
import { type SeriesContext, type SeriesReader, type SeriesTerm } from './cel.ts';
import { explainCondition, explainSilence, type Evidence } from './explanation.ts';
import { stands, watchMachine, type WatchEvent, type WatchState } from './machine.ts';
import { type Rule } from './rule.ts';
import { ALLOWED_LATENESS_MS, type Arrival, type Series, type SeriesFunction, type WindowOperator } from './windows.ts';

/** Rules that use age() are looked at on this grid of event time between readings. */
const AGE_GRID_MS = 10_000;

export interface WatchMoment {
  readonly state: WatchState;
  /** Event time at which the condition began to hold. */
  readonly sinceMs: number;
  /** Start of the present `pending` or `clearing`. */
  readonly dwellMs: number;
}

/** One change of what stands, in the order in which it happened. */
export interface Move {
  readonly from: WatchState;
  readonly to: WatchState;
  readonly atMs: number;
}

export interface WatchPlace {
  readonly rule: Rule;
  readonly version: number;
  /** The stream that the rule observes; its place is where the warning stands. */
  readonly stream: StreamInfo;
  readonly streams: ReadonlyMap<string, StreamInfo>;
  readonly series: ReadonlyMap<string, Series>;
}

/** A rule at one place: the state machine and its clock. `moves` is what the engine takes away after each call. */
export abstract class Watch {
  place: WatchPlace;
  moment: WatchMoment;
  moves: Move[] = [];
  /** Made at the instant of raising, from the readings as they were. */
  explanation: Explanation | null = null;
  /** Whether another rule's standing warning at this place holds this one back. */
  inhibited: () => boolean = () => false;

  constructor(place: WatchPlace, initial: WatchMoment | null) {
    this.place = place;
    this.moment = initial ?? { state: watchMachine.initial, sinceMs: -Infinity, dwellMs: -Infinity };
  }

  get rule(): Rule {
    return this.place.rule;
  }
  get stands(): boolean {
    return stands(this.moment.state);
  }

  /** A reading of one of the series has been inserted. */
  abstract onReading(atMs: number, arrivalMs: number, arrival: Arrival): void;
  /** The clock has come to `nowMs` without a reading. */
  abstract onClock(nowMs: number): void;
  protected abstract explain(atMs: number): Explanation;

  protected move(event: WatchEvent, atMs: number): void {
    const { state, sinceMs, dwellMs } = this.moment;
    const next = watchMachine.next(state, event);
    assert(next !== null, `${event} cannot happen in ${state}`);
    if (next === state) return;
    this.moment = {
      state: next,
      sinceMs: next === 'pending' ? atMs : sinceMs,
      dwellMs: next === 'pending' || next === 'clearing' ? atMs : dwellMs,
    };
    this.moves.push({ from: state, to: next, atMs });
    if (next === 'warning' && state === 'pending') this.explanation = this.explain(atMs);
  }

  /** Takes one signal, and lets `for` or `clear_for` end if it has lasted. */
  protected take(signal: Exclude<WatchEvent, 'dwelt'>, atMs: number): void {
    this.move(signal, atMs);
    const { state, dwellMs } = this.moment;
    const { document } = this.rule;
    if (state === 'pending' && atMs - dwellMs >= document.for && !this.inhibited()) this.move('dwelt', atMs);
    else if (state === 'clearing' && atMs - dwellMs >= document.clear_for) this.move('dwelt', atMs);
  }

  /** When the present `for` or `clear_for` ends; Infinity when none runs. */
  protected get dwellEndMs(): number {
    const { state, dwellMs } = this.moment;
    return state === 'pending' ? dwellMs + this.rule.document.for : state === 'clearing' ? dwellMs + this.rule.document.clear_for : Infinity;
  }

  takeMoves(): readonly Move[] {
    const { moves } = this;
    this.moves = [];
    return moves;
  }
}

/**
 * A `when` rule in event time. Its state after any readings is a function of their set, not of the order in which they
 * came, as far as each came within the allowed lateness: a late one rewinds to its instant and goes forward again.
 * The rewinding changes what stands now; it never raises or clears what was over in the meantime.
 */
export class ConditionWatch extends Watch {
  /** Last instant of event time that was looked at. */
  #cursorMs = -Infinity;
  /** Moments by the instant from which they hold, back to the allowed lateness. */
  #past: { fromMs: number; moment: WatchMoment }[] = [];
  readonly #context: SeriesContext;
  readonly #operators = new Map<SeriesTerm, WindowOperator>();
  readonly #whenOperators: readonly WindowOperator[];
  readonly #clearOperators: readonly WindowOperator[];
  readonly #series: readonly Series[];
  #atMs = -Infinity;

  constructor(place: WatchPlace, initial: WatchMoment | null) {
    super(place, initial);
    const { rule, series } = place;
    const readers: Record<string, SeriesReader> = {};
    this.#series = [...series.values()];
    for (const [name, each] of series) readers[name] = this.#readerOf(each);
    const resolve = (terms: readonly SeriesTerm[]): WindowOperator[] =>
      terms.map((term) => {
        const of = series.get(term.series);
        assert(of !== undefined, `series ${term.series} is bound`);
        const operator = of.operator(term.fn, term.window_ms);
        this.#operators.set(term, operator);
        return operator;
      });
    assert(rule.when !== null, 'a condition watch has a condition');
    this.#whenOperators = resolve(rule.when.terms);
    this.#clearOperators = resolve(rule.clear?.terms ?? []);
    this.#context = rule.when.bind(readers);
    this.#past.push({ fromMs: -Infinity, moment: this.moment });
  }

  get cursorMs(): number {
    return this.#cursorMs;
  }

  #readerOf(series: Series): SeriesReader {
    const known = new Map<SeriesFunction, Map<number, WindowOperator>>();
    return (fn, window_ms) => {
      let byWindow = known.get(fn);
      if (byWindow === undefined) known.set(fn, (byWindow = new Map<number, WindowOperator>()));
      let operator = byWindow.get(window_ms);
      if (operator === undefined) byWindow.set(window_ms, (operator = series.operator(fn, window_ms)));
      return operator.read(this.#atMs);
    };
  }

  onReading(atMs: number, _arrivalMs: number, arrival: Arrival): void {
    if (arrival === 'gone') return;
    if (atMs > this.#cursorMs) this.#advance(atMs);
    else if (atMs >= this.#cursorMs - ALLOWED_LATENESS_MS) this.#repair(atMs);
    // else it is past: it counts in the windows from the next reading on, and re-fires nothing
  }

  onClock(nowMs: number): void {
    const eventNowMs = this.eventNowMs(nowMs);
    for (;;) {
      const nextMs = this.#nextInstant(this.#cursorMs);
      if (nextMs > eventNowMs || nextMs === Infinity) return;
      this.#step(nextMs);
    }
  }

  /** Event time goes on between readings as the arrival clock does, so a source that is always late is not cut short. */
  eventNowMs(nowMs: number): number {
    let eventMs = -Infinity;
    for (const series of this.#series) if (series.maxMs > -Infinity) eventMs = Math.max(eventMs, series.maxMs + Math.max(0, nowMs - series.arrivalOfMaxMs));
    return eventMs;
  }

  /** Event time of the newest reading of all series; -Infinity when there is none. */
  get newestMs(): number {
    return Math.max(...this.#series.map((series) => series.maxMs));
  }

  /** After a restart: looks at the newest reading if nobody has. */
  settle(): void {
    if (this.newestMs > this.#cursorMs) this.#advance(this.newestMs);
  }

  /** The readings are too old to say anything of now: UNKNOWN, with what stands on the board. */
  lose(standing: boolean): void {
    this.moment = { ...this.moment, state: standing ? 'unknown_warning' : 'unknown_ok' };
    this.#past = [{ fromMs: -Infinity, moment: this.moment }];
  }

  #advance(toMs: number): void {
    for (;;) {
      const nextMs = this.#nextInstant(this.#cursorMs);
      if (nextMs >= toMs) break;
      this.#step(nextMs);
    }
    this.#step(toMs);
  }

  /** The next instant after `afterMs` at which something can change without a reading. */
  #nextInstant(afterMs: number): number {
    if (afterMs === -Infinity) return Infinity;
    const dwellEndMs = this.dwellEndMs;
    let nextMs = dwellEndMs > afterMs ? dwellEndMs : Infinity;
    for (const series of this.#series) {
      const staleMs = series.newestAt(afterMs) + series.stale_ms;
      if (staleMs > afterMs && staleMs < nextMs) nextMs = staleMs;
    }
    if (this.rule.usesAge && this.moment.state !== 'unknown_ok' && this.moment.state !== 'unknown_warning') nextMs = Math.min(nextMs, (Math.floor(afterMs / AGE_GRID_MS) + 1) * AGE_GRID_MS);
    return nextMs;
  }

  #step(atMs: number): void {
    this.#cursorMs = atMs;
    const before = this.moment;
    this.take(this.#signalAt(atMs), atMs);
    if (this.moment === before) return;
    this.#past.push({ fromMs: atMs, moment: this.moment });
    const horizonMs = atMs - ALLOWED_LATENESS_MS;
    let old = 0;
    while (old + 1 < this.#past.length && (this.#past[old + 1]?.fromMs ?? Infinity) < horizonMs) old += 1;
    if (old > 0) this.#past.splice(0, old);
  }

  #signalAt(atMs: number): 'high' | 'low' | 'between' | 'blind' {
    const { rule, stands: standing } = this;
    this.#atMs = atMs;
    for (const series of this.#series) if (atMs - series.newestAt(atMs) >= series.stale_ms) return 'blind';
    if (!this.#seesEnough(this.#whenOperators, atMs)) return 'blind';
    const holds = rule.when?.evaluate(this.#context) ?? null;
    if (holds === null) return 'blind';
    if (holds) return 'high';
    if (!standing || rule.clear === null) return 'low';
    if (!this.#seesEnough(this.#clearOperators, atMs)) return 'blind';
    const clears = rule.clear.evaluate(this.#context);
    return clears === null ? 'blind' : clears ? 'low' : 'between';
  }

  #seesEnough(operators: readonly WindowOperator[], atMs: number): boolean {
    const share = this.rule.document.quality.valid;
    for (const operator of operators) {
      operator.read(atMs);
      if (operator.readings === 0 || operator.valid < share * operator.readings) return false;
    }
    return true;
  }

  #repair(atMs: number): void {
    const before = this.moment;
    const untilMs = this.#cursorMs;
    while (this.#past.length > 1 && (this.#past.at(-1)?.fromMs ?? -Infinity) >= atMs) this.#past.pop();
    const start = this.#past.at(-1);
    assert(start !== undefined, 'a past moment is kept');
    this.moment = start.moment;
    this.#cursorMs = atMs - 1;
    for (const readingMs of this.#instantsBetween(atMs, untilMs)) this.#advance(readingMs);
    for (let nextMs = this.#nextInstant(this.#cursorMs); nextMs <= untilMs; nextMs = this.#nextInstant(this.#cursorMs)) this.#step(nextMs);
    // only the outcome counts on the live board, not the way to it
    this.moves = before.state === this.moment.state ? [] : [{ from: before.state, to: this.moment.state, atMs: this.#cursorMs }];
  }

  #instantsBetween(fromMs: number, toMs: number): number[] {
    const instants = new Set<number>();
    for (const series of this.#series) {
      for (let position = series.lowerBound(fromMs); position < series.end && series.timeAt(position) <= toMs; position += 1) instants.add(series.timeAt(position));
    }
    return [...instants].sort((a, b) => a - b);
  }

  protected explain(atMs: number): Explanation {
    const { when } = this.rule;
    assert(when !== null, 'a condition watch has a condition');
    const evidence: Evidence = {
      rule: this.rule,
      version: this.place.version,
      placeName: this.place.stream.placeName,
      streams: this.place.streams,
      context: this.#context,
      operatorOf: (term) => {
        const operator = this.place.series.get(term.series)?.operator(term.fn, term.window_ms);
        assert(operator !== undefined, `series ${term.series} is bound`);
        return operator;
      },
    };
    const asOfMs = Math.max(...this.#series.map((series) => series.lastArrivalMs));
    return explainCondition(evidence, when.shape, when.text, atMs, asOfMs);
  }
}

/** A `silent` rule on the arrival clock: any reading, valid or not, is a sign of life. */
export class SilentWatch extends Watch {
  readonly #series: Series;
  readonly #startMs: number;
  #heardMs = -Infinity;

  /** Silence is counted from `startMs` at the earliest: while the server was down, nothing could arrive. */
  constructor(place: WatchPlace, initial: WatchMoment | null, startMs: number) {
    super(place, initial);
    const series = place.series.get(place.rule.document.watch.observe);
    assert(series !== undefined, 'the observed series is bound');
    this.#series = series;
    this.#startMs = startMs;
  }

  onReading(_atMs: number, arrivalMs: number): void {
    if (arrivalMs <= this.#heardMs) return;
    this.onClock(arrivalMs - 1);
    this.#heardMs = arrivalMs;
    this.take('low', arrivalMs);
  }

  onClock(nowMs: number): void {
    const dueMs = Math.max(this.#heardMs, this.#startMs) + (this.rule.silent_ms ?? 0);
    const { dwellEndMs } = this;
    if (dwellEndMs <= nowMs && dwellEndMs < dueMs) this.take('low', dwellEndMs);
    if (nowMs >= dueMs && !(this.moment.state === 'warning')) this.take('high', dueMs);
  }

  protected explain(atMs: number): Explanation {
    const fromMs = Number.isFinite(this.#heardMs) ? this.#heardMs : this.#startMs;
    return explainSilence({ rule: this.rule, version: this.place.version, placeName: this.place.stream.placeName, streams: this.place.streams, context: {}, operatorOf: () => this.#series.operator('now', 0) }, fromMs, atMs);
  }
}
