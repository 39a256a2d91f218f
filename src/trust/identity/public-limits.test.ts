import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { manualClock } from '../../kernel/index.ts';
import { silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { createPublicLimits, type PublicLimits } from './public-limits.ts';

let handle: DatabaseHandle;
const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
const key = Buffer.alloc(32, 7);
const open = async (): Promise<PublicLimits> => {
  const limits = createPublicLimits({ db: handle.db, clock, key, logger: silentLogger });
  await limits.load();
  return limits;
};
beforeAll(async () => {
  handle = await freshDatabase();
});
afterAll(() => handle.close());

test('a restart goes on counting where the last process was, and a window ends when it would have', async () => {
  const first = await open();
  for (let call = 0; call < 3; call += 1) first.count('POST /door', '192.0.2.1', 60_000);
  await first.close();
  const second = await open();
  expect(second.count('POST /door', '192.0.2.1', 60_000)).toEqual({ count: 4, ttl_ms: 60_000 });
  expect(second.count('POST /door', '192.0.2.2', 60_000).count).toBe(1);
  expect(second.count('POST /other', '192.0.2.1', 60_000).count).toBe(1);
  clock.advance(59_999);
  expect(second.count('POST /door', '192.0.2.1', 60_000)).toEqual({ count: 5, ttl_ms: 1 });
  clock.advance(1);
  expect(second.count('POST /door', '192.0.2.1', 60_000)).toEqual({ count: 1, ttl_ms: 60_000 });
  await second.close();
});

test('neither address nor door stands in the table, and windows that are over are deleted', async () => {
  const limits = await open();
  limits.count('POST /door', '198.51.100.77', 60_000);
  await limits.write();
  const rows = await handle.db.withTables<{ public_limit: { key_hash: Buffer; count: number; until: Date } }>().selectFrom('public_limit').selectAll().execute();
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.every(({ key_hash }) => key_hash.length === 32 && !key_hash.includes('198.51') && !key_hash.includes('door'))).toBe(true);
  clock.advance(120_000);
  await limits.forgetOld();
  expect(await handle.db.withTables<{ public_limit: { count: number } }>().selectFrom('public_limit').selectAll().execute()).toEqual([]);
  await limits.close();
});

test('a clock that went back holds nobody for longer than one window', async () => {
  const limits = await open();
  limits.count('POST /back', '192.0.2.1', 60_000);
  clock.advance(-3_600_000);
  expect(limits.count('POST /back', '192.0.2.1', 60_000)).toEqual({ count: 1, ttl_ms: 60_000 });
  await limits.close();
});

test('each route of the limiter counts by itself', async () => {
  const limits = await open();
  const Store = limits.storeOf('group');
  const [one, two] = [new Store().child({ routeInfo: { method: 'POST', url: '/a' } }), new Store().child({ routeInfo: { method: 'POST', url: '/b' } })];
  const counts: number[] = [];
  for (const store of [one, one, two]) store.incr('192.0.2.9', (_error, result) => counts.push(result?.current ?? 0), 60_000);
  expect(counts).toEqual([1, 2, 1]);
  await limits.close();
});
