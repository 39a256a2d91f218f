import { CompiledQuery } from 'kysely';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import { frag, toStatement, type Fragment } from '../query/fragment.ts';
import type { Run } from './batch-store.ts';
import type { Draft } from './draft.ts';
import { removeObservationsOfStreams, removeObservationsWhere } from './removal-store.ts';

// Observations have no foreign keys: they would cost the ingest path a look-up a row. So what was under way when its
// Datastream was deleted, or when its change set came to nothing, is removed after it was stored.

/** Removes what these drafts have stored, and not what an earlier one had stored already. */
export async function removeStored(handle: DatabaseHandle, drafts: readonly Draft[]): Promise<void> {
  if (drafts.length === 0) return;
  const arrivals = drafts.map((draft) => new Date(draft.arrivalMs).toISOString());
  await inTransaction(handle, (run) => removeObservationsWhere(run, frag`(id, arrived) in (select * from unnest(${drafts.map((draft) => draft.id)}::bigint[], ${arrivals}::timestamptz[]))`, drafts.length));
}

/** Removes observations of Datastreams that are deleted. */
export function removeOrphans(handle: DatabaseHandle, streamIds: readonly number[]): Promise<number> {
  return inTransaction(handle, (run) => removeObservationsOfStreams(run, streamIds));
}

const SWEEP_AFTER_MS = 60_000;

/**
 * A server that dies between storing the readings of a change set and committing the set leaves readings of Datastreams that
 * never came to be. Of the batches that a crash can have left (migrations/0063), those are removed a while after the start, when the
 * change sets of other processes that were under way have ended.
 */
export async function sweepAfterCrash({ pool }: DatabaseHandle, remove: (streamIds: readonly number[]) => Promise<unknown>, logger: Logger, wait_ms = SWEEP_AFTER_MS): Promise<{ close(): Promise<void> }> {
  const { rows } = await pool.query<{ first: number | null; last: number | null }>('select min(first_id) as first, max(last_id) as last from observation_batch');
  const { first, last } = rows[0] ?? { first: null, last: null };
  let sweeping: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    const found = await pool.query<{ id: number }>('select distinct datastream_id as id from observation_hot o where id between $1 and $2 and not exists (select 1 from datastream d where d.id = o.datastream_id)', [first, last]);
    if (found.rows.length > 0) await remove(found.rows.map(({ id }) => id));
  };
  const timer = setTimeout(() => {
    sweeping = sweep().catch((error: unknown) => logger.error({ err: error }, 'readings without a Datastream could not be looked for'));
  }, wait_ms);
  timer.unref();
  if (first === null) clearTimeout(timer);
  return {
    close: async () => {
      clearTimeout(timer);
      await sweeping;
    },
  };
}

function inTransaction<T>(handle: DatabaseHandle, act: (run: Run) => Promise<T>): Promise<T> {
  return handle.db.transaction().execute((trx) =>
    act(async <Row>(fragment: Fragment) => {
      const { text, parameters } = toStatement(fragment);
      return (await trx.executeQuery<Row>(CompiledQuery.raw(text, parameters))).rows;
    }),
  );
}
