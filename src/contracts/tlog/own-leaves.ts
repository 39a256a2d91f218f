/** Goes through a whole log for the leaves of one case, and checks on the way that the log is the one that was signed. */
import { makeCaseTags } from './access.ts';
import { equal, sha256, type Bytes } from './bytes.ts';
import { hashEntry } from './merkle-proof.ts';
import { isSignedBy, readCheckpoint, splitNote, type NoteKey } from './note.ts';

/** Entries a bundle (C2SP tlog-tiles, "Log entries"). */
const BUNDLE = 256;
/** How far beyond the highest number of the file leaves are looked for. */
const NUMBERS_AHEAD = 1_000;

/** Gives a file of the log by its path, such as `checkpoint` or `tile/entries/000`; null when there is none. */
export type ReadLogFile = (path: string) => Promise<Uint8Array | null>;

export interface OwnLeaf {
  readonly n: number;
  readonly index: number;
}
export type OwnLeaves = { readonly ok: true; readonly size: number; readonly leaves: readonly OwnLeaf[] } | { readonly ok: false; readonly detail: string };

function bundlePath(index: number, width: number): string {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0');
  const groups = digits.match(/.{3}/g) ?? [];
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/entries/${path}${width === BUNDLE ? '' : `.p/${String(width)}`}`;
}

function splitBundle(bytes: Uint8Array): Uint8Array[] | null {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + ((bytes[at] as number) << 8) + (bytes[at + 1] ?? 0);
    if (at + 2 > bytes.length || end > bytes.length) return null;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/** Roots of full subtrees from left to right, as the digits of a binary counter (RFC 6962 §2.1). */
async function addLeaf(roots: { size: number; hash: Bytes }[], hash: Bytes): Promise<void> {
  let node = { size: 1, hash };
  for (let last = roots.at(-1); last?.size === node.size; last = roots.at(-1)) {
    roots.pop();
    node = { size: node.size * 2, hash: await sha256(Uint8Array.of(1), last.hash, node.hash) };
  }
  roots.push(node);
}

async function joinRoots(roots: readonly { hash: Bytes }[]): Promise<Bytes> {
  if (roots.length === 0) return sha256();
  const [last, ...rest] = roots.map((root) => root.hash).reverse() as [Bytes, ...Bytes[]];
  let hash = last;
  for (const left of rest) hash = await sha256(Uint8Array.of(1), left, hash);
  return hash;
}

/** Finds every leaf whose tag belongs to the case. `onProgress` hears how many entries were read of how many. */
export async function findOwnLeaves(read: ReadLogFile, key: NoteKey, logKey: string, highest: number, onProgress: (read: number, of: number) => void = () => undefined): Promise<OwnLeaves> {
  const text = await read('checkpoint');
  const note = text && splitNote(new TextDecoder().decode(text));
  const head = note && readCheckpoint(note.text);
  if (!note || !head) return { ok: false, detail: 'The log gives no checkpoint that can be read.' };
  if (head.origin !== key.name || !(await isSignedBy(note, key))) return { ok: false, detail: 'The checkpoint of the log is not signed by its key.' };
  const size = Number(head.size);
  const tagOf = await makeCaseTags(logKey);
  const numbers = new Map<string, number>();
  for (let n = 1; n <= highest + NUMBERS_AHEAD; n += 1) numbers.set(await tagOf(n), n);
  const roots: { size: number; hash: Bytes }[] = [];
  const leaves: OwnLeaf[] = [];
  for (let first = 0; first < size; first += BUNDLE) {
    const width = Math.min(BUNDLE, size - first);
    const bytes = (await read(bundlePath(first / BUNDLE, width))) ?? (width < BUNDLE ? await read(bundlePath(first / BUNDLE, BUNDLE)) : null);
    const entries = bytes && splitBundle(bytes);
    if (!entries || entries.length < width) return { ok: false, detail: `The entries from ${String(first)} on cannot be read.` };
    for (const [at, entry] of entries.slice(0, width).entries()) {
      await addLeaf(roots, await hashEntry(entry));
      const leaf = new TextDecoder().decode(entry);
      const tag = /"caseTag":"([0-9a-f]{64})"/.exec(leaf)?.[1];
      if (tag === undefined) continue;
      // a number far ahead of the others would hide a look from whoever only tries the next ones; the leaf itself says which it is
      const said = Number(/"n":(\d{1,16})[,}]/.exec(leaf)?.[1]);
      const n = numbers.get(tag) ?? (said > highest + NUMBERS_AHEAD && (await tagOf(said)) === tag ? said : undefined);
      if (n !== undefined) leaves.push({ n, index: first + at });
    }
    onProgress(first + width, size);
  }
  if (!equal(await joinRoots(roots), head.root)) return { ok: false, detail: 'The entries of the log are not those that its checkpoint was signed over.' };
  return { ok: true, size, leaves };
}
