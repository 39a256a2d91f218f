import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeDataFolder, ROOT, runCli, startTestCity, type TestCity } from '../city.ts';

// The disk of the log is full: nothing that needs a leaf is shown. With room again the city goes on by itself.

const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
const disk = join(data, 'log');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status === 0;
let city: TestCity | undefined;
afterAll(async () => {
  await city?.stop();
  if (mounted) spawnSync('umount', ['-l', disk]);
  rmSync(data, { recursive: true, force: true });
});

test.skipIf(!mounted)(`a look is refused while the disk of the log is full, shows nothing and leaves no gap${mounted ? '' : ' (skipped: this user may not mount a small disk)'}`, { timeout: 180_000 }, async () => {
  const started = await startTestCity({ data });
  city = started;
  const filed = await started.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', point: [-56.187, -34.906], answers: { FAULT: 'out' }, description: 'It is dark here', name: 'Anna Tester', phone: '0251 123456' } });
  expect(filed.status, filed.text).toBe(201);
  const { requestId, token } = filed.json as { requestId: string; token: string };
  const worker = started.token('case_worker');
  const look = (): ReturnType<TestCity['call']> => started.call('POST', `/api/requests/${requestId}/contact`, { token: worker, body: { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Asking for the exact place' } });
  const first = await look();
  expect([first.status, first.text.includes('Anna Tester')]).toEqual([200, true]);

  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(bavail * bsize));
  for (let times = 0; times < 5; times += 1) {
    const refused = await look();
    expect([refused.status, (refused.json as { code: string }).code]).toEqual([503, 'look.log-unavailable']);
    expect(refused.text).not.toMatch(/Anna|123456|dark/);
  }
  // what needs no leaf is there as before
  expect((await started.call('GET', '/api/log')).status).toBe(200);
  expect((await started.call('GET', `/r/${token}`)).status).toBe(200);

  rmSync(join(disk, 'ballast'));
  expect((await look()).status).toBe(200);
  const file = join(data, 'looks.json');
  writeFileSync(file, (await started.call('GET', `/api/portal/requests/${token}/looks`)).text);
  const access = runCli(['verify', 'access', file, '--log', started.url], {});
  expect([access.status, access.stdout.includes('looks     2'), access.stdout.includes('the log holds no other look')], access.stdout).toEqual([0, true, true]);
  const log = runCli(['verify', 'log', started.url], {});
  expect(log.status, log.stdout).toBe(0);
});
