import { readCbor } from './cbor.ts';
import { bytesOf, decodeText, unpack } from './encodings.ts';
import { detect, findInNumber, isMacKey, mediaOf, type RuleId } from './detectors/index.ts';
import { countNumbers, isCutVector, isFloatVector, isTrajectory, isWrittenVector, VECTOR_LIMIT } from './shapes.ts';

/** What was found and where. `through` names the encodings around it, from outside in; offsets are those of the decoded text. */
export interface Finding {
  readonly rule: RuleId;
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly through: readonly string[];
}

export interface InspectOptions {
  readonly country: string;
  /** Names of keys that stand around the value. */
  readonly keys?: string;
  /** The stream registers a spectrum or a histogram: lists of numbers are what it is for. */
  readonly mayBeVector?: boolean;
  /** Stop at the first finding. */
  readonly first?: boolean;
}

/** Names of keys may carry what is looked for; digits and anything but plain names are masked. */
export const maskPath = (path: string): string => path.split('.').map((part) => (/^(?:[A-Za-z_]{1,40}|\d{1,5})$/.test(part) ? part : '…')).join('.').slice(0, 200);

const DEPTH = 16;
const NODES = 20_000;
/** Encodings inside encodings that are looked through. */
const LAYERS = 4;
const DECODED_BYTES = 1_048_576;

interface Walk {
  readonly options: InspectOptions;
  readonly findings: Finding[];
  nodes: number;
  bytes: number;
}

/** Looks through a JSON value, its keys, and what is encoded in it. Pure; bounded in depth, nodes and decoded bytes. */
export function inspect(value: unknown, options: InspectOptions): Finding[] {
  const walk: Walk = { options, findings: [], nodes: 0, bytes: 0 };
  look(walk, value, '', options.keys ?? '', 0, []);
  return walk.findings;
}

/** A document with so many is not told more; each new one is compared with those before. */
const FINDINGS = 1_000;
const isDone = ({ options, findings }: Walk): boolean => findings.length >= (options.first === true ? 1 : FINDINGS);

function note(walk: Walk, rule: RuleId, path: string, through: readonly string[], start = 0, end = 0): void {
  if (!walk.findings.some((other) => other.rule === rule && other.path === path && (other.start === start || rule === 'limit.size'))) walk.findings.push({ rule, path, start, end, through });
}

function look(walk: Walk, value: unknown, path: string, keys: string, depth: number, through: readonly string[]): void {
  walk.nodes += 1;
  if (depth > DEPTH || walk.nodes > NODES) return note(walk, 'limit.size', path, through);
  if (isDone(walk)) return;
  if (typeof value === 'string') return lookAtText(walk, value, path, keys, through);
  if (typeof value === 'number') {
    const rule = findInNumber(value);
    if (rule !== null) note(walk, rule, path, through);
    else if (Number.isSafeInteger(value) && value >= 1e6 && keys !== '') lookAtText(walk, String(value), path, keys, through, true);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (Buffer.isBuffer(value)) return lookAtBytes(walk, value, path, keys, through);
  if (Array.isArray(value)) return lookAtList(walk, value as unknown[], path, keys, depth, through);
  const members = Object.entries(value);
  if (walk.options.mayBeVector !== true && isCutVector(members)) note(walk, 'vector.embedding', path, through);
  if (isTrajectory(value as Record<string, unknown>)) note(walk, 'trajectory', path, through);
  lookAtMembers(walk, members, path, through);
  for (const [name, member] of members) {
    const at = path === '' ? name : `${path}.${name}`;
    if (isPersonKey(name) && !isNothing(member)) note(walk, 'person.key', at, through);
    lookAtText(walk, name, at, '', through);
    look(walk, member, at, `${keys} ${name}`.slice(-128), depth + 1, through);
    if (isDone(walk)) return;
  }
}

function lookAtList(walk: Walk, list: readonly unknown[], path: string, keys: string, depth: number, through: readonly string[]): void {
  if (walk.options.mayBeVector !== true && countNumbers(list) > VECTOR_LIMIT) note(walk, 'vector.embedding', path, through);
  if (isTrajectory(list)) note(walk, 'trajectory', path, through);
  const bytes = bytesOf(list);
  if (bytes?.length === 6 && isMacKey(keys) && bytes.some((byte) => byte !== 0 && byte !== 255)) note(walk, 'address.mac', path, [...through, 'list of bytes']);
  if (bytes !== null) {
    lookAtBytes(walk, bytes, path, keys, [...through, 'list of bytes']);
    walk.nodes += list.length;
    return;
  }
  if (list.every((member) => typeof member === 'string') && list.length > 1 && list.length <= PIECES) lookAtJoined(walk, list, path, keys, through);
  for (const [at, member] of list.entries()) {
    look(walk, member, path === '' ? String(at) : `${path}.${String(at)}`, keys, depth + 1, through);
    if (isDone(walk)) return;
  }
}

const PIECES = 64;
const CUT_RULES: ReadonlySet<string> = new Set(['address.mac', 'address.email', 'phone', 'iban', 'card', 'plate']);
/** What the pieces of one number, address or plate look like. */
const IS_PLATE_CUT = /^[A-ZÄÖÜ]{1,3},[A-ZÄÖÜ]{1,2},[1-9]\d{1,3}[EH]?$/;
const IS_NUMBER_CUT = /^(?:[A-Z]{2}\d{2},)?\d{3,6}(?:,[\dA-Z]{1,6}){2,8}$/;

/** The pieces with what stands between them when they are one; null when nothing says so. */
function wholeOf(pieces: readonly string[]): string | null {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (length < 6 || length > 255) return null;
  const list = pieces.join(',');
  if (pieces.length === 6 && pieces.every((piece) => /^[0-9a-f]{2}$/i.test(piece))) return pieces.join(':');
  if (IS_PLATE_CUT.test(list)) return pieces.join('-').replace(/-(?=\d)/, ' ');
  return IS_NUMBER_CUT.test(list) || /[@+]/.test(list) ? pieces.join('') : null;
}

/** The strings of one object, in their order: an address or a file that was cut into members. */
function lookAtMembers(walk: Walk, members: readonly (readonly [string, unknown])[], path: string, through: readonly string[]): void {
  if (members.length < 2 || members.length > PIECES) return;
  const pieces: string[] = [];
  let length = 0;
  for (const [, member] of members) {
    if (typeof member !== 'string') continue;
    pieces.push(member);
    length += member.length;
  }
  if (pieces.length < 2) return;
  const isCut = pieces.length === 6 || length >= 48 || pieces.some((piece) => /[@+]/.test(piece));
  // words and numbers of different meaning stand side by side in an object: plates, cards and accounts only count in lists
  if (isCut) lookAtJoined(walk, pieces, path, '', through, MEMBER_RULES);
}
const MEMBER_RULES: ReadonlySet<string> = new Set(['address.mac', 'address.email', 'phone']);

/** A text that was cut into pieces. */
function lookAtJoined(walk: Walk, pieces: readonly string[], path: string, keys: string, through: readonly string[], rules = CUT_RULES): void {
  const whole = wholeOf(pieces);
  const [hit] = whole === null ? [] : detect(whole, { keys: '', country: walk.options.country }).filter(({ rule }) => rules.has(rule));
  // where one piece is the whole already, it is found by itself
  if (hit !== undefined && pieces.every((piece) => piece.length < 4 || detect(piece, { keys: '', country: walk.options.country }).length === 0)) note(walk, hit.rule, path, [...through, 'pieces']);
  const joined = pieces.join('');
  if (joined.length < 16 || joined.length > 65_536 || /\s/.test(joined)) return;
  for (const { bytes, by } of decodeText(joined)) lookAtBytes(walk, bytes, path, keys, [...through, 'pieces', by], true);
}

const PERSON_KEYS = /^(?:licen[cs]eplate(?:number|no)?|numberplate|platenumber|kennzeichen|kenteken|face(?:id|embedding|template|vector|image|crop)s?|faceprint|voiceprint|fingerprint(?:template|image|minutiae)|iris(?:code|template)|gait(?:vector|template)|biometric\w*|imei|imsi|msisdn|tmsi|firstname|lastname|surname|familyname|fullname|nachname|vorname|dateofbirth|birthdate|geburtsdatum|ssn|passport(?:number|no)?|personid|visitorid|passengerid|cardholder\w*|homeaddress|clientmac|(?:source|src|wifi|probe|station)mac|ethnicity|religion)$/;
const isPersonKey = (name: string): boolean => name.length <= 40 && PERSON_KEYS.test(name.toLowerCase().replaceAll(/[^a-z]/g, ''));

const isNothing = (value: unknown): boolean => value === null || value === '' || (Array.isArray(value) && value.length === 0);

function lookAtText(walk: Walk, text: string, path: string, keys: string, through: readonly string[], isNumber = false): void {
  if (text.length < 4) return;
  if (text.length > 65_536) {
    const head = text.slice(0, 65_536);
    note(walk, 'limit.size', path, through);
    return lookAtText(walk, head, path, keys, through);
  }
  for (const hit of detect(text, { keys, country: walk.options.country, isNumber })) {
    note(walk, hit.rule, path, through, hit.start, hit.end);
    if (isDone(walk)) return;
  }
  if (isNumber) return;
  if (walk.options.mayBeVector !== true && isWrittenVector(text)) note(walk, 'vector.embedding', path, through, 0, text.length);
  if (text.length < 8) return;
  const first = text.trimStart()[0];
  if (first === '{' || first === '[' || first === '"') lookAtJson(walk, text, path, keys, through);
  for (const { bytes, by } of decodeText(text)) lookAtBytes(walk, bytes, path, keys, [...through, by]);
  // runs of an encoding inside other words
  if (/[\s,;"'<>|=]/.test(text)) for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{16,}={0,2}/g)) if (run.length < text.length) for (const { bytes, by } of decodeText(run)) lookAtBytes(walk, bytes, path, keys, [...through, by], true);
}

function lookAtJson(walk: Walk, text: string, path: string, keys: string, through: readonly string[]): void {
  if (through.length >= LAYERS + 2) return note(walk, 'limit.size', path, through);
  // brackets that open bound the depth before anything is made of them
  let [open, deepest] = [0, 0];
  for (const sign of text) {
    if (sign === '[' || sign === '{') deepest = Math.max(deepest, (open += 1));
    else if (sign === ']' || sign === '}') open -= 1;
  }
  if (deepest > DEPTH * 4) return note(walk, 'limit.size', path, through);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return; // a text that only looks like JSON was looked at as text
  }
  if (typeof value !== 'number') look(walk, value, path, keys, 1, [...through, 'JSON in a text']);
}

/** UTF-16 of Latin letters: every second byte is nothing. */
const isWide = (bytes: Buffer): boolean => bytes.length >= 8 && bytes.length % 2 === 0 && bytes.every((byte, at) => (byte === 0) === (at % 2 === 1));

/** Whether bytes are text that a person could have written. */
function textOf(bytes: Buffer): string | null {
  if (bytes.length < 4) return null;
  const text = bytes.toString(isWide(bytes) ? 'utf16le' : 'utf8');
  if (text.includes('\ufffd')) return null;
  return /[\0-\x08\x0e-\x1f\x7f]/.test(text) ? null : text;
}

/** `strict`: only what has a signature counts; a run of letters decodes to something always. */
function lookAtBytes(walk: Walk, bytes: Buffer, path: string, keys: string, through: readonly string[], strict = false): void {
  walk.bytes += bytes.length;
  if (walk.bytes > DECODED_BYTES) return note(walk, 'limit.size', path, through);
  const rule = mediaOf(bytes);
  if (rule !== null) note(walk, rule, path, through);
  else if (walk.options.mayBeVector !== true && isFloatVector(bytes)) note(walk, 'vector.embedding', path, through);
  if (isDone(walk)) return;
  if (through.length > LAYERS) {
    // text that was packed again and again is meant not to be read
    if (textOf(bytes) !== null) note(walk, 'limit.size', path, through);
    return;
  }
  const { decoded, isBomb } = unpack(bytes);
  if (isBomb) return note(walk, 'limit.size', path, through);
  if (decoded !== null) lookAtBytes(walk, decoded.bytes, path, keys, [...through, decoded.by]);
  const text = textOf(bytes);
  if (text !== null) return lookAtText(walk, text, path, strict ? '' : keys, through);
  if (bytes.length < 8 && rule === null) return;
  const item = readCbor(bytes);
  if (typeof item === 'object' && item !== null) look(walk, item, path, keys, 1, [...through, 'CBOR']);
  else if (typeof item === 'string') lookAtText(walk, item, path, keys, [...through, 'CBOR']);
}
