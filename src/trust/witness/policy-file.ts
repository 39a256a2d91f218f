import { refuse, type Result } from '../../kernel/index.ts';
import { COSIGNATURE, COSIGNATURE_ML_DSA, ED25519, parseNoteKey, type NoteKey } from './signed-note.ts';

const POLICY_BYTES = 65_536;
const LOGS_MAX = 64;
const WITNESSES_MAX = 64;
const GROUPS_MAX = 64;

export interface PolicyWitness {
  /** As the policy file calls it. */
  readonly name: string;
  readonly key: NoteKey;
  /** Submission prefix without a slash at its end. */
  readonly url: string | null;
}

interface Group {
  readonly threshold: number;
  readonly members: readonly string[];
}

/** A trust policy (C2SP tlog-policy): which logs, which witnesses, and which sets of them are enough. */
export interface Policy {
  readonly text: string;
  readonly logs: readonly { readonly key: NoteKey; readonly url: string | null }[];
  readonly witnesses: readonly PolicyWitness[];
  readonly groups: ReadonlyMap<string, Group>;
  /** A witness, a group, or `none`. */
  readonly quorum: string;
}

interface Draft {
  readonly logs: { key: NoteKey; url: string | null }[];
  readonly witnesses: PolicyWitness[];
  readonly groups: Map<string, Group>;
  readonly used: Set<string>;
  quorum: string | null;
}

/** Reads a policy file. A refusal names the line and the cure. */
export function parsePolicy(bytes: Uint8Array): Result<Policy> {
  if (bytes.length > POLICY_BYTES) return wrong(0, `it is longer than ${POLICY_BYTES} bytes`);
  // octets are opaque here (tlog-policy, "Character set"): latin1 keeps one character an octet
  const text = Buffer.from(bytes).toString('latin1');
  if (text !== '' && !text.endsWith('\n')) return wrong(text.split('\n').length, 'the last line does not end with a line break, as if the file were cut off');
  const draft: Draft = { logs: [], witnesses: [], groups: new Map(), used: new Set(), quorum: null };
  for (const [at, line] of text.split('\n').entries()) {
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line)) return wrong(at + 1, 'it has a control character; only tab and line break are allowed (no CR)');
    const [keyword = '', ...words] = line.split(/[ \t]+/).filter((word) => word !== '');
    if (keyword === '' || keyword.startsWith('#')) continue;
    const fault = readLine(draft, keyword, words);
    if (fault !== null) return wrong(at + 1, fault);
  }
  if (draft.quorum === null) return wrong(text.split('\n').length, 'there is no line "quorum NAME"');
  return { ok: true, value: { text: Buffer.from(bytes).toString('utf8'), logs: draft.logs, witnesses: draft.witnesses, groups: draft.groups, quorum: draft.quorum } };
}

const wrong = (line: number, detail: string): Result<never> => refuse('log.policy-invalid', `The witness policy is not valid in line ${line}: ${detail}.`, `line ${line}`);

function readLine(draft: Draft, keyword: string, words: readonly string[]): string | null {
  switch (keyword) {
    case 'log':
      return readLog(draft, words);
    case 'witness':
      return readWitness(draft, words);
    case 'group':
      return readGroup(draft, words);
    case 'quorum':
      return readQuorum(draft, words);
    default:
      return 'a line begins with log, witness, group or quorum';
  }
}

const utf8 = (word: string): string => Buffer.from(word, 'latin1').toString('utf8');
const isDefined = (draft: Draft, name: string): boolean => draft.groups.has(name) || draft.witnesses.some((each) => each.name === name);

function readUrl(word: string | undefined): { url: string | null } | null {
  if (word === undefined) return { url: null };
  const url = URL.canParse(utf8(word)) ? new URL(utf8(word)) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null;
  return { url: url.href.replace(/\/+$/, '') };
}

function readLog(draft: Draft, words: readonly string[]): string | null {
  const [vkey = '', address, ...rest] = words;
  const key = parseNoteKey(utf8(vkey));
  const url = readUrl(address);
  if (key?.type !== ED25519 || rest.length > 0) return 'it must be "log VKEY [URL]" with a verifier key of type Ed25519 (0x01)';
  if (url === null) return 'its URL must be one of http or https without user name, query or fragment';
  if (draft.logs.some((each) => each.key.publicKey.equals(key.publicKey))) return 'this log key stands in an earlier line';
  if (draft.logs.length >= LOGS_MAX) return `there are more than ${LOGS_MAX} logs`;
  draft.logs.push({ key, ...url });
  return null;
}

function readWitness(draft: Draft, words: readonly string[]): string | null {
  const [name = '', vkey = '', address, ...rest] = words;
  const key = parseNoteKey(utf8(vkey));
  const url = readUrl(address);
  if ((key?.type !== COSIGNATURE && key?.type !== COSIGNATURE_ML_DSA) || rest.length > 0) return 'it must be "witness NAME VKEY [URL]" with a verifier key of a cosignature type (0x04 or 0x06)';
  if (url === null) return 'its URL must be one of http or https without user name, query or fragment';
  if (name === 'none' || isDefined(draft, name)) return `the name ${name.slice(0, 100)} is taken`;
  if (draft.witnesses.some((each) => each.key.publicKey.equals(key.publicKey))) return 'this witness key stands in an earlier line';
  if (draft.witnesses.length >= WITNESSES_MAX) return `there are more than ${WITNESSES_MAX} witnesses`;
  draft.witnesses.push({ name, key, ...url });
  return null;
}

function readGroup(draft: Draft, words: readonly string[]): string | null {
  const [name = '', count = '', ...members] = words;
  if (name === '' || members.length === 0) return 'it must be "group NAME all|any|K NAME…"';
  if (name === 'none' || isDefined(draft, name)) return `the name ${name.slice(0, 100)} is taken`;
  const threshold = count === 'all' ? members.length : count === 'any' ? 1 : /^[1-9]\d{0,3}$/.test(count) ? Number(count) : 0;
  if (threshold < 1 || threshold > members.length) return `its number must be all, any, or from 1 to ${members.length}`;
  for (const member of members) {
    if (!isDefined(draft, member)) return `${member.slice(0, 100)} is not the name of a witness or group of an earlier line`;
    if (draft.used.has(member)) return `${member.slice(0, 100)} is a member already, and each may be one once`;
    draft.used.add(member);
  }
  if (draft.groups.size >= GROUPS_MAX) return `there are more than ${GROUPS_MAX} groups`;
  draft.groups.set(name, { threshold, members });
  return null;
}

function readQuorum(draft: Draft, words: readonly string[]): string | null {
  const [name = '', ...rest] = words;
  if (draft.quorum !== null) return 'there is a second line "quorum"';
  if (name === '' || rest.length > 0) return 'it must be "quorum NAME"';
  if (name !== 'none' && !isDefined(draft, name)) return `${name.slice(0, 100)} is not the name of a witness or group of an earlier line`;
  draft.quorum = name;
  return null;
}

/** Whether these witnesses (names of the policy) are enough. */
export function isQuorum(policy: Policy, cosigners: ReadonlySet<string>): boolean {
  const holds = (name: string): boolean => {
    const group = policy.groups.get(name);
    return group === undefined ? cosigners.has(name) : group.members.filter(holds).length >= group.threshold;
  };
  return policy.quorum === 'none' || holds(policy.quorum);
}

/** The least number of witnesses that can be enough. */
export function leastQuorum(policy: Policy): number {
  const least = (name: string): number => {
    const group = policy.groups.get(name);
    if (group === undefined) return 1;
    return group.members
      .map(least)
      .sort((a, b) => a - b)
      .slice(0, group.threshold)
      .reduce((sum, each) => sum + each, 0);
  };
  return policy.quorum === 'none' ? 0 : least(policy.quorum);
}

/** Since when the quorum holds: the latest time at which enough witnesses had cosigned no earlier. Null when it does not hold. */
export function quorumTime(policy: Policy, times: ReadonlyMap<string, number>): number | null {
  const seen = new Set<string>();
  for (const [name, time] of [...times].sort(([, a], [, b]) => b - a)) {
    seen.add(name);
    if (isQuorum(policy, seen)) return time;
  }
  return null;
}
