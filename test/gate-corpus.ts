import { createHash } from 'node:crypto';

/** Texts for the gate: `carries` is the rule that must find something in it; null when nothing may; `misses` the rule that may not. Made from the public rules of each number. */
export interface Sample {
  readonly text: string;
  readonly carries: string | null;
  /** A near miss: its check does not hold for this rule. By chance it may hold for the number of another country. */
  readonly misses?: string;
  readonly country: string;
}

/** Numbers of a seed, in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Draw {
  whole(low: number, high: number): number;
  digits(count: number): string;
  of<T>(list: readonly T[]): T;
  letters(count: number, from?: string): string;
  hex(count: number): string;
}

function drawFrom(random: () => number): Draw {
  const whole = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const of = <T>(list: readonly T[]): T => list[whole(0, list.length - 1)] as T;
  const many = (count: number, signs: string): string => Array.from({ length: count }, () => of([...signs])).join('');
  return { whole, of, digits: (count) => many(count, '0123456789'), letters: (count, from = 'ABCDEFGHJKLMNPRSTVWXYZ') => many(count, from), hex: (count) => many(count, '0123456789abcdef') };
}

const pad = (value: number, places: number): string => String(value).padStart(places, '0');
const weighted = (digits: string, weights: readonly number[]): number => weights.reduce((sum, weight, at) => sum + weight * Number(digits[at]), 0);
const grouped = (text: string, sizes: readonly number[], by: string): string => {
  let at = 0;
  const parts = sizes.map((size) => text.slice(at, (at += size)));
  return [...parts, text.slice(at)].filter((part) => part !== '').join(by);
};

/** The digit that makes the sum of ISO/IEC 7812-1 annex B a multiple of ten. */
function luhnDigit(body: string): string {
  const sum = [...body].reverse().reduce((total, sign, at) => total + (at % 2 === 0 ? [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][Number(sign)] as number : Number(sign)), 0);
  return String((10 - (sum % 10)) % 10);
}

const asNumber = (text: string): bigint => BigInt([...text].map((sign) => (/\d/.test(sign) ? sign : String(sign.charCodeAt(0) - 55))).join(''));
const ibanOf = (country: string, bban: string): string => `${country}${pad(98 - Number(asNumber(`${bban}${country}00`) % 97n), 2)}${bban}`;

/** Draws until the check exists; some bodies have none. */
function until(make: () => string | null): string {
  for (;;) {
    const made = make();
    if (made !== null) return made;
  }
}

const CF_ODD: Readonly<Record<string, number>> = Object.fromEntries([...'0123456789'].map((sign, at) => [sign, [1, 0, 5, 7, 9, 13, 15, 17, 19, 21][at] as number]));
const CF_ODD_LETTERS = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

interface Kind {
  readonly rule: string;
  readonly country: string;
  /** What is said beside it in a sentence. */
  readonly word: string;
  readonly make: (draw: Draw) => string;
  /** A form of it that is none: a check that does not hold. */
  readonly miss?: (draw: Draw) => string;
  /** It is found without a word beside it. */
  readonly alone: boolean;
}

const nextDigit = (text: string): string => text.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
const birthday = (draw: Draw): { day: string; month: string; year: string } => ({ day: pad(draw.whole(1, 28), 2), month: pad(draw.whole(1, 12), 2), year: pad(draw.whole(0, 99), 2) });

const checked = (rule: string, country: string, word: string, alone: boolean, make: (draw: Draw) => string): Kind => ({ rule, country, word, alone, make, miss: (draw) => nextDigit(make(draw)) });

const KINDS: readonly Kind[] = [
  { rule: 'address.mac', country: 'DE', word: 'MAC', alone: true, make: (draw) => {
    const mac = until(() => ((hex) => (/\d/.test(hex.slice(0, 6)) && /[a-f]/.test(hex.slice(0, 6)) && /\d/.test(hex.slice(6)) && /[a-f]/.test(hex.slice(6)) ? hex : null))(draw.hex(12)));
    const spelled = draw.of([grouped(mac, [2, 2, 2, 2, 2], ':'), grouped(mac, [2, 2, 2, 2, 2], '-'), grouped(mac, [4, 4], '.'), mac, grouped(mac, [6], '-')]);
    return draw.of([spelled, spelled.toUpperCase()]);
  } },
  { rule: 'address.eui64', country: 'DE', word: 'EUI-64', alone: true, make: (draw) => grouped(`70b3d5${draw.hex(10)}`, [2, 2, 2, 2, 2, 2, 2], draw.of(['-', ':'])) },
  checked('imei', 'DE', 'IMEI', true, (draw) => {
    const body = `35${draw.digits(12)}`;
    const imei = body + luhnDigit(body);
    return draw.of([imei, grouped(imei, [2, 6, 6], '-'), grouped(imei, [2, 6, 6], ' ')]);
  }),
  checked('card', 'DE', 'card', true, (draw) => {
    const body = draw.of([`4${draw.digits(14)}`, `5${String(draw.whole(1, 5))}${draw.digits(13)}`, `6011${draw.digits(11)}`]);
    const card = body + luhnDigit(body);
    return draw.of([card, grouped(card, [4, 4, 4], ' '), grouped(card, [4, 4, 4], '-')]);
  }),
  checked('iban', 'DE', 'IBAN', true, (draw) => {
    const iban = draw.of([() => ibanOf('DE', draw.digits(18)), () => ibanOf('NL', `${draw.letters(4)}${draw.digits(10)}`), () => ibanOf('FR', draw.digits(23)), () => ibanOf('GB', `${draw.letters(4)}${draw.digits(14)}`), () => ibanOf('ES', draw.digits(20)), () => ibanOf('BE', draw.digits(12)), () => ibanOf('CH', draw.digits(17)), () => ibanOf('AT', draw.digits(16))])();
    return draw.of([iban, iban.toLowerCase(), grouped(iban, [4, 4, 4, 4, 4, 4], ' '), grouped(iban, [4, 4, 4, 4, 4, 4], '-')]);
  }),
  { rule: 'address.email', country: 'DE', word: 'mail', alone: true, make: (draw) => `${draw.of(['anna', 'b.müller', 'jan_de-vries', 'o.nasc+rom', 'x'])}${draw.digits(2)}@${draw.of(['example', 'post-amt', 'mail.stadt'])}.${draw.of(['de', 'co.uk', 'org', 'eu', 'museum'])}` },
  { rule: 'address.ip', country: 'DE', word: 'address', alone: true, make: (draw) => draw.of([
    () => `${String(draw.whole(1, 223))}.${String(draw.whole(0, 255))}.${String(draw.whole(0, 255))}.${String(draw.whole(1, 254))}`,
    () => Array.from({ length: 8 }, () => draw.whole(1, 65_535).toString(16)).join(':'),
    () => `2001:db8::${draw.whole(1, 65_535).toString(16)}:${draw.whole(1, 65_535).toString(16)}`,
    () => `fe80::${draw.whole(1, 65_535).toString(16)}:${draw.whole(1, 65_535).toString(16)}`,
  ])() },
  { rule: 'phone', country: 'DE', word: 'Tel.', alone: true, make: (draw) => draw.of([
    () => `+49 30 ${String(draw.whole(2, 8))}${draw.digits(7)}`,
    () => `+49151${draw.digits(8)}`,
    () => `0049 171 ${String(draw.whole(1, 9))}${draw.digits(6)}`,
    () => `+31 6 ${String(draw.whole(1, 5))}${draw.digits(7)}`,
    () => `+33 6 ${String(draw.whole(10, 79))} ${draw.digits(2)} ${draw.digits(2)} ${draw.digits(2)}`,
    () => `+44 7400 ${draw.digits(6)}`,
    () => `+34 612 ${draw.digits(3)} ${draw.digits(3)}`,
    () => `+43 664 ${String(draw.whole(1, 9))}${draw.digits(6)}`,
    () => `+41 79 ${String(draw.whole(200, 899))} ${draw.digits(2)} ${draw.digits(2)}`,
    () => `030 ${String(draw.whole(2, 8))}${draw.digits(7)}`,
  ])() },
  { rule: 'plate', country: 'DE', word: 'Kennzeichen', alone: true, make: (draw) => {
    const plate = `${draw.of(['MS', 'B', 'M', 'HH', 'K', 'WAF', 'ST', 'GÖ'])}${draw.of(['-', ' '])}${draw.letters(2)} ${String(draw.whole(1, 9))}${draw.digits(draw.whole(1, 2))}`;
    return plate;
  } },
  { rule: 'plate', country: 'NL', word: 'kenteken', alone: true, make: (draw) => draw.of([() => `${draw.digits(2)}-${draw.letters(3, 'BDFGHJKLNPRSTVXZ')}-${String(draw.whole(1, 9))}`, () => `${draw.letters(1, 'GHJKLNPRSTVXZ')}-${draw.digits(3)}-${draw.letters(2, 'BDFGHJKLNPRSTVXZ')}`])() },
  { rule: 'plate', country: 'FR', word: 'plaque', alone: true, make: (draw) => `${draw.letters(2)}-${pad(draw.whole(1, 999), 3)}-${draw.letters(2, 'BDEFGHJKLNPQRSTVXZ')}` },
  { rule: 'plate', country: 'DE', word: 'license plate', alone: false, make: (draw) => `${draw.of(['ms', 'b', 'hh'])}-${draw.letters(2).toLowerCase()}${String(draw.whole(100, 999))}` },
  checked('id.nl-bsn', 'NL', 'BSN', true, (draw) => until(() => {
    const body = `${String(draw.whole(1, 9))}${draw.digits(7)}`;
    const check = weighted(body, [9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    return check > 9 ? null : body + String(check);
  })),
  checked('id.be-rrn', 'BE', 'rijksregisternummer', true, (draw) => {
    const { day, month, year } = birthday(draw);
    const body = `${year}${month}${day}${pad(draw.whole(1, 997), 3)}`;
    const number = body + pad(97 - (Number(body) % 97), 2);
    return draw.of([number, `${year}.${month}.${day}-${number.slice(6, 9)}.${number.slice(9)}`]);
  }),
  checked('id.de-steuer', 'DE', 'Steuer-ID', true, (draw) => {
    const order = [...'123456789'].sort(() => draw.whole(0, 1) - 0.5);
    const body = [...order.slice(0, 8), order[0] as string, order[8] as string].join('');
    let product = 10;
    for (const sign of body) product = (((Number(sign) + product) % 10 || 10) * 2) % 11;
    const number = body + String((11 - product) % 10);
    return draw.of([number, grouped(number, [2, 3, 3], ' ')]);
  }),
  checked('id.fr-nir', 'FR', 'NIR', true, (draw) => {
    const body = `${String(draw.whole(1, 2))}${draw.digits(2)}${pad(draw.whole(1, 12), 2)}${pad(draw.whole(1, 95), 2)}${pad(draw.whole(1, 990), 3)}${pad(draw.whole(1, 999), 3)}`;
    const number = body + pad(97 - Number(BigInt(body) % 97n), 2);
    return draw.of([number, grouped(number, [1, 2, 2, 2, 3, 3], ' ')]);
  }),
  { rule: 'id.es-dni', country: 'ES', word: 'DNI', alone: true, make: (draw) => ((digits) => `${digits}${draw.of(['', '-'])}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(digits) % 23] as string}`)(`${String(draw.whole(1, 9))}${draw.digits(7)}`), miss: (draw) => ((digits) => `${digits}${'TRWAGMYFPDXBNJZSQVHLCKE'[(Number(digits) + 1) % 23] as string}`)(`${String(draw.whole(1, 9))}${draw.digits(7)}`) },
  { rule: 'id.it-cf', country: 'IT', word: 'codice fiscale', alone: true, make: (draw) => {
    const { day, year } = birthday(draw);
    const body = `${draw.letters(6, 'BCDFGLMNPRSTV')}${year}${draw.letters(1, 'ABCDEHLMPRST')}${day}${draw.letters(1, 'ABCDEFGHL')}${pad(draw.whole(1, 999), 3)}`;
    const sum = [...body].reduce((total, sign, at) => total + (at % 2 === 0 ? (CF_ODD[sign] ?? (CF_ODD_LETTERS[sign.charCodeAt(0) - 65] as number)) : /\d/.test(sign) ? Number(sign) : sign.charCodeAt(0) - 65), 0);
    const code = body + String.fromCharCode(65 + (sum % 26));
    return draw.of([code, code.toLowerCase()]);
  } },
  checked('id.pt-nif', 'PT', 'NIF', true, (draw) => {
    const body = `${String(draw.of([1, 2, 3]))}${draw.digits(7)}`;
    const rest = weighted(body, [9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    return body + String(rest < 2 ? 0 : 11 - rest);
  }),
  checked('id.at-svnr', 'AT', 'SVNR', true, (draw) => until(() => {
    const { day, month, year } = birthday(draw);
    const serial = String(draw.whole(100, 999));
    const check = weighted(serial, [3, 7, 9]) + weighted(`${day}${month}${year}`, [5, 8, 4, 2, 1, 6]);
    return check % 11 > 9 ? null : `${serial}${String(check % 11)}${draw.of(['', ' '])}${day}${month}${year}`;
  })),
  checked('id.ch-ahv', 'CH', 'AHV', true, (draw) => {
    const body = `756${draw.digits(9)}`;
    const number = body + String((10 - (weighted(body, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10);
    return draw.of([number, grouped(number, [3, 4, 4], '.')]);
  }),
  { rule: 'id.uk-nino', country: 'GB', word: 'national insurance', alone: true, make: (draw) => ((nino) => draw.of([nino, grouped(nino, [2, 2, 2, 2], ' '), nino.toLowerCase()]))(`${draw.of(['AB', 'CE', 'JG', 'PW', 'SN'])}${draw.digits(6)}${draw.letters(1, 'ABCD')}`) },
  { rule: 'id.us-ssn', country: 'US', word: 'SSN', alone: true, make: (draw) => `${String(draw.whole(100, 665))}-${pad(draw.whole(1, 99), 2)}-${pad(draw.whole(1, 9_999), 4)}` },
  checked('id.pl-pesel', 'PL', 'PESEL', true, (draw) => {
    const { day, month, year } = birthday(draw);
    const body = `${year}${month}${day}${draw.digits(4)}`;
    return body + String((10 - (weighted(body, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10);
  }),
  { rule: 'id.fi-hetu', country: 'FI', word: 'HETU', alone: true, make: (draw) => {
    const { day, month, year } = birthday(draw);
    const serial = pad(draw.whole(2, 899), 3);
    return `${day}${month}${year}${draw.of(['-', 'A'])}${serial}${'0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(`${day}${month}${year}${serial}`) % 31] as string}`;
  } },
  checked('id.se-pnr', 'SE', 'personnummer', true, (draw) => {
    const { day, month, year } = birthday(draw);
    const body = `${year}${month}${day}${draw.digits(3)}`;
    const number = body + luhnDigit(body);
    return draw.of([`${number.slice(0, 6)}-${number.slice(6)}`, `19${number}`]);
  }),
  checked('id.no-fnr', 'NO', 'fødselsnummer', true, (draw) => until(() => {
    const { day, month, year } = birthday(draw);
    const body = `${day}${month}${year}${draw.digits(3)}`;
    const first = (11 - (weighted(body, [3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11)) % 11;
    const second = (11 - (weighted(`${body}${String(first)}`, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11;
    return first > 9 || second > 9 ? null : `${body}${String(first)}${String(second)}`;
  })),
  checked('id.ee-lt', 'EE', 'isikukood', true, (draw) => {
    const { day, month, year } = birthday(draw);
    const body = `${String(draw.whole(3, 6))}${year}${month}${day}${draw.digits(3)}`;
    const first = weighted(body, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    return body + String(first < 10 ? first : (weighted(body, [3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11) % 10);
  }),
  checked('id.tr-kimlik', 'TR', 'TC kimlik', true, (draw) => {
    const body = `${String(draw.whole(1, 9))}${draw.digits(8)}`;
    const [odd, even] = [weighted(body, [1, 0, 1, 0, 1, 0, 1, 0, 1]), weighted(body, [0, 1, 0, 1, 0, 1, 0, 1])];
    const tenth = (((odd * 7 - even) % 10) + 10) % 10;
    return `${body}${String(tenth)}${String((odd + even + tenth) % 10)}`;
  }),
];

/** Two digits of a month that carries what `more` says. */
const dated = (draw: Draw, order: 'dmy' | 'ymd', { day: ofDay = 0, month: ofMonth = 0 } = {}): string => {
  const { day, month, year } = birthday(draw);
  const [dd, mm] = [pad(Number(day) + ofDay, 2), pad(Number(month) + ofMonth, 2)];
  return order === 'dmy' ? `${dd}${mm}${year}` : `${year}${mm}${dd}`;
};
/** Digits of the letter (A is 01) and of the sum of digits of each product. */
const crossed = (digits: string, weights: readonly number[]): number => weights.reduce((sum, weight, at) => sum + [...String(weight * Number(digits[at]))].reduce((cross, sign) => cross + Number(sign), 0), 0);
const ordinal = (letter: string): string => pad(letter.charCodeAt(0) - 64, 2);
const icaoDigit = (text: string): string => String([...text].reduce((sum, sign, at) => sum + Number.parseInt(sign, 36) * ([7, 3, 1][at % 3] as number), 0) % 10);

/** J. Verhoeff, Error Detecting Decimal Codes (1969): the table of the group, row by row, and the permutations that repeat one. */
const GROUP = ['0123456789', '1234067895', '2340178956', '3401289567', '4012395678', '5987604321', '6598710432', '7659821043', '8765932104', '9876543210'];
const PLACES = ['0123456789', '1576283094', '5803796142', '8916043527', '9453126870', '4286573901', '2793806415', '7046913258'];
const verhoeffDigit = (body: string): string => {
  const sum = [...body].reverse().reduce((product, sign, at) => Number(GROUP[product]?.[Number(PLACES[(at + 1) % 8]?.[Number(sign)])]), 0);
  return String(GROUP[sum]?.indexOf('0'));
};

/** Kinds that need no sentence of their own: countries of the east and north, documents, plates, networks of cards. */
const MORE_KINDS: readonly Kind[] = [
  checked('id.bg-egn', 'BG', 'ЕГН', true, (draw) => ((body) => body + String((weighted(body, [2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11) % 10))(`${dated(draw, 'ymd')}${draw.digits(3)}`)),
  checked('id.cz-rc', 'CZ', 'rodné číslo', true, (draw) => until(() => ((body) => ((rest) => (rest > 9 ? null : `${body.slice(0, 6)}/${body.slice(6)}${String(rest)}`))((11 - Number(`${body}0`) % 11) % 11))(`${dated(draw, 'ymd', { month: draw.of([0, 50]) })}${draw.digits(3)}`))),
  { rule: 'id.dk-cpr', country: 'DK', word: 'CPR', alone: true, make: (draw) => `${dated(draw, 'dmy')}${draw.of(['', '-'])}${String(draw.whole(1, 9))}${draw.digits(3)}` },
  checked('id.hr-oib', 'HR', 'OIB', true, (draw) => ((body) => {
    let product = 10;
    for (const sign of body) product = (((Number(sign) + product) % 10 || 10) * 2) % 11;
    return body + String((11 - product) % 10);
  })(`${String(draw.whole(1, 9))}${draw.digits(9)}`)),
  { rule: 'id.ie-pps', country: 'IE', word: 'PPS', alone: true, make: (draw) => ((digits, second) => `${digits}${'WABCDEFGHIJKLMNOPQRSTUV'[(weighted(digits, [8, 7, 6, 5, 4, 3, 2]) + (second === '' ? 0 : 9 * (second.charCodeAt(0) - 64))) % 23] as string}${second}`)(`${String(draw.whole(1, 9))}${draw.digits(6)}`, draw.of(['', 'A', 'H'])) },
  checked('id.lv-pk', 'LV', 'personas kods', true, (draw) => until(() => ((body) => ((check) => (check > 9 ? null : `${body.slice(0, 6)}-${body.slice(6)}${String(check)}`))((1101 - weighted(body, [1, 6, 3, 7, 9, 10, 5, 8, 4, 2])) % 11))(`${dated(draw, 'dmy')}${String(draw.whole(0, 2))}${draw.digits(3)}`))),
  checked('id.ro-cnp', 'RO', 'CNP', true, (draw) => ((body) => body + String(((sum) => (sum === 10 ? 1 : sum))(weighted(body, [2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11)))(`${String(draw.whole(1, 6))}${dated(draw, 'ymd')}${pad(draw.whole(1, 46), 2)}${draw.digits(3)}`)),
  checked('id.gr-amka', 'GR', 'ΑΜΚΑ', true, (draw) => ((body) => body + luhnDigit(body))(`${dated(draw, 'dmy')}${draw.digits(4)}`)),
  checked('id.lu-matricule', 'LU', 'matricule', true, (draw) => ((body) => `${body}${luhnDigit(body)}${verhoeffDigit(body)}`)(`19${dated(draw, 'ymd')}${draw.digits(3)}`)),
  { rule: 'id.is-kt', country: 'IS', word: 'kennitala', alone: true, make: (draw) => until(() => ((body) => ((check) => (check > 9 ? null : `${body.slice(0, 6)}${draw.of(['', '-'])}${body.slice(6)}${String(check)}${draw.of(['9', '0'])}`))((11 - (weighted(body, [3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11))(`${dated(draw, 'dmy')}${draw.digits(2)}`)) },
  checked('id.si-emso', 'SI', 'EMŠO', true, (draw) => until(() => ((body) => ((check) => (check > 9 ? null : body + String(check)))((11 - (weighted(body, [7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11)) % 11))(((date) => `${date.slice(0, 4)}9${date.slice(4)}50${draw.digits(3)}`)(dated(draw, 'dmy'))))),
  checked('id.hu-szam', 'HU', 'adóazonosító', true, (draw) => until(() => ((body) => ((check) => (check > 9 ? null : body + String(check)))(weighted(body, [1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11))(`8${draw.digits(8)}`))),
  checked('id.hu-szam', 'HU', 'TAJ', true, (draw) => ((body) => body + String(weighted(body, [3, 7, 3, 7, 3, 7, 3, 7]) % 10))(`1${draw.digits(7)}`)),
  checked('id.de-kvnr', 'DE', 'KVNR', true, (draw) => ((letter, digits) => `${letter}${digits}${String(crossed(ordinal(letter) + digits, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]) % 10)}`)(draw.letters(1), draw.digits(8))),
  checked('id.de-rvnr', 'DE', 'RVNR', true, (draw) => ((head, letter, serial) => `${head}${letter}${serial}${String(crossed(head + ordinal(letter) + serial, [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]) % 10)}`)(`${pad(draw.whole(10, 89), 2)}${dated(draw, 'dmy')}`, draw.letters(1), draw.digits(2))),
  checked('id.uk-nhs', 'GB', 'NHS', true, (draw) => until(() => ((body) => ((check) => (check > 9 ? null : grouped(body + String(check), [3, 3], draw.of(['', ' ', '-']))))((11 - (weighted(body, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11))(`${String(draw.whole(4, 7))}${draw.digits(8)}`))),
  { rule: 'imsi', country: 'DE', word: 'IMSI', alone: false, make: (draw) => `262${draw.digits(12)}` },
  checked('imsi', 'DE', 'ICCID', true, (draw) => ((body) => body + luhnDigit(body))(`8949${draw.digits(14)}`)),
  checked('id.document', 'DE', 'Ausweis', true, (draw) => ((body) => body + icaoDigit(body))(`${draw.letters(1, 'CFGHJKLMNPRTVWXYZ')}${draw.digits(3)}${draw.letters(2, 'CFGHJKLMNPRTVWXYZ')}${draw.digits(2)}`)),
  { rule: 'id.document', country: 'NL', word: 'paspoort', alone: false, make: (draw) => `${draw.letters(2)}${draw.digits(6)}${String(draw.whole(0, 9))}` },
  { rule: 'plate', country: 'GB', word: 'registration', alone: true, make: (draw) => `${draw.letters(2, 'ABCDEFGHJKLMNOPRSTUVWXY')}${draw.of(['02', '14', '24', '51', '68', '73'])} ${draw.letters(3)}` },
  { rule: 'plate', country: 'TR', word: 'plakası', alone: true, make: (draw) => `${pad(draw.whole(1, 81), 2)} ${draw.letters(draw.whole(1, 3), 'ABCDEFGHJKLMNPRSTUVYZ')} ${String(draw.whole(100, 999))}` },
  { rule: 'plate', country: 'PT', word: 'matrícula', alone: true, make: (draw) => draw.of([() => `${draw.letters(2)}-${draw.digits(2)}-${draw.letters(2)}`, () => `${draw.digits(2)}-${draw.letters(2)}-${draw.digits(2)}`])() },
  { rule: 'plate', country: 'SE', word: 'registreringsnummer', alone: true, make: (draw) => `${draw.letters(3, 'BCDFGHJKLNPRSTWXZ')} ${draw.digits(2)}${draw.of(['1', '7', 'B', 'K'])}` },
  { rule: 'plate', country: 'CZ', word: 'SPZ', alone: true, make: (draw) => `${String(draw.whole(1, 9))}${draw.letters(1, 'ABCEHJKLMPSTUZ')}${String(draw.whole(1, 9))} ${draw.digits(4)}` },
  { rule: 'plate', country: 'IT', word: 'targa', alone: true, make: (draw) => `${draw.letters(2, 'ABCDEFGHJKLMNPRSTVWXYZ')} ${draw.digits(3)} ${draw.letters(2, 'ABCDEFGHJKLMNPRSTVWXYZ')}` },
  checked('card', 'DE', 'card', true, (draw) => ((body) => body + luhnDigit(body))(draw.of([() => `34${draw.digits(12)}`, () => `36${draw.digits(11)}`, () => `352${String(draw.whole(8, 9))}${draw.digits(11)}`, () => `62${draw.digits(13)}`, () => `2${String(draw.whole(300, 699))}${draw.digits(11)}`, () => `6759${draw.digits(11)}`])())),
  { rule: 'address.email', country: 'DE', word: 'mail', alone: true, make: (draw) => draw.of([() => `"o. ${draw.letters(4)}"@post.example`, () => `x${draw.digits(3)}@[192.0.2.${String(draw.whole(1, 254))}]`, () => `a${draw.digits(2)} @ post-amt.de`, () => `a${draw.digits(2)} (at) post-amt (dot) de`])() },
];

const SENTENCES = ['{}', '{} was seen', 'Seen: {}', '{word}: {}', '{word} {}', '"{}"', '({})', 'near the pump, {word} {}, at noon', '{word}={};'] as const;

/** Nothing of these is anybody's: what sensors, clocks and software say. */
function harmless(draw: Draw): string {
  const date = `20${pad(draw.whole(10, 29), 2)}-${pad(draw.whole(1, 12), 2)}-${pad(draw.whole(1, 28), 2)}`;
  const time = `${pad(draw.whole(0, 23), 2)}:${pad(draw.whole(0, 59), 2)}:${pad(draw.whole(0, 59), 2)}`;
  const uuid = grouped(draw.hex(32), [8, 4, 4, 4], '-');
  return draw.of([
    date, time, `${date}T${time}Z`, `${date}T${time}.${draw.digits(3)}+02:00`, `${date} ${time}`, `${pad(draw.whole(1, 28), 2)}.${pad(draw.whole(1, 12), 2)}.2026`, uuid, `urn:uuid:${uuid}`,
    createHash('sha256').update(draw.hex(8)).digest('hex'), createHash('sha1').update(draw.hex(8)).digest('hex'), draw.hex(8), `commit ${draw.hex(40)}`,
    `v${String(draw.whole(0, 9))}.${String(draw.whole(0, 20))}.${String(draw.whole(0, 99))}`, `firmware ${String(draw.whole(1, 9))}.${String(draw.whole(0, 20))}.${String(draw.whole(0, 99))}.${String(draw.whole(0, 250))}`,
    `51.${draw.digits(6)}, 7.${draw.digits(6)}`, `POINT(7.${draw.digits(5)} 51.${draw.digits(5)})`, `-34.${draw.digits(5)},-56.${draw.digits(5)}`,
    String(draw.whole(1_700_000_000, 1_800_000_000)), String(1_700_000_000_000 + draw.whole(0, 99_999_999_999)), `${String(draw.whole(0, 999_999))} kWh`, `${String(draw.whole(0, 99))}.${draw.digits(2)} °C`, `meter reading ${draw.digits(8)}`, `level ${String(draw.whole(0, 9))}.${draw.digits(3)} m`,
    `70b3d5${draw.hex(10)}`, 'open', 'pump-running', 'STATE_OK', 'error 0x1F', `urn:ngsi-ld:OffStreetParking:porto-${String(draw.whole(1_000, 99_999))}`, `http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement`, `ucum:ug/m3`, `line ${String(draw.whole(1, 99))} to station ${String(draw.whole(1, 20))}`, `${draw.digits(3)}/${draw.digits(3)}`, `A${String(draw.whole(1, 999))}`, `lamp ${String(draw.whole(1, 9_999))}`, `sensor-${draw.hex(4)}-${String(draw.whole(1, 99))}`, `${String(draw.whole(100, 999))} ppm CO2`, `${String(draw.whole(1, 100))} %`, `L${draw.digits(2)}-${draw.digits(4)}`,
  ]);
}

/** `per` texts of each kind, as many near misses where a check exists, and ten times as many that are nothing. */
export function makeCorpus(seed: number, per: number): Sample[] {
  const draw = drawFrom(seeded(seed));
  const samples: Sample[] = [];
  const say = (sentence: string, word: string, found: string): string => sentence.replace('{word}', word).replace('{}', found);
  for (const { rule, country, word, make, miss, alone } of [...KINDS, ...MORE_KINDS]) {
    const sentences = alone ? SENTENCES : SENTENCES.filter((sentence) => sentence.includes('{word}'));
    for (let n = 0; n < per; n += 1) {
      samples.push({ text: say(draw.of(sentences), word, make(draw)), carries: rule, country });
      if (miss !== undefined) samples.push({ text: say(draw.of(['{}', 'Seen: {}', '"{}"']), word, miss(draw)), carries: null, misses: rule, country });
    }
  }
  for (let n = 0; n < per * 10; n += 1) samples.push({ text: harmless(draw), carries: null, country: draw.of(['DE', 'NL', 'FR', 'GB', 'UY', 'SE']) });
  return samples;
}
