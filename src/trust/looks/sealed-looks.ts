import type { Approval } from '../../contracts/approval.ts';
import type { SealedCounts, SealedEntries } from '../../contracts/looks.ts';
import type { Principal } from '../../contracts/principal.ts';
import { ok, refuse, type Clock, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { Cases } from '../keys/cases.ts';
import { insertExtension, listExtensions } from './looks-store.ts';

const DAY_MS = 24 * 3_600_000;
/** A look stays closed at most this long at a time. */
export const SEALED_MAX_DAYS = 366;
const REVEAL_MS = 60_000;
const QUARTERS_MAX = 40;
const ENTRIES_MAX = 500;

/** Looks that a resident learns of on a later day: they are counted in public, extended by two people, and open by themselves. */
export interface SealedLooks {
  counts(): Promise<SealedCounts>;
  /** The closed ones first, then the newest. */
  entries(): Promise<SealedEntries>;
  proposeExtension(principal: Principal, index: number, until: string, reason: string): Promise<Result<Approval>>;
  /** Moves the day as two people agreed; leaves a leaf of its own. */
  extend(index: number, until: string, approval: string): Promise<Result<{ index: number }>>;
  /** Looks every minute for those whose day has come. A resident's page notices them without it. */
  start(): () => void;
}

interface SealedLooksOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cases: Pick<Cases, 'listSealed' | 'extendSealed' | 'revealDue'>;
  readonly approvals: Pick<Approvals, 'propose' | 'spend'>;
}

export function createSealedLooks({ handle, clock, logger, cases, approvals }: SealedLooksOptions): SealedLooks {
  const check = async (index: number, until: string): Promise<ReturnType<typeof refuse> | null> => {
    const look = (await cases.listSealed()).find((each) => each.index === index);
    if (look === undefined) return refuse('http.not-found', 'No sealed look has this entry in the log.', 'index');
    if (look.revealed || Date.parse(look.until) <= clock.nowMs()) return refuse('look.opened', 'The resident has been told of this look.', 'index');
    const untilMs = Date.parse(until);
    if (untilMs <= Date.parse(look.until) || untilMs > clock.nowMs() + SEALED_MAX_DAYS * DAY_MS) return refuse('http.invalid', `The new day lies after the present one, at most ${SEALED_MAX_DAYS} days ahead.`, 'until');
    return null;
  };
  return {
    counts: async () => countQuarters(await cases.listSealed(), (await listExtensions(handle.db)).map(({ at }) => at)),
    entries: async () => {
      const extensions = await listExtensions(handle.db);
      const entries = (await cases.listSealed()).map(({ index, at, until, revealed }) => ({ index, at, until, told: revealed, extensions: extensions.filter(({ ofIndex }) => ofIndex === index).length }));
      return { entries: entries.sort((a, b) => Number(a.told) - Number(b.told) || b.index - a.index).slice(0, ENTRIES_MAX) };
    },
    proposeExtension: async (principal, index, until, reason) => (await check(index, until)) ?? approvals.propose(principal, 'look.extend', String(index), { index, until }, reason),
    extend: async (index, until, approval) => {
      const refusal = await check(index, until);
      if (refusal) return refusal;
      // the approval counts as used only if the day was moved
      return handle.db.transaction().execute(async (trx) => {
        const agreed = await approvals.spend(trx, approval, 'look.extend', String(index), { index, until });
        if (!agreed.ok) return agreed;
        const extended = await cases.extendSealed(index, until);
        if (!extended.ok) return extended;
        await insertExtension(trx, { leafIndex: extended.value.index, ofIndex: index, at: new Date(clock.nowMs()) });
        return ok({ index: extended.value.index });
      });
    },
    start: () => {
      const timer = setInterval(() => void cases.revealDue().catch((error: unknown) => logger.warn({ err: error }, 'sealed looks whose day has come are not opened yet')), REVEAL_MS);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}

/** The quarter of a moment in UTC, such as 2026-Q4. */
const quarterOf = (at: Date): string => `${at.getUTCFullYear()}-Q${Math.floor(at.getUTCMonth() / 3) + 1}`;

function countQuarters(looks: readonly { at: string; revealed: boolean }[], extensions: readonly Date[]): SealedCounts {
  const quarters = new Map<string, SealedCounts['quarters'][number]>();
  const of = (quarter: string) => {
    const found = quarters.get(quarter) ?? { quarter, made: 0, extended: 0, closed: 0 };
    quarters.set(quarter, found);
    return found;
  };
  for (const { at, revealed } of looks) {
    const counts = of(quarterOf(new Date(at)));
    counts.made += 1;
    if (!revealed) counts.closed += 1;
  }
  for (const at of extensions) of(quarterOf(at)).extended += 1;
  return { quarters: [...quarters.values()].sort((a, b) => (a.quarter < b.quarter ? 1 : -1)).slice(0, QUARTERS_MAX) };
}
