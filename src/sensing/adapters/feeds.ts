import type { FeedAnswer, FeedHealth, FeedSetup } from '../../contracts/feed.ts';
import type { Principal } from '../../contracts/principal.ts';
import { Refused, type Clock, type Random, type Refusal } from '../../kernel/index.ts';
import { Counter, Gauge, createOutgoing, type DatabaseHandle, type Logger, type Metrics } from '../../platform/index.ts';
import type { Trust } from '../../trust/index.ts';
import type { PushedMessage, SourceBatch } from './adapter.ts';
import { describeFeed, openFeed, waitMs, type Feed } from './feed.ts';
import type { DescriptionDoor } from './feed-descriptions.ts';
import type { EntityDoor, FeedEntities } from './feed-entities.ts';
import { readFeedFile } from './feed-file.ts';
import { storeReadings, type ReadingDoor } from './feed-readings.ts';
import { createFeedStore } from './feed-store.ts';
import { createAdapters, type BoundAdapter } from './registry.ts';
import type { CodecSource } from './lorawan/lorawan.ts';
import { matchesTopic } from './topic.ts';

export interface FeedsDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly entities: EntityDoor;
  readonly gate: DescriptionDoor;
  readonly readings: ReadingDoor;
  /** city/feeds.yaml; null for a city without feeds. */
  readonly feedsYaml: string | null;
  readonly codecs: ReadonlyMap<string, CodecSource>;
}

/** Feeds of the city: other systems that are asked on a schedule, or that send to this one. */
export interface Feeds {
  health(): FeedHealth[];
  setup(): FeedSetup;
  /** Takes what a source sent; durable when it resolves. Throws `Refused` when the document as a whole is not taken. */
  push(name: string, message: PushedMessage, principal: Principal): Promise<FeedAnswer>;
  /**
   * Takes a message of this server's broker; false when no feed reads the topic. Throws `Refused` with the first refusal when
   * every feed that reads it took nothing of it.
   */
  takeFromTopic(topic: string, payload: Buffer, principal: Principal): Promise<boolean>;
  /** Asks the source at once, or joins the run that is under way. */
  runNow(name: string): Promise<FeedHealth>;
  setPaused(name: string, paused: boolean): Promise<FeedHealth>;
  /** Begins the schedule. */
  start(): void;
  close(): Promise<void>;
}

const PULLS_AT_ONCE = 4;
const PUSHES_WAITING = 64;
const TICK_MS = 1_000;
const FLUSH_MS = 5_000;

/** Opens the feeds of feeds.yaml. A feed that is set up wrongly is shown as broken; the others run. */
export async function openFeeds(deps: FeedsDeps): Promise<Feeds> {
  const { clock, logger, metrics, random } = deps;
  const store = createFeedStore(deps.handle);
  const file = readFeedFile(deps.feedsYaml);
  if (file.problem !== null) logger.error({ problem: file.problem }, 'city/feeds.yaml cannot be used; no feed runs');
  const outgoing = createOutgoing({ egress: file.egress, metrics });
  const adapters = createAdapters({ codecs: deps.codecs });
  const feeds = new Map<string, Feed>();
  for (const entry of file.feeds) feeds.set(entry.name, await openFeed(entry, { deps, store, outgoing, adapters }));
  const { readingsMetric, runsMetric } = createFeedMetrics(metrics, feeds, clock);
  const pulls = new Set<Feed>();

  const require = (name: string): Feed & { bound: BoundAdapter; made: FeedEntities } => {
    const feed = feeds.get(name);
    if (feed === undefined) throw new Refused({ code: 'feed.not-found', detail: `There is no feed ${name.slice(0, 63)}.`, field: 'name' });
    if (feed.broken !== null) throw new Refused(feed.broken);
    if (!feed.entry.enabled || feed.bound === null || feed.made === null) throw new Refused({ code: 'feed.config-invalid', detail: `${name} is switched off: enabled is false.`, field: 'enabled' });
    return feed as Feed & { bound: BoundAdapter; made: FeedEntities };
  };

  /** Makes entities, stores readings, counts; one batch of a feed at a time. */
  const keep = (feed: Feed, batch: SourceBatch, patient: boolean): Promise<FeedAnswer> => {
    const turn = feed.turn.then(async () => {
      const { made } = feed;
      if (made === null) throw new Error('a feed without entities got a batch');
      const refused = [...batch.refusals, ...(await made.upsert(batch))];
      const answer = await storeReadings(deps.readings, { batch, made, principal: feed.principal, refused, patient, gate: deps.gate });
      for (const { at, code } of answer.allRefused) feed.record.noteRefused(code, at);
      const { taken, duplicate, refused: listed, refused_count } = answer;
      readingsMetric.inc({ feed: feed.entry.name, outcome: 'taken' }, taken);
      readingsMetric.inc({ feed: feed.entry.name, outcome: 'duplicate' }, duplicate);
      readingsMetric.inc({ feed: feed.entry.name, outcome: 'refused' }, refused_count);
      feed.record.noteDone({ taken, duplicate, refused: listed, refused_count }, batch.ignored ?? 0);
      return { taken, duplicate, refused: listed, refused_count };
    });
    feed.turn = turn.catch(() => undefined); // who waits for this turn hears of it; the next one begins anyway
    return turn;
  };

  const fail = (feed: Feed, error: unknown): Refusal => {
    const refusal: Refusal = error instanceof Refused ? error.refusals[0] : { code: 'feed.document-invalid', detail: 'Reading it failed on our side; the log of the server says more.' };
    if (!(error instanceof Refused)) logger.error({ err: error, feed: feed.entry.name }, 'a feed failed');
    feed.record.noteRefused(refusal.code, refusal.field ?? 'document');
    feed.record.noteFailed(refusal);
    runsMetric.inc({ feed: feed.entry.name, outcome: 'failed' });
    return refusal;
  };

  const pull = (feed: Feed): Promise<void> => {
    if (feed.running !== null) return feed.running;
    const { bound } = feed;
    if (bound?.pull === undefined) return Promise.resolve();
    const { read } = bound.pull;
    const run = async (): Promise<void> => {
      try {
        await keep(feed, await read({ fetch: feed.fetch, nowMs: () => clock.nowMs() }), true);
        runsMetric.inc({ feed: feed.entry.name, outcome: 'done' });
      } catch (error) {
        fail(feed, error);
      } finally {
        feed.running = null;
        pulls.delete(feed);
        feed.nextMs = clock.nowMs() + waitMs(feed.interval_s, feed.record.failures, random);
      }
    };
    pulls.add(feed);
    return (feed.running = run());
  };

  let lastTickMs = clock.nowMs();
  const tick = (): void => {
    const nowMs = clock.nowMs();
    // a clock that was set back must not keep the sources waiting until it has caught up
    if (nowMs < lastTickMs) for (const feed of feeds.values()) feed.nextMs -= lastTickMs - nowMs;
    lastTickMs = nowMs;
    const due = [...feeds.values()].filter((feed) => feed.nextMs <= nowMs && feed.running === null && !feed.record.paused).sort((a, b) => a.nextMs - b.nextMs);
    for (const feed of due.slice(0, Math.max(0, PULLS_AT_ONCE - pulls.size))) void pull(feed);
  };

  let flushing: Promise<void> = Promise.resolve();
  const flush = (): Promise<void> =>
    (flushing = flushing.then(async () => {
      for (const [name, { record, broken }] of feeds) {
        const changes = broken === null ? record.takeChanges() : null;
        if (changes === null) continue;
        try {
          await store.write(name, changes.feed, changes.refusals);
        } catch (error) {
          logger.warn({ err: error, feed: name }, 'the health of a feed could not be written; it is written with its next change');
        }
      }
    }));

  const take = async (feed: Feed & { bound: BoundAdapter }, message: PushedMessage): Promise<FeedAnswer> => {
    const { push } = feed.bound;
    if (push === undefined) throw new Refused({ code: 'feed.config-invalid', detail: `${feed.entry.name} asks its source; nothing is sent to it.`, field: 'name' });
    if (feed.record.paused) throw new Refused({ code: 'http.overloaded', detail: `${feed.entry.name} is paused.` });
    if (feed.waiting >= PUSHES_WAITING) throw new Refused({ code: 'http.overloaded', detail: `${PUSHES_WAITING} messages of ${feed.entry.name} wait already.` });
    feed.waiting += 1;
    try {
      const answer = await keep(feed, await push.read(message), false);
      runsMetric.inc({ feed: feed.entry.name, outcome: 'done' });
      return answer;
    } catch (error) {
      fail(feed, error);
      throw error;
    } finally {
      feed.waiting -= 1;
    }
  };
  const mayPush = ({ entry }: Feed, principal: Principal): Refusal | null => {
    if (principal.device !== undefined) return { code: 'auth.forbidden', detail: 'The token of a device writes into its own datastreams only; use a token made with `clerestory token --role device`.' };
    return principal.purpose === undefined || principal.purpose === entry.purpose ? null : { code: 'auth.forbidden', detail: `The credential is bound to another purpose than the feed's, ${entry.purpose}.` };
  };

  const readersOf = (topic: string): (Feed & { bound: BoundAdapter })[] => [...feeds.values()].filter((feed): feed is Feed & { bound: BoundAdapter } => feed.bound?.push?.topics.some((filter) => matchesTopic(filter, topic)) === true && feed.entry.enabled);

  const timers: NodeJS.Timeout[] = [];
  return {
    health: () => [...feeds.values()].map(describeFeed),
    setup: () => ({
      problem: file.problem,
      egress: file.egress.map(({ host, private: isPrivate }) => (isPrivate ? `${host} (private)` : host)),
      adapters: [...adapters.values()].map(({ kind, title, example, pulls: canPull, pushes }) => ({ kind, title, pull: canPull, push: pushes, example })),
    }),
    push: async (name, message, principal) => {
      const feed = require(name);
      const forbidden = mayPush(feed, principal);
      if (forbidden !== null) throw new Refused(forbidden);
      const types = feed.bound.push?.contentTypes ?? [];
      const type = message.contentType.split(';')[0]?.trim().toLowerCase() ?? '';
      if (types.length > 0 && !types.includes(type)) throw new Refused({ code: 'http.unsupported-type', detail: `This feed takes ${types.join(', ')}.`, field: 'content-type' });
      return take(feed, message);
    },
    takeFromTopic: async (topic, payload, principal) => {
      const readers = readersOf(topic);
      if (readers.length === 0) return false;
      const refusals: Refusal[] = [];
      let took = false;
      for (const feed of readers) {
        const forbidden = mayPush(feed, principal);
        if (forbidden !== null) {
          refusals.push(forbidden);
          continue;
        }
        try {
          const answer = await take(feed, { contentType: '', body: payload, topic, receivedMs: clock.nowMs() });
          const [first] = answer.refused;
          if (answer.taken + answer.duplicate > 0 || first === undefined) took = true;
          else refusals.push({ code: first.code as Refusal['code'], detail: first.detail, field: first.at });
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          refusals.push(error.refusals[0]);
        }
      }
      const [first] = refusals;
      if (!took && first !== undefined) throw new Refused(first);
      return true;
    },
    runNow: async (name) => {
      const feed = require(name);
      if (feed.bound.pull === undefined) throw new Refused({ code: 'feed.config-invalid', detail: `${name} is sent to this server; there is nothing to ask.`, field: 'name' });
      await pull(feed);
      return describeFeed(feed);
    },
    setPaused: async (name, paused) => {
      const feed = require(name);
      feed.record.setPaused(paused);
      if (!paused && feed.bound.pull !== undefined) feed.nextMs = clock.nowMs();
      await flush();
      return describeFeed(feed);
    },
    start: () => {
      timers.push(setInterval(tick, TICK_MS), setInterval(() => void flush(), FLUSH_MS));
      for (const timer of timers) timer.unref();
    },
    close: async () => {
      for (const timer of timers) clearInterval(timer);
      for (const feed of feeds.values()) feed.nextMs = Infinity;
      outgoing.close();
      await Promise.all([...feeds.values()].map(async (feed) => (await feed.running, feed.turn)));
      for (const { made } of feeds.values()) made?.close();
      await flush();
    },
  };
}

function createFeedMetrics(metrics: Metrics, feeds: ReadonlyMap<string, Feed>, clock: Clock): { readingsMetric: Counter<'feed' | 'outcome'>; runsMetric: Counter<'feed' | 'outcome'> } {
  new Gauge({
    name: 'clerestory_feed_age_seconds',
    help: 'Age of the last success of each feed that had one',
    labelNames: ['feed'],
    registers: [metrics],
    collect() {
      for (const [feed, { record }] of feeds) if (record.lastSuccessMs !== null) this.set({ feed }, Math.max(0, (clock.nowMs() - record.lastSuccessMs) / 1_000));
    },
  });
  return {
    readingsMetric: new Counter({ name: 'clerestory_feed_readings_total', help: 'Readings of feeds', labelNames: ['feed', 'outcome'], registers: [metrics] }),
    runsMetric: new Counter({ name: 'clerestory_feed_documents_total', help: 'Documents of feeds', labelNames: ['feed', 'outcome'], registers: [metrics] }),
  };
}
