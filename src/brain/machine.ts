import { stateMachine } from '../kernel/index.ts';
import { type RuleState } from '../contracts/warning.ts';

/**
 * What a rule is at one place. UNKNOWN comes twice, because it must remember whether a warning stands:
 * missing data never resolves a warning.
 */
export type WatchState = 'ok' | 'pending' | 'warning' | 'clearing' | 'unknown_ok' | 'unknown_warning';

/**
 * What happened at one instant of event time:
 * `high` the condition holds · `low` it does not, and the clearing condition does · `between` neither (hysteresis)
 * `blind` too few valid readings, or stale · `dwelt` the state has lasted as long as `for` or `clear_for` asks.
 */
export type WatchEvent = 'high' | 'low' | 'between' | 'blind' | 'dwelt';

export const WATCH_STATES = ['ok', 'pending', 'warning', 'clearing', 'unknown_ok', 'unknown_warning'] as const satisfies readonly WatchState[];
export const WATCH_EVENTS = ['high', 'low', 'between', 'blind', 'dwelt'] as const satisfies readonly WatchEvent[];

export const watchMachine = stateMachine<WatchState, WatchEvent>('unknown_ok', {
  ok: { high: 'pending', low: 'ok', between: 'ok', blind: 'unknown_ok', dwelt: null },
  pending: { high: 'pending', low: 'ok', between: 'ok', blind: 'unknown_ok', dwelt: 'warning' },
  warning: { high: 'warning', low: 'clearing', between: 'warning', blind: 'unknown_warning', dwelt: null },
  clearing: { high: 'warning', low: 'clearing', between: 'warning', blind: 'unknown_warning', dwelt: 'ok' },
  unknown_ok: { high: 'pending', low: 'ok', between: 'ok', blind: 'unknown_ok', dwelt: null },
  unknown_warning: { high: 'warning', low: 'clearing', between: 'warning', blind: 'unknown_warning', dwelt: null },
});

/** Whether a warning stands in this state. */
export function stands(state: WatchState): boolean {
  return state === 'warning' || state === 'clearing' || state === 'unknown_warning';
}

/** As others see it: both kinds of UNKNOWN are `unknown`. */
export function ruleStateOf(state: WatchState): RuleState {
  return state === 'unknown_ok' || state === 'unknown_warning' ? 'unknown' : state;
}

const RANK: Readonly<Record<RuleState, number>> = { ok: 0, pending: 1, unknown: 2, clearing: 3, warning: 4 };

export function worseOf(a: RuleState, b: RuleState): RuleState {
  return RANK[a] >= RANK[b] ? a : b;
}
