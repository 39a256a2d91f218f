import { join } from 'node:path';
import type { LogStatus } from '../../contracts/trust.ts';
import { isoOf, Refused, type Clock, type Random } from '../../kernel/index.ts';
import { Counter, Histogram, type DatabaseHandle, type Logger, type Metrics } from '../../platform/index.ts';
import { canonicalJson, type Json } from './canonical.ts';
import { commitTo, encodeLeaf, NONCE_BYTES, type Leaf } from './entry.ts';
import { holdLogFolder, loadLog, type LogState, type SigningKey } from './log-start.ts';
import { advanceHead, deleteBody, insertBody, listPendingBodies, readHead, setBodyIndex } from './log-store.ts';
import { extendEdge, hashLeaf, rootOf, TILE_WIDTH, type ReadHashes } from './merkle.ts';
import { signCheckpoint } from './note.ts';
import { joinEntries, joinHashes, openTileFiles, readEntries, readHashes, type TileFiles } from './tile-files.ts';
import { holds, type TileName } from './tile-path.ts';

const BATCH_ENTRIES = 4_096;
const QUEUE_ENTRIES = 20_000;

/**
 * An append that gave no index. `not-appended`: the tree is as before. `unknown`: the entry may stand in the tree;
 * `find` tells later.
 */
export class LogFault extends Error {
  readonly outcome: 'not-appended' | 'unknown';
  constructor(outcome: LogFault['outcome'], detail: string, cause?: unknown) {
    super(`the transparency log took no entry: ${detail}`, { cause });
    this.name = 'LogFault';
    this.outcome = outcome;
  }
}

export interface TransparencyLog {
  /** Resolves with the leaf's index once entry, tiles, head and checkpoint are on the disk. Throws `LogFault`. */
  append(leaf: Leaf): Promise<number>;
  /** Appends a leaf that commits to `body`, which concerns no case and no person, and keeps nonce and body. */
  appendBody(kind: string, body: Json, ofCase?: Pick<Leaf, 'caseTag' | 'n'>): Promise<number>;
  /** The index of the leaf with this commitment, looked for from `fromIndex` on; null when there is none. Throws `LogFault` while that is in doubt. */
  find(commitment: Uint8Array, fromIndex: number): Promise<number | null>;
  size(): number;
  status(looks: number): LogStatus;
  checkpoint(): string;
  /** A published tile or bundle; null when the published tree does not hold it or it was replaced by the full one. */
  readTile(name: TileName): Promise<Uint8Array | null>;
  /** For proofs over the published tree. */
  readHashes: ReadHashes;
  verifierKey(): string;
  close(): Promise<void>;
}

interface LogOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly dataFolder: string;
  readonly publicUrl: string | undefined;
  readonly signingKey: SigningKey;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly resolve: (index: number) => void;
  readonly reject: (fault: Error) => void;
}

/** Opens the log in `<dataFolder>/log`, begins it when there is none, and mends what a crash left. One writer a folder. */
export async function openLog(options: LogOptions): Promise<TransparencyLog> {
  const { handle, clock, random, logger } = options;
  const folder = join(options.dataFolder, 'log');
  const release = holdLogFolder(folder);
  try {
    const files = openTileFiles(folder);
    const writer = createWriter(options, files, await loadLog(options, folder, files, BATCH_ENTRIES));
    const log: TransparencyLog = {
      append: async (leaf) => writer.append(encodeLeaf(leaf)),
      appendBody: async (kind, body, ofCase = {}) => {
        const nonce = random(NONCE_BYTES);
        const commitment = commitTo(nonce, body);
        const at = clock.nowMs();
        await insertBody(handle.db, { commitment, kind, nonce, body: canonicalJson(body), fromIndex: writer.state().edge.size, at: new Date(at) });
        try {
          const index = await writer.append(encodeLeaf({ kind, t: isoOf(at), ...ofCase, commit: commitment.toString('hex') }));
          await setBodyIndex(handle.db, commitment, index);
          return index;
        } catch (error) {
          if (error instanceof LogFault && error.outcome === 'not-appended') await deleteBody(handle.db, commitment);
          throw error;
        }
      },
      find: async (commitment, fromIndex) => {
        await writer.settle();
        return findLeaf(files, writer.state().edge.size, commitment, fromIndex);
      },
      size: () => writer.published().edge.size,
      status: (looks) => {
        const { edge, root, origin, verifierKey, checkpointAt } = writer.published();
        return { origin, size: edge.size, root: Buffer.from(root).toString('base64'), checkpointAt: checkpointAt.toISOString(), vkey: verifierKey, looks };
      },
      checkpoint: () => writer.published().checkpoint,
      readTile: async (name) => (holds(writer.published().edge.size, name) ? files.read(name) : null),
      readHashes: (level, first, count) => readHashes(files, writer.published().edge.size, level, first, count),
      verifierKey: () => writer.published().verifierKey,
      close: async () => {
        await writer.close();
        release();
      },
    };
    await settlePendingBodies(handle, log);
    logger.debug({ size: log.size() }, 'the transparency log is open');
    return log;
  } catch (error) {
    release();
    throw error;
  }
}

/** Rows that a crash left without an index get it when their leaf is in the tree, and go when it is not. */
async function settlePendingBodies(handle: DatabaseHandle, log: TransparencyLog): Promise<void> {
  for (const { commitment, fromIndex } of await listPendingBodies(handle.db)) {
    const index = await log.find(commitment, fromIndex);
    if (index === null) await deleteBody(handle.db, commitment);
    else await setBodyIndex(handle.db, commitment, index);
  }
}

interface Writer {
  append(bytes: Uint8Array): Promise<number>;
  /** Resolves when it is known what stands in the tree. */
  settle(): Promise<void>;
  /** The tree as signed, and as published: behind by one batch at most. */
  state(): LogState;
  published(): LogState;
  close(): Promise<void>;
}

/** Group commit: while one batch goes to the disk the next one gathers. */
function createWriter(options: LogOptions, files: TileFiles, loaded: LogState): Writer {
  const { handle, clock, logger } = options;
  const appended = new Counter({ name: 'clerestory_log_entries_total', help: 'Entries appended to the transparency log', registers: [options.metrics] });
  const commitSeconds = new Histogram({
    name: 'clerestory_log_commit_seconds',
    help: 'Time from the first write of a batch to its published checkpoint',
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers: [options.metrics],
  });
  let state = loaded;
  let published = loaded;
  let doubtful: LogState | null = null; // the database did not say whether it took this head
  let queue: Waiting[] = [];
  let draining: Promise<void> | null = null;
  let closed = false;

  const askDatabase = async (candidate: LogState): Promise<void> => {
    const head = await readHead(handle.db);
    const isAt = (one: LogState): boolean => head?.size === one.edge.size && head.root.equals(one.root);
    if (isAt(candidate)) state = candidate;
    else if (!isAt(state)) throw new Error('the head in the database is not one that this process wrote');
    doubtful = null;
  };
  // After a failed commit of the head: asks once, however many wait for the answer.
  let asking: Promise<void> | null = null;
  const settle = async (): Promise<void> => {
    if (doubtful === null) return;
    asking ??= askDatabase(doubtful).finally(() => (asking = null));
    await asking.catch((cause: unknown) => {
      throw new LogFault('not-appended', 'the database does not say whether an earlier append is in the tree', cause);
    });
  };
  const publish = async (): Promise<void> => {
    await files.writeCheckpoint(state.checkpoint);
    published = state;
  };

  const commit = async (entries: readonly Uint8Array[]): Promise<number> => {
    const endTimer = commitSeconds.startTimer();
    await settle();
    if (published !== state) {
      await publish().catch((cause: unknown) => {
        throw new LogFault('not-appended', 'the checkpoint of an earlier append could not be written', cause);
      });
    }
    const first = state.edge.size;
    const { edge, changes } = extendEdge(state.edge, entries.map(hashLeaf));
    const bundled = [...state.tail, ...entries];
    const outgoing: { name: TileName; bytes: Uint8Array }[] = changes.map(({ level, index, hashes }) => ({
      name: { level, index, width: hashes.length },
      bytes: joinHashes(hashes),
    }));
    for (let at = 0; at < bundled.length; at += TILE_WIDTH) {
      const part = bundled.slice(at, at + TILE_WIDTH);
      outgoing.push({ name: { level: 'entries', index: Math.floor(first / TILE_WIDTH) + at / TILE_WIDTH, width: part.length }, bytes: joinEntries(part) });
    }
    await files.write(outgoing).catch((cause: unknown) => {
      throw new LogFault('not-appended', 'its files could not be written', cause);
    });
    const root = rootOf(edge);
    const next: LogState = {
      ...state,
      edge,
      root,
      tail: bundled.slice(bundled.length - (edge.size % TILE_WIDTH)),
      checkpointAt: new Date(clock.nowMs()),
      checkpoint: signCheckpoint({ origin: state.origin, size: edge.size, root }, options.signingKey),
    };
    // The database's compare-and-swap comes before the file: of two writers one signs, whatever the files say.
    const moved = await advanceHead(handle.db, { size: first, root: state.root }, { size: edge.size, root, checkpoint: next.checkpoint, checkpointAt: next.checkpointAt }).catch(
      (cause: unknown) => {
        doubtful = next;
        throw new LogFault('unknown', 'the database did not confirm the head', cause);
      },
    );
    if (!moved) throw new LogFault('not-appended', 'the head in the database was moved by another writer');
    state = next;
    await publish().catch((cause: unknown) => {
      throw new LogFault('unknown', 'the checkpoint could not be written', cause);
    });
    endTimer();
    appended.inc(entries.length);
    const full = outgoing.filter(({ name }) => name.width === TILE_WIDTH).map(({ name }) => name);
    await files.dropPartials(full).catch((error: unknown) => logger.warn({ err: error }, 'old partial tiles of the log could not be removed'));
    return first;
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH_ENTRIES);
      queue = queue.slice(BATCH_ENTRIES);
      try {
        const first = await commit(batch.map(({ bytes }) => bytes));
        batch.forEach(({ resolve }, at) => resolve(first + at));
      } catch (error) {
        logger.error({ err: error, entries: batch.length }, 'the transparency log could not append');
        for (const { reject } of batch) reject(error as Error);
      }
    }
    draining = null;
  };

  return {
    append: (bytes) => {
      if (closed) return Promise.reject(new LogFault('not-appended', 'the server is stopping'));
      if (queue.length >= QUEUE_ENTRIES) return Promise.reject(new Refused({ code: 'http.overloaded', detail: 'The transparency log is behind; nothing was done.' }));
      return new Promise((resolve, reject) => {
        queue.push({ bytes, resolve, reject });
        draining ??= drain();
      });
    },
    settle,
    state: () => state,
    published: () => published,
    close: async () => {
      closed = true;
      await draining;
    },
  };
}

async function findLeaf(files: TileFiles, size: number, commitment: Uint8Array, fromIndex: number): Promise<number | null> {
  const wanted = Buffer.from(`"commit":"${Buffer.from(commitment).toString('hex')}"`);
  for (let index = Math.floor(fromIndex / TILE_WIDTH); index * TILE_WIDTH < size; index += 1) {
    const entries = await readEntries(files, size, index);
    const at = entries.findIndex((entry) => Buffer.from(entry).includes(wanted));
    if (at >= 0) return index * TILE_WIDTH + at;
  }
  return null;
}
