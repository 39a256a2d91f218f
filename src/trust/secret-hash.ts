import { createHash } from 'node:crypto';

/** What is stored of a secret link: its SHA-256, hex. The secrets are 160 random bits (kernel `newSecret`), so no salt is needed. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
