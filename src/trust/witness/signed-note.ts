import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/** Signature types of C2SP signed-note that are read here. */
export const ED25519 = 0x01;
export const COSIGNATURE = 0x04;
/** Timestamped ML-DSA-44 (FIPS 204), C2SP tlog-cosignature. */
export const COSIGNATURE_ML_DSA = 0x06;
const KEY_BYTES: Readonly<Record<number, number>> = { [ED25519]: 32, [COSIGNATURE]: 32, [COSIGNATURE_ML_DSA]: 1_312 };
/** Time and signature (tlog-cosignature, "Format"). */
const COSIGNATURE_BYTES: Readonly<Record<number, number>> = { [COSIGNATURE]: 72, [COSIGNATURE_ML_DSA]: 2_428 };

/** C2SP signed-note asks for at least 16 signatures. */
const SIGNATURES_MAX = 64;

export interface NoteKey {
  readonly name: string;
  readonly id: Buffer;
  readonly type: typeof ED25519 | typeof COSIGNATURE | typeof COSIGNATURE_ML_DSA;
  /** 32 bytes of RFC 8032, or 1,312 of FIPS 204. */
  readonly publicKey: Buffer;
}

/** Base64 of RFC 4648 §4 in its one canonical spelling; null for any other. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** C2SP signed-note, "Signatures": SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]. */
const keyId = (name: string, type: number, publicKey: Uint8Array): Buffer =>
  createHash('sha256').update(name).update(Uint8Array.of(0x0a, type)).update(publicKey).digest().subarray(0, 4);

export function noteKey(name: string, type: NoteKey['type'], publicKey: Uint8Array): NoteKey {
  return { name, type, publicKey: Buffer.from(publicKey), id: keyId(name, type, publicKey) };
}

/** The verifier key `name+hash+base64(type ‖ public key)`. */
export function formatNoteKey(key: NoteKey): string {
  return `${key.name}+${key.id.toString('hex')}+${Buffer.concat([Uint8Array.of(key.type), key.publicKey]).toString('base64')}`;
}

/** A name that a note key may have: not empty, no Unicode space, no plus, no control character. */
export const isKeyName = (name: string): boolean => /^[^\s+\u0000-\u001f\u007f]{1,255}$/u.test(name);

/** Reads a verifier key of type 0x01, 0x04 or 0x06; null for anything else. */
export function parseNoteKey(vkey: string): NoteKey | null {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  const bytes = match && decodeBase64(match[3] as string);
  const name = match?.[1] ?? '';
  const type = bytes?.[0];
  if (!bytes || !isKeyName(name) || (type !== ED25519 && type !== COSIGNATURE && type !== COSIGNATURE_ML_DSA) || bytes.length !== 1 + (KEY_BYTES[type] as number)) return null;
  const key = noteKey(name, type, bytes.subarray(1));
  return key.id.toString('hex') === match?.[2] ? key : null;
}

export interface SignatureLine {
  readonly name: string;
  readonly id: Buffer;
  /** All after the key id. */
  readonly signature: Buffer;
  readonly line: string;
}

export interface Note {
  /** With its last line break. */
  readonly text: string;
  readonly signatures: readonly SignatureLine[];
}

/** Takes a signed note apart; null when it is none. No signature is checked here. */
export function splitNote(bytes: Uint8Array): Note | null {
  const note = Buffer.from(bytes).toString('utf8');
  if (!Buffer.from(note, 'utf8').equals(bytes) || /[\u0000-\u0009\u000b-\u001f]/.test(note) || !note.endsWith('\n')) return null;
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0) return null;
  const signatures = parseSignatureLines(note.slice(cut + 2));
  return signatures === null || signatures.length === 0 ? null : { text: note.slice(0, cut + 1), signatures };
}

/** Reads signature lines, each ending in a line break; null when one is malformed or there are more than 64. */
export function parseSignatureLines(text: string): SignatureLine[] | null {
  if (text === '') return [];
  if (!text.endsWith('\n')) return null;
  const lines = text.slice(0, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) return null;
  const found: SignatureLine[] = [];
  for (const line of lines) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    const bytes = match && decodeBase64(match[2] as string);
    if (!match || !bytes || bytes.length < 5) return null;
    found.push({ name: match[1] as string, id: bytes.subarray(0, 4), signature: bytes.subarray(4), line: `${line}\n` });
  }
  return found;
}

const publicKeyOf = ({ type, publicKey }: NoteKey): KeyObject => {
  const raw = publicKey.toString('base64url');
  // RFC 8037 §2; draft-ietf-cose-dilithium for the other
  const jwk = type === COSIGNATURE_ML_DSA ? { kty: 'AKP', alg: 'ML-DSA-44', pub: raw } : { kty: 'OKP', crv: 'Ed25519', x: raw };
  return createPublicKey({ key: jwk, format: 'jwk' });
};
export const isBy = (line: SignatureLine, key: NoteKey): boolean => line.name === key.name && line.id.equals(key.id);

/**
 * Whether `text` is signed by one of the keys. A signature that names a known key and does not verify spoils the whole note; those of
 * unknown keys do not count (C2SP signed-note, "Signatures").
 */
export function isSignedBy(note: Note, keys: readonly NoteKey[]): boolean {
  let good = 0;
  for (const line of note.signatures) {
    const key = keys.find((each) => each.type === ED25519 && isBy(line, each));
    if (key === undefined) continue;
    if (!verify(null, Buffer.from(note.text), publicKeyOf(key), line.signature)) return false;
    good += 1;
  }
  return good > 0;
}

/** What a cosignature signs (C2SP tlog-cosignature, "Ed25519 signed message" and "ML-DSA-44 signed message"); null when the text has no such form. */
function cosignedMessage(text: string, time_s: bigint, { type, name }: NoteKey): Buffer | null {
  if (type === COSIGNATURE) return Buffer.from(`cosignature/v1\ntime ${time_s}\n${text}`);
  const body = parseCheckpointBody(text);
  const [cosigner, origin] = [Buffer.from(name), Buffer.from(body?.origin ?? '')];
  if (body === null || cosigner.length > 255 || origin.length > 255) return null;
  const numbers = (...all: readonly bigint[]): Buffer => {
    const bytes = Buffer.alloc(8 * all.length);
    for (const [at, each] of all.entries()) bytes.writeBigUInt64BE(each, 8 * at);
    return bytes;
  };
  // RFC 8446 §3.4: a vector of up to 255 bytes stands behind one byte of length
  return Buffer.concat([Buffer.from('subtree/v1\n\0'), Uint8Array.of(cosigner.length), cosigner, numbers(time_s), Uint8Array.of(origin.length), origin, numbers(0n, BigInt(body.size)), body.root]);
}

/** A signature line of type 0x04 or 0x06 over the text of a checkpoint; `time_s` in seconds since 1970. Throws `RangeError` for a text that cannot be cosigned. */
export function cosign(text: string, time_s: number, key: NoteKey, privateKey: KeyObject): string {
  const message = cosignedMessage(text, BigInt(time_s), key);
  if (message === null) throw new RangeError('names longer than 255 bytes cannot be cosigned with ML-DSA-44');
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(time_s));
  return `— ${key.name} ${Buffer.concat([key.id, time, sign(null, message, privateKey)]).toString('base64')}\n`;
}

/** The time in seconds when this line is the key's cosignature over `text`; null when it is not. */
export function verifyCosignature(text: string, line: SignatureLine, key: NoteKey): number | null {
  if (!isBy(line, key) || line.signature.length !== COSIGNATURE_BYTES[key.type]) return null;
  const time_s = line.signature.readBigUInt64BE(0);
  if (time_s > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  const message = cosignedMessage(text, time_s, key);
  return message !== null && verify(null, message, publicKeyOf(key), line.signature.subarray(8)) ? Number(time_s) : null;
}

export interface CheckpointBody {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

/** The first three lines of a checkpoint's text (C2SP tlog-checkpoint); extension lines may follow. Null when it is none. */
export function parseCheckpointBody(text: string): CheckpointBody | null {
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  const rootBytes = decodeBase64(root);
  if (origin === '' || !/^(0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size)) || rootBytes?.length !== 32) return null;
  return extensions.includes('') ? null : { origin, size: Number(size), root: rootBytes };
}
