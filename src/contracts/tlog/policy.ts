import { equal } from './bytes.ts';
import { LOG_KEY, ML_DSA_WITNESS_KEY, readNoteKey, WITNESS_KEY, type NoteKey } from './note.ts';

const LINES = 1_000;

/** Which logs are trusted, and which witnesses are enough (C2SP tlog-policy). */
export interface TrustPolicy {
  readonly logs: readonly NoteKey[];
  readonly witnesses: ReadonlyMap<string, NoteKey>;
  readonly groups: ReadonlyMap<string, { readonly threshold: number; readonly members: readonly string[] }>;
  readonly quorum: string;
}

interface Draft {
  readonly logs: NoteKey[];
  readonly witnesses: Map<string, NoteKey>;
  readonly groups: Map<string, { threshold: number; members: readonly string[] }>;
  readonly used: Set<string>;
  quorum: string | null;
}

/** Reads a policy; otherwise gives what is wrong with which line. Addresses in it are not looked at. */
export async function readTrustPolicy(text: string): Promise<TrustPolicy | { readonly line: number; readonly detail: string }> {
  const draft: Draft = { logs: [], witnesses: new Map(), groups: new Map(), used: new Set(), quorum: null };
  const lines = text.split('\n');
  if (lines.length > LINES) return { line: LINES, detail: `there are more than ${LINES} lines` };
  for (const [at, line] of lines.entries()) {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) return { line: at + 1, detail: 'it has a control character' };
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length === 0 || words[0]?.startsWith('#')) continue;
    const detail = await readLine(draft, words);
    if (detail !== null) return { line: at + 1, detail };
  }
  return draft.quorum === null ? { line: lines.length, detail: 'there is no quorum' } : { ...draft, quorum: draft.quorum };
}

/** The policy of somebody who knows the log's key and no witness. Null when it is not a verifier key of a log. */
export async function trustLogAlone(vkey: string): Promise<TrustPolicy | null> {
  const key = await readNoteKey(vkey);
  return key?.type === LOG_KEY ? { logs: [key], witnesses: new Map(), groups: new Map(), quorum: 'none' } : null;
}

async function readLine(draft: Draft, [keyword = '', ...words]: readonly string[]): Promise<string | null> {
  const isTaken = (name: string): boolean => name === 'none' || draft.witnesses.has(name) || draft.groups.has(name);
  const isDefined = (name: string): boolean => draft.witnesses.has(name) || draft.groups.has(name);
  if (keyword === 'log' && (words.length === 1 || words.length === 2)) {
    const key = await readNoteKey(words[0] as string);
    if (key?.type !== LOG_KEY) return 'this is not a verifier key of a log';
    if (draft.logs.some(({ publicKey }) => equal(publicKey, key.publicKey))) return 'this log stands there twice';
    draft.logs.push(key);
    return null;
  }
  if (keyword === 'witness' && (words.length === 2 || words.length === 3)) {
    const [name = '', vkey = ''] = words;
    const key = await readNoteKey(vkey);
    if (key?.type !== WITNESS_KEY && key?.type !== ML_DSA_WITNESS_KEY) return 'this is not a verifier key of a witness';
    if (isTaken(name)) return `the name ${name} is taken`;
    if ([...draft.witnesses.values()].some(({ publicKey }) => equal(publicKey, key.publicKey))) return 'this witness stands there twice';
    draft.witnesses.set(name, key);
    return null;
  }
  if (keyword === 'group' && words.length >= 3) {
    const [name = '', count = '', ...members] = words;
    if (isTaken(name)) return `the name ${name} is taken`;
    const threshold = count === 'any' ? 1 : count === 'all' ? members.length : /^[1-9]\d*$/.test(count) ? Number(count) : 0;
    if (threshold < 1 || threshold > members.length) return 'the number of members that are needed is not right';
    for (const member of members) {
      if (!isDefined(member) || draft.used.has(member)) return `${member} is not defined before, or is a member already`;
      draft.used.add(member);
    }
    draft.groups.set(name, { threshold, members });
    return null;
  }
  if (keyword === 'quorum' && words.length === 1) {
    const [name = ''] = words;
    if (draft.quorum !== null) return 'there is a second quorum';
    if (name !== 'none' && !isDefined(name)) return `${name} is not defined before`;
    draft.quorum = name;
    return null;
  }
  return 'it is none of: log VKEY, witness NAME VKEY, group NAME COUNT NAME…, quorum NAME';
}

/** Whether these witnesses, as the policy calls them, are enough. */
export function meetsQuorum({ groups, quorum }: TrustPolicy, cosigners: ReadonlySet<string>): boolean {
  const holds = (name: string): boolean => {
    const group = groups.get(name);
    return group ? group.members.filter(holds).length >= group.threshold : cosigners.has(name);
  };
  return quorum === 'none' || holds(quorum);
}
