import { findAll, isAmong, isOneDigit, weigh, words, type Detector, type RuleId } from './detector.ts';

/** One kind of number: `isRight` is its check; without words beside it `isClear` or its own country must speak for it. */
export interface NationalId {
  readonly rule: RuleId;
  readonly country: string;
  readonly pattern: RegExp;
  readonly words: RegExp;
  readonly isRight: (compact: string, written: string) => boolean;
  /** The form is unlikely enough for anything else. */
  readonly isClear?: (written: string) => boolean;
}

const EDGE = '(?<![\\w.,+-])';
const END = '(?!\\w|[.,]\\d|-\\w)';
export const numbers = (body: string, flags = 'g'): RegExp => new RegExp(`${EDGE}(?:${body})${END}`, flags);
/** Forms that are clear enough to be seen behind a word that has run into them; a to f may be the digits before. */
export const gluedNumbers = (body: string): RegExp => new RegExp(`(?:${EDGE}|(?<=[g-zG-Z]))(?:${body})${END}`, 'g');
const always = (): boolean => true;

/** ISO/IEC 7064 MOD 11,10 over all digits. */
export function hasMod11Of10(digits: string): boolean {
  let product = 10;
  for (const sign of digits.slice(0, -1)) {
    const sum = (Number(sign) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === Number(digits.at(-1));
}

/** Of the first ten digits one stands twice or three times, not thrice in a row (identification number of § 139b AO); in made-up ones all may differ. */
function isSteuerId(digits: string): boolean {
  const counts = [...new Set(digits.slice(0, 10))].map((sign) => digits.slice(0, 10).split(sign).length - 1);
  const most = Math.max(...counts);
  return digits[0] !== '0' && most <= 3 && counts.filter((count) => count > 1).length <= 1 && !/(\d)\1\1/.test(digits.slice(0, 10)) && hasMod11Of10(digits);
}

const RVNR_WEIGHTS = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
const crossSum = (value: number): number => Math.floor(value / 10) + (value % 10);
/** Annex 1 of the VKVV: the letter as two digits, sums of digits of the products, mod 10. */
function isRvnr(text: string): boolean {
  const letter = String((text.codePointAt(8) ?? 0) - 64).padStart(2, '0');
  const digits = text.slice(0, 8) + letter + text.slice(9, 11);
  const birthday = Number(text.slice(2, 4)) % 50;
  const sum = RVNR_WEIGHTS.reduce((total, weight, at) => total + crossSum(weight * Number(digits[at])), 0);
  return birthday >= 1 && birthday <= 31 && Number(text.slice(4, 6)) <= 12 && sum % 10 === Number(text[11]);
}
/** § 290 SGB V: the letter as two digits, weights 1 and 2, sums of digits, mod 10. */
function isKvnr(text: string): boolean {
  const digits = String((text.codePointAt(0) ?? 0) - 64).padStart(2, '0') + text.slice(1, 9);
  let sum = 0;
  for (let at = 0; at < 10; at += 1) sum += crossSum(Number(digits[at]) * (at % 2 === 0 ? 1 : 2));
  return sum % 10 === Number(text[9]);
}

/** Codice fiscale (decree of 23 December 1976): odd places by a table of their own, the check letter is the sum mod 26. */
const CF_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
function isCodiceFiscale(text: string): boolean {
  let sum = 0;
  for (let at = 0; at < 15; at += 1) {
    const value = Number.parseInt(text[at] as string, 36);
    const place = value > 9 ? value - 10 : value;
    sum += at % 2 === 0 ? (CF_ODD[place] as number) : place;
  }
  return String.fromCharCode(65 + (sum % 26)) === text[15];
}

/** Mod 97 over the digits; Corsica's departments count as 19 and 18 (INSEE, structure of the NIR). */
function isNir(text: string): boolean {
  const digits = text.replace('2A', '19').replace('2B', '18');
  const month = Number(digits.slice(3, 5));
  return ((month >= 1 && month <= 12) || (month >= 20 && month <= 42) || month >= 50) && 97 - Number(BigInt(digits.slice(0, 13)) % 97n) === Number(digits.slice(13));
}

function isRrn(digits: string): boolean {
  const check = Number(digits.slice(9));
  const [month, dayOf] = [Number(digits.slice(2, 4)), Number(digits.slice(4, 6))];
  return month % 20 <= 12 && dayOf <= 31 && digits.slice(6, 9) !== '000' && (97 - (Number(digits.slice(0, 9)) % 97) === check || 97 - (Number(`2${digits.slice(0, 9)}`) % 97) === check);
}

const DNI_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';
const isDni = (written: string): boolean => ((text) => text[8] === DNI_LETTERS[Number(text.slice(0, 8)) % 23] && !/^0{8}/.test(text))(written.padStart(9, '0'));
const isNie = (text: string): boolean => text[8] === DNI_LETTERS[Number(`${'XYZ'.indexOf(text[0] as string)}${text.slice(1, 8)}`) % 23];

export const WEST: readonly NationalId[] = [
  { rule: 'id.nl-bsn', country: 'NL', pattern: numbers('\\d{4}[. ]?\\d{2}[. ]?\\d{3}|\\d{3}[. -]\\d{3}[. -]\\d{3}'), words: words`bsn|burgerservicenummer|sofi(?:nummer)?|citizen service`, isRight: (text) => weigh(text.padStart(9, '0'), [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 && !isOneDigit(text) },
  // eight digits, with the leading zero left out, are too few to stand for themselves
  { rule: 'id.nl-bsn', country: '', pattern: numbers('\\d{8}'), words: words`bsn|burgerservicenummer|sofi(?:nummer)?`, isRight: (text) => weigh(text.padStart(9, '0'), [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 0 && !isOneDigit(text) },
  // the number of a pupil: ten, and a sum that leaves five (Dienst Uitvoering Onderwijs)
  { rule: 'id.nl-bsn', country: '', pattern: numbers('10\\d{2}[. ]?\\d{2}[. ]?\\d{3}'), words: words`onderwijs(?:nummer)?|leerling\w*|pgn`, isRight: (text) => weigh(text, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 === 5 },
  { rule: 'id.be-rrn', country: 'BE', pattern: numbers('\\d{2}[. ]?\\d{2}[. ]?\\d{2}[- ]?\\d{3}[. ]?\\d{2}'), words: words`rijksregister\w*|registre national|nn|rrn|insz|niss|national register`, isRight: isRrn, isClear: always },
  { rule: 'id.de-steuer', country: 'DE', pattern: numbers('[1-9]\\d[ ]?\\d{3}[ ]?\\d{3}[ ]?\\d{3}'), words: words`steuer\w*|idnr|tin|tax ?(?:id|number|identification)\w*|identifikationsnummer`, isRight: isSteuerId },
  { rule: 'id.de-rvnr', country: 'DE', pattern: numbers('\\d{2}[ ]?\\d{6}[ ]?[A-Za-z][ ]?\\d{3}'), words: words`rente\w*|sozialversicherung\w*|rvnr|svnr|versicherungsnummer|social security`, isRight: (text) => isRvnr(text.toUpperCase()), isClear: always },
  { rule: 'id.de-kvnr', country: 'DE', pattern: numbers('[A-Z]\\d{9}', 'gi'), words: words`kvnr|krankenversicher\w*|versichertennummer|krankenkasse\w*|gesundheitskarte|egk(?:-nummer)?|health insurance`, isRight: (text) => isKvnr(text.toUpperCase()) },
  { rule: 'id.fr-nir', country: 'FR', pattern: numbers('[1278][ .-]?\\d{2}[ .-]?\\d{2}[ .-]?(?:\\d{2}|2[AB])[ .-]?\\d{3}[ .-]?\\d{3}[ .-]?\\d{2}'), words: words`nir|s[ée]curit[ée] sociale|insee|carte vitale`, isRight: isNir, isClear: (written) => /\D/.test(written.slice(0, 5)) || /^.{3}(?:0[1-9]|1[0-2])/.test(written) },
  { rule: 'id.es-dni', country: 'ES', pattern: numbers('\\d{7,8}[ -]?[A-Za-z]'), words: words`dni|nif|documento nacional`, isRight: (text) => isDni(text.toUpperCase()), isClear: (written) => /^\d{8}/.test(written) },
  { rule: 'id.es-dni', country: 'ES', pattern: numbers('[XYZxyz][ -]?\\d{7}[ -]?[A-Za-z]'), words: words`nie`, isRight: (text) => isNie(text.toUpperCase()), isClear: always },
  { rule: 'id.it-cf', country: 'IT', pattern: numbers('[A-Z]{6}[ ]?[\\dLMNP-V]{2}[ABCDEHLMPRST][\\dLMNP-V]{2}[ ]?[A-Z][\\dLMNP-V]{3}[A-Z]', 'gi'), words: words`codice`, isRight: (text) => isCodiceFiscale(text.toUpperCase()), isClear: always },
  { rule: 'id.pt-nif', country: 'PT', pattern: numbers('[1235689]\\d{2}[ .]?\\d{3}[ .]?\\d{3}'), words: words`nif|contribuinte|nipc`, isRight: (text) => (((11 - (weigh(text, [9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11) % 10) === Number(text[8]) },
  { rule: 'id.at-svnr', country: 'AT', pattern: numbers('[1-9]\\d{3}[ /-]?\\d{6}'), words: words`svnr|sv-nr|sozialversicherung\w*|versicherungsnummer|e-?card`, isRight: (text) => Number(text.slice(6, 8)) <= 15 && Number(text.slice(4, 6)) <= 31 && weigh(text, [3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 === Number(text[3]), isClear: (written) => /^\d{4}[ -]/.test(written) },
  { rule: 'id.ch-ahv', country: 'CH', pattern: numbers('756[. ]?\\d{4}[. ]?\\d{4}[. ]?\\d{2}'), words: words`ahv|avs|oasi`, isRight: (text) => (weigh(text, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10) === 0, isClear: always },
  { rule: 'id.uk-nino', country: 'GB', pattern: numbers('(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\\d{2}[ -]?\\d{2}[ -]?\\d{2}[ -]?[A-D]', 'gi'), words: words`nino|national insurance`, isRight: always, isClear: always },
  { rule: 'id.uk-nhs', country: 'GB', pattern: numbers('(?<!\\d[ -])\\d{3}[ -]?\\d{3}[ -]?\\d{4}'), words: words`nhs`, isRight: (text) => !isOneDigit(text) && (11 - (weigh(text, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11 === Number(text[9]), isClear: (written) => /^\d{3} \d{3} \d{4}$/.test(written) },
  { rule: 'id.ie-pps', country: 'IE', pattern: numbers('\\d{7}[A-W][A-ITWX]?', 'gi'), words: words`ppsn?|personal public service`, isRight: isPps },
  { rule: 'id.us-ssn', country: 'US', pattern: numbers('(?!000|666|9)\\d{3}([- .]?)(?!00)\\d{2}\\1(?!0000)\\d{4}'), words: words`ssn|social security|soc ?sec`, isRight: (text) => !isOneDigit(text) && !['123456789', '987654321', '078051120', '219099999'].includes(text), isClear: (written) => /^\d{3}[-]\d\d[-]/.test(written) },
];

function isPps(text: string): boolean {
  // T, W and X came before the second letter was part of the check
  const second = text.length > 8 ? (text[8] as string).toUpperCase() : 'W';
  const sum = weigh(text, [8, 7, 6, 5, 4, 3, 2]) + (/[TWX]/.test(second) ? 0 : 9 * (second.charCodeAt(0) - 64));
  return 'WABCDEFGHIJKLMNOPQRSTUV'[sum % 23] === (text[7] as string).toUpperCase();
}

/** The detector of a list of numbers. Of digits that are a JSON number a word must say what they are: meters and clocks have them too. */
export const detectorOf =
  (ids: readonly NationalId[]): Detector =>
  (text, around) =>
    /\d/.test(text) && text.length >= 8
      ? ids.flatMap(({ rule, country, pattern, words, isRight, isClear = () => false }) => {
          const isKnown = (start: number, end: number): boolean => (country === around.country && around.isNumber !== true) || isAmong(words, text, start, end, around);
          return findAll(rule, text, pattern, (match, start, end) => isRight(match[0].replaceAll(/[ ./-]/g, ''), match[0]) && ((isClear(match[0]) && around.isNumber !== true) || isKnown(start, end))).map((hit) => ({ ...hit, isGuess: !isKnown(hit.start, hit.end) }));
        })
      : [];
