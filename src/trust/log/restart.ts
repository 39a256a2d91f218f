import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { checkCheckpoint } from './verify-checkpoint.ts';
import { holdLogFolder } from './log-lock.ts';

/** What a new log says of the one before it; public, and the body of its first leaf. */
export const Beginning = z.strictObject({
  reason: z.string().min(10).max(500),
  previous: z.strictObject({
    /** Its files are kept in the folder log-<number>. */
    number: z.number().int().min(1).max(9_999),
    origin: z.string(),
    vkey: z.string(),
    size: z.number().int(),
    /** The newest head that was known of it: what the new log cannot take back. */
    checkpoint: z.string(),
  }),
});
export type Beginning = z.infer<typeof Beginning>;

/** Waits in the new folder until the log has begun. */
const Restart = z.strictObject({ origin: z.string().regex(/^[^\s+]{1,255}$/), begin: Beginning });
export type Restart = z.infer<typeof Restart>;

const FILE = 'restart.json';

export function readRestart(folder: string): Restart | null {
  const path = join(folder, FILE);
  return existsSync(path) ? Restart.parse(JSON.parse(readFileSync(path, 'utf8'))) : null;
}

/** The first leaf stands: keeps what opens it beside the log, and ends the restart. */
export function endRestart(folder: string, opening: { nonce: string; body: string }): void {
  writeFileDurably(folder, 'begin.json', `${JSON.stringify(opening)}\n`);
  rmSync(join(folder, FILE));
}

interface RestartOptions {
  readonly reason: string;
  /** A checkpoint of the log that somebody kept, when it is newer than what is on the disk. */
  readonly since?: string;
  /** Name of the new log; otherwise the old one with a number. */
  readonly origin?: string;
  readonly print?: (line: string) => void;
}

/**
 * `clerestory log restart`, while the city is stopped: puts the log's folder aside, and leaves what the next start needs to begin a new
 * log that names the old one. The signing key stays: the key broker knows it, and its id changes with the name of the log. Can be called again after it was interrupted. Gives the exit code: 0 ready, 2 nothing was done.
 */
export function restartLog(dataFolder: string, options: RestartOptions): number {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const folder = join(dataFolder, 'log');
  if (!existsSync(folder)) {
    const interrupted = kept(dataFolder).find((number) => existsSync(join(dataFolder, `log-${number}`, FILE)));
    if (interrupted === undefined) {
      print(`There is no log in ${dataFolder}.`);
      return 2;
    }
    return makeNew(dataFolder, interrupted, print);
  }
  const release = holdLogFolder(folder);
  let number: number;
  try {
    if (readRestart(folder) !== null && !existsSync(join(folder, 'checkpoint'))) {
      print('A new log begins at the next start already.');
      return 0;
    }
    const restart = readRestart(folder) ?? describeRestart(dataFolder, folder, options);
    if (typeof restart === 'string') {
      print(restart);
      return 2;
    }
    writeFileDurably(folder, FILE, JSON.stringify(restart));
    number = restart.begin.previous.number;
  } finally {
    release();
  }
  renameSync(folder, join(dataFolder, `log-${number}`));
  return makeNew(dataFolder, number, print);
}

function makeNew(dataFolder: string, number: number, print: (line: string) => void): number {
  const folder = join(dataFolder, 'log');
  const text = readFileSync(join(dataFolder, `log-${number}`, FILE), 'utf8');
  const { origin, begin } = Restart.parse(JSON.parse(text));
  mkdirSync(`${folder}.new`, { recursive: true, mode: 0o755 });
  writeFileDurably(`${folder}.new`, FILE, text);
  renameSync(`${folder}.new`, folder);
  syncFolder(dataFolder);
  rmSync(join(dataFolder, `log-${number}`, FILE));
  print(`The log ${begin.previous.origin} ends with ${begin.previous.size} entries and is kept in log-${number}.`);
  print(`The next start begins the log ${origin}. Its first leaf names the old log and why; tell the new verifier key to whoever checks the log.`);
  return 0;
}

/** Numbers of the logs that were put aside. */
const kept = (dataFolder: string): number[] => readdirSync(dataFolder).flatMap((name) => /^log-([1-9]\d{0,3})$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => b - a);

function describeRestart(dataFolder: string, folder: string, options: RestartOptions): Restart | string {
  const read = (path: string): Buffer | null => (existsSync(path) ? readFileSync(path) : null);
  const vkey = read(join(folder, 'vkey'))?.toString('utf8').trim();
  if (vkey === undefined) return `There is no log in ${folder}: it has no file vkey.`;
  if (options.since !== undefined) {
    const checked = checkCheckpoint(read(options.since), vkey, options.since);
    if ('fault' in checked) return `${options.since} is not a checkpoint of this log: ${checked.fault.detail}.`;
  }
  let newest: { size: number; origin: string; checkpoint: string } | null = null;
  for (const path of [...(options.since === undefined ? [] : [options.since]), join(folder, 'witnessed'), join(folder, 'checkpoint')]) {
    const bytes = read(path);
    const checked = checkCheckpoint(bytes, vkey, path);
    if ('head' in checked && checked.head.size > (newest?.size ?? -1)) newest = { size: checked.head.size, origin: checked.head.origin, checkpoint: (bytes as Buffer).toString('utf8') };
  }
  if (newest === null) return 'No checkpoint of this log was found: name one that somebody kept with --since FILE.';
  const number = 1 + (kept(dataFolder)[0] ?? 0);
  const origin = options.origin ?? `${newest.origin.replace(/-\d+$/, '')}-${number + 1}`;
  if (origin === newest.origin) return 'The new log needs another name than the old one.';
  const restart = Restart.safeParse({ origin, begin: { reason: options.reason.trim(), previous: { number, ...newest, vkey } } });
  return restart.success ? restart.data : 'A reason of 10 to 500 characters is needed (--reason), and a name without spaces or plus.';
}

function writeFileDurably(folder: string, name: string, text: string): void {
  const draft = join(folder, `${name}.tmp`);
  const file = openSync(draft, 'w', 0o644);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, join(folder, name));
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
