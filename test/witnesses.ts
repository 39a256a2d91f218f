import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { consistencyProof, EMPTY_EDGE, extendEdge, hashLeaf, rootOf, type Hash } from '../src/trust/log/merkle.ts';
import { signCheckpoint, verifierKey } from '../src/trust/log/note.ts';
import { ROOT } from './city.ts';

/** A log in memory of up to 256 entries, honest or not: `grow` and `fork` as one likes. */
export interface PaperLog {
  readonly vkey: string;
  size(): number;
  grow(entries: readonly string[]): void;
  /** Another log with the same key that has only the first `keep` entries. */
  fork(keep: number): PaperLog;
  checkpoint(size?: number): string;
  prove(from: number, to: number): Promise<readonly Hash[]>;
}

interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKey: Uint8Array;
}

export function makeSigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url') };
}

export function makePaperLog(origin = 'city.example/log', signer: Signer = makeSigner(), begun: readonly string[] = []): PaperLog {
  const entries = [...begun];
  const hashes = (size: number): Hash[] => entries.slice(0, size).map((entry) => hashLeaf(Buffer.from(entry)));
  const root = (size: number): Hash => rootOf(extendEdge(EMPTY_EDGE, hashes(size)).edge);
  return {
    vkey: verifierKey(origin, signer.publicKey),
    size: () => entries.length,
    grow: (more) => {
      entries.push(...more);
      if (entries.length > 255) throw new RangeError('a paper log has one tile');
    },
    fork: (keep) => makePaperLog(origin, signer, entries.slice(0, keep)),
    checkpoint: (size = entries.length) => signCheckpoint({ origin, size, root: root(size) }, signer),
    prove: (from, to) => consistencyProof(from, to, (_level, first, count) => Promise.resolve(hashes(to).slice(first, first + count))),
  };
}

export interface WitnessProcess {
  readonly name: string;
  readonly url: string;
  readonly vkey: string;
  readonly data: string;
  readonly process: ChildProcess;
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const folders: string[] = [];

/** `clerestory witness` in a process of its own, on a free port unless told. */
export async function startWitness(options: { name: string; logs: readonly string[]; data?: string; port?: number }): Promise<WitnessProcess> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'clerestory-witness-'));
  folders.push(data);
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'cli.ts'), 'witness', '--data', data, '--port', String(options.port ?? 0), '--name', options.name, ...options.logs.flatMap((vkey) => ['--log', vkey])];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const found: { vkey?: string | undefined; url?: string | undefined } = {};
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the witness did not start:\n${output}`));
    }, START_TIMEOUT_MS);
    createInterface({ input: child.stdout }).on('line', (line) => {
      output += `${line}\n`;
      found.vkey ??= /^\s+Key\s+(\S+)/.exec(line)?.[1];
      found.url ??= /^\s+Address\s+(\S+)/.exec(line)?.[1];
      if (/Ctrl-C stops it/.test(line)) {
        clearTimeout(timer);
        resolve();
      }
    });
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`the witness ended with ${code}:\n${output}`));
    });
  });
  if (found.vkey === undefined || found.url === undefined) throw new Error(`the witness did not say its key or address:\n${output}`);
  return {
    name: options.name,
    url: found.url,
    vkey: found.vkey,
    data,
    process: child,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Removes the folders of all witnesses that this file started. */
export function removeWitnessFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** A policy of `need` out of these witnesses. */
export function policyOf(logs: readonly string[], witnesses: readonly Pick<WitnessProcess, 'vkey' | 'url'>[], need: number): string {
  return [...logs.map((vkey) => `log ${vkey}`), ...witnesses.map(({ vkey, url }, at) => `witness w${at + 1} ${vkey} ${url}`), `group enough ${need} ${witnesses.map((_, at) => `w${at + 1}`).join(' ')}`, 'quorum enough', ''].join('\n');
}
