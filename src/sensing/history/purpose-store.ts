import type { Refusal } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';

/** Ids of the datastreams whose purpose lets their readings out; null when all may. */
export async function listOpenStreams(handle: DatabaseHandle, refusalOf: ((purpose: string) => Refusal | null) | undefined): Promise<readonly number[] | null> {
  if (refusalOf === undefined) return null;
  const { rows } = await handle.pool.query<{ purpose: string }>('select distinct purpose from datastream');
  const open = rows.map(({ purpose }) => purpose).filter((purpose) => refusalOf(purpose)?.code !== 'purpose.expired');
  if (open.length === rows.length) return null;
  const found = await handle.pool.query<{ id: number }>('select id from datastream where purpose = any($1::text[]) order by id', [open]);
  return found.rows.map(({ id }) => id);
}

/** Purposes of packed readings of segments that meet [`fromMs`, `toMs`). */
export async function listPurposesBetween(handle: DatabaseHandle, fromMs: number, toMs: number): Promise<string[]> {
  const { rows } = await handle.pool.query<{ purpose: string }>(
    'select distinct d.purpose from datastream d where exists (select 1 from observation_segment g where g.datastream_id = d.id and g.first_start < $2 and g.last_start >= $1)',
    [new Date(fromMs), new Date(toMs)],
  );
  return rows.map(({ purpose }) => purpose);
}

/** Purpose of the datastream that the observation belonged to when it was last corrected; null when there is none. */
export async function readPurposeOf(handle: DatabaseHandle, observationId: number): Promise<string | null> {
  const { rows } = await handle.pool.query<{ purpose: string }>('select d.purpose from observation_correction c join datastream d on d.id = c.datastream_id where c.observation_id = $1 limit 1', [observationId]);
  return rows[0]?.purpose ?? null;
}
