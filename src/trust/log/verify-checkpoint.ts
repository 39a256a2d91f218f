/**
 * Checks a signed checkpoint with no code of the writer, after C2SP tlog-checkpoint and signed-note. Do not import anything of this
 * folder here.
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';

export interface Fault {
  readonly path: string;
  readonly detail: string;
}

export interface CheckedHead {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** Base64 of RFC 4648 §4 in its one canonical spelling; null for any other. */
function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** Reads a checkpoint and checks form, key and signature; otherwise says where the fault lies. */
export function checkCheckpoint(bytes: Uint8Array | null, vkey: string, path: string): { head: CheckedHead } | { fault: Fault } {
  const fail = (detail: string): { fault: Fault } => ({ fault: { path, detail } });
  const key = readVerifierKey(vkey);
  if (key === null) return { fault: { path: 'vkey', detail: 'this is not a note verifier key of type Ed25519' } };
  if (bytes === null) return fail('there is no checkpoint');
  const note = Buffer.from(bytes).toString('utf8');
  if (!Buffer.from(note, 'utf8').equals(bytes) || /[\u0000-\u0009\u000b-\u001f]/.test(note)) return fail('it is not plain UTF-8 text');
  const cut = note.lastIndexOf('\n\n');
  if (cut < 0 || !note.endsWith('\n')) return fail('it is not a signed note');
  const text = note.slice(0, cut + 1);
  const wrong = checkSignatures(text, note.slice(cut + 2, -1).split('\n'), key);
  if (wrong !== null) return fail(wrong);
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  if (origin !== key.name) return fail('its origin is not the name of the key');
  if (!/^(0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) return fail('its second line is not a tree size');
  const rootBytes = decodeBase64(root);
  if (rootBytes?.length !== 32) return fail('its third line is not a root hash');
  if (extensions.length > 0) return fail('it has extension lines, which this log does not use');
  return { head: { origin, size: Number(size), root: rootBytes } };
}

interface VerifierKey {
  readonly name: string;
  readonly id: Buffer;
  readonly publicKey: Buffer;
}

function readVerifierKey(vkey: string): VerifierKey | null {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(vkey.replace(/\n$/, ''));
  if (!match) return null;
  const [, name = '', hash = '', encoded = ''] = match;
  const bytes = decodeBase64(encoded);
  if (bytes?.length !== 33 || bytes[0] !== 1) return null;
  const id = sha256(name, '\n', bytes).subarray(0, 4);
  return id.toString('hex') === hash ? { name, id, publicKey: bytes.subarray(1) } : null;
}

/** Null when exactly our key's line verifies; otherwise what is wrong. Lines of unknown keys are ignored (signed-note). */
function checkSignatures(text: string, lines: readonly string[], key: VerifierKey): string | null {
  if (lines.length > 64) return 'it has more than 64 signatures';
  let good = 0;
  for (const line of lines) {
    const match = /^— ([^\s+]+) ([A-Za-z0-9+/=]+)$/.exec(line);
    const signature = match && decodeBase64(match[2] as string);
    if (!signature || signature.length < 5) return 'a signature line is malformed';
    if (match[1] !== key.name || !signature.subarray(0, 4).equals(key.id)) continue;
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key.publicKey.toString('base64url') }, format: 'jwk' });
    if (!verifySignature(null, Buffer.from(text), publicKey, signature.subarray(4))) return 'its signature is not right';
    good += 1;
  }
  return good > 0 ? null : 'it is not signed by the key';
}
