/** One place in a text that looks like data about persons; offsets in UTF-16 units. */
export interface Hit {
  readonly rule: RuleId;
  readonly start: number;
  readonly end: number;
  /** Its form alone speaks for it, no word and no country: it gives way to what is better known. */
  readonly isGuess?: boolean;
  /** Words beside it say what it is: another rule that takes the same digits does not take its place. */
  readonly isSaid?: boolean;
}

/** What surrounds a text and helps to tell a telephone number from a meter reading. */
export interface Surroundings {
  /** Names of the keys above the text, joined by spaces; empty at the top. */
  readonly keys: string;
  /** ISO 3166-1 alpha-2 code of the city's country: whose national forms count without a prefix. */
  readonly country: string;
  /** The text is the digits of a JSON number. */
  readonly isNumber?: boolean;
}

export type Detector = (text: string, around: Surroundings) => Hit[];

/** What each rule refuses, in plain words; the ids stand in counts, in the log and in docs/reference/gate.md. */
export const RULES = {
  'media.image': 'an image (JPEG, PNG, GIF, WebP, AVIF or HEIC, TIFF, BMP)',
  'media.audio': 'sound (WAV, Ogg, MP3, FLAC)',
  'media.video': 'video (MP4, Matroska, AVI)',
  'media.document': 'a document (PDF), a packed archive, or a data URI of one',
  'media.link': 'a link to a picture, to sound or to a camera',
  'template.iso19794': 'a biometric template of ISO/IEC 19794 (finger, face, iris)',
  'template.wsq': 'a fingerprint image (WSQ)',
  'template.cbeff': 'a biometric record (CBEFF, ISO/IEC 19785)',
  'vector.embedding': 'a long vector of numbers, the form of a face or voice template',
  trajectory: 'the way of one object over several places',
  'identifier-like': 'values that behave like the identifiers of passers-by',
  'person.key': 'a field whose name is that of data about a person',
  'address.mac': 'the MAC address (EUI-48) of a device',
  'address.eui64': 'the EUI-64 of a device outside its place in the envelope',
  'address.ip': 'an IP address',
  'address.email': 'an e-mail address',
  phone: 'a telephone number',
  imei: 'the serial number of a mobile phone (IMEI)',
  imsi: 'the number of a SIM card (IMSI, ICCID)',
  iban: 'a bank account (IBAN)',
  card: 'the number of a payment card',
  plate: 'the number plate of a vehicle',
  'id.at-svnr': 'an Austrian social insurance number',
  'id.be-rrn': 'a Belgian national register number',
  'id.bg-egn': 'a Bulgarian personal number (EGN)',
  'id.ch-ahv': 'a Swiss social security number (AHV)',
  'id.cz-rc': 'a Czech or Slovak birth number',
  'id.de-kvnr': 'a German health insurance number',
  'id.de-rvnr': 'a German pension insurance number',
  'id.de-steuer': 'a German tax identification number',
  'id.dk-cpr': 'a Danish CPR number',
  'id.ee-lt': 'an Estonian or Lithuanian personal code',
  'id.es-dni': 'a Spanish DNI or NIE',
  'id.fi-hetu': 'a Finnish personal identity code',
  'id.fr-nir': 'a French social security number (NIR)',
  'id.gr-amka': 'a Greek social security number (AMKA)',
  'id.hr-oib': 'a Croatian personal number (OIB)',
  'id.hu-szam': 'a Hungarian personal, tax or social insurance number',
  'id.ie-pps': 'an Irish PPS number',
  'id.is-kt': 'an Icelandic kennitala',
  'id.it-cf': 'an Italian codice fiscale',
  'id.lu-matricule': 'a Luxembourgish national number',
  'id.lv-pk': 'a Latvian personal code',
  'id.nl-bsn': 'a Dutch citizen service number (BSN)',
  'id.no-fnr': 'a Norwegian birth number',
  'id.pl-pesel': 'a Polish PESEL',
  'id.pt-nif': 'a Portuguese tax number (NIF)',
  'id.ro-cnp': 'a Romanian personal numerical code (CNP)',
  'id.se-pnr': 'a Swedish personal identity number',
  'id.si-emso': 'a personal number of Slovenia or its neighbours (EMŠO, JMBG)',
  'id.tr-kimlik': 'a Turkish identity number',
  'id.uk-nhs': 'a British NHS number',
  'id.uk-nino': 'a British National Insurance number',
  'id.us-ssn': 'a US social security number',
  'id.document': 'the number of a passport, an identity card or a driving licence',
  'limit.size': 'more than the limits of size, depth, keys or unpacking allow',
} as const;
export type RuleId = keyof typeof RULES;

/** Words that stand alone, in any script: `` knows the letters of ASCII only. */
export const words = ({ raw }: TemplateStringsArray): RegExp => new RegExp(`(?<![\p{L}\d])(?:${raw.join('')})(?![\p{L}\d])`, 'iu');

const BEFORE_CHARS = 48;

/** Whether `said` stands shortly before `start`, shortly after `end`, or in the names of the keys. */
export function isAmong(said: RegExp, text: string, start: number, end: number, { keys }: Surroundings): boolean {
  return said.test(text.slice(Math.max(0, start - BEFORE_CHARS), start)) || said.test(text.slice(end, end + BEFORE_CHARS / 2)) || (keys !== '' && said.test(keys.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_.-]/g, ' ')));
}

/** Matches of `pattern` (global) that `accept` takes. */
export function findAll(rule: RuleId, text: string, pattern: RegExp, accept: (match: RegExpExecArray, start: number, end: number) => boolean): Hit[] {
  const hits: Hit[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const end = match.index + match[0].length;
    if (accept(match, match.index, end)) hits.push({ rule, start: match.index, end });
    // a number that was not taken may begin inside the one that was looked at
    else pattern.lastIndex = match.index + 1;
  }
  return hits;
}

export const digitsOf = (text: string): string => text.replaceAll(/\D/g, '');

/** Check digit of ISO/IEC 7812-1 annex B over all digits. */
export function hasLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = digits.length - 1, double = false; at >= 0; at -= 1, double = !double) {
    const digit = digits.charCodeAt(at) - 48;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** Sum of digits times weights. */
export const weigh = (digits: string, weights: readonly number[]): number => weights.reduce((sum, weight, at) => sum + weight * (digits.charCodeAt(at) - 48), 0);

const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Whether day and month can belong to some year. */
export const isDay = (day: number, month: number): boolean => month >= 1 && month <= 12 && day >= 1 && day <= (MONTH_DAYS[month - 1] ?? 0);
export const isOneDigit = (digits: string): boolean => /^(\d)\1*$/.test(digits);
