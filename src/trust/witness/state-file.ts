import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Refused } from '../../kernel/index.ts';
import { COSIGNATURE, COSIGNATURE_ML_DSA, noteKey, type NoteKey } from './signed-note.ts';

const STATE = 'witness.state';
const KEY = 'witness.key';
const ML_DSA_KEY = 'witness-ml-dsa.key';
const EVIDENCE = 'evidence';
const EVIDENCE_MAX = 100;
/** Anybody can send a log's newest checkpoint with a wrong proof; such files must not use up the room of real forks. */
const DOUBTFUL_MAX = 40;

/** What a witness keeps of one log: the largest tree that it cosigned. */
const Seen = z.strictObject({
  size: z.number().int().min(0),
  /** base64 */
  root: z.string(),
  /** Seconds since 1970 of the last cosignature. */
  time_s: z.number().int().min(0),
  /** As the log sent it, with the log's signature, so that it is a proof in the hands of others. */
  checkpoint: z.string(),
  cosignature: z.string(),
});
export type Seen = z.infer<typeof Seen>;

/** `ml_dsa` is the id of the second key, hex, once there is one. */
const State = z.strictObject({ v: z.literal(1), name: z.string(), ml_dsa: z.string().optional(), logs: z.record(z.string(), Seen) });
export type State = z.infer<typeof State>;

export interface Cosigner {
  readonly key: NoteKey;
  readonly privateKey: KeyObject;
}

export interface WitnessFolder {
  /** Of type 0x04, and of type 0x06 when it was asked for. */
  readonly cosigners: readonly [Cosigner, ...Cosigner[]];
  readonly state: State;
  /** Replaces the state as a whole; on the disk when it resolves. */
  write(state: State): Promise<void>;
  /** Keeps what a log should not have signed; gives the name of the file, or null when there is no room left among the hundred. */
  keepEvidence(name: string, text: string, doubtful: boolean): Promise<string | null>;
}

/**
 * Reads a witness's folder and makes it, with a key (mode 0600), when there is none. Throws `Refused` with `witness.state-damaged`
 * when state or key is missing, cut off or changed: a witness that has forgotten what it saw must not sign. With `mlDsa` it makes a
 * second key of ML-DSA-44, which then stays.
 */
export function openWitnessFolder(folder: string, name: string | undefined, mlDsa = false): WitnessFolder {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const content = readIfThere(join(folder, STATE));
  const pem = readIfThere(join(folder, KEY));
  if (pem !== null && content === null) throw damaged(`there is ${KEY} but no ${STATE}`);
  const known = content === null ? null : parseState(content);
  if (pem === null && known !== null && Object.keys(known.logs).length > 0) throw damaged(`there is ${STATE} but no ${KEY}`);
  const privateKey = pem === null ? generateKeyPairSync('ed25519').privateKey : readKey(pem, KEY, 'ed25519');
  const publicKey = rawPublicKey(privateKey);
  const first: State = known !== null && pem !== null ? known : { v: 1 as const, name: name ?? `witness-${publicKey.toString('hex').slice(0, 12)}`, logs: {} };
  if (name !== undefined && name !== first.name) throw new Refused({ code: 'witness.name-different', detail: `This witness is called ${first.name}.`, field: 'name' });
  if (pem === null) {
    // the state comes first: a key without one means that it was lost
    writeWhole(folder, STATE, formatState(first));
    writeWhole(folder, KEY, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  }
  const second = mlDsa || first.ml_dsa !== undefined ? openMlDsa(folder, first) : null;
  const state: State = second === null ? first : { ...first, ml_dsa: second.key.id.toString('hex') };
  if (state.ml_dsa !== first.ml_dsa) writeWhole(folder, STATE, formatState(state));
  return {
    cosigners: [{ key: noteKey(state.name, COSIGNATURE, publicKey), privateKey }, ...(second === null ? [] : [second])],
    state,
    write: (next) => replaceWhole(folder, STATE, formatState(next)),
    keepEvidence: (file, text, doubtful) => keepEvidence(join(folder, EVIDENCE), file, text, doubtful ? DOUBTFUL_MAX : EVIDENCE_MAX),
  };
}

function openMlDsa(folder: string, { name, ml_dsa }: State): Cosigner {
  const pem = readIfThere(join(folder, ML_DSA_KEY));
  if (pem === null && ml_dsa !== undefined) throw damaged(`there is ${STATE} of a witness with two keys but no ${ML_DSA_KEY}`);
  const privateKey = pem === null ? makeMlDsa() : readKey(pem, ML_DSA_KEY, 'ml-dsa-44');
  if (pem === null) writeWhole(folder, ML_DSA_KEY, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' })['pub'] as string, 'base64url');
  const key = noteKey(name, COSIGNATURE_ML_DSA, publicKey);
  if (ml_dsa !== undefined && ml_dsa !== key.id.toString('hex')) throw damaged(`${ML_DSA_KEY} is another key than before`);
  return { key, privateKey };
}

function makeMlDsa(): KeyObject {
  try {
    return generateKeyPairSync('ml-dsa-44').privateKey;
  } catch (cause) {
    const refused = new Refused({ code: 'start.config-invalid', detail: `This Node (${process.version}, OpenSSL ${process.versions['openssl'] ?? '?'}) does not know ML-DSA-44; OpenSSL 3.5 does.`, field: 'ml-dsa' });
    throw Object.assign(refused, { cause });
  }
}

/** Reads the state alone, for people. Throws `Refused` when there is none or it is damaged. */
export function readState(folder: string): State {
  const content = readIfThere(join(folder, STATE));
  if (content === null) throw damaged(`there is no ${STATE} in ${folder}`);
  return parseState(content);
}

const damaged = (why: string): Refused => new Refused({ code: 'witness.state-damaged', detail: `The witness does not start: ${why}.`, field: 'data' });
const checksum = (json: string): string => createHash('sha256').update(json).digest('hex');
const formatState = (state: State): string => {
  const json = JSON.stringify(state, null, 1);
  return `${json}\nsha256 ${checksum(json)}\n`;
};

function parseState(content: string): State {
  const match = /^(\{[^]*\})\nsha256 ([0-9a-f]{64})\n$/.exec(content);
  if (match === null || checksum(match[1] as string) !== match[2]) throw damaged(`${STATE} is cut off or was changed`);
  const parsed = State.safeParse(JSON.parse(match[1] as string));
  if (!parsed.success) throw damaged(`${STATE} is not of a form that this version knows`);
  return parsed.data;
}

function readKey(pem: string, file: string, type: 'ed25519' | 'ml-dsa-44'): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === type) return key;
  } catch (cause) {
    throw Object.assign(damaged(`${file} is not a key`), { cause });
  }
  throw damaged(`${file} is not a key of ${type}`);
}

/** The 32 bytes of RFC 8032. */
function rawPublicKey(key: KeyObject): Buffer {
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x as string, 'base64url');
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function writeWhole(folder: string, name: string, text: string): void {
  const file = openSync(join(folder, `${name}.tmp`), 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(join(folder, `${name}.tmp`), join(folder, name));
  const parent = openSync(folder, 'r');
  try {
    fsyncSync(parent);
  } finally {
    closeSync(parent);
  }
}

async function replaceWhole(folder: string, name: string, text: string): Promise<void> {
  const file = await open(join(folder, `${name}.tmp`), 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(join(folder, `${name}.tmp`), join(folder, name));
  const parent = await open(folder, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

async function keepEvidence(folder: string, name: string, text: string, room: number): Promise<string | null> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const present = readdirSync(folder);
  if (present.includes(name)) return join(EVIDENCE, name);
  if (present.length >= room) return null;
  await replaceWhole(folder, name, text);
  return join(EVIDENCE, name);
}

/** Files of evidence, by name. */
export function listEvidence(folder: string): string[] {
  try {
    return readdirSync(join(folder, EVIDENCE)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
