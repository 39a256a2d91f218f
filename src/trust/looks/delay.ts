import type { Look } from '../../contracts/trust.ts';
import type { Database } from '../../platform/index.ts';
import { LOOK_DELAY_MAX_DAYS, type WaitingLook } from '../../contracts/tlog/access.ts';
import { listDelayed } from './looks-store.ts';

const DELAY_MAX_MS = LOOK_DELAY_MAX_DAYS * 86_400_000;

/** When the resident is told of a look: at once, or with the next step of the case and after 30 days at the latest. */
export type Told = 'now' | 'after-step';

export interface PartedLooks {
  readonly shown: Look[];
  /** Their numbers and nothing else of them. */
  readonly waiting: WaitingLook[];
}

/**
 * Parts the looks at one case into those that its resident is told of by now and those that wait for its next step. `steppedAt`: the
 * newest step of the case. A look whose line is gone or was never written is told at once.
 */
export async function partLooks(db: Database, { caseId, looks, steppedAt, nowMs }: { caseId: string; looks: readonly Look[]; steppedAt: Date; nowMs: number }): Promise<PartedLooks> {
  const delayed = await listDelayed(db, caseId, new Date(nowMs - DELAY_MAX_MS));
  const parted: PartedLooks = { shown: [], waiting: [] };
  for (const look of looks) {
    const atMs = Date.parse(look.at);
    const untilMs = atMs + DELAY_MAX_MS;
    // told later by a law's order: that day has come, so nothing else keeps it
    const waits = look.opens === undefined && delayed.has(look.index) && atMs > steppedAt.getTime() && untilMs > nowMs;
    if (waits) parted.waiting.push({ n: look.n, until: new Date(untilMs).toISOString() });
    else parted.shown.push(look);
  }
  return parted;
}
