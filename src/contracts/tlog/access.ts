/** Checks what a resident is told of looks at their report: in the browser or in Node, offline, with nothing but the file and the log's key. */
import { decodeHex, encodeHex, equal, sha256, utf8, type Bytes } from './bytes.ts';
import { readNoteKey, type NoteKey } from './note.ts';
import type { TrustPolicy } from './policy.ts';
import { verifyProof } from './proof.ts';

/** One leaf of the resident's case. */
export interface AccessEntry {
  /** The leaf as it stands in the log; empty when the city has lost the log that held it. */
  readonly leaf: string;
  /** C2SP tlog-proof; empty when the city has lost the log. */
  readonly proof: string;
  /** What the leaf commits to, as canonical JSON, and its nonce in hex; null for a leaf that only says that keys were destroyed. */
  readonly body: string | null;
  readonly nonce: string | null;
}

/** A look is told at the latest this long after it. */
export const LOOK_DELAY_MAX_DAYS = 30;

/** A look that is told with the next step of the report: its number alone, and when it is told at the latest. */
export interface WaitingLook {
  readonly n: number;
  /** ISO 8601. */
  readonly until: string;
}

/** The file that a resident keeps. Whoever has it can read these looks, and find the case's later leaves in the log; nothing else. */
export interface AccessFile {
  readonly kind: 'clerestory-access';
  readonly v: 1;
  readonly city: string;
  readonly requestId: string;
  /** ISO 8601. */
  readonly madeAt: string;
  /** Verifier key of the log, as the city states it. */
  readonly vkey: string;
  /** Verifier keys of logs that were ended before this one began, with the same key under other names; absent when there are none. */
  readonly oldVkeys?: readonly string[];
  /** Who witnesses the log, as the city states it (C2SP tlog-policy); null while nobody does. */
  readonly policy: string | null;
  /** Hex; the tags of the case's leaves are HMAC-SHA-256 of their numbers under it. */
  readonly logKey: string;
  readonly entries: readonly AccessEntry[];
  /** Looks of services whose looks are told with the next step; absent when none waits. */
  readonly waiting?: readonly WaitingLook[];
}

const ENTRIES_MAX = 10_000;
const OLD_LOGS_MAX = 100;
const FILE_CHARS = 64 * 1_048_576;
const HEX_32 = /^[0-9a-f]{64}$/;

/** Reads the file; otherwise a sentence that says what is wrong. */
export function readAccessFile(text: string): AccessFile | string {
  if (text.length > FILE_CHARS) return 'The file is larger than any that a city makes.';
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return 'The file is not JSON.';
  }
  const file = (typeof read === 'object' && read !== null ? read : {}) as Partial<Record<keyof AccessFile, unknown>>;
  if (file.kind !== 'clerestory-access' || file.v !== 1) return 'This is not a file of looks at a report (kind "clerestory-access", v 1).';
  for (const field of ['city', 'requestId', 'madeAt', 'vkey', 'logKey'] as const) if (typeof file[field] !== 'string') return `The field ${field} is missing.`;
  if (!HEX_32.test(file.logKey as string)) return 'The field logKey is not a key of 32 bytes in hex.';
  if (file.policy !== null && typeof file.policy !== 'string') return 'The field policy is neither text nor null.';
  const { oldVkeys = [] } = file;
  if (!Array.isArray(oldVkeys) || oldVkeys.length > OLD_LOGS_MAX || !oldVkeys.every((key) => typeof key === 'string')) return `The field oldVkeys is not a list of at most ${String(OLD_LOGS_MAX)} keys.`;
  if (!Array.isArray(file.entries) || file.entries.length > ENTRIES_MAX) return `The field entries is not a list of at most ${String(ENTRIES_MAX)} entries.`;
  const { waiting = [] } = file;
  const isWaiting = ({ n, until }: Partial<WaitingLook>): boolean => Number.isInteger(n) && typeof until === 'string' && !Number.isNaN(Date.parse(until));
  if (!Array.isArray(waiting) || waiting.length > ENTRIES_MAX || !(waiting as (Partial<WaitingLook> | null)[]).every((each) => each !== null && isWaiting(each))) return 'The field waiting is not a list of numbers and times.';
  const isText = (value: unknown): boolean => typeof value === 'string';
  const wrong = (file.entries as Partial<Record<keyof AccessEntry, unknown>>[]).findIndex(
    (entry) => typeof entry !== 'object' || entry === null || !isText(entry.leaf) || !isText(entry.proof) || !((isText(entry.body) && HEX_32.test(String(entry.nonce))) || (entry.body === null && entry.nonce === null)),
  );
  return wrong >= 0 ? `Entry ${String(wrong + 1)} is not complete.` : (file as AccessFile);
}

interface ReadLeaf {
  readonly kind: string;
  readonly t: string;
  readonly purpose?: string;
  readonly position?: string;
  readonly pseudonym?: string;
  readonly caseTag?: string;
  readonly n?: number;
  readonly commit: string;
  readonly opens?: number;
}

export type EntryFault = 'lost' | 'leaf' | 'tag' | 'proof' | 'commitment' | 'content' | 'number';
export interface CheckedEntry {
  readonly n: number;
  /** Null when the proof cannot be read. */
  readonly index: number | null;
  /** Origin of the log that holds it; null when the proof does not hold. */
  readonly log: string | null;
  readonly fault: { readonly code: EntryFault; readonly detail: string } | null;
}
export interface AccessReport {
  readonly ok: boolean;
  readonly entries: readonly CheckedEntry[];
  /** Numbers between 1 and the highest that the file does not hold. */
  readonly missing: readonly number[];
  /** Numbers that the file names without telling of them, within the time that a look may wait for a step. */
  readonly waiting: readonly WaitingLook[];
  /** Witnesses that signed the newest head of the file. */
  readonly witnesses: readonly string[];
  /** Entries of the newest head in the file. */
  readonly size: number;
}

/** Whoever holds the case's log key finds its leaves. */
export async function makeCaseTags(logKey: string): Promise<(n: number) => Promise<string>> {
  const key = await crypto.subtle.importKey('raw', decodeHex(logKey) as Bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return async (n) => encodeHex(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8(String(n)))));
}

function readLeaf(text: string): ReadLeaf | null {
  try {
    const leaf = JSON.parse(text) as ReadLeaf | null;
    return typeof leaf === 'object' && leaf !== null && typeof leaf.kind === 'string' && typeof leaf.commit === 'string' && Number.isInteger(leaf.n) ? leaf : null;
  } catch {
    return null;
  }
}

/** Every entry by itself, and that the numbers run from 1 without a gap. A leaf that was kept back at the end shows only in the log itself: `findOwnLeaves`. */
export async function checkAccess(file: AccessFile, policy: TrustPolicy): Promise<AccessReport> {
  const tagOf = await makeCaseTags(file.logKey);
  const entries: CheckedEntry[] = [];
  const seen = new Set<number>();
  let origin = '';
  let newest: { size: bigint; witnesses: readonly string[] } = { size: 0n, witnesses: [] };
  for (const [at, entry] of file.entries.entries()) {
    const leaf = readLeaf(entry.leaf);
    const verdict = await verifyProof(entry.proof, utf8(entry.leaf), policy);
    const n = leaf?.n ?? (entry.leaf === '' ? numberIn(entry.body) : null) ?? at + 1;
    const where = { index: verdict.ok ? Number(verdict.index) : null, log: verdict.ok ? verdict.head.origin : null };
    const not = (code: EntryFault, detail: string): void => void entries.push({ n, ...where, fault: { code, detail } });
    if (entry.leaf === '' && entry.proof === '') {
      seen.add(n);
      not('lost', 'The log that held this look was lost, so nothing proves that it is told as it was.');
    } else if (leaf === null) not('leaf', 'The leaf cannot be read.');
    else if (leaf.caseTag !== (await tagOf(n))) not('tag', 'The leaf is not of this report.');
    else if (!verdict.ok) not('proof', verdict.detail);
    else if (seen.has(n)) not('number', `The number ${String(n)} stands twice.`);
    else {
      seen.add(n);
      // the last one of a file is of the log that runs, and logs that ended before may have been longer
      if (verdict.head.origin !== origin || verdict.head.size > newest.size) newest = { size: verdict.head.size, witnesses: verdict.cosigners.map(({ name }) => name) };
      origin = verdict.head.origin;
      const detail = entry.body === null ? null : await compareBody(leaf, entry.body, entry.nonce as string);
      if (detail !== null) not(detail.code, detail.detail);
      else entries.push({ n, ...where, fault: null });
    }
  }
  const madeMs = Date.parse(file.madeAt);
  // one that waits for longer than it may is a look kept back
  const waiting = (file.waiting ?? []).filter(({ n, until }) => !seen.has(n) && Date.parse(until) > madeMs && Date.parse(until) <= madeMs + LOOK_DELAY_MAX_DAYS * 86_400_000);
  for (const { n } of waiting) seen.add(n);
  const highest = Math.max(0, ...seen, ...(file.waiting ?? []).map(({ n }) => n));
  const missing = Array.from({ length: Math.min(highest, ENTRIES_MAX) }, (_, n) => n + 1).filter((n) => !seen.has(n));
  return { ok: missing.length === 0 && entries.every(({ fault }) => fault === null), entries, missing, waiting, witnesses: newest.witnesses, size: Number(newest.size) };
}

/** The number that the details name, which nothing proves. */
function numberIn(body: string | null): number | null {
  if (body === null) return null;
  try {
    const { n } = JSON.parse(body) as { n?: unknown };
    return typeof n === 'number' && Number.isInteger(n) && n > 0 ? n : null;
  } catch {
    return null;
  }
}

/** The policy, and the logs that the same keys signed under older names: a city that had to begin its log anew keeps its key. */
export async function trustOldLogs(file: AccessFile, policy: TrustPolicy): Promise<TrustPolicy> {
  const old = await Promise.all((file.oldVkeys ?? []).map(readNoteKey));
  const same = old.filter((key) => key !== null && policy.logs.some((known) => known.name !== key.name && known.type === key.type && equal(known.publicKey, key.publicKey)));
  return { ...policy, logs: [...policy.logs, ...(same as NoteKey[])] };
}

async function compareBody(leaf: ReadLeaf, body: string, nonce: string): Promise<{ code: EntryFault; detail: string } | null> {
  if (encodeHex(await sha256(decodeHex(nonce) as Bytes, utf8(body))) !== leaf.commit) return { code: 'commitment', detail: 'Reason and details are not those that the leaf commits to.' };
  const told = JSON.parse(body) as Partial<Record<string, unknown>>;
  const differing = [
    ['at', leaf.t],
    ['purpose', leaf.purpose],
    ['position', leaf.position],
    ['pseudonym', leaf.pseudonym],
    ['n', leaf.n],
  ].find(([field, value]) => told[field as string] !== value && leaf.opens === undefined);
  return differing === undefined ? null : { code: 'content', detail: `The details say another ${String(differing[0])} than the leaf.` };
}
