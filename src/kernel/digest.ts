import { createHash, type Hash } from 'node:crypto';

/** A SHA-256 (FIPS 180-4) that takes its input in pieces: `update`, then `digest('hex')` once. */
export const sha256 = (): Hash => createHash('sha256');
