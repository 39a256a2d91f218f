import { digitsOf, findAll, hasLuhn, isAmong, isOneDigit, weigh, words, type Detector, type Hit } from './detector.ts';

// Length of an IBAN by country (SWIFT IBAN Registry, ISO 13616; the second line: in use without being in the registry)
const IBAN_LENGTHS: Readonly<Record<string, number>> = { AD: 24, AE: 23, AL: 28, AT: 20, AZ: 28, BA: 20, BE: 16, BG: 22, BH: 22, BI: 27, BR: 29, BY: 28, CH: 21, CR: 22, CY: 28, CZ: 24, DE: 22, DJ: 27, DK: 18, DO: 28, EE: 20, EG: 29, ES: 24, FI: 18, FK: 18, FO: 18, FR: 27, GB: 22, GE: 22, GI: 23, GL: 18, GR: 27, GT: 28, HN: 28, HR: 21, HU: 28, IE: 22, IL: 23, IQ: 23, IS: 26, IT: 27, JO: 30, KW: 30, KZ: 20, LB: 28, LC: 32, LI: 21, LT: 20, LU: 20, LV: 21, LY: 25, MC: 27, MD: 24, ME: 22, MK: 19, MN: 20, MR: 27, MT: 31, MU: 30, NI: 28, NL: 18, NO: 15, OM: 23, PK: 24, PL: 28, PS: 29, PT: 25, QA: 29, RO: 24, RS: 22, RU: 33, SA: 24, SC: 31, SD: 18, SE: 24, SI: 19, SK: 24, SM: 27, SO: 23, ST: 25, SV: 28, TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20, YE: 30,
  AO: 25, BF: 28, BJ: 28, CF: 27, CG: 27, CI: 28, CM: 27, CV: 25, DZ: 26, GA: 27, GQ: 27, GW: 25, IR: 26, KM: 27, MA: 28, MG: 27, ML: 28, MZ: 25, NE: 28, SN: 28, TD: 27, TG: 28,
};
// no part of a UUID
const IBAN_START = /(?<![A-Za-z0-9]|[0-9a-f]{4}-)([A-Za-z]{2})[ -]?(\d)[ -]?(\d)/g;

/** ISO 13616: mod 97 of ISO/IEC 7064 over the digits, letters as 10 to 35, the first four characters last. */
function isIban(iban: string): boolean {
  let rest = 0;
  for (const sign of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(sign, 36);
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97;
  }
  return rest === 1;
}

export const findIbans: Detector = (text) => {
  const hits: Hit[] = [];
  IBAN_START.lastIndex = 0;
  for (let match = IBAN_START.exec(text); match !== null; match = IBAN_START.exec(text)) {
    const length = IBAN_LENGTHS[(match[1] as string).toUpperCase()];
    if (length === undefined) continue;
    let iban = '';
    let at = match.index;
    for (; at < text.length && iban.length < length; at += 1) {
      const sign = text[at] as string;
      if (/[A-Za-z0-9]/.test(sign)) iban += sign.toUpperCase();
      else if (!/[ .\u00a0-]/.test(sign) || /[^A-Za-z0-9]/.test(text[at - 1] ?? ' ')) break;
    }
    if (iban.length === length && !/[A-Za-z0-9]/.test(text[at] ?? ' ') && isIban(iban)) {
      hits.push({ rule: 'iban', start: match.index, end: at });
      IBAN_START.lastIndex = at;
    }
  }
  return hits;
};

const CARD_WORDS = words`card|credit|debit|visa|master ?card|amex|american express|maestro|diners|discover|jcb|karte(?:nnummer)?|kreditkarte|carte|tarjeta|carta|pan|cc`;
// Issuer ranges in use (ISO/IEC 7812-1; the networks' public notices), with the lengths they issue
const ISSUERS: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^4/, [16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|095|6|8|9)/, [14, 16, 19]],
  [/^(?:6011|64[4-9]|65)/, [16, 19]],
  [/^62/, [16, 17, 18, 19]],
  [/^35(?:2[89]|[3-8])/, [16, 19]],
  [/^220[0-4]/, [16, 19]],
  [/^5019/, [16]],
  [/^81/, [16, 17, 18, 19]],
  // Maestro ranges of most banks
  [/^(?:5018|5020|5038|5893|6304|6759|676[1-5])/, [16, 18, 19]],
];
const MAESTRO = /^(?:50|5[6-9]|6[0-9])/;
const CARD = /(?<![\w.+-])(?<![A-Za-z]{2}\d\d(?:[ -]\d{4}){0,4}[ -])(?<!\d[.,])(?:\d[ \u00a0-]?){12,18}\d(?![\w]|[.,-]\d)/g;

const isArticle = (digits: string): boolean => weigh(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;

/** Whether digits alone, from 13 to 19 of them, are those of a payment card. */
export const isCard = (digits: string, named = false, isText = false): boolean => {
  if (!hasLuhn(digits) || isOneDigit(digits)) return false;
  // as text: the network of airlines (UATP), and thirteen digits that are no article number (GS1 General Specifications §7.9)
  if (isText && ((digits.length === 15 && digits.startsWith('1')) || (digits.length === 13 && digits.startsWith('4') && !isArticle(digits)))) return true;
  if (ISSUERS.some(([start, lengths]) => start.test(digits) && lengths.includes(digits.length))) return true;
  return named && ((digits.startsWith('4') && digits.length === 13) || MAESTRO.test(digits));
};

export const findCards: Detector = (text, around) =>
  findAll('card', text, CARD, (match, start, end) => {
    const separators = new Set(match[0].replaceAll(/\d/g, ''));
    const groups = match[0].split(/\D/);
    return separators.size <= 1 && groups.every((group) => group.length >= 3 || groups.length === 1 || group === groups.at(-1)) && isCard(digitsOf(match[0]), isAmong(CARD_WORDS, text, start, end, around), around.isNumber !== true);
  });

const IMEI_WORDS = words`imei(?:sv)?|meid|handset|mobile equipment|device id`;
const MEID_WORDS = words`meid`;
const IMSI_WORDS = words`imsi|iccid|sim|subscriber|tmsi|supi|msisdn`;
// Reporting body identifiers of type allocation codes (GSMA TS.06 annex; those that handsets carry)
const REPORTING_BODY = /^(?:01|35|86|98|99|44|45|49|5[0-4]|91|97|33|30)/;
const IMEI = /(?<![\w+-])(?<!\d[.,])\d{2}([ /-]?)\d{6}\1\d{6}\1\d(?![\w]|[.,-]\d)/g;
// eight digits of type allocation, six of the series, the check or two of the software; and a MEID (3GPP2 S.R0048), hexadecimal or decimal
const TAC_FIRST = /(?<![\w+-])(?<!\d[.,])\d{8}[ -]\d{6}[ -]\d\d?(?![\w]|[.,-]\d)/g;
const MEID = /(?<![\w+-])(?:[A-F][\dA-F](?: ?[\dA-F]{2}){6}(?: ?[\dA-F])?|\d{5} ?\d{5} ?\d{4} ?\d{4}(?: ?\d)?)(?!\w)/gi;
const FIFTEEN = /(?<![\w+])(?<!\d[.,-])\d(?:[ -]?\d){13,15}(?![\w]|[.,-]\d)/g;
const ICCID = /(?<![\w+])89\d{17,18}(?!\w)/g;

/** 3GPP TS 23.003 §6.2.1 and annex B: 14 digits and a Luhn digit. */
export const isImei = (digits: string): boolean => digits.length === 15 && REPORTING_BODY.test(digits) && hasLuhn(digits) && !isOneDigit(digits);

export const findMobileIds: Detector = (text, around) => {
  if (!/\d{6}/.test(text) && !/\d[ -]\d/.test(text)) return [];
  // its gaps speak for it; without them the body that allocates it has to be known
  const hits = findAll('imei', text, IMEI, (match) => isImei(digitsOf(match[0])) || (match[1] !== '' && match[1] !== undefined && hasLuhn(digitsOf(match[0])) && !isOneDigit(digitsOf(match[0]))));
  hits.push(
    ...findAll('imei', text, FIFTEEN, (match, start, end) => {
      const digits = digitsOf(match[0]);
      if (digits.length === 14 || !isAmong(IMEI_WORDS, text, start, end, around)) return false;
      return digits.length === 16 ? /imeisv/i.test(`${text} ${around.keys}`) && REPORTING_BODY.test(digits) : hasLuhn(digits) && !isOneDigit(digits);
    }),
    ...findAll('imei', text, TAC_FIRST, (match) => ((digits) => (digits.length === 16 ? REPORTING_BODY.test(digits) : hasLuhn(digits) && !isOneDigit(digits)))(digitsOf(match[0]))),
    ...findAll('imei', text, MEID, (match, start, end) => /\d/.test(match[0]) && (digitsOf(match[0]).length !== 19 || hasLuhn(digitsOf(match[0]))) && isAmong(MEID_WORDS, text, start, end, around)),
    // 3GPP TS 23.003 §2.2: mobile country code (2xx to 7xx), at most 15 digits
    ...findAll('imsi', text, FIFTEEN, (match, start, end) => /^[2-79]/.test(match[0]) && digitsOf(match[0]).length <= 15 && isAmong(IMSI_WORDS, text, start, end, around)),
    ...findAll('imsi', text, ICCID, (match) => hasLuhn(match[0])),
  );
  const kept: Hit[] = [];
  for (const hit of hits) if (!kept.some((other) => other.start === hit.start && other.rule === hit.rule)) kept.push(hit);
  return kept;
};

/** What a whole number of a stream without bounds can be: its digits are all there is to go by. */
export function findInNumber(value: number): 'imei' | 'card' | null {
  // 1e13 and less is what meters and clocks say; beyond 2^53 digits are lost
  if (!Number.isSafeInteger(value) || value < 1e13) return null;
  const digits = String(value);
  return isImei(digits) ? 'imei' : isCard(digits) ? 'card' : null;
}
