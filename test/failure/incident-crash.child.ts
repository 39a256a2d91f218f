import { openDatabase, silentLogger } from '../../src/platform/index.ts';
import { startRoom } from '../room.ts';

// Acts without pause until it is killed; names each act to its parent only after the answer came.
const [host = '', port = '', user = '', database = ''] = process.argv.slice(2);
const room = await startRoom(openDatabase({ host, port: Number(port), user, database }, silentLogger, 8));

async function work(worker: number): Promise<never> {
  const headers = { 'x-person': `w${worker}` };
  for (let n = 0; ; n += 1) {
    const opened = await room.http.inject({ method: 'POST', url: '/api/incidents', headers, payload: { title: `Crash ${worker}.${n}`, severity: 'minor', point: [11.5, 48.1] } });
    const { id } = opened.json<{ id: string }>();
    process.send?.({ id, seq: 1, kind: 'opened' });
    for (const body of [{ act: 'acknowledge' }, { act: 'take' }, { act: 'note', text: `note ${n}` }, { act: 'close', outcome: 'fixed', sentence: 'It works again.' }]) {
      const answer = await room.http.inject({ method: 'POST', url: `/api/incidents/${id}/acts`, headers, payload: body });
      const last = answer.json<{ log: { seq: number; kind: string }[] }>().log.at(-1);
      process.send?.({ id, seq: last?.seq, kind: last?.kind });
    }
  }
}
await Promise.all([0, 1, 2, 3].map(work));
