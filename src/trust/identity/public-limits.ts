import { createHmac } from 'node:crypto';
import type { Clock } from '../../kernel/index.ts';
import type { Database, Logger } from '../../platform/index.ts';
import { deleteOldCounts, listCounts, putCounts, type StoredCount } from './public-limit-store.ts';

/** Counts that are held; the oldest goes first. */
const HELD_MAX = 100_000;
const WRITE_MS = 1_000;
const ROWS_PER_WRITE = 5_000;

/**
 * How often an address called a public door in the present window. Counted in memory, so that no call waits for the database, and
 * written every second, so that a restart forgets a second at most.
 */
export interface PublicLimits {
  /** Counts one more call. `door` names what is called, with its method. */
  count(door: string, address: string, window_ms: number): { readonly count: number; readonly ttl_ms: number };
  /** For the limiter of routes: what keeps its counts, of one name for each group of routes. */
  storeOf(group: string): LimitStoreClass;
  /** Takes up what an earlier process wrote. */
  load(): Promise<void>;
  write(): Promise<void>;
  forgetOld(): Promise<void>;
  close(): Promise<void>;
}

type Counted = (error: Error | null, result?: { current: number; ttl: number }) => void;
/** The form that @fastify/rate-limit asks of a store. */
export interface LimitStore {
  incr(address: string, done: Counted, window_ms: number): void;
  child(route: object): LimitStore;
}
export type LimitStoreClass = new () => LimitStore;

interface Held {
  count: number;
  untilMs: number;
  /** Whether it is to be written. */
  changed: boolean;
}

export function createPublicLimits({ db, clock, key, logger }: { db: Database; clock: Clock; key: Uint8Array; logger: Logger }): PublicLimits {
  const held = new Map<string, Held>();
  let writing: Promise<void> | undefined;

  const count: PublicLimits['count'] = (door, address, window_ms) => {
    const nowMs = clock.nowMs();
    const hash = createHmac('sha256', key).update(JSON.stringify(['public-limit', door, address])).digest('hex');
    const known = held.get(hash);
    // a window that ends later than one window from now was begun before the clock went back
    const runs = known !== undefined && known.untilMs > nowMs && known.untilMs <= nowMs + window_ms;
    const next: Held = runs ? { count: known.count + 1, untilMs: known.untilMs, changed: true } : { count: 1, untilMs: nowMs + window_ms, changed: true };
    held.delete(hash); // so that the order of the map is that of use
    held.set(hash, next);
    if (held.size > HELD_MAX) held.delete(held.keys().next().value as string);
    return { count: next.count, ttl_ms: next.untilMs - nowMs };
  };
  const writeOnce = async (): Promise<void> => {
    const nowMs = clock.nowMs();
    const rows: StoredCount[] = [];
    const taken: Held[] = [];
    for (const [hash, each] of held) {
      if (each.untilMs <= nowMs) held.delete(hash);
      else if (each.changed && rows.length < ROWS_PER_WRITE) {
        each.changed = false;
        taken.push(each);
        rows.push({ hash: Buffer.from(hash, 'hex'), count: each.count, until: new Date(each.untilMs) });
      }
    }
    if (rows.length === 0) return;
    try {
      await putCounts(db, rows);
    } catch (error) {
      for (const each of taken) each.changed = true;
      throw error;
    }
  };
  const write = async (): Promise<void> => {
    writing ??= writeOnce().finally(() => {
      writing = undefined;
    });
    return writing;
  };
  const timer = setInterval(() => {
    write().catch((error: unknown) => logger.warn({ err: error }, 'counts of public calls could not be written'));
  }, WRITE_MS).unref();

  return {
    count,
    storeOf: (group) => storeClass(count, group),
    load: async () => {
      for (const { hash, count: before, until } of (await listCounts(db, new Date(clock.nowMs()), HELD_MAX)).reverse()) held.set(hash.toString('hex'), { count: before, untilMs: until.getTime(), changed: false });
    },
    write,
    forgetOld: () => deleteOldCounts(db, new Date(clock.nowMs())),
    close: async () => {
      clearInterval(timer);
      await writing;
      await write();
    },
  };
}

/** The limiter makes one of these, and a child of it for each route: every route counts by itself. */
function storeClass(count: PublicLimits['count'], group: string): LimitStoreClass {
  return class Store implements LimitStore {
    readonly #door: string;
    constructor(route?: unknown) {
      this.#door = `${group} ${typeof route === 'string' ? route : ''}`;
    }
    incr(address: string, done: Counted, window_ms: number): void {
      const { count: current, ttl_ms: ttl } = count(this.#door, address, window_ms);
      done(null, { current, ttl });
    }
    child(route: object): LimitStore {
      const { routeInfo } = route as { routeInfo?: { method?: string | string[]; url?: string } };
      const Child = Store as unknown as new (route: string) => LimitStore;
      return new Child(`${[routeInfo?.method ?? ''].flat().join()} ${routeInfo?.url ?? ''}`);
    }
  };
}
