import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Refused, systemRandom, type Random } from '../../kernel/index.ts';

const SECRET_BYTES = 32;

/** Folder of the key files; only its owner may enter. */
function keyFolder(dataFolder: string): string {
  const folder = join(dataFolder, 'keys');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/**
 * Reads a secret of 32 bytes, and makes it (mode 0600) when there is none. When two processes make it at once, both get the
 * one that came first. Throws when the file is not a key.
 */
export function readOrMakeSecret(dataFolder: string, name: 'root' | 'token' | 'index' | 'identity', random: Random = systemRandom): Uint8Array {
  const content = readOrMake(join(keyFolder(dataFolder), `${name}.key`), () => Buffer.from(random(SECRET_BYTES)).toString('base64'));
  const secret = Buffer.from(content.trim(), 'base64');
  if (secret.length !== SECRET_BYTES) throw new Error(`${name}.key in the key folder is damaged: restore it from the key backup`);
  return secret;
}

/** Reads a secret that another process of the city has made. Throws `Refused` when it is not there. */
export function readSecret(dataFolder: string, name: 'token'): Uint8Array {
  if (readIfThere(join(dataFolder, 'keys', `${name}.key`)) === null) throw new Refused({ code: 'start.config-invalid', detail: `There is no keys/${name}.key in ${dataFolder}: point CLERESTORY_DATA at the city's data folder, or copy the file from it.`, field: 'data' });
  return readOrMakeSecret(dataFolder, name);
}

/** Reads the log's Ed25519 key (PKCS #8, PEM), and makes it when there is none. */
export function readOrMakeSigningKey(dataFolder: string): { privateKey: KeyObject; publicKey: Uint8Array } {
  const pem = readOrMake(join(keyFolder(dataFolder), 'log.key'), () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: rawPublicKey(createPublicKey(privateKey)) };
}

/** The 32 bytes of RFC 8032. */
function rawPublicKey(key: KeyObject): Uint8Array {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new Error('log.key is not an Ed25519 key');
  return Buffer.from(x, 'base64url');
}

function readOrMake(path: string, make: () => string): string {
  const present = readIfThere(path);
  if (present !== null) return present;
  const draft = `${path}.${process.pid}.tmp`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, `${make()}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(draft, path); // fails when another process was first, so that nobody's key is overwritten
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(join(path, '..'));
  return readFileSync(path, 'utf8');
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
