import type { LookFigures } from '../../contracts/looks.ts';
import { isoOf, type Clock } from '../../kernel/index.ts';
import type { Database, Logger } from '../../platform/index.ts';
import { newDayCounter } from './days.ts';
import { countWithoutDetails, deleteActsBefore, listActs } from './looks-store.ts';
import { findAlerts, LOOK_RULES } from './rules.ts';

const ACTS_MAX = 100_000;
const ROWS_MAX = 5_000;
const ALERTS_MAX = 500;

/** Counts looks by day, pseudonym, department, purpose and way, and says which published rules were met. */
export async function readFigures(db: Database, { fromMs, toMs, timeZone }: { fromMs: number; toMs: number; timeZone: string }): Promise<LookFigures> {
  const [from, to] = [new Date(fromMs), new Date(toMs)];
  const acts = await listActs(db, from, to, ACTS_MAX + 1);
  const counted = acts.slice(0, ACTS_MAX);
  const dayOf = newDayCounter(timeZone);
  const rows = new Map<string, LookFigures['rows'][number] & { cases: Set<string> }>();
  for (const act of counted) {
    const { day } = dayOf(act.at);
    const { pseudonym, department, position, purpose, via } = act;
    const key = JSON.stringify([day, pseudonym, department, position, purpose, via]);
    const row = rows.get(key) ?? { day, pseudonym, department, position, purpose, via, looks: 0, requests: 0, cases: new Set<string>() };
    row.looks += 1;
    row.cases.add(act.caseId);
    rows.set(key, row);
  }
  const sorted = [...rows.values()].sort((a, b) => (a.day === b.day ? b.looks - a.looks : a.day < b.day ? 1 : -1));
  const alerts = findAlerts(counted, timeZone).sort((a, b) => (a.day < b.day ? 1 : a.day > b.day ? -1 : 0));
  return {
    from: isoOf(fromMs),
    to: isoOf(toMs),
    looks: counted.length,
    withoutDetails: await countWithoutDetails(db, from, to),
    complete: acts.length <= ACTS_MAX && sorted.length <= ROWS_MAX && alerts.length <= ALERTS_MAX,
    rows: sorted.slice(0, ROWS_MAX).map(({ cases, ...row }) => ({ ...row, requests: cases.size })),
    rules: LOOK_RULES.map(({ id, threshold, text }) => ({ id, threshold, text })),
    alerts: alerts.slice(0, ALERTS_MAX),
  };
}

const SWEEP_MS = 3_600_000;
const DAY_MS = 24 * SWEEP_MS;

/** Deletes lines of figures that are older than their purpose allows, every hour; the residents' looks stay. Returns what stops it. */
export function keepFigures({ db, clock, logger, retentionDays }: { db: Database; clock: Clock; logger: Logger; retentionDays: () => number }): () => void {
  const sweep = (): Promise<void> => deleteActsBefore(db, new Date(clock.nowMs() - retentionDays() * DAY_MS));
  const timer = setInterval(() => void sweep().catch((error: unknown) => logger.warn({ err: error }, 'old figures of looks are not deleted yet')), SWEEP_MS);
  timer.unref();
  return () => clearInterval(timer);
}
