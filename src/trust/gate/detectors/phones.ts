import { isSupportedCountry, parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/max';
import { digitsOf, findAll, isAmong, words, type Detector, type Surroundings } from './detector.ts';

const PHONE_WORDS = words`tel(?:e(?:phone|fon|foon|fono|fone))?|phone|call(?:ed)?|mobile|mobil(?:nummer|telefon)?|cell(?:phone)?|handy(?:nummer)?|fon|rufnummer|fax|whatsapp|sms|text me|portable|m[óo]vil|cellulare|gsm|msisdn|dial|hotline|ring`;
/** Right before it, they leave no doubt: also a number that nobody has been given (ITU-T E.164 has at most 15 digits). */
const DIRECT = /(?:^|[^\p{L}\d])(?:tel(?:efon|[ée]fono|ephone|efoon)?|phone|fax|mobil(?:e|funk|telefon)?|handy|rufnummer|whatsapp)(?:nummer|[ -]?(?:number|no|nr))?[.:=\s#"']{0,4}$/iu;
/** These count in a sentence, not as the name of a field: serial numbers have it too. */
const SAID_WORDS = words`nummer|number|num[ée]ro|n[úu]mero|contact|reach|signal`;
const NO_PHONE_WORDS = /\b(?:lat(?:itude)?|lon(?:gitude)?|coord\w*|meter ?reading|z[äa]hlerstand|energy|serial|timestamp|epoch|isbn|order|invoice|bestellnummer|rechnung|case|version|firmware|serien?nummer|register|imei|imsi|iccid|card|konto|iban|id|kwh|bsn|pesel|steuer\w*|nhs)\b[\s\w.#:=]{0,12}$/i;
const CANDIDATE = /(?<![\w.,+/:-])(?<!\d[ \u00a0])(?:\+|\(\+|\(?00)?\(?\d(?:[\d()\u00a0 ./-]|\u2010|\u2011|\u2013){4,22}\d(?![\w]|[.,:/-]\d)/g;
/** Whose national forms are tried when the words around say that it is a telephone number. */
const FAMILIAR: readonly CountryCode[] = ['DE', 'US', 'GB', 'NL', 'BE', 'FR', 'AT', 'CH', 'IT', 'ES', 'PL', 'SE', 'DK', 'FI', 'NO', 'PT', 'IE', 'CZ', 'TR', 'IL', 'IN', 'CA', 'BR', 'AU'];

/** A length that its country has, as ITU-T E.164 numbers are written; whether the number is given out changes by the month. */
function isPossible(text: string): boolean {
  const number = parsePhoneNumberFromString(text);
  if (number === undefined) return false;
  // with the gaps of a telephone number its country's calling code is enough
  return number.number.length >= 10 && (number.isPossible() || /^\+\d{1,3}[ ()-]+\d+[ ()-]+\d{2}/.test(text));
}

function isValid(text: string, country?: CountryCode): boolean {
  return parsePhoneNumberFromString(text, country)?.isValid() ?? false;
}

const isSaid: (text: string, start: number, end: number, around: Surroundings) => boolean = (text, start, end, around) => isAmong(PHONE_WORDS, text, start, end, around) || isAmong(SAID_WORDS, text, start, end, { ...around, keys: '' });

/** Numbers that are parsed in one text; a text of more is too large to be looked through. */
const PARSED_MAX = 400;

const DATE = /^(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})/;

/** International form anywhere; national forms where words say so, or grouped the way the city's country groups them (ITU-T E.123). */
export const findPhones: Detector = (text, around) => {
  const home = isSupportedCountry(around.country) ? around.country : 'DE';
  let parsed = 0;
  const hits = findAll('phone', text, CANDIDATE, (match, start, end) => {
    if (parsed >= PARSED_MAX) return true;
    parsed += 1;
    const raw = match[0];
    const digits = digitsOf(raw);
    const isDirect = DIRECT.test(text.slice(Math.max(0, start - 24), start));
    if (isDirect && digits.length >= 6 && digits.length <= 15 && !/\.\d{3,}\D*$|^\d+\.\d+$/.test(raw) && !DATE.test(raw)) return true;
    if (digits.length < 7 || digits.length > 17 || /\.\d{5,}/.test(raw) || /\d\.\d{4,}.*[-+ ]\d+\.\d/.test(raw)) return false;
    if (/^\(?\+/.test(raw)) return isValid(raw.replace('(+', '+')) || isPossible(raw.replace('(+', '+')) || (isSaid(text, start, end, around) && digits.length >= 9);
    if (DATE.test(raw) || NO_PHONE_WORDS.test(text.slice(Math.max(0, start - 32), start)) || NO_PHONE_WORDS.test(`${around.keys.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_.-]/g, ' ')} `)) return false;
    if (/^\(?00/.test(raw)) return digits.length >= 10 && isValid(`+${digits.slice(2)}`) && (/\D/.test(raw.slice(2)) || digits.length >= 12 || isSaid(text, start, end, around));
    if (isSaid(text, start, end, around)) return [home, ...FAMILIAR].some((country) => isValid(raw, country));
    if (/^\(\d{3}\) ?\d{3}[-. ]\d{4}$/.test(raw) || /^\d{3}([-.])\d{3}\1\d{4}$/.test(raw)) return isValid(raw, 'US') || isValid(raw, home);
    // the trunk prefix and at least one gap; a number without a gap may be a meter's
    const isGrouped = /^\(?0\d{1,5}\)?[ /.-]/.test(raw) && !/^0+[.]\d/.test(raw) && !/\..*-|-.*\./.test(raw) && digits.length >= 9;
    return isGrouped && [home, 'GB' as const, 'FR' as const, 'NL' as const, 'IL' as const].some((country) => isValid(raw, country));
  });
  return parsed < PARSED_MAX ? hits.map((hit) => ({ ...hit, isSaid: PHONE_WORDS.test(text.slice(Math.max(0, hit.start - 16), hit.start)) })) : [{ rule: 'limit.size', start: 0, end: text.length }];
};
