import fc from 'fast-check';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MUENSTER, hasMuenster } from '../../../../test/muenster.ts';
import { CsvMapping } from '../../../contracts/csv-import.ts';
import { Refused } from '../../../kernel/index.ts';
import { CsvOptions, readWhole } from './csv.ts';
import { readCsv, type CsvFigures, type CsvPart } from './reader.ts';

const NOW = Date.parse('2026-11-24T06:00:00Z');
const BASE = { name: 'probe', purpose: 'city-operations', time: { columns: ['t'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin' }, station: { key: 's', name: 'Bridge' }, values: [{ column: 'v', key: 'level', name: 'Level' }] };
const mapping = (more: Record<string, unknown> = {}): CsvMapping => CsvMapping.parse({ ...BASE, ...more });

interface Read extends CsvFigures {
  readonly parts: CsvPart[];
  readonly results: unknown[];
}
async function read(source: string | Buffer | AsyncIterable<Uint8Array>, more: Record<string, unknown> = {}): Promise<Read> {
  const pieces = async function* (): AsyncGenerator<Buffer> {
    const body = Buffer.from(source as string);
    for (let at = 0; at < body.length; at += 7) yield body.subarray(at, at + 7);
  };
  const parts: CsvPart[] = [];
  const figures = await readCsv(mapping(more), typeof source === 'string' || Buffer.isBuffer(source) ? pieces() : source, NOW, async (part) => void parts.push(part));
  return { ...figures, parts, results: parts.flatMap((part) => part.readings.map(({ result }) => result)) };
}
const refusalOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'taken';
  } catch (error) {
    if (error instanceof Refused) return `${error.refusals[0].code} ${error.refusals[0].field ?? ''}`;
    throw error;
  }
};

describe('cells', () => {
  it('are numbers in the form of the mapping, also 0 and what a double can just hold', async () => {
    const { results, refusals, empty } = await read('t;v\n2023-01-01 00:00;1.234,5\n2023-01-01 00:01;0\n2023-01-01 00:02;-0,25\n2023-01-01 00:03;1e-300\n2023-01-01 00:04;-\n2023-01-01 00:05;12.34\n2023-01-01 00:06;abc\n2023-01-01 00:07;1e400\n2023-01-01 00:08;1.234.567\n', { delimiter: ';', decimal: ',', thousands: '.' });
    expect(results).toEqual([1234.5, 0, -0.25, 1e-300, 1234567]);
    expect(empty).toBe(1);
    expect(refusals.map(({ line, column, code }) => [line, column, code])).toEqual([[7, 'v', 'import.value-invalid'], [8, 'v', 'import.value-invalid'], [9, 'v', 'import.value-invalid']]);
  });
  it.each([
    ['count', '3', 3], ['count', '3.5', null], ['truth', 'ja', true], ['truth', '0', false], ['truth', '2', null], ['term', 'very good', 'very good'], ['term', 'x'.repeat(256), null], ['number', 'NaN', null], ['number', '0x10', null],
  ])('of type %s: %s', async (type, cell, expected) => {
    const { results, refused } = await read(`t,v\n2023-01-01 00:00,${cell}\n`, { values: [{ column: 'v', key: 'k', name: 'K', type }] });
    expect([results, refused]).toEqual(expected === null ? [[], 1] : [[expected], 0]);
  });
  it('outside the bounds are refused, those that a column calls bad are marked', async () => {
    const { parts, refused } = await read('t,v,q\n2023-01-01 00:00,5,0\n2023-01-01 00:01,6,4\n2023-01-01 00:02,11,0\n', { values: [{ column: 'v', key: 'k', name: 'K', max: 10, quality: { column: 'q', good: ['0'] } }] });
    expect(parts[0]?.readings.map(({ result, resultQuality }) => [result, resultQuality])).toEqual([[5, undefined], [6, 'invalid']]);
    expect(refused).toBe(1);
  });
});

describe('a file', () => {
  it('with a mark, quotes, blank lines, latin letters and gzip is read the same', async () => {
    const text = 'Zeit,"Höhe ""neu"""\r\n2023-01-01 00:00,"1"\r\n\r\n,\r\n2023-01-01 00:01,2\r\n';
    const more = { time: { ...BASE.time, columns: ['Zeit'] }, values: [{ column: 'Höhe "neu"', key: 'k', name: 'K' }] };
    expect((await read(`\ufeff${text}`, more)).results).toEqual([1, 2]);
    expect((await read(Buffer.from(text, 'latin1'), { ...more, encoding: 'windows-1252' })).results).toEqual([1, 2]);
    expect((await read(gzipSync(text), more)).results).toEqual([1, 2]);
    expect(await refusalOf(read(Buffer.from(text, 'latin1'), more))).toBe('http.malformed encoding');
    expect(await refusalOf(read(gzipSync(text).subarray(0, 40), more))).toBe('http.malformed file');
  });
  it('without a header, with rows to skip, two time columns and stations in a column', async () => {
    const { parts, stations, series } = await read('made by x\n2023-01-01,00:00,A,1\n2023-01-01,00:00,B,2\n2023-01-01,00:15,A,3\n', {
      header: false, skip: { before: 1 }, time: { ...BASE.time, columns: [1, 2] }, station: { column: 3 }, stations: [{ key: 'A', name: 'Alpha', location: [7.6, 51.9] }], values: [{ column: 4, key: 'k', name: 'K' }],
    });
    expect([stations, series]).toEqual([2, 2]);
    expect(parts[0]?.places).toEqual([{ key: 'A', name: 'Alpha', kind: 'station', geometry: { type: 'Point', coordinates: [7.6, 51.9] } }, { key: 'B', name: 'B', kind: 'station', geometry: null }]);
    expect(parts[0]?.series.map(({ key, name }) => [key, name])).toEqual([['A/k', 'Alpha: K'], ['B/k', 'B: K']]);
  });
  it('is read on after rows of another shape, which are named', async () => {
    const { results, refusals } = await read('t,v\n2023-01-01 00:00,1,2,3\n2023-01-01 00:01\n2023-01-01 00:02,"4"x\n2023-01-01 00:03,5\n31.12.2023,6\n2026-11-26 00:00,7\n');
    expect(results).toEqual([5]);
    expect(refusals.map(({ line, code }) => [line, code])).toEqual([[2, 'import.row-invalid'], [3, 'import.row-invalid'], [4, 'import.value-invalid'], [6, 'import.time-invalid'], [7, 'sensing.time-in-future']]);
  });
  it('says what is repeated in it', async () => {
    const { repeated, readings, first_at, last_at } = await read('t,v\n2023-01-01 00:00,1\n2023-01-01 01:00,2\n2023-01-01 00:00,1\n2023-01-01 00:00,3\n');
    expect([repeated, readings, first_at, last_at]).toEqual([2, 4, '2022-12-31T23:00:00.000Z', '2023-01-01T00:00:00.000Z']);
  });
  it.each([
    ['no rows', '', {}, 'import.row-invalid file'],
    ['no such column', 't,w\n', {}, 'import.column-missing values.0.column'],
    ['no such zone', 't,v\n', { time: { ...BASE.time, zone: 'Mars/Olympus' } }, 'http.invalid time.zone'],
    ['an end without a length', 't,v\n', { time: { ...BASE.time, marks: 'end' } }, 'http.invalid time.interval_s'],
    ['one key twice', 't,v\n', { values: [BASE.values[0], BASE.values[0]] }, 'http.invalid values.1.key'],
    ['a value without a station', 't,v\n', { station: undefined }, 'http.invalid values.0'],
    ['names without a header', 't,v\n', { header: false }, 'http.invalid header'],
    ['the same sign twice', 't,v\n', { decimal: ',', thousands: ',' }, 'http.invalid thousands'],
  ])('with %s is refused', async (_, text, more, expected) => {
    expect(await refusalOf(read(text, more))).toBe(expected);
  });
  it('of any bytes is read or Refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)), fc.string({ unit: fc.constantFrom('t', 'v', ',', '"', '\n', '\r', '2023-01-01 00:00', '1', ';'), maxLength: 60 }).map((text) => Buffer.from(text))), async (body) => {
        await refusalOf(read(body));
        await refusalOf(read(Buffer.concat([Buffer.from('t,v\n'), body])));
        await refusalOf(read(gzipSync(body).fill(7, 12, 14)));
      }),
      { numRuns: 300 },
    );
  });
});

describe('options of a feed', () => {
  it('carry a mapping without name and purpose, and no Datastreams of others', async () => {
    const own = { time: BASE.time, station: BASE.station, values: BASE.values };
    const options = CsvOptions.parse({ mapping: own });
    expect((await readWhole(options.mapping, Buffer.from('t,v\n2023-01-01 00:00,1\nx,2\n'), NOW)).refusals).toMatchObject([{ at: 'line 3, t', refusal: { code: 'import.time-invalid' } }]);
    expect(CsvOptions.safeParse({ mapping: { ...own, values: [{ ...BASE.values[0], datastream: 1 }] } }).success).toBe(false);
    expect(CsvOptions.safeParse({ mapping: { ...own, delimiter: 'x' } }).error?.issues[0]?.path).toEqual(['mapping', 'delimiter']);
  });
});

/** Sums and counts by column position of a plain CSV, without the code under test. */
function sumColumns(lines: readonly string[], delimiter: string): { count: number; sum: number }[] {
  const totals: { count: number; sum: number }[] = [];
  for (const line of lines) {
    for (const [at, cell] of line.split(delimiter).entries()) {
      const total = (totals[at] ??= { count: 0, sum: 0 });
      if (!/^\d+(\.\d+)?$/.test(cell)) continue;
      total.count += 1;
      total.sum += Number(cell);
    }
  }
  return totals;
}
const totalsOf = (read_: Read): Map<string, { count: number; sum: number }> => {
  const totals = new Map<string, { count: number; sum: number }>();
  for (const part of read_.parts) {
    for (const { seriesKey, result } of part.readings) {
      const total = totals.get(seriesKey) ?? { count: 0, sum: 0 };
      totals.set(seriesKey, { count: total.count + 1, sum: total.sum + (result as number) });
    }
  }
  return totals;
};

describe.skipIf(!hasMuenster)('the counts of Münster (../shared/data/muenster; skipped where that folder is missing)', () => {
  const file = (name: string): string => join(MUENSTER, name);
  const lines = (name: string): string[] => gunzipSync(readFileSync(file(name))).toString('utf8').trim().split('\n');
  const LOCAL = { ...BASE.time, columns: ['datetime_local'] };

  it('a year of bicycles is right to the unit, with the clock changes', async () => {
    const result = await read(createReadStream(file('bike-15min-2023.csv.gz')), { time: LOCAL, station: { column: 'station_id' }, values: [{ column: 'count', key: 'count', name: 'Bicycles', type: 'count', min: 0, quality: { column: 'status', good: ['0'] } }] });
    const [, ...rows] = lines('bike-15min-2023.csv.gz');
    const own = new Map<string, { count: number; sum: number }>();
    for (const row of rows) {
      const [, station = '', count = ''] = row.split(',');
      const total = own.get(`${station}/count`) ?? { count: 0, sum: 0 };
      own.set(`${station}/count`, { count: total.count + 1, sum: total.sum + Number(count) });
    }
    expect(result.refused).toBe(0);
    expect(result.readings).toBe(337_087);
    expect(totalsOf(result)).toEqual(own);
    expect(result.parts.flatMap((part) => part.readings).filter(({ resultQuality }) => resultQuality !== undefined)).toHaveLength(94);
    expect([result.first_at, result.last_at, result.repeated]).toEqual(['2022-12-31T23:00:00.000Z', '2023-12-31T22:45:00.000Z', 0]);
  });

  it('a year of car parks, a column each, has the repeated hour twice and no repeated time', async () => {
    const [head = '', ...rows] = lines('parking-2023.csv.gz');
    const names = head.split(',').slice(1);
    const result = await read(createReadStream(file('parking-2023.csv.gz')), { time: LOCAL, station: undefined, values: names.map((name) => ({ column: name, key: 'free', name: 'Free spaces', type: 'count', station: { key: name, name } })) });
    expect(result.refused).toBe(0);
    const totals = sumColumns(rows, ',');
    const read_totals = totalsOf(result);
    for (const [at, name] of names.entries()) expect(read_totals.get(`${name}/free`)).toEqual(totals[at + 1]);
    expect(result.repeated).toBe(0);
    const night = result.parts.flatMap((part) => part.readings).filter(({ seriesKey, phenomenonTime }) => seriesKey === 'PH Theater/free' && phenomenonTime >= '2023-10-29T00:00' && phenomenonTime < '2023-10-29T02:00');
    expect(night).toHaveLength(8);
  });

  it('hours of air quality end at their time: spring, autumn and 24:00 leave no hole', async () => {
    const [head = '', ...rows] = lines('air-hourly-2023-DENW095.csv.gz');
    const columns = head.split(';').map((name) => name.replaceAll('"', ''));
    const result = await read(createReadStream(file('air-hourly-2023-DENW095.csv.gz')), {
      delimiter: ';', time: { ...BASE.time, columns: ['Date'], format: "''YYYY-MM-DD HH:mm''", marks: 'end', interval_s: 3_600 }, station: { column: 'Station code' },
      values: [2, 3, 4, 5].map((at) => ({ column: columns[at], key: `v${at}`, name: `Value ${at}` })).concat([{ column: 'Air quality index', key: 'index', name: 'Index', type: 'term' } as never]),
    });
    expect(result.refusals.map(({ line, code }) => [line, code])).toEqual([[rows.length + 1, 'import.row-invalid']]); // the note at the end
    const totals = sumColumns(rows, ';');
    for (const at of [2, 3, 4, 5]) expect(totalsOf(result).get(`DENW095/v${at}`)).toEqual(totals[at]);
    expect(result.repeated).toBe(0);
    const starts = result.parts.flatMap((part) => part.readings).filter(({ seriesKey }) => seriesKey === 'DENW095/index').map(({ phenomenonTime }) => Date.parse(phenomenonTime.split('/')[0] ?? ''));
    expect(starts.slice(1).filter((at, index) => at <= (starts[index] ?? 0))).toEqual([]);
    expect(starts.filter((at) => at >= Date.parse('2023-03-25T23:00Z') && at < Date.parse('2023-03-26T02:00Z'))).toHaveLength(3);
    expect(starts.filter((at) => at >= Date.parse('2023-10-28T23:00Z') && at < Date.parse('2023-10-29T02:00Z'))).toHaveLength(3);
  });

  it('files of 2016 with American dates, a missing hour, a blank row and a sum are read but for these', async () => {
    const [, ...rows] = lines('bike-hourly-weather-2016-neutor.csv.gz');
    const more = { time: { ...BASE.time, columns: ['Stunden'], format: 'M/D/YYYY H:mm' }, station: { key: 'neutor', name: 'Neutor' }, values: [{ column: 'Neutor (gesamt)', key: 'all', name: 'Bicycles', type: 'count' }, { column: 'Wetter', key: 'weather', name: 'Weather', type: 'term' }] };
    const result = await read(createReadStream(file('bike-hourly-weather-2016-neutor.csv.gz')), more);
    const own = sumColumns(rows.filter((row) => row.includes(' ')), ',')[1];
    expect(totalsOf(result).get('neutor/all')).toEqual(own);
    expect(own?.sum).toBe(4_105_177); // the sum that the file itself states in its last row
    expect(result.refusals.map(({ code, line }) => [code, line])).toEqual([['import.time-invalid', rows.length + 1]]);
    expect(result.repeated).toBe(1); // 3:00 of the spring night stands twice, once without weather
  });

  it('raw files as the city gives them: a column of capacities, closed car parks, bicycles of several lanes', async () => {
    const raw = readFileSync(file('parking-raw/2026-06-10.csv'), 'utf8');
    const names = (raw.split('\n')[0] ?? '').split('","').slice(1).map((name) => name.replace(/"\r?$/, ''));
    const result = await read(raw, { time: { ...BASE.time, columns: ['Datum und Uhrzeit'] }, skip: { after: 1 }, station: undefined, missing_words: ['', 'ges', 'bes', 'kei'], values: names.map((name) => ({ column: name, key: 'free', name: 'Free', type: 'count', station: { key: name, name } })) });
    expect(result.refused).toBe(0);
    const body = raw.trim().split(/\r?\n/).slice(2).map((line) => line.replaceAll('"', ''));
    expect(result.readings).toBe(sumColumns(body, ',').reduce((sum, { count }) => sum + count, 0));
    const bikes = await read(readFileSync(file('bike-raw/300037926_2026-06.csv')), { time: { ...BASE.time, columns: ['Datetime'] }, station: { key: 'bohlweg', name: 'Bohlweg' }, values: [1, 2, 3].map((at) => ({ column: at + 1, key: `lane${at}`, name: `Lane ${at}`, type: 'count' })) });
    const own = sumColumns(readFileSync(file('bike-raw/300037926_2026-06.csv'), 'utf8').trim().split(/\r?\n/).slice(1), ',');
    expect(bikes.refused).toBe(0);
    expect([1, 2, 3].map((at) => totalsOf(bikes).get(`bohlweg/lane${at}`))).toEqual([own[1], own[2], own[3]]);
  });
});
