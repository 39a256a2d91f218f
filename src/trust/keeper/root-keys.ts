import { randomBytes, scryptSync } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf, KEY_BYTES, seal, unseal } from '../broker/ciphers.ts';
import type { Protection } from '../broker/protocol.ts';
import { RootLocked, type RootKeys } from '../broker/roots.ts';
import { unwrapByToken, wrapForToken, type Token } from './pkcs11.ts';

/** log2 of scrypt's N, r and p: 128 MiB and about half a second a try (RFC 7914 §2). */
const SCRYPT = { log2N: 17, r: 8, p: 1 };
const SALT_BYTES = 16;
const DAY_MS = 86_400_000;

/** How the root key is kept. A token goes before a passphrase; without either the file lies open, mode 0600. */
export interface Keeping {
  readonly token: Token | null;
  /** The one that was given, or, when a file `needs` one, typed at the terminal; null when there is none. */
  readonly passphrase: (needed?: boolean) => string | null;
}

interface RootFile {
  readonly version: number;
  readonly made: string;
  readonly kind: Protection;
  /** Base64: the key itself, sealed under the passphrase, or wrapped for the token. */
  readonly key: string;
  readonly salt?: string;
  readonly log2N?: number;
}

/**
 * Reads all versions in `folder` and makes the first one when there is none. Finishes what an earlier run was cut off in. Throws `RootLocked`.
 */
export function openRootKeys(folder: string, keeping: Keeping): RootKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const kindOf = (): Protection => (keeping.token !== null ? 'pkcs11' : keeping.passphrase() !== null ? 'passphrase' : 'none');
  const pathOf = (version: number): string => join(folder, version === 1 ? 'root.key' : `root-${version}.key`);
  const held = new Map<number, { key: Buffer; made: string }>();
  const contentOf = (version: number, key: Buffer, made: string): string => `${JSON.stringify(wrapFile({ version, made }, kindOf(), key, keeping))}\n`;

  const read = (version: number): RootFile => {
    const file = readRootFile(readFileSync(pathOf(version), 'utf8'), version);
    held.set(version, { key: unwrapFile(file, keeping), made: file.made });
    return file;
  };
  /** Another keeper may make the same version at this moment, for a broker that was killed meanwhile: the one that came first counts. */
  const make = (version: number, made: string): void => {
    const key = randomBytes(KEY_BYTES);
    writeFirst(pathOf(version), folder, contentOf(version, key, made));
    key.fill(0);
    read(version);
  };
  removeLeftovers(folder);
  const files = readdirSync(folder).flatMap((name) => /^root(?:-([1-9]\d{0,5}))?\.key$/.exec(name)?.[1] ?? (name === 'root.key' ? '1' : []));
  for (const version of files.map(Number).sort((a, b) => a - b)) {
    const { kind, made } = read(version);
    const open = `${pathOf(version)}.old`;
    if (kind === 'none' && kindOf() !== 'none') {
      rmSync(open, { force: true });
      linkSync(pathOf(version), open); // the open form goes only when the wrapped one is on the disk
      replaceFile(pathOf(version), folder, contentOf(version, (held.get(version) as { key: Buffer }).key, made));
    }
    if (existsSync(open)) destroyFile(open, folder);
  }
  if (held.size === 0) make(1, new Date(0).toISOString());
  const newest = (): number => Math.max(...held.keys());
  return {
    protection: kindOf(),
    list: () => [...held].map(([version, { key }]) => ({ version, fingerprint: fingerprintOf(key) })),
    newest,
    get: (version) => held.get(version)?.key ?? null,
    rotate: (at) => {
      make(newest() + 1, at);
      return newest();
    },
    retire: (version, windowDays, at) => {
      const [old, next] = [held.get(version), held.get(version + 1)];
      if (!old || !next || Date.parse(at) < Date.parse(next.made) + windowDays * DAY_MS) return false;
      // under its own name a file that is half overwritten would stop the next start as a damaged key
      renameSync(pathOf(version), `${pathOf(version)}.gone`);
      syncFolder(folder);
      destroyFile(`${pathOf(version)}.gone`, folder);
      old.key.fill(0);
      held.delete(version);
      return true;
    },
  };
}

/** A run that was cut off left drafts, or a key that it was destroying. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const draft = /^root(?:-\d+)?\.key\.(\d+)\.tmp$/.exec(name);
    if (draft && !isAlive(Number(draft[1]))) rmSync(join(folder, name), { force: true }); // may be another name of a key in use, so it is not overwritten
    if (/^root(-\d+)?\.key\.gone$/.test(name)) destroyFile(join(folder, name), folder);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function readRootFile(text: string, version: number): RootFile {
  const bare = Buffer.from(text.trim(), 'base64');
  if (bare.length === KEY_BYTES && !text.startsWith('{')) return { version, made: new Date(0).toISOString(), kind: 'none', key: text.trim() }; // the form of the first release
  try {
    const file = JSON.parse(text) as RootFile;
    if (file.version === version && ['none', 'passphrase', 'pkcs11'].includes(file.kind)) return file;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new RootLocked(`version ${version} of root.key in the key folder is damaged: restore it from the key backup`);
}

function wrapFile(head: { version: number; made: string }, kind: Protection, key: Buffer, keeping: Keeping): RootFile {
  if (keeping.token !== null) return { ...head, kind, key: wrapForToken(keeping.token, key).toString('base64') };
  const passphrase = keeping.passphrase();
  if (passphrase === null) return { ...head, kind, key: key.toString('base64') };
  const salt = randomBytes(SALT_BYTES);
  const wrapping = stretch(passphrase, salt, SCRYPT.log2N);
  const sealed = seal(wrapping, ['root-key', head.version, head.made], key, randomBytes);
  wrapping.fill(0);
  return { ...head, kind, key: sealed.toString('base64'), salt: salt.toString('base64'), log2N: SCRYPT.log2N };
}

function unwrapFile(file: RootFile, keeping: Keeping): Buffer {
  const bytes = Buffer.from(file.key, 'base64');
  if (file.kind === 'none') return bytes;
  if (file.kind === 'pkcs11') {
    if (keeping.token === null) throw new RootLocked('The root key is wrapped for a PKCS#11 token: set CLERESTORY_PKCS11_MODULE, CLERESTORY_PKCS11_TOKEN and CLERESTORY_PKCS11_PIN_FILE.');
    try {
      return unwrapByToken(keeping.token, bytes);
    } catch (error) {
      throw new RootLocked(`The PKCS#11 token did not unwrap the root key: ${(error as Error).message}`);
    }
  }
  const passphrase = keeping.passphrase(true);
  if (passphrase === null) throw new RootLocked('The root key is sealed by a passphrase: set CLERESTORY_ROOT_PASSPHRASE_FILE or start at a terminal.');
  const log2N = file.log2N ?? 0;
  if (!Number.isInteger(log2N) || log2N < 14 || log2N > 20) throw new RootLocked('root.key names a cost of scrypt that is not taken: restore it from the key backup.');
  const wrapping = stretch(passphrase, Buffer.from(file.salt ?? '', 'base64'), log2N);
  try {
    return unseal(wrapping, ['root-key', file.version, file.made], bytes);
  } catch (cause) {
    throw new RootLocked('The passphrase does not open the root key. Nothing was changed, and no new key was made.', { cause });
  } finally {
    wrapping.fill(0);
  }
}

const stretch = (passphrase: string, salt: Buffer, log2N: number): Buffer =>
  scryptSync(passphrase.normalize('NFKC'), salt, KEY_BYTES, { N: 2 ** log2N, r: SCRYPT.r, p: SCRYPT.p, maxmem: 256 * 2 ** log2N * SCRYPT.r });

/** Writes the whole content beside the file; what puts it in its place leaves, when it is cut off, the old one or the new one. */
function writeDraft(path: string, content: string): string {
  const draft = `${path}.${process.pid}.tmp`;
  const file = openSync(draft, 'w', 0o600);
  try {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

function replaceFile(path: string, folder: string, content: string): void {
  renameSync(writeDraft(path, content), path);
  syncFolder(folder);
}

/** Leaves a file alone that is there. */
function writeFirst(path: string, folder: string, content: string): void {
  const draft = writeDraft(path, content);
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(folder);
}

/** Overwrites in place and deletes. Copy-on-write file systems and flash keep older blocks: see docs/reference/keys.md. */
function destroyFile(path: string, folder: string): void {
  const file = openSync(path, 'r+');
  try {
    const noise = randomBytes(statSync(path).size);
    for (let at = 0; at < noise.length; ) at += writeSync(file, noise, at, undefined, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  rmSync(path);
  syncFolder(folder);
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
