import { consistencyProof, inclusionProof, readSubtree, TILE_WIDTH, type Hash, type ReadHashes } from './merkle.ts';
import { readEntries, readHashes, type TileFiles } from './tile-files.ts';
import { tilePath } from './tile-path.ts';

/** Files kept in memory for proofs: 8,192 bytes each, bundles more. They never change. */
const CACHE_FILES = 256;

export interface InclusionProof {
  readonly index: number;
  readonly size: number;
  /** From the leaf's sibling up. */
  readonly hashes: readonly Hash[];
  readonly entry: Uint8Array;
  /** The signed head of `size` entries. */
  readonly checkpoint: string;
}

interface Proofs {
  inclusion(index: number, size: number): Promise<Omit<InclusionProof, 'checkpoint'>>;
  readonly consistency: (from: number, to: number) => Promise<Hash[]>;
  readonly rootAt: (size: number) => Promise<Hash>;
  readonly readHashes: ReadHashes;
}

/** Proofs from the files of the published tree. They throw `RangeError` for what the tree does not have. */
export function createProofs(files: TileFiles, publishedSize: () => number): Proofs {
  const cached = rememberFiles(files);
  // An older tree's hashes are all in the newest tiles, while partial tiles of older heads may be gone.
  const readIn = (): ReadHashes => {
    const size = publishedSize();
    return (level, first, count) => readHashes(cached, size, level, first, count);
  };
  const requireSize = (size: number): void => {
    if (!Number.isSafeInteger(size) || size < 0 || size > publishedSize()) throw new RangeError(`the log has no head of ${size} entries`);
  };
  return {
    inclusion: async (index, size) => {
      requireSize(size);
      const hashes = await inclusionProof(index, size, readIn());
      const entries = await readEntries(cached, publishedSize(), Math.floor(index / TILE_WIDTH));
      return { index, size, hashes, entry: entries[index % TILE_WIDTH] as Uint8Array };
    },
    consistency: async (from, to) => {
      requireSize(to);
      return consistencyProof(from, to, readIn());
    },
    rootAt: async (size) => {
      requireSize(size);
      return readSubtree(0, size, readIn());
    },
    readHashes: (level, first, count) => readIn()(level, first, count),
  };
}

/** Files of the log that were read before, the newest ones; a file with one name never changes (C2SP tlog-tiles). */
function rememberFiles(files: TileFiles): Pick<TileFiles, 'read'> {
  const kept = new Map<string, Uint8Array>();
  return {
    read: async (name) => {
      const path = tilePath(name);
      const known = kept.get(path);
      const bytes = known ?? (await files.read(name));
      if (bytes === null) return null;
      kept.delete(path);
      kept.set(path, bytes); // a Map keeps the order of insertion: the first one is the longest unused
      const oldest = kept.keys().next();
      if (kept.size > CACHE_FILES && !oldest.done) kept.delete(oldest.value);
      return bytes;
    },
  };
}

/** C2SP tlog-proof, "Format", without extra data. */
export function formatProof({ index, hashes, checkpoint }: InclusionProof): string {
  const lines = ['c2sp.org/tlog-proof@v1', `index ${index}`, ...hashes.map((hash) => Buffer.from(hash).toString('base64'))];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}
