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

/** Reads a checkpoint of our own form; null when it is not of that form or its signature is not by `publicKey`. */
export function openCheckpoint(checkpoint: string, origin: string, publicKey: Uint8Array): Head | null {
  const match = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n\n— (\S+) ([A-Za-z0-9+/=]+)\n$/.exec(checkpoint);
  if (match?.[1] !== origin || match[4] !== origin) return null;
  const head: Head = { origin, size: Number(match[2]), root: Buffer.from(match[3] as string, 'base64') };
  const signed = Buffer.from(match[5] as string, 'base64');
  const spki = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') }, format: 'jwk' });
  return signed.subarray(0, 4).equals(keyId(origin, publicKey)) && verify(null, Buffer.from(checkpointText(head)), spki, signed.subarray(4)) ? head : null;
}
