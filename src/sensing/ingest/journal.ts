import { setTimeout as sleep } from 'node:timers/promises';
import type { Refusal } from '../../kernel/index.ts';
import type { Logger } from '../../platform/index.ts';
import { isSameReading, type Draft, type Waiter } from '../observations/draft.ts';
import { DAY_MS, type Partitions } from '../observations/partition-store.ts';
import { WriterAway, type ObservationWriter } from '../observations/writer-store.ts';

/** Group commit: whoever has something to store joins the batch that the next free connection takes. */
export interface Journal {
  /**
   * Null once every draft is durable and carries its id; a refusal when the queue is full or the database stayed away, and
   * then none, some or all of the drafts are stored, and sending them again is safe. Throws when the database refuses the content.
   */
  append(drafts: readonly Draft[]): Promise<Refusal | null>;
  /** Resolves true when `rows` more fit, false when they did not within the time that an acknowledgement may take. */
  whenRoom(rows: number): Promise<boolean>;
  readonly queuedRows: number;
  /** Takes no more, and resolves when what was taken is durable or was given up. */
  drain(): Promise<void>;
}

export interface JournalOptions {
  readonly writers: readonly ObservationWriter[];
  readonly partitions: Partitions;
  readonly logger: Logger;
  /** Called after COMMIT with the rows that were stored, in the order of the commits. */
  readonly onCommitted: (drafts: readonly Draft[]) => void;
  /** Why nothing can be taken at the moment, or null. */
  readonly refusal?: () => Refusal | null;
  readonly queue_rows: number;
  readonly batch_rows: number;
  /** How long a reading may wait for its commit before its sender is told to come again. */
  readonly ack_timeout_ms: number;
}

interface Chunk {
  readonly drafts: Draft[];
  readonly sinceMs: number;
}

const RETRY_MS = 100;
// Different results at one time are all kept, but only this many are compared in memory; the others go through the database.
const COMPARED = 16;
const FULL: Refusal = { code: 'http.overloaded', detail: 'The queue of readings is full.' };
const AWAY: Refusal = { code: 'http.overloaded', detail: 'The database did not take the readings in time.' };
const CLOSING: Refusal = { code: 'http.overloaded', detail: 'The server is stopping.' };

export function createJournal(options: JournalOptions): Journal {
  const { writers, partitions, logger } = options;
  const chunks: Chunk[] = [];
  const late = new Map<string, Draft[]>(); // readings under way that are not newer than the newest of their stream
  const idle: (() => void)[] = [];
  const rooms: { rows: number; give: (given: boolean) => void }[] = [];
  let queuedRows = 0;
  let closing = false;

  const settleDraft = (draft: Draft, refusal: Refusal | null, fault: Error | undefined): void => {
    const { waiter, followers } = draft;
    if (waiter !== null) settleWaiter(waiter, refusal, fault);
    if (followers !== null) for (const follower of followers) settleWaiter(follower, refusal, fault);
    draft.waiter = null;
    draft.followers = null;
    if (!draft.mayBeStored) return;
    const pending = late.get(lateKey(draft));
    if (pending === undefined || pending.length === 1) late.delete(lateKey(draft));
    else pending.splice(pending.indexOf(draft), 1);
  };
  const release = (rows: number): void => {
    queuedRows -= rows;
    while (rooms.length > 0) {
      const first = rooms[0] as { rows: number; give: (given: boolean) => void };
      if (queuedRows + first.rows > options.queue_rows && queuedRows > 0) break;
      rooms.shift();
      first.give(true);
    }
  };
  const finish = (drafts: readonly Draft[], stored: ReadonlySet<Draft>): void => {
    const fresh = stored.size === 0 ? drafts : drafts.filter((draft) => !stored.has(draft));
    if (fresh.length > 0) options.onCommitted(fresh);
    for (const draft of drafts) settleDraft(draft, null, undefined);
    release(drafts.length);
  };
  const giveUp = (drafts: readonly Draft[], refusal: Refusal | null, fault: Error | undefined): void => {
    for (const draft of drafts) {
      // it may be stored or not: only the database knows, so the next one at this time is looked up there
      if (draft.stream.newest?.includes(draft) === true) draft.stream.newest = null;
      settleDraft(draft, refusal, fault);
    }
    release(drafts.length);
  };
  /** Readings that have waited too long behind a database that is away. */
  const expire = (): void => {
    const nowMs = performance.now();
    while (chunks.length > 0 && nowMs - (chunks[0] as Chunk).sinceMs > options.ack_timeout_ms) giveUp((chunks.shift() as Chunk).drafts, AWAY, undefined);
  };

  const commit = async (writer: ObservationWriter, drafts: readonly Draft[], sinceMs: number): Promise<void> => {
    for (;;) {
      try {
        await ensureDays(drafts, partitions);
        finish(drafts, await writer.store(drafts));
        return;
      } catch (error) {
        if (error instanceof WriterAway || isConnectionLoss(error)) {
          expire();
          if (performance.now() - sinceMs > options.ack_timeout_ms) {
            logger.warn({ err: error, rows: drafts.length }, 'readings were not stored: the database stayed away; their senders were told');
            giveUp(drafts, AWAY, undefined);
            return;
          }
          await sleep(RETRY_MS);
          continue;
        }
        if (drafts.length === 1) {
          logger.error({ err: error, datastream: drafts[0]?.stream.id }, 'the database refused a reading that had passed all checks');
          giveUp(drafts, null, new Error('the database refused a reading', { cause: error }));
          return;
        }
        // the database refused one of them and took none: halves find out which
        const middle = drafts.length >> 1;
        await commit(writer, drafts.slice(0, middle), sinceMs);
        await commit(writer, drafts.slice(middle), sinceMs);
        return;
      }
    }
  };

  const run = async (writer: ObservationWriter): Promise<void> => {
    for (;;) {
      const chunk = chunks.shift();
      if (chunk !== undefined) await commit(writer, chunk.drafts, chunk.sinceMs);
      else if (closing) return;
      // setImmediate lets every request that has arrived by now join
      else await new Promise<void>((resolve) => idle.push(() => setImmediate(resolve)));
    }
  };
  const running = Promise.all(writers.map(run));

  const enqueue = (draft: Draft): void => {
    let last = chunks.at(-1);
    if (last === undefined || last.drafts.length >= options.batch_rows) chunks.push((last = { drafts: [], sinceMs: performance.now() }));
    last.drafts.push(draft);
    queuedRows += 1;
  };

  /** A message that its sender has named: the same name is the same message, whatever its time and content. */
  const findByClient = (draft: Draft): Draft | undefined => {
    const key = lateKey(draft);
    const twin = late.get(key)?.[0];
    if (twin !== undefined) return twin;
    late.set(key, [draft]);
    draft.mayBeStored = true;
    noteNewest(draft);
    return undefined;
  };

  /** The same reading under way or known, or undefined when the draft must be stored (perhaps after a look into the database). */
  const findTwin = (draft: Draft): Draft | undefined => {
    const { stream } = draft;
    if (draft.clientId !== undefined) return findByClient(draft);
    if (draft.phenomenonMs > stream.newestMs) {
      stream.newestMs = draft.phenomenonMs;
      stream.newest = draft.hasOwnTime ? [draft] : null;
      return undefined;
    }
    if (!draft.hasOwnTime) return undefined;
    if (draft.phenomenonMs === stream.newestMs && stream.newest !== null) {
      const twin = stream.newest.find((other) => isSameReading(other, draft));
      if (twin !== undefined) return twin;
      if (stream.newest.length < COMPARED) {
        stream.newest.push(draft);
        return undefined;
      }
      stream.newest = null;
    }
    const key = lateKey(draft);
    const pending = late.get(key);
    const twin = pending?.find((other) => isSameReading(other, draft));
    if (twin !== undefined) return twin;
    if (pending === undefined) late.set(key, [draft]);
    else pending.push(draft);
    draft.mayBeStored = true;
    return undefined;
  };

  return {
    append: (drafts) => {
      if (drafts.length === 0) return Promise.resolve(null);
      if (closing) return Promise.resolve(CLOSING);
      const refusal = options.refusal?.() ?? null;
      if (refusal !== null) return Promise.resolve(refusal);
      if (queuedRows > 0 && queuedRows + drafts.length > options.queue_rows) return Promise.resolve(FULL);
      return new Promise<Refusal | null>((resolve, reject) => {
        const waiter: Waiter = {
          remaining: drafts.length,
          refusal: null,
          fault: undefined,
          settle: () => {
            for (const [draft, twin] of twins) draft.id = twin.id;
            if (waiter.fault !== undefined) reject(waiter.fault);
            else resolve(waiter.refusal);
          },
        };
        const twins: [Draft, Draft][] = [];
        for (const draft of drafts) {
          const twin = findTwin(draft);
          if (twin === undefined) {
            draft.waiter = waiter;
            enqueue(draft);
            continue;
          }
          twins.push([draft, twin]);
          if (twin.waiter === null && twin.id !== 0) waiter.remaining -= 1; // durable already
          else (twin.followers ??= []).push(waiter);
        }
        if (waiter.remaining === 0) waiter.settle();
        for (let free = chunks.length; free > 0 && idle.length > 0; free -= 1) idle.shift()?.();
      });
    },
    whenRoom: (rows) => {
      if (queuedRows === 0 || queuedRows + rows <= options.queue_rows) return Promise.resolve(true);
      return new Promise((resolve) => {
        const room = { rows, give: (given: boolean) => (clearTimeout(timer), resolve(given)) };
        const timer = setTimeout(() => {
          rooms.splice(rooms.indexOf(room), 1);
          resolve(false);
        }, options.ack_timeout_ms);
        rooms.push(room);
      });
    },
    get queuedRows() {
      return queuedRows;
    },
    drain: async () => {
      closing = true;
      for (const wake of idle.splice(0)) wake();
      await running;
    },
  };
}

/** A reading that is not compared in memory may be the newest all the same. */
function noteNewest({ stream, phenomenonMs }: Draft): void {
  if (phenomenonMs <= stream.newestMs) return;
  stream.newestMs = phenomenonMs;
  stream.newest = null;
}

const lateKey = ({ stream, phenomenonMs, clientId }: Draft): string => (clientId === undefined ? `${stream.id} ${phenomenonMs}` : `${stream.id} id ${clientId}`);

function settleWaiter(waiter: Waiter, refusal: Refusal | null, fault: Error | undefined): void {
  if (refusal !== null) waiter.refusal = refusal;
  if (fault !== undefined) waiter.fault = fault;
  waiter.remaining -= 1;
  if (waiter.remaining === 0) waiter.settle();
}

async function ensureDays(drafts: readonly Draft[], partitions: Partitions): Promise<void> {
  let last = NaN;
  for (const draft of drafts) {
    const day = Math.floor(draft.phenomenonMs / DAY_MS);
    if (day === last) continue;
    last = day;
    if (!partitions.isKnown(day)) await partitions.ensure(day);
  }
}

// what the pool of the partitions says when the database is away
function isConnectionLoss(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return error instanceof Error && (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || /^(?:08|53|57|58)/.test(code));
}
