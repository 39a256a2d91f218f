import { CSV_LIMITS, type CsvMapping, type CsvReport, type CsvStation } from '../../../contracts/csv-import.ts';
import { LIMITS, Refused, isoOf, unwrap, type RefusalCode } from '../../../kernel/index.ts';
import type { SourceBatch, SourcePlace, SourceReading, SourceSeries } from '../adapter.ts';
import { findColumns, checkMapping, type Layout, type PlacedValue } from './layout.ts';
import { readRecords } from './text.ts';
import type { PlacedTime, TimeColumn } from './time-column.ts';

/** A part of the file: places and series that are new in it, and at most `READINGS` readings. */
export type CsvPart = Omit<SourceBatch, 'refusals'> & { readonly rows: number; readonly line: number; /** Where a place that is new in it stands first, by its key. */ readonly lines: ReadonlyMap<string, number> };

export type CsvFigures = Omit<CsvReport, 'dry_run' | 'kept_from' | 'stored' | 'known'>;

const READINGS = 5_000;
/** Times that are kept to find repeated ones; beyond it a reading is compared with the one before it only. */
const REMEMBERED_MAX = 3_000_000;
const OBSERVATION_TYPES = { number: 'OM_Measurement', count: 'OM_CountObservation', truth: 'OM_TruthObservation', term: 'OM_CategoryObservation' } as const;

/**
 * Reads a file under a mapping and hands its readings over in parts; the next part is read when `take` has resolved. Cells that are
 * not what the mapping says are refused one by one with line and column. Throws `Refused` for a wrong mapping or an unreadable file.
 */
export async function readCsv(mapping: CsvMapping, source: AsyncIterable<Uint8Array>, nowMs: number, take: (part: CsvPart) => Promise<void>): Promise<CsvFigures> {
  const reader = openReader(mapping, unwrap(checkMapping(mapping)), nowMs);
  let layout: Layout | null = null;
  let seen = 0;
  for await (const { cells, line } of readRecords(source, mapping, ({ line: broken }) => reader.refuse(broken, null, 'import.row-invalid', 'The row cannot be read: a quote is open or stands in the wrong place, or the row is too long.'))) {
    seen += 1;
    if (seen <= mapping.skip.before) continue;
    if (layout === null) {
      layout = findColumns(mapping, mapping.header ? cells : null, cells.length);
      if (mapping.header) continue;
    }
    if (seen <= mapping.skip.before + mapping.skip.after + (mapping.header ? 1 : 0)) continue;
    reader.row(cells, line, layout);
    const part = reader.takePart(READINGS, line);
    if (part !== null) await take(part);
  }
  if (layout === null) throw new Refused({ code: 'import.row-invalid', detail: 'The file has no rows.', field: 'file' });
  const rest = reader.takePart(0, 0);
  if (rest !== null) await take(rest);
  return reader.figures();
}

function openReader(mapping: CsvMapping, timeColumn: TimeColumn, nowMs: number) {
  const known = new Map(mapping.stations.map((station) => [station.key, station]));
  const missing = new Set(mapping.missing_words.map((word) => word.trim()));
  const stations = new Set<string>();
  const seriesTimes = new Map<string, Set<number>>(); // by series; together at most REMEMBERED_MAX
  const lastOf = new Map<string, number>();
  const byCode = new Map<string, number>();
  const figures = { rows: 0, readings: 0, empty: 0, repeated: 0, refused: 0 };
  const refusals: CsvReport['refusals'] = [];
  const sample: CsvReport['sample'] = [];
  let [firstMs, lastMs, remembered] = [Infinity, -Infinity, 0];
  let places: SourcePlace[] = [];
  let series: SourceSeries[] = [];
  let readings: SourceReading[] = [];
  let lines = new Map<string, number>();
  let partRows = 0;

  const refuse = (line: number, column: string | null, code: RefusalCode, detail: string): void => {
    figures.refused += 1;
    byCode.set(code, (byCode.get(code) ?? 0) + 1);
    if (refusals.length < CSV_LIMITS.refusals_listed) refusals.push({ line, column, code, detail });
  };

  const countRepeated = (seriesKey: string, atMs: number): void => {
    const times = seriesTimes.get(seriesKey) ?? new Set<number>();
    seriesTimes.set(seriesKey, times);
    if (times.has(atMs) || lastOf.get(seriesKey) === atMs) figures.repeated += 1;
    else if (remembered < REMEMBERED_MAX) {
      times.add(atMs);
      remembered += 1;
    }
    lastOf.set(seriesKey, atMs);
  };

  /** The key of a series; its place and itself are described when it is seen first. */
  const describe = (station: CsvStation | null, placed: PlacedValue, line: number): string => {
    const { value } = placed;
    const placeKey = station?.key ?? '';
    const seriesKey = `${placeKey}/${value.key}`;
    if (seriesTimes.has(seriesKey) || value.datastream !== undefined) return seriesKey;
    if (station !== null && !stations.has(placeKey)) {
      stations.add(placeKey);
      lines.set(placeKey, line);
      places.push({ key: placeKey, name: station.name, kind: mapping.kind, geometry: station.location === undefined ? null : { type: 'Point', coordinates: [...station.location] } });
    }
    series.push({
      key: seriesKey,
      placeKey,
      name: station === null ? value.name : `${station.name}: ${value.name}`,
      property: { key: value.key, name: value.name, definition: value.definition },
      unit: value.unit ?? null,
      observationType: OBSERVATION_TYPES[value.type],
      ...(mapping.time.interval_s === undefined ? {} : { interval_s: mapping.time.interval_s }),
      ...(value.min === undefined ? {} : { min: value.min }),
      ...(value.max === undefined ? {} : { max: value.max }),
    });
    return seriesKey;
  };

  const readValue = (placed: PlacedValue, cells: readonly string[], line: number, time: PlacedTime, rowStation: CsvStation | null): void => {
    const cell = (cells[placed.at] ?? '').trim();
    if (missing.has(cell)) {
      figures.empty += 1;
      return;
    }
    const read = placed.read(cell);
    if (typeof read === 'string') return refuse(line, placed.header, 'import.value-invalid', read);
    const station = placed.station ?? rowStation;
    const seriesKey = describe(station, placed, line);
    const good = placed.quality === null || placed.quality.good.has((cells[placed.quality.at] ?? '').trim());
    countRepeated(seriesKey, time.atMs);
    figures.readings += 1;
    firstMs = Math.min(firstMs, time.atMs);
    lastMs = Math.max(lastMs, time.atMs);
    readings.push({ seriesKey, phenomenonTime: time.text, result: read.result, ...(good ? {} : { resultQuality: 'invalid' }) });
    if (sample.length < CSV_LIMITS.sample_readings) sample.push({ line, station: station?.name ?? '', series: placed.value.name, time: time.text, result: read.result, good });
  };

  return {
    refuse,
    row: (cells: readonly string[], line: number, layout: Layout): void => {
      figures.rows += 1;
      partRows += 1;
      if (cells.every((cell) => cell.trim() === '')) return;
      const rest = cells.slice(layout.width);
      if (cells.length < layout.width || rest.some((cell) => cell.trim() !== '')) return refuse(line, null, 'import.row-invalid', `It has ${cells.length} cells where the file has ${layout.width} columns.`);
      const station = layout.station === null ? null : stationOf((cells[layout.station] ?? '').trim());
      if (station === undefined) return refuse(line, 'station', 'import.value-invalid', `A station has a key of 1 to 150 characters, and there are at most ${CSV_LIMITS.stations}.`);
      const time = timeColumn.place(layout.time.map((at) => (cells[at] ?? '').trim()).join(' '), station?.key ?? '');
      if ('code' in time) return refuse(line, layout.timeHeader, time.code, time.detail);
      if (time.atMs > nowMs + LIMITS.future_ms) return refuse(line, layout.timeHeader, 'sensing.time-in-future', `The clock of this server says ${isoOf(nowMs)}.`);
      for (const placed of layout.values) readValue(placed, cells, line, time, station);
    },
    /** The part so far when it has more than `more` readings, and begins a new one. */
    takePart: (more: number, line: number): CsvPart | null => {
      if (readings.length <= more) return null;
      const part: CsvPart = { places, series, readings, rows: partRows, line, lines };
      [places, series, readings, partRows] = [[], [], [], 0];
      lines = new Map();
      return part;
    },
    figures: (): CsvFigures => ({
      ...figures,
      stations: stations.size,
      series: seriesTimes.size,
      first_at: firstMs === Infinity ? null : isoOf(firstMs),
      last_at: lastMs === -Infinity ? null : isoOf(lastMs),
      refused_by_code: Object.fromEntries(byCode),
      refusals,
      sample,
    }),
  };

  /** The station of a cell; undefined when the cell cannot be one. */
  function stationOf(key: string): CsvStation | undefined {
    if (key === '' || key.length > 150 || (!stations.has(key) && stations.size >= CSV_LIMITS.stations)) return undefined;
    return known.get(key) ?? { key, name: key.slice(0, 120) };
  }
}
