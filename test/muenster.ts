import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { SHARED_DATA } from './city.ts';

/** Real parking and bicycle counts of Münster (dl-de/by-2-0), in local time with both traps of the clock change. */
export const MUENSTER = join(SHARED_DATA, 'muenster');
export const hasMuenster = existsSync(MUENSTER);

export interface Count {
  readonly site: string;
  readonly atMs: number;
  readonly value: number;
}

const ZONE = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' });
function localOf(atMs: number): string {
  const part = Object.fromEntries(ZONE.formatToParts(atMs).map(({ type, value }) => [type, value]));
  return `${part['year']}-${part['month']}-${part['day']} ${part['hour']}:${part['minute']}`;
}

const readBefore = new Map<string, number[]>();

/** All instants that a local wall time stands for: two in the repeated hour of autumn, none in the missing one of spring. */
export function instantsOf(local: string): number[] {
  const read = readBefore.get(local);
  if (read !== undefined) return read;
  const asUtcMs = Date.parse(`${local.replace(' ', 'T')}:00Z`);
  const instants = [asUtcMs - 7_200_000, asUtcMs - 3_600_000].filter((atMs) => localOf(atMs) === local);
  readBefore.set(local, instants);
  return instants;
}

/** Turns a series in local time into instants: where an hour repeats, the second pass is the later one. */
function readInOrder(rows: readonly { local: string; site: string; value: number }[]): Count[] {
  const last = new Map<string, number>();
  const counts: Count[] = [];
  for (const { local, site, value } of rows) {
    const candidates = instantsOf(local);
    const atMs = candidates.find((candidate) => candidate > (last.get(site) ?? -Infinity));
    if (atMs === undefined) throw new Error(`${site} ${local} is no possible time after ${new Date(last.get(site) ?? 0).toISOString()}`);
    last.set(site, atMs);
    counts.push({ site, atMs, value });
  }
  return counts;
}

const readLines = (file: string): string[] => gunzipSync(readFileSync(join(MUENSTER, file))).toString('utf8').trim().split(/\r?\n/);

/** Free spaces by car park, [from, to) in local dates such as 2023-10-23. Closed car parks (`ges`) and those that never report are left out. */
export function readParking(file: string, from: string, to: string): Count[] {
  const [head, ...lines] = readLines(file);
  const sites = (head ?? '').split(',').slice(1);
  const rows = lines
    .filter((line) => line >= from && line < to)
    .flatMap((line) => {
      const [local = '', ...cells] = line.split(',');
      return cells.map((cell, at) => ({ local, site: sites[at] ?? '', value: Number(cell) })).filter((row) => Number.isFinite(row.value));
    });
  const reporting = new Set(rows.filter((row) => row.value > 0).map((row) => row.site));
  return readInOrder(rows.filter((row) => reporting.has(row.site)));
}

/** Bicycles in 15 minutes by counting station. */
export function readBicycles(file: string, from: string, to: string): Count[] {
  const [, ...lines] = readLines(file);
  const rows = lines
    .filter((line) => line >= from && line < to)
    .map((line) => {
      const [local = '', site = '', count = ''] = line.split(',');
      return { local, site, value: count === '' ? Number.NaN : Number(count) };
    })
    .filter((row) => Number.isFinite(row.value));
  return readInOrder(rows);
}

export interface Site {
  readonly name: string;
  readonly lon: number;
  readonly lat: number;
  readonly capacity: number;
}

export function readSites(): Map<string, Site> {
  const parse = (file: string): Record<string, string>[] => {
    const [head, ...lines] = readFileSync(join(MUENSTER, file), 'utf8').trim().split(/\r?\n/);
    const names = (head ?? '').split(',');
    return lines.map((line) => Object.fromEntries(line.split(',').map((cell, at) => [names[at] ?? '', cell])));
  };
  const sites = new Map<string, Site>();
  for (const row of parse('parking-sites.csv')) sites.set(row['car_park'] ?? '', { name: row['car_park'] ?? '', lon: Number(row['lon']), lat: Number(row['lat']), capacity: Number(row['capacity_2026_08']) });
  for (const row of parse('bike-stations.csv')) sites.set(row['station_id'] ?? '', { name: row['name'] ?? '', lon: Number(row['lon']), lat: Number(row['lat']), capacity: 0 });
  return sites;
}
