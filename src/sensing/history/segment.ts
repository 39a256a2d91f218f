/** A stored reading as it is packed; instants in microseconds since 2000-01-01 UTC, as PostgreSQL counts them. */
export interface StoredReading {
  readonly id: number;
  readonly streamId: number;
  readonly startUs: number;
  readonly endUs: number | null;
  readonly resultUs: number | null;
  readonly arrivedUs: number;
  readonly number: number | null;
  readonly text: string | null;
  /** JSON text of the rare parts. */
  readonly extra: string | null;
  readonly valid: boolean;
}

/** One list in the narrowest integers that hold it; all three null when nothing needs to be kept. */
interface Narrow {
  readonly two: readonly (number | null)[] | null;
  readonly four: readonly (number | null)[] | null;
  readonly eight: readonly (number | null)[] | null;
}

/** A row of table observation_segment (migrations/0062). */
export interface Segment {
  readonly streamId: number;
  readonly firstStartUs: number;
  readonly lastStartUs: number;
  readonly firstId: number;
  readonly idLow: number;
  readonly idHigh: number;
  readonly arrivedLowUs: number;
  readonly arrivedHighUs: number;
  readonly startStepUs: number;
  readonly idStep: number;
  readonly numberDivisor: number | null;
  readonly rows: number;
  readonly unitUs: number;
  readonly starts: Narrow;
  readonly ids: Narrow;
  readonly ends: Narrow;
  readonly resultTimes: Narrow;
  readonly arrivals: Narrow;
  readonly quotients: Narrow;
  readonly floats: readonly (number | null)[] | null;
  readonly texts: readonly (string | null)[] | null;
  readonly extras: readonly (string | null)[] | null;
  readonly valids: readonly boolean[] | null;
}

export const SEGMENT_ROWS = 1_024;
const MILLISECOND_US = 1_000;
const LARGEST_EXPONENT = 9;
const NOTHING: Narrow = { two: null, four: null, eight: null };

/** Packs readings of one datastream, in order of start and id, at most `SEGMENT_ROWS`. */
export function packSegment(readings: readonly StoredReading[]): Segment {
  const first = readings[0];
  const last = readings.at(-1);
  if (first === undefined || last === undefined) throw new Error('a segment of no readings');
  const unitUs = unitOf(readings, first.startUs);
  const starts = readings.map(({ startUs }) => (startUs - first.startUs) / unitUs);
  const ids = readings.map(({ id }) => id - first.id);
  const startStep = stepOf(starts);
  const idStep = stepOf(ids);
  const since = (atUs: number | null, { startUs }: StoredReading): number | null => (atUs === null ? null : (atUs - startUs) / unitUs);
  const numbers = readings.map(({ number }) => number);
  const divisor = divisorOf(numbers);
  const low = (values: readonly number[]): number => values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = (values: readonly number[]): number => values.reduce((most, value) => Math.max(most, value), -Infinity);
  const arrivals = readings.map(({ arrivedUs }) => arrivedUs);
  return {
    streamId: first.streamId,
    firstStartUs: first.startUs,
    lastStartUs: last.startUs,
    firstId: first.id,
    idLow: first.id + low(ids),
    idHigh: first.id + high(ids),
    arrivedLowUs: low(arrivals),
    arrivedHighUs: high(arrivals),
    startStepUs: startStep * unitUs,
    idStep,
    numberDivisor: divisor,
    rows: readings.length,
    unitUs,
    starts: narrow(beyond(starts, startStep), 0),
    ids: narrow(beyond(ids, idStep), 0),
    ends: narrow(readings.map((reading) => since(reading.endUs, reading)), null),
    resultTimes: narrow(readings.map((reading) => since(reading.resultUs, reading)), null),
    arrivals: narrow(readings.map((reading) => since(reading.arrivedUs, reading)), null),
    quotients: divisor === null ? NOTHING : narrow(numbers.map((number) => (number === null ? null : Math.round(number * divisor))), null),
    floats: divisor === null && numbers.some((number) => number !== null) ? numbers : null,
    texts: orNull(readings.map(({ text }) => text)),
    extras: orNull(readings.map(({ extra }) => extra)),
    valids: readings.every(({ valid }) => valid) ? null : readings.map(({ valid }) => valid),
  };
}

/** Milliseconds when all times are whole ones apart from each other, as those that arrive over HTTP and MQTT are; else microseconds. */
function unitOf(readings: readonly StoredReading[], firstUs: number): number {
  const isWhole = (atUs: number | null): boolean => atUs === null || (atUs - firstUs) % MILLISECOND_US === 0;
  return readings.every(({ startUs, endUs, resultUs, arrivedUs }) => isWhole(startUs) && isWhole(endUs) && isWhole(resultUs) && isWhole(arrivedUs)) ? MILLISECOND_US : 1;
}

const beyond = (values: readonly number[], step: number): number[] => values.map((value, place) => value - place * step);

/** The step that leaves the smallest numbers: the usual one, or the average. */
function stepOf(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const steps = values.slice(1).map((value, at) => value - (values[at] ?? 0));
  const usual = steps.toSorted((a, b) => a - b)[steps.length >> 1] ?? 0;
  const average = Math.round((values.at(-1) ?? 0) / steps.length);
  return widthOf(beyond(values, usual)) <= widthOf(beyond(values, average)) ? usual : average;
}

function widthOf(values: readonly (number | null)[]): 0 | 2 | 4 | 8 {
  let width: 0 | 2 | 4 | 8 = 0;
  for (const value of values) {
    if (value === null || value === 0) continue;
    if (value < -2_147_483_648 || value > 2_147_483_647) return 8;
    if (value < -32_768 || value > 32_767) width = 4;
    else if (width === 0) width = 2;
  }
  return width;
}

/** `absent` is what a reader takes each value for when no list is kept. */
function narrow(values: readonly (number | null)[], absent: 0 | null): Narrow {
  if (values.every((value) => value === absent)) return NOTHING;
  const width = widthOf(values);
  return { two: width <= 2 ? values : null, four: width === 4 ? values : null, eight: width === 8 ? values : null };
}

/**
 * The power of ten that makes whole numbers of all of them and whose division gives each very double back (IEEE 754 §5.4.1: division
 * is correctly rounded, here and in the database); null when there is none, or no number at all. -0 has no integer.
 */
function divisorOf(numbers: readonly (number | null)[]): number | null {
  if (numbers.every((number) => number === null)) return null;
  let divisor = 1;
  for (let exponent = 0; exponent <= LARGEST_EXPONENT; exponent += 1, divisor *= 10) {
    const by = divisor;
    if (numbers.every((number) => number === null || isQuotient(number, by))) return divisor;
  }
  return null;
}

function isQuotient(number: number, divisor: number): boolean {
  const whole = Math.round(number * divisor);
  return Number.isSafeInteger(whole) && !Object.is(number, -0) && whole / divisor === number;
}

const orNull = (values: readonly (string | null)[]): readonly (string | null)[] | null => (values.every((value) => value === null) ? null : values);
