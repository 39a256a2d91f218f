import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, runCli, startTestCity, type TestCity } from '../city.ts';

// The demo city's own files in a city of its own process: what its register says, what it has, and what the command says of both.

let city: TestCity;
beforeAll(async () => {
  city = await startTestCity({ from: join(ROOT, 'demo', 'city') });
  afterAll(async () => {
    await city.stop();
    city.remove();
  });
});

const DATASTREAM = { name: 'Noise', description: 'A minute', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'decibel', symbol: 'dB', definition: 'ucum:dB' }, properties: { purpose: 'noise' }, Sensor: { name: 'Meter', description: 'Meter', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'Noise', definition: 'http://example.org/noise', description: 'Noise' }, Observations: [{ result: 50 }] };
const THING = { name: 'Crossing', description: 'Crossing', Locations: [{ name: 'Crossing', description: 'Crossing', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [11.57, 48.14] } }], Datastreams: [DATASTREAM] };
const verify = (...args: string[]): { status: number | null; stdout: string } => runCli(['verify', 'purpose', ...args], { CLERESTORY_DATA: city.data });

async function inDatabase<T>(act: (client: pg.Client) => Promise<T>): Promise<T> {
  const { findRunningDatabase } = await import('../../src/platform/index.ts');
  const connection = findRunningDatabase(city.data);
  if (connection === null) throw new Error('the city has no database');
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}

test('the register, its versions, its use and its exports are public and agree', async () => {
  const made = await city.call('POST', '/v1.1/Things', { token: city.token('administrator'), body: THING });
  expect(made.status).toBe(201);
  const register = await city.call('GET', '/api/purposes');
  expect(register.json).toMatchObject({ version: 1, leaf: { body: expect.stringContaining(register.json.hash) } });
  expect((await city.call('GET', '/api/purposes/versions')).json.versions).toHaveLength(1);
  const use = (await city.call('GET', '/api/purposes/use')).json;
  const ids = register.json.purposes.map(({ id }: { id: string }) => id);
  expect(use.streams).toEqual([expect.objectContaining({ purpose: 'noise', observations: true })]);
  expect(use.parts.filter(({ kind }: { kind: string }) => kind === 'rule').length).toBeGreaterThan(0);
  expect(use.parts.filter(({ kind }: { kind: string }) => kind === 'service').length).toBeGreaterThan(0);
  expect([...use.streams, ...use.parts].filter(({ purpose }: { purpose: string }) => !ids.includes(purpose))).toEqual([]);

  const detail = await city.call('GET', '/api/purposes/noise');
  expect(detail.json).toMatchObject({ purpose: { id: 'noise', live: true, datastreams: 1 }, streams: [{ name: 'Noise', place: 'Crossing', point: [11.57, 48.14] }], history: [{ version: 1, approval: null, changes: [] }] });
  expect((await city.call('GET', '/api/purposes/unheard')).status).toBe(404);

  const file = async (name: string) => city.call('GET', `/api/purposes/exports/${name}`);
  expect((await file('register.dpv.jsonld')).json['@graph']).toHaveLength(ids.length + 1);
  const rules = use.parts.filter(({ kind }: { kind: string }) => kind === 'rule').map(({ id }: { id: string }) => `rule:${id}`);
  expect((await file('algorithms.atrs.json')).json.records.map(({ metadata }: { metadata: { identifier: string } }) => metadata.identifier)).toEqual(rules);
  expect((await file('sensors.csv')).text).toMatch(/,Noise,Noise,Environment department,,[^\n]*,no,[^\n]*,noise\r\n$/);
  expect((await file('sensors.geojson')).json.features[0].geometry).toEqual({ type: 'Point', coordinates: [11.57, 48.14] });
  expect((await file('signs.dtpr.json')).json.signs).toHaveLength(ids.length);
  expect((await file('purposes.yaml')).text).toContain('id: noise');
  expect((await file('else.txt')).status).toBe(400);
});

test('only people propose a change, and the desk is for those who look after it', async () => {
  expect((await city.call('GET', '/api/purposes/desk')).status).toBe(401);
  expect((await city.call('GET', '/api/purposes/desk', { token: city.token('administrator') })).json).toEqual({ ending: [], file: null });
  expect((await city.call('POST', '/api/purposes/proposals', { body: { end: ['noise'], reason: 'Nobody uses it any more.' } })).status).toBe(401);
  expect((await city.call('POST', '/api/purposes/proposals', { token: city.token('administrator'), body: { end: ['noise'], reason: 'Nobody uses it any more.' } })).status).toBe(403);
  expect((await city.call('GET', '/api/purposes/noise')).json.purpose.ended).toBe(false);
});

test('the command finds that register and city agree, from outside and on the machine', () => {
  for (const args of [[city.url], ['--data', city.data]]) {
    const { status, stdout } = verify(...args);
    expect([status, stdout]).toEqual([0, expect.stringContaining('Register and city agree.')]);
    expect(stdout).toContain('Proved:');
    expect(stdout).toContain('Not proved:');
  }
  expect(verify().status).toBe(2);
  expect(verify('--data', join(city.data, 'nothing-here')).status).toBe(2);
});

test('it finds what is kept for longer than the register allows: reports of residents, and readings; a legal hold is told', async () => {
  const filed = await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', description: 'The light is out', answers: { FAULT: 'out' }, point: [11.57, 48.14] } });
  expect(filed.status, filed.text).toBe(201);
  const { id: purpose, retention_days } = (await city.call('GET', '/api/purposes/service-requests')).json.purpose as { id: string; retention_days: number };
  expect((await city.call('GET', '/api/purposes/use')).json.reports).toEqual([{ purpose, kept: 1, held: 0, oldest: expect.any(String) }]);
  const { verifyPurpose } = await import('../../src/trust/index.ts');
  const at = async (days: number, source: { url: string } | { data: string }): Promise<[number, string]> => {
    const lines: string[] = [];
    return [await verifyPurpose({ ...source, nowMs: Date.now() + days * 86_400_000, print: (line) => void lines.push(line) }), lines.join('\n')];
  };
  for (const source of [{ url: city.url }, { data: city.data }]) {
    expect(await at(retention_days - 1, { ...source })).toEqual([expect.any(Number), expect.not.stringContaining('reports of residents are kept')]);
    expect(await at(retention_days + 4, { ...source })).toEqual([1, expect.stringMatching(/reports of residents are kept for service-requests that had their last step on \d{4}-\d{2}-\d{2}, and it allows \d+ days/)]);
  }
  expect((await at(4_000, { data: city.data }))[1]).toMatch(/readings of \d{4}-\d{2}-\d{2} are kept for noise, and it allows \d+ days/);

  await inDatabase((client) => client.query(`update purpose_register set document = (select jsonb_agg(case when e->>'id' = 'service-requests' then e || '{"ends": "2026-01-01"}' else e end) from jsonb_array_elements(document) e)`));
  expect((await at(0, { data: city.data }))[1]).toContain('1 reports of residents are kept, and service-requests ended more than a day ago');
  await inDatabase((client) => client.query(`insert into legal_hold (case_id, reason, placed_by, placed_at) values ($1, 'Court file', 'p1', now())`, [filed.json.requestId]));
  const [, held] = await at(0, { data: city.data });
  expect(held).not.toContain('reports of residents are kept');
  expect(held).toContain('that the 1 reports that a legal hold keeps should be kept');
  await inDatabase(async (client) => {
    await client.query('delete from legal_hold');
    await client.query(`update purpose_register set document = (select jsonb_agg(case when e->>'id' = 'service-requests' then e || '{"ends": null}' else e end) from jsonb_array_elements(document) e)`);
  });
  expect(verify('--data', city.data).status).toBe(0);
});

test('it finds a datastream without a purpose of the register, and a register that was changed in the database', async () => {
  await inDatabase((client) => client.query(`update datastream set purpose = 'faces'`));
  for (const args of [[city.url], ['--data', city.data]]) expect([args[0], verify(...args)]).toEqual([args[0], expect.objectContaining({ status: 1, stdout: expect.stringContaining('"faces", which is not in the register') })]);
  await inDatabase((client) => client.query(`update datastream set purpose = 'noise'`));

  const { rows } = await inDatabase((client) => client.query<{ document: { id: string; retention_days: number }[] }>('select document from purpose_register'));
  const longer = rows[0]?.document.map((entry) => (entry.id === 'noise' ? { ...entry, retention_days: 36_500 } : entry));
  await inDatabase((client) => client.query('update purpose_register set document = $1', [JSON.stringify(longer)]));
  expect(verify('--data', city.data)).toMatchObject({ status: 1, stdout: expect.stringContaining('do not have the hash that is stated') });
  const { canonicalRegister, hashRegister } = await import('../../src/trust/purposes/register.ts');
  await inDatabase((client) => client.query('update purpose_register set hash = $1', [hashRegister(canonicalRegister(longer as never))]));
  expect(verify('--data', city.data)).toMatchObject({ status: 1, stdout: expect.stringContaining('has another hash than its leaf') });
  await inDatabase((client) => client.query('update purpose_register set document = $1, hash = $2', [JSON.stringify(rows[0]?.document), hashRegister(canonicalRegister(rows[0]?.document as never))]));
  expect(verify('--data', city.data).status).toBe(0);
});

test('after a restart a file that says something else waits, and the register stays', async () => {
  const before = (await city.call('GET', '/api/purposes')).json;
  const yaml = (await city.call('GET', '/api/purposes/exports/purposes.yaml')).text;
  await city.stop();
  writeFileSync(join(city.data, 'city', 'purposes.yaml'), yaml.replace(/retention_days: \d+/, 'retention_days: 7'));
  city = await startTestCity({ data: city.data });
  const after = (await city.call('GET', '/api/purposes')).json;
  expect([after.version, after.hash]).toEqual([before.version, before.hash]);
  expect((await city.call('GET', '/api/purposes/desk', { token: city.token('administrator') })).json.file.changes).toEqual([expect.objectContaining({ to: '7' })]);
  expect(verify(city.url).status).toBe(0);
});
