import type { LonLat } from '#contracts/common.ts';
import { idOf, isExpanded, lineOf, type Entity } from './answer.ts';
import type { RequestLine } from './request-line.ts';

/** A place in an answer, with the entity that it belongs to. */
export interface Spot {
  readonly point: LonLat;
  readonly name: string;
  readonly line: RequestLine | null;
}

const isObject = (value: unknown): value is Entity => typeof value === 'object' && value !== null && !Array.isArray(value);
/** More marks than this would hide each other. */
const SPOTS = 2_000;
const DEPTH = 4;

/** Every GeoJSON geometry in the rows and in what was expanded in them; a line or an area counts by the middle of its box. */
export function spotsOf(rows: readonly Entity[], within: RequestLine): Spot[] {
  const spots: Spot[] = [];
  const visit = (entity: Entity, owner: Omit<Spot, 'point'>, depth: number): void => {
    for (const value of Object.values(entity)) {
      if (spots.length >= SPOTS) return;
      const point = middleOf(value);
      if (point !== null) spots.push({ ...owner, point });
      else if (depth < DEPTH && isExpanded(value)) for (const member of (Array.isArray(value) ? value : [value]) as Entity[]) visit(member, owner, depth + 1);
    }
  };
  for (const row of rows) visit(row, { name: typeof row['name'] === 'string' ? row['name'] : (idOf(row) ?? ''), line: lineOf(row, within) }, 0);
  return spots;
}

function middleOf(value: unknown): LonLat | null {
  if (!isObject(value)) return null;
  if (value['type'] === 'Feature') return middleOf(value['geometry']);
  if (!Array.isArray(value['coordinates'])) return null;
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  const visit = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    const [lon, lat] = part as unknown[];
    if (typeof lon === 'number' && typeof lat === 'number') {
      west = Math.min(west, lon);
      east = Math.max(east, lon);
      south = Math.min(south, lat);
      north = Math.max(north, lat);
    } else for (const member of part as unknown[]) visit(member);
  };
  visit(value['coordinates']);
  return west <= east && west >= -180 && east <= 180 && south >= -90 && north <= 90 ? [(west + east) / 2, (south + north) / 2] : null;
}
