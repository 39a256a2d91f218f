import { readFile } from 'node:fs/promises';
import { checkAccess, trustOldLogs, LOOK_DELAY_MAX_DAYS, readAccessFile, type AccessFile, type AccessReport } from '../../contracts/tlog/access.ts';
import { readNoteKey } from '../../contracts/tlog/note.ts';
import { findOwnLeaves } from '../../contracts/tlog/own-leaves.ts';
import { readTrustPolicy, trustLogAlone, type TrustPolicy } from '../../contracts/tlog/policy.ts';
import { openFolder, openUrl } from '../log/verify-command.ts';

export interface VerifyAccessOptions {
  /** The log's verifier key, from a place that the city does not control. */
  readonly key?: string;
  /** File of a C2SP tlog-policy: trusts its logs, and asks for its quorum of witnesses. */
  readonly policy?: string;
  /** The log itself, as a folder or an address: shows whether the file keeps a look back. */
  readonly log?: string;
  readonly print?: (line: string) => void;
}

/**
 * `clerestory verify access FILE`: checks the file that a resident downloaded from the page of their report, offline unless `--log` names
 * an address. Gives the exit code: 0 all holds, 1 a fault, 2 nothing to check.
 */
export async function verifyAccess(path: string, options: VerifyAccessOptions = {}): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (['ENOENT', 'EISDIR', 'EACCES'].includes(error.code ?? '')) return null;
    throw error;
  });
  const file = text === null ? `The file ${path} cannot be read.` : readAccessFile(text);
  const policy = typeof file === 'string' ? file : await policyFor(file, options);
  if (typeof file === 'string' || typeof policy === 'string') {
    print(typeof file === 'string' ? file : (policy as string));
    return 2;
  }
  const report = await checkAccess(file, await trustOldLogs(file, policy));
  print(`city      ${file.city}`);
  print(`report    ${file.requestId}, file of ${file.madeAt}`);
  print(`log       ${policy.logs.map(({ name }) => name).join(', ')}, ${String(report.size)} entries at the newest look`);
  print(`looks     ${String(report.entries.length)}`);
  print('');
  for (const [at, { n, index, fault }] of report.entries.entries()) print(`${fault === null ? 'right' : 'WRONG'}  ${String(n).padStart(4)}  ${describeEntry(file, at, index)}${fault === null ? '' : `\n             ${fault.detail}`}`);
  for (const { n, until } of report.waiting) print(`waits  ${String(n).padStart(4)}  told with the next step of the report, on ${until} at the latest`);
  const faults = [...(report.missing.length > 0 ? [`The numbers ${report.missing.slice(0, 20).join(', ')} are missing: a look was kept back.`] : []), ...(report.entries.some(({ fault }) => fault !== null) ? ['An entry is not right.'] : [])];
  const compared = options.log === undefined ? null : await compareWithLog(options.log, file, policy, report);
  if (typeof compared === 'string') faults.push(compared);
  print('');
  print(faults.length === 0 ? 'The record of looks is right.' : `The record of looks is NOT right. ${faults.join(' ')}`);
  printProof(print, { report, faults: faults.length, compared: compared === null ? null : faults.length === 0, options, witnessed: report.witnesses });
  return faults.length === 0 ? 0 : 1;
}

async function policyFor(file: AccessFile, { key, policy }: VerifyAccessOptions): Promise<TrustPolicy | string> {
  if (policy !== undefined) {
    const read = await readTrustPolicy(await readFile(policy, 'utf8'));
    return 'line' in read ? `Line ${String(read.line)} of ${policy}: ${read.detail}.` : read;
  }
  return (await trustLogAlone(key ?? file.vkey)) ?? 'The verifier key of the log cannot be read; it looks like NAME+HASH+KEY.';
}

function describeEntry(file: AccessFile, at: number, index: number | null): string {
  const { body } = file.entries[at] as AccessFile['entries'][number];
  const where = `entry ${index === null ? '?' : String(index)}`;
  if (body === null) return where;
  const look = JSON.parse(body) as Partial<Record<'at' | 'position' | 'department' | 'purpose' | 'reason', string>>;
  return `${look.at ?? '?'}  ${[look.position, look.department].filter((part) => part !== undefined && part !== '').join(', ')}  ${look.purpose ?? ''}: ${look.reason ?? ''} (${where})`;
}

/** A sentence when the log holds leaves of the case that the file does not, or cannot be trusted; true when it holds no other. */
async function compareWithLog(target: string, file: AccessFile, policy: TrustPolicy, report: AccessReport): Promise<string | true> {
  const reader = /^https?:\/\//.test(target) ? await openUrl(target) : await openFolder(target);
  if (reader === null) return `There is no log at ${target}.`;
  const key = policy.logs[0] ?? (await readNoteKey(file.vkey));
  if (!key) return 'The key of the log cannot be read.';
  const highest = Math.max(0, ...report.entries.map(({ n }) => n), ...report.waiting.map(({ n }) => n));
  const found = await findOwnLeaves((path) => reader.read(path), key, file.logKey, highest);
  if (!found.ok) return found.detail;
  const known = new Set(report.entries.filter(({ log }) => log === key.name).map(({ index }) => index));
  const waiting = new Set(report.waiting.map(({ n }) => n));
  const kept = found.leaves.filter(({ n, index }) => !known.has(index) && !waiting.has(n));
  return kept.length === 0 ? true : `The log holds ${String(kept.length)} more of this report: ${kept.slice(0, 20).map(({ n, index }) => `number ${String(n)} at entry ${String(index)}`).join(', ')}. Later ones than the file are told by a new file.`;
}

function printProof(print: (line: string) => void, { report, faults, compared, options, witnessed }: { report: AccessReport; faults: number; compared: boolean | null; options: VerifyAccessOptions; witnessed: readonly string[] }): void {
  print('');
  print('Proved:');
  if (faults > 0) print('  - nothing');
  else {
    if (report.entries.length > 0) print('  - each look of the file stands in the log under a head that the log signed, with this time, position, purpose, reason and pseudonym');
    print(report.entries.length === 0 ? '  - the file tells of no look' : '  - the looks are numbered from 1 without a gap');
    if (witnessed.length > 0) print(`  - the newest head in the file was signed by the witnesses ${witnessed.join(', ')}`);
    if (compared === true) print(report.waiting.length > 0 ? '  - the log holds no other look at this report than these and those that wait' : '  - the log holds no other look at this report');
  }
  print('');
  print('Not proved:');
  if (options.key === undefined && options.policy === undefined) print('  - that the key is the log’s: it came with the file; bring it from elsewhere (--key or --policy)');
  if (report.waiting.length > 0) print(`  - who made the ${String(report.waiting.length)} looks that wait for the next step of the report, and why: download the file again then; a look that is still not told after ${String(LOOK_DELAY_MAX_DAYS)} days is a fault`);
  if (witnessed.length === 0) print('  - that the city shows everybody the same log: no witness signed what this file was checked against');
  if (report.entries.some(({ log }, at) => log !== null && log !== report.entries.at(-1)?.log && at < report.entries.length - 1)) print('  - that the log which was ended before this one was ended there and no later: compare `begin.json` of the log (verify log)');
  if (compared === null) print('  - that no later look was kept back: name the log (--log URL or DIR)');
  print('  - that the reason given was true, or that somebody did not look over a colleague’s shoulder');
}
