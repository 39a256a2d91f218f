import { setTimeout as sleep } from 'node:timers/promises';
import type { LogStatus } from '../../contracts/trust.ts';
import { isoOf, type Clock } from '../../kernel/index.ts';
import { Gauge, type DatabaseHandle, type Logger, type Metrics } from '../../platform/index.ts';
import { readNewestBody } from './log-store.ts';
import type { TransparencyLog } from './log.ts';
import { EMPTY_EDGE, extendEdge, hashLeaf, rootOf, TILE_WIDTH, type Edge, type Hash } from './merkle.ts';
import { readEntries, readHashes } from './tile-files.ts';

const KIND = 'log.scrub';
const DAY_MS = 86_400_000;
const TICK_MS = 60_000;
/** Between two bundles of 256 entries, so that appends come first. */
const PAUSE_MS = 5;

type ScrubStatus = NonNullable<LogStatus['scrub']>;

interface ScrubOptions {
  readonly log: Pick<TransparencyLog, 'readTile' | 'status' | 'appendBody'>;
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly pause?: () => Promise<unknown>;
}

export interface Scrub {
  /** What the last one found; null before the first. */
  status(): ScrubStatus | null;
  /** Starts one when the last is a day away by the clock. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Reads the whole log again once a day, as a disk can change what was written and synced: every entry is hashed and every tile
 * compared, up to the root that was signed. It needs memory for one tile a level. A leaf `log.scrub` tells what was checked.
 */
export async function createScrub(options: ScrubOptions): Promise<Scrub> {
  const { log, clock, logger } = options;
  const pause = options.pause ?? (() => sleep(PAUSE_MS));
  const faults = new Gauge({ name: 'clerestory_log_scrub_fault', help: '1 when the last reading of the whole transparency log found a fault', registers: [options.metrics] });
  const checked = new Gauge({ name: 'clerestory_log_scrub_entries', help: 'Entries that the last reading of the whole transparency log checked', registers: [options.metrics] });
  let last = readStatus(await readNewestBody(options.handle.db, KIND));
  let closed = false;
  let running: Promise<void> | null = null;
  const show = (status: ScrubStatus): void => {
    last = status;
    faults.set(status.fault === null ? 0 : 1);
    checked.set(status.entries);
  };
  if (last) show(last);

  const scrub = async (): Promise<void> => {
    const { size, root } = log.status(0);
    const found = await scrubTree(log, size, Buffer.from(root, 'base64'), async () => {
      await pause();
      return !closed;
    });
    if (found === 'stopped') return;
    show({ at: isoOf(clock.nowMs()), ...found });
    if (found.fault !== null) logger.error(found, 'the transparency log is damaged on the disk: keep the folder, and restore the file from a copy');
    else logger.info(found, 'the transparency log was read again, and is whole');
    await log.appendBody(KIND, { entries: found.entries, fault: found.fault });
  };
  const isDue = (): boolean => log.status(0).size > 0 && (last === null || Math.abs(clock.nowMs() - Date.parse(last.at)) >= DAY_MS);
  const tick = async (): Promise<void> => {
    if (running === null && !closed && isDue())
      running = scrub()
        .catch((error: unknown) => logger.error({ err: error }, 'the reading of the whole transparency log did not end'))
        .finally(() => (running = null));
    await running;
  };
  const timer = setInterval(() => void tick(), TICK_MS);
  timer.unref();
  return {
    status: () => last,
    tick,
    close: async () => {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}

/** The body of the last leaf of this kind, which outlives a restart. */
function readStatus(row: { body: string; at: Date } | undefined): ScrubStatus | null {
  return row ? { at: row.at.toISOString(), ...(JSON.parse(row.body) as Pick<ScrubStatus, 'entries' | 'fault'>) } : null;
}

async function scrubTree(log: ScrubOptions['log'], size: number, root: Hash, goOn: () => Promise<boolean>): Promise<Pick<ScrubStatus, 'entries' | 'fault'> | 'stopped'> {
  const files = { read: log.readTile };
  let edge: Edge = EMPTY_EDGE;
  try {
    while (edge.size < size) {
      const entries = await readEntries(files, size, edge.size / TILE_WIDTH);
      const next = extendEdge(edge, entries.map(hashLeaf));
      for (const { level, index, hashes } of next.changes) if (hashes.length === TILE_WIDTH) requireSame(hashes, await readHashes(files, size, level, index * TILE_WIDTH, TILE_WIDTH), level, index);
      edge = next.edge;
      if (!(await goOn())) return 'stopped';
    }
    for (const [level, hashes] of edge.levels.entries()) {
      const index = Math.floor(size / TILE_WIDTH ** (level + 1));
      if (hashes.length > 0) requireSame(hashes, await readHashes(files, size, level, index * TILE_WIDTH, hashes.length), level, index);
    }
  } catch (error) {
    return { entries: edge.size, fault: (error as Error).message.slice(0, 300) };
  }
  return { entries: size, fault: Buffer.from(rootOf(edge)).equals(root) ? null : 'the entries do not give the root that was signed' };
}

function requireSame(wanted: readonly Hash[], read: readonly Hash[], level: number, index: number): void {
  if (!Buffer.concat(wanted).equals(Buffer.concat(read))) throw new Error(`a tile of the log does not fit its entries: level ${level}, tile ${index}`);
}
