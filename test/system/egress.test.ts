import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layDecoyNetwork, type DecoyNetwork } from '../../src/verify/decoy-network.ts';
import { ROOT, startTestCity, type TestCity } from '../city.ts';

// The city runs in a network namespace whose only way out is a cable to a decoy "internet" that counts every packet.
const laid = await layDecoyNetwork(`clerestory-test-${String(process.pid)}`);
const obstacle = typeof laid === 'string' ? laid : null;
const network = laid as DecoyNetwork;
if (obstacle !== null) console.warn(`the egress tests are skipped: ${obstacle}`);
afterAll(() => {
  if (obstacle === null) network.close();
});

function inside(...command: string[]) {
  const [first, ...rest] = [...network.prefix, ...command] as [string, ...string[]];
  return spawnSync(first, rest, { encoding: 'utf8' });
}

describe.skipIf(obstacle !== null)('a demo city', () => {
  let city: TestCity;
  beforeAll(async () => {
    city = await startTestCity({ demo: true, prefix: network.prefix, env: { CLERESTORY_DEMO_SPEED: '60' } });
  }, 180_000);
  afterAll(async () => {
    await city.stop();
    city.remove();
  });

  test('that starts, is seeded, takes readings and reports and shows its pages sends no packet out', () => {
    const visit = `
      const base = ${JSON.stringify(city.url)};
      for (const path of ['/', '/console', '/wall', '/report', '/trust', '/v1.1/Datastreams?$expand=Thing', '/open311/v2/services.xml', '/metrics']) await fetch(base + path);
      await fetch(base + '/open311/v2/requests.json', { method: 'POST', body: new URLSearchParams({ service_code: 'pothole', lat: '-34.9', long: '-56.16', description: 'https://example.org/a.jpg', media_url: 'https://example.org/a.jpg', email: 'a@example.org' }) });
      await new Promise((resolve) => setTimeout(resolve, 15_000));
    `;
    const visited = inside(process.execPath, '--input-type=module', '-e', visit);
    expect(visited.stderr).toBe('');
    expect(visited.status).toBe(0);
    expect(network.packetsOut()).toBe(0);
  });
});

test.skipIf(obstacle !== null)('the decoy catches a connection that somebody hides, and tells where it wanted to go', async () => {
  const before = network.packetsOut();
  inside(process.execPath, '-e', "require('node:net').connect(443, '203.0.113.9').on('error', () => {}); setTimeout(() => process.exit(), 500)");
  expect(network.packetsOut()).toBeGreaterThan(before);
  await expect.poll(() => network.calls(), { timeout: 10_000 }).toContainEqual(expect.objectContaining({ kind: 'connection', port: 443 }));
});

test.skipIf(obstacle !== null)('a call that is planted in a dependency of the real city is caught, by the name it asks for', async () => {
  // a bind mount over one file of the package, in the private mount namespace that "ip netns exec" makes
  const dependency = join(ROOT, 'node_modules', 'yaml', 'dist', 'index.js');
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-planted-'));
  const planted = join(folder, 'index.js');
  writeFileSync(planted, `${readFileSync(dependency, 'utf8')}\nsetTimeout(() => require('node:https').get('https://statistics.example.net/').on('error', () => {}), 200);\n`);
  const before = network.packetsOut();
  const city = await startTestCity({ prefix: [...network.prefix, 'sh', '-c', `mount --bind ${planted} ${dependency} && exec "$@"`, 'sh'] });
  try {
    await expect.poll(() => network.calls(), { timeout: 30_000 }).toContainEqual(expect.objectContaining({ kind: 'name', name: 'statistics.example.net' }));
    expect(network.packetsOut()).toBeGreaterThan(before);
  } finally {
    await city.stop();
    city.remove();
    rmSync(folder, { recursive: true });
  }
  expect(readFileSync(dependency, 'utf8')).not.toContain('statistics.example.net');
});
