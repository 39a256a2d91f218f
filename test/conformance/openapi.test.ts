import { beforeAll, describe, expect, test } from 'vitest';
import { schemaFaults, resolve } from '../json-schema.ts';
import { documentFaults } from '../openapi.ts';
import { FULL_THING, openSensorThings, type SensorThingsRig } from '../sensorthings-rig.ts';

let rig: SensorThingsRig;
const roots = (): string[] => ['/v1.1', '/v2.0'].filter((root) => rig.http.hasRoute({ method: 'GET', url: `${root}/api` }));
const read = async (url: string): Promise<any> => {
  const answer = await rig.http.inject({ method: 'GET', url });
  expect(answer.statusCode, `${url}: ${answer.body.slice(0, 300)}`).toBe(200);
  return answer.json();
};

beforeAll(async () => {
  rig = await openSensorThings();
  const thing = await rig.create('/Things', FULL_THING);
  const [stream] = await rig.list(`/Things(${thing})/Datastreams`, '@iot.id');
  for (const [minute, result] of [1.5, 'closed', { level: 2 }, false, 0].entries()) await rig.send('POST', `/Datastreams(${String(stream)})/Observations`, { result, phenomenonTime: `2026-11-24T05:0${minute}:00Z`, ...(minute === 1 ? { resultTime: '2026-11-24T05:09:00Z', parameters: { probe: 2 }, resultQuality: 'good' } : {}) });
});

test('the document of each version is well-formed OpenAPI 3.1', async () => {
  expect(roots()).toContain('/v1.1');
  for (const root of roots()) expect(documentFaults(await read(`${root}/api`)), root).toEqual([]);
});

test('a document with a lost reference, a double id and an undeclared parameter is found faulty', () => {
  const responses = { '200': { description: '' } };
  const wrong = { openapi: '3.1.0', info: { title: 't', version: '1' }, paths: { '/a/{id}': { get: { operationId: 'x', responses } }, '/b': { get: { operationId: 'x', responses: { '200': { $ref: '#/components/responses/None' } } } } }, components: { schemas: { A: { type: 'string', examples: [1] } } } };
  expect(documentFaults(wrong).map((fault) => fault.replace(/:.*/, ''))).toHaveLength(4);
});

test('every entity set and every relation of the landing page is described', async () => {
  for (const root of roots()) {
    const [{ paths }, landing] = [await read(`${root}/api`), await read(root)];
    for (const { name } of landing.value) expect(paths, `${root} ${name}`).toHaveProperty([`${root}/${name}`, 'get', 'operationId']);
    expect(Object.keys(paths)).toContain(`${root}/Things({id})/Datastreams/$ref`);
    expect(Object.keys(paths[`${root}/Things({id})`])).toEqual(expect.arrayContaining(['get', 'patch', 'put', 'delete']));
  }
});

describe('every address that the document names for GET', () => {
  test('answers as its schema says', async () => {
    for (const root of roots()) {
      const document = await read(`${root}/api`);
      let checked = 0;
      const ids = new Map<string, number | null>();
      const idIn = async (path: string): Promise<number | null> => {
        if (!ids.has(path)) {
          const [first] = (await read(`${path}?$top=1`)).value;
          ids.set(path, first?.['@iot.id'] ?? first?.id ?? null);
        }
        return ids.get(path) ?? null;
      };
      for (const [path, item] of Object.entries<any>(document.paths)) {
        if (item.get === undefined) continue;
        for (const url of await addressesOf(path, item, idIn)) {
          const answer = await rig.http.inject({ method: 'GET', url });
          const described = item.get.responses[answer.statusCode];
          expect(described, `${url} answers ${answer.statusCode}: ${answer.body.slice(0, 200)}`).toBeDefined();
          expect([200, 204], `${url}: ${answer.body.slice(0, 200)}`).toContain(answer.statusCode);
          if (answer.statusCode === 204) continue;
          const type = String(answer.headers['content-type']).split(';')[0] ?? '';
          const { schema } = described.content[type] ?? {};
          expect(schema, `${url} answers ${type}`).toBeDefined();
          expect(schemaFaults(type === 'application/json' ? answer.json() : answer.body, schema, document), url).toEqual([]);
          checked += 1;
        }
      }
      expect(checked, root).toBeGreaterThan(60);
    }
  });
  test('refuses a wrong query in the described shape', async () => {
    for (const root of roots()) {
      const document = await read(`${root}/api`);
      for (const [url, status] of [[`${root}/Things?$filter=name%20eq`, 400], [`${root}/Things(999999)`, 404], [`${root}/Nothings`, 404]] as const) {
        const answer = await rig.http.inject({ method: 'GET', url });
        expect(answer.statusCode, url).toBe(status);
        expect(schemaFaults(answer.json(), resolve(document, '#/components/schemas/Error'), document), url).toEqual([]);
      }
    }
  });
});

/** Addresses with ids of entities that exist; for a property, one of each; none when there is no such entity. */
async function addressesOf(path: string, item: any, idIn: (path: string) => Promise<number | null>): Promise<string[]> {
  let filled = path;
  for (const name of ['id', 'relatedId']) {
    const at = filled.indexOf(`({${name}})`);
    if (at < 0) continue;
    const id = await idIn(filled.slice(0, at));
    if (id === null) return [];
    filled = filled.replace(`{${name}}`, String(id));
  }
  if (!filled.includes('{property}')) return [filled];
  const { schema } = item.parameters.find((each: any) => each.name === 'property');
  return schema.enum.map((property: string) => filled.replace('{property}', property));
}

test.each([
  ['Things', FULL_THING],
  ['Things', { name: 'Bare', description: '' }],
])('a body that the schema of %s takes is created', async (set, body) => {
  const document = await read('/v1.1/api');
  const { schema } = document.paths[`/v1.1/${set}`].post.requestBody.content['application/json'];
  expect(schemaFaults(body, schema, document)).toEqual([]);
  const answer = await rig.send('POST', `/${set}`, body);
  expect([answer.status, answer.text.slice(0, 200)]).toEqual([201, expect.any(String)]);
  expect(schemaFaults(answer.body, document.paths[`/v1.1/${set}`].post.responses['201'].content['application/json'].schema, document)).toEqual([]);
});

test.each([
  ['Things', { description: 'no name' }],
  ['Things', { name: 'x', description: 'y', colour: 'red' }],
  ['Things', { name: 1, description: 'y' }],
  ['Datastreams', { name: 'x', description: 'y' }],
  ['Locations', { name: '', description: 'y', encodingType: 'application/geo+json', location: {} }],
])('a body that the schema of %s refuses is refused by the server too', async (set, body) => {
  const document = await read('/v1.1/api');
  const { schema } = document.paths[`/v1.1/${set}`].post.requestBody.content['application/json'];
  expect(schemaFaults(body, schema, document)).not.toEqual([]);
  const answer = await rig.send('POST', `/${set}`, body);
  expect(answer.status, answer.text).toBe(400);
});

test('examples of bodies are taken as they stand', async () => {
  const document = await read('/v1.1/api');
  for (const set of ['Things', 'Datastreams', 'Observations']) {
    const example = document.components.schemas[`${set.slice(0, -1)}Create`].examples[0];
    const answer = await rig.send('POST', `/${set}`, example);
    expect([set, answer.status, answer.text.slice(0, 200)]).toEqual([set, 201, expect.any(String)]);
  }
});

test('a dry run of every DELETE of a set says what would go, in the described shape, and takes nothing', async () => {
  for (const root of roots()) {
    const document = await read(`${root}/api`);
    const before = await read(`${root}/Things?$count=true`);
    for (const [path, item] of Object.entries<any>(document.paths)) {
      if (item.delete?.parameters?.[0]?.name !== '$filter' || path.includes('{')) continue;
      const answer = await rig.http.inject({ method: 'DELETE', url: `${path}?$filter=true&dryRun=true` });
      expect([path, answer.statusCode, answer.body.slice(0, 200)]).toEqual([path, 200, expect.any(String)]);
      expect(schemaFaults(answer.json(), item.delete.responses['200'].content['application/json'].schema, document), path).toEqual([]);
    }
    expect((await read(`${root}/Things?$count=true`)).value).toEqual(before.value);
  }
});

test('links are made and taken away as the document says', async () => {
  const document = await read('/v1.1/api');
  const [thing, place] = [await rig.create('/Things', { name: 'Bare', description: '' }), (await rig.list('/Locations', '@iot.id'))[0]];
  const at = `/v1.1/Things({id})/Locations/$ref`;
  const body = { '@iot.id': place };
  expect(schemaFaults(body, document.paths[at].post.requestBody.content['application/json'].schema, document)).toEqual([]);
  const linked = await rig.send('POST', `/Things(${thing})/Locations/$ref`, body);
  expect(Object.keys(document.paths[at].post.responses)).toContain(String(linked.status));
  expect(await rig.list(`/Things(${thing})/Locations`, '@iot.id')).toEqual([place]);
  const unlinked = await rig.send('DELETE', `/Things(${thing})/Locations/$ref?$id=${encodeURIComponent(`http://city.test/v1.1/Locations(${String(place)})`)}`);
  expect([Object.keys(document.paths[at].delete.responses).includes(String(unlinked.status)), unlinked.text]).toEqual([true, unlinked.text]);
  expect(await rig.list(`/Things(${thing})/Locations`, '@iot.id')).toEqual([]);
});
