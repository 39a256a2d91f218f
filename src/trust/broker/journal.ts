import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The disk may not hold what was to be written; nothing is done until a new start has read it again. */
export class InDoubt extends Error {}

/** A head of the city's log. */
export interface SeenHead {
  readonly size: number;
  readonly root: Buffer;
}

export interface Opening {
  readonly index: number;
  /** SHA-256(0x00 ‖ leaf), RFC 6962 §2.1. */
  readonly leafHash: Buffer;
}

/**
 * The broker's own record, in its own folder: which log it serves, which leaf opened something, and the head seen last. One line
 * an opening, on the disk before anything is decrypted. Lines: `log VKEY` and `open INDEX LEAFHASH SIZE ROOT`, in hex.
 */
export interface Journal {
  vkey(): string | null;
  /** Whether it served this log and then another one: there is no way back, or a log that was set back would look new. */
  left(vkey: string): boolean;
  /** A log of another origin begins: its heads have nothing to do with the ones before. */
  beginLog(vkey: string): void;
  seen(): SeenHead | null;
  spent(leafHash: Buffer): boolean;
  /** Returns when the lines are on the disk. Throws `InDoubt`. */
  append(openings: readonly Opening[], head: SeenHead): void;
  count(): number;
  close(): void;
}

/** Opens `<folder>/openings` and drops a torn last line: what it named was not opened. Throws when the file is damaged. */
export function openJournal(folder: string): Journal {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'openings');
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  let length = text.lastIndexOf('\n') + 1;
  const spent = new Set<string>();
  const begun = new Set<string>();
  let vkey: string | null = null;
  let seen: SeenHead | null = null;
  for (const line of text.slice(0, length).split('\n').slice(0, -1)) {
    const opening = /^open (\d+) ([0-9a-f]{64}) (\d+) ([0-9a-f]{64})$/.exec(line);
    if (opening) {
      spent.add(opening[2] as string);
      seen = { size: Number(opening[3]), root: Buffer.from(opening[4] as string, 'hex') };
    } else if (line.startsWith('log ')) {
      [vkey, seen] = [line.slice(4), null];
      begun.add(vkey);
    } else throw new Error(`the journal of the key broker is damaged: ${path} has a line that it did not write`);
  }
  const file = openSync(path, 'a', 0o600);
  ftruncateSync(file, length);
  fsyncSync(file);
  let broken = false;
  const write = (lines: string): void => {
    // Another broker on the same file would know of openings that this one does not.
    if (broken || fstatSync(file).size !== length) throw new InDoubt('the journal of the key broker cannot be continued; start the broker again');
    const bytes = Buffer.from(lines, 'latin1');
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      fsyncSync(file);
    } catch (cause) {
      broken = true;
      throw new InDoubt('the journal of the key broker could not be written', { cause });
    }
    length += bytes.length;
  };
  return {
    vkey: () => vkey,
    left: (other) => other !== vkey && begun.has(other),
    beginLog: (next) => {
      write(`log ${next}\n`);
      [vkey, seen] = [next, null];
      begun.add(next);
    },
    seen: () => seen,
    spent: (leafHash) => spent.has(leafHash.toString('hex')),
    append: (openings, head) => {
      const hashes = openings.map(({ leafHash }) => leafHash.toString('hex'));
      write(openings.map(({ index }, at) => `open ${index} ${hashes[at] ?? ''} ${head.size} ${head.root.toString('hex')}\n`).join(''));
      for (const hash of hashes) spent.add(hash);
      seen = head;
    },
    count: () => spent.size,
    close: () => closeSync(file),
  };
}
