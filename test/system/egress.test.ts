import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

// The city runs in a network namespace whose only way out is a cable to a decoy "internet" that counts every packet.
const INSIDE = 'clerestory-in';
const DECOY = 'clerestory-out';
const ip = (...args: string[]) => spawnSync('ip', args, { encoding: 'utf8' });
const inside = (...command: string[]) => ip('netns', 'exec', INSIDE, ...command);

function lay(): string | null {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (ip('-V').error) return 'the command "ip" is missing (Debian package iproute2)';
  tearDown();
  const steps = [
    ['netns', 'add', INSIDE],
    ['netns', 'add', DECOY],
    ['link', 'add', 'cable-in', 'netns', INSIDE, 'type', 'veth', 'peer', 'name', 'cable-out', 'netns', DECOY],
    ['-n', DECOY, 'addr', 'add', '198.51.100.1/24', 'dev', 'cable-out'],
    ['-n', INSIDE, 'addr', 'add', '198.51.100.2/24', 'dev', 'cable-in'],
    ['-n', DECOY, 'link', 'set', 'cable-out', 'up'],
    ['-n', INSIDE, 'link', 'set', 'lo', 'up'],
    ['-n', INSIDE, 'link', 'set', 'cable-in', 'up'],
    ['-n', INSIDE, 'route', 'add', 'default', 'via', '198.51.100.1'],
  ];
  for (const where of [INSIDE, DECOY]) steps.splice(2, 0, ['netns', 'exec', where, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']);
  for (const step of steps) {
    const { status, stderr } = ip(...step);
    if (status !== 0 && step[1] !== 'exec') return `network namespaces are not to be had here: ip ${step.join(' ')}: ${stderr.trim()}`;
  }
  return null;
}

function tearDown(): void {
  for (const name of [INSIDE, DECOY]) ip('netns', 'del', name);
}

/** Packets that have reached the decoy. */
function packetsOut(): number {
  const line = ip('netns', 'exec', DECOY, 'cat', '/proc/net/dev').stdout.split('\n').find((text) => text.includes('cable-out'));
  if (line === undefined) throw new Error('the decoy has no cable');
  return Number(line.split(':')[1]?.trim().split(/\s+/)[1]);
}

const obstacle = lay();
let city: TestCity;
beforeAll(async () => {
  if (obstacle !== null) console.warn(`the egress test is skipped: ${obstacle}`);
  else city = await startTestCity({ demo: true, prefix: ['ip', 'netns', 'exec', INSIDE], env: { CLERESTORY_DEMO_SPEED: '60' } });
}, 180_000);
afterAll(async () => {
  if (obstacle !== null) return;
  await city.stop();
  city.remove();
  tearDown();
});

test.skipIf(obstacle !== null)('a demo city that starts, is seeded, takes readings and reports and shows its pages sends no packet out', async () => {
  const visit = `
    const base = ${JSON.stringify(city.url)};
    for (const path of ['/', '/console', '/wall', '/report', '/trust', '/v1.1/Datastreams?$expand=Thing', '/open311/v2/services.xml', '/metrics']) await fetch(base + path);
    await fetch(base + '/open311/v2/requests.json', { method: 'POST', body: new URLSearchParams({ service_code: 'pothole', lat: '-34.9', long: '-56.16', description: 'https://example.org/a.jpg', media_url: 'https://example.org/a.jpg', email: 'a@example.org' }) });
    await new Promise((resolve) => setTimeout(resolve, 15_000));
  `;
  const visited = inside(process.execPath, '--input-type=module', '-e', visit);
  expect(visited.stderr).toBe('');
  expect(visited.status).toBe(0);
  expect(packetsOut()).toBe(0);
});

test.skipIf(obstacle !== null)('the decoy does catch a connection that somebody hides', () => {
  const before = packetsOut();
  inside(process.execPath, '-e', "require('node:net').connect(443, '203.0.113.9').on('error', () => {}); setTimeout(() => process.exit(), 500)");
  expect(packetsOut()).toBeGreaterThan(before);
});
