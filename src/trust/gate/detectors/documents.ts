import { findAll, isAmong, type Detector } from './detector.ts';

const PASSPORT_WORDS = /\b(?:passport|reisepass|passnummer|passeport|pasaporte|passaporto|paspoort)\b/i;
const CARD_WORDS = /\b(?:personalausweis\w*|ausweis\w*|identity card|id card|carta d.identit[àa]|cie|idesp|perso)\b/i;
const LICENCE_WORDS = /\b(?:driv(?:er|ing)(?:'?s)?[ -]?licen[cs]e|f[üu]hrerschein\w*|permis de conduire|patente(?: di guida)?|rijbewijs|dvla)\b/i;
const NUMBER = /(?<![\w-])(?=[A-Z\d]{6,16}(?![\w-]))(?=[A-Z]*\d)[A-Z\d]{6,16}/gi;
// DVLA: five signs of the name, decade, month (50 higher for women), day, year, initials, check
const GB_LICENCE = /(?<![\w-])[A-Z9]{5}\d(?:[05][1-9]|[16][0-2])(?:0[1-9]|[12]\d|3[01])\d[A-Z9]{2}\d[A-Z]{2}(?![\w-])/g;

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
];
