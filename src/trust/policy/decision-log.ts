import { createHash } from 'node:crypto';
import { ANONYMOUS, type Action, type Principal } from '../../contracts/principal.ts';
import { isoOf, refuse, type Clock, type Refusal } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import { canonicalJson, type Json } from '../log/canonical.ts';
import { deleteDecisionsBefore, insertDecisions, listPolicyVersions, listUnsealed, recordPolicyVersion, setLeaf, type Decision, type StoredDecision } from './decision-store.ts';
import type { Policy } from './policy.ts';

/** Different decisions that wait to be written; the same one again only counts up. */
const WAITING_MAX = 5_000;
const WRITE_MS = 500;
const SEAL_CHECK_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Another process may still be writing what it decided before the hour ended. */
const LATE_MS = 60_000;
const LINES_PER_LEAF = 50_000;
/** Denials outside HTTP: a device that is denied tries again at once, and again. Each is one line a minute, and so many different ones are told apart. */
const DENIAL_MS = 60_000;
const DENIALS_MAX = 1_000;

/** The decision about one call of an address. */
export interface RouteDecision {
  readonly principal: Principal;
  readonly action: Action;
  readonly method: string;
  /** The pattern of the address, such as /api/requests/:id; never the address itself. */
  readonly route: string;
  readonly allowed: boolean;
}

export interface DecisionLog {
  /** Notes what has to be noted of a call; a refusal when nothing more can be, and then nothing must be done. */
  readonly noteRoute: (decision: RouteDecision) => Refusal | null;
  /** Notes a decision that is not about an address. `resource` is a kind of thing, never an id. */
  readonly note: (principal: Principal, action: string, resource: string, allowed: boolean) => Refusal | null;
  /**
   * Notes what somebody was denied at a door that answers each message by itself, such as MQTT: at once when it is new, and once a
   * minute how often it came again. `resource` names a kind of thing, never what the client typed. Nothing waits for it or fails by it.
   */
  readonly noteDenied: (principal: Principal, action: string, resource: string) => void;
  /** Writes what waits. */
  write(): Promise<void>;
  /** Makes a leaf for what was decided in hours that are over. Only the process with the log can. */
  seal(): Promise<void>;
  close(): Promise<void>;
}

interface DecisionLogOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policyHash: string;
  /** How long lines are kept, from the register of purposes. */
  readonly retentionDays: () => number;
  /** Null where there is no log: the city's process makes the leaves for all. */
  readonly log: { appendBody(kind: string, body: Json): Promise<number> } | null;
}

/** Allowed calls that are noted whatever they do, and those that are noted when they change something. */
const ALWAYS: ReadonlySet<Action> = new Set(['requests.look', 'requests.contact', 'requests.search']);
const WHEN_CHANGING: ReadonlySet<Action> = new Set(['requests.work', 'people.manage', 'register.manage', 'approvals.decide', 'sensing.delete']);
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

const full = refuse('http.overloaded', 'Decisions wait to be recorded, and what must be recorded is not done without it.').refusal;

/** Every denial of a person or a token, and every allowed act on cases, people, the register and approvals. */
export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { handle, clock, logger, policyHash, log } = options;
  const waiting = new Map<string, { -readonly [key in keyof Decision]: Decision[key] }>();
  let writing: Promise<void> | undefined;
  let sealing: Promise<void> | undefined;

  const keyOf = ({ pseudonym, positions }: Pick<Principal, 'pseudonym' | 'positions'>, action: string, resource: string, allowed: boolean): string => JSON.stringify([pseudonym, positions, action, resource, allowed]);
  const note: DecisionLog['note'] = ({ pseudonym, kind, positions }, action, resource, allowed) => {
    const key = keyOf({ pseudonym, positions }, action, resource, allowed);
    const known = waiting.get(key);
    if (known !== undefined) {
      known.count += 1;
      return null;
    }
    if (waiting.size >= WAITING_MAX) return full;
    waiting.set(key, { at: new Date(clock.nowMs()), pseudonym, kind, positions, action, resource, allowed, count: 1, policyHash });
    return null;
  };
  /** Denials of more kinds than are told apart. */
  let others = 0;
  const denials = new Map<string, { readonly principal: Principal; readonly action: string; readonly resource: string; again: number }>();
  const noteTimes = (principal: Principal, action: string, resource: string, times: number): void => {
    if (note(principal, action, resource, false) !== null) return; // full: HTTP is answered with 503 meanwhile, and this is counted no more
    const line = waiting.get(keyOf(principal, action, resource, false));
    if (line !== undefined) line.count += times - 1;
  };
  const noteDenied: DecisionLog['noteDenied'] = (principal, action, resource) => {
    const key = keyOf(principal, action, resource, false);
    const known = denials.get(key);
    if (known !== undefined) {
      known.again += 1;
      return;
    }
    if (denials.size >= DENIALS_MAX) {
      others += 1;
      return;
    }
    denials.set(key, { principal, action, resource, again: 0 });
    noteTimes(principal, action, resource, 1);
  };
  const tellDenials = async (): Promise<void> => {
    for (const { principal, action, resource, again } of denials.values()) if (again > 0) noteTimes(principal, action, resource, again);
    denials.clear();
    if (others > 0) noteTimes(ANONYMOUS, 'many', 'MQTT', others);
    others = 0;
  };
  const writeOnce = async (): Promise<void> => {
    const lines = [...waiting];
    if (lines.length === 0) return;
    for (const [key] of lines) waiting.delete(key);
    try {
      await insertDecisions(handle.db, lines.map(([, decision]) => decision));
    } catch (error) {
      // they wait on; what came meanwhile under the same key is added
      for (const [key, decision] of lines) waiting.set(key, { ...decision, count: decision.count + (waiting.get(key)?.count ?? 0) });
      throw error;
    }
  };
  const write = async (): Promise<void> => {
    writing ??= writeOnce().finally(() => {
      writing = undefined;
    });
    return writing;
  };
  const sealOnce = async (): Promise<void> => {
    if (log === null) return;
    const nowMs = clock.nowMs();
    const hourMs = Math.floor((nowMs - LATE_MS) / HOUR_MS) * HOUR_MS;
    for (;;) {
      const lines = await listUnsealed(handle.db, new Date(hourMs), LINES_PER_LEAF);
      if (lines.length === 0) break;
      const leaf = await log.appendBody('policy.decisions', { until: isoOf(hourMs), lines: lines.length, hash: hashOfLines(lines) });
      await setLeaf(handle.db, lines.map(({ id }) => id), leaf);
    }
    await deleteDecisionsBefore(handle.db, new Date(nowMs - options.retentionDays() * 24 * HOUR_MS));
  };
  const seal = async (): Promise<void> => {
    sealing ??= sealOnce().finally(() => {
      sealing = undefined;
    });
    return sealing;
  };
  const often = (work: () => Promise<void>, everyMs: number, trouble: string): NodeJS.Timeout =>
    setInterval(() => {
      work().catch((error: unknown) => logger.error({ err: error }, trouble));
    }, everyMs).unref();
  const timers = [often(write, WRITE_MS, 'decisions could not be written; they wait'), often(seal, SEAL_CHECK_MS, 'decisions have no leaf yet'), often(tellDenials, DENIAL_MS, 'denials could not be counted')];

  return {
    noteRoute: ({ principal, action, method, route, allowed }) => {
      const isNoted = allowed ? ALWAYS.has(action) || (WHEN_CHANGING.has(action) && !READING.has(method)) : principal.kind !== 'anonymous';
      return isNoted ? note(principal, action, `${method} ${route}`, allowed) : null;
    },
    note,
    noteDenied,
    write,
    seal,
    close: async () => {
      for (const timer of timers) clearInterval(timer);
      await writing;
      await tellDenials();
      await write();
      await sealing;
    },
  };
}

/** SHA-256 over the lines as canonical JSON, each ended by a line feed, in the order of their ids; hex. */
export function hashOfLines(lines: readonly StoredDecision[]): string {
  const hash = createHash('sha256');
  for (const { id, at, pseudonym, kind, positions, action, resource, allowed, count, policyHash } of lines) {
    hash.update(`${canonicalJson({ id, at: at.toISOString(), pseudonym, kind, positions: [...positions], action, resource, allowed, count, policyHash })}\n`);
  }
  return hash.digest('hex');
}

/** Keeps the text of the policy in force, with a leaf, when it is another one than at the last start. */
export async function recordPolicy(policy: Policy, { handle, clock, log }: { handle: DatabaseHandle; clock: Clock; log: { appendBody(kind: string, body: Json): Promise<number> } }): Promise<void> {
  const [last] = await listPolicyVersions(handle.db, 1);
  if (last?.hash === policy.hash) return;
  const leaf = await log.appendBody('policy.changed', { hash: policy.hash, before: last?.hash ?? null });
  const { schema, files } = policy.describe();
  await recordPolicyVersion(handle.db, { hash: policy.hash, since: new Date(clock.nowMs()), leaf, document: JSON.stringify({ schema, files }) });
}
