import { parse } from 'csv-parse/sync';
import { MEASURE_KINDS, NewDevice, type DeviceCredential, type DeviceCsvReport } from '../../contracts/device.ts';
import { refuse, ok, type Refusal, type Result } from '../../kernel/index.ts';

const COLUMNS = ['name', 'longitude', 'latitude', 'measures', 'interval_s', 'purpose', 'kind'] as const;
type Column = (typeof COLUMNS)[number];
const MUST: readonly Column[] = ['name', 'longitude', 'latitude', 'measures', 'interval_s', 'purpose'];
export const CSV_ROWS = 1_000;

type Fault = DeviceCsvReport['faults'][number];

export interface DeviceCsv {
  readonly rows: readonly { readonly line: number; readonly device: NewDevice | null }[];
  readonly faults: readonly Fault[];
}

/** A table to fill in: the columns, and a line that shows how. */
export function templateCsv(purpose: string): string {
  return `${COLUMNS.join(',')}\r\nGauge at the mill,11.5755,48.1374,level water_temperature,600,${purpose},river_gauge\r\n`;
}

/**
 * Reads devices from CSV (RFC 4180, with `;` or tab as well, BOM allowed). Refuses a table that is none as a whole; what is
 * wrong in a cell is a fault with line and column. `isPurpose` says whether a purpose may be used, `refuseName` whether the gate
 * takes a name.
 */
export function readDeviceCsv(text: string, isPurpose: (id: string) => boolean, refuseName: (name: string) => Refusal | null = () => null): Result<DeviceCsv> {
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(text, { bom: true, delimiter: delimiterOf(text), info: true, relax_column_count: true, skip_empty_lines: true, trim: true, to: CSV_ROWS + 2, max_record_size: 10_000 }) as unknown as typeof records;
  } catch (error) {
    const { message, lines } = error as Error & { lines?: number };
    return refuse('http.malformed', `The table cannot be read${lines === undefined ? '' : ` at line ${String(lines)}`}: ${message.split('\n')[0] ?? ''}.`, 'body');
  }
  const [head, ...rows] = records;
  if (head === undefined) return refuse('http.malformed', 'The table is empty.', 'body');
  if (rows.length === 0) return refuse('http.invalid', 'Below the names of the columns stands no device.', 'body');
  if (rows.length > CSV_ROWS) return refuse('http.too-large', `At most ${String(CSV_ROWS)} devices in one table.`, 'body');
  const names = head.record.map((name) => name.toLowerCase());
  const stranger = names.find((name) => !(COLUMNS as readonly string[]).includes(name));
  if (stranger !== undefined) return refuse('http.unknown-field', `There is no column ${JSON.stringify(stranger.slice(0, 60))}; they are ${COLUMNS.join(', ')}.`, 'line 1');
  const missing = MUST.find((name) => !names.includes(name));
  if (missing !== undefined) return refuse('http.invalid', `The column ${missing} is missing.`, 'line 1');
  const faults: Fault[] = [];
  const seen = new Map<string, number>();
  const read = rows.map(({ record, info }) => {
    const found = readRow(names, record, info.lines, isPurpose);
    const { name } = found.device ?? {};
    const earlier = name === undefined ? undefined : seen.get(name);
    if (earlier !== undefined) found.faults.push({ line: info.lines, column: 'name', detail: `The name stands in line ${String(earlier)} already.` });
    else if (name !== undefined) seen.set(name, info.lines);
    const refused = name === undefined ? null : refuseName(name);
    if (refused !== null) found.faults.push({ line: info.lines, column: 'name', detail: refused.detail });
    faults.push(...found.faults);
    return { line: info.lines, device: found.faults.length === 0 ? found.device : null };
  });
  return ok({ rows: read, faults });
}

/** The sign that the first line separates by. */
function delimiterOf(text: string): string {
  const [line = ''] = text.split('\n', 1);
  return [';', '\t'].find((sign) => line.includes(sign)) ?? ',';
}

function readRow(names: readonly string[], record: readonly string[], line: number, isPurpose: (id: string) => boolean): { device: NewDevice | null; faults: Fault[] } {
  const cell = (name: Column): string => record[names.indexOf(name)] ?? '';
  const fault = (column: string, detail: string): Fault => ({ line, column, detail });
  if (record.length > names.length) return { device: null, faults: [fault('', `The line has ${String(record.length)} cells for ${String(names.length)} columns.`)] };
  const kind = cell('kind');
  const parsed = NewDevice.safeParse({
    name: cell('name'),
    point: [numberOf(cell('longitude')), numberOf(cell('latitude'))],
    measures: cell('measures').split(/[\s+|/]+/).filter((word) => word !== ''),
    interval_s: numberOf(cell('interval_s')),
    purpose: cell('purpose'),
    ...(kind === '' ? {} : { kind }),
  });
  const faults = parsed.success ? [] : parsed.error.issues.map(({ path, message }) => fault(columnOf(path), WORDS[path.join('.').replace(/^measures\.\d+$/, 'measures.n')] ?? message));
  const purpose = cell('purpose');
  if (purpose !== '' && !isPurpose(purpose)) faults.push(fault('purpose', `The register has no purpose ${JSON.stringify(purpose.slice(0, 63))} that is in force.`));
  return { device: parsed.success ? parsed.data : null, faults };
}

/** What a cell must be, where the schema's own words are those of a programmer. */
const WORDS: Readonly<Record<string, string>> = {
  'point.0': 'It is a number of degrees from -180 to 180.',
  'point.1': 'It is a number of degrees from -90 to 90.',
  'measures.n': `They are among ${MEASURE_KINDS.map(({ key }) => key).join(', ')}.`,
  interval_s: `It is a whole number of seconds from 1 to ${String(31 * 86_400)}.`,
};

const columnOf = ([head, at]: readonly PropertyKey[]): string => (head === 'point' ? (at === 1 ? 'latitude' : 'longitude') : String(head ?? ''));
const numberOf = (text: string): number => (/^[+-]?\d+(?:[.,]\d+)?$/.test(text) ? Number(text.replace(',', '.')) : NaN);

/** The rows again, each with its id, Datastreams and token (RFC 4180). */
export function credentialsCsv(credentials: readonly DeviceCredential[]): string {
  const lines = credentials.map(({ device, token }) => [device.name, device.id, device.streams.map(({ id }) => String(id)).join(' '), token].map(quote).join(','));
  return ['name,device,datastreams,token', ...lines, ''].join('\r\n');
}

/** Quoted where needed; a leading sign that a spreadsheet would compute with is kept from it by an apostrophe. */
function quote(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n;]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
