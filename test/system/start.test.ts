import { createServer, type AddressInfo } from 'node:net';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, makeDataFolder, runCli, startTestCity, type TestCity } from '../city.ts';

let city: TestCity;
beforeAll(async () => {
  city = await startTestCity();
});
afterAll(async () => {
  await city.stop();
  city.remove();
});

test('the fixed names answer', async () => {
  for (const path of ['/readyz', '/livez', '/v1.1', '/open311/v2/services.json', '/open311/v2/services.xml', '/log/checkpoint', '/api/openapi.json', '/metrics', '/api/city', '/api/purposes', '/api/gate', '/']) {
    const { status, text } = await city.call('GET', path);
    expect.soft(status, `${path}: ${text.slice(0, 200)}`).toBe(200);
  }
  expect((await city.call('GET', '/api/openapi.json')).json.openapi).toMatch(/^3\.1/);
});

test('the keys are readable by their owner only, and the database listens on no TCP port', () => {
  expect(statSync(join(city.data, 'keys')).mode & 0o077).toBe(0);
  const listening = spawnSync('sh', ['-c', "cat /proc/net/tcp | awk '$4==\"0A\" {print $2}'"], { encoding: 'utf8' }).stdout;
  expect(listening).not.toMatch(/:1538/); // 5432
});

test('everything that changes or shows something not public is denied without a credential', async () => {
  for (const [method, path] of [['GET', '/api/queue'], ['GET', '/api/places'], ['GET', '/live'], ['GET', '/api/requests'], ['GET', '/api/people'], ['POST', '/api/incidents'], ['POST', '/v1.1/Things'], ['DELETE', '/v1.1/Things(1)']] as const) {
    const { status } = await city.call(method, path, method === 'GET' ? {} : { body: {} });
    expect.soft(status, `${method} ${path}`).toBe(401);
  }
  const device = city.token('device');
  expect((await city.call('GET', '/api/queue', { token: device })).status).toBe(403);
  expect((await city.call('GET', '/api/queue', { token: `${device}x` })).status).toBe(401);
  expect((await city.call('GET', '/api/queue', { token: city.token('operator') })).status).toBe(200);
});

test('a second start on the same folder says who holds it', async () => {
  await expect(startTestCity({ data: city.data })).rejects.toThrow(/already runs on this data folder/);
});

test('a taken port is named with the setting that moves it', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  await expect(startTestCity({ env: { CLERESTORY_PORT: String(port) } })).rejects.toThrow(/CLERESTORY_PORT/);
  await expect(startTestCity({ env: { CLERESTORY_MQTT_PORT: String(port) } })).rejects.toThrow(/CLERESTORY_MQTT_PORT/);
  other.close();
});

test('an unknown or wrong setting refuses the start and names itself', async () => {
  await expect(startTestCity({ env: { CLERESTORY_COLOUR: 'red' } })).rejects.toThrow(/CLERESTORY_COLOUR is not known/);
  await expect(startTestCity({ env: { CLERESTORY_PORT: 'eighty' } })).rejects.toThrow(/CLERESTORY_PORT/);
});

test('--print-config shows values with their origin and masks secrets', () => {
  const printed = spawnSync(process.execPath, [join(ROOT, 'src', 'main.ts'), '--print-config'], { encoding: 'utf8', env: { ...process.env, CLERESTORY_PORT: '9999', CLERESTORY_DATABASE_URL: 'postgres://u:tr0ub4dor@h/d' } });
  expect(printed.stdout).toContain('port = 9999  # environment');
  expect(printed.stdout).toContain('mqtt_port = 1883  # default');
  expect(printed.stdout).toContain('database_url = ********');
  expect(printed.stdout + printed.stderr).not.toContain('tr0ub4dor');
});

test('a wrong command line answers with the usage and exit code 2', () => {
  expect(runCli(['frobnicate'], { CLERESTORY_DATA: city.data })).toMatchObject({ status: 2 });
  expect(runCli(['token', '--role', 'king'], { CLERESTORY_DATA: city.data }).stderr).toMatch(/--role must be one of/);
  expect(runCli(['token', '--colour', 'red'], { CLERESTORY_DATA: city.data }).status).toBe(2);
});

test('a broken register, rule document or city file refuses the start with its place', async () => {
  await expect(startTestCity({ files: { 'purposes.yaml': 'purposes: [{id: A}]' } })).rejects.toThrow(/register of purposes is not valid at purposes\.0/);
  await expect(startTestCity({ files: { 'city.json': '{"name": 3}' } })).rejects.toThrow(/city\.json is not valid/);
});

test('a stop ends with exit code 0, and starting again keeps the data and the register version', async () => {
  const data = makeDataFolder();
  const first = await startTestCity({ data });
  const made = await first.call('POST', '/v1.1/Things', { token: first.token('administrator'), body: { name: 'Mill Bridge', description: 'Gauge' } });
  expect(made.status, made.text).toBe(201);
  expect(await first.stop()).toBe(0);
  const second = await startTestCity({ data });
  expect((await second.call('GET', `/v1.1/Things(${made.json['@iot.id']})/name/$value`)).text).toBe('Mill Bridge');
  expect(await second.stop()).toBe(0);
  second.remove();
});
