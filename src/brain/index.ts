import { Refused, systemRandom, type Clock, type Random } from '../kernel/index.ts';
import { Counter, Gauge, type Bus, type DatabaseHandle, type Http, type Logger, type Metrics } from '../platform/index.ts';
import { type Reading, type StreamInfo } from '../contracts/reading.ts';
import { type RuleState, type Warning } from '../contracts/warning.ts';
import { Engine } from './engine.ts';
import { worseOf } from './machine.ts';
import { registerBrainRoutes } from './routes.ts';
import { loadRules, type PurposeRegister } from './rule.ts';
import { createWarningQueue } from './warning-queue.ts';
import { createWarningStore } from './warning-store.ts';

export { verifyExplanation } from './explanation.ts';
export { type PurposeRegister } from './rule.ts';

const TICK_MS = 1_000;
/** Longest history that a restart reads. */
const HISTORY_MAX_MS = 3 * 86_400_000;
/** Batches that arrive while windows are refilled wait, up to this many readings. */
const WAITING_READINGS = 1_000_000;

/** What the brain needs of sensing. */
export interface SensingDoor {
  streams(): ReadonlyMap<number, StreamInfo>;
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void;
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
  readHistory(datastreamIds: readonly number[], fromMs: number, toMs: number): AsyncIterable<readonly Reading[]>;
}

export interface BrainOptions {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly sensing: SensingDoor;
  readonly purposes: PurposeRegister;
  /** The rule documents; null runs no rules. */
  readonly rulesYaml: string | null;
  /** Who loads them, for the version table. */
  readonly loadedBy?: string;
  readonly random?: Random;
}

export interface Brain {
  /** Worst state of the rules that observe this datastream; `ok` when no rule does. */
  stateOf(datastreamId: number): RuleState;
  onStates(handle: (changed: readonly number[]) => void): () => void;
  /** From the stored warnings: datastreams with a warning that stood at `atMs`; all others were without one. */
  statesAt(atMs: number): Promise<ReadonlyMap<number, RuleState>>;
  readWarnings(ids: readonly string[]): Promise<Warning[]>;
  /** The rules that run, as the register of purposes publishes them. */
  cards(): readonly { readonly id: string; readonly title: string; readonly why: string; readonly owner: string; readonly purpose: string; readonly sentence: string; readonly document: string }[];
  /** Looks again which rules may run where; for when purposes begin or end. */
  rebind(): void;
  registerRoutes(http: Http): Promise<void>;
  /** Resolves when every change up to now is stored and published. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts the rules: loads them, restores standing warnings, refills the windows from history and listens.
 * Throws `Refused` with `rule.invalid`, one refusal a fault, when a document is not valid.
 */
export async function createBrain(options: BrainOptions): Promise<Brain> {
  const { handle, bus, clock, logger, metrics, sensing, purposes, rulesYaml } = options;
  const { rules, faults } = loadRules(rulesYaml ?? '', purposes);
  const [firstFault, ...otherFaults] = faults.map((fault) => ({
    code: 'rule.invalid' as const,
    detail: `Rule ${fault.rule || 'file'}, line ${String(fault.line)}${fault.key === '' ? '' : `, ${fault.key}`}: ${fault.detail}`,
    field: fault.key === '' ? fault.rule : `${fault.rule}.${fault.key}`,
  }));
  if (firstFault !== undefined) throw new Refused(firstFault, ...otherFaults);

  const store = createWarningStore(handle, bus);
  const queue = createWarningQueue(store, logger);
  const startMs = clock.nowMs();
  const versions = await store.saveRules(rules.map((rule) => ({ id: rule.id, document: rule.source })), options.loadedBy ?? 'the start of the server', startMs);
  const counters = registerMetrics(metrics, () => queue.waiting(), () => engine.watches);
  const engine = new Engine({
    rules, versions, purposes, startMs,
    random: options.random ?? systemRandom,
    onChange: (change) => {
      counters.changes.inc({ kind: change.kind });
      queue.push(change);
    },
    onLate: (kind) => counters.late.inc({ kind }),
  });

  const early: (readonly Reading[])[] = [];
  let earlyReadings = 0;
  let ready = false;
  const stopReadings = sensing.onReadings((batch) => {
    if (ready) {
      engine.feed(batch, clock.nowMs());
      return;
    }
    early.push(batch);
    earlyReadings += batch.length;
    if (earlyReadings > WAITING_READINGS) throw new Error('more readings came during the start of the rules than may wait');
  });
  engine.restore(await store.readStanding());
  const stopStreams = sensing.onStreamsChanged((ids) => engine.updateStreams(ids, sensing.streams(), clock.nowMs()));
  engine.updateStreams(sensing.streams().keys(), sensing.streams(), startMs);
  const history_ms = Math.min(HISTORY_MAX_MS, engine.history_ms);
  const fromMs = startMs - history_ms;
  await engine.refill(sensing.readHistory(engine.watchedStreams, fromMs, clock.nowMs() + 1), fromMs, await store.readClearedSince(fromMs), () => clock.nowMs());
  engine.dropForgotten(clock.nowMs());
  ready = true;
  for (const batch of early.splice(0)) engine.feed(batch.filter((reading) => !engine.hasReading(reading)), clock.nowMs());
  await queue.drain();

  const timer = setInterval(() => engine.tick(clock.nowMs()), TICK_MS);
  timer.unref();
  logger.info({ rules: rules.length, watches: engine.watches }, 'the rules are on');

  return {
    stateOf: (datastreamId) => engine.stateOf(datastreamId),
    onStates: (handleStates) => engine.onStates(handleStates),
    statesAt: async (atMs) => {
      const states = new Map<number, RuleState>();
      for (const { datastreamId, state } of await store.readStatesAt(atMs)) states.set(datastreamId, worseOf(state, states.get(datastreamId) ?? 'ok'));
      return states;
    },
    readWarnings: (ids) => store.readByIds(ids),
    cards: () => rules.map(({ id, sentence, source, document: { title, why, owner, purpose } }) => ({ id, title, why, owner, purpose, sentence, document: source })),
    rebind: () => engine.updateStreams(sensing.streams().keys(), sensing.streams(), clock.nowMs()),
    registerRoutes: async (http) => registerBrainRoutes(http, { engine, store, rules, versions, purposes, clock }),
    settled: () => queue.drain(),
    close: async () => {
      clearInterval(timer);
      stopReadings();
      stopStreams();
      await queue.close();
    },
  };
}

function registerMetrics(metrics: Metrics, waiting: () => number, watches: () => number): { changes: Counter<'kind'>; late: Counter<'kind'> } {
  const registers = [metrics];
  new Gauge({ name: 'brain_watches', help: 'Rules times places.', registers, collect() { this.set(watches()); } });
  new Gauge({ name: 'brain_changes_waiting', help: 'Changes of warnings that wait to be stored.', registers, collect() { this.set(waiting()); } });
  return {
    changes: new Counter({ name: 'brain_warning_changes_total', help: 'Changes of warnings by kind.', labelNames: ['kind'], registers }),
    late: new Counter({ name: 'brain_late_readings_total', help: 'Readings of watched streams that came out of order: late (still counted), past (counts from now on), gone (too old for any window).', labelNames: ['kind'], registers }),
  };
}
