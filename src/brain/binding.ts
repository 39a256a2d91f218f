import { distanceM } from '../kernel/index.ts';
import { type StreamInfo } from '../contracts/reading.ts';
import { type PurposeRegister, type Rule } from './rule.ts';
import { unitOfSymbol } from './units.ts';

/** Streams for a rule at one place, or why the place cannot be watched; null when the rule has nothing to do with it. */
export type Binding =
  | { readonly kind: 'bound'; readonly stream: StreamInfo; readonly streams: ReadonlyMap<string, StreamInfo> }
  | { readonly kind: 'refused'; readonly placeName: string; readonly reason: string };

/** What is registered now, by place and by property. */
export class StreamDirectory {
  readonly #streams = new Map<number, StreamInfo>();
  readonly #byThing = new Map<number, Set<number>>();
  readonly #byProperty = new Map<string, Set<number>>();

  /** Takes the present entry of a stream, or undefined when it is gone. Answers the places and properties concerned. */
  update(id: number, stream: StreamInfo | undefined): { things: number[]; properties: string[] } {
    const old = this.#streams.get(id);
    if (old !== undefined) {
      this.#byThing.get(old.thingId)?.delete(id);
      this.#byProperty.get(old.property)?.delete(id);
      this.#streams.delete(id);
    }
    if (stream !== undefined) {
      this.#streams.set(id, stream);
      addTo(this.#byThing, stream.thingId, id);
      addTo(this.#byProperty, stream.property, id);
    }
    const both = [old, stream].filter((each) => each !== undefined);
    return { things: [...new Set(both.map((each) => each.thingId))], properties: [...new Set(both.map((each) => each.property))] };
  }

  get things(): Iterable<number> {
    return this.#byThing.keys();
  }
  at(thingId: number): StreamInfo[] {
    return this.#listed(this.#byThing.get(thingId));
  }
  of(property: string): StreamInfo[] {
    return this.#listed(this.#byProperty.get(property));
  }

  #listed(ids: ReadonlySet<number> | undefined): StreamInfo[] {
    return [...(ids ?? [])].sort((a, b) => a - b).flatMap((id) => this.#streams.get(id) ?? []);
  }
}

function addTo<K>(index: Map<K, Set<number>>, key: K, id: number): void {
  const set = index.get(key);
  if (set === undefined) index.set(key, new Set([id]));
  else set.add(id);
}

/** Finds the streams of a rule at a place. Of several streams of one property at a place, the one with the least id counts. */
export function bindRule(rule: Rule, thingId: number, directory: StreamDirectory, purposes: PurposeRegister): Binding | null {
  const here = directory.at(thingId);
  const { observe, at } = rule.document.watch;
  const observed = here.filter((stream) => stream.property === observe && stream.placeKind === at);
  const first = observed[0];
  if (first === undefined) return null;
  const refused = (reason: string): Binding => ({ kind: 'refused', placeName: first.placeName, reason });
  if (!purposes.live(rule.document.purpose)) return refused(`The purpose ${rule.document.purpose} has ended.`);
  const stream = observed.find((each) => unitOfSymbol(each.unit) === rule.unit);
  if (stream === undefined) return refused(`Its ${observe} comes in "${first.unit}", the rule is written for "${rule.unit.symbols[0] ?? ''}".`);
  if (stream.point === null) return refused('The place has no location.');
  const streams = new Map([[observe, stream]]);
  for (const companion of rule.companions) {
    const found = (companion.nearest ? directory.of(companion.property) : here).filter((each) => each.property === companion.property && unitOfSymbol(each.unit) === companion.unit);
    const chosen = companion.nearest ? nearestTo(stream.point, found) : found[0];
    if (chosen === undefined) return refused(`There is no ${companion.property} in "${companion.unit.symbols[0] ?? ''}" ${companion.nearest ? 'in the city' : 'at the same place'}.`);
    streams.set(companion.name, chosen);
  }
  return { kind: 'bound', stream, streams };
}

function nearestTo(point: readonly [number, number], streams: readonly StreamInfo[]): StreamInfo | undefined {
  let best: StreamInfo | undefined;
  let best_m = Infinity;
  for (const stream of streams) {
    const distance_m = stream.point === null ? Infinity : distanceM(point, stream.point);
    if (distance_m < best_m) {
      best = stream;
      best_m = distance_m;
    }
  }
  return best;
}
