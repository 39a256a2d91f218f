import { z } from 'zod';
import { LonLat } from './common.ts';

/** Bounds of an import; the pages show them. */
export const CSV_LIMITS = { file_bytes: 67_108_864, unpacked_bytes: 1_073_741_824, line_chars: 65_536, columns: 500, stations: 10_000, mapping_bytes: 1_048_576, refusals_listed: 20, sample_readings: 20 } as const;

const Key = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,99}$/, 'Use letters, digits, spaces and . _ : / ( ) + - only, at most 100.');
const Name = z.string().trim().min(1).max(120);
/** Name in the header row, or number from 1. */
const Column = z.union([z.string().min(1).max(500), z.number().int().min(1).max(CSV_LIMITS.columns)]);

export const CsvStation = z.strictObject({ key: z.string().min(1).max(150), name: Name, location: LonLat.optional() });
export type CsvStation = z.infer<typeof CsvStation>;

/** A column of values; with a station column it is a series at each station, else one series. */
export const CsvValue = z.strictObject({
  column: Column,
  /** Last part of the series' key; stays the same when the file is imported again. */
  key: Key,
  name: Name,
  type: z.enum(['number', 'count', 'truth', 'term']).default('number'),
  unit: z.strictObject({ name: z.string().min(1).max(120), symbol: z.string().max(40), definition: z.string().max(500).default('') }).optional(),
  /** Of the observed property. */
  definition: z.string().max(500).default(''),
  min: z.number().optional(),
  max: z.number().optional(),
  /** Goes into this Datastream instead of making one. */
  datastream: z.number().int().positive().optional(),
  /** For files with a column for each station: the one that this column belongs to. */
  station: CsvStation.optional(),
  /** A column that says whether the value is good, and the cells that say so. */
  quality: z.strictObject({ column: Column, good: z.array(z.string().max(100)).min(1).max(20) }).optional(),
});
export type CsvValue = z.infer<typeof CsvValue>;

export const CsvMapping = z.strictObject({
  /** Names the source: the same name and keys go to the same Datastreams. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,50}$/, 'Use small letters, digits and hyphens.'),
  purpose: z.string().min(1).max(63),
  /** `properties.kind` of the stations that are made; rules and maps go by it. */
  kind: z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'Use small letters, digits, _ and hyphens.').default('station'),
  encoding: z.enum(['utf-8', 'iso-8859-1', 'windows-1252']).default('utf-8'),
  delimiter: z.enum([',', ';', '\t', '|']).default(','),
  decimal: z.enum(['.', ',']).default('.'),
  /** Stands between groups of three digits; empty for none. */
  thousands: z.enum(['', '.', ',', ' ', "'"]).default(''),
  /** Whether the first row that is not skipped names the columns. */
  header: z.boolean().default(true),
  /** Rows before the header, and rows between the header and the first data. */
  skip: z.strictObject({ before: z.number().int().min(0).max(100).default(0), after: z.number().int().min(0).max(100).default(0) }).default({ before: 0, after: 0 }),
  time: z.strictObject({
    /** Joined by a space when there are two. */
    columns: z.array(Column).min(1).max(2),
    /** YYYY MM DD HH mm ss SSS with anything between; M D H without a leading zero; A for AM and PM; Z for an offset; X for POSIX seconds. */
    format: z.string().min(1).max(60),
    /** IANA name; not used where the format has Z or X. */
    zone: z.string().min(1).max(60).default('UTC'),
    /** Which of the two instants a time in the repeated hour is. `by-order`: the first that is later than the row before of its station. */
    ambiguous: z.enum(['first', 'second', 'by-order', 'refuse']).default('by-order'),
    /** A time in the hour that was left out: refused, or taken by the offset before the change. */
    missing: z.enum(['refuse', 'shift']).default('refuse'),
    /** Whether the time is an instant, or the start or end of `interval_s`. */
    marks: z.enum(['instant', 'start', 'end']).default('instant'),
    interval_s: z.number().int().min(1).max(31 * 86_400).optional(),
  }),
  /** Where values belong that have no station of their own: a column of station keys, or one station. */
  station: z.union([z.strictObject({ column: Column }), CsvStation]).optional(),
  /** Names and positions for the keys in a station column. */
  stations: z.array(CsvStation).max(CSV_LIMITS.stations).default([]),
  values: z.array(CsvValue).min(1).max(CSV_LIMITS.columns),
  /** Cells that mean "no value"; the row gives no reading and no refusal. */
  missing_words: z.array(z.string().max(60)).max(50).default(['', '-', 'NA']),
});
export type CsvMapping = z.infer<typeof CsvMapping>;

export const CsvRefusal = z.object({ line: z.number(), column: z.string().nullable(), code: z.string(), detail: z.string() });
export type CsvRefusal = z.infer<typeof CsvRefusal>;

/** What a file holds under a mapping, and for a real import what came of it. */
export const CsvReport = z.object({
  dry_run: z.boolean(),
  rows: z.number(),
  /** Readings that the file gives. */
  readings: z.number(),
  /** Cells that mean "no value". */
  empty: z.number(),
  /** Readings at one time of one series that came before in the file. */
  repeated: z.number(),
  stations: z.number(),
  series: z.number(),
  first_at: z.string().nullable(),
  last_at: z.string().nullable(),
  /** Readings before this are older than the purpose keeps and are deleted again; null when the file has none. */
  kept_from: z.string().nullable(),
  refused: z.number(),
  refused_by_code: z.record(z.string(), z.number()),
  /** The first of them. */
  refusals: z.array(CsvRefusal),
  sample: z.array(z.object({ line: z.number(), station: z.string(), series: z.string(), time: z.string(), result: z.union([z.number(), z.string(), z.boolean()]), good: z.boolean() })),
  /** Null in a dry run. */
  stored: z.number().nullable(),
  /** Readings that were stored before; null in a dry run. */
  known: z.number().nullable(),
});
export type CsvReport = z.infer<typeof CsvReport>;

/** Lines of the answer in `application/x-ndjson`: progress while the file is read, the report or a problem at the end. */
export const CsvProgress = z.union([z.object({ progress: z.object({ rows: z.number(), readings: z.number(), bytes: z.number() }) }), z.object({ report: CsvReport }), z.object({ problem: z.object({ code: z.string(), detail: z.string(), cure: z.string(), field: z.string().nullable(), status: z.number() }) })]);
export type CsvProgress = z.infer<typeof CsvProgress>;
