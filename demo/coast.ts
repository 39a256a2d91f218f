import { type OsmFeature } from './open-street-map.ts';
import { distance_m, length_m, type WorldPoint } from './world.ts';

/** Mappers marked the bank of the Río de la Plata with a note, because the tag `natural=coastline` belongs elsewhere. */
const BANK_NOTE = /tag as coastline/i;
/** Ends of ways closer than this are one point: ways are cut and rounded at tile borders. */
const TOUCH_M = 3;
/** Longest gap that is bridged by a straight line. */
const JUMP_M = 500;
const COST_BANK = 0.2;
const COST_UNTAGGED = 3;
const COST_JUMP = 40;

interface Piece {
  readonly line: readonly WorldPoint[];
  readonly cost: number;
  readonly bank: boolean;
}

function piecesOf(features: Iterable<OsmFeature>): Piece[] {
  const pieces: Piece[] = [];
  for (const { type, tags, parts } of features) {
    if (type !== 'line') continue;
    const bank = BANK_NOTE.test(tags['note'] ?? '');
    const untagged = Object.keys(tags).every((key) => key === 'source' || key === 'note');
    if (!bank && !untagged) continue;
    for (const line of parts) if (line.length > 1) pieces.push({ line, bank, cost: length_m(line) * (bank ? COST_BANK : COST_UNTAGGED) });
  }
  return pieces;
}

const firstOf = (line: readonly WorldPoint[]): WorldPoint => line[0] as WorldPoint;
const lastOf = (line: readonly WorldPoint[]): WorldPoint => line[line.length - 1] as WorldPoint;

/**
 * The bank of the estuary from west to east, chained from marked ways, untagged ways where a mark is missing, and short
 * straight bridges. Throws when the extract has no connected bank.
 */
export function traceCoast(features: Iterable<OsmFeature>): WorldPoint[] {
  const pieces = piecesOf(features);
  // Node 2i is the first end of piece i, node 2i + 1 its last.
  const ends = pieces.flatMap(({ line }) => [firstOf(line), lastOf(line)]);
  const banks = ends.map((at, node) => ({ at, node })).filter(({ node }) => pieces[node >> 1]?.bank);
  if (banks.length === 0) throw new Error('the extract has no bank of the estuary');
  const start = banks.reduce((best, next) => (next.at[0] < best.at[0] ? next : best)).node;
  const goal = banks.reduce((best, next) => (next.at[0] > best.at[0] ? next : best)).node;
  const cost = new Float64Array(ends.length).fill(Infinity);
  const from = new Int32Array(ends.length).fill(-1);
  const done = new Uint8Array(ends.length);
  cost[start] = 0;
  for (;;) {
    let node = -1;
    for (let next = 0; next < ends.length; next += 1) if (!done[next] && (cost[next] as number) < (node < 0 ? Infinity : (cost[node] as number))) node = next;
    if (node < 0) throw new Error('the bank of the estuary is not connected');
    if (node === goal) break;
    done[node] = 1;
    const here = ends[node] as WorldPoint;
    for (let next = 0; next < ends.length; next += 1) {
      if (done[next]) continue;
      const along = (node ^ 1) === next ? (pieces[node >> 1] as Piece).cost : Infinity;
      const gap_m = distance_m(here, ends[next] as WorldPoint);
      const across = gap_m <= TOUCH_M ? gap_m : gap_m <= JUMP_M ? gap_m * COST_JUMP : Infinity;
      const total = (cost[node] as number) + Math.min(along, across);
      if (total < (cost[next] as number)) {
        cost[next] = total;
        from[next] = node;
      }
    }
  }
  const nodes: number[] = [];
  for (let node = goal; node >= 0; node = from[node] as number) nodes.unshift(node);
  return joinPieces(nodes, pieces, ends);
}

function joinPieces(nodes: readonly number[], pieces: readonly Piece[], ends: readonly WorldPoint[]): WorldPoint[] {
  const coast: WorldPoint[] = [ends[nodes[0] as number] as WorldPoint];
  for (let index = 1; index < nodes.length; index += 1) {
    const [before, node] = [nodes[index - 1] as number, nodes[index] as number];
    const line = pieces[node >> 1]?.line ?? [];
    if ((before ^ 1) !== node) coast.push(ends[node] as WorldPoint);
    else coast.push(...(node % 2 === 1 ? line.slice(1) : [...line].reverse().slice(1)));
  }
  return coast;
}

/** The estuary as a ring: the coast, drawn on beyond both ends to the frame, closed along the frame's southern edge. */
export function waterRing(coast: readonly WorldPoint[], frame: { west: number; east: number; south: number }): WorldPoint[] {
  const [first, last] = [firstOf(coast), lastOf(coast)];
  const slope = (a: WorldPoint, b: WorldPoint): number => (b[1] - a[1]) / (b[0] - a[0]);
  // The bank goes on as it runs over its last stretch: north-west of the Cerro, east-north-east along the beaches.
  const eastward = slope(coast[Math.max(0, coast.length - 40)] as WorldPoint, last);
  const westEnd: WorldPoint = [frame.west, first[1] + (frame.west - first[0]) * 0.55];
  const eastEnd: WorldPoint = [frame.east, last[1] + (frame.east - last[0]) * eastward];
  return [westEnd, ...coast, eastEnd, [frame.east, frame.south], [frame.west, frame.south], westEnd];
}
