import { frag } from '../query/fragment.ts';
import type { Run } from './batch-store.ts';

/** Start of the oldest UTC day that has readings of its own partition or sealed ones; null when there is none. */
export async function readOldestDay(run: Run): Promise<number | null> {
  const [oldest] = await run<{ day: string | null }>(frag`
    select least((select min(substring(c.relname from '^observation_([0-9]{8})$')) from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'observation_hot'::regclass),
                 (select to_char(min(day), 'YYYYMMDD') from observation_sealed_day)) as day`);
  const day = oldest?.day ?? null;
  return day === null ? null : Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
}
