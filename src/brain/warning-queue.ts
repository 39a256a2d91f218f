import { type Logger } from '../platform/index.ts';
import { type WarningChange, type WarningStore } from './warning-store.ts';

const BATCH_CHANGES = 100;
const RETRY_MS = 1_000;
/** Each change comes from a durable reading or from a deadline that passes once a place; more than this waiting is a bug. */
const WAITING_CHANGES = 200_000;

export interface WarningQueue {
  push(change: WarningChange): void;
  waiting(): number;
  /** Resolves when everything pushed so far is stored. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Writes changes in their order, many in one transaction, and again until the database takes them. */
export function createWarningQueue(store: WarningStore, logger: Logger): WarningQueue {
  const waiting: WarningChange[] = [];
  let running: Promise<void> | null = null;
  let closing = false;

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH_CHANGES);
      try {
        await store.apply(batch);
        waiting.splice(0, batch.length);
      } catch (error) {
        logger.error({ err: error, changes: waiting.length }, 'warnings could not be stored; trying again');
        if (closing) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  };
  const start = (): void => {
    running ??= run().finally(() => {
      running = null;
    });
    // a failure while closing reaches whoever drains; nobody else waits for it
    running.catch(() => undefined);
  };
  const drain = async (): Promise<void> => {
    while (waiting.length > 0 || running !== null) {
      start();
      await running;
    }
  };
  return {
    push: (change) => {
      if (waiting.length >= WAITING_CHANGES) throw new Error('too many changes of warnings wait to be stored');
      waiting.push(change);
      start();
    },
    waiting: () => waiting.length,
    drain,
    close: () => {
      closing = true;
      return drain();
    },
  };
}
