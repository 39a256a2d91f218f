import type { WitnessStatus } from '../../contracts/trust.ts';
import { isoOf, type Clock } from '../../kernel/index.ts';
import { Gauge, type Logger, type Metrics, type Outgoing } from '../../platform/index.ts';
import { isQuorum, leastQuorum, quorumTime, type Policy, type PolicyWitness } from './policy-file.ts';
import { parseCheckpointBody, splitNote } from './signed-note.ts';
import { submitHead, type Head, type Outcome } from './submission.ts';
import { readWitnessed } from './witnessed.ts';

/** How often witnesses are asked and when silence becomes an alarm. */
export const PACE = {
  tick_ms: 250,
  /** Between two heads that are sent. */
  round_ms: 1_000,
  /** Without growth, for a fresh timestamp. */
  refresh_ms: 15_000,
  /** Longest pause before a witness that failed is asked again. */
  backoff_max_ms: 30_000,
  quorum_grace_ms: 60_000,
  stale_ms: 600_000,
} as const;
export type Pace = { readonly [Key in keyof typeof PACE]: number };

/** The part of the log that is needed here. */
export interface WitnessedLog {
  size(): number;
  checkpoint(): string;
  proveConsistency(from: number, to: number): Promise<readonly Uint8Array[]>;
  /** Takes cosignature lines for the head of this size; `quorum` when all that came for it are enough. */
  cosign(size: number, lines: string[], quorum: boolean): Promise<void> | void;
}

export interface Cosigning {
  status(): WitnessStatus;
  close(): Promise<void>;
}

interface Options {
  readonly policy: Policy;
  readonly log: WitnessedLog;
  /** The head that stood as witnessed when the log was opened; null for none. */
  readonly witnessed: string | null;
  readonly outgoing: Outgoing;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly pace?: Pace;
}

interface Peer {
  readonly witness: PolicyWitness & { readonly url: string };
  witnessSize: number;
  lastSize: number | null;
  last_s: number | null;
  fault: string | null;
  refusedSinceMs: number | null;
  failures: number;
  nextAtMs: number;
  asking: Promise<void> | null;
}

/** One head on its way to all witnesses. */
interface Round {
  readonly head: Head;
  readonly startedMs: number;
  readonly lines: string[];
  readonly times: Map<string, number>;
  readonly tried: Set<string>;
}

/** What is said when nobody outside was asked to watch. */
export const UNWITNESSED: WitnessStatus = { quorum: 'none-configured', required: 0, each: [], witnessedSize: null, witnessedAt: null, alarm: null };

/** Keeps the witnesses of the policy asked: the newest head at most once a second, and now and then without growth; one request a witness at a time. */
export function startCosigning(options: Options): Cosigning {
  const { policy, log, clock, logger } = options;
  const pace = options.pace ?? PACE;
  const startedMs = clock.nowMs();
  const peers = policy.witnesses.flatMap((witness): Peer[] => (witness.url === null ? [] : [{ witness: { ...witness, url: witness.url }, witnessSize: 0, lastSize: null, last_s: null, fault: null, refusedSinceMs: null, failures: 0, nextAtMs: 0, asking: null }]));
  let witnessed = options.witnessed === null ? null : readWitnessed(options.witnessed, policy);
  let failingSinceMs: number | null = startedMs;
  let round: Round | null = null;
  new Gauge({ name: 'clerestory_witness_quorum', help: '1 while enough witnesses cosign the transparency log', registers: [options.metrics], collect() { this.set(failingSinceMs === null ? 1 : 0); } });

  const settleQuorum = (): void => {
    const holds = isQuorum(policy, new Set(peers.filter(({ fault, lastSize }) => fault === null && lastSize !== null).map(({ witness }) => witness.name)));
    if (holds && failingSinceMs !== null) logger.info({ size: log.size() }, 'enough witnesses cosign the transparency log');
    if (!holds && failingSinceMs === null) logger.warn({ faults: peers.flatMap(({ witness, fault }) => (fault === null ? [] : [`${witness.name}: ${fault}`])) }, 'too few witnesses cosign the transparency log');
    failingSinceMs = holds ? null : (failingSinceMs ?? clock.nowMs());
  };

  const accept = async (peer: Peer, asked: Round, outcome: Outcome & { is: 'cosigned' }): Promise<void> => {
    Object.assign(peer, { witnessSize: asked.head.size, lastSize: asked.head.size, last_s: outcome.time_s, fault: null, refusedSinceMs: null, failures: 0 });
    asked.lines.push(outcome.line);
    asked.times.set(peer.witness.name, outcome.time_s);
    const at_s = quorumTime(policy, asked.times);
    await log.cosign(asked.head.size, [...asked.lines], at_s !== null);
    if (at_s !== null && (witnessed === null || asked.head.size >= witnessed.size)) witnessed = { size: asked.head.size, time_s: at_s };
  };

  const reject = (peer: Peer, outcome: Exclude<Outcome, { is: 'cosigned' }>): void => {
    const nowMs = clock.nowMs();
    if (outcome.is === 'refused' && peer.refusedSinceMs === null) {
      peer.refusedSinceMs = nowMs;
      logger.error({ witness: peer.witness.name, detail: outcome.detail }, 'a witness has seen another past of the transparency log');
    }
    peer.witnessSize = (outcome.is === 'fault' ? outcome.witnessSize : undefined) ?? 0;
    peer.fault = outcome.detail;
    peer.nextAtMs = nowMs + Math.min(pace.backoff_max_ms, pace.round_ms * 2 ** peer.failures);
    peer.failures = Math.min(peer.failures + 1, 16);
  };

  const ask = async (peer: Peer, asked: Round): Promise<void> => {
    asked.tried.add(peer.witness.name);
    try {
      const outcome = await submitHead({ outgoing: options.outgoing, witness: peer.witness, head: asked.head, oldSize: peer.witnessSize, currentSize: () => log.size(), proveConsistency: (from, to) => log.proveConsistency(from, to), now_s: clock.nowMs() / 1_000 });
      if (outcome.is === 'cosigned') await accept(peer, asked, outcome);
      else reject(peer, outcome);
    } catch (error) {
      logger.error({ err: error, witness: peer.witness.name }, 'a head of the transparency log could not be sent or its cosignature not be kept');
      reject(peer, { is: 'fault', detail: 'This server could not make the proof or keep the cosignature; see its log.' });
    }
    peer.asking = null;
    settleQuorum();
  };

  const isOver = (one: Round): boolean => isQuorum(policy, new Set(one.times.keys())) || peers.every((peer) => peer.asking === null && one.tried.has(peer.witness.name));
  const openRound = (nowMs: number): Round => {
    const sinceMs = nowMs - (round?.startedMs ?? 0);
    // below zero: the clock was set back, and must not stop the sending until it catches up
    if (round !== null && sinceMs >= 0 && (sinceMs < pace.round_ms || !isOver(round))) return round;
    const checkpoint = log.checkpoint();
    const note = splitNote(Buffer.from(checkpoint));
    const body = note && parseCheckpointBody(note.text);
    if (note === null || body === null) throw new Error('the log gives no checkpoint');
    if (round?.head.text === note.text && sinceMs >= 0 && sinceMs < pace.refresh_ms) return round;
    return { head: { size: body.size, checkpoint, text: note.text }, startedMs: nowMs, lines: [], times: new Map(), tried: new Set() };
  };

  const tick = (): void => {
    const nowMs = clock.nowMs();
    round = openRound(nowMs);
    for (const peer of peers) {
      if (peer.asking !== null || round.times.has(peer.witness.name)) continue;
      if (nowMs < peer.nextAtMs && peer.nextAtMs - nowMs <= pace.backoff_max_ms) round.tried.add(peer.witness.name); // it rests after a fault; the others need not wait for it
      else peer.asking = ask(peer, round);
    }
  };
  const timer = setInterval(tick, pace.tick_ms);
  timer.unref();

  const alarm = (nowMs: number): WitnessStatus['alarm'] => {
    const refusing = peers.filter(({ refusedSinceMs }) => refusedSinceMs !== null).sort((a, b) => (a.refusedSinceMs ?? 0) - (b.refusedSinceMs ?? 0))[0];
    if (refusing !== undefined) return { code: 'refused', since: isoOf(refusing.refusedSinceMs ?? nowMs), detail: refusing.fault ?? '' };
    // as far off in the other direction: the clock was set back
    if (failingSinceMs !== null && Math.abs(nowMs - failingSinceMs) > pace.quorum_grace_ms) return { code: 'quorum', since: isoOf(failingSinceMs), detail: 'Too few of the witnesses answer.' };
    const witnessedMs = witnessed === null ? startedMs : witnessed.time_s * 1_000;
    return Math.abs(nowMs - witnessedMs) > pace.stale_ms ? { code: 'stale', since: isoOf(witnessedMs), detail: 'No head of the log was witnessed for more than ten minutes.' } : null;
  };

  return {
    status: () => ({
      quorum: failingSinceMs === null ? 'met' : 'failing',
      required: leastQuorum(policy),
      each: peers.map((peer) => ({ name: peer.witness.name, lastSize: peer.lastSize, lastAt: peer.last_s === null ? null : isoOf(peer.last_s * 1_000), fault: peer.fault, refuses: peer.refusedSinceMs !== null })),
      witnessedSize: witnessed?.size ?? null,
      witnessedAt: witnessed === null ? null : isoOf(witnessed.time_s * 1_000),
      alarm: alarm(clock.nowMs()),
    }),
    close: async () => {
      clearInterval(timer);
      options.outgoing.close();
      await Promise.all(peers.flatMap(({ asking }) => asking ?? []));
    },
  };
}
