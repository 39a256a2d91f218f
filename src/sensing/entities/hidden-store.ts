import type { Clock } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import type { Trust } from '../../trust/index.ts';

/** Purposes that do not live, and those of them under which there may be readings. */
export interface Hidden {
  readonly notLive: readonly string[];
  readonly withReadings: readonly string[];
}

/** What was under way when a purpose ended, here or in another process, is stored or refused by then. */
const SETTLED_MS = 60_000;
const AGAIN_MS = 60_000;

/**
 * Leaving out the readings of a purpose costs every statement, and an ended purpose stays in the register for good: once its readings
 * are deleted nothing comes in any more, so that there is nothing left to leave out.
 */
export function createHidden(handle: DatabaseHandle, clock: Clock, purposes: Partial<Pick<Trust['purposes'], 'all'>> & Pick<Trust['purposes'], 'live'>): () => Promise<Hidden> {
  const seen = new Map<string, { readonly sinceMs: number; askedMs: number; isEmpty: boolean }>(); // purposes of the register that do not live
  return async () => {
    const nowMs = clock.nowMs();
    const notLive: string[] = [];
    for (const { id } of purposes.all?.() ?? []) {
      if (purposes.live(id)) seen.delete(id);
      else {
        notLive.push(id);
        if (!seen.has(id)) seen.set(id, { sinceMs: nowMs, askedMs: -Infinity, isEmpty: false });
      }
    }
    if (notLive.length === 0) return { notLive, withReadings: notLive };
    const due = notLive.filter((id) => {
      const purpose = seen.get(id);
      return purpose !== undefined && !purpose.isEmpty && nowMs - purpose.sinceMs >= SETTLED_MS && nowMs - purpose.askedMs >= AGAIN_MS;
    });
    if (due.length > 0) {
      for (const id of due) Object.assign(seen.get(id) ?? {}, { askedMs: nowMs });
      const kept = new Set(await listWithReadings(handle, due));
      for (const id of due) Object.assign(seen.get(id) ?? {}, { isEmpty: !kept.has(id) });
    }
    return { notLive, withReadings: notLive.filter((id) => seen.get(id)?.isEmpty !== true) };
  };
}

async function listWithReadings(handle: DatabaseHandle, purposes: readonly string[]): Promise<string[]> {
  const { rows } = await handle.pool.query<{ purpose: string }>(
    `select p.purpose from unnest($1::text[]) as p (purpose)
      where exists (select 1 from datastream d where d.purpose = p.purpose and exists (select 1 from observation o where o.datastream_id = d.id))`,
    [purposes],
  );
  return rows.map(({ purpose }) => purpose);
}
