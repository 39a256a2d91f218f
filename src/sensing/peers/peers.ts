import { setTimeout as sleep } from 'node:timers/promises';
import type { Refusal } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { EntityChange } from '../entities/index.ts';
import { tailBatches, type Batch, type Run } from '../observations/batch-store.ts';
import type { ObservationRow } from '../observations/observation-row.ts';
import { announce, beat, isKnownToAll, lastBatchSeq, leave, listenToAnnouncements, readBatchRows, readDatabaseTime, removeFormerCity, GONE_AFTER_S } from './peer-store.ts';

/** What this process does with what others did. */
export interface PeerHandlers {
  /** Readings that another process has stored. */
  readonly onStored: (rows: readonly ObservationRow[]) => Promise<void>;
  /** Another process has corrected or removed readings. */
  readonly onChanged: () => void;
  readonly onEntityChange: (change: EntityChange) => void;
  /** Announcements may have been missed: everything in memory is read again. */
  readonly onGap: () => void;
}

/**
 * The other processes of the city that take readings on the same database. Each renews a row every two seconds. While others are
 * there, every reading is looked for in the database before it is stored, under locks that all share, so that the same reading sent to
 * two processes is stored once.
 */
export interface Peers {
  /** Name of this process; no other has it. */
  readonly name: string;
  /** Whether others are there. Never false while one of them may store. */
  areThere(): boolean;
  /** Why this process may take nothing at the moment: it has not been able to say that it is there. */
  refusal(): Refusal | null;
  announce(run: Run, changes: readonly EntityChange[]): Promise<void>;
  /** Resolves when every other process knows of this one. */
  join(handlers: PeerHandlers): Promise<void>;
  /** Hears of nothing more; the others still count this process until `close`. */
  stopFollowing(): Promise<void>;
  close(): Promise<void>;
}

const BEAT_MS = 2_000;
// others take this process for gone a little later than it stops itself
const UNHEARD_MS = (GONE_AFTER_S - 2) * 1_000;
const FOLLOW_MS = 50;
const BATCHES_AT_ONCE = 200;
const AWAY: Refusal = { code: 'http.overloaded', detail: 'This process has lost touch with the database and with the other processes.' };

export function openPeers({ handle, logger, name }: { handle: DatabaseHandle; logger: Logger; name: string }): Peers {
  let others: readonly string[] = [];
  let heardMs = performance.now();
  let closing = false;
  let running: Promise<unknown> = Promise.resolve();
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  const wait = (ms: number): Promise<unknown> => Promise.race([sleep(ms, undefined, { ref: false }), stopped]);
  let hasLeft = false;
  let leaveNow: () => void = () => undefined;
  const left = new Promise<void>((resolve) => (leaveNow = resolve));
  let following: Promise<unknown> = Promise.resolve();
  let announcements: { close(): Promise<void> } | undefined;

  const renew = async (): Promise<void> => {
    const startMs = performance.now();
    others = await beat(handle, name);
    heardMs = startMs;
  };
  const keepBeating = async (): Promise<void> => {
    for (;;) {
      await Promise.race([sleep(BEAT_MS, undefined, { ref: false }), left]);
      if (hasLeft) return;
      try {
        await renew();
      } catch (error) {
        logger.debug({ err: error }, 'the row of this process could not be renewed');
      }
    }
  };
  const take = async (batch: Batch, handlers: PeerHandlers): Promise<void> => {
    if (batch.writer.includes(name)) return;
    if (batch.streams !== null) handlers.onChanged();
    if (batch.first_id !== null) await handlers.onStored(await readBatchRows(handle, batch));
  };
  const follow = async (afterSeq: number, handlers: PeerHandlers): Promise<void> => {
    const tail = tailBatches(handle, afterSeq);
    const waiting: Batch[] = [];
    while (!closing) {
      try {
        if (waiting.length === 0) waiting.push(...(await tail.read(BATCHES_AT_ONCE)));
        for (let next = waiting[0]; next !== undefined && !closing; next = waiting[0]) {
          await take(next, handlers);
          waiting.shift();
        }
      } catch (error) {
        logger.warn({ err: error }, 'the readings of other processes could not be read; trying again');
        await wait(BEAT_MS);
      }
      await wait(others.length > 0 ? FOLLOW_MS : BEAT_MS);
    }
  };

  return {
    name,
    areThere: () => others.length > 0,
    refusal: () => (others.length > 0 && performance.now() - heardMs > UNHEARD_MS ? AWAY : null),
    announce: (run, changes) => announce(run, name, changes),
    join: async (handlers) => {
      if (name.startsWith('city-')) await removeFormerCity(handle);
      const afterSeq = await lastBatchSeq(handle);
      announcements = await listenToAnnouncements(handle, name, logger, { change: handlers.onEntityChange, gap: handlers.onGap });
      await renew();
      const since = await readDatabaseTime(handle);
      running = keepBeating();
      following = follow(afterSeq, handlers);
      while (!(await isKnownToAll(handle, name, since))) await sleep(200);
    },
    stopFollowing: async () => {
      closing = true;
      stop();
      await announcements?.close();
      await following;
    },
    close: async () => {
      hasLeft = true;
      leaveNow();
      await running;
      // others notice by themselves when this process cannot say that it leaves
      await leave(handle, name).catch((error: unknown) => logger.debug({ err: error }, 'the row of this process could not be removed'));
    },
  };
}
