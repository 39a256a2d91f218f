import { readCbor } from './cbor.ts';
import { bytesOf, decodeText, unpack } from './encodings.ts';
import { detect, findInNumber, mediaOf, type RuleId } from './detectors/index.ts';
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
  /** Numbers have registered bounds, so what they mean is known. */
  readonly isBounded?: boolean;
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

const isDone = ({ options, findings }: Walk): boolean => options.first === true && findings.length > 0;

function note(walk: Walk, rule: RuleId, path: string, through: readonly string[], start = 0, end = 0): void {
  if (!walk.findings.some((other) => other.rule === rule && other.path === path && (other.start === start || rule === 'limit.size'))) walk.findings.push({ rule, path, start, end, through });
}

function look(walk: Walk, value: unknown, path: string, keys: string, depth: number, through: readonly string[]): void {
  walk.nodes += 1;
  if (depth > DEPTH || walk.nodes > NODES) return note(walk, 'limit.size', path, through);
  if (isDone(walk)) return;
  if (typeof value === 'string') return lookAtText(walk, value, path, keys, through);
  if (typeof value === 'number') {
    const rule = walk.options.isBounded === true ? null : findInNumber(value);
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
  if (bytes !== null) {
    lookAtBytes(walk, bytes, path, keys, [...through, 'list of bytes']);
    walk.nodes += list.length;
    return;
  }
  if (list.every((member) => typeof member === 'string') && list.length > 1 && list.length <= 64) lookAtJoined(walk, list, path, keys, through);
  for (const [at, member] of list.entries()) {
    look(walk, member, path === '' ? String(at) : `${path}.${String(at)}`, keys, depth + 1, through);
    if (isDone(walk)) return;
  }
}

const CUT_RULES: ReadonlySet<string> = new Set(['address.mac', 'address.email', 'phone']);

/** A text that was cut into pieces. */
function lookAtJoined(walk: Walk, pieces: readonly string[], path: string, keys: string, through: readonly string[]): void {
  // the pieces of one address or number
  const isMac = pieces.length === 6 && pieces.every((piece) => /^[0-9a-f]{2}$/i.test(piece));
  const whole = pieces.join(isMac ? ':' : '');
  const [hit] = whole.length <= 255 && (isMac || /[@+]/.test(whole)) ? detect(whole, { keys: '', country: walk.options.country }).filter(({ rule }) => CUT_RULES.has(rule)) : [];
  if (hit !== undefined && pieces.every((piece) => piece.length < whole.length)) note(walk, hit.rule, path, [...through, 'pieces']);
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
