import { expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { systemClock } from '../kernel/index.ts';
import { createBus, type BusEvent } from './bus.ts';
import { silentLogger } from './logger.ts';

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('an event reaches a subscriber once its transaction commits, and never when it rolls back', async () => {
  const handle = await freshDatabase();
  const bus = await createBus(handle, systemClock, silentLogger);
  const seen: BusEvent[] = [];
  await bus.subscribe(['incident.changed'], (event) => void seen.push(event));
  await expect(
    handle.db.transaction().execute(async (trx) => {
      await bus.publish(trx, 'incident.changed', 'inc_1', { number: 1 });
      throw new Error('rolled back');
    }),
  ).rejects.toThrow('rolled back');
  await handle.db.transaction().execute((trx) => bus.publish(trx, 'incident.changed', 'inc_2', { number: 2 }));
  await until(() => seen.length > 0);
  expect(seen.map((event) => event.key)).toEqual(['inc_2']);
  await bus.close();
});

test('a durable consumer goes on where it stopped and sees every event of concurrent publishers in order', async () => {
  const handle = await freshDatabase();
  const bus = await createBus(handle, systemClock, silentLogger);
  const first: number[] = [];
  const stop = await bus.subscribe(['a.b'], (event) => void first.push(event.seq), 'reader');
  await Promise.all(Array.from({ length: 40 }, (_, n) => handle.db.transaction().execute((trx) => bus.publish(trx, 'a.b', String(n), { n }))));
  await until(() => first.length === 40);
  expect(first).toEqual([...first].sort((a, b) => a - b));
  stop();
  await handle.db.transaction().execute((trx) => bus.publish(trx, 'a.b', 'late', {}));
  const second: string[] = [];
  await bus.subscribe(['a.b'], (event) => void second.push(event.key), 'reader');
  await until(() => second.length > 0);
  expect(second).toEqual(['late']);
  await bus.close();
});
