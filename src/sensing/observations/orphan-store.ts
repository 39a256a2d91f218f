import { CompiledQuery } from 'kysely';
import type { DatabaseHandle } from '../../platform/index.ts';
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

function inTransaction<T>(handle: DatabaseHandle, act: (run: Run) => Promise<T>): Promise<T> {
  return handle.db.transaction().execute((trx) =>
    act(async <Row>(fragment: Fragment) => {
      const { text, parameters } = toStatement(fragment);
      return (await trx.executeQuery<Row>(CompiledQuery.raw(text, parameters))).rows;
    }),
  );
}
