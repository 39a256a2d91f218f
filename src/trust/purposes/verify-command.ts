import { createHash } from 'node:crypto';
import { z } from 'zod';
import { tilePath } from '../log/tile-path.ts';
import { verifyWholeLog, type LogReader } from '../log/verify.ts';
import type { Purpose } from '../../contracts/trust.ts';
import { gatherFromFolder, gatherFromUrl, type Evidence } from './evidence.ts';
import { canonicalRegister, hasEnded, hashRegister, spanOf } from './register.ts';

const TILE_WIDTH = 256;
const DAY_MS = 86_400_000;
const FAULTS_SHOWN = 50;
const LeafBody = z.object({ hash: z.string(), since: z.string(), approval: z.string().optional(), previous: z.string().optional() });
const Entry = z.looseObject({ v: z.literal(1), kind: z.string(), commit: z.string() });

export interface PurposeReport {
  readonly faults: readonly string[];
  readonly proved: readonly string[];
  readonly notProved: readonly string[];
}

/**
 * `clerestory verify purpose URL|--data DIR`: compares the public register with what the city has, and its versions with the leaves of
 * the log. Gives the exit code: 0 they agree, 1 they do not, 2 nothing to check.
 */
export async function verifyPurpose(options: { url?: string; data?: string; key?: string; nowMs?: number; print?: (line: string) => void }): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  let evidence: Evidence | null = null;
  try {
    if (options.data !== undefined) evidence = await gatherFromFolder(options.data);
    else if (options.url !== undefined) evidence = await gatherFromUrl(options.url);
  } catch (error) {
    print(`The register cannot be read: ${error instanceof z.ZodError ? `an answer has not the shape of a register at ${error.issues[0]?.path.join('.') ?? ''}` : (error as Error).message}`);
    return 2;
  }
  if (evidence === null) {
    print(options.data === undefined ? 'Name the address of a city, or --data DIR.' : `No city with a register runs on ${options.data}.`);
    return 2;
  }
  const report = await checkPurposes(evidence, { nowMs: options.nowMs ?? Date.now(), ...(options.key === undefined ? {} : { key: options.key }) });
  print(`register ${String(evidence.purposes.length)} purposes, ${String(evidence.versions.length)} versions, SHA-256 ${evidence.hash}`);
  print(`city     ${String(evidence.streams.length)} datastreams, ${String(evidence.parts.length)} rules, services and feeds`);
  print('');
  print(report.faults.length === 0 ? 'Register and city agree.' : `Register and city do NOT agree. First fault: ${report.faults[0] ?? ''}.`);
  for (const fault of report.faults.slice(1, FAULTS_SHOWN)) print(`  also: ${fault}`);
  if (report.faults.length > FAULTS_SHOWN) print(`  and ${String(report.faults.length - FAULTS_SHOWN)} more`);
  if (report.proved.length > 0) for (const line of ['', 'Proved:', ...report.proved.map((each) => `  - ${each}`)]) print(line);
  for (const line of ['', 'Not proved:', ...report.notProved.map((each) => `  - ${each}`)]) print(line);
  return report.faults.length === 0 ? 0 : 1;
}

export async function checkPurposes(evidence: Evidence, { nowMs, key }: { nowMs: number; key?: string }): Promise<PurposeReport> {
  const checks = [checkHash(evidence), checkStreams(evidence, nowMs), checkParts(evidence), checkReports(evidence, nowMs), checkOldest(evidence, nowMs), checkSecondSource(evidence), await checkLeaves(evidence, key)];
  return {
    faults: checks.flatMap(({ faults }) => faults),
    proved: checks.filter(({ faults }) => faults.length === 0).flatMap(({ proved }) => proved),
    notProved: [...checks.flatMap(({ notProved }) => notProved), ...evidence.notProved, 'that nothing runs beside the city on other machines or in other programs', 'that readings are about what their datastream says: see clerestory verify gate'],
  };
}

const verdict = (faults: readonly string[], proved: string, notProved: readonly string[] = []): PurposeReport => ({ faults, proved: [proved], notProved });

function checkHash({ purposes, hash, versions }: Evidence): PurposeReport {
  const faults: string[] = [];
  if (hashRegister(canonicalRegister(purposes)) !== hash) faults.push('the entries of the register do not have the hash that is stated');
  if (versions[0]?.hash !== hash) faults.push('the newest version is not the register that is shown');
  return verdict(faults, 'the entries of the register have the hash that is stated, and it is that of the newest version');
}

const entriesOf = (purposes: readonly Purpose[]): ReadonlyMap<string, Purpose> => new Map(purposes.map((purpose) => [purpose.id, purpose]));
/** Whether it ended more than a day ago, so that upkeep has had its time. */
const isLongOver = (entry: Purpose, since: string, nowMs: number): boolean => hasEnded(entry, nowMs) && nowMs - (entry.ended ? Date.parse(since) : spanOf(entry).untilMs) > DAY_MS;

function checkStreams({ purposes, streams, since }: Evidence, nowMs: number): PurposeReport {
  const byId = entriesOf(purposes);
  const faults = streams.flatMap(({ id, purpose, observations }) => {
    const entry = byId.get(purpose);
    if (entry === undefined) return [`datastream ${String(id)} stands under ${JSON.stringify(purpose.slice(0, 63))}, which is not in the register`];
    return observations && isLongOver(entry, since, nowMs) ? [`datastream ${String(id)} holds readings, and ${purpose} ended more than a day ago`] : [];
  });
  return verdict(faults, `each of the ${String(streams.length)} datastreams that the city lists names a purpose of the register, and none holds readings a day after its purpose ended`);
}

/** What residents wrote, against the end of its purpose and against its retention. */
function checkReports({ purposes, reports, since }: Evidence, nowMs: number): PurposeReport {
  const byId = entriesOf(purposes);
  const faults = reports.flatMap(({ purpose, kept, held, oldest }) => {
    const entry = byId.get(purpose);
    if (entry === undefined) return [`${String(kept)} reports of residents stand under ${JSON.stringify(purpose.slice(0, 63))}, which is not in the register`];
    if (kept > held && isLongOver(entry, since, nowMs)) return [`${String(kept - held)} reports of residents are kept, and ${purpose} ended more than a day ago`];
    return oldest !== null && isTooOld(oldest, entry, nowMs) ? [`reports of residents are kept for ${purpose} that had their last step on ${oldest.slice(0, 10)}, and it allows ${String(entry.retention_days)} days`] : [];
  });
  const held = reports.reduce((sum, report) => sum + report.held, 0);
  return verdict(faults, 'what residents wrote is kept under purposes of the register only, not longer than these allow, and not a day after their end', held === 0 ? [] : [`that the ${String(held)} reports that a legal hold keeps should be kept: it says so itself`]);
}

/** Readings against the retention of their purpose. */
function checkOldest({ purposes, oldest: held }: Evidence, nowMs: number): PurposeReport {
  const byId = entriesOf(purposes);
  const faults = held.flatMap(({ purpose, oldest }) => {
    const entry = byId.get(purpose);
    return entry !== undefined && !hasEnded(entry, nowMs) && isTooOld(oldest, entry, nowMs) ? [`readings of ${oldest.slice(0, 10)} are kept for ${purpose}, and it allows ${String(entry.retention_days)} days`] : [];
  });
  return verdict(faults, 'the oldest reading of each purpose is not older than the purpose allows');
}

/** Upkeep works by whole days, every hour, and rests for a day after the clock has jumped. */
const isTooOld = (oldest: string, { retention_days }: Purpose, nowMs: number): boolean => nowMs - Date.parse(oldest) > (retention_days + 3) * DAY_MS;

function checkParts({ purposes, parts }: Evidence): PurposeReport {
  const ids = new Set(purposes.map(({ id }) => id));
  const faults = parts.filter(({ purpose }) => !ids.has(purpose)).map(({ kind, id, purpose }) => `the ${kind} ${id.slice(0, 63)} works for ${JSON.stringify(purpose.slice(0, 63))}, which is not in the register`);
  return verdict(faults, `each of the ${String(parts.length)} rules, services and feeds names a purpose of the register`);
}

function checkSecondSource({ streams, seenStreams }: Evidence): PurposeReport {
  if (seenStreams === null) return { faults: [], proved: [], notProved: [] };
  const listed = new Map(streams.map(({ id, purpose }) => [id, purpose]));
  const faults = [
    ...[...seenStreams].filter(([id, purpose]) => listed.get(id) !== purpose).map(([id]) => `datastream ${String(id)} of /v1.1 is not listed with its purpose`),
    ...[...listed.keys()].filter((id) => !seenStreams.has(id)).slice(0, FAULTS_SHOWN).map((id) => `datastream ${String(id)} is listed and /v1.1 does not have it`),
  ];
  return verdict(faults, '/v1.1/Datastreams and /v1.1/MultiDatastreams have the same datastreams with the same purposes');
}

/** Each version against its leaf, and the log as a whole. */
async function checkLeaves({ versions, log }: Evidence, key: string | undefined): Promise<PurposeReport> {
  if (log === null) return verdict(['there is no transparency log to compare with'], '');
  const vkey = key ?? (await log.read('vkey').then((bytes) => bytes && Buffer.from(bytes).toString('utf8').trim()));
  if (!vkey) return verdict(['the log brings no verifier key; name one with --key'], '');
  const whole = await verifyWholeLog(log, vkey, { keyFromElsewhere: key !== undefined });
  if (!whole.ok) return verdict([`the log is not whole: ${whole.faults[0]?.path ?? ''}: ${whole.faults[0]?.detail ?? ''}`], '');
  const faults: string[] = [];
  for (const [at, { version, hash, approval, leaf }] of versions.entries()) {
    const fault = leaf === null ? 'has no leaf' : await faultOfLeaf(log, whole.size, { hash, approval, previous: versions[at + 1]?.hash, isOldest: at === versions.length - 1, leaf });
    if (fault !== null) faults.push(`version ${String(version)} of the register ${fault}`);
  }
  const told = whole.kinds['purpose.register'] ?? 0;
  return verdict(
    faults,
    `each of the ${String(versions.length)} versions stands in the log with its hash and that of the one before`,
    [...(told > versions.length ? [`what the other ${String(told - versions.length)} leaves about registers say: a stop between leaf and change leaves such a one`] : []), ...(key === undefined ? ["that the key of the log is the city's: it came with the log (--key)"] : []), 'who agreed to a change: the leaf names the approval; the two pseudonyms stand in the leaf of the approval, which people with the right to it can open'],
  );
}

async function faultOfLeaf(log: LogReader, size: number, { hash, approval, previous, isOldest, leaf }: { hash: string; approval: string | null; previous: string | undefined; isOldest: boolean; leaf: NonNullable<Evidence['versions'][number]['leaf']> }): Promise<string | null> {
  const entry = await readEntry(log, size, leaf.index);
  if (entry === null) return `names leaf ${String(leaf.index)}, which the log does not have`;
  const stands = Entry.safeParse(parseJson(entry));
  if (!stands.success || stands.data.kind !== 'purpose.register') return `names leaf ${String(leaf.index)}, which is about something else`;
  if (createHash('sha256').update(Buffer.from(leaf.nonce, 'hex')).update(leaf.body).digest('hex') !== stands.data.commit) return `has an opening that leaf ${String(leaf.index)} does not commit to`;
  const body = LeafBody.safeParse(parseJson(leaf.body));
  if (!body.success || body.data.hash !== hash) return 'has another hash than its leaf';
  if ((body.data.approval ?? null) !== approval) return 'names another approval than its leaf';
  if (!isOldest && body.data.previous !== previous) return 'does not follow the version before it';
  return null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // refused by the shape that is asked for
  }
}

/** One entry of a bundle (C2SP tlog-tiles): each has its length before it, 16 bits, big-endian. */
async function readEntry(log: LogReader, size: number, index: number): Promise<string | null> {
  if (index < 0 || index >= size) return null;
  const tile = Math.floor(index / TILE_WIDTH);
  const width = Math.min(TILE_WIDTH, size - tile * TILE_WIDTH);
  const bytes = (await log.read(tilePath({ level: 'entries', index: tile, width }))) ?? (await log.read(tilePath({ level: 'entries', index: tile, width: TILE_WIDTH })));
  if (bytes === null) return null;
  const bundle = Buffer.from(bytes);
  let at = 0;
  for (let left = index % TILE_WIDTH; left >= 0; left -= 1) {
    if (at + 2 > bundle.length) return null;
    const length = bundle.readUInt16BE(at);
    if (left === 0) return bundle.subarray(at + 2, at + 2 + length).toString('utf8');
    at += 2 + length;
  }
  return null;
}
