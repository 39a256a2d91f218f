import { isoOf, newId, type Random } from '../kernel/index.ts';
import { type Reading, type StreamInfo } from '../contracts/reading.ts';
import { type RuleState, type Warning } from '../contracts/warning.ts';
import { bindRule, StreamDirectory } from './binding.ts';
import { ruleStateOf, stands, worseOf, type WatchState } from './machine.ts';
import { type PurposeRegister, type Rule } from './rule.ts';
import { startWatch } from './rule-cases.ts';
import { ConditionWatch, type Move, type Watch, type WatchMoment } from './watch.ts';
import { type RuleVersion, type WarningChange } from './warning-store.ts';
import { Series, staleAfter } from './windows.ts';

/** Event time settles this long before a deadline counts as passed without a reading, so that a reading on its way is heard. */
const SETTLE_MS = 2_000;
/** A reading older than this when it arrives tells of the past: a history that is filled in, a device that was cut off. */
const PRESENT_MS = 300_000;
/** A source that sends its past has caught up when it pauses for this long. */
const PAUSE_MS = 10_000;
/** When the newest reading of a source that has caught up is older than this, it says nothing of now. */
const TELLING_MS = 6 * 3_600_000;
const NOT_WATCHED_SHOWN = 20;

interface Bound {
  readonly key: string;
  watch: Watch;
  datastreamId: number;
  /** What stands in the store, or will once the queue is written. */
  warning: Warning | null;
  /** Readings that arrived up to here were judged before the restart. */
  judgedUntilMs: number;
  /** Readings of event time before this lie where the windows are not yet full after a restart. */
  fullFromMs: number;
  /** Its source is sending the past: what was over before it arrived is not fired; the outcome is, once it has caught up. */
  behind: boolean;
  shown: RuleState;
}

interface Entry {
  readonly series: Series;
  readonly bounds: Bound[];
}

export interface Restored {
  readonly warning: Warning;
  readonly datastreamId: number;
  readonly changedAtMs: number;
}

export interface EngineOptions {
  readonly rules: readonly Rule[];
  readonly versions: ReadonlyMap<string, RuleVersion>;
  readonly purposes: PurposeRegister;
  readonly random: Random;
  /** Clock time at which this server began to listen. */
  readonly startMs: number;
  /** Takes a change of what stands; called in order, must not block. */
  readonly onChange: (change: WarningChange) => void;
  /** Counts readings that came later than allowed. */
  readonly onLate: (kind: 'late' | 'past' | 'gone') => void;
}

const keyOf = (ruleId: string, thingId: number): string => `${ruleId} ${String(thingId)}`;

/**
 * Rules over streams in memory: one state machine a rule and place, windows shared between rules. Knows no database and no
 * timer; readings, the clock and the streams are handed in, so that live, restart and tests are one path.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #directory = new StreamDirectory();
  readonly #index = new Map<number, Entry>();
  readonly #bounds = new Map<string, Bound>();
  readonly #byStream = new Map<number, Set<Bound>>();
  readonly #byRule = new Map<string, Set<Bound>>();
  readonly #notWatched = new Map<string, { ruleId: string; placeName: string; reason: string }>();
  readonly #changedStreams = new Set<number>();
  readonly #stateHandlers = new Set<(changed: readonly number[]) => void>();
  #restored = new Map<string, Restored>();
  #refilling = false;

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Streams that a rule looks at. */
  get watchedStreams(): number[] {
    return [...this.#index.keys()];
  }
  get watches(): number {
    return this.#bounds.size;
  }

  /** How far back a restart must read to know what was known. */
  get history_ms(): number {
    let longest_ms = 0;
    for (const { watch } of this.#bounds.values()) for (const series of watch.place.series.values()) longest_ms = Math.max(longest_ms, watch.rule.history_ms + series.stale_ms);
    return longest_ms;
  }

  /** The standing warnings of the store, before the first streams are bound. */
  restore(standing: readonly Restored[]): void {
    this.#restored = new Map(standing.map((each) => [keyOf(each.warning.ruleId, each.warning.placeId), each]));
  }

  /** Takes over what is registered now for these ids. */
  updateStreams(ids: Iterable<number>, streams: ReadonlyMap<number, StreamInfo>, nowMs: number): void {
    const things = new Set<number>();
    const properties = new Set<string>();
    for (const id of ids) {
      const concerned = this.#directory.update(id, streams.get(id));
      for (const thing of concerned.things) things.add(thing);
      for (const property of concerned.properties) properties.add(property);
    }
    const farRules = this.#options.rules.filter((rule) => rule.companions.some((each) => each.nearest && properties.has(each.property)));
    for (const thing of things) for (const rule of this.#options.rules) this.#rebind(rule, thing, nowMs);
    if (farRules.length > 0) for (const thing of this.#directory.things) if (!things.has(thing)) for (const rule of farRules) this.#rebind(rule, thing, nowMs);
    this.#tellStates();
  }

  #rebind(rule: Rule, thingId: number, nowMs: number): void {
    const key = keyOf(rule.id, thingId);
    const binding = bindRule(rule, thingId, this.#directory, this.#options.purposes);
    const old = this.#bounds.get(key);
    this.#notWatched.delete(key);
    if (binding?.kind === 'refused') this.#notWatched.set(key, { ruleId: rule.id, ...binding });
    if (binding?.kind !== 'bound') {
      if (old !== undefined) this.#drop(old, nowMs);
      return;
    }
    const version = this.#options.versions.get(rule.id)?.version ?? 0;
    const series = new Map([...binding.streams].map(([name, stream]) => [name, this.#seriesOf(stream)]));
    const place = { rule, version, stream: binding.stream, streams: binding.streams, series };
    if (old !== undefined && sameStreams(old.watch.place.streams, binding.streams)) {
      old.watch.place = place; // names and location may have changed
      return;
    }
    const restored = this.#restored.get(key);
    this.#restored.delete(key);
    const warning = old?.warning ?? restored?.warning ?? null;
    if (old !== undefined) this.#unlink(old);
    const bound: Bound = {
      key,
      watch: startWatch(place, warning === null ? null : momentOf(warning), this.#options.startMs),
      datastreamId: binding.stream.id,
      warning,
      judgedUntilMs: restored?.changedAtMs ?? -Infinity,
      fullFromMs: -Infinity,
      behind: false,
      shown: 'ok',
    };
    bound.watch.inhibited = () => rule.document.inhibited_by.some((other) => this.#bounds.get(keyOf(other, thingId))?.watch.stands === true);
    this.#link(bound);
  }

  #seriesOf(stream: StreamInfo): Series {
    const entry = this.#index.get(stream.id);
    if (entry !== undefined) {
      entry.series.stale_ms = staleAfter(stream.interval_s);
      return entry.series;
    }
    const series = new Series(stream.id, stream.interval_s);
    this.#index.set(stream.id, { series, bounds: [] });
    return series;
  }

  #link(bound: Bound): void {
    this.#bounds.set(bound.key, bound);
    for (const series of new Set(bound.watch.place.series.values())) this.#index.get(series.id)?.bounds.push(bound);
    addTo(this.#byStream, bound.datastreamId, bound);
    addTo(this.#byRule, bound.watch.rule.id, bound);
    this.#show(bound);
  }

  #unlink(bound: Bound): void {
    this.#bounds.delete(bound.key);
    for (const series of bound.watch.place.series.values()) {
      const entry = this.#index.get(series.id);
      const at = entry?.bounds.indexOf(bound) ?? -1;
      if (entry !== undefined && at >= 0) entry.bounds.splice(at, 1);
      if (entry?.bounds.length === 0) this.#index.delete(series.id);
    }
    this.#byStream.get(bound.datastreamId)?.delete(bound);
    this.#byRule.get(bound.watch.rule.id)?.delete(bound);
    this.#changedStreams.add(bound.datastreamId);
  }

  /** The place or its stream was taken away on purpose: a warning about it must not stand for ever. */
  #drop(bound: Bound, nowMs: number): void {
    this.#unlink(bound);
    if (bound.warning !== null) this.#change(bound, 'cleared', 'ok', nowMs);
  }

  /** Warnings of the store whose rule or place is gone. */
  dropForgotten(nowMs: number): void {
    for (const { warning, datastreamId } of this.#restored.values()) {
      this.#options.onChange({ kind: 'cleared', warning: { ...warning, state: 'ok', clearedAt: isoOf(nowMs) }, datastreamId, atMs: nowMs });
    }
    this.#restored.clear();
  }

  /** Readings that became durable together, in any order of their event times. `nowMs` is the clock. */
  feed(batch: readonly Reading[], nowMs: number): void {
    const watched: Reading[] = [];
    let inOrder = true;
    let lastMs = -Infinity;
    for (const reading of batch) {
      if (!this.#index.has(reading.datastreamId)) continue; // no rule looks at it
      watched.push(reading);
      if (reading.phenomenonMs < lastMs) inOrder = false;
      lastMs = reading.phenomenonMs;
    }
    if (!inOrder) watched.sort((a, b) => a.phenomenonMs - b.phenomenonMs);
    for (const reading of watched) {
      const entry = this.#index.get(reading.datastreamId);
      if (entry === undefined) continue;
      const value = reading.valid && reading.value !== null && Number.isFinite(reading.value) ? reading.value : NaN;
      const arrival = entry.series.insert(reading.phenomenonMs, value, reading.arrivalMs);
      if (arrival !== 'newest') this.#options.onLate(arrival);
      for (const bound of entry.bounds) {
        if (this.#refilling && (reading.arrivalMs <= bound.judgedUntilMs || reading.phenomenonMs < bound.fullFromMs)) continue;
        bound.watch.onReading(reading.phenomenonMs, reading.arrivalMs, arrival);
        if (reading.arrivalMs - reading.phenomenonMs > PRESENT_MS && bound.watch instanceof ConditionWatch) {
          if (bound.watch.takeMoves().length > 0) bound.behind = true;
        } else if (bound.behind) this.#catchUp(bound, nowMs);
        else if (bound.watch.moves.length > 0) this.#follow(bound, nowMs);
      }
    }
    if (this.#changedStreams.size > 0) this.#tellStates();
  }

  /** Lets `for`, `clear_for`, `silent` and staleness pass without a reading. */
  tick(nowMs: number): void {
    for (const bound of this.#bounds.values()) {
      bound.watch.onClock(bound.watch instanceof ConditionWatch ? nowMs - SETTLE_MS : nowMs);
      if (bound.behind) {
        if (nowMs - lastArrivalOf(bound) >= PAUSE_MS) this.#catchUp(bound, nowMs);
      } else if (bound.watch.moves.length > 0) this.#follow(bound, nowMs);
    }
    if (this.#changedStreams.size > 0) this.#tellStates();
  }

  #catchUp(bound: Bound, nowMs: number): void {
    bound.behind = false;
    if (bound.watch instanceof ConditionWatch && bound.watch.newestMs < nowMs - TELLING_MS) bound.watch.lose(bound.warning !== null);
    bound.watch.takeMoves();
    if (!this.#refilling) this.#reconcile(bound, nowMs);
  }

  /** Refills windows from history: what happens meanwhile is judged once, at the end. `clearedAt` as readClearedSince. */
  async refill(history: AsyncIterable<readonly Reading[]>, fromMs: number, clearedAt: ReadonlyMap<string, number>, nowMs: () => number): Promise<void> {
    this.#refilling = true;
    for (const bound of this.#bounds.values()) {
      bound.judgedUntilMs = Math.max(bound.judgedUntilMs, clearedAt.get(bound.key) ?? -Infinity);
      bound.fullFromMs = bound.watch instanceof ConditionWatch ? fromMs + bound.watch.rule.window_ms : -Infinity;
    }
    for await (const batch of history) this.feed(batch, batch.at(-1)?.arrivalMs ?? nowMs());
    this.#refilling = false;
    for (const bound of this.#bounds.values()) {
      if (bound.watch instanceof ConditionWatch) bound.watch.settle();
      this.#catchUp(bound, nowMs());
    }
    this.#tellStates();
  }

  hasReading({ datastreamId, phenomenonMs, value, valid }: Reading): boolean {
    return this.#index.get(datastreamId)?.series.has(phenomenonMs, valid && value !== null ? value : NaN) ?? false;
  }

  #reconcile(bound: Bound, nowMs: number): void {
    const { state } = bound.watch.moment;
    if (bound.warning === null && stands(state)) this.#raise(bound, nowMs);
    else if (bound.warning !== null && !stands(state)) this.#change(bound, 'cleared', 'ok', nowMs);
    else if (bound.warning !== null && bound.warning.state !== ruleStateOf(state)) this.#change(bound, kindOf(bound.warning.state === 'unknown' ? 'unknown_warning' : 'warning', state), ruleStateOf(state), nowMs);
    this.#show(bound);
  }

  #follow(bound: Bound, nowMs: number): void {
    const moves = bound.watch.takeMoves();
    if (this.#refilling) return;
    for (const move of moves) this.#followMove(bound, move, nowMs);
    this.#show(bound);
  }

  #followMove(bound: Bound, { from, to }: Move, nowMs: number): void {
    if (!stands(from) && stands(to)) this.#raise(bound, nowMs, ruleStateOf(to));
    else if (stands(from) && !stands(to)) this.#change(bound, 'cleared', 'ok', nowMs);
    else if (stands(to)) this.#change(bound, kindOf(from, to), ruleStateOf(to), nowMs);
  }

  #raise(bound: Bound, nowMs: number, state: RuleState = ruleStateOf(bound.watch.moment.state)): void {
    const { watch } = bound;
    const { document } = watch.rule;
    const { stream } = watch.place;
    if (watch.explanation === null || stream.point === null) throw new Error(`a warning of ${bound.key} has no explanation or no place`);
    bound.warning = {
      id: newId('wrn', nowMs, this.#options.random),
      ruleId: document.rule,
      title: document.title,
      severity: document.severity,
      state,
      placeId: stream.thingId,
      placeName: stream.placeName,
      placeKind: stream.placeKind,
      point: [stream.point[0], stream.point[1]],
      playbook: document.playbook,
      purpose: document.purpose,
      since: isoOf(watch.moment.sinceMs),
      raisedAt: isoOf(nowMs),
      clearedAt: null,
      explanation: watch.explanation,
    };
    this.#options.onChange({ kind: 'raised', warning: bound.warning, datastreamId: bound.datastreamId, atMs: nowMs });
  }

  #change(bound: Bound, kind: WarningChange['kind'], state: RuleState, nowMs: number): void {
    if (bound.warning === null) return;
    const warning: Warning = { ...bound.warning, state, clearedAt: kind === 'cleared' ? isoOf(nowMs) : null };
    bound.warning = kind === 'cleared' ? null : warning;
    this.#options.onChange({ kind, warning, datastreamId: bound.datastreamId, atMs: nowMs });
  }

  #show(bound: Bound): void {
    const state = ruleStateOf(bound.watch.moment.state);
    if (state === bound.shown) return;
    bound.shown = state;
    this.#changedStreams.add(bound.datastreamId);
  }

  #tellStates(): void {
    const changed = [...this.#changedStreams];
    this.#changedStreams.clear();
    if (changed.length > 0) for (const handle of this.#stateHandlers) handle(changed);
  }

  onStates(handle: (changed: readonly number[]) => void): () => void {
    this.#stateHandlers.add(handle);
    return () => this.#stateHandlers.delete(handle);
  }

  /** Worst state of the rules that observe this stream; `ok` when there is none. */
  stateOf(datastreamId: number): RuleState {
    let worst: RuleState = 'ok';
    for (const bound of this.#byStream.get(datastreamId) ?? []) worst = worseOf(worst, bound.shown);
    return worst;
  }

  countsOf(ruleId: string): { places: number; standing: number; unknown: number; notWatched: { placeName: string; reason: string }[] } {
    const bounds = [...(this.#byRule.get(ruleId) ?? [])];
    return {
      places: bounds.length,
      standing: bounds.filter((bound) => bound.watch.stands).length,
      unknown: bounds.filter((bound) => bound.shown === 'unknown').length,
      notWatched: [...this.#notWatched.values()].filter((each) => each.ruleId === ruleId).slice(0, NOT_WATCHED_SHOWN).map(({ placeName, reason }) => ({ placeName, reason })),
    };
  }

  /** How many places a rule that is not loaded would watch. */
  countPlaces(rule: Rule): number {
    let places = 0;
    for (const thing of this.#directory.things) if (bindRule(rule, thing, this.#directory, this.#options.purposes)?.kind === 'bound') places += 1;
    return places;
  }
}

const lastArrivalOf = (bound: Bound): number => Math.max(...[...bound.watch.place.series.values()].map((series) => series.lastArrivalMs));

function kindOf(from: WatchState, to: WatchState): WarningChange['kind'] {
  return to === 'unknown_warning' ? 'unknown' : from === 'unknown_warning' ? 'known' : 'changed';
}

/** A restored warning goes on from where it stood; its data may have gone missing since. */
function momentOf(warning: Warning): WatchMoment {
  const sinceMs = Date.parse(warning.since);
  return { state: warning.state === 'unknown' ? 'unknown_warning' : 'warning', sinceMs, dwellMs: sinceMs };
}

function sameStreams(a: ReadonlyMap<string, StreamInfo>, b: ReadonlyMap<string, StreamInfo>): boolean {
  return a.size === b.size && [...a].every(([name, stream]) => b.get(name)?.id === stream.id);
}

function addTo<K>(index: Map<K, Set<Bound>>, key: K, bound: Bound): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([bound]));
  else set.add(bound);
}
