import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inject, expect, test } from 'vitest';
import { freshDatabase } from '../database.ts';
import { startRoom, until } from '../room.ts';
import type { IncidentDetail, Queue } from '../../src/contracts/incident.ts';

const CHILD = fileURLToPath(new URL('./incident-crash.child.ts', import.meta.url));

interface Acknowledged {
  readonly id: string;
  readonly seq: number;
  readonly kind: string;
}

test('after kill -9 in the middle of a stream of acts every acknowledged act is there, whole, and the room goes on', async () => {
  const handle = await freshDatabase();
  const { host, port, user } = inject('database');
  const { rows: named } = await handle.pool.query<{ database: string }>('select current_database() as database');
  const acknowledged: Acknowledged[] = [];
  for (const enough of [40, 120, 200]) {
    const child = fork(CHILD, [host, String(port), user, named[0]?.database ?? ''], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const gone = new Promise<NodeJS.Signals | null>((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    child.on('message', (message) => {
      acknowledged.push(message as Acknowledged);
      if (acknowledged.length === enough) child.kill('SIGKILL');
    });
    expect(await gone).toBe('SIGKILL');
  }
  // a connection that died with its process may still be rolling back
  await until(
    async () => (await handle.pool.query(`select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`)).rowCount === 0,
  );

  const room = await startRoom(handle);
  const details = new Map<string, IncidentDetail>();
  for (const { id } of acknowledged) if (!details.has(id)) details.set(id, (await room.http.inject(`/api/incidents/${id}`)).json());
  const lost = acknowledged.filter(({ id, seq, kind }) => details.get(id)?.log[seq - 1]?.kind !== kind);
  expect(lost).toEqual([]);

  // an act is there with everything that belongs to it, or not at all
  const { rows: entries } = await handle.pool.query<{ key: string }>(`select incident_id || ':' || seq as key from incident_log order by 1`);
  const { rows: events } = await handle.pool.query<{ key: string }>(
    `select key || ':' || (payload->'entry'->>'seq') as key from event where topic = 'incident.changed' order by 1`,
  );
  expect(events).toEqual(entries);
  const { rows: torn } = await handle.pool.query(
    `select 1 from incident i where head_seq <> (select max(seq) from incident_log l where l.incident_id = i.id) or state <> (select picture->>'state' from incident_log l where l.incident_id = i.id and l.seq = i.head_seq)`,
  );
  expect(torn).toEqual([]);

  const open = (await room.http.inject('/api/queue')).json<Queue>().incidents;
  for (const { id, state } of open) {
    const next = await room.http.inject({
      method: 'POST',
      url: `/api/incidents/${id}/acts`,
      payload: state === 'new' ? { act: 'acknowledge' } : { act: 'note', text: 'after the crash' },
    });
    expect(next.statusCode).toBe(200);
  }
  await room.close();
});
