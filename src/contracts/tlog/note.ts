import { decodeBase64, encodeHex, equal, join, sha256, utf8, type Bytes } from './bytes.ts';

/** Signature types of C2SP signed-note: plain Ed25519, and the timestamped ones of witnesses, Ed25519 and ML-DSA-44 (tlog-cosignature). */
export const LOG_KEY = 0x01;
export const WITNESS_KEY = 0x04;
export const ML_DSA_WITNESS_KEY = 0x06;
const KEY_BYTES: Readonly<Record<number, number>> = { [LOG_KEY]: 32, [WITNESS_KEY]: 32, [ML_DSA_WITNESS_KEY]: 1_312 };

/** signed-note asks verifiers to set one, and to take at least 16. */
const SIGNATURES = 64;

export interface NoteKey {
  readonly name: string;
  readonly type: number;
  readonly id: Bytes;
  /** 32 bytes of RFC 8032, or 1,312 of FIPS 204. */
  readonly publicKey: Bytes;
}

/** Reads a verifier key `name+hash+base64(type ‖ key)` of type 0x01, 0x04 or 0x06; null for anything else. */
export async function readNoteKey(vkey: string): Promise<NoteKey | null> {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  const bytes = match && decodeBase64(match[3] as string);
  const type = bytes?.[0];
  if (!match || !bytes || type === undefined || bytes.length - 1 !== KEY_BYTES[type]) return null;
  const name = match[1] as string;
  const id = (await sha256(utf8(`${name}\n`), bytes)).slice(0, 4);
  return encodeHex(id) === match[2] ? { name, type, id, publicKey: bytes.slice(1) } : null;
}

interface SignatureLine {
  readonly name: string;
  readonly id: Bytes;
  readonly signature: Bytes;
}

export interface Note {
  /** What is signed, with its last line break. */
  readonly text: string;
  readonly signatures: readonly SignatureLine[];
}

/** Takes a signed note apart (C2SP signed-note, "Format") without checking a signature; null when it is none. */
export function splitNote(note: string): Note | null {
  if (!note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note) || !note.endsWith('\n')) return null;
  const cut = note.lastIndexOf('\n\n');
  const lines = note.slice(cut + 2, -1).split('\n');
  if (cut < 0 || lines.length > SIGNATURES) return null;
  const signatures: SignatureLine[] = [];
  for (const line of lines) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    const bytes = match && decodeBase64(match[2] as string);
    if (!match || !bytes || bytes.length < 5) return null;
    signatures.push({ name: match[1] as string, id: bytes.slice(0, 4), signature: bytes.slice(4) });
  }
  return { text: note.slice(0, cut + 1), signatures };
}

const isOf = (line: SignatureLine, key: NoteKey): boolean => line.name === key.name && equal(line.id, key.id);

async function verifyEd25519(key: NoteKey, signature: Bytes, message: Bytes): Promise<boolean> {
  const imported = await crypto.subtle.importKey('raw', key.publicKey, 'Ed25519', false, ['verify']).catch(() => null); // not a point of the curve
  return imported !== null && crypto.subtle.verify('Ed25519', imported, signature, message);
}

/** Whether the key of type 0x01 signed it. A line that names the key and does not verify spoils the note. */
export async function isSignedBy(note: Note, key: NoteKey): Promise<boolean> {
  const own = note.signatures.filter((line) => isOf(line, key));
  const right = await Promise.all(own.map(({ signature }) => verifyEd25519(key, signature, utf8(note.text))));
  return key.type === LOG_KEY && right.length > 0 && right.every(Boolean);
}

/** C2SP tlog-cosignature, "ML-DSA-44 signed message"; null when the names are longer than 255 bytes. */
function subtreeMessage(cosigner: string, time: bigint, { origin, size, root }: Checkpoint): Bytes | null {
  const [name, log] = [utf8(cosigner), utf8(origin)];
  if (name.length > 255 || log.length > 255) return null;
  const uint64 = (value: bigint): Uint8Array => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value);
    return bytes;
  };
  return join(utf8('subtree/v1\n\u0000'), Uint8Array.of(name.length), name, uint64(time), Uint8Array.of(log.length), log, uint64(0n), uint64(size), root);
}

/** Null where this browser does not know ML-DSA-44: then it cannot be told. */
async function verifyMlDsa(key: NoteKey, signature: Bytes, message: Bytes): Promise<boolean | null> {
  try {
    // "Modern Algorithms in the Web Cryptography API"; the types of TypeScript do not have it yet
    const imported = await crypto.subtle.importKey('raw-public' as 'raw', key.publicKey, 'ML-DSA-44', false, ['verify']);
    return await crypto.subtle.verify('ML-DSA-44', imported, signature, message);
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) return null;
    throw error;
  }
}

/**
 * When the witness cosigned it (seconds since 1970), the newest time if it did so more than once; null when there is no line of this key
 * that can be told (C2SP tlog-cosignature); `wrong` when there is one that does not verify.
 */
export async function cosignedAt(note: Note, key: NoteKey): Promise<bigint | null | 'wrong'> {
  let newest: bigint | null = null;
  for (const { signature } of note.signatures.filter((line) => isOf(line, key))) {
    if (signature.length !== (key.type === WITNESS_KEY ? 72 : key.type === ML_DSA_WITNESS_KEY ? 2_428 : -1)) return 'wrong';
    const time = new DataView(signature.buffer).getBigUint64(0);
    const head = readCheckpoint(note.text);
    const message = key.type === WITNESS_KEY ? join(utf8(`cosignature/v1\ntime ${time}\n`), utf8(note.text)) : head && subtreeMessage(key.name, time, head);
    if (time >= 1n << 63n || !message) return 'wrong';
    const right = await (key.type === WITNESS_KEY ? verifyEd25519(key, signature.slice(8), message) : verifyMlDsa(key, signature.slice(8), message));
    if (right === false) return 'wrong';
    if (right === true && (newest === null || time > newest)) newest = time;
  }
  return newest;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Bytes;
}

/** The text of a checkpoint (C2SP tlog-checkpoint, "Note text"); extension lines are allowed and not looked at. */
export function readCheckpoint(text: string): Checkpoint | null {
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  const bytes = decodeBase64(root);
  if (origin === '' || !/^(0|[1-9]\d{0,19})$/.test(size) || BigInt(size) >= 1n << 64n || bytes?.length !== 32 || extensions.includes('')) return null;
  return { origin, size: BigInt(size), root: bytes };
}
