import type { RefusalCode } from '../../kernel/index.ts';
import type { SourceBatch, SourcePlace, SourceReading, SourceRefusal, SourceSeries } from './adapter.ts';

const REFUSALS_LISTED_MAX = 1_000;
const READINGS_MAX = 200_000;

/** A batch while its document is read: places and series once by their key, refusals with a limit. */
export interface DraftBatch {
  place(place: SourcePlace): void;
  series(series: SourceSeries): void;
  /** Takes a reading; beyond the limit of a batch it is refused. */
  reading(reading: SourceReading): void;
  refuse(at: string, code: RefusalCode, detail: string): void;
  /** The batch. Refusals beyond those that are listed are one more entry with their number. */
  finish(): SourceBatch;
}

export function openBatch(): DraftBatch {
  const places = new Map<string, SourcePlace>();
  const series = new Map<string, SourceSeries>();
  const readings: SourceReading[] = [];
  const refusals: SourceRefusal[] = [];
  let unlisted = 0;
  const refuse: DraftBatch['refuse'] = (at, code, detail) => {
    if (refusals.length < REFUSALS_LISTED_MAX) refusals.push({ at, refusal: { code, detail, field: at } });
    else unlisted += 1;
  };
  return {
    place: (place) => void places.set(place.key, place),
    series: (one) => void series.set(one.key, one),
    reading: (reading) => {
      if (readings.length < READINGS_MAX) readings.push(reading);
      else refuse(reading.seriesKey, 'feed.document-too-large', `A document gives at most ${READINGS_MAX} readings.`);
    },
    refuse,
    finish: () => ({
      places: [...places.values()],
      series: [...series.values()],
      readings,
      refusals: unlisted === 0 ? refusals : [...refusals, { at: 'document', refusal: { code: 'feed.value-invalid', detail: `${unlisted} more places were refused and are not listed.`, field: 'document' } }],
    }),
  };
}

// UCUM case-sensitive codes, and 'each' of QUDT for counts
export const UNITS = {
  second: { name: 'second', symbol: 's', definition: 'http://qudt.org/vocab/unit/SEC' },
  count: { name: 'number', symbol: '1', definition: 'http://qudt.org/vocab/unit/NUM' },
  kilometreAnHour: { name: 'kilometre per hour', symbol: 'km/h', definition: 'http://qudt.org/vocab/unit/KiloM-PER-HR' },
  anHour: { name: 'vehicles per hour', symbol: '1/h', definition: 'http://qudt.org/vocab/unit/PER-HR' },
  percent: { name: 'percent', symbol: '%', definition: 'http://qudt.org/vocab/unit/PERCENT' },
} as const;

/** Text of a source cut to `chars`, without control characters, so that it fits a name. Null when nothing is left. */
export function readText(value: unknown, chars = 255): string | null {
  if (typeof value !== 'string') return null;
  const text = value.replace(/[\u0000-\u001f\u007f]+/g, ' ').replace(/\s+/g, ' ').trim().toWellFormed();
  return text === '' ? null : [...text].slice(0, chars).join('');
}
