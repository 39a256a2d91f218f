import { CSV_LIMITS, type CsvMapping, type CsvStation, type CsvValue } from '../../../contracts/csv-import.ts';
import { Refused, refuse, type Result } from '../../../kernel/index.ts';
import { readCellOf, type CellResult } from './cell.ts';
import { readTimeColumn, type TimeColumn } from './time-column.ts';

/** A column of values with its place in the row. */
export interface PlacedValue {
  readonly value: CsvValue;
  readonly at: number;
  readonly header: string;
  readonly read: (cell: string) => { readonly result: CellResult } | string;
  readonly quality: { readonly at: number; readonly good: ReadonlySet<string> } | null;
  /** Fixed station of the column, else that of the row. */
  readonly station: CsvStation | null;
}

/** Where in a row everything stands. */
export interface Layout {
  readonly width: number;
  readonly time: readonly number[];
  readonly timeHeader: string;
  readonly station: number | null;
  readonly values: readonly PlacedValue[];
}

/** What can be checked of a mapping without its file. */
export function checkMapping(mapping: CsvMapping): Result<TimeColumn> {
  const { values, station, thousands, decimal, header } = mapping;
  if (thousands === decimal) return refuse('http.invalid', 'The sign between thousands is the decimal sign.', 'thousands');
  const seen = new Set<string>();
  const columns = [...mapping.time.columns, ...values.map(({ column }) => column), ...(station !== undefined && 'column' in station ? [station.column] : [])];
  if (!header && columns.some((column) => typeof column === 'string')) return refuse('http.invalid', 'A file without a header row has numbers for columns.', 'header');
  for (const [at, value] of values.entries()) {
    const name = `${value.station?.key ?? ''}/${value.key}`;
    if (seen.has(name)) return refuse('http.invalid', 'Two columns have the same key at the same station.', `values.${at}.key`);
    seen.add(name);
    if (value.station === undefined && station === undefined && value.datastream === undefined) return refuse('http.invalid', 'It says neither a station nor a Datastream, and the mapping names none.', `values.${at}`);
    if (value.datastream !== undefined && value.station === undefined && station !== undefined && 'column' in station) return refuse('http.invalid', 'With a station column a value goes to a series at each station, not into one Datastream.', `values.${at}.datastream`);
    if (value.min !== undefined && value.max !== undefined && value.min > value.max) return refuse('http.invalid', 'min is above max.', `values.${at}.min`);
  }
  return readTimeColumn(mapping.time);
}

/** Finds the columns of a mapping in the header row; without one by number. Throws `Refused` that names the column. */
export function findColumns(mapping: CsvMapping, header: readonly string[] | null, width: number): Layout {
  const at = (column: string | number, field: string): number => {
    const found = typeof column === 'number' ? column - 1 : (header ?? []).findIndex((name) => name.trim() === column.trim());
    if (found < 0 || found >= width) throw new Refused({ code: 'import.column-missing', detail: `There is no column ${JSON.stringify(String(column).slice(0, 100))} among the ${width} of the file.`, field });
    return found;
  };
  if (width > CSV_LIMITS.columns) throw new Refused({ code: 'feed.document-too-large', detail: `A file has at most ${CSV_LIMITS.columns} columns.`, field: 'header' });
  const time = mapping.time.columns.map((column, index) => at(column, `time.columns.${index}`));
  const name = (place: number): string => (header?.[place] ?? String(place + 1)).slice(0, 200);
  return {
    width,
    time,
    timeHeader: time.map(name).join(', '),
    station: mapping.station !== undefined && 'column' in mapping.station ? at(mapping.station.column, 'station.column') : null,
    values: mapping.values.map((value, index) => {
      const place = at(value.column, `values.${index}.column`);
      const fixed = mapping.station !== undefined && 'key' in mapping.station ? mapping.station : null;
      return {
        value,
        at: place,
        header: name(place),
        read: readCellOf(value, mapping),
        quality: value.quality === undefined ? null : { at: at(value.quality.column, `values.${index}.quality.column`), good: new Set(value.quality.good) },
        station: value.station ?? fixed,
      };
    }),
  };
}
