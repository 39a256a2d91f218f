import { isoOf, Refused, type Clock } from '../../kernel/index.ts';
import type { Database, DatabaseHandle, Logger } from '../../platform/index.ts';
import type { BrokerClient, BrokerState } from './broker-client.ts';
import { countByVersion, listKeysBelow, replaceKeys, settleFingerprints } from './case-store.ts';
import { wrappedOf } from './openings.ts';

const BATCH = 500;
const TIDY_MS = 24 * 3_600_000;

/** Holds the broker's root keys against the database. Throws `Refused` with `start.key-different`. */
export async function settleRoots(db: Database, { roots }: Pick<BrokerState, 'roots'>): Promise<void> {
  const held = roots.map(({ version, fingerprint }) => ({ version, fingerprint: Buffer.from(fingerprint, 'base64') }));
  const standing = await settleFingerprints(db, held);
  const foreign = held.find(({ version, fingerprint }) => !standing.get(version)?.equals(fingerprint));
  if (foreign) throw new Refused({ code: 'start.key-different', detail: `The broker's root key, version ${foreign.version}, is not the key that wrapped the case keys of this database.` });
  for (const [version, count] of await countByVersion(db)) {
    if (!held.some((one) => one.version === version)) throw new Refused({ code: 'start.key-different', detail: `Version ${version} of the root key wraps the keys of ${count} cases and the broker does not hold it.` });
  }
}

export interface Rotation {
  readonly version: number;
  readonly rewrapped: number;
  /** Versions that were destroyed. */
  readonly destroyed: readonly number[];
}

export interface Roots {
  /** Makes a new version of the root key, rewraps every case key under it, and destroys versions whose window has ended. */
  rotate(): Promise<Rotation>;
  /** The same without a new version: goes on after a crash, and destroys what is due. */
  tidy(): Promise<Rotation>;
  /** Tidies now, for a stop may have cut a rotation off, and every day, for windows that end. Gives what ends it and waits for it. */
  start(logger: Logger): () => Promise<void>;
}

/** Records and looks stay as they are: only the wrapping of case keys changes. */
export function createRoots({ handle, clock, broker, windowDays }: { handle: DatabaseHandle; clock: Clock; broker: BrokerClient; windowDays: number }): Roots {
  const db = handle.db;

  const rewrapAll = async (version: number): Promise<number> => {
    let rewrapped = 0;
    for (;;) {
      const batch = await listKeysBelow(db, version, BATCH);
      if (batch.length === 0) return rewrapped;
      const { keys } = await broker.call('rewrap', { items: batch.map(({ caseId, keys: stored }) => ({ caseId, keys: wrappedOf(stored) })) });
      for (const [at, { caseId, keys: stored }] of batch.entries()) {
        const next = keys[at];
        if (next !== undefined) await replaceKeys(db, caseId, stored.version, { version: next.version, recordKey: Buffer.from(next.recordKey, 'base64'), logKey: Buffer.from(next.logKey, 'base64') });
      }
      rewrapped += batch.length;
    }
  };

  let last: Promise<unknown> = Promise.resolve();
  /** One at a time: two people's rotation and the daily work. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine;
    return mine;
  };

  const tidy = async (): Promise<Rotation> => {
    const version = Math.max(...(await broker.refresh()).roots.map((root) => root.version));
    const rewrapped = await rewrapAll(version);
    const used = await countByVersion(db);
    const destroyed: number[] = [];
    for (const { version: old } of broker.state().roots) {
      if (old === version || used.has(old)) continue;
      if ((await broker.call('retire', { version: old, windowDays, at: isoOf(clock.nowMs()) })).destroyed) destroyed.push(old);
    }
    return { version, rewrapped, destroyed };
  };
  return {
    tidy: () => inTurn(tidy),
    start: (logger) => {
      const work = (): void => void inTurn(tidy).catch((error: unknown) => logger.warn({ err: error }, 'the keys of cases are not all rewrapped yet'));
      work();
      const timer = setInterval(work, TIDY_MS);
      timer.unref();
      return async () => {
        clearInterval(timer);
        await last.catch(() => undefined); // said already
      };
    },
    rotate: () => inTurn(async () => {
      const { version, fingerprint } = await broker.call('rotate', { at: isoOf(clock.nowMs()) });
      await settleFingerprints(db, [{ version, fingerprint: Buffer.from(fingerprint, 'base64') }]);
      return tidy();
    }),
  };
}
