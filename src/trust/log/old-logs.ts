import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shiftOf } from '../../contracts/tlog/place.ts';
import { createProofs, formatProof, type InclusionProof } from './log-proofs.ts';
import { TILE_WIDTH } from './merkle.ts';
import { LogDamage, openTileFiles, readEntries, type TileFiles } from './tile-files.ts';
import { parseTilePath } from './tile-path.ts';

/** The logs that were put aside, in the folders `log-<number>`; nothing is written there. */
export interface OldLogs {
  /** A public file; null when there is none. */
  read(number: number, path: string): Promise<Uint8Array | null>;
  /** The entry and its proof under the newest head that the folder has, a witnessed one before all; null for what was lost. */
  prove(number: number, index: number): Promise<{ readonly entry: Uint8Array; readonly proof: string } | null>;
  /** The place of the leaf with this commitment at `from` or after; null when it was lost or never there. */
  find(number: number, commitment: Uint8Array, from: number): Promise<number | null>;
  /** Verifier keys, oldest first. */
  keys(): Promise<string[]>;
}

const isPublicPath = (path: string): boolean => ['checkpoint', 'witnessed', 'vkey', 'begin.json'].includes(path) || parseTilePath(path) !== null;
const sizeOf = (checkpoint: string | null): number => Number(checkpoint?.split('\n')[1] ?? 0);

export function openOldLogs(dataFolder: string): OldLogs {
  const folderOf = (number: number): string => join(dataFolder, `log-${number}`);
  return {
    read: (number, path) => (isPublicPath(path) ? readIfThere(join(folderOf(number), path)) : Promise.resolve(null)),
    prove: async (number, index) => {
      const files = openTileFiles(folderOf(number));
      const [newest, witnessed] = [await files.readNote('checkpoint'), await files.readNote('witnessed')];
      const checkpoint = index < sizeOf(witnessed) && sizeOf(witnessed) <= sizeOf(newest) ? witnessed : newest;
      if (checkpoint === null || index >= sizeOf(checkpoint)) return null;
      try {
        const found = await createProofs(files, () => sizeOf(newest)).inclusion(index, sizeOf(checkpoint));
        return { entry: found.entry, proof: formatProof({ ...found, checkpoint } satisfies InclusionProof) };
      } catch (error) {
        if (error instanceof LogDamage) return null; // a log may be over because files of it were lost
        throw error;
      }
    },
    find: async (number, commitment, from) => {
      const files = openTileFiles(folderOf(number));
      const size = sizeOf(await files.readNote('checkpoint'));
      const index = await findLeaf(files, size, commitment, from, true);
      return index === null ? null : index + shiftOf(number);
    },
    keys: async () => {
      const numbers = (await readdir(dataFolder)).flatMap((name) => /^log-([1-9]\d{0,3})$/.exec(name)?.[1] ?? []).map(Number);
      const keys = await Promise.all(numbers.sort((a, b) => a - b).map((number) => readIfThere(join(folderOf(number), 'vkey'))));
      return keys.flatMap((key) => (key === null ? [] : [Buffer.from(key).toString('utf8').trim()]));
    },
  };
}

export async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** The index of the leaf with this commitment in a tree of `size` entries, looked for from `fromIndex` on. `mayBeDamaged`: bundles that are lost are passed over. */
export async function findLeaf(files: TileFiles, size: number, commitment: Uint8Array, fromIndex: number, mayBeDamaged = false): Promise<number | null> {
  const wanted = Buffer.from(`"commit":"${Buffer.from(commitment).toString('hex')}"`);
  for (let index = Math.floor(fromIndex / TILE_WIDTH); index * TILE_WIDTH < size; index += 1) {
    const entries = await readEntries(files, size, index).catch((error: unknown) => {
      if (mayBeDamaged && error instanceof LogDamage) return [];
      throw error;
    });
    const at = entries.findIndex((entry) => Buffer.from(entry).includes(wanted));
    if (at >= 0) return index * TILE_WIDTH + at;
  }
  return null;
}
