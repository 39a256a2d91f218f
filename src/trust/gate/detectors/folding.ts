/** Signs of other scripts that look like capital Latin letters (Unicode TR 39, confusables), for number plates. */
const LOOKALIKES: Readonly<Record<string, string>> = { А: 'A', В: 'B', Е: 'E', К: 'K', М: 'M', Н: 'H', О: 'O', Р: 'P', С: 'C', Т: 'T', У: 'Y', Х: 'X', а: 'a', е: 'e', о: 'o', р: 'p', с: 'c', у: 'y', х: 'x', і: 'i', Α: 'A', Β: 'B', Ε: 'E', Ζ: 'Z', Η: 'H', Ι: 'I', Κ: 'K', Μ: 'M', Ν: 'N', Ο: 'O', Ρ: 'P', Τ: 'T', Υ: 'Y', Χ: 'X' };
const NAMED: Readonly<Record<string, string>> = { commat: '@', period: '.', plus: '+', colon: ':', hyphen: '-', nbsp: ' ', amp: '&' };

// Digits of a script stand in a row of ten that begins with zero (Unicode 4.6); its neighbours below are no digits
function digitOf(sign: string): string {
  const code = sign.codePointAt(0) as number;
  // the mathematical digits are five rows side by side; NFKC has replaced them already
  let zero = code;
  while (code - zero < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(code - zero);
}

const charOf = (code: number): string => (code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : ' ');

/**
 * The text as somebody would read it: compatibility forms, invisible signs, foreign digits, gaps, dashes, look-alike letters and the
 * escapes of HTML, URLs and JSON made plain. Null when that changes nothing.
 */
export function foldText(text: string): string | null {
  if (!/[^\x20-\x7e]|&#?\w{2,10};|%(?:40|2b|3a|2e|20)|\\u00[0-7]/i.test(text)) return null;
  const folded = text
    .replace(/&#(\d{1,7});/g, (_all, code: string) => charOf(Number(code)))
    .replace(/&#x([0-9a-f]{1,6});/gi, (_all, code: string) => charOf(Number.parseInt(code, 16)))
    .replace(/&([a-z]{2,10});/g, (all, name: string) => (Object.hasOwn(NAMED, name) ? (NAMED[name] as string) : all))
    .replace(/\\u00([2-7][0-9a-f])/gi, (_all, code: string) => charOf(Number.parseInt(code, 16)))
    .replace(/%(40|2b|3a|2e|20)/gi, (_all, code: string) => charOf(Number.parseInt(code, 16)))
    .toWellFormed()
    .normalize('NFKC')
    .replace(/[\p{Cf}\u034f\u180b-\u180f\ufe00-\ufe0f]/gu, '')
    .replace(/[\p{Zs}\t]/gu, ' ')
    .replace(/[\p{Pd}\u2212\u00b7\u2022\u2027\u30fb]/gu, '-')
    .replace(/\p{Nd}/gu, (sign) => (sign < '\u0080' ? sign : digitOf(sign)))
    .replace(/[\u0370-\u04ff]/gu, (sign) => LOOKALIKES[sign] ?? sign);
  return folded === text ? null : folded;
}
