import type { FeedHealth } from '#contracts/feed.ts';

type State = FeedHealth['state'];

const WORDS: Readonly<Record<State, string>> = { live: 'Live', late: 'Late', stale: 'Stale', waiting: 'Waiting for the first data', failing: 'Failing', paused: 'Paused', off: 'Off', broken: 'Set up wrongly' };
const SIGNS: Readonly<Record<State, string>> = { live: '', late: '!', stale: '?', waiting: '…', failing: '!', paused: 'Ⅱ', off: '–', broken: '!' };

export const feedStateWord = (state: State): string => WORDS[state];
/** One character in the sign beside the word; the sign's shape differs too. */
export const feedSign = (state: State): string => SIGNS[state];
export const isTrouble = (state: State): boolean => state === 'late' || state === 'stale' || state === 'failing' || state === 'broken';

const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** `90` reads `1 min 30 s`; two parts at most. */
export function durationWords(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < MINUTE_S) return `${whole} s`;
  if (whole < HOUR_S) return whole % MINUTE_S === 0 ? `${whole / MINUTE_S} min` : `${Math.floor(whole / MINUTE_S)} min ${whole % MINUTE_S} s`;
  if (whole < DAY_S) return Math.floor((whole % HOUR_S) / MINUTE_S) === 0 ? `${Math.floor(whole / HOUR_S)} h` : `${Math.floor(whole / HOUR_S)} h ${Math.floor((whole % HOUR_S) / MINUTE_S)} min`;
  return `${Math.floor(whole / DAY_S)} d`;
}

/** Whole numbers with a thin space between thousands. */
export const countWords = (count: number): string => new Intl.NumberFormat('en', { maximumFractionDigits: 0 }).format(count).replaceAll(',', '\u202f');
