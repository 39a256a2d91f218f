import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { LogStatus } from '../../src/contracts/trust.ts';
import { ROOT, startTestCity, type TestCity } from '../city.ts';

// A disk that changes what was written: the reading of the whole log finds it, and everybody is told.

let city: TestCity | undefined;
afterAll(async () => {
  await city?.stop();
  city?.remove();
});

test('a bundle that the disk changed is told on the public pages, and the city goes on', { timeout: 240_000 }, async () => {
  const started = await startTestCity({ from: join(ROOT, 'demo', 'city') });
  city = started;
  const { data } = started;
  const status = async (): Promise<LogStatus> => (await started.call('GET', '/api/log')).json as LogStatus;
  const { size } = await status();
  expect(size).toBeGreaterThan(0); // the register and the policy stand in it
  const bundle = join(data, 'log', 'tile', 'entries', `000.p/${size}`);
  const good = readFileSync(bundle);
  const changed = Buffer.from(good);
  changed.writeUInt8(changed.readUInt8(40) ^ 1, 40);
  writeFileSync(bundle, changed);
  // the first reading comes a minute after the start
  await expect.poll(async () => (await status()).scrub, { timeout: 120_000, interval: 500 }).not.toBeNull();
  const { scrub } = await status();
  expect(scrub?.fault).toMatch(/root that was signed|does not fit/);
  for (const page of ['/trust', '/trust/log']) {
    const { text } = await started.call('GET', page);
    expect([page, text.includes('This log is damaged on the disk'), text.includes(scrub?.fault ?? '?')]).toEqual([page, true, true]);
  }
  expect((await started.call('GET', '/trust')).status).toBe(200);
});
