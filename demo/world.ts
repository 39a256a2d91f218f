/** Web Mercator world coordinates: the square [0,1)², y growing downward (tile 0/0/0). */
export type WorldPoint = readonly [x: number, y: number];

/** Longitude and latitude in degrees (WGS 84) of a world point. */
export function lonLatOf([x, y]: WorldPoint): [number, number] {
  const lat = (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
  return [round6(x * 360 - 180), round6(lat)];
}

export function worldOf(lon: number, lat: number): WorldPoint {
  const sin = Math.sin((lat * Math.PI) / 180);
  return [lon / 360 + 0.5, 0.5 - (0.25 * Math.log((1 + sin) / (1 - sin))) / Math.PI];
}

const round6 = (degrees: number): number => Math.round(degrees * 1e6) / 1e6;

/** Metres a unit of the world square measures at the latitude of the extract. */
const METRES_PER_WORLD = 40_075_017 * Math.cos((34.87 * Math.PI) / 180);

export function distance_m(a: WorldPoint, b: WorldPoint): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]) * METRES_PER_WORLD;
}

export function length_m(line: readonly WorldPoint[]): number {
  let sum = 0;
  for (let index = 1; index < line.length; index += 1) sum += distance_m(line[index - 1] as WorldPoint, line[index] as WorldPoint);
  return sum;
}

/** The vertex nearest to half of the line's length. */
export function middleOf(line: readonly WorldPoint[]): WorldPoint {
  let left = length_m(line) / 2;
  for (let index = 1; index < line.length; index += 1) {
    left -= distance_m(line[index - 1] as WorldPoint, line[index] as WorldPoint);
    if (left <= 0) return line[index] as WorldPoint;
  }
  return line[0] as WorldPoint;
}

/** Mean of a ring's vertices; good enough to place a label or a sensor. */
export function centreOf(ring: readonly WorldPoint[]): WorldPoint {
  const sum = ring.reduce<[number, number]>((total, [x, y]) => [total[0] + x, total[1] + y], [0, 0]);
  return [sum[0] / ring.length, sum[1] / ring.length];
}
