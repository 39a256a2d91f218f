import { gzipSync } from 'node:zlib';

/** Writes PMTiles version 3 archives: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md */
const HEADER_BYTES = 127;
/** §3: header and root directory fit into the first 16 KiB. */
const ROOT_LIMIT_BYTES = 16_384 - HEADER_BYTES;
const GZIP = 2;
const MVT = 1;

export interface ArchiveTile {
  readonly z: number;
  readonly x: number;
  readonly y: number;
  /** Uncompressed vector tile. */
  readonly data: Uint8Array;
}

interface ArchiveHeader {
  readonly minZoom: number;
  readonly maxZoom: number;
  /** west, south, east, north in degrees */
  readonly bounds: readonly [number, number, number, number];
  readonly center: readonly [number, number];
  readonly centerZoom: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Number of a tile on the Hilbert curve over all zooms (§4.1, TileID). */
export function tileIdOf(z: number, x: number, y: number): number {
  let id = (4 ** z - 1) / 3;
  let [a, b] = [x, y];
  for (let side = 2 ** (z - 1); side >= 1; side /= 2) {
    const right = (a & side) > 0 ? 1 : 0;
    const lower = (b & side) > 0 ? 1 : 0;
    id += side * side * ((3 * right) ^ lower);
    if (lower === 0) {
      if (right === 1) [a, b] = [side - 1 - (a & (side - 1)), side - 1 - (b & (side - 1))];
      [a, b] = [b, a];
    }
  }
  return id;
}

function varints(values: Iterable<number>): number[] {
  const bytes: number[] = [];
  for (let value of values) {
    while (value >= 0x80) {
      bytes.push((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    bytes.push(value);
  }
  return bytes;
}

/** Packs the tiles, gzip-compressed and in curve order, with one root directory; up to about 4,000 tiles. */
export function packArchive(tiles: readonly ArchiveTile[], header: ArchiveHeader): Uint8Array {
  const entries = tiles
    .map((tile) => ({ id: tileIdOf(tile.z, tile.x, tile.y), data: gzipSync(tile.data) }))
    .sort((a, b) => a.id - b.id);
  const ids = entries.map((entry, index) => entry.id - (entries[index - 1]?.id ?? 0));
  // Offset 0 in the directory means "right after the one before" (§4.2).
  const offsets = entries.map((_, index) => (index === 0 ? 1 : 0));
  const directory = gzipSync(Uint8Array.from(varints([entries.length, ...ids, ...entries.map(() => 1), ...entries.map((entry) => entry.data.length), ...offsets])));
  if (directory.length > ROOT_LIMIT_BYTES) throw new Error(`${entries.length} tiles need leaf directories, which this writer does not make`);
  const metadata = gzipSync(JSON.stringify(header.metadata));
  const dataBytes = entries.reduce((sum, entry) => sum + entry.data.length, 0);
  const metadataAt = HEADER_BYTES + directory.length;
  const dataAt = metadataAt + metadata.length;

  const head = Buffer.alloc(HEADER_BYTES);
  head.write('PMTiles', 0, 'latin1');
  head.writeUInt8(3, 7);
  const longs = [HEADER_BYTES, directory.length, metadataAt, metadata.length, dataAt, 0, dataAt, dataBytes, entries.length, entries.length, entries.length];
  longs.forEach((value, index) => head.writeBigUInt64LE(BigInt(value), 8 + index * 8));
  [1, GZIP, GZIP, MVT, header.minZoom, header.maxZoom].forEach((value, index) => head.writeUInt8(value, 96 + index));
  [...header.bounds].forEach((degrees, index) => head.writeInt32LE(Math.round(degrees * 1e7), 102 + index * 4));
  head.writeUInt8(header.centerZoom, 118);
  head.writeInt32LE(Math.round(header.center[0] * 1e7), 119);
  head.writeInt32LE(Math.round(header.center[1] * 1e7), 123);
  return Buffer.concat([head, directory, metadata, ...entries.map((entry) => entry.data)]);
}
