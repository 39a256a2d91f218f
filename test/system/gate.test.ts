import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, runCli, startTestCity, type TestCity } from '../city.ts';
import { sendHashedAddresses } from '../hashed-addresses.ts';

let city: TestCity;
let token: string;
beforeAll(async () => {
  city = await startTestCity({ from: join(ROOT, 'demo', 'city'), env: { CLERESTORY_LOG_LEVEL: 'debug' } });
  token = city.token('administrator');
  const made = await city.call('POST', '/v1.1/Things', { token, body: {
    name: 'Gate', description: 'A box at the roadside', Locations: [{ name: 'Gate', description: 'Gate', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [-56.19, -34.9] } }],
    Datastreams: [streamOf('Anything', 'OM_Observation'), streamOf('A number', 'OM_Measurement'), streamOf('Passers-by', 'OM_CountObservation', { counts: 'people' }), streamOf('State', 'OM_CategoryObservation')],
  } });
  expect(made.status, made.text).toBe(201);
});
afterAll(async () => {
  await city.stop();
  city.remove();
});

const streamOf = (name: string, type: string, properties: object = {}) => ({ name, description: name, observationType: `http://www.opengis.net/def/observationType/OGC-OM/2.0/${type}`, unitOfMeasurement: { name: 'one', symbol: '1', definition: 'ucum:1' }, properties: { purpose: 'noise', ...properties }, Sensor: { name: 'Box', description: 'Box', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name, definition: `http://example.org/${encodeURIComponent(name)}`, description: name } });
const send = (stream: number, result: unknown, more: object = {}) => city.call('POST', `/v1.1/Datastreams(${String(stream)})/Observations`, { token, body: { result, ...more } });
const tried = async (body: string | Buffer, country = 'DE') => {
  const answer = await fetch(`${city.url}/api/gate/try?country=${country}`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: new Uint8Array(Buffer.from(body as string)) });
  return { status: answer.status, json: (await answer.json()) as { refused: boolean; rules: string[]; findings: { path: string; through: string[] }[] } };
};

const filesIn = (folder: string): string[] => readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));

test('what is refused is nowhere on disk and in no line of output, whichever way it came', async () => {
  const marker = `marked${randomBytes(9).toString('hex')}x`;
  const mail = `${marker}@example.org`;
  const image = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), Buffer.from(marker)]).toString('base64');
  const number = `+49 30 23${String(Math.floor(100_000 + Math.random() * 899_999))}`;
  for (const [stream, result] of [[1, { note: mail }], [1, { frame: image }], [1, { [mail]: 1 }], [2, mail], [3, mail], [4, mail], [1, { note: `call ${number} ${marker}` }]] as const) {
    const answer = await send(stream, result);
    expect([answer.status, answer.text.includes(marker)], answer.text).toEqual([403, false]);
  }
  expect((await send(2, 50, { parameters: { note: mail } })).status).toBe(403);
  const batch = await city.call('POST', '/v1.1/CreateObservations', { token, body: [{ Datastream: { '@iot.id': 1 }, components: ['result'], dataArray: [[{ note: mail }], [{ frame: image }]] }] });
  expect(batch.text).not.toContain(marker);
  const thing = await city.call('POST', '/v1.1/Things', { token, body: { name: 'Box', description: `Phone of ${marker}: MAC 3c:5a:b4:01:9e:f2` } });
  expect([thing.status, thing.text.includes(marker)]).toEqual([403, false]);
  const client = await connectAsync(`mqtt://127.0.0.1:${String(city.mqttPort)}`, { username: 'x', password: token, reconnectPeriod: 0 });
  await client.publishAsync('v1.1/Datastreams(1)/Observations', JSON.stringify({ result: { note: mail } }), { qos: 1 });
  await client.endAsync();
  expect((await tried(JSON.stringify({ note: mail }))).json).toMatchObject({ refused: true, rules: ['address.email'], findings: [{ path: 'note' }] });

  const kept = `kept${randomBytes(9).toString('hex')}`;
  expect((await send(4, kept.slice(0, 12))).status).toBe(201); // so that a text that is let in would be seen below
  const { rules, lastDay } = (await city.call('GET', '/api/gate')).json as { rules: { rule: string; stream: number }[]; lastDay: { rule: string; stream: number; count: number; bytes: number }[] };
  for (const rule of ['address.email', 'media.image']) expect([rules.some((row) => row.rule === rule), lastDay.some((row) => row.rule === rule && row.count > 0 && row.bytes > 0)]).toEqual([true, true]);
  const disk = filesIn(city.data).map((path) => readFileSync(path));
  expect(disk.some((bytes) => bytes.includes(kept.slice(0, 12)))).toBe(true);
  for (const secret of [marker, image.slice(8, 40), number.replaceAll(' ', ''), number]) {
    expect(disk.some((bytes) => bytes.includes(secret)), secret).toBe(false);
    expect(city.output()).not.toContain(secret);
  }
});

test('a stream of hashed addresses is put into quarantine, stays there, and is let go with a reason that the log keeps', async () => {
  await sendHashedAddresses(city, token, 2);
  const refused = await send(2, 51);
  expect([refused.status, refused.json.error.code]).toEqual([403, 'gate.quarantined']);
  expect((await send(3, 51, { phenomenonTime: '2026-11-01T10:00:00Z/2026-11-01T10:15:00Z' })).status).toBe(201); // no other stream is touched
  expect((await city.call('GET', '/api/gate/quarantine')).status).toBe(401);
  expect((await city.call('GET', '/api/gate/quarantine', { token: city.token('operator') })).json.streams).toEqual([{ stream: 2, name: 'A number', rule: 'identifier-like', since: expect.any(String) }]);
  const before = (await city.call('GET', '/api/log')).json.size as number;
  expect((await city.call('POST', '/api/gate/quarantine/2/release', { token: city.token('operator'), body: { reason: 'The counter was replaced.' } })).status).toBe(403);
  expect((await city.call('POST', '/api/gate/quarantine/2/release', { token, body: { reason: 'short' } })).status).toBe(400);
  expect((await city.call('POST', '/api/gate/quarantine/2/release', { token, body: { reason: 'The counter was replaced.' } })).status).toBe(204);
  expect((await city.call('GET', '/api/log')).json.size).toBeGreaterThan(before);
  expect((await send(2, 51)).status).toBe(201);
  expect((await city.call('POST', '/api/gate/quarantine/2/release', { token, body: { reason: 'The counter was replaced.' } })).json.code).toBe('gate.not-quarantined');
});

test('counts of people are stored floored and rounded, and the stream says so', async () => {
  const time = (hour: number) => ({ phenomenonTime: `2026-11-02T${String(hour).padStart(2, '0')}:00:00Z/2026-11-02T${String(hour).padStart(2, '0')}:15:00Z` });
  for (const [at, count] of [3, 9, 10, 13, 48].entries()) expect((await send(3, count, time(at))).status).toBe(201);
  expect((await send(3, 12, { phenomenonTime: '2026-11-02T09:00:00Z/2026-11-02T09:05:00Z' })).json.error.code).toBe('gate.window-too-short');
  const { value } = (await city.call('GET', '/v1.1/Datastreams(3)/Observations?$orderby=phenomenonTime&$filter=phenomenonTime ge 2026-11-02T00:00:00Z')).json as { value: { result: number }[] };
  expect(value.map(({ result }) => result)).toEqual([0, 0, 10, 15, 50]);
  expect((await city.call('GET', '/v1.1/Datastreams(3)')).json.properties).toEqual({ purpose: 'noise', counts: 'people', countFloor: { below: 10, storedAs: 0, roundedTo: 5, window_s: 900 } });
});

test('anybody may try the gate, a little at a time, and the command says the same', async () => {
  expect((await tried('{"temperature": 21.4}')).json).toEqual({ refused: false, rules: [], findings: [] });
  expect((await tried(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0]))).json.rules).toEqual(['media.image']);
  expect((await tried('x'.repeat(65_537))).status).toBe(413);
  expect((await tried('1', 'Germany')).status).toBe(400);
  const statuses = new Set<number>();
  for (let n = 0; n < 31; n += 1) statuses.add((await tried('1')).status);
  expect([...statuses]).toEqual([200, 429]);

  const file = join(city.data, 'lines.txt');
  writeFileSync(file, '{"temperature": 21.4}\n{"seen": "3c:5a:b4:01:9e:f2"}\nIBAN DE89 3704 0044 0532 0130 00\n');
  const said = runCli(['verify', 'gate', file, '--country', 'DE'], {});
  expect(said.status, said.stderr).toBe(1);
  for (const line of ['address.mac', 'iban', '3 documents, 1 would pass the detectors, 2 would be refused', 'Proved:', 'Not proved:']) expect(said.stdout).toContain(line);
  expect(said.stdout).not.toContain('3c:5a');
  writeFileSync(file, '{"temperature": 21.4}\n');
  expect(runCli(['verify', 'gate', file], {}).status).toBe(0);
  expect(runCli(['verify', 'gate', join(city.data, 'nothing.txt')], {}).status).toBe(2);
});
