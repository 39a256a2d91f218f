import { hasLuhn, isDay, isOneDigit, weigh, words } from './detector.ts';
import { gluedNumbers, hasMod11Of10, numbers, type NationalId } from './national-ids.ts';

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

const EMSO = words`em[šs]o|jmbg|мбг|jмбг|mati[čc]n\w*`;
const BIRTH_NUMBER = words`rodn[ée](?: [čc][íi]slo)?`;
/** Act 133/2000 Coll. § 13: 50 more in the month of women, 20 more when the numbers of a day are used up; a multiple of eleven. */
const isRodneCislo = (text: string): boolean => isDay(two(text, 4), (two(text, 2) % 50) % 20) && Number(text) % 11 === 0;

/** ΗΔΙΚΑ: date of birth, serial, Luhn. */
const isAmka = (text: string): boolean => isDay(two(text, 0), two(text, 2)) && hasLuhn(text) && !/^0+$/.test(text);
/** Þjóðskrá: date (40 more in the day of companies, which are no persons), serial, mod 11, century. */
const isKennitala = (text: string): boolean => isDay(two(text, 0), two(text, 2)) && /[089]$/.test(text) && weigh(text, [3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0;
/** Matična številka of Yugoslavia and what came after it: day, month, year without its first digit, region, serial, mod 11. */
function isEmso(text: string): boolean {
  const check = 11 - (weigh(text, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11);
  return isDay(two(text, 0), two(text, 2)) && /^[09]/.test(text.slice(4)) && check !== 10 && check % 11 === Number(text[12]);
}
/** Act XX of 1996, annexes 1 and 2: the personal number, the tax number (mod 11), the number of social insurance (mod 10). */
const isSzemelyi = (text: string): boolean => isDay(two(text, 5), two(text, 3)) && weigh(text, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) % 11 === Number(text[10]);
const isAdoazonosito = (text: string): boolean => weigh(text, [1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 === Number(text[9]);
const isTaj = (text: string): boolean => weigh(text, [3, 7, 3, 7, 3, 7, 3, 7]) % 10 === Number(text[8]) && !isOneDigit(text);
/** Verhoeff's check over all digits: a permutation by place, then the product in the dihedral group of the pentagon. */
function hasVerhoeff(digits: string): boolean {
  let product = 0;
  for (let at = 0; at < digits.length; at += 1) {
    let digit = Number(digits[digits.length - 1 - at]);
    for (let turns = at % 8; turns > 0; turns -= 1) digit = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][digit] as number;
    const [turn, isMirrored] = [digit % 5, digit > 4];
    product = product < 5 ? ((product + turn) % 5) + (isMirrored ? 5 : 0) : ((((product % 5) - turn + 5) % 5) + (isMirrored ? 0 : 5));
  }
  return product === 0;
}
/** Règlement grand-ducal of 21 November 2013: date of birth, serial, and over these eleven digits one of Luhn and one of Verhoeff. */
const isMatricule = (text: string): boolean => /^(?:18|19|20)/.test(text) && isDay(two(text, 6), two(text, 4)) && hasLuhn(text.slice(0, 12)) && hasVerhoeff(text.slice(0, 11) + (text[12] as string));

export const NORTH_EAST: readonly NationalId[] = [
  { rule: 'id.fi-hetu', country: 'FI', pattern: gluedNumbers('\\d{6}[-+A-FU-Ya-fu-y]\\d{3}[0-9A-FHJ-NPR-Ya-fhj-npr-y]'), words: words`hetu|henkil[öo]tunnus\w*`, isRight: (_compact, written) => isHetu(written), isClear: always },
  { rule: 'id.se-pnr', country: 'SE', pattern: gluedNumbers('(?:19|20|18)?\\d{6}[-+ ]?\\d{4}'), words: words`personnummer|samordningsnummer|pnr|personal (?:identity )?number`, isRight: isPersonnummer, isClear: (written) => /[-+]/.test(written) || written.length === 12 },
  { rule: 'id.dk-cpr', country: 'DK', pattern: numbers('\\d{6}[- ]?\\d{4}'), words: words`cpr`, isRight: (text) => isDay(two(text, 0), two(text, 2)) && !isOneDigit(text), isClear: (written) => written.includes('-') && weigh(written.replace('-', ''), [4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0 },
  { rule: 'id.no-fnr', country: 'NO', pattern: numbers('\\d{6}[- ]?\\d{5}'), words: words`f[øo]dselsnummer|fnr|d-nummer`, isRight: isFodselsnummer, isClear: always },
  { rule: 'id.ee-lt', country: 'EE', pattern: numbers('[1-8]\\d{10}'), words: words`isikukood|asmens kodas`, isRight: isIsikukood, isClear: always },
  { rule: 'id.lv-pk', country: 'LV', pattern: numbers('(?:\\d{6}|32\\d{4})-\\d{5}'), words: words`personas kods`, isRight: (text) => text.startsWith('32') || (isDay(two(text, 0), two(text, 2)) && (1101 - weigh(text, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11 === Number(text[10])), isClear: always },
  { rule: 'id.pl-pesel', country: 'PL', pattern: numbers('\\d{11}'), words: words`pesel`, isRight: (text) => isPesel(text) && !isOneDigit(text), isClear: always },
  { rule: 'id.ro-cnp', country: 'RO', pattern: numbers('[1-9]\\d{12}'), words: words`cnp`, isRight: isCnp, isClear: () => false },
  { rule: 'id.bg-egn', country: 'BG', pattern: numbers('\\d{10}|\\d{4} \\d{3} \\d{3}'), words: words`egn|егн`, isRight: isEgn },
  { rule: 'id.bg-egn', country: '', pattern: numbers('\\d{4} ?\\d{3} ?\\d{3}'), words: words`egn|егн|лнч|pnf|lnch`, isRight: (text) => weigh(text, [21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10 === Number(text[9]) },
  { rule: 'id.cz-rc', country: 'CZ', pattern: numbers('\\d{6}/?\\d{4}'), words: BIRTH_NUMBER, isRight: isRodneCislo, isClear: (written) => written.includes('/') },
  { rule: 'id.cz-rc', country: 'SK', pattern: numbers('\\d{6}/?\\d{4}'), words: BIRTH_NUMBER, isRight: isRodneCislo },
  // without a check until 1953
  { rule: 'id.cz-rc', country: '', pattern: numbers('\\d{6}/?\\d{3}'), words: BIRTH_NUMBER, isRight: (text) => two(text, 0) <= 53 && isDay(two(text, 4), two(text, 2) % 50) },
  { rule: 'id.hr-oib', country: 'HR', pattern: numbers('\\d{11}'), words: words`oib`, isRight: hasMod11Of10 },
  { rule: 'id.tr-kimlik', country: 'TR', pattern: numbers('[1-9]\\d{10}'), words: words`t\.?c\.?|kimlik|tckn`, isRight: isKimlik, isClear: always },
  { rule: 'id.gr-amka', country: 'GR', pattern: numbers('\\d{11}'), words: words`amka|αμκα`, isRight: isAmka },
  { rule: 'id.is-kt', country: 'IS', pattern: numbers('\\d{6}-?\\d{4}'), words: words`kennitala|kt`, isRight: isKennitala, isClear: (written) => written.includes('-') },
  { rule: 'id.si-emso', country: 'SI', pattern: numbers('\\d{13}'), words: EMSO, isRight: isEmso },
  { rule: 'id.hu-szam', country: 'HU', pattern: numbers('[1-8][ -]?\\d{6}[ -]?\\d{4}'), words: words`szem[ée]lyi\w*`, isRight: isSzemelyi },
  { rule: 'id.hu-szam', country: 'HU', pattern: numbers('8\\d{9}'), words: words`ad[óo]azonos[íi]t[óo]\w*`, isRight: isAdoazonosito },
  { rule: 'id.hu-szam', country: 'HU', pattern: numbers('\\d{3}[ -]?\\d{3}[ -]?\\d{3}'), words: words`taj(?: ?sz[áa]m)?`, isRight: isTaj },
  { rule: 'id.lu-matricule', country: 'LU', pattern: numbers('\\d{13}'), words: words`matricule|sozialversicherungsnummer`, isRight: isMatricule },
];
