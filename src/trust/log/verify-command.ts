import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { verifyWholeLog, type LogReader, type LogReport } from './verify.ts';

const TIMEOUT_MS = 30_000;
/** Larger than any bundle: 256 entries of 65,535 bytes with their lengths. */
const FILE_BYTES_LIMIT = 256 * 65_537 + 1;

export interface VerifyOptions {
  /** The note verifier key, from a place that the log's keeper does not control. */
  readonly key?: string;
  /** A file with a checkpoint that somebody kept. */
  readonly since?: string;
  readonly print?: (line: string) => void;
}

/**
 * `clerestory verify log URL|DIR`: re-checks a whole log, offline from a folder (the data folder, its `log` folder, or a copy) or
 * over HTTP, and prints what it proved and what it did not. Gives the exit code: 0 all holds, 1 a fault, 2 nothing to check.
 */
export async function verifyLog(target: string, options: VerifyOptions = {}): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const reader = /^https?:\/\//.test(target) ? await openUrl(target) : await openFolder(target);
  if (reader === null) {
    print(`There is no log at ${target}: a folder or an address with a file named checkpoint is needed.`);
    return 2;
  }
  const ownKey = options.key ?? (await reader.read('vkey').then((bytes) => bytes && Buffer.from(bytes).toString('utf8').trim()));
  if (!ownKey) {
    print('The log brings no verifier key; name one with --key NAME+HASH+KEY.');
    return 2;
  }
  const earlier = options.since === undefined ? {} : { earlier: await readFile(options.since) };
  const report = await verifyWholeLog(reader, ownKey, { keyFromElsewhere: options.key !== undefined, ...earlier });
  for (const line of [...describe(report, ownKey), ...(await describePrevious(report, target))]) print(line);
  return report.ok ? 0 : 1;
}

function describe(report: LogReport, vkey: string): string[] {
  const kinds = Object.entries(report.kinds).map(([kind, count]) => `${count} ${kind}`);
  return [
    `log      ${report.origin || '(unreadable)'}`,
    `key      ${vkey}`,
    `size     ${report.size} entries${kinds.length > 0 ? ` (${kinds.join(', ')})` : ''}`,
    `root     ${report.root}`,
    `read     ${report.files} files`,
    '',
    report.ok ? 'The log is whole.' : `The log is NOT whole. First fault: ${report.faults[0]?.path}: ${report.faults[0]?.detail}.`,
    ...report.faults.slice(1).map(({ path, detail }) => `  also: ${path}: ${detail}`),
    ...(report.proved.length > 0 ? ['', 'Proved:', ...report.proved.map((line) => `  - ${line}`)] : []),
    '',
    'Not proved:',
    ...report.notProved.map((line) => `  - ${line}`),
  ];
}

/** A log that was begun anew is right without the old one, so damage to that is told and is no fault of this one. */
async function describePrevious({ previous }: LogReport, target: string): Promise<string[]> {
  if (previous === null) return [];
  const lines = ['', `The log was begun anew after ${previous.origin} at ${previous.size} entries. Reason given: ${previous.reason}`];
  const base = target.replace(/\/+$/, '');
  const places = /^https?:/.test(target) ? [`${base}/log/old/${previous.number}`, `${base}/old/${previous.number}`] : [join(base, `log-${previous.number}`), join(base, '..', `log-${previous.number}`)];
  for (const place of places) {
    const reader = /^https?:/.test(place) ? await openUrl(place) : await openFolder(place);
    if (reader === null) continue;
    const before = await verifyWholeLog(reader, previous.vkey, { keyFromElsewhere: true, earlier: previous.checkpoint });
    return [...lines, before.ok ? `Its files are whole, up to ${before.size} entries.` : `Its files are NOT whole: ${before.faults[0]?.path}: ${before.faults[0]?.detail}.`];
  }
  return [...lines, 'Its files were not found beside this log.'];
}

const isMissing = (error: unknown): boolean => ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Reads a log's files from a folder; null when there is no checkpoint in it or in its `log` folder. */
export async function openFolder(target: string): Promise<LogReader | null> {
  for (const folder of [target, join(target, 'log')]) {
    const reader = folderReader(folder);
    if ((await reader.read('checkpoint')) !== null) return reader;
  }
  return null;
}

function folderReader(folder: string): LogReader {
  return {
    read: async (path) => {
      try {
        const file = join(folder, path);
        if ((await stat(file)).size > FILE_BYTES_LIMIT) throw new Error(`${path} is larger than any file of a log`);
        return await readFile(file);
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    list: async () => {
      const files = await readdir(folder, { recursive: true, withFileTypes: true });
      return files.filter((file) => !file.isDirectory()).map((file) => relative(folder, join(file.parentPath, file.name)).split(sep).join('/'));
    },
  };
}

/** Reads a log's files over HTTP; null when there is no checkpoint at the address or below its /log. */
export async function openUrl(target: string): Promise<LogReader | null> {
  const base = target.replace(/\/+$/, '');
  for (const prefix of [base, `${base}/log`]) {
    const reader = urlReader(prefix);
    if ((await reader.read('checkpoint')) !== null) return reader;
  }
  return null;
}

function urlReader(prefix: string): LogReader {
  return {
    read: async (path) => {
      const response = await fetch(`${prefix}/${path}`, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`${prefix}/${path} answered ${response.status}`);
      const type = response.headers.get('content-type') ?? '';
      if (type.startsWith('text/html')) return null; // a web page, not a log
      return new Uint8Array(await response.arrayBuffer());
    },
    list: () => Promise.resolve(null),
  };
}
