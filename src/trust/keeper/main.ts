/**
 * The key keeper: a program that the key broker runs for a moment, when it starts and when a version of the root key is made or destroyed.
 * It alone reads and writes the files of the root key; it sees no case, and the broker sees no file of a key. It takes one order on its
 * standard input and gives one answer on its standard output.
 */
import { readFileSync, writeSync } from 'node:fs';
import { RootLocked } from '../broker/roots.ts';
import type { Protection } from '../broker/protocol.ts';
import { openRootKeys, type Keeping } from './root-keys.ts';
import { askTerminal } from './terminal.ts';

export interface KeeperOrder {
  readonly keyFolder: string;
  readonly passphraseFile?: string;
  readonly pkcs11?: { module: string; label: string; keyLabel: string; pinFile?: string };
  readonly passphrase?: string;
  readonly pin?: string;
  /** Makes the next version. */
  readonly rotate?: { at: string };
  /** Destroys a version, when its successor is older than the window. */
  readonly retire?: { version: number; windowDays: number; at: string };
}

/** All versions after the act, and what was typed at the terminal; or why nothing opens. Keys are base64. */
export type KeeperAnswer = { readonly protection: Protection; readonly roots: readonly { version: number; key: string }[]; readonly secrets: { passphrase?: string; pin?: string } } | { readonly locked: string };

const readSecretFile = (path: string): string => readFileSync(path, 'utf8').replace(/\r?\n$/, '');

function carryOut({ keyFolder, passphraseFile, pkcs11, passphrase, pin, rotate, retire }: KeeperOrder): KeeperAnswer {
  const secrets: { passphrase?: string; pin?: string } = {};
  const typed = (name: 'passphrase' | 'pin', question: string): string | null => {
    const line = secrets[name] ?? askTerminal(question);
    return line === null ? null : (secrets[name] = line);
  };
  const given = passphrase ?? (passphraseFile === undefined ? null : readSecretFile(passphraseFile));
  const keeping: Keeping = {
    token: pkcs11 === undefined ? null : { ...pkcs11, pin: pin ?? (pkcs11.pinFile === undefined ? (typed('pin', 'PIN of the token: ') ?? '') : readSecretFile(pkcs11.pinFile)) },
    passphrase: (needed = false) => given ?? (needed ? typed('passphrase', 'Passphrase of the root key: ') : (secrets.passphrase ?? null)),
  };
  const keys = openRootKeys(keyFolder, keeping);
  if (rotate !== undefined) keys.rotate(rotate.at);
  if (retire !== undefined) keys.retire(retire.version, retire.windowDays, retire.at);
  return { protection: keys.protection, roots: keys.list().map(({ version }) => ({ version, key: Buffer.from(keys.get(version) as Uint8Array).toString('base64') })), secrets };
}

function answer(): KeeperAnswer {
  try {
    return carryOut(JSON.parse(readFileSync(0, 'utf8')) as KeeperOrder);
  } catch (error) {
    if (error instanceof RootLocked) return { locked: error.message };
    throw error;
  }
}

for (let rest = Buffer.from(JSON.stringify(answer())); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
