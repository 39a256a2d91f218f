/**
 * A checker of the log that shares no code with the writer: it re-reads every file and follows the texts (RFC 9162, C2SP
 * tlog-tiles, tlog-checkpoint, signed-note) step by step. Import nothing of this folder here but other `verify-` files.
 */
import { hash as hashOnce } from 'node:crypto';
import { checkBeginning, type PreviousLog } from './verify-begin.ts';
import { checkCheckpoint, type CheckedHead, type Fault } from './verify-checkpoint.ts';

/** Where the log's files come from: paths as in C2SP tlog-tiles, null when there is no such file. */
export interface LogReader {
  read(path: string): Promise<Uint8Array | null>;
  /** Every file that is there; null when that cannot be known (over HTTP). */
  list(): Promise<readonly string[] | null>;
}

export interface LogReport {
  /** Whether everything that could be checked held. */
  readonly ok: boolean;
  readonly origin: string;
  readonly size: number;
  /** Root that the checkpoint states, base64. */
  readonly root: string;
  readonly files: number;
  /** Leaves by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** The log that this one goes on from, when it was begun anew. */
  readonly previous: PreviousLog | null;
  /** The first one is where to look. */
  readonly faults: readonly Fault[];
  readonly proved: readonly string[];
  readonly notProved: readonly string[];
}

const FAULTS_LIMIT = 20;
const WIDTH = 256;

class Faults {
  readonly found: Fault[] = [];
  add(path: string, detail: string): void {
    if (this.found.length < FAULTS_LIMIT) this.found.push({ path, detail });
  }
}

interface VerifyScope {
  /** Whether the key came from another place than the log itself; if not, the report says that it proves less. */
  readonly keyFromElsewhere: boolean;
  /** A checkpoint of this log that somebody kept: the log must be a continuation of it. */
  readonly earlier?: Uint8Array;
}

/** Checks the whole log against `vkey` (`name+hash+base64`). */
export async function verifyWholeLog(reader: LogReader, vkey: string, scope: VerifyScope): Promise<LogReport> {
  const faults = new Faults();
  const kinds: Record<string, number> = {};
  let uncovered = 0;
  let previous: PreviousLog | null = null;
  const read = new Set<string>(['checkpoint']);
  const opened = (bytes: Uint8Array | null, path: string): CheckedHead | null => {
    const checked = checkCheckpoint(bytes, vkey, path);
    if ('head' in checked) return checked.head;
    faults.add(checked.fault.path, checked.fault.detail);
    return null;
  };
  const beside = scope.keyFromElsewhere ? await reader.read('vkey') : null;
  if (beside !== null && Buffer.from(beside).toString('latin1') !== `${vkey.trim()}\n`) faults.add('vkey', 'it is not the key that was given');
  // before the checkpoint, which a running log may have moved on by then
  const seen = await reader.read('witnessed');
  const head = opened(await reader.read('checkpoint'), 'checkpoint');
  const earlier: Earlier[] = [
    ...openEarlier(scope.earlier ?? null, 'the earlier checkpoint', opened),
    ...openEarlier(seen, 'witnessed', opened),
  ];
  for (const { size, path } of earlier) if (head && size > head.size) faults.add('checkpoint', `the log was longer before: ${size} entries in ${path}`);
  if (head) {
    const counted = countingReader(reader, read);
    const level1 = await checkEntries(counted, head, earlier, kinds, faults);
    await checkUpperLevels(counted, head.size, level1, faults);
    const beginning = faults.found.length > 0 ? null : checkBeginning(await readFirstLeaf(reader, head.size), await reader.read('begin.json'));
    if (beginning !== null && 'detail' in beginning) faults.add(beginning.path, beginning.detail);
    else previous = beginning;
    uncovered = await checkLeftovers(reader, head.size, read, faults);
  }
  const ok = faults.found.length === 0 && head !== null;
  return {
    ok,
    origin: head?.origin ?? '',
    size: head?.size ?? 0,
    root: head ? Buffer.from(head.root).toString('base64') : '',
    files: read.size,
    kinds,
    previous,
    faults: faults.found,
    ...statements(ok, head?.size ?? 0, earlier, scope.keyFromElsewhere, uncovered),
  };
}

/** A head of this log that came from elsewhere, or that stands beside the newest one. */
interface Earlier extends CheckedHead {
  readonly path: string;
}

function openEarlier(bytes: Uint8Array | null, path: string, open: (bytes: Uint8Array, path: string) => CheckedHead | null): Earlier[] {
  const head = bytes && open(bytes, path);
  return head ? [{ ...head, path }] : [];
}

function statements(ok: boolean, size: number, earlier: readonly Earlier[], keyFromElsewhere: boolean, uncovered: number): Pick<LogReport, 'proved' | 'notProved'> {
  const seen = earlier.some(({ path }) => path === 'witnessed');
  const kept = earlier.some(({ path }) => path !== 'witnessed');
  const proved = ok
    ? [
        'the checkpoint is signed by the key',
        `every one of the ${size} entries is well-formed and stands under the signed root`,
        'every tile and every partial tile holds exactly the hashes that the entries give',
        ...earlier.map(({ path, size: then }) => `nothing that stood in the log at ${then} entries${path === 'witnessed' ? ', which it says that witnesses saw,' : ''} was changed or taken out since`),
      ]
    : [];
  return {
    proved,
    notProved: [
      ...(keyFromElsewhere ? [] : ["that the key is the city's: it came with the log; compare it with a copy from elsewhere (--key)"]),
      ...(uncovered > 0 ? [`${uncovered} files that no checkpoint covers yet: an append in progress, or cut short by a crash`] : []),
      ...(seen ? ['that the signatures of witnesses in it are right: clerestory verify witness checks them'] : []),
      kept
        ? 'that others are shown the same tree: compare checkpoints with them'
        : 'that nothing was taken back, and that others are shown the same tree: compare with a checkpoint that somebody kept (--since FILE)',
      'that everything was logged: a log shows that nothing in it was changed, not that nothing is missing',
      "what the leaves commit to: only who holds a case's key can open its looks",
    ],
  };
}

const countingReader =
  (reader: LogReader, read: Set<string>): ((path: string) => Promise<Uint8Array | null>) =>
  async (path) => {
    read.add(path);
    return reader.read(path);
  };

/** C2SP tlog-tiles: 1234067 is x001/x234/067; a partial tile of W hashes ends in .p/W. */
function pathOf(level: number | 'entries', index: number, width: number): string {
  let name = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) name = `x${String(rest % 1000).padStart(3, '0')}/${name}`;
  return `tile/${level}/${name}${width < WIDTH ? `.p/${width}` : ''}`;
}

const sha256 = (...parts: readonly Uint8Array[]): Buffer => hashOnce('sha256', Buffer.concat(parts), 'buffer');
const leafHash = (entry: Uint8Array): Buffer => sha256(Uint8Array.of(0), entry);
const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Uint8Array.of(1), left, right);

/** The tree's root by pairing subtrees of equal size as they come, then from the right (RFC 9162 §2.1.2). */
class RunningRoot {
  readonly #stack: { hash: Buffer; size: number }[] = [];
  size = 0;
  /** Takes the root of the next 2^k entries, where the entries before are a multiple of as many. */
  add(hash: Buffer, width = 1): void {
    this.size += width;
    let node = { hash, size: width };
    for (let last = this.#stack.at(-1); last?.size === node.size; last = this.#stack.at(-1)) {
      node = { hash: nodeHash(last.hash, node.hash), size: node.size * 2 };
      this.#stack.pop();
    }
    this.#stack.push(node);
  }
  root(): Buffer {
    const stack = [...this.#stack];
    let right = stack.pop()?.hash;
    if (right === undefined) return sha256();
    for (let left = stack.pop(); left; left = stack.pop()) right = nodeHash(left.hash, right);
    return right;
  }
}

/** MTH over 256 hashes, pair by pair. */
function rootOfTile(hashes: readonly Buffer[]): Buffer {
  const tree = new RunningRoot();
  for (const hash of hashes) tree.add(hash);
  return tree.root();
}

type Read = (path: string) => Promise<Uint8Array | null>;

/** Checks every bundle, entry and level-0 tile and the root; gives the hashes of the full tiles. */
async function checkEntries(read: Read, head: CheckedHead, earlier: readonly Earlier[], kinds: Record<string, number>, faults: Faults): Promise<Buffer[]> {
  const tree = new RunningRoot();
  const tiles: Buffer[] = [];
  for (let start = 0; start < head.size; start += WIDTH) {
    const width = Math.min(WIDTH, head.size - start);
    const path = pathOf('entries', start / WIDTH, width);
    const bundle = await readAtWidth(read, 'entries', start / WIDTH, width);
    const entries = bundle && readBundle(bundle);
    if (entries?.length !== width) {
      faults.add(path, bundle === null ? 'the file is missing' : `it does not hold ${width} entries`);
      return tiles;
    }
    entries.forEach((entry, at) => checkEntry(entry, `${path} entry ${start + at}`, kinds, faults));
    const hashes = entries.map(leafHash);
    await checkTile(read, 0, start / WIDTH, hashes, faults);
    if (width === WIDTH) tiles.push(rootOfTile(hashes));
    const whole = width === WIDTH && !earlier.some(({ size }) => size > start && size < start + WIDTH);
    for (const hash of whole ? [tiles.at(-1) as Buffer] : hashes) {
      checkEarlier(tree, earlier, faults);
      tree.add(hash, whole ? WIDTH : 1);
    }
  }
  checkEarlier(tree, earlier, faults);
  if (!tree.root().equals(head.root)) faults.add('checkpoint', 'the entries do not give its root');
  return tiles;
}

function checkEarlier(tree: RunningRoot, earlier: readonly Earlier[], faults: Faults): void {
  for (const { size, root, path } of earlier)
    if (size === tree.size && !tree.root().equals(root)) faults.add(path, `the first ${size} entries are not the ones it was signed over`);
}

/** A partial file, or where it was replaced since the checkpoint, the beginning of the full one (tlog-tiles, Partial Tiles). */
async function readAtWidth(read: Read, level: number | 'entries', index: number, width: number): Promise<Uint8Array | null> {
  const bytes = await read(pathOf(level, index, width));
  if (bytes !== null || width === WIDTH) return bytes;
  const full = await read(pathOf(level, index, WIDTH));
  if (full === null) return null;
  if (level !== 'entries') return full.subarray(0, width * 32);
  const length = readBundle(full)
    ?.slice(0, width)
    .reduce((sum, entry) => sum + 2 + entry.length, 0);
  return length === undefined ? null : full.subarray(0, length);
}

async function readFirstLeaf(reader: LogReader, size: number): Promise<Uint8Array | undefined> {
  const bundle = size > 0 ? await readAtWidth((path) => reader.read(path), 'entries', 0, Math.min(WIDTH, size)) : null;
  return bundle === null ? undefined : readBundle(bundle)?.[0];
}

function readBundle(bytes: Uint8Array): Uint8Array[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 2 > bytes.length) return null;
    const length = view.getUint16(at);
    if (at + 2 + length > bytes.length) return null;
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return entries;
}

const MEMBERS: Readonly<Record<string, (value: unknown) => boolean>> = {
  v: (value) => value === 1,
  kind: (value) => typeof value === 'string' && /^[a-z][a-z.-]{0,62}$/.test(value),
  t: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
  commit: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
  purpose: (value) => typeof value === 'string',
  position: (value) => typeof value === 'string',
  pseudonym: (value) => typeof value === 'string',
  caseTag: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
  n: (value) => typeof value === 'number' && Number.isSafeInteger(value) && value > 0,
  until: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value),
  opens: (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0,
};
const NEEDED = ['v', 'kind', 't', 'commit'];

function checkEntry(entry: Uint8Array, path: string, kinds: Record<string, number>, faults: Faults): void {
  const text = Buffer.from(entry).toString('utf8');
  let leaf: unknown;
  try {
    leaf = JSON.parse(text);
  } catch {
    return faults.add(path, 'the leaf is not JSON');
  }
  if (typeof leaf !== 'object' || leaf === null || Array.isArray(leaf)) return faults.add(path, 'the leaf is not a JSON object');
  const members = Object.entries(leaf).sort(([a], [b]) => (a < b ? -1 : 1));
  // RFC 8785 for a flat object: members sorted, no space
  const canonical = `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  if (canonical !== text || !Buffer.from(text).equals(entry)) return faults.add(path, 'the leaf is not canonical JSON (RFC 8785)');
  const wrong = members.find(([name, value]) => MEMBERS[name]?.(value) !== true)?.[0] ?? NEEDED.find((name) => !(name in leaf));
  if (wrong !== undefined) return faults.add(path, `the leaf's member ${JSON.stringify(wrong).slice(0, 40)} is missing or not right`);
  const { kind } = leaf as { kind: string };
  kinds[kind] = (kinds[kind] ?? 0) + 1;
}

async function checkTile(read: Read, level: number, index: number, hashes: readonly Buffer[], faults: Faults): Promise<void> {
  const path = pathOf(level, index, hashes.length);
  const tile = await readAtWidth(read, level, index, hashes.length);
  if (tile === null) return faults.add(path, 'the file is missing');
  if (tile.length !== hashes.length * 32) return faults.add(path, `it does not hold ${hashes.length} hashes`);
  const wrong = hashes.findIndex((hash, at) => !hash.equals(tile.subarray(at * 32, at * 32 + 32)));
  if (wrong >= 0) faults.add(path, `hash ${wrong} is not the one that the level below gives`);
}

/** Each hash of level L + 1 is the root of a full tile of level L; partial tiles are not hashed upwards. */
async function checkUpperLevels(read: Read, size: number, level1: readonly Buffer[], faults: Faults): Promise<void> {
  let hashes = level1;
  for (let level = 1; Math.floor(size / WIDTH ** level) > 0; level += 1) {
    if (hashes.length !== Math.floor(size / WIDTH ** level)) return; // a fault below was reported already
    const above: Buffer[] = [];
    for (let start = 0; start < hashes.length; start += WIDTH) {
      const tile = hashes.slice(start, start + WIDTH);
      await checkTile(read, level, start / WIDTH, tile, faults);
      if (tile.length === WIDTH) above.push(rootOfTile(tile));
    }
    hashes = above;
  }
}

/**
 * In a folder: partial tiles of earlier checkpoints must be beginnings of the present ones, and nothing foreign may lie there.
 * Gives the number of files that no checkpoint covers yet, which an append in progress or cut short leaves.
 */
async function checkLeftovers(reader: LogReader, size: number, checked: Set<string>, faults: Faults): Promise<number> {
  let uncovered = 0;
  for (const path of (await reader.list()) ?? []) {
    if (checked.has(path) || OTHER_FILES.has(path)) continue;
    const match = /^tile\/(entries|\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(path);
    const level = match?.[1] === 'entries' ? 'entries' : Number(match?.[1]);
    const index = Number((match?.[2] ?? '').replaceAll(/[x/]/g, ''));
    const width = match?.[3] === undefined ? WIDTH : Number(match[3]);
    if (!match || pathOf(level, index, width) !== path) {
      faults.add(path, 'the file is not a part of a log');
      continue;
    }
    const hashes = Math.floor(size / WIDTH ** (level === 'entries' ? 0 : level)) - index * WIDTH;
    if (width > hashes) {
      uncovered += 1;
      continue;
    }
    const [earlier, current] = [await reader.read(path), await reader.read(pathOf(level, index, Math.min(WIDTH, hashes)))];
    if (earlier === null) continue; // it was replaced by the full tile just now
    if (current === null || !Buffer.from(current.subarray(0, earlier.length)).equals(earlier) || !holdsExactly(level, earlier, width))
      faults.add(path, 'an earlier partial tile differs from the present one');
    checked.add(path);
  }
  return uncovered;
}

const OTHER_FILES: ReadonlySet<string> = new Set(['vkey', 'clerestory.lock', 'checkpoint.tmp', 'witnessed', 'witnessed.tmp', 'begin.json', 'begin.json.tmp', 'restart.json']);
const holdsExactly = (level: number | 'entries', bytes: Uint8Array, width: number): boolean =>
  level === 'entries' ? readBundle(bytes)?.length === width : bytes.length === width * 32;
