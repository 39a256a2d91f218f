import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

// curl as others' scripts use it: nothing here knows the server's own code
const run = promisify(execFile);
let city: TestCity;
let token = '';
let folder = '';

beforeAll(async () => {
  city = await startTestCity();
  token = city.token('administrator');
  folder = mkdtempSync(join(tmpdir(), 'clerestory-clients-'));
});
afterAll(async () => {
  await city.stop();
  city.remove();
  rmSync(folder, { recursive: true });
});

const curl = async (...args: string[]): Promise<string> => (await run('curl', ['-sS', '-g', '--max-time', '20', ...args], { maxBuffer: 10_000_000 })).stdout;
const authorized = (): string[] => ['-H', `Authorization: Bearer ${token}`];

/** A multipart body of RFC 2046 as a file; lines end in CRLF. */
function batchFile(lines: readonly string[]): string {
  const path = join(folder, `${String(lines.length)}.txt`);
  writeFileSync(path, `${lines.join('\r\n')}\r\n`);
  return path;
}

test('curl posts a multipart batch with a change set and references, and follows the links of the answers', async () => {
  const stream = { name: 'Level', description: 'Level', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' } };
  const part = (id: string, method: string, url: string, body: unknown): string[] => ['--changes', 'Content-Type: application/http', 'Content-Transfer-Encoding: binary', `Content-ID: ${id}`, '', `${method} ${url} HTTP/1.1`, 'Content-Type: application/json', '', JSON.stringify(body)];
  const file = batchFile([
    '--outer',
    'Content-Type: multipart/mixed; boundary=changes',
    '',
    ...part('1', 'POST', 'Things', { name: 'Weir', description: 'A weir' }),
    ...part('2', 'POST', '$1/Datastreams', stream),
    ...part('3', 'POST', '$2/Observations', { phenomenonTime: '2026-03-01T00:00:00.123+01:00', result: 0 }),
    '--changes--',
    '--outer',
    'Content-Type: application/http',
    '',
    'GET Things?$filter=name%20eq%20%27Weir%27&$expand=Datastreams($expand=Observations) HTTP/1.1',
    '',
    '',
    '--outer--',
  ]);
  const answer = await curl(...authorized(), '-H', 'Content-Type: multipart/mixed; boundary=outer', '--data-binary', `@${file}`, `${city.url}/v1.1/$batch`);
  expect(answer.match(/^HTTP\/1\.1 201 Created/gm)).toHaveLength(3);
  expect(answer).toMatch(/HTTP\/1\.1 200 OK/);
  const locations = [...answer.matchAll(/^Location: (\S+)/gim)].map(([, link]) => link as string);
  expect(locations).toHaveLength(3);
  const thing = JSON.parse(await curl(locations[0] as string));
  expect(thing.name).toBe('Weir');
  const [found] = JSON.parse(await curl(thing['Datastreams@iot.navigationLink'])).value;
  const [observation] = JSON.parse(await curl(found['Observations@iot.navigationLink'])).value;
  expect([observation.result, observation.phenomenonTime]).toEqual([0, '2026-02-28T23:00:00.123Z']);
});

test('curl reads every link of the landing pages of both versions, and the formats', async () => {
  for (const root of ['v1.1', 'v2.0']) {
    const landing = JSON.parse(await curl(`${city.url}/${root}`));
    expect(landing.value.length).toBeGreaterThanOrEqual(8);
    for (const { url } of landing.value) expect(Array.isArray(JSON.parse(await curl(url)).value), url).toBe(true);
  }
  const csv = await curl(`${city.url}/v1.1/Observations?$resultFormat=CSV&$select=phenomenonTime,result`);
  expect(csv.split(/\r?\n/)[0]).toBe('phenomenonTime,result');
  expect(await curl('-o', '/dev/null', '-w', '%{http_code}', `${city.url}/v1.1/Observations?$filter=nothing eq 1`.replaceAll(' ', '%20'))).toBe('400');
});
