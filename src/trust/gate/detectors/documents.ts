import { findAll, isAmong, words, type Detector } from './detector.ts';

const PASSPORT_WORDS = words`passport|reisepass|pass(?:nummer|-?nr)|passeport|passaport|pasaporte|passaporto|paspoort`;
const CARD_WORDS = words`personalausweis\w*|ausweis\w*|identity card|id card|carta d.identit[àa]|cie|idesp|perso`;
const LICENCE_WORDS = words`driv(?:er|ing)(?:'?s)?[ -]?licen[cs]e|f[üu]hrerschein\w*|permis de conduire|patente(?: di guida)?|rijbewijs|dvla`;
const NUMBER = /(?<![\w-])(?=[A-Z\d]{6,16}(?![\w-]))(?=[A-Z]*\d)[A-Z\d]{6,16}/gi;
// DVLA: five signs of the name, decade, month (50 higher for women), day, year, initials, check
const GB_LICENCE = /(?<![\w-])(?=[A-Z]{1,5}9{0,4}\d{6})[A-Z][A-Z9]{4}\d(?:[05][1-9]|[16][0-2])(?:0[1-9]|[12]\d|3[01])\d[A-Z9]{2}\d[A-Z]{2}(?![\w-])/gi;

// PassV § 5 and PAuswV: nine signs, no vowels and none that look like digits, the last one a check (ICAO Doc 9303-3 §4.9)
const DE_DOCUMENT = /(?<![\w-])[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ\d]{7}\d(?![\w-])/gi;
function hasIcaoCheck(signs: string): boolean {
  let sum = 0;
  for (let at = 0; at < signs.length - 1; at += 1) sum += Number.parseInt(signs[at] as string, 36) * ([7, 3, 1][at % 3] as number);
  return sum % 10 === Number(signs.at(-1));
}

/** Numbers of passports, identity cards and driving licences: only words beside them tell them from any other number. */
export const findDocuments: Detector = (text, around) => [
  ...findAll('id.document', text, NUMBER, (match, start, end) => {
    const digits = match[0].replaceAll(/\D/g, '').length;
    if (digits < 3) return false;
    if (isAmong(PASSPORT_WORDS, text, start, end, around)) return match[0].length <= 9 && match[0].length >= 8;
    if (isAmong(CARD_WORDS, text, start, end, around)) return match[0].length >= 8 && match[0].length <= 10;
    return match[0].length >= 8 && isAmong(LICENCE_WORDS, text, start, end, around);
  }),
  ...findAll('id.document', text, GB_LICENCE, () => true),
  ...(around.country === 'DE' ? findAll('id.document', text, DE_DOCUMENT, (match) => /\d/.test(match[0].slice(0, 8)) && hasIcaoCheck(match[0]) && (match[0] === match[0].toUpperCase() || match[0].length === text.trim().length)) : []),
];
