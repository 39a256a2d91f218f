import { ok, refuse, type Result } from '../../kernel/index.ts';

/**
 * Whether a passphrase is among the first that somebody would try: known words, runs of the keyboard, dates and repetitions with little
 * else. Counts pieces, not kinds of characters: any composition is allowed (NIST SP 800-63B-4 §3.1.1.2, OWASP ASVS 5.0 V6.2.4, V6.2.5,
 * V6.2.11). It is a rule and no list of leaked passphrases: those that look like nothing pass.
 */

/** A passphrase of no more pieces than this is refused; a letter that belongs to no piece is one of its own. */
const PIECES_LEAST = 6;
const RUN_CHARS = 3;
const WALK_CHARS = 4;
const OWN_WORD_CHARS = 4;

/** Words that passphrases are made of most, and words of this product and of city halls. Their forms with digits for letters count too. */
const WORDS = [
  'password passwort passwd passphrase kennwort contrasena contraseña motdepasse wachtwoord parola senha haslo secret geheim secreto',
  'welcome willkommen bienvenue bienvenido hello hallo bonjour hola letmein changeme login signin enter default temp test guest gast demo sample',
  'admin administrator root user master manager operator supervisor auditor caseworker officer system server computer internet security sicherheit network',
  'iloveyou ichliebedich jetaime teamo loveme lovely love liebe schatz amor sunshine princess prinzessin angel babygirl baby sweetheart forever',
  'dragon monkey tiger eagle falcon phoenix shadow killer hunter ranger soccer football fussball baseball basketball hockey superman batman spiderman',
  'pokemon minecraft starwars playstation xbox nintendo samsung iphone google facebook liverpool arsenal chelsea barcelona realmadrid juventus bayern',
  'michael christopher jennifer jessica ashley daniel thomas andrew jordan charlie robert matthew anthony joshua william alexander nicole michelle maria',
  'spring summer autumn winter fruehling frühling sommer herbst printemps ete automne hiver primavera verano otono invierno',
  'january february march april may june july august september october november december januar februar maerz märz mai juni juli oktober dezember',
  'monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonntag',
  'trustno whatever nothing freedom money business company office work home family cheese chocolate banana orange purple yellow green blue black white',
  'clerestory city cityhall townhall town council mayor municipality municipal government public service department district control centre center operations console dashboard sensor smartcity',
  'stadt rathaus gemeinde buergermeister bürgermeister verwaltung amt ville mairie commune ciudad ayuntamiento municipio',
]
  .join(' ')
  .split(' ')
  .sort((a, b) => b.length - a.length);

/** Refuses a new passphrase that is easy to guess. */
export const checkPassphrase = (passphrase: string, own: readonly string[]): Result<null> =>
  isEasyToGuess(passphrase, own) ? refuse('auth.passphrase-weak', 'It is made of common words, runs of keys, years or the names of the account and the city.', 'password') : ok(null);

/** Rows of the usual keyboards; a key's neighbours are those beside it and in the row above and below. */
const KEYBOARDS = [
  ['1234567890', 'qwertyuiop', 'asdfghjkl', 'zxcvbnm'],
  ['1234567890', 'qwertzuiop', 'asdfghjkl', 'yxcvbnm'],
  ['1234567890', 'azertyuiop', 'qsdfghjklm', 'wxcvbn'],
] as const;
const NEIGHBOURS: ReadonlySet<string> = new Set(KEYBOARDS.flatMap((rows) => rows.flatMap((row, y) => [...row].flatMap((key, x) => neighboursOf(rows, y, x).map((other) => key + other)))));
const LETTERS: Readonly<Record<string, string>> = { '0': 'o', '1': 'i', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', $: 's', '!': 'i', '€': 'e' };

/** `own`: words that belong to the account, such as its name and that of the city. */
export function isEasyToGuess(passphrase: string, own: readonly string[]): boolean {
  const plain = passphrase.normalize('NFKC').toLowerCase();
  const words = [...own.flatMap((each) => each.normalize('NFKC').toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length >= OWN_WORD_CHARS), ...WORDS];
  return Math.min(countPieces(plain, words), countPieces([...plain].map((char) => LETTERS[char] ?? char).join(''), words)) < PIECES_LEAST;
}

function countPieces(text: string, words: readonly string[]): number {
  let pieces = 0;
  for (let at = 0; at < text.length; pieces += 1) at += Math.max(1, wordAt(text, at, words), runAt(text, at), pairsAt(text, at), walkAt(text, at), yearAt(text, at), repeatAt(text, at));
  return pieces;
}

const wordAt = (text: string, at: number, words: readonly string[]): number => words.find((word) => text.startsWith(word, at))?.length ?? 0;

/** 112233, 010203: digits two by two, each pair as far from the last. */
function pairsAt(text: string, at: number): number {
  const pairAt = (place: number): number => (/^\d\d$/.test(text.slice(place, place + 2)) ? Number(text.slice(place, place + 2)) : Number.NaN);
  const step = pairAt(at + 2) - pairAt(at);
  let end = at + 2;
  while (end < text.length && pairAt(end) - pairAt(end - 2) === step) end += 2;
  return end - at >= 2 * RUN_CHARS ? end - at : 0;
}

/** aaaa, abcd, 4321: each character as far from the last as that from its own. */
function runAt(text: string, at: number): number {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at);
  if (Number.isNaN(step) || Math.abs(step) > 1) return 0;
  let end = at + 1;
  while (end < text.length && text.charCodeAt(end) - text.charCodeAt(end - 1) === step) end += 1;
  return end - at >= RUN_CHARS ? end - at : 0;
}

/** qwer, 1q2w3e, 1qaz2wsx: from key to key. */
function walkAt(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && NEIGHBOURS.has(text.slice(end - 1, end + 1))) end += 1;
  return end - at >= WALK_CHARS ? end - at : 0;
}

const yearAt = (text: string, at: number): number => (/^(?:19|20)\d\d/.test(text.slice(at, at + 4)) ? 4 : 0);

/** What stood before in the same passphrase. */
function repeatAt(text: string, at: number): number {
  let length = 0;
  while (at + length < text.length && text.slice(0, at).includes(text.slice(at, at + length + 1))) length += 1;
  return length >= RUN_CHARS ? length : 0;
}

function neighboursOf(rows: readonly string[], y: number, x: number): string[] {
  const near = [rows[y]?.[x - 1], rows[y]?.[x + 1]];
  for (const row of [rows[y - 1], rows[y + 1]]) near.push(row?.[x - 1], row?.[x], row?.[x + 1]);
  return near.filter((key) => key !== undefined);
}
