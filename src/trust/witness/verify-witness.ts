import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isoOf, unwrap, type Clock, systemClock } from '../../kernel/index.ts';
import { consistencyProof } from '../log/merkle.ts';
import { readHashes } from '../log/tile-files.ts';
import { tilePath } from '../log/tile-path.ts';
import { verifyConsistency } from '../log/verify-proofs.ts';
import { isQuorum, parsePolicy, quorumTime, type Policy, type PolicyWitness } from './policy-file.ts';
import { openCosignedHead, type CosignedHead } from './witnessed.ts';

const TIMEOUT_MS = 15_000;
const FILE_BYTES = 131_072;
const STALE_MS = 600_000;

interface VerifyWitnessOptions {
  /** A policy file that the checker made or trusts. */
  readonly policy: string;
  /** Do not ask the witnesses of the policy themselves. */
  readonly offline?: boolean;
  readonly clock?: Clock;
  readonly print?: (line: string) => void;
}

interface Findings {
  readonly lines: string[];
  readonly faults: string[];
  readonly proved: string[];
  readonly notProved: string[];
}

/**
 * `clerestory verify witness URL|DIR --policy FILE`: whether enough witnesses have cosigned the log, when, and whether what they hold
 * themselves fits it. Gives the exit code: 0 holds, 1 does not, 2 nothing to check. Throws `Refused` for a policy that is not valid.
 */
export async function verifyWitness(target: string, options: VerifyWitnessOptions): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const nowMs = (options.clock ?? systemClock).nowMs();
  const policy = unwrap(parsePolicy(await readFile(options.policy)));
  const isUrl = /^https?:\/\//.test(target);
  const read = await openLogAt(target, isUrl);
  if (read === null) {
    print(`There is no log at ${target}: a folder or an address with a file named checkpoint is needed.`);
    return 2;
  }
  if (policy.logs.length === 0 || policy.witnesses.length === 0) {
    print('The policy names no log or no witness: lines "log VKEY" and "witness NAME VKEY" are needed.');
    return 2;
  }
  const findings: Findings = { lines: [], faults: [], proved: [], notProved: [] };
  const witnessed = checkWitnessed(await read('witnessed'), policy, findings, { nowMs, isUrl });
  const held = options.offline === true ? [] : await askWitnesses(policy, findings);
  // read last: a head is published before any witness sees it
  const newest = checkNewest(await read('checkpoint'), policy, findings);
  if (newest !== null) {
    if (witnessed !== null) await compare(newest, witnessed, 'the file witnessed', read, findings);
    for (const { name, head } of held) await compare(newest, head, `the witness ${name}`, read, findings);
  }
  const asked = held.length;
  findings.notProved.push('that every look was logged: witnesses see hashes only', 'that the entries fit the tree: run verify log, with --since and the file witnessed');
  if (asked === 0) findings.notProved.push('that no witness has seen another log: none was asked (no address in the policy, or --offline)');
  if (!isUrl) findings.notProved.push('that this copy is the newest: ask the city, or a witness');
  for (const line of describe(findings, policy)) print(line);
  return findings.faults.length === 0 ? 0 : 1;
}

type Read = (path: string) => Promise<Uint8Array | null>;

async function openLogAt(target: string, isUrl: boolean): Promise<Read | null> {
  for (const place of isUrl ? [target.replace(/\/+$/, ''), `${target.replace(/\/+$/, '')}/log`] : [target, join(target, 'log')]) {
    const read: Read = isUrl ? (path) => fetchText(`${place}/${path}`) : (path) => readIfThere(join(place, path));
    if ((await read('checkpoint')) !== null) return read;
  }
  return null;
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    if ((await stat(path)).size > FILE_BYTES) throw new Error(`${path} is larger than a checkpoint can be`);
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Null for 404 and for a web page. */
async function fetchText(url: string): Promise<Uint8Array | null> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
  if (response.status === 404 || (response.headers.get('content-type') ?? '').startsWith('text/html')) return null;
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > FILE_BYTES) throw new Error(`${url} is larger than a checkpoint can be`);
  return bytes;
}

function checkNewest(bytes: Uint8Array | null, policy: Policy, { lines, faults }: Findings): CosignedHead | null {
  const head = bytes === null ? { wrong: 'it is not there' } : openCosignedHead(bytes, policy);
  if ('wrong' in head) {
    faults.push(`checkpoint: ${head.wrong}`);
    return null;
  }
  lines.push(`log        ${head.body.origin}`, `newest     ${head.body.size} entries, root ${head.body.root.toString('base64')}`);
  return head;
}

function checkWitnessed(bytes: Uint8Array | null, policy: Policy, findings: Findings, { nowMs, isUrl }: { nowMs: number; isUrl: boolean }): CosignedHead | null {
  const { lines, faults, proved } = findings;
  const head = bytes === null ? { wrong: 'no head of this log has met a quorum of witnesses' } : openCosignedHead(bytes, policy);
  if ('wrong' in head) {
    faults.push(`witnessed: ${head.wrong}`);
    return null;
  }
  lines.push(`witnessed  ${head.body.size} entries, root ${head.body.root.toString('base64')}`);
  for (const { name, key } of policy.witnesses) {
    const time_s = head.times.get(name);
    lines.push(`  ${time_s === undefined ? 'not signed' : isoOf(time_s * 1_000)}  ${name} (${key.name})`);
  }
  for (const name of head.broken) faults.push(`witnessed: the line of ${name} is not its cosignature`);
  const time_s = quorumTime(policy, head.times);
  if (time_s === null && policy.quorum !== 'none') faults.push(`witnessed: ${head.times.size} cosignatures do not meet the quorum ${policy.quorum} of the policy`);
  else if (isQuorum(policy, new Set(head.times.keys()))) {
    const since = time_s === null ? 'no time (the policy asks for no witness)' : isoOf(time_s * 1_000);
    proved.push(`the log's key and ${head.times.size} of ${policy.witnesses.length} witnesses have signed the tree of ${head.body.size} entries; the quorum ${policy.quorum} holds since ${since}`);
    const ageMs = nowMs - (time_s ?? 0) * 1_000;
    if (time_s !== null && isUrl && ageMs > STALE_MS) faults.push(`witnessed: the quorum is ${Math.floor(ageMs / 60_000)} minutes old; more than 10 means that the log hides from its witnesses or they from it`);
    if (time_s !== null && isUrl && ageMs <= STALE_MS) proved.push('it is fresh: less than ten minutes old');
  }
  return head;
}

/** Two heads that the log has signed: the newest must continue the other, by a proof from the log's own tiles (RFC 6962 §2.1.2). */
async function compare(newest: CosignedHead, other: CosignedHead, whose: string, read: Read, { faults, proved }: Findings): Promise<void> {
  if (newest.body.origin !== other.body.origin) return;
  const { size, root } = newest.body;
  if (other.body.size > size) {
    faults.push(`ROLLBACK: ${whose} shows ${other.body.size} entries with the log's signature, but this log shows ${size} (or it is an old copy)`);
    return;
  }
  if (other.body.size === size) {
    if (other.body.root.equals(root)) proved.push(`${whose} and the newest head show one and the same tree of ${size} entries`);
    else faults.push(`FORK: the log's key has signed two different trees of ${size} entries; ${whose} has the other one`);
    return;
  }
  const proof = await consistencyProof(other.body.size, size, (level, first, count) => readHashes({ read: (name) => read(tilePath(name)) }, size, level, first, count)).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  if (typeof proof === 'string') faults.push(`the newest head cannot be compared with ${whose}: ${proof}`);
  else if (verifyConsistency(other.body.size, size, other.body.root, root, proof)) proved.push(`the newest head of ${size} entries continues what ${whose} has: ${other.body.size} entries`);
  else faults.push(`FORK: the newest head of ${size} entries does not continue the tree of ${other.body.size} entries that ${whose} has, and the log's key has signed both`);
}

/** The witnesses' own latest checkpoints: `<prefix>/<SHA-256 of the origin, hex>/checkpoint`. */
async function askWitnesses(policy: Policy, findings: Findings): Promise<{ name: string; head: CosignedHead }[]> {
  const answers = await Promise.all(policy.witnesses.flatMap((witness) => policy.logs.map(({ key }) => askWitness(witness, key.name, policy, findings))));
  return answers.filter((answer) => answer !== null);
}

async function askWitness(witness: PolicyWitness, origin: string, policy: Policy, { lines, notProved }: Findings): Promise<{ name: string; head: CosignedHead } | null> {
  if (witness.url === null) return null;
  const url = `${witness.url}/${createHash('sha256').update(origin).digest('hex')}/checkpoint`;
  const answer = await fetchText(url).then((bytes) => ({ bytes }), (error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }));
  if ('error' in answer || answer.bytes === null) {
    notProved.push(`what ${witness.name} holds of ${origin}: ${'error' in answer ? answer.error : 'it shows no checkpoint of this log'}`);
    return null;
  }
  const head = openCosignedHead(answer.bytes, policy);
  const time_s = 'wrong' in head ? undefined : head.times.get(witness.name);
  if ('wrong' in head || time_s === undefined) {
    notProved.push(`what ${witness.name} holds of ${origin}: its answer is ${'wrong' in head ? `not usable, ${head.wrong}` : 'not signed by its key'}`);
    return null;
  }
  lines.push(`asked      ${witness.name}: ${head.body.size} entries, cosigned ${isoOf(time_s * 1_000)}`, `           ${url}`);
  return { name: witness.name, head };
}

function describe({ lines, faults, proved, notProved }: Findings, policy: Policy): string[] {
  return [
    ...lines,
    '',
    faults.length === 0 ? `Enough witnesses agree (quorum ${policy.quorum}).` : `The witnesses do NOT confirm this log. First fault: ${faults[0] ?? ''}.`,
    ...faults.slice(1).map((fault) => `  also: ${fault}`),
    ...(proved.length > 0 ? ['', 'Proved:', ...proved.map((line) => `  - ${line}`)] : []),
    '',
    'Not proved:',
    ...notProved.map((line) => `  - ${line}`),
  ];
}
