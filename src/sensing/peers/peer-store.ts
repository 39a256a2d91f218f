import { sql } from 'kysely';
import pg from 'pg';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Batch, Run } from '../observations/batch-store.ts';
import type { ObservationRow } from '../observations/observation-row.ts';
import { frag } from '../query/fragment.ts';
import type { EntityChange } from '../entities/index.ts';

const CHANNEL = 'sensing_entities';
// PostgreSQL 18 documentation, NOTIFY: a payload is shorter than 8,000 bytes
const PAYLOAD_BYTES = 7_900;
const RETRY_MS = 500;

/** A process is gone when it has not renewed its row for so long. */
export const GONE_AFTER_S = 10;

/** Renews the row of this process, and reads the names of the others that are there. */
export async function beat({ db }: DatabaseHandle, name: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    with own as (insert into sensing_process (name, seen_at) values (${name}, clock_timestamp()) on conflict (name) do update set seen_at = clock_timestamp()),
         gone as (delete from sensing_process where name <> ${name} and seen_at < clock_timestamp() - interval '1 day')
    select name from sensing_process where name <> ${name} and seen_at > clock_timestamp() - ${GONE_AFTER_S} * interval '1 second'`.execute(db);
  return rows.map((row) => row.name);
}

/** Whether every process that is there has renewed its row since `name` appeared, and so has read of it. */
export async function isKnownToAll({ db }: DatabaseHandle, name: string, since: Date): Promise<boolean> {
  const { rows } = await sql`
    select 1 from sensing_process where name <> ${name} and seen_at > clock_timestamp() - ${GONE_AFTER_S} * interval '1 second' and seen_at < ${since}::timestamptz + interval '1 second'`.execute(db);
  return rows.length === 0;
}

/** The database's own clock, which all processes share. */
export async function readDatabaseTime({ db }: DatabaseHandle): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
  return (rows[0] as { now: Date }).now;
}

/** Removes what an earlier city left behind: a city holds the lock of its folder, so no other one lives. */
export async function removeFormerCity({ db }: DatabaseHandle): Promise<void> {
  await sql`delete from sensing_process where name like 'city-%'`.execute(db);
}

export async function leave({ db }: DatabaseHandle, name: string): Promise<void> {
  await sql`delete from sensing_process where name = ${name}`.execute(db);
}

/** Tells the other processes of changed entities, in the transaction of the change. */
export async function announce(run: Run, name: string, changes: readonly EntityChange[]): Promise<void> {
  const groups = Map.groupBy(changes, ({ set, kind }) => `${set} ${kind}`);
  for (const [group, members] of groups) {
    let payload = '';
    const head = `${name} ${group} `;
    for (const { id } of members) {
      if (head.length + payload.length > PAYLOAD_BYTES - 20) {
        await run(frag`select pg_notify(${CHANNEL}, ${head + payload})`);
        payload = '';
      }
      payload += `${payload === '' ? '' : ','}${String(id)}`;
    }
    await run(frag`select pg_notify(${CHANNEL}, ${head + payload})`);
  }
}

export interface Announcements {
  close(): Promise<void>;
}

/**
 * Listens to what other processes announce. `onGap` is called after each time the connection was lost, when announcements may
 * have been missed.
 */
export async function listenToAnnouncements(handle: DatabaseHandle, name: string, logger: Logger, on: { change: (change: EntityChange) => void; gap: () => void }): Promise<Announcements> {
  let closed = false;
  let client: pg.Client | undefined;
  const take = ({ payload }: pg.Notification): void => {
    const [from, set, kind, ids] = (payload ?? '').split(' ');
    if (from === name || set === undefined || kind === undefined || ids === undefined) return;
    for (const id of ids.split(',')) on.change({ set, kind, id: Number(id) } as EntityChange);
  };
  const listen = async (): Promise<void> => {
    const { host, port, user, database, password, connectionString, ssl } = handle.pool.options;
    const opened = new pg.Client(Object.fromEntries(Object.entries({ host, port, user, database, password, connectionString, ssl, keepAlive: true }).filter(([, value]) => value !== undefined)));
    opened.on('notification', take);
    opened.on('error', (error) => {
      if (client !== opened) return;
      client = undefined;
      logger.warn({ err: error }, 'the announcements of other processes are not heard; listening again');
      void again();
    });
    await opened.connect();
    await opened.query(`listen ${CHANNEL}`);
    client = opened;
  };
  const again = async (): Promise<void> => {
    while (!closed && client === undefined) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      try {
        await listen();
        on.gap();
      } catch (error) {
        logger.debug({ err: error }, 'the announcements of other processes cannot be listened to yet');
      }
    }
  };
  await listen();
  return {
    close: async () => {
      closed = true;
      const open = client;
      client = undefined;
      await open?.end();
    },
  };
}

/** The readings that the transaction of a batch added: its row and theirs carry the same transaction number. */
export async function readBatchRows({ pool }: DatabaseHandle, { seq, first_id, last_id }: Batch): Promise<ObservationRow[]> {
  const { rows } = await pool.query<ObservationRow>(
    `select o.id, o.datastream_id, o.phenomenon_start, o.phenomenon_end, o.result_time, o.arrived, o.result_number, o.result_json, o.extra, o.valid
       from observation_batch b
       join observation_hot o on o.id between $2 and $3 and o.phenomenon_start >= to_timestamp(b.first_hour * 3600.0) and o.phenomenon_start < to_timestamp((b.last_hour + 1) * 3600.0) and o.xmin = b.xmin
      where b.seq = $1 order by o.id`,
    [seq, first_id, last_id],
  );
  return rows;
}

export async function lastBatchSeq({ pool }: DatabaseHandle): Promise<number> {
  const { rows } = await pool.query<{ seq: number }>('select coalesce(max(seq), 0)::bigint as seq from observation_batch');
  return rows[0]?.seq ?? 0;
}
