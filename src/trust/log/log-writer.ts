import { Refused, type Clock } from '../../kernel/index.ts';
import { Counter, Histogram, type DatabaseHandle, type Logger, type Metrics } from '../../platform/index.ts';
import type { Cosigned, LogState, SigningKey } from './log-start.ts';
import { advanceHead, readHead } from './log-store.ts';
import { extendEdge, hashLeaf, rootOf, TILE_WIDTH, type Edge, type Hash } from './merkle.ts';
import { isSignatureLine, signCheckpoint, signerOf } from './note.ts';
import { joinEntries, joinHashes, type TileFiles } from './tile-files.ts';
import type { TileName } from './tile-path.ts';

/** Entries that are signed under one head; also the most that one `append` takes. */
export const BATCH_ENTRIES = 4_096;
const QUEUE_ENTRIES = 20_000;
/** A checker of signed notes must take 16 and may refuse more than its limit, which is 64 here; one is the log's own. */
const COSIGNATURES = 32;

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

/** A published head. `checkpoint` is signed by the log alone. */
export interface LogHead {
  readonly size: number;
  readonly root: Hash;
  readonly checkpoint: string;
  readonly at: Date;
}

interface WriterOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly signingKey: SigningKey;
  /** The root of an older tree. */
  readonly rootAt: (size: number) => Promise<Hash>;
}

export interface Writer {
  /** Appends neighbours under one head; resolves with the index of the first. */
  append(entries: readonly Uint8Array[]): Promise<number>;
  readonly cosign: (size: number, lines: readonly string[], quorum: boolean) => Promise<void>;
  /** Resolves when it is known what stands in the tree. */
  settle(): Promise<void>;
  /** The tree as signed, and as published: behind by one batch at most. */
  state(): LogState;
  published(): LogState;
  /** The published checkpoint with the cosignatures that arrived for it. */
  readonly checkpoint: () => string;
  readonly witnessed: () => Cosigned['witnessed'];
  readonly onHead: (listener: (head: LogHead) => void) => () => void;
  close(): Promise<void>;
}

interface Waiting {
  readonly entries: readonly Uint8Array[];
  readonly resolve: (first: number) => void;
  readonly reject: (fault: Error) => void;
}

/** A head that the database may or may not have taken. */
type Doubt = { readonly candidate: LogState } | null;

/** Group commit: while one batch goes to the disk the next one gathers. */
export function createWriter(options: WriterOptions, files: TileFiles, loaded: { state: LogState; cosigned: Cosigned }): Writer {
  const { handle, clock, logger } = options;
  const { appended, commitSeconds } = createMeters(options.metrics);
  let { state } = loaded;
  let published = state;
  let doubt: Doubt = null;
  let cosigned = loaded.cosigned;
  const queue: Waiting[] = [];
  let queued = 0;
  let draining: Promise<void> | null = null;
  let closed = false;
  const listeners = new Set<(head: LogHead) => void>();

  // Batches and cosignatures write the same file, one after the other.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done.catch(() => undefined); // whoever waits for `done` gets the fault
    return done;
  };

  const askDatabase = async (candidate: LogState): Promise<void> => {
    const head = await readHead(handle.db);
    const isAt = (one: LogState): boolean => head?.size === one.edge.size && head.root.equals(one.root);
    if (isAt(candidate)) state = candidate;
    else if (!isAt(state)) throw new Error('the head in the database is not one that this process wrote');
    doubt = null;
  };
  // After a failed commit of the head: asks once, however many wait for the answer.
  let asking: Promise<void> | null = null;
  const settle = async (): Promise<void> => {
    if (doubt === null) return;
    asking ??= askDatabase(doubt.candidate).finally(() => (asking = null));
    await asking.catch((cause: unknown) => {
      throw new LogFault('not-appended', 'the database does not say whether an earlier append is in the tree', cause);
    });
  };
  const publish = async (): Promise<void> => {
    await files.writeNote('checkpoint', state.checkpoint);
    published = state;
    cosigned = { ...cosigned, lines: [] };
    for (const listener of listeners) {
      try {
        listener(headOf(published));
      } catch (error) {
        logger.error({ err: error }, 'a listener to the head of the transparency log failed');
      }
    }
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
    const { edge, tail, outgoing } = layOut(state, entries);
    await files.write(outgoing).catch((cause: unknown) => {
      throw new LogFault('not-appended', 'its files could not be written', cause);
    });
    const root = rootOf(edge);
    const checkpoint = signCheckpoint({ origin: state.origin, size: edge.size, root }, options.signingKey);
    const next: LogState = { ...state, edge, root, tail, checkpoint, checkpointAt: new Date(clock.nowMs()) };
    // The database's compare-and-swap comes before the file: of two writers one signs, whatever the files say.
    const moved = await advanceHead(handle.db, { size: first, root: state.root }, { size: edge.size, root, checkpoint, checkpointAt: next.checkpointAt }).catch((cause: unknown) => {
      doubt = { candidate: next };
      throw new LogFault('unknown', 'the database did not confirm the head', cause);
    });
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
      const batch = takeBatch(queue);
      const entries = batch.flatMap((waiting) => waiting.entries);
      queued -= entries.length;
      try {
        let next = await inTurn(() => commit(entries));
        for (const waiting of batch) {
          waiting.resolve(next);
          next += waiting.entries.length;
        }
      } catch (error) {
        logger.error({ err: error, entries: entries.length }, 'the transparency log could not append');
        for (const { reject } of batch) reject(error as Error);
      }
    }
    draining = null;
  };

  const cosign = async (size: number, lines: readonly string[], quorum: boolean): Promise<void> => {
    if (!Number.isSafeInteger(size) || size < 0 || size > published.edge.size) throw new RangeError(`the log has no head of ${size} entries`);
    const newest = size === published.edge.size;
    const before = newest ? cosigned.lines : [];
    // Ed25519 is deterministic: the head of an older tree, signed again, has the same bytes as then
    const bare = newest ? published.checkpoint : signCheckpoint({ origin: published.origin, size, root: await options.rootAt(size) }, options.signingKey);
    const known = cosigned.witnessed?.size === size ? cosigned.witnessed.checkpoint.slice(bare.length).split('\n').slice(0, -1) : [];
    const merged = mergeLines([...known, ...before, ...lines]);
    const text = bare + merged.map((line) => `${line}\n`).join('');
    if (known.length > 0 || (quorum && size >= (cosigned.witnessed?.size ?? 0))) {
      await files.writeNote('witnessed', text);
      cosigned = { ...cosigned, witnessed: { size, checkpoint: text } };
    }
    if (newest) {
      await files.writeNote('checkpoint', text);
      cosigned = { ...cosigned, lines: merged };
    }
  };

  return {
    append: (entries) => {
      if (entries.length === 0 || entries.length > BATCH_ENTRIES) return Promise.reject(new RangeError(`an append takes 1 to ${BATCH_ENTRIES} entries`));
      if (closed) return Promise.reject(new LogFault('not-appended', 'the server is stopping'));
      if (queued + entries.length > QUEUE_ENTRIES)
        return Promise.reject(new Refused({ code: 'http.overloaded', detail: 'The transparency log is behind; nothing was done.' }));
      return new Promise((resolve, reject) => {
        queue.push({ entries, resolve, reject });
        queued += entries.length;
        draining ??= drain();
      });
    },
    cosign: (size, lines, quorum) => inTurn(() => cosign(size, lines, quorum)),
    settle,
    state: () => state,
    published: () => published,
    checkpoint: () => published.checkpoint + cosigned.lines.map((line) => `${line}\n`).join(''),
    witnessed: () => cosigned.witnessed,
    onHead: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: async () => {
      closed = true;
      await draining;
      await last;
    },
  };
}

export const headOf = ({ edge, root, checkpoint, checkpointAt }: LogState): LogHead => ({ size: edge.size, root, checkpoint, at: checkpointAt });

function createMeters(metrics: Metrics): { appended: Counter; commitSeconds: Histogram } {
  return {
    appended: new Counter({ name: 'clerestory_log_entries_total', help: 'Entries appended to the transparency log', registers: [metrics] }),
    commitSeconds: new Histogram({
      name: 'clerestory_log_commit_seconds',
      help: 'Time from the first write of a batch to its published checkpoint',
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers: [metrics],
    }),
  };
}

/** Takes whole appends from the queue, as many as fit under one head. */
function takeBatch(queue: Waiting[]): Waiting[] {
  let count = 0;
  const end = queue.findIndex(({ entries }) => (count += entries.length) > BATCH_ENTRIES);
  return queue.splice(0, end < 0 ? queue.length : end);
}

/** The files that appending these entries makes, and the edge and last bundle afterwards. */
function layOut(state: LogState, entries: readonly Uint8Array[]): { edge: Edge; tail: Uint8Array[]; outgoing: { name: TileName; bytes: Uint8Array }[] } {
  const first = state.edge.size;
  const { edge, changes } = extendEdge(state.edge, entries.map(hashLeaf));
  const bundled = [...state.tail, ...entries];
  const outgoing = changes.map(({ level, index, hashes }): { name: TileName; bytes: Uint8Array } => ({ name: { level, index, width: hashes.length }, bytes: joinHashes(hashes) }));
  for (let at = 0; at < bundled.length; at += TILE_WIDTH) {
    const part = bundled.slice(at, at + TILE_WIDTH);
    outgoing.push({ name: { level: 'entries', index: Math.floor(first / TILE_WIDTH) + at / TILE_WIDTH, width: part.length }, bytes: joinEntries(part) });
  }
  return { edge, tail: bundled.slice(bundled.length - (edge.size % TILE_WIDTH)), outgoing };
}

/** The newest line of each signer, in the order in which the signers first came. */
function mergeLines(lines: readonly string[]): string[] {
  const bySigner = new Map<string, string>();
  for (const line of lines.map((each) => each.replace(/\n$/, ''))) {
    if (!isSignatureLine(line)) throw new RangeError('this is not a signature line of a note');
    bySigner.set(signerOf(line), line);
  }
  if (bySigner.size > COSIGNATURES) throw new RangeError(`a head has at most ${COSIGNATURES} cosignatures`);
  return [...bySigner.values()];
}
