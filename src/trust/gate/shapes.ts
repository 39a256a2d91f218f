/** Longer lists of numbers are what templates of faces and voices look like: 128 to 512 of them. */
export const VECTOR_LIMIT = 32;

/**
 * More than 32 numbers in a row in a text. A text is read in one way only, whatever it holds: a number begins where no number goes on,
 * its digits and the gap after it have no second reading, so that no text makes the search long.
 */
const WRITTEN_VECTOR = /(?<![\d.])(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?(?:\s*[,;|]\s*|\s+)){32}[-+]?(?:\d|\.\d)/i;
export const isWrittenVector = (text: string): boolean => text.length > VECTOR_LIMIT * 2 && WRITTEN_VECTOR.test(text);

/** Bytes that are floats of 4 or 8 bytes, nearly all of the size that a normed vector has. */
export function isFloatVector(bytes: Buffer): boolean {
  return isFloats(bytes, 4, (at) => bytes.readFloatLE(at)) || isFloats(bytes, 8, (at) => bytes.readDoubleLE(at)) || isFloats(bytes, 4, (at) => bytes.readFloatBE(at));
}

function isFloats(bytes: Buffer, size: number, read: (at: number) => number): boolean {
  const count = bytes.length / size;
  if (!Number.isInteger(count) || count <= VECTOR_LIMIT) return false;
  let likely = 0;
  const seen = new Set<number>();
  for (let at = 0; at < bytes.length; at += size) {
    const value = read(at);
    if (Math.abs(value) < 64 && Math.abs(value) > 1e-7) likely += 1;
    if (seen.size < VECTOR_LIMIT) seen.add(value);
  }
  return likely >= count * 0.95 && seen.size > 16;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** Numbers in lists of lists, however they are cut; objects in between end the count. */
export function countNumbers(value: readonly unknown[], limit = VECTOR_LIMIT): number {
  let count = 0;
  for (const member of value) {
    if (isNumber(member) || isWrittenNumber(member)) count += 1;
    else if (Array.isArray(member)) count += countNumbers(member, limit - count);
    if (count > limit) return count;
  }
  return count;
}
const isWrittenNumber = (value: unknown): boolean => typeof value === 'string' && value.length < 32 && /^[-+]?\d*\.\d+(?:e[-+]?\d+)?$/i.test(value);

/** A vector that was cut into members: more than 32 numbers under names that differ in their number only. */
export function isCutVector(members: readonly (readonly [string, unknown])[]): boolean {
  if (members.length === 0) return false;
  const stems = new Map<string, number>();
  for (const [name, value] of members) {
    const count = isNumber(value) || isWrittenNumber(value) ? 1 : Array.isArray(value) ? countNumbers(value) : 0;
    if (count === 0) continue;
    const stem = name.replaceAll(/\d+/g, '');
    const sum = (stems.get(stem) ?? 0) + (stem === name ? 0 : count);
    if (sum > VECTOR_LIMIT) return true;
    stems.set(stem, sum);
  }
  return false;
}

const ID_NAMES = /^(?:@?id|.*(?:_id|Id|ID|uuid|Uuid)|uid|tag|track|trackId|object|vehicle|person|device|visitor|serial|mac|hash|key|name)$/;
const MOVED_DEGREES = 0.0003; // about 30 m of latitude

/** Longitude and latitude, x and y, or a GeoJSON Point; null for what is no position. */
export function positionOf(value: unknown): readonly [number, number] | null {
  if (Array.isArray(value)) return value.length >= 2 && value.length <= 3 && value.every(isNumber) && value.some((number) => !Number.isInteger(number)) ? [value[0] as number, value[1] as number] : null;
  if (typeof value !== 'object' || value === null) return null;
  const fields = Object.fromEntries(Object.entries(value).slice(0, 64).map(([name, member]) => [name.toLowerCase(), member as unknown]));
  if (Array.isArray(fields['coordinates'])) return positionOf(fields['coordinates']);
  const [x, y] = [fields['lon'] ?? fields['lng'] ?? fields['long'] ?? fields['longitude'] ?? fields['x'], fields['lat'] ?? fields['latitude'] ?? fields['y']];
  if (isNumber(x) && isNumber(y)) return [x, y];
  for (const name of ['position', 'location', 'geo', 'gps', 'point', 'pos', 'geometry']) {
    const inner = fields[name] === undefined ? null : positionOf(fields[name]);
    if (inner !== null) return inner;
  }
  return null;
}

/** What an object calls itself; null when it has no name of its own. */
export function objectIdOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  for (const [name, member] of Object.entries(value).slice(0, 64)) if (ID_NAMES.test(name) && (typeof member === 'string' || typeof member === 'number')) return String(member).slice(0, 64);
  return null;
}

export const hasMoved = (from: readonly [number, number], to: readonly [number, number]): boolean => Math.abs(from[0] - to[0]) > MOVED_DEGREES || Math.abs(from[1] - to[1]) > MOVED_DEGREES;

/** Three or more positions of one object: in a list beside its id, or in a list of objects that repeat an id. */
export function isTrajectory(value: Readonly<Record<string, unknown>> | readonly unknown[]): boolean {
  if (Array.isArray(value)) {
    const places = new Map<string, (readonly [number, number])[]>();
    for (const member of value.slice(0, 1_000) as unknown[]) {
      const [id, position] = [objectIdOf(member), positionOf(member)];
      if (id === null || position === null) continue;
      const seen = places.get(id) ?? [];
      if (seen.every((other) => hasMoved(other, position))) seen.push(position);
      if (seen.length >= 3) return true;
      places.set(id, seen);
    }
    return false;
  }
  const { type } = value as Record<string, unknown>;
  // the course of a road is no way of an object, unless it says when
  if (objectIdOf(value) === null || ((type === 'LineString' || type === 'Polygon') && !hasTimes(value as Record<string, unknown>))) return false;
  return Object.values(value).some((member) => isPath(member) || (isGeometry(member) && isPath(member['coordinates']) && (!/^(?:Multi)?(?:LineString|Polygon|Point)$/.test(String(member['type'])) || hasTimes(member) || hasTimes(value as Record<string, unknown>))));
}

const isGeometry = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const hasTimes = (value: Readonly<Record<string, unknown>>): boolean => Object.entries(value).some(([name, member]) => Array.isArray(member) && member.length >= 3 && /time|date|stamp/i.test(name));

function isPath(value: unknown): boolean {
  if (!Array.isArray(value) || value.length < 3) return false;
  const seen: (readonly [number, number])[] = [];
  for (const member of value.slice(0, 1_000) as unknown[]) {
    const position = positionOf(member);
    if (position !== null && seen.every((other) => hasMoved(other, position))) seen.push(position);
    if (seen.length >= 3) return true;
  }
  return false;
}
