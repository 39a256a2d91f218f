import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { openLogIn, temporaryFolder } from '../../../test/log-folder.ts';
import { manualClock } from '../../kernel/index.ts';
import { createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import type { TransparencyLog } from './log.ts';
import { createScrub, type Scrub } from './scrub.ts';

const DAY_MS = 86_400_000;
const START = Date.parse('2026-11-24T02:00:00Z');

const fill = (log: TransparencyLog, count: number): Promise<number[]> =>
  log.appendMany(Array.from({ length: count }, (_, n) => ({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit: n.toString(16).padStart(64, '0') })));

async function start(): Promise<{ folder: string; handle: DatabaseHandle; log: TransparencyLog; open: (pause?: () => Promise<unknown>) => Promise<Scrub>; clock: ReturnType<typeof manualClock>; metrics: ReturnType<typeof createMetrics> }> {
  const [folder, handle, clock, metrics] = [temporaryFolder(), await freshDatabase(), manualClock(START), createMetrics()];
  const log = await openLogIn(folder, handle);
  const open = (pause: () => Promise<unknown> = () => Promise.resolve()): Promise<Scrub> => {
    metrics.clear();
    return createScrub({ log, handle, clock, logger: silentLogger, metrics, pause });
  };
  return { folder, handle, log, open, clock, metrics };
}

test('the whole log is read once a day by the clock, with a leaf that tells what was read', async () => {
  const { log, open, clock } = await start();
  const scrub = await open();
  await scrub.tick();
  expect([scrub.status(), log.size()]).toEqual([null, 0]); // nothing to read yet
  await fill(log, 700);
  await scrub.tick();
  expect(scrub.status()).toEqual({ at: '2026-11-24T02:00:00.000Z', entries: 700, fault: null });
  expect(log.size()).toBe(701);
  clock.advance(DAY_MS - 1);
  await scrub.tick();
  expect(log.size()).toBe(701);
  clock.advance(1);
  await Promise.all([scrub.tick(), scrub.tick()]);
  expect([scrub.status()?.entries, log.size()]).toEqual([701, 702]);
  const leaf = JSON.parse(Buffer.from((await log.proveInclusion(701)).entry).toString()) as object;
  expect(leaf).toMatchObject({ kind: 'log.scrub' });
  await scrub.close();
  const again = await open();
  expect(again.status()?.entries).toBe(701);
  clock.set(START - 2 * DAY_MS); // a clock that was set back by years must not end the reading for years
  await again.tick();
  expect(again.status()?.entries).toBe(702);
  await again.close();
  await log.close();
});

test('every kind of damage on the disk is told with its place, and ends when the file is right again', async () => {
  const { folder, log, open, clock, metrics } = await start();
  for (let size = 0; size < 66_700; size += 4_000) await fill(log, Math.min(4_000, 66_700 - size)); // levels 0, 1 and 2
  const scrub = await open();
  const damage = async (path: string, change: (bytes: Buffer) => Buffer | null): Promise<string | null | undefined> => {
    const file = join(folder, 'log', path);
    const good = readFileSync(file);
    const bad = change(Buffer.from(good));
    if (bad === null) rmSync(file);
    else writeFileSync(file, bad);
    clock.advance(DAY_MS);
    await scrub.tick();
    writeFileSync(file, good);
    return scrub.status()?.fault;
  };
  const flip = (at: number) => (bytes: Buffer) => {
    bytes[at] = (bytes[at] as number) ^ 1;
    return bytes;
  };
  expect(await damage('tile/entries/005', flip(500))).toBe('a tile of the log does not fit its entries: level 0, tile 5');
  expect((await metrics.metrics()).match(/^clerestory_log_scrub_fault (\d)$/m)?.[1]).toBe('1');
  expect(await damage('tile/entries/006', (bytes) => bytes.subarray(1))).toContain('bundle 6 of the log is missing or damaged');
  expect(await damage('tile/entries/007', () => null)).toContain('bundle 7');
  expect(await damage('tile/0/100', flip(8_191))).toContain('level 0, tile 100');
  expect(await damage('tile/1/000', flip(0))).toContain('level 1, tile 0');
  const level2 = `tile/2/000.p/1`;
  expect(await damage(level2, flip(3))).toContain('level 2, tile 0');
  expect(await damage(level2, () => null)).toContain('level 2, tile 0');
  clock.advance(DAY_MS);
  await scrub.tick();
  expect(scrub.status()?.fault).toBeNull();
  expect((await metrics.metrics()).match(/^clerestory_log_scrub_fault (\d)$/m)?.[1]).toBe('0');
  await scrub.close();
  await log.close();
});

test('appends go on while it reads, and a stop does not wait for the end', async () => {
  const { log, open } = await start();
  await fill(log, 3_000);
  let appended = 0;
  const scrub = await open(async () => {
    await fill(log, 7);
    appended += 7;
  });
  await scrub.tick();
  expect(scrub.status()).toMatchObject({ entries: 3_000, fault: null });
  expect(log.size()).toBe(3_000 + appended + 1);
  await scrub.close();

  let bundles = 0;
  const stopped = await open(async () => {
    bundles += 1;
    void stopped.close();
  });
  const { size } = log.status(0);
  await scrub.tick();
  expect(log.size()).toBe(size); // a closed one does nothing
  expect(bundles).toBe(0);
  await log.close();
});
