import { hasLuhn, isDay, isOneDigit, weigh } from './detector.ts';
import { hasMod11Of10, numbers, type NationalId } from './national-ids.ts';

const always = (): boolean => true;
const two = (text: string, at: number): number => Number(text.slice(at, at + 2));

const HETU_CHECKS = '0123456789ABCDEFHJKLMNPRSTUVWXY';
/** Government decree 128/2010 and 690/2022: date, sign of the century, three digits, check of mod 31. */
const isHetu = (text: string): boolean => isDay(two(text, 0), two(text, 2)) && HETU_CHECKS[Number(text.slice(0, 6) + text.slice(7, 10)) % 31] === text[10]?.toUpperCase() && Number(text.slice(7, 10)) >= 2;

/** Skatteverket SKV 704: Luhn over the ten digits; the day is 60 higher in coordination numbers. */
function isPersonnummer(text: string): boolean {
  const ten = text.replace('+', '').slice(-10);
  const dayOf = two(ten, 4) > 60 ? two(ten, 4) - 60 : two(ten, 4);
  return isDay(dayOf, two(ten, 2)) && hasLuhn(ten);
}

/** Skatteetaten: two check digits mod 11; the day is 40 higher in D numbers. */
function isFodselsnummer(text: string): boolean {
  const dayOf = two(text, 0) > 40 ? two(text, 0) - 40 : two(text, 0);
  return isDay(dayOf, two(text, 2) % 40) && weigh(text, [3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 === 0 && weigh(text, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
}

/** EVS 585 and its Lithuanian twin: mod 11 with a second row of weights when the first gives 10. */
function isIsikukood(text: string): boolean {
  if (!isDay(two(text, 5), two(text, 3))) return false;
  const first = weigh(text, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
  const check = first < 10 ? first : (weigh(text, [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11) % 10;
  return check === Number(text[10]);
}

const isPesel = (text: string): boolean => isDay(two(text, 4), two(text, 2) % 20) && weigh(text, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0;
const isCnp = (text: string): boolean => isDay(two(text, 5), two(text, 3)) && ((sum) => (sum === 10 ? 1 : sum))(weigh(text, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11) === Number(text[12]);
const isEgn = (text: string): boolean => isDay(two(text, 4), two(text, 2) % 20) && (weigh(text, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10 === Number(text[9]);

function isKimlik(text: string): boolean {
  const at = (place: number): number => Number(text[place]);
  const odd = at(0) + at(2) + at(4) + at(6) + at(8);
  const even = at(1) + at(3) + at(5) + at(7);
  return (((odd * 7 - even) % 10) + 10) % 10 === at(9) && (odd + even + at(9)) % 10 === at(10);
}

export const NORTH_EAST: readonly NationalId[] = [
  { rule: 'id.fi-hetu', country: 'FI', pattern: numbers('\\d{6}[-+A-FU-Ya-fu-y]\\d{3}[0-9A-FHJ-NPR-Ya-fhj-npr-y]'), words: /hetu/i, isRight: (_compact, written) => isHetu(written), isClear: always },
  { rule: 'id.se-pnr', country: 'SE', pattern: numbers('(?:19|20|18)?\\d{6}[-+ ]?\\d{4}'), words: /\b(?:personnummer|samordningsnummer|pnr|personal (?:identity )?number)\b/i, isRight: isPersonnummer, isClear: (written) => /[-+]/.test(written) || written.length === 12 },
  { rule: 'id.dk-cpr', country: 'DK', pattern: numbers('\\d{6}[- ]?\\d{4}'), words: /\bcpr\b/i, isRight: (text) => isDay(two(text, 0), two(text, 2)) && !isOneDigit(text), isClear: (written) => written.includes('-') && weigh(written.replace('-', ''), [4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0 },
  { rule: 'id.no-fnr', country: 'NO', pattern: numbers('\\d{6}[- ]?\\d{5}'), words: /\b(?:f[øo]dselsnummer|fnr|d-nummer)\b/i, isRight: isFodselsnummer, isClear: always },
  { rule: 'id.ee-lt', country: 'EE', pattern: numbers('[1-8]\\d{10}'), words: /\b(?:isikukood|asmens kodas)\b/i, isRight: isIsikukood, isClear: always },
  { rule: 'id.lv-pk', country: 'LV', pattern: numbers('(?:\\d{6}|32\\d{4})-\\d{5}'), words: /\bpersonas kods\b/i, isRight: (text) => text.startsWith('32') || (isDay(two(text, 0), two(text, 2)) && (1101 - weigh(text, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11 === Number(text[10])), isClear: always },
  { rule: 'id.pl-pesel', country: 'PL', pattern: numbers('\\d{11}'), words: /\bpesel\b/i, isRight: (text) => isPesel(text) && !isOneDigit(text), isClear: always },
  { rule: 'id.ro-cnp', country: 'RO', pattern: numbers('[1-9]\\d{12}'), words: /\bcnp\b/i, isRight: isCnp, isClear: () => false },
  { rule: 'id.bg-egn', country: 'BG', pattern: numbers('\\d{10}'), words: /\b(?:egn|егн)\b/i, isRight: isEgn },
  { rule: 'id.cz-rc', country: 'CZ', pattern: numbers('\\d{6}/\\d{4}'), words: /\brodn[ée]\b/i, isRight: (text) => isDay(two(text, 4), (two(text, 2) % 50) % 20) && Number(text) % 11 === 0, isClear: always },
  { rule: 'id.hr-oib', country: 'HR', pattern: numbers('\\d{11}'), words: /\boib\b/i, isRight: hasMod11Of10 },
  { rule: 'id.tr-kimlik', country: 'TR', pattern: numbers('[1-9]\\d{10}'), words: /\b(?:t\.?c\.?|kimlik|tckn)\b/i, isRight: isKimlik, isClear: always },
];
