import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { z } from 'zod';
import { ErasureReceipt } from '../../contracts/keys.ts';
import { readTrustPolicy, trustLogAlone, type TrustPolicy } from '../../contracts/tlog/policy.ts';
import { verifyProof } from '../../contracts/tlog/proof.ts';

const RECEIPT_MAX_BYTES = 1_048_576;
const SHOWN_MAX = 20;

export interface VerifyEraseOptions {
  /** The log's verifier key, from a place that the city does not control. */
  readonly key?: string;
  /** File of a C2SP tlog-policy, in the place of the key. */
  readonly policy?: string;
  /** Folders and files to search for what was destroyed: the data folder, copies of it, backups that are not compressed. */
  readonly data?: readonly string[];
  /** Milliseconds since 1970, for the end of the window. */
  readonly nowMs?: number;
  readonly print?: (line: string) => void;
}

const Shred = z.looseObject({ kind: z.literal('case.shred'), caseTag: z.string(), n: z.number(), commit: z.string(), t: z.string() });

/**
 * `clerestory verify erase RECEIPT`: checks the leaf and its proof, and searches folders for what was destroyed. Gives the exit code: 0 all
 * holds and nothing is found, 1 the receipt does not hold or something is found, 2 nothing to check.
 */
export async function verifyErase(path: string, options: VerifyEraseOptions = {}): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const receipt = await readReceipt(path);
  const policy = typeof receipt === 'string' ? receipt : await policyOf(receipt, options);
  const absent = (options.data ?? []).find((place) => !existsSync(place));
  if (typeof receipt === 'string' || typeof policy === 'string' || absent !== undefined) {
    print(typeof receipt === 'string' ? receipt : typeof policy === 'string' ? policy : `There is no ${String(absent)}.`);
    return 2;
  }
  const fault = await faultOf(receipt, policy);
  print(`report    ${receipt.caseId}`);
  print(`erased    ${receipt.erasedAt}, ${receipt.records} records, entry ${receipt.index} of the log`);
  print(`complete  ${receipt.completeAt}`);
  const found: Found[] = [];
  for (const place of options.data ?? []) found.push(...(await searchIn(place, receipt)));
  for (const { file, what } of found.slice(0, SHOWN_MAX)) print(`FOUND     ${what} in ${file}`);
  if (found.length > SHOWN_MAX) print(`          and ${found.length - SHOWN_MAX} more`);
  print('');
  print(fault === null ? 'The receipt holds.' : `The receipt does NOT hold. ${fault}`);
  const searched = options.data !== undefined && options.data.length > 0;
  if (found.length > 0) print('What was destroyed still lies in these files, wrapped or sealed: whoever also has the root key that wrapped it could read it.');
  printProof(print, { receipt, holds: fault === null, searched, found: found.length, options });
  return fault === null && found.length === 0 ? 0 : 1;
}

async function readReceipt(path: string): Promise<ErasureReceipt | string> {
  try {
    if (statSync(path).size > RECEIPT_MAX_BYTES) return `${path} is larger than a receipt is.`;
    const read = ErasureReceipt.safeParse(JSON.parse(await readFile(path, 'utf8')));
    return read.success ? read.data : `${path} is not a receipt of an erasure: ${read.error.issues[0]?.path.join('.') ?? ''} is not right.`;
  } catch (error) {
    if (error instanceof SyntaxError) return `${path} is not JSON.`;
    if (['ENOENT', 'EISDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return `The file ${path} cannot be read.`;
    throw error;
  }
}

async function policyOf(receipt: ErasureReceipt, { key, policy }: VerifyEraseOptions): Promise<TrustPolicy | string> {
  if (policy !== undefined) {
    if (!existsSync(policy)) return `There is no file ${policy}.`;
    const read = await readTrustPolicy(await readFile(policy, 'utf8'));
    return 'line' in read ? `Line ${String(read.line)} of ${policy}: ${read.detail}.` : read;
  }
  return (await trustLogAlone(key ?? receipt.vkey)) ?? 'The verifier key of the log cannot be read; it looks like NAME+HASH+KEY.';
}

/** Why the receipt does not hold; null when it does. */
async function faultOf(receipt: ErasureReceipt, policy: TrustPolicy): Promise<string | null> {
  const verdict = await verifyProof(receipt.proof, Buffer.from(receipt.leaf), policy);
  if (!verdict.ok) return verdict.detail;
  if (BigInt(verdict.index) !== BigInt(receipt.index)) return 'The proof is of another entry.';
  try {
    const leaf = Shred.safeParse(JSON.parse(receipt.leaf));
    if (!leaf.success) return 'The entry is not one of an erasure.';
    if (leaf.data.caseTag !== receipt.caseTag || leaf.data.n !== receipt.n) return 'The entry is of another report.';
    if (Date.parse(leaf.data.t) > Date.parse(receipt.erasedAt) + 60_000 || Date.parse(leaf.data.t) < Date.parse(receipt.erasedAt) - 60_000) return 'The entry is of another time.';
    if (createHash('sha256').update(Buffer.from(receipt.nonce, 'hex')).update(receipt.body).digest('hex') !== leaf.data.commit) return 'The entry commits to something else.';
    if ((JSON.parse(receipt.body) as { records?: unknown }).records !== receipt.records) return 'The entry tells of another number of records.';
  } catch (error) {
    if (error instanceof SyntaxError) return 'The entry is not JSON.';
    throw error;
  }
  return null;
}

interface Found {
  readonly file: string;
  readonly what: string;
}

async function searchIn(place: string, { traces }: ErasureReceipt): Promise<Found[]> {
  const files = statSync(place).isDirectory()
    ? readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    : [place];
  // as bytes, and as the hex in which a text dump of the database shows them
  const needles = traces.flatMap(({ what, needle }) => [{ what, bytes: Buffer.from(needle, 'hex') }, { what, bytes: Buffer.from(needle, 'latin1') }]);
  const found: Found[] = [];
  for (const file of files) for (const what of await search(file, needles)) found.push({ file: file === place ? file : relative(place, file), what });
  return found;
}

async function search(file: string, needles: readonly { what: string; bytes: Buffer }[]): Promise<Set<string>> {
  const found = new Set<string>();
  const overlap = Math.max(0, ...needles.map(({ bytes }) => bytes.length - 1));
  let before = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 4 * 1_048_576 })) {
      const window = Buffer.concat([before, chunk as Buffer]);
      for (const { what, bytes } of needles) if (window.includes(bytes)) found.add(what);
      before = window.subarray(Math.max(0, window.length - overlap));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // a running database removes files
  }
  return found;
}

function printProof(print: (line: string) => void, { receipt, holds, searched, found, options }: { receipt: ErasureReceipt; holds: boolean; searched: boolean; found: number; options: VerifyEraseOptions }): void {
  const over = (options.nowMs ?? Date.now()) >= Date.parse(receipt.completeAt);
  print('');
  print('Proved:');
  if (holds) print('  - the log says that the keys of this report were destroyed, under a head that the log signed');
  if (searched && found === 0) print('  - neither the wrapped keys nor the sealed records of this report are found in what was searched');
  if (!holds && !(searched && found === 0)) print('  - nothing');
  print('');
  print('Not proved:');
  if (options.key === undefined && options.policy === undefined) print('  - that the key is the log’s: it came with the receipt; bring it from elsewhere (--key or --policy)');
  if (!searched) print('  - that the keys are gone from any disk: name the data folder or a backup (--data)');
  print(`  - that no copy exists that was not searched; until ${receipt.completeAt} one may lie in a backup of the keys${over ? ', and that this time has passed does not delete it' : ''}`);
  print('  - what lies in compressed or encrypted files, in free blocks of the disk, or with somebody who looked before');
}
