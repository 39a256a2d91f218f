import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/** Signature type of plain Ed25519 (C2SP signed-note). */
const ED25519 = 0x01;

/** C2SP signed-note: SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]. */
function keyId(name: string, publicKey: Uint8Array): Buffer {
  return createHash('sha256').update(name).update(Uint8Array.of(0x0a, ED25519)).update(publicKey).digest().subarray(0, 4);
}

/** The note verifier key `name+hash+base64(type ‖ public key)`, the form that Go's sumdb/note reads. */
export function verifierKey(name: string, publicKey: Uint8Array): string {
  return `${name}+${keyId(name, publicKey).toString('hex')}+${Buffer.concat([Uint8Array.of(ED25519), publicKey]).toString('base64')}`;
}

interface Head {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A signed checkpoint (C2SP tlog-checkpoint): origin, size, root, blank line, one Ed25519 signature. */
export function signCheckpoint(head: Head, key: { privateKey: KeyObject; publicKey: Uint8Array }): string {
  const text = checkpointText(head);
  const signature = sign(null, Buffer.from(text), key.privateKey);
  return `${text}\n— ${head.origin} ${Buffer.concat([keyId(head.origin, key.publicKey), signature]).toString('base64')}\n`;
}

const checkpointText = ({ origin, size, root }: Head): string => `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;

const SIGNATURE_LINE = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;

/** Whether it is one signature line of a note, without its line break. */
export const isSignatureLine = (line: string): boolean => SIGNATURE_LINE.test(line) && Buffer.from(SIGNATURE_LINE.exec(line)?.[2] ?? '', 'base64').length >= 5;

/** Key name and key id of a signature line, which tell keys apart (C2SP signed-note, "Signatures"). */
export function signerOf(line: string): string {
  const [, name = '', encoded = ''] = SIGNATURE_LINE.exec(line) ?? [];
  return `${name} ${Buffer.from(encoded, 'base64').toString('hex', 0, 4)}`;
}

/** The lines by which others signed, given a checkpoint that opens under `origin` and `publicKey`. */
export function cosignaturesOf(checkpoint: string, origin: string, publicKey: Uint8Array): string[] {
  const own = `${origin} ${keyId(origin, publicKey).toString('hex')}`;
  return checkpoint
    .slice(checkpoint.indexOf('\n\n') + 2)
    .split('\n')
    .filter((line) => line !== '' && signerOf(line) !== own);
}

/** Reads a checkpoint of our own form, whoever else signed it; null when it is not of that form or not signed by `publicKey`. */
export function openCheckpoint(checkpoint: string, origin: string, publicKey: Uint8Array): Head | null {
  const match = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n\n((?:— [^\n]+\n)+)$/.exec(checkpoint);
  const lines = (match?.[4] ?? '').split('\n').slice(0, -1);
  if (match?.[1] !== origin || !lines.every(isSignatureLine)) return null;
  const head: Head = { origin, size: Number(match[2]), root: Buffer.from(match[3] as string, 'base64') };
  const own = `${origin} ${keyId(origin, publicKey).toString('hex')}`;
  const signatures = lines.filter((line) => signerOf(line) === own).map((line) => Buffer.from(SIGNATURE_LINE.exec(line)?.[2] ?? '', 'base64').subarray(4));
  const spki = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' });
  return signatures.length > 0 && signatures.every((signature) => verify(null, Buffer.from(checkpointText(head)), spki, signature)) ? head : null;
}
