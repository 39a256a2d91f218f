import { describe, expect, it } from 'vitest';
import { CsvMapping } from '#contracts/csv-import.ts';
import { decodeSample, guessDelimiter, guessMapping, readSample, splitRows } from './guess.ts';

const GIVEN = { fileName: 'Radverkehr 2023.csv.gz', purpose: 'city-operations', timeZone: 'Europe/Berlin' };
const guess = (text: string) => guessMapping({ encoding: 'utf-8', text }, GIVEN);

describe('a guess', () => {
  it('finds time, station, values and words for nothing in a long table', () => {
    const mapping = guess('datetime_local,station_id,count,status\n2023-01-01 00:00,100,1,0\n2023-01-01 00:15,100,-,0\n2023-01-01 00:00,200,15,4\n');
    expect(mapping).toMatchObject({ name: 'radverkehr-2023', delimiter: ',', header: true, time: { columns: ['datetime_local'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin' }, station: { column: 'station_id' }, values: [{ column: 'count', key: 'count' }] });
    expect(CsvMapping.safeParse(mapping).success).toBe(true);
  });
  it('finds semicolons, decimal commas, quotes and times in quotes', () => {
    const mapping = guess('"Station code";Date;"PM10; daily"\nX1;"\'2023-01-01 01:00\'";1,5\nX1;"\'2023-01-01 02:00\'";ges\nX1;"\'2023-01-01 03:00\'";2\nX1;"\'2023-01-01 04:00\'";ges\nX1;"\'2023-01-01 05:00\'";ges\nX1;"\'2023-01-01 06:00\'";3,5\nX1;"\'2023-01-01 07:00\'";odd\n');
    expect(mapping).toMatchObject({ delimiter: ';', decimal: ',', time: { columns: ['Date'], format: "''YYYY-MM-DD HH:mm''" }, station: { column: 'Station code' }, values: [{ column: 'PM10; daily', key: 'pm10-daily' }] });
    expect(mapping?.missing_words).toEqual(['', '-', 'NA', 'ges']);
  });
  it('numbers columns that have no names, and those of one name', () => {
    expect(guess('2023-01-01 00:00,5\n2023-01-01 00:15,6\n')).toMatchObject({ header: false, time: { columns: [1] }, values: [{ column: 2 }] });
    expect(guess('t,v,v\n2023-01-01 00:00,5,6\n2023-01-01 00:15,6,7\n')).toMatchObject({ values: [{ column: 2 }, { column: 3 }] });
  });
  it('says nothing of a table without times', () => {
    expect(guess('a,b\n1,2\n')).toBeNull();
  });
});

it('letters of two bytes that are cut at the end stay UTF-8; others are windows-1252', () => {
  expect(decodeSample(new TextEncoder().encode('Zählé').slice(0, -1)).encoding).toBe('utf-8');
  expect(decodeSample(new Uint8Array([0x5a, 0xe4, 0x68, 0x6c]))).toEqual({ encoding: 'windows-1252', text: 'Zähl' });
});

it('gzip is unpacked for the sample', async () => {
  const packed = await new Response(new Blob(['t,v\n1,2\n']).stream().pipeThrough(new CompressionStream('gzip'))).blob();
  expect((await readSample(packed)).text).toBe('t,v\n1,2\n');
});

it('rows keep what quotes hold', () => {
  expect(splitRows('a,"b ""c"", d\ne"\r\n1,2', ',')).toEqual([['a', 'b "c", d\ne'], ['1', '2']]);
  expect(guessDelimiter('a|b|c\n1|2|3\n')).toBe('|');
});
