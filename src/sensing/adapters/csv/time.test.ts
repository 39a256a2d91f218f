import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvMapping } from '../../../contracts/csv-import.ts';
import { unwrap } from '../../../kernel/index.ts';
import { zoneOf } from '../local-time.ts';
import { readTimeColumn } from './time-column.ts';
import { readTimeFormat } from './time-format.ts';

const time = (more: Record<string, unknown>): CsvMapping['time'] => CsvMapping.shape.time.parse({ columns: ['t'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin', ...more });
const place = (texts: readonly string[], more: Record<string, unknown> = {}): string[] => {
  const column = unwrap(readTimeColumn(time(more)));
  return texts.map((text) => {
    const placed = column.place(text, 's');
    return 'code' in placed ? placed.code : placed.text;
  });
};
const instants = (format: string, text: string): string | null => {
  const read = unwrap(readTimeFormat(format)).read(text);
  return read === null ? null : new Date('atMs' in read ? read.atMs : read.wallMs).toISOString();
};

describe('a time format', () => {
  it.each([
    ['YYYY-MM-DD HH:mm', '2023-01-01 00:15', '2023-01-01T00:15:00.000Z'],
    ['YYYY-MM-DD HH:mm', '2023-12-31 24:00', '2024-01-01T00:00:00.000Z'],
    ['YYYY-MM-DD HH:mm', '2023-12-31 24:01', null],
    ['YYYY-MM-DD HH:mm', '2023-02-29 00:00', null],
    ['YYYY-MM-DD HH:mm', '2023-13-01 00:00', null],
    ['YYYY-MM-DD HH:mm', '2023-01-01 0:15', null],
    ['M/D/YYYY H:mm', '3/7/2016 9:05', '2016-03-07T09:05:00.000Z'],
    ['DD.MM.YY hh:mm A', '07.03.16 12:05 am', '2016-03-07T00:05:00.000Z'],
    ['DD.MM.YY hh:mm A', '07.03.71 12:05 PM', '1971-03-07T12:05:00.000Z'],
    ['YYYY-MM-DDTHH:mm:ss.SSSZ', '2023-01-01T00:00:00.25+05:30', '2022-12-31T18:30:00.250Z'],
    ['YYYY-MM-DDTHH:mmZ', '2023-01-01T00:00+19:00', null],
    ['X', '1700000000.5', '2023-11-14T22:13:20.500Z'],
    ["''YYYY-MM-DD HH:mm''", "'2023-01-01 01:00'", '2023-01-01T01:00:00.000Z'],
    ["DD/MM/YYYY 'um' HH 'h'", '01/02/2023 um 05 h', '2023-02-01T05:00:00.000Z'],
  ])('%s reads %s as %s', (format, text, expected) => {
    expect(instants(format, text)).toBe(expected);
  });

  it.each(['HH:mm', 'YYYY-MM-DD HH:mm HH', 'YYYY-MM', 'YYYY-MM-DD A'])('%s is refused', (format) => {
    expect(readTimeFormat(format)).toMatchObject({ ok: false, refusal: { field: 'time.format' } });
  });

  it('reads what it would have written, for any instant', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date('1900-01-01'), max: new Date('2199-12-31'), noInvalidDate: true }), (date) => {
        const iso = date.toISOString();
        expect(instants('YYYY-MM-DDTHH:mm:ss.SSSZ', iso)).toBe(iso);
        expect(instants('DD.MM.YYYY HH:mm:ss,SSS', `${iso.slice(8, 10)}.${iso.slice(5, 7)}.${iso.slice(0, 4)} ${iso.slice(11, 19)},${iso.slice(20, 23)}`)).toBe(iso);
      }),
    );
  });

  it('of any text reads a time or nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('Y', 'M', 'D', 'H', 'h', 'm', 's', 'S', 'A', 'Z', 'X', "'", ' ', '(', '[', '*', '\\', '-', '.'), maxLength: 30 }), fc.string({ maxLength: 40 }), (format, text) => {
        const read = readTimeFormat(format);
        const found = read.ok ? read.value.read(text) : null;
        if (found !== null) expect(Number.isFinite('atMs' in found ? found.atMs : found.wallMs)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the clock change', () => {
  const AUTUMN = ['2023-10-29 01:45', '2023-10-29 02:00', '2023-10-29 02:30', '2023-10-29 02:00', '2023-10-29 02:30', '2023-10-29 03:00'];
  it('of autumn is told by the order of the rows', () => {
    expect(place(AUTUMN)).toEqual(['2023-10-28T23:45:00.000Z', '2023-10-29T00:00:00.000Z', '2023-10-29T00:30:00.000Z', '2023-10-29T01:00:00.000Z', '2023-10-29T01:30:00.000Z', '2023-10-29T02:00:00.000Z']);
    expect(place([...AUTUMN, '2023-10-29 02:30'])[6]).toBe('import.time-ambiguous'); // a third time
  });
  it.each([['first', '2023-10-29T00:30:00.000Z'], ['second', '2023-10-29T01:30:00.000Z'], ['refuse', 'import.time-ambiguous']])('of autumn is %s when the mapping says so', (ambiguous, expected) => {
    expect(place(['2023-10-29 02:30'], { ambiguous })).toEqual([expected]);
  });
  it('of spring leaves an hour out', () => {
    expect(place(['2023-03-26 01:59', '2023-03-26 02:00', '2023-03-26 02:30', '2023-03-26 03:00'])).toEqual(['2023-03-26T00:59:00.000Z', 'import.time-missing', 'import.time-missing', '2023-03-26T01:00:00.000Z']);
    expect(place(['2023-03-26 02:00', '2023-03-26 02:30'], { missing: 'shift' })).toEqual(['2023-03-26T01:00:00.000Z', '2023-03-26T01:30:00.000Z']);
  });
  it('is judged at the start of an hour that its time ends', () => {
    const hours = ['2023-03-26 01:00', '2023-03-26 02:00', '2023-03-26 04:00', '2023-10-29 02:00', '2023-10-29 03:00', '2023-10-29 03:00', '2023-10-29 04:00', '2023-12-31 24:00'];
    expect(place(hours, { marks: 'end', interval_s: 3_600 }).map((text) => text.slice(0, 16))).toEqual(['2023-03-25T23:00', '2023-03-26T00:00', '2023-03-26T01:00', '2023-10-28T23:00', '2023-10-29T00:00', '2023-10-29T01:00', '2023-10-29T02:00', '2023-12-31T22:00']);
    expect(place(['2023-10-29 03:00'], { marks: 'end', interval_s: 3_600 })).toEqual(['2023-10-29T00:00:00.000Z/2023-10-29T01:00:00.000Z']);
  });
  it('elsewhere follows that place: half an hour on Lord Howe, southern seasons', () => {
    expect(place(['2023-04-02 01:45', '2023-04-02 01:45'], { zone: 'Australia/Lord_Howe' })).toEqual(['2023-04-01T14:45:00.000Z', '2023-04-01T15:15:00.000Z']);
    expect(place(['2023-10-01 02:15'], { zone: 'Australia/Lord_Howe' })).toEqual(['import.time-missing']);
    expect(place(['2023-09-03 00:30'], { zone: 'America/Santiago' })).toEqual(['import.time-missing']);
  });

  it('never makes an instant that reads as another wall time', () => {
    const format = (zone: string, atMs: number): string => new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' }).format(atMs);
    fc.assert(
      fc.property(fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'), fc.date({ min: new Date('1990-01-01'), max: new Date('2037-01-01'), noInvalidDate: true }), (name, date) => {
        const atMs = Math.floor(date.getTime() / 60_000) * 60_000;
        const wall = format(name, atMs);
        const candidates = zoneOf(name)?.instantsOf(Date.parse(`${wall.replace(' ', 'T')}:00Z`)) ?? [];
        expect(candidates).toContain(atMs);
        for (const candidate of candidates) expect(format(name, candidate)).toBe(wall);
      }),
    );
  });
});
