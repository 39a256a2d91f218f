import { join } from 'node:path';
import { readPlace } from '../../contracts/tlog/place.ts';
import type { LogStatus } from '../../contracts/trust.ts';
import { isoOf, type Clock, type Random } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger, Metrics } from '../../platform/index.ts';
import { canonicalJson, type Json } from './canonical.ts';
import { commitTo, encodeLeaf, NONCE_BYTES, type Leaf } from './entry.ts';
import { createProofs, formatProof, type InclusionProof } from './log-proofs.ts';
import { holdLogFolder } from './log-lock.ts';
import { loadLog, type SigningKey } from './log-start.ts';
import { deleteBody, insertBody, listPendingBodies, readBody, setBodyIndex } from './log-store.ts';
import { BATCH_ENTRIES, createWriter, LogFault, type LogHead, type Writer } from './log-writer.ts';
import type { Hash, ReadHashes } from './merkle.ts';
import { findLeaf, openOldLogs, readIfThere, type OldLogs } from './old-logs.ts';
import { endRestart, readRestart } from './restart.ts';
import { openTileFiles } from './tile-files.ts';
import { holds, type TileName } from './tile-path.ts';

export { LogFault, type LogHead } from './log-writer.ts';

export interface TransparencyLog {
  /** Resolves with the leaf's index once entry, tiles, head and checkpoint are on the disk. Throws `LogFault`. */
  append(leaf: Leaf): Promise<number>;
  /** Appends neighbours under one head, all or none: up to 4,096. Resolves with their indexes once all are on the disk. Throws `LogFault`. */
  appendMany(leaves: readonly Leaf[]): Promise<number[]>;
  /** Appends a leaf that commits to `body`, which concerns no case and no person, and keeps nonce and body. */
  appendBody(kind: string, body: Json, ofCase?: Pick<Leaf, 'caseTag' | 'n'>): Promise<number>;
  /** The place of the leaf with this commitment, looked for in the log of `fromIndex` (a place too) from there on; null when there is none. Throws `LogFault` while that is in doubt. */
  find(commitment: Uint8Array, fromIndex: number): Promise<number | null>;
  size(): number;
  status(looks: number): Omit<LogStatus, 'witnesses' | 'scrub'>;
  /** The newest head with the cosignatures that arrived for it. */
  checkpoint(): string;
  /** The newest head that met the quorum, with its cosignatures; null as long as there was none. */
  witnessed(): { readonly size: number; readonly checkpoint: string } | null;
  /** RFC 6962 §2.1.1 in the published tree. Throws `RangeError` when it has no such entry. */
  proveInclusion(index: number): Promise<InclusionProof>;
  /** RFC 6962 §2.1.2 between two sizes of the published tree. */
  proveConsistency(from: number, to: number): Promise<Hash[]>;
  /** The entry's proof as a text to keep (C2SP tlog-proof): under the witnessed head when that has the entry, else under the newest. */
  tlogProof(index: number): Promise<string>;
  /** Calls the listener after each head is published; gives the function that ends it. */
  onHead(listener: (head: LogHead) => void): () => void;
  /** Keeps signature lines for the head of `size` entries, newest of each signer; `quorum` says that they are enough. The caller has checked them. */
  cosign(size: number, lines: readonly string[], quorum: boolean): Promise<void>;
  /** A published tile or bundle; null when the published tree does not hold it or it was replaced by the full one. */
  readTile(name: TileName): Promise<Uint8Array | null>;
  /** What opens the first leaf of a log that was begun anew; null for any other. */
  readBeginning(): Promise<Uint8Array | null>;
  /** The logs that were put aside. */
  readonly old: OldLogs;
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

/** Opens the log in `<dataFolder>/log`, begins it when there is none, and mends what a crash left. One writer a folder. */
export async function openLog(options: LogOptions): Promise<TransparencyLog> {
  const { handle, clock, random, logger } = options;
  const folder = join(options.dataFolder, 'log');
  const release = holdLogFolder(folder);
  try {
    const files = openTileFiles(folder);
    const loaded = await loadLog(options, folder, files, BATCH_ENTRIES);
    const proofs = createProofs(files, () => writer.published().edge.size);
    const writer: Writer = createWriter({ ...options, rootAt: proofs.rootAt }, files, loaded);
    const log: TransparencyLog = {
      append: async (leaf) => writer.append([encodeLeaf(leaf)]),
      appendMany: async (leaves) => {
        if (leaves.length === 0) return [];
        const first = await writer.append(leaves.map(encodeLeaf));
        return leaves.map((_, at) => first + at);
      },
      appendBody: async (kind, body, ofCase = {}) => {
        const nonce = random(NONCE_BYTES);
        const commitment = commitTo(nonce, body);
        const at = clock.nowMs();
        await insertBody(handle.db, { commitment, kind, nonce, body: canonicalJson(body), fromIndex: writer.state().edge.size, at: new Date(at) });
        try {
          const index = await writer.append([encodeLeaf({ kind, t: isoOf(at), ...ofCase, commit: commitment.toString('hex') })]);
          await setBodyIndex(handle.db, commitment, index);
          return index;
        } catch (error) {
          if (error instanceof LogFault && error.outcome === 'not-appended') await deleteBody(handle.db, commitment);
          throw error;
        }
      },
      find: async (commitment, fromIndex) => {
        await writer.settle();
        const { log: number, index } = readPlace(fromIndex);
        return number === null ? findLeaf(files, writer.state().edge.size, commitment, index) : log.old.find(number, commitment, index);
      },
      size: () => writer.published().edge.size,
      status: (looks) => {
        const { edge, root, origin, verifierKey, checkpointAt } = writer.published();
        return { origin, size: edge.size, root: Buffer.from(root).toString('base64'), checkpointAt: checkpointAt.toISOString(), vkey: verifierKey, looks };
      },
      checkpoint: writer.checkpoint,
      witnessed: writer.witnessed,
      proveInclusion: async (index) => {
        const { size, checkpoint } = { size: writer.published().edge.size, checkpoint: writer.checkpoint() };
        return { ...(await proofs.inclusion(index, size)), checkpoint };
      },
      proveConsistency: proofs.consistency,
      tlogProof: async (index) => {
        const seen = writer.witnessed();
        const { size, checkpoint } = seen !== null && index < seen.size ? seen : { size: writer.published().edge.size, checkpoint: writer.checkpoint() };
        return formatProof({ ...(await proofs.inclusion(index, size)), checkpoint });
      },
      onHead: writer.onHead,
      cosign: writer.cosign,
      readTile: async (name) => (holds(writer.published().edge.size, name) ? files.read(name) : null),
      readBeginning: () => readIfThere(join(folder, 'begin.json')),
      old: openOldLogs(options.dataFolder),
      readHashes: proofs.readHashes,
      verifierKey: () => writer.published().verifierKey,
      close: async () => {
        await writer.close();
        release();
      },
    };
    await settlePendingBodies(handle, log);
    await beginAnew(handle, log, folder);
    logger.debug({ size: log.size() }, 'the transparency log is open');
    return log;
  } catch (error) {
    release();
    throw error;
  }
}

/** After `clerestory log restart`: the first leaf names the log before. */
async function beginAnew(handle: DatabaseHandle, log: TransparencyLog, folder: string): Promise<void> {
  const restart = readRestart(folder);
  if (restart === null) return;
  if (log.size() === 0) await log.appendBody('log.begin', restart.begin);
  const opening = await readBody(handle.db, 'log.begin', 0);
  if (opening === undefined) throw new Error('the first leaf of the log that was begun anew is not log.begin');
  endRestart(folder, { nonce: opening.nonce.toString('hex'), body: opening.body });
}

/** Rows that a crash left without an index get it when their leaf is in the tree, and go when it is not. */
async function settlePendingBodies(handle: DatabaseHandle, log: TransparencyLog): Promise<void> {
  for (const { commitment, fromIndex } of await listPendingBodies(handle.db)) {
    const index = await log.find(commitment, fromIndex);
    if (index === null) await deleteBody(handle.db, commitment);
    else await setBodyIndex(handle.db, commitment, index);
  }
}
