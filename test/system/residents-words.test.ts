import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

// What a resident writes is on no disk in the clear: not in tables, indexes, write-ahead log, log files or temporary files.

let city: TestCity;
const SERVICES = `
languages: [en]
contact: Citizens' office
key_service: Citizens' office
agency: Roads
open311_open_posting: true
services:
  - code: street-light
    about: thing
    name: { en: Street light }
    description: { en: A lamp in the street }
    group: { en: Street }
    severity: minor
    playbook: null
    sla_hours: 100
    purpose: service-requests
    coordinates: exact
    open_posting: true
    attributes:
      - { code: POLE, variable: true, datatype: string, required: false, question: { en: Which pole }, values: [] }
`;
beforeAll(async () => {
  city = await startTestCity({ files: { 'services.yaml': SERVICES }, env: { CLERESTORY_LOG_LEVEL: 'debug' } });
});
afterAll(async () => {
  await city.stop();
  city.remove();
});

const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));

test('markers in words, answers, contact data and links are found nowhere in the data folder, nor in the output', async () => {
  const markers = ['Quarzmarker', 'Quittenmarker', 'Quellmarker', 'quast@quarkmarker.example', '0778899001'];
  const place = { service_code: 'street-light', point: [-56.187, -34.906] };
  const filed = await city.call('POST', '/api/portal/requests', { body: { ...place, address: 'Visiblemarker 1', description: 'Quarzmarker stands here', answers: { POLE: 'Quittenmarker' }, name: 'Quirin Quellmarker', email: 'quast@quarkmarker.example', phone: '0778899001', idempotency_key: 'a-key-of-the-page-17' } });
  expect(filed.status, filed.text).toBe(201);
  const { requestId, token } = filed.json as { requestId: string; token: string };
  const georeport = await fetch(`${city.url}/open311/v2/requests.json`, { method: 'POST', body: new URLSearchParams({ service_code: 'street-light', lat: '-34.906', long: '-56.187', description: 'Quarzmarker again', first_name: 'Quellmarker', phone: '0778899001' }) });
  expect(georeport.status).toBe(200);

  // reading and searching leave nothing either
  const why = { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Finding the lamp' };
  const as = city.token('case_worker', 'service-requests');
  const words = await city.call('POST', `/api/requests/${requestId}/words`, { token: as, body: why });
  expect(words.json).toMatchObject({ description: 'Quarzmarker stands here' });
  for (const [by, text, hits] of [['words', 'quarzmarker', 2], ['name', 'quellmarker', 2], ['phone', '0778899001', 2]] as const) expect((await city.call('POST', '/api/requests/search', { token: as, body: { ...why, by, text } })).json.hits).toHaveLength(hits);
  expect((await city.call('POST', '/api/requests/export', { token: as, body: { ...why, scope: { from: '2000-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z', include: ['words', 'contact'] } } })).text).toContain('Quarzmarker');
  expect((await city.call('GET', `/api/portal/requests/${token}`)).json.description).toBe('Quarzmarker stands here');
  const elsewhere = [await city.call('GET', '/metrics'), await city.call('GET', '/api/requests', { token: as }), await city.call('GET', '/api/queue', { token: city.token('operator') })].map(({ text }) => text);

  const output = city.output();
  await city.stop();
  const files = filesIn(city.data);
  const found = new Map<string, string[]>();
  const bytes = [...markers, token, 'Visiblemarker'].map((marker) => [marker, Buffer.from(marker)] as const);
  for (const path of files) {
    const content = readFileSync(path);
    for (const [marker, needle] of bytes) if (content.includes(needle)) found.set(marker, [...(found.get(marker) ?? []), path.slice(city.data.length)]);
  }
  for (const marker of [...markers, token]) {
    expect(found.get(marker) ?? [], marker).toEqual([]);
    for (const text of [...elsewhere, output]) expect(text.includes(marker), marker).toBe(false);
  }
  // the search does find what is not sealed
  expect((found.get('Visiblemarker') ?? []).length).toBeGreaterThan(0);
});
