import { TILE_WIDTH } from './merkle.ts';

/** A file of the log (C2SP tlog-tiles): a hash tile of a level, or a bundle of entries. `width` 256 is a full one. */
export interface TileName {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]`; N in groups of three digits, all but the last with an x: 1234067 is x001/x234/067. */
export function tilePath({ level, index, width }: TileName): string {
  const groups: string[] = [];
  let left = index;
  do {
    groups.unshift(String(left % 1_000).padStart(3, '0'));
    left = Math.floor(left / 1_000);
  } while (left > 0);
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** Reads what `tilePath` writes and nothing else. */
export function parseTilePath(path: string): TileName | null {
  const match = PATH.exec(path);
  if (!match) return null;
  const index = Number((match[2] as string).replaceAll(/[x/]/g, ''));
  const name: TileName = { level: match[1] === 'entries' ? 'entries' : Number(match[1]), index, width: match[3] === undefined ? TILE_WIDTH : Number(match[3]) };
  if (name.level !== 'entries' && name.level > 63) return null;
  // one spelling for each tile: no partial of 256, no superfluous x000
  return name.width <= TILE_WIDTH && tilePath(name) === path ? name : null;
}

/** How many hashes of a level a tree of `size` entries has. */
export const hashesAt = (level: number | 'entries', size: number): number => Math.floor(size / TILE_WIDTH ** (level === 'entries' ? 0 : level));

/** Whether a tree of `size` entries contains the whole tile. */
export const holds = (size: number, { level, index, width }: TileName): boolean => index * TILE_WIDTH + width <= hashesAt(level, size);
