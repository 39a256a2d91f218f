import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';
import { schemaFaults } from '../json-schema.ts';
import { documentFaults } from '../openapi.ts';

const POSITIONS = ['administrator', 'operator', 'case_worker', 'auditor'] as const;

let city: TestCity;
let document: any;
beforeAll(async () => {
  city = await startTestCity({ from: join(ROOT, 'demo', 'city') });
  document = (await city.call('GET', '/api/openapi.json')).json;
});
afterAll(async () => {
  await city.stop();
  city.remove();
});

test('the document of the whole server is well-formed OpenAPI 3.1 and holds every version of SensorThings', async () => {
  expect(documentFaults(document)).toEqual([]);
  for (const path of ['/v1.1', '/v1.1/Things', '/v1.1/Things({id})/Datastreams', '/v1.1/CreateObservations', '/api/city', '/api/incidents']) expect(Object.keys(document.paths)).toContain(path);
  const own = (await city.call('GET', '/v1.1/api')).json;
  expect(documentFaults(own)).toEqual([]);
  expect(Object.keys(own.paths).every((path) => path in document.paths)).toBe(true);
});

test('every address below /api that needs no id answers as it is described', async () => {
  const tokens = POSITIONS.map((position) => city.token(position));
  const compared: string[] = [];
  for (const [path, item] of Object.entries<any>(document.paths)) {
    const responses = item.get?.responses;
    const required = [...(item.parameters ?? []), ...(item.get?.parameters ?? [])].some((each: any) => each.required === true);
    if (responses === undefined || !path.startsWith('/api/') || path.includes('{') || required) continue;
    for (const token of tokens) {
      const { status, json, text, headers } = await city.call('GET', path, { token });
      expect(status, `${path}: ${text.slice(0, 200)}`).toBeLessThan(500);
      if (status !== 200) continue;
      const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
      const schema = responses['200']?.content?.[type]?.schema;
      if (schema !== undefined) {
        expect(schemaFaults(json ?? text, schema, document), path).toEqual([]);
        compared.push(path);
      }
      break;
    }
  }
  expect(compared).toEqual(expect.arrayContaining(['/api/city', '/api/purposes', '/api/feeds', '/api/places', '/api/queue', '/api/incidents', '/api/rules', '/api/people', '/api/history']));
});
