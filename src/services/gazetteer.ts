import { z } from 'zod';
import { Refused, distanceM, type LonLat } from '../kernel/index.ts';
import { cleanLine, fold } from './field-text.ts';
import { createTextIndex } from './text-index.ts';

export type GazetteerKind = 'street' | 'address' | 'place' | 'junction';

export interface GazetteerPlace {
  /** Stable id made of the label; null for a place that was interpolated. */
  readonly id: string | null;
  readonly label: string;
  readonly kind: GazetteerKind;
  readonly point: LonLat;
  /** Street of an address or street entry. */
  readonly street: string | null;
}

/** The streets, addresses and places of the city, in memory. */
export interface Gazetteer {
  readonly size: number;
  /** Best first, at most `limit`. "18 de Julio 1234" gives the address, or a point between its known neighbours and says so in the label. */
  search(query: string, limit: number): GazetteerPlace[];
  /** Nearest first, within `within_m` metres. */
  nearest(point: LonLat, limit: number, within_m: number): (GazetteerPlace & { readonly distance_m: number })[];
  byId(id: string): GazetteerPlace | undefined;
}

const Line = z.object({
  label: z.string().min(1).max(255),
  kind: z.enum(['street', 'address', 'place', 'junction']),
  lon: z.number().min(-180).max(180),
  lat: z.number().min(-90).max(90),
  street: z.string().max(255).optional(),
  number: z.union([z.string().max(20), z.number()]).optional(),
  names: z.union([z.array(z.string().max(255)).max(50), z.record(z.string(), z.string().max(255))]).optional(),
});
type Line = z.infer<typeof Line>;

const ENTRIES_MAX = 2_000_000;
const QUERY_WORDS_MAX = 12;
const CELL_DEGREES = 0.002;
const CELLS_MAX = 10_000;
const COORDINATE_DECIMALS = 7;
const KIND_RANK: Readonly<Record<GazetteerKind, number>> = { street: 0, place: 1, junction: 2, address: 3 };

/** Words that stand between two streets of a corner in a query, never in a label. */
const CONNECTORS: ReadonlySet<string> = new Set(['y', 'e', 'esq', 'esquina', 'con', 'and', 'at', 'corner', 'und', 'ecke', 'et', 'angle']);

type Entry = Omit<GazetteerPlace, 'id'>;
interface Numbered {
  readonly number: number;
  readonly entry: Entry;
}
interface Street {
  readonly name: string;
  readonly numbers: Numbered[];
}

/** Reads gazetteer.ndjson (one object a line). A wrong line is refused with its number. */
export async function loadGazetteer(lines: Iterable<string> | AsyncIterable<string>): Promise<Gazetteer> {
  const entries: Entry[] = [];
  // addresses stand in neither: they are found by their street and number
  const labels = new Map<string, Entry>();
  const texts = createTextIndex<Entry>();
  const streets = new Map<string, Street>();
  const streetsByName = new Map<string, Street>();
  const streetTexts = createTextIndex<Street>();
  const cells = new Map<number, Entry[]>();

  const addStreet = (name: string): Street => {
    const known = streetsByName.get(name);
    if (known) return known;
    const key = fold(name);
    const same = streets.get(key);
    const street = same ?? { name, numbers: [] };
    streetsByName.set(name, street);
    if (same === undefined) {
      streets.set(key, street);
      streetTexts.add(key, street);
    }
    return street;
  };

  let lineNumber = 0;
  for await (const text of lines) {
    lineNumber += 1;
    if (text.trim() === '') continue;
    if (entries.length >= ENTRIES_MAX) throw new Refused({ code: 'start.config-invalid', detail: `gazetteer.ndjson has more than ${ENTRIES_MAX} entries.`, field: 'gazetteer.ndjson' });
    const line = readLine(text, lineNumber);
    const parts = partsOf(line);
    const street = parts.street === null ? null : addStreet(parts.street);
    const entry: Entry = { label: line.label, kind: line.kind, point: [line.lon, line.lat], street: street?.name ?? null };
    entries.push(entry);
    if (street !== null && parts.number !== null) street.numbers.push({ number: parts.number, entry });
    else {
      const folded = fold(line.label);
      if (!labels.has(folded)) labels.set(folded, entry);
      texts.add([folded, ...(Array.isArray(line.names) ? line.names : Object.values(line.names ?? {})).map(fold)].join(' '), entry);
    }
    const cell = cellOf(entry.point[0], entry.point[1]);
    const members = cells.get(cell);
    if (members) members.push(entry);
    else cells.set(cell, [entry]);
  }
  texts.finish();
  streetTexts.finish();
  for (const street of streets.values()) street.numbers.sort((a, b) => a.number - b.number);

  const searchHouses = (words: readonly string[], limit: number): GazetteerPlace[] => {
    const found: GazetteerPlace[] = [];
    for (const { number, name } of houseReadings(words)) {
      const exact = streets.get(name.join(' '));
      for (const street of exact ? [exact] : streetTexts.find(name).sort((a, b) => a.name.length - b.name.length || (a.name < b.name ? -1 : 1))) {
        const place = houseOf(street, number);
        if (place) found.push(place);
        if (found.length >= limit) return found;
      }
    }
    return found;
  };
  const searchTexts = (words: readonly string[], limit: number): GazetteerPlace[] => {
    const whole = words.join(' ');
    const exact = labels.get(whole);
    const ranked = texts
      .find(words)
      .map((entry) => ({ entry, at: (fold(entry.label).startsWith(whole) ? 0 : 10) + KIND_RANK[entry.kind] }))
      .sort((a, b) => a.at - b.at || a.entry.label.length - b.entry.label.length || (a.entry.label < b.entry.label ? -1 : 1))
      .slice(0, limit);
    return [...(exact ? [exact] : []), ...ranked.map(({ entry }) => entry)].map(placeOf);
  };

  return {
    size: entries.length,
    byId: (id) => {
      const words = fold(id).split(' ');
      const entry = labels.get(words.join(' '));
      if (entry) return placeOf(entry);
      return searchHouses(words, QUERY_WORDS_MAX).find((place) => place.id === id);
    },
    search: (query, limit) => {
      const words = wordsOf(query);
      if (words.length === 0) return [];
      const exactFirst = labels.has(words.join(' '));
      const found = exactFirst ? [...searchTexts(words, limit), ...searchHouses(words, limit)] : [...searchHouses(words, limit), ...searchTexts(words, limit)];
      if (found.length === 0) {
        // a corner in words, or a number beyond the street's: the corner, or the street
        const corner = words.filter((word) => !CONNECTORS.has(word));
        if (corner.length > 0 && corner.length < words.length) found.push(...searchTexts(corner, limit));
        for (const { name } of found.length === 0 ? houseReadings(words) : []) found.push(...searchTexts(name, limit));
      }
      const unique = new Map<string, GazetteerPlace>();
      for (const place of found) if (!unique.has(place.label)) unique.set(place.label, place);
      return [...unique.values()].slice(0, limit);
    },
    nearest: (point, limit, within_m) =>
      cellsAround(point, within_m)
        .flatMap((cell) => cells.get(cell) ?? [])
        .map((entry) => ({ entry, distance_m: distanceM(point, entry.point) }))
        .filter(({ distance_m }) => distance_m <= within_m)
        .sort((a, b) => a.distance_m - b.distance_m)
        .slice(0, limit)
        .map(({ entry, distance_m }) => ({ ...placeOf(entry), distance_m })),
  };
}

const placeOf = (entry: Entry): GazetteerPlace => ({ id: fold(entry.label).replaceAll(' ', '-'), ...entry });

function wordsOf(query: string): string[] {
  return fold(query.slice(0, 255))
    .split(' ')
    .filter((word) => word !== '')
    .slice(0, QUERY_WORDS_MAX);
}

function readLine(text: string, lineNumber: number): Line {
  const where = `gazetteer.ndjson, line ${lineNumber}`;
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Refused({ code: 'start.config-invalid', detail: `${where} is not JSON.`, field: where });
  }
  const parsed = Line.safeParse(content);
  if (!parsed.success) throw new Refused({ code: 'start.config-invalid', detail: `${where}, ${parsed.error.issues[0]?.path.join('.') ?? ''}: ${parsed.error.issues[0]?.message ?? 'not valid'}`, field: where });
  return { ...parsed.data, label: cleanLine(parsed.data.label) };
}

function partsOf(line: Line): { street: string | null; number: number | null } {
  if (line.kind === 'street') return { street: line.street ?? line.label, number: null };
  if (line.kind !== 'address') return { street: null, number: null };
  const number = /^\d{1,6}/.exec(String(line.number ?? ''))?.[0];
  if (line.street !== undefined && number !== undefined) return { street: line.street, number: Number(number) };
  const trailing = /^(.*\D)[\s,]+(\d{1,6})\s*[a-z]?$/i.exec(line.label);
  const leading = /^(\d{1,6})\s*[a-z]?[\s,]+(.*\D.*)$/i.exec(line.label);
  if (trailing?.[1] !== undefined && trailing[2] !== undefined) return { street: trailing[1].replace(/[\s,]+$/, ''), number: Number(trailing[2]) };
  if (leading?.[1] !== undefined && leading[2] !== undefined) return { street: leading[2], number: Number(leading[1]) };
  return { street: line.street ?? null, number: null };
}

/** "name 12", "name 12b" and "12 name" as street and house number. */
function houseReadings(words: readonly string[]): { name: readonly string[]; number: number }[] {
  if (words.length < 2) return [];
  const asNumber = (word: string | undefined): number | null => (word !== undefined && /^\d{1,6}[a-z]?$/.test(word) ? Number.parseInt(word, 10) : null);
  const last = asNumber(words.at(-1));
  const first = asNumber(words[0]);
  return [...(last === null ? [] : [{ name: words.slice(0, -1), number: last }]), ...(first === null ? [] : [{ name: words.slice(1), number: first }])];
}

/** The house itself, or a point between the nearest known numbers, of its own side of the street if both are known there. */
function houseOf(street: Street, number: number): GazetteerPlace | null {
  const exact = street.numbers.find((each) => each.number === number);
  if (exact) return placeOf(exact.entry);
  const between = (members: readonly Numbered[]): [Numbered, Numbered] | null => {
    const above = members.findIndex((each) => each.number > number);
    const low = members[above - 1];
    const high = members[above];
    return low && high ? [low, high] : null;
  };
  const pair = between(street.numbers.filter((each) => each.number % 2 === number % 2)) ?? between(street.numbers);
  if (pair === null) return null;
  const [low, high] = pair;
  const share = (number - low.number) / (high.number - low.number);
  const at = (axis: 0 | 1): number => Number((low.entry.point[axis] + (high.entry.point[axis] - low.entry.point[axis]) * share).toFixed(COORDINATE_DECIMALS));
  return { id: null, label: `${street.name} ${number} (≈ ${low.number}–${high.number})`, kind: 'address', point: [at(0), at(1)], street: street.name };
}

const cellKey = (x: number, y: number): number => x * 1_000_000 + y;
const cellOf = (lon: number, lat: number): number => cellKey(Math.floor(lon / CELL_DEGREES), Math.floor(lat / CELL_DEGREES));

function cellsAround([lon, lat]: LonLat, within_m: number): number[] {
  const dLat = within_m / 111_000;
  const dLon = dLat / Math.max(0.01, Math.cos((lat * Math.PI) / 180));
  const keys: number[] = [];
  for (let x = Math.floor((lon - dLon) / CELL_DEGREES); x <= Math.floor((lon + dLon) / CELL_DEGREES); x += 1) {
    for (let y = Math.floor((lat - dLat) / CELL_DEGREES); y <= Math.floor((lat + dLat) / CELL_DEGREES); y += 1) {
      if (keys.push(cellKey(x, y)) >= CELLS_MAX) return keys;
    }
  }
  return keys;
}
