import { open, readFile, rename, rm, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HASH_BYTES, TILE_WIDTH, type Hash } from './merkle.ts';
import { hashesAt, tilePath, type TileName } from './tile-path.ts';

/** `checkpoint`: the newest head, with the cosignatures that arrived for it. `witnessed`: the newest head that met the quorum. */
export type NoteName = 'checkpoint' | 'witnessed';

/** The log's folder. Whatever `write` and `writeNote` did is on the disk when they resolve. */
export interface TileFiles {
  read(name: TileName): Promise<Uint8Array | null>;
  readNote(name: NoteName): Promise<string | null>;
  /** Writes, syncs and reads back: it throws when the files do not hold what they were given. */
  write(files: readonly { name: TileName; bytes: Uint8Array }[]): Promise<void>;
  writeNote(name: NoteName, text: string): Promise<void>;
  /** Removes partial tiles of tiles that are full by now. */
  dropPartials(names: readonly TileName[]): Promise<void>;
  /** Removes what an append that was never signed left beyond `size`. */
  dropBeyond(size: number, reach: number): Promise<number>;
}

export function openTileFiles(folder: string): TileFiles {
  const made = new Set<string>(); // folders known to exist; a few a million entries
  const makeFolder = async (path: string): Promise<void> => {
    if (made.has(path)) return;
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) {
      // every new folder's name must survive too, so its parent is synced
      for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
    }
    if (!path.endsWith('.p')) made.add(path);
  };

  const readIfThere = async (path: string): Promise<Buffer | null> => {
    try {
      return await readFile(join(folder, path));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  };

  return {
    read: (name) => readIfThere(tilePath(name)),
    readNote: async (name) => (await readIfThere(name))?.toString('utf8') ?? null,
    write: async (files) => {
      const folders = new Set(files.map(({ name }) => dirname(join(folder, tilePath(name)))));
      try {
        for (const path of folders) await makeFolder(path);
        await settleAll(files.map(({ name, bytes }) => writeDurably(join(folder, tilePath(name)), bytes)));
        await settleAll([...folders].map(syncFolder));
        await settleAll(files.map(({ name, bytes }) => readBack(join(folder, tilePath(name)), bytes)));
      } catch (error) {
        made.clear(); // somebody may have removed a folder
        throw error;
      }
    },
    writeNote: async (name, text) => {
      const path = join(folder, name);
      await makeFolder(folder);
      await writeDurably(`${path}.tmp`, Buffer.from(text));
      await rename(`${path}.tmp`, path);
      await syncFolder(folder);
    },
    dropPartials: async (names) => {
      await Promise.all(names.map((name) => rm(join(folder, `${tilePath({ ...name, width: TILE_WIDTH })}.p`), { recursive: true, force: true })));
    },
    dropBeyond: async (size, reach) => {
      let dropped = 0;
      const drop = async (path: string): Promise<void> => {
        await rm(join(folder, path));
        dropped += 1;
      };
      for (const level of ['entries', 0, 1, 2, 3, 4, 5, 6, 7] as const) {
        const hashes = hashesAt(level, size);
        const last = Math.floor(hashes / TILE_WIDTH);
        for (let index = last; index <= last + Math.ceil(reach / TILE_WIDTH) + 1; index += 1) {
          const full = tilePath({ level, index, width: TILE_WIDTH });
          if ((await readIfThere(full)) !== null) await drop(full);
          for (const width of await listIfThere(join(folder, `${full}.p`))) {
            if (index * TILE_WIDTH + Number(width) > hashes) await drop(`${full}.p/${width}`);
          }
        }
      }
      return dropped;
    },
  };
}

// Waits for all before it fails, so that no write of a failed batch runs into the next one.
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

async function listIfThere(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o644);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
}

// What is signed is what a reader gets, not what was meant: a signed tree with another file below it is beyond repair.
async function readBack(path: string, bytes: Uint8Array): Promise<void> {
  if (!(await readFile(path)).equals(bytes)) throw new Error(`${path} does not hold what was written to it`);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Concatenated hashes, as a hash tile holds them. */
export const joinHashes = (hashes: readonly Hash[]): Uint8Array => Buffer.concat(hashes);

export function splitHashes(bytes: Uint8Array): Hash[] {
  const hashes: Hash[] = [];
  for (let at = 0; at + HASH_BYTES <= bytes.length; at += HASH_BYTES) hashes.push(bytes.subarray(at, at + HASH_BYTES));
  return hashes;
}

/** Entries with big-endian 16-bit lengths before them, as a bundle holds them. */
export function joinEntries(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

/** Null when the bytes are not a whole number of entries. */
export function splitEntries(bytes: Uint8Array): Uint8Array[] | null {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at + 2 <= bytes.length) {
    const end = at + 2 + ((bytes[at] as number) << 8) + (bytes[at + 1] as number);
    if (end > bytes.length) return null;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return at === bytes.length ? entries : null;
}

/** A file of the log is missing or is not what it was; unlike a fault of the disk, trying again does not help. */
export class LogDamage extends Error {}

/** Reads neighbouring hashes of one tile of a tree of `size` entries. */
export async function readHashes(files: Pick<TileFiles, 'read'>, size: number, level: number, first: number, count: number): Promise<Hash[]> {
  const index = Math.floor(first / TILE_WIDTH);
  const bytes = await readWidest(files, { level, index, width: Math.min(TILE_WIDTH, hashesAt(level, size) - index * TILE_WIDTH) });
  const hashes = splitHashes(bytes ?? new Uint8Array()).slice(first % TILE_WIDTH, (first % TILE_WIDTH) + count);
  if (hashes.length !== count) throw new LogDamage(`a tile of the log is missing or short: level ${level}, tile ${index}`);
  return hashes;
}

/** Reads the entries of one bundle of a tree of `size` entries. */
export async function readEntries(files: Pick<TileFiles, 'read'>, size: number, index: number): Promise<Uint8Array[]> {
  const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
  const bytes = await readWidest(files, { level: 'entries', index, width });
  const entries = bytes && splitEntries(bytes);
  if (!entries || entries.length < width) throw new LogDamage(`bundle ${index} of the log is missing or damaged`);
  return entries.slice(0, width);
}

// A partial tile goes away once the full one stands.
const readWidest = async (files: Pick<TileFiles, 'read'>, name: TileName): Promise<Uint8Array | null> => (await files.read(name)) ?? files.read({ ...name, width: TILE_WIDTH });
