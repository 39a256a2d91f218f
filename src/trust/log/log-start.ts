import type { KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Refused, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import { advanceHead, insertHead, readHead, replaceHead, type StoredHead } from './log-store.ts';
import { EMPTY_EDGE, emptyRoot, hashLeaf, readSubtree, rootOf, TILE_WIDTH, type Edge, type Hash } from './merkle.ts';
import { cosignaturesOf, openCheckpoint, signCheckpoint, verifierKey } from './note.ts';
import { readRestart, type Restart } from './restart.ts';
import { readHashes, splitEntries, splitHashes, type TileFiles } from './tile-files.ts';
import { hashesAt } from './tile-path.ts';

export interface SigningKey {
  readonly privateKey: KeyObject;
  /** 32 bytes of RFC 8032. */
  readonly publicKey: Uint8Array;
}

/** What others signed: the lines for the newest head, and the newest head that met the quorum with its lines. */
export interface Cosigned {
  readonly lines: readonly string[];
  readonly witnessed: { readonly size: number; readonly checkpoint: string } | null;
}

/** All that appending needs: the right edge, the entries of the last, partial bundle, and the head that was signed over them. */
export interface LogState {
  readonly origin: string;
  readonly verifierKey: string;
  readonly edge: Edge;
  readonly root: Hash;
  readonly tail: readonly Uint8Array[];
  readonly checkpoint: string;
  readonly checkpointAt: Date;
}

interface StartOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly publicUrl: string | undefined;
  readonly signingKey: SigningKey;
}

/**
 * Reads the log and compares files and database. Throws `Refused` with `start.log-rolled-back` when either holds a smaller or a
 * different tree than was signed; rewrites a checkpoint file that a crash left behind and removes what no head covers.
 */
export async function loadLog(options: StartOptions, folder: string, files: TileFiles, batch: number): Promise<{ state: LogState; cosigned: Cosigned }> {
  const { handle, logger, signingKey } = options;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const text = await files.readNote('checkpoint');
  const restart = readRestart(folder);
  const head = await readOrBegin(options, text, restart);
  if (verifierKey(head.origin, signingKey.publicKey) !== head.verifierKey)
    throw new Refused({ code: 'start.key-different', detail: 'keys/log.key is not the key that signed this log.' });
  publishVerifierKey(folder, head.verifierKey);

  const onFile = text === null ? null : openCheckpoint(text, head.origin, signingKey.publicKey);
  if (text !== null && onFile === null) throw rolledBack('its checkpoint file is not signed by this log');
  const target = onFile !== null && onFile.size > head.size ? { ...onFile, checkpoint: signCheckpoint(onFile, signingKey) } : head;
  const edge = await readEdge(files, target.size);
  const root = rootOf(edge);
  if (!same(root, target.root)) throw rolledBack(`its files do not give the root that was signed for ${target.size} entries`);
  const other = target === head ? onFile : head;
  if (other !== null && !same(await rootAt(files, target.size, other.size), other.root))
    throw rolledBack(`file and database were signed over different trees at ${other.size} entries`);

  const witnessed = await readWitnessed(options, files, head.origin, target.size);
  const checkpointAt = target === head ? head.checkpointAt : new Date(options.clock.nowMs());
  if (target !== head) {
    logger.warn({ file: target.size, database: head.size }, 'the database is behind the transparency log, as after restoring an older backup: the log stays as it is');
    if (!(await advanceHead(handle.db, head, { ...target, checkpointAt }))) throw rolledBack('another process moved its head');
  } else if (onFile?.size !== head.size) await files.writeNote('checkpoint', head.checkpoint);
  const dropped = await files.dropBeyond(target.size, batch);
  if (dropped > 0) logger.info({ files: dropped }, 'removed what an append that was not signed had left in the log');
  const checkpoint = signCheckpoint({ origin: head.origin, size: target.size, root }, signingKey);
  const lines = text !== null && onFile?.size === target.size ? cosignaturesOf(text, head.origin, signingKey.publicKey) : [];
  return { state: { origin: head.origin, verifierKey: head.verifierKey, edge, root, tail: await readTail(files, edge), checkpoint, checkpointAt }, cosigned: { lines, witnessed } };
}

/** What witnesses saw binds the log as its own signature does. */
async function readWitnessed({ signingKey }: StartOptions, files: TileFiles, origin: string, size: number): Promise<Cosigned['witnessed']> {
  const text = await files.readNote('witnessed');
  if (text === null) return null;
  const seen = openCheckpoint(text, origin, signingKey.publicKey);
  if (seen === null) throw rolledBack('its file witnessed is not signed by this log');
  if (seen.size > size) throw rolledBack(`witnesses saw it with ${seen.size} entries, and it has ${size}`);
  if (!same(await rootAt(files, size, seen.size), seen.root)) throw rolledBack(`witnesses saw another tree at ${seen.size} entries`);
  return { size: seen.size, checkpoint: text };
}

const rolledBack = (why: string): Refused => new Refused({ code: 'start.log-rolled-back', detail: `The transparency log cannot go on: ${why}. It never goes back or changes.` });
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

/** The database's row comes first, so that a checkpoint file without one is never the work of a crash. */
async function readOrBegin(options: StartOptions, present: string | null, restart: Restart | null): Promise<StoredHead> {
  const stored = await readHead(options.handle.db);
  if (stored !== undefined && (restart === null || stored.origin === restart.origin)) return stored;
  if (present !== null) throw rolledBack('its folder holds a log that this database knows nothing of (move the folder away to begin a new log)');
  const { signingKey } = options;
  const origin = restart?.origin ?? originOf(options.publicUrl, signingKey.publicKey);
  const root = Buffer.from(emptyRoot());
  const head: StoredHead = {
    origin,
    verifierKey: verifierKey(origin, signingKey.publicKey),
    size: 0,
    root,
    checkpoint: signCheckpoint({ origin, size: 0, root }, signingKey),
    checkpointAt: new Date(options.clock.nowMs()),
  };
  if (stored === undefined) await insertHead(options.handle.db, head);
  else await replaceHead(options.handle.db, head, (restart as Restart).begin.previous.number);
  return head;
}

/** The address without its scheme (C2SP tlog-checkpoint), or a name that no other log has; it stays for the life of the log. */
function originOf(publicUrl: string | undefined, publicKey: Uint8Array): string {
  if (publicUrl === undefined) return `clerestory-${Buffer.from(publicKey).toString('hex').slice(0, 16)}/log`;
  const { host, pathname } = new URL(publicUrl);
  return `${host}${pathname.replace(/\/+$/, '')}/log`.replaceAll('+', '-');
}

// Beside the log for whoever checks the folder offline; a checker that wants proof compares it with a copy from elsewhere.
function publishVerifierKey(folder: string, key: string): void {
  const path = join(folder, 'vkey');
  try {
    if (readFileSync(path, 'utf8') === `${key}\n`) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  writeFileSync(path, `${key}\n`);
}

async function readEdge(files: TileFiles, size: number): Promise<Edge> {
  if (size === 0) return EMPTY_EDGE;
  const levels: Hash[][] = [];
  for (let level = 0; hashesAt(level, size) > 0; level += 1) {
    const hashes = hashesAt(level, size);
    const width = hashes % TILE_WIDTH;
    const bytes = width === 0 ? new Uint8Array() : await files.read({ level, index: Math.floor(hashes / TILE_WIDTH), width });
    const read = splitHashes(bytes ?? new Uint8Array());
    if (read.length !== width) throw rolledBack(`the last tile of level ${level} is missing or short`);
    levels.push(read);
  }
  return { size, levels };
}

async function rootAt(files: TileFiles, size: number, olderSize: number): Promise<Hash> {
  try {
    return await readSubtree(0, olderSize, (level, first, count) => readHashes(files, size, level, first, count));
  } catch (error) {
    throw rolledBack((error as Error).message);
  }
}

async function readTail(files: TileFiles, edge: Edge): Promise<Uint8Array[]> {
  const width = edge.size % TILE_WIDTH;
  if (width === 0) return [];
  const bytes = await files.read({ level: 'entries', index: Math.floor(edge.size / TILE_WIDTH), width });
  const entries = bytes && splitEntries(bytes);
  if (entries?.length !== width || !entries.every((entry, at) => same(hashLeaf(entry), edge.levels[0]?.[at] ?? new Uint8Array())))
    throw rolledBack('its last bundle of entries does not fit its tiles');
  return entries;
}
