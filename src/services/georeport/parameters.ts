import { z } from 'zod';
import { LIMITS, ok, parseInstantMs, refuse, type LonLat, type Refusal, type Result } from '../../kernel/index.ts';
import { cleanLine, cleanText } from '../field-text.ts';
import { boxAround } from '../location.ts';
import type { PublicFilter } from '../request-store.ts';

/** Parameters as they came; a present but empty one equals an absent one (G5). */
export class Parameters {
  private readonly values = new Map<string, string[]>();

  constructor(source: unknown) {
    for (const [name, value] of Object.entries((source ?? {}) as Record<string, unknown>)) {
      const texts = (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === 'string' && each.trim() !== '');
      if (texts.length > 0) this.values.set(name, texts);
    }
  }

  /** The first value, as it came; undefined when absent. */
  one(name: string): string | undefined {
    return this.values.get(name)?.[0];
  }

  /** A comma list, without empty members. */
  list(name: string): string[] | undefined {
    const members = this.values.get(name)?.flatMap((text) => text.split(',')).map((member) => member.trim()).filter((member) => member !== '');
    return members === undefined || members.length === 0 ? undefined : members;
  }

  /** `attribute[CODE]=v` and `attribute[CODE][]=a` by code (G13). */
  attributes(): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const [name, values] of this.values) {
      const code = /^attribute\[([^\][]{1,200})\](?:\[\d{0,4}\])?$/.exec(name)?.[1];
      if (code !== undefined) found.set(code, [...(found.get(code) ?? []), ...values]);
    }
    return found;
  }
}

const DAY_MS = 24 * 3_600_000;
export const SPAN_DAYS_MAX = 90;
export const PAGE_ROWS_MAX = 1_000;
const DEFAULT_PAGE_ROWS = 100;
const PAGE_MAX = 1_000_000;
const RADIUS_M_MAX = 50_000;

export interface RequestsQuery {
  readonly filter: PublicFilter;
  readonly extensions: boolean;
  /** A circle on the public coordinates, checked after the box. */
  readonly circle: { readonly point: LonLat; readonly radius_m: number } | null;
}

export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusals: readonly [Refusal, ...Refusal[]] };

/** Reads the arguments of GET /requests (G17–G21 and the extensions). All faults at once. */
export function readRequestsQuery(parameters: Parameters, nowMs: number): Checked<RequestsQuery> {
  const extensions = parameters.one('extensions')?.toLowerCase() === 'true';
  const ids = parameters.list('service_request_id');
  // overrides all other arguments, also wrong ones
  if (ids !== undefined) return { ok: true, value: { filter: { ids: ids.slice(0, PAGE_ROWS_MAX), limit: PAGE_ROWS_MAX }, extensions, circle: null } };
  const refusals: Refusal[] = [];
  const note = <T>(result: Result<T>): T | undefined => {
    if (result.ok) return result.value;
    refusals.push(result.refusal);
    return undefined;
  };
  const updated = { updatedFromMs: note(readInstant(parameters, 'updated_after')), updatedBeforeMs: note(readBefore(parameters, 'updated_before')) };
  const asksUpdated = parameters.one('updated_after') !== undefined || parameters.one('updated_before') !== undefined;
  const closed = note(readStatus(parameters));
  const paging = note(readPaging(parameters));
  // numbered pages need a window that stands still, so its start is then the beginning of a day
  const windowNowMs = paging?.skip === undefined ? nowMs : Math.floor(nowMs / DAY_MS) * DAY_MS;
  const window = note(readWindow(parameters, windowNowMs, asksUpdated));
  const area = note(readArea(parameters));
  const [first, ...others] = refusals;
  if (first !== undefined) return { ok: false, refusals: [first, ...others] };
  const serviceCodes = parameters.list('service_code');
  const bounds = defined({ serviceCodes, closed: closed ?? undefined, ...window, ...updated, box: area?.box, after: paging?.after, skip: paging?.skip });
  return { ok: true, value: { filter: { ...bounds, limit: paging?.rows ?? PAGE_ROWS_MAX }, extensions, circle: area?.circle ?? null } };
}

/** Drops undefined members, which exact optional types do not take. */
function defined(members: { [Name in keyof PublicFilter]?: PublicFilter[Name] | undefined }): Omit<PublicFilter, 'limit'> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function readInstant(parameters: Parameters, name: string): Result<number | undefined> {
  const text = parameters.one(name);
  if (text === undefined) return ok(undefined);
  // a plus sign that nobody escaped arrives as a space (W3C-DTF +01:00 in a query)
  const atMs = parseInstantMs(text.trim().replace(/ (\d{2}:?\d{2})$/, '+$1'));
  return atMs === null ? refuse('request.field-invalid', `${name} must be a W3C date and time with zone, such as 2026-11-24T06:00:00Z.`, name) : ok(atMs);
}

// Times go out in whole seconds and both ends of a window count. An end in whole seconds takes in its whole second, so that
// windows [a, b−1 s] and [b, …] part the requests; an end with a fraction is exact.
const afterEnd = (ms: number): number => (ms % 1_000 === 0 ? ms + 1_000 : ms + 1);
const readBefore = (parameters: Parameters, name: string): Result<number | undefined> => mapped(readInstant(parameters, name), afterEnd);
const mapped = (result: Result<number | undefined>, change: (ms: number) => number): Result<number | undefined> => (result.ok && result.value !== undefined ? ok(change(result.value)) : result);

function readWindow(parameters: Parameters, nowMs: number, asksUpdated: boolean): Result<{ filedFromMs?: number; filedBeforeMs?: number }> {
  const start = readInstant(parameters, 'start_date');
  if (!start.ok) return start;
  const end = readInstant(parameters, 'end_date');
  if (!end.ok) return end;
  const span_ms = SPAN_DAYS_MAX * DAY_MS;
  if (start.value === undefined && end.value === undefined) return ok(asksUpdated ? {} : { filedFromMs: nowMs - span_ms });
  const startMs = start.value ?? (end.value ?? nowMs) - span_ms;
  const endMs = end.value ?? startMs + span_ms;
  if (endMs < startMs) return refuse('request.field-invalid', 'end_date lies before start_date.', 'end_date');
  if (endMs - startMs > span_ms) return refuse('request.field-invalid', `start_date and end_date lie more than ${SPAN_DAYS_MAX} days apart.`, 'end_date');
  return ok({ filedFromMs: startMs, filedBeforeMs: afterEnd(endMs) });
}

function readStatus(parameters: Parameters): Result<boolean | null> {
  const asked = new Set(parameters.list('status') ?? []);
  for (const status of asked) if (status !== 'open' && status !== 'closed') return refuse('request.field-invalid', 'status takes open and closed.', 'status');
  return ok(asked.size === 1 ? asked.has('closed') : null);
}

interface Paging {
  readonly rows: number;
  readonly skip?: number;
  readonly after?: { readonly filedMs: number; readonly seq: number };
}

function readPaging(parameters: Parameters): Result<Paging | undefined> {
  const page = parameters.one('page');
  const size = parameters.one('page_size');
  const cursor = parameters.one('cursor');
  if (page === undefined && size === undefined && cursor === undefined) return ok(undefined);
  const rows = size === undefined ? DEFAULT_PAGE_ROWS : countOf(size, PAGE_ROWS_MAX);
  if (rows === null) return refuse('request.field-invalid', `page_size must be a number from 1 to ${PAGE_ROWS_MAX}.`, 'page_size');
  if (cursor !== undefined) {
    const parts = /^(-?\d{1,16})\.(\d{1,16})$/.exec(cursor);
    if (parts?.[1] === undefined || parts[2] === undefined || Math.abs(Number(parts[1])) > 8.64e15) return refuse('request.field-invalid', 'cursor must be the one of a Link header.', 'cursor');
    return ok({ rows, after: { filedMs: Number(parts[1]), seq: Number(parts[2]) } });
  }
  const number = page === undefined ? 1 : countOf(page, PAGE_MAX);
  return number === null ? refuse('request.field-invalid', `page must be a number from 1 to ${PAGE_MAX}.`, 'page') : ok({ rows, skip: (number - 1) * rows });
}

function countOf(text: string, max: number): number | null {
  const count = /^\d{1,9}$/.test(text.trim()) ? Number(text) : 0;
  return count >= 1 && count <= max ? count : null;
}

function readArea(parameters: Parameters): Result<{ box: readonly [number, number, number, number]; circle?: { point: LonLat; radius_m: number } } | undefined> {
  const bbox = parameters.one('bbox');
  if (bbox !== undefined) {
    const numbers = bbox.split(',').map(decimalOf);
    const [west = null, south = null, east = null, north = null] = numbers;
    if (numbers.length !== 4 || west === null || south === null || east === null || north === null || west > east || south > north) return refuse('request.field-invalid', 'bbox must be west,south,east,north in degrees.', 'bbox');
    return ok({ box: [west, south, east, north] });
  }
  const radius = parameters.one('radius');
  if (radius === undefined) return ok(undefined);
  const radius_m = decimalOf(radius);
  if (radius_m === null || radius_m <= 0 || radius_m > RADIUS_M_MAX) return refuse('request.field-invalid', `radius must be metres from 1 to ${RADIUS_M_MAX}.`, 'radius');
  const point = readPoint(parameters);
  if (!point.ok) return point;
  if (point.value === null) return refuse('request.field-missing', 'radius needs lat and long.', 'lat');
  return ok({ box: boxAround(point.value, radius_m), circle: { point: point.value, radius_m } });
}

function decimalOf(text: string): number | null {
  return /^\s*[+-]?(\d{1,10}(\.\d{0,20})?|\.\d{1,20})\s*$/.test(text) ? Number(text) : null;
}

/** lat and long as a pair; null when neither came, a refusal for half a pair (G12). */
export function readPoint(parameters: Parameters): Result<LonLat | null> {
  const lat = parameters.one('lat');
  const long = parameters.one('long') ?? parameters.one('lon');
  if (lat === undefined && long === undefined) return ok(null);
  if (lat === undefined) return refuse('request.field-missing', 'long came without lat.', 'lat');
  if (long === undefined) return refuse('request.field-missing', 'lat came without long.', 'long');
  const latitude = decimalOf(lat);
  if (latitude === null || Math.abs(latitude) > 90) return refuse('request.field-invalid', 'lat must be degrees from -90 to 90.', 'lat');
  const longitude = decimalOf(long);
  if (longitude === null || Math.abs(longitude) > 180) return refuse('request.field-invalid', 'long must be degrees from -180 to 180.', 'long');
  return ok([longitude, latitude]);
}

const TEXT_LIMITS = { first_name: 100, last_name: 100, phone: 50, account_id: 100, device_id: LIMITS.name_chars, media_url: 2_000, address_id: LIMITS.name_chars } as const;

export interface ReportFields {
  readonly description: string;
  readonly contact: { readonly name: string; readonly email: string; readonly phone: string; readonly account_id: string };
  readonly point: LonLat | null;
  readonly address: string;
  readonly addressId: string;
  readonly hasMediaUrl: boolean;
  readonly hasDeviceId: boolean;
}

/** Reads the plain fields of POST /requests (G12, G14); every fault is added to `refusals`. */
export function readReportFields(parameters: Parameters, refusals: Refusal[]): ReportFields {
  const line = (name: keyof typeof TEXT_LIMITS): string => {
    const text = cleanLine(parameters.one(name) ?? '');
    if (text.length > TEXT_LIMITS[name]) refusals.push({ code: 'request.field-invalid', detail: `${name} is longer than ${TEXT_LIMITS[name]} characters.`, field: name });
    return text;
  };
  const description = cleanText(parameters.one('description') ?? '');
  if (description.length > LIMITS.text_chars) refusals.push({ code: 'request.field-invalid', detail: `description is longer than ${LIMITS.text_chars} characters.`, field: 'description' });
  const email = cleanLine(parameters.one('email') ?? '');
  if (email !== '' && (email.length > 254 || !z.email().safeParse(email).success)) refusals.push({ code: 'request.field-invalid', detail: 'email is not an address such as name@example.org.', field: 'email' });
  const point = readPoint(parameters);
  if (!point.ok) refusals.push(point.refusal);
  return {
    description,
    contact: { name: [line('first_name'), line('last_name')].filter((part) => part !== '').join(' '), email, phone: line('phone'), account_id: line('account_id') },
    point: point.ok ? point.value : null,
    address: parameters.one('address_string') ?? '',
    addressId: line('address_id'),
    hasMediaUrl: line('media_url') !== '',
    hasDeviceId: parameters.one('device_id') !== undefined,
  };
}
