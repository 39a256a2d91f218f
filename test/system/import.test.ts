import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CsvProgress, CsvReport } from '../../src/contracts/csv-import.ts';
import type { Position, Principal } from '../../src/contracts/principal.ts';
import type { Refusal } from '../../src/kernel/index.ts';
import type { DatabaseHandle } from '../../src/platform/index.ts';
import { freshDatabase } from '../database.ts';
import { MUENSTER, hasMuenster } from '../muenster.ts';
import { anyPurpose, serveSensing } from '../sensing-server.ts';
import { seedStreams } from '../streams.ts';

const tokenOf = (id: string, positions: Position[], more: Partial<Principal> = {}): Principal => ({ kind: 'token', id, name: id, positions, pseudonym: id, ...more });
const TOKENS = new Map([['admin', tokenOf('admin', ['administrator'])], ['operator', tokenOf('operator', ['operator'])], ['parking', tokenOf('parking', ['device'], { purpose: 'parking' })]]);
const authenticateToken = async (token: string): Promise<Principal | Refusal> => TOKENS.get(token) ?? { code: 'auth.invalid', detail: 'The token is not known.' };
const purposes = { ...anyPurpose, live: (id: string) => id !== 'ended' && id !== 'nowhere', get: (id: string) => (id === 'nowhere' ? undefined : ({ id, observes: [], retention_days: 365 } as never)) };

let handle: DatabaseHandle;
let url = '';
let streams: number[] = [];

beforeAll(async () => {
  handle = await freshDatabase();
  streams = await seedStreams(handle, 2, { properties: { min: -100, max: 1000 } });
  const server = await serveSensing(handle, authenticateToken, { purposes });
  url = server.url;
  return server.close;
});

interface Problem {
  readonly code: string;
  readonly field?: string;
  readonly errors?: readonly { readonly field: string }[];
}
const MAPPING = { name: 'probe', purpose: 'city-operations', kind: 'river_gauge', time: { columns: ['t'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin' }, station: { column: 's' }, stations: [{ key: 'A', name: 'Old bridge', location: [7.62, 51.96] }], values: [{ column: 'v', key: 'level', name: 'Level', unit: { name: 'metre', symbol: 'm' }, max: 100 }] };

async function send(mapping: unknown, file: string | Buffer, { dryRun = false, token = 'admin', accept = 'application/json' } = {}): Promise<Response> {
  const form = new FormData();
  form.append('mapping', typeof mapping === 'string' ? mapping : JSON.stringify(mapping));
  form.append('file', new Blob([new Uint8Array(Buffer.from(file))]), 'table.csv');
  return fetch(`${url}/api/import/csv${dryRun ? '?dryRun=true' : ''}`, { method: 'POST', headers: { accept, ...(token === '' ? {} : { authorization: `Bearer ${token}` }) }, body: form });
}
const report = async (answer: Response): Promise<CsvReport> => {
  expect(answer.status, await answer.clone().text()).toBe(200);
  return (await answer.json()) as CsvReport;
};
const get = async (path: string): Promise<{ value: Record<string, unknown>[]; '@iot.count': number }> => (await (await fetch(`${url}/v1.1/${path}`, { headers: { authorization: 'Bearer operator' } })).json()) as never;

describe('an import', () => {
  const file = 't,s,v\n2023-01-01 00:00,A,1.5\n2023-01-01 00:00,B,0\n2023-01-01 00:15,A,-\n2023-01-01 00:30,A,999\n31.12.2022,A,1\n';

  test('tried out says what the file holds and stores nothing', async () => {
    const tried = await report(await send(MAPPING, file, { dryRun: true }));
    expect(tried).toMatchObject({ dry_run: true, rows: 5, readings: 2, empty: 1, repeated: 0, stations: 2, series: 2, refused: 2, first_at: '2022-12-31T23:00:00.000Z', last_at: '2022-12-31T23:00:00.000Z', stored: null, kept_from: expect.stringMatching(/^20/), refused_by_code: { 'import.value-invalid': 1, 'import.time-invalid': 1 } });
    expect(tried.refusals.map(({ line, column }) => [line, column])).toEqual([[5, 'v'], [6, 't']]);
    expect(tried.sample[0]).toEqual({ line: 2, station: 'Old bridge', series: 'Level', time: '2022-12-31T23:00:00.000Z', result: 1.5, good: true });
    expect((await get("Things?$filter=properties/kind eq 'river_gauge'&$count=true"))['@iot.count']).toBe(0);
  });

  test('makes stations and series, stores the readings, and sent again stores nothing', async () => {
    expect(await report(await send(MAPPING, file))).toMatchObject({ dry_run: false, readings: 2, refused: 2, stored: 2, known: 0 });
    const [bridge] = (await get("Things?$filter=name eq 'Old bridge'&$expand=Locations,Datastreams($expand=ObservedProperty,Observations)")).value as Record<string, never>[];
    expect(bridge).toMatchObject({ properties: { kind: 'river_gauge', feed: 'import.probe' }, Locations: [{ location: { type: 'Point', coordinates: [7.62, 51.96] } }], Datastreams: [{ name: 'Old bridge: Level', unitOfMeasurement: { symbol: 'm' }, properties: { purpose: 'city-operations', max: 100 }, Observations: [{ result: 1.5, phenomenonTime: '2022-12-31T23:00:00.000Z' }] }] });
    expect(await report(await send(MAPPING, gzipSync(file)))).toMatchObject({ stored: 0, known: 2 });
    expect((await get("Things?$filter=properties/kind eq 'river_gauge'&$count=true"))['@iot.count']).toBe(2);
  });

  test('goes into a Datastream that is named, through its gate', async () => {
    const mapping = { ...MAPPING, name: 'given', station: undefined, values: [{ column: 'v', key: 'v', name: 'V', datastream: streams[0] }] };
    const done = await report(await send(mapping, 't,v\n2024-01-01 00:00,7\n2024-01-01 00:01,5000\n'));
    expect(done).toMatchObject({ readings: 2, stored: 1, refused: 1, refused_by_code: { 'gate.out-of-bounds': 1 } });
    expect((await get(`Datastreams(${streams[0]})/Observations?$filter=phenomenonTime lt 2024-01-02T00:00:00Z`)).value.map(({ result }) => result)).toEqual([7]);
  });

  test('tells its progress line by line when it is asked to', async () => {
    const rows = Array.from({ length: 30_000 }, (_, at) => `${new Date(Date.UTC(2024, 0, 1) + at * 60_000).toISOString()},A,${at % 100}`).join('\n');
    const answer = await send({ ...MAPPING, name: 'long', time: { columns: ['t'], format: 'YYYY-MM-DDTHH:mm:ss.SSSZ' } }, `t,s,v\n${rows}\n`, { accept: 'application/x-ndjson' });
    const lines = (await answer.text()).trim().split('\n').map((line) => JSON.parse(line) as CsvProgress);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines[0]).toHaveProperty('progress.readings');
    expect(lines.at(-1)).toMatchObject({ report: { stored: 30_000, refused: 0 } });
  });
});

describe('refused', () => {
  const bad = async (answer: Response): Promise<[number, string, string | undefined]> => {
    const problem = (await answer.json()) as Problem;
    return [answer.status, problem.code, problem.field];
  };
  test.each([
    ['no credential', MAPPING, 'x', { token: '' }, [401, 'auth.required', undefined]],
    ['no right', MAPPING, 'x', { token: 'operator' }, [403, 'auth.forbidden', undefined]],
    ['another purpose', MAPPING, 't,s,v\n', { token: 'parking' }, [403, 'auth.forbidden', 'mapping.purpose']],
    ['an unknown purpose', { ...MAPPING, purpose: 'nowhere' }, 't,s,v\n', {}, [400, 'purpose.unknown', 'mapping.purpose']],
    ['an ended purpose', { ...MAPPING, purpose: 'ended' }, 't,s,v\n', {}, [403, 'purpose.expired', 'mapping.purpose']],
    ['a mapping that is no JSON', '{', 'x', {}, [400, 'http.malformed', 'mapping']],
    ['a mapping with a wrong field', { ...MAPPING, delimiter: 'x' }, 'x', {}, [400, 'http.invalid', 'mapping.delimiter']],
    ['a mapping with a strange field', { ...MAPPING, colour: 'red' }, 'x', {}, [400, 'http.unknown-field', 'mapping']],
    ['a Datastream that is not there', { ...MAPPING, station: undefined, values: [{ column: 'v', key: 'v', name: 'V', datastream: 999_999 }] }, 'x', {}, [404, 'sensing.no-such-entity', 'mapping.values.0.datastream']],
    ['a column that is not there', MAPPING, 'a;b\n1;2\n', {}, [400, 'import.column-missing', 'time.columns.0']],
    ['an empty file', MAPPING, '', {}, [400, 'import.row-invalid', 'file']],
    ['HTML', MAPPING, '<html><body>Sign in</body></html>', {}, [400, 'import.column-missing', 'time.columns.0']],
    ['a gzip file that ends early', MAPPING, gzipSync('t,s,v\n').subarray(0, 12), {}, [400, 'http.malformed', 'file']],
  ])('for %s', async (_, mapping, file, options, expected) => {
    for (const dryRun of [false, true]) {
      if (expected[2] === 'mapping.purpose' && expected[1] === 'auth.forbidden' && dryRun) continue; // trying out touches no purpose of another
      expect(await bad(await send(mapping, file, { ...options, dryRun }))).toEqual(expected);
    }
  });

  test('for forms of another shape', async () => {
    const post = (body: FormData | string, type?: string): Promise<Response> => fetch(`${url}/api/import/csv`, { method: 'POST', headers: { authorization: 'Bearer admin', ...(type === undefined ? {} : { 'content-type': type }) }, body });
    const form = (...parts: [string, string | Blob][]): FormData => {
      const data = new FormData();
      for (const [name, value] of parts) data.append(name, value);
      return data;
    };
    expect(await bad(await post('{}', 'application/json'))).toEqual([415, 'http.unsupported-type', 'content-type']);
    expect(await bad(await post(form(['file', new Blob(['x'])])))).toEqual([400, 'http.invalid', 'mapping']);
    expect(await bad(await post(form(['mapping', JSON.stringify(MAPPING)])))).toEqual([400, 'http.invalid', 'file']);
    expect(await bad(await post(form(['other', 'x'])))).toEqual([400, 'http.invalid', 'other']);
    expect((await bad(await post('--x\r\nbroken', 'multipart/form-data; boundary=x')))[1]).toBe('http.malformed');
    expect((await bad(await post('x', 'multipart/form-data')))[0]).toBeLessThan(500);
  });

  test('in the middle of a stream, as its last line', async () => {
    const answer = await send({ ...MAPPING, name: 'cut' }, gzipSync(`t,s,v\n${Array.from({ length: 20_000 }, (_, at) => `2023-02-01 00:00,S${at % 7},${Math.sin(at)}`).join('\n')}`).subarray(0, 60_000), { accept: 'application/x-ndjson' });
    const last = JSON.parse((await answer.text()).trim().split('\n').at(-1) ?? '') as { problem?: { code: string; status: number } };
    expect(last.problem).toMatchObject({ code: 'http.malformed', status: 400 });
  });
});

describe.skipIf(!hasMuenster)('the bicycles of Münster in 2023 (../shared/data/muenster; skipped where that folder is missing)', () => {
  const mapping = { name: 'bicycles', purpose: 'city-operations', kind: 'bike-counter', time: { columns: ['datetime_local'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin', marks: 'start', interval_s: 900 }, station: { column: 'station_id' }, values: [{ column: 'count', key: 'bicycles', name: 'Bicycles', type: 'count', quality: { column: 'status', good: ['0'] } }] };
  test('are in the database to the unit, and a second time nothing is', async () => {
    const file = readFileSync(join(MUENSTER, 'bike-15min-2023.csv.gz'));
    const own = new Map<string, { count: number; sum: number }>();
    for (const line of gunzipSync(file).toString('utf8').trim().split('\n').slice(1)) {
      const [, station = '', count = ''] = line.split(',');
      const total = own.get(station) ?? { count: 0, sum: 0 };
      own.set(station, { count: total.count + 1, sum: total.sum + Number(count) });
    }
    expect(await report(await send(mapping, file))).toMatchObject({ rows: 337_087, readings: 337_087, stations: own.size, refused: 0, repeated: 0, stored: 337_087, known: 0 });
    const { rows } = await sql<{ station: string; count: number; sum: number }>`select t.properties ->> 'source_key' as station, count(*)::int as count, sum(o.result_number)::int as sum
      from observation o join datastream d on d.id = o.datastream_id join thing t on t.id = d.thing_id where t.properties ->> 'feed' = 'import.bicycles' group by 1`.execute(handle.db);
    expect(new Map(rows.map(({ station, count, sum }) => [station, { count, sum }]))).toEqual(own);
    expect(await report(await send(mapping, file))).toMatchObject({ stored: 0, known: 337_087 });
  });
});
