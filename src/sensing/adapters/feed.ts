import type { FeedHealth } from '../../contracts/feed.ts';
import type { Principal } from '../../contracts/principal.ts';
import { REFUSALS, isoOf, type Clock, type Random, type Refusal } from '../../kernel/index.ts';
import type { Logger, Outgoing } from '../../platform/index.ts';
import type { Trust } from '../../trust/index.ts';
import type { PullContext } from './adapter.ts';
import type { DescriptionDoor } from './feed-descriptions.ts';
import { openFeedEntities, type EntityDoor, type FeedEntities } from './feed-entities.ts';
import { createFetch } from './feed-fetch.ts';
import type { BrokenEntry, FeedEntry } from './feed-file.ts';
import { createFeedRecord, type FeedRecord } from './feed-health.ts';
import type { FeedStore } from './feed-store.ts';
import type { AdapterEntry, BoundAdapter } from './registry.ts';

const FIRST_RUN_WITHIN_MS = 5_000;
const BACK_OFF_MAX_S = 3_600;
const PUSH_INTERVAL_S = 3_600;

/** One feed of feeds.yaml while the server runs. */
export interface Feed {
  readonly entry: Pick<FeedEntry, 'name' | 'adapter' | 'purpose' | 'enabled'>;
  readonly title: string;
  readonly interval_s: number;
  readonly openedMs: number;
  readonly record: FeedRecord;
  /** What is wrong with its entry; then it has no adapter. */
  readonly broken: Refusal | null;
  readonly bound: BoundAdapter | null;
  readonly made: FeedEntities | null;
  readonly principal: Principal;
  readonly fetch: PullContext['fetch'];
  /** When it is asked next; Infinity for what is never asked. */
  nextMs: number;
  running: Promise<void> | null;
  /** Batches are stored one after the other. */
  turn: Promise<unknown>;
  waiting: number;
}

export interface OpenContext {
  readonly deps: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly random: Random;
    readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
    readonly entities: EntityDoor;
    readonly gate: DescriptionDoor;
  };
  readonly store: FeedStore;
  readonly outgoing: Outgoing;
  readonly adapters: ReadonlyMap<string, AdapterEntry>;
}

/** Opens a feed; one that is set up wrongly has no adapter and says why. */
export async function openFeed(read: FeedEntry | BrokenEntry, { deps, store, outgoing, adapters }: OpenContext): Promise<Feed> {
  const { clock, logger, purposes, random } = deps;
  const { name, adapter } = read;
  const found = adapters.get(adapter);
  const entry = 'refusal' in read ? { name, adapter, purpose: '', enabled: false } : read;
  const bound = 'refusal' in read ? read.refusal : bindFeed(read, found, { purposes, outgoing, known: [...adapters.keys()] });
  const broken = 'code' in bound ? bound : null;
  if (broken !== null) logger.error({ feed: name, code: broken.code, detail: broken.detail }, 'a feed of city/feeds.yaml is set up wrongly; the others run');
  const ready = 'code' in bound ? null : bound;
  const interval_s = ('refusal' in read ? undefined : read.interval_s) ?? ready?.pull?.interval_s ?? PUSH_INTERVAL_S;
  const principal: Principal = { kind: 'token', id: `feed:${name}`, name: `feed ${name}`, positions: ['device'], pseudonym: `feed-${name}`, purpose: entry.purpose };
  const title = found?.title ?? adapter;
  const record = createFeedRecord(await store.read(name), clock);
  const made = ready === null ? null : await openFeedEntities({ feed: { name, title, purpose: entry.purpose, interval_s, principal }, store, entities: deps.entities, gate: deps.gate });
  const dueMs = record.lastSuccessMs === null ? 0 : record.lastSuccessMs + interval_s * 1_000;
  const firstMs = Math.max(clock.nowMs() + FIRST_RUN_WITHIN_MS * fraction(random), Math.min(dueMs, clock.nowMs() + interval_s * 1_000));
  return { entry, title, interval_s, openedMs: clock.nowMs(), record, broken, bound: ready, made, principal, fetch: createFetch(outgoing), nextMs: ready?.pull !== undefined && entry.enabled ? firstMs : Infinity, running: null, turn: Promise.resolve(), waiting: 0 };
}

function bindFeed(entry: FeedEntry, adapter: AdapterEntry | undefined, { purposes, outgoing, known }: { purposes: OpenContext['deps']['purposes']; outgoing: Outgoing; known: readonly string[] }): BoundAdapter | Refusal {
  const wrong = (field: string, detail: string): Refusal => ({ code: 'feed.config-invalid', detail: `${entry.name}, ${field}: ${detail}`, field });
  if (adapter === undefined) return wrong('adapter', `There is no adapter ${entry.adapter}; there are ${known.join(', ')}.`);
  if (purposes.get(entry.purpose) === undefined) return wrong('purpose', `There is no purpose ${entry.purpose} in the register.`);
  if (!purposes.live(entry.purpose)) return wrong('purpose', `The purpose ${entry.purpose} has ended.`);
  const bound = adapter.bind(entry.options, entry.name);
  if (!bound.ok) return bound.refusal;
  for (const url of bound.value.pull?.urls ?? []) {
    const blocked = outgoing.check(url);
    if (blocked !== null) return { ...blocked, detail: `${entry.name}, options: ${blocked.detail}` };
  }
  return bound.value;
}

/** Until a feed is asked again: its interval, doubled with every failure in a row up to an hour, give or take a tenth. */
export function waitMs(interval_s: number, failures: number, random: Random): number {
  const backed_s = failures === 0 ? interval_s : Math.max(interval_s, Math.min(BACK_OFF_MAX_S, interval_s * 2 ** Math.min(failures, 10)));
  return backed_s * 1_000 * (0.9 + 0.2 * fraction(random));
}

const fraction = (random: Random): number => (random(1)[0] ?? 0) / 256;

/** How a feed fares, as pages see it. */
export function describeFeed(feed: Feed): FeedHealth {
  const { entry, broken, bound, record, made } = feed;
  const figures = record.figures();
  const state = broken !== null ? 'broken' : !entry.enabled ? 'off' : record.state(feed.interval_s);
  const counts = made?.counts() ?? { places: 0, series: 0 };
  return {
    name: entry.name,
    adapter: entry.adapter,
    title: feed.title,
    purpose: entry.purpose,
    state,
    interval_s: feed.interval_s,
    takes: { pull: bound?.pull !== undefined, webhook: bound?.push !== undefined, topics: [...(bound?.push?.topics ?? [])] },
    next_run_at: Number.isFinite(feed.nextMs) && !record.paused ? isoOf(feed.nextMs) : null,
    running: feed.running !== null,
    ...counts,
    ...figures,
    error: broken === null ? figures.error : { at: isoOf(feed.openedMs), code: broken.code, detail: broken.detail, field: broken.field ?? null, cure: REFUSALS[broken.code].cure },
  };
}
