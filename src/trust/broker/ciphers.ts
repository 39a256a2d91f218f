import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import type { Random } from '../../kernel/index.ts';

/** AES-256-GCM as NIST SP 800-38D wants it: a random 96-bit nonce before, a 128-bit tag behind the ciphertext. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

/** Seals `plain`; `context` is bound to it, so that a sealed value cannot stand in another's place. */
export function seal(key: Uint8Array, context: readonly (string | number)[], plain: Uint8Array, random: Random): Buffer {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(encodeContext(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what `seal` made under the same key and context; throws for anything else. */
export function unseal(key: Uint8Array, context: readonly (string | number)[], sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(encodeContext(context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), decipher.final()]);
}

// JSON keeps the parts apart: ["a","bc"] is not ["ab","c"].
const encodeContext = (context: readonly (string | number)[]): Buffer => Buffer.from(JSON.stringify(context));

/** Tells a root key from another without telling the key. */
export function fingerprintOf(rootKey: Uint8Array): Buffer {
  return createHmac('sha256', rootKey).update('clerestory root key fingerprint').digest();
}

/** Key of a resident from the secret of their follow-up link (HKDF-SHA-256, RFC 5869); bound to the case. */
export function ownerKeyOf(ownerSecret: string, caseId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', Buffer.from(ownerSecret), Buffer.from(caseId), 'clerestory owner key', KEY_BYTES));
}
