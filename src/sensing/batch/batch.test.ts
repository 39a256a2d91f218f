import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { readMultipartBatch } from './multipart.ts';
import { datastream, FULL_THING, LEVEL, LOCATION, openSensorThings, SENSOR, type Answer, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

let rig: SensorThingsRig;
let thing: number;
let stream: number;
beforeAll(async () => {
  rig = await openSensorThings();
  thing = await rig.create('/Things', FULL_THING);
  [stream] = (await rig.list('/Datastreams', '@iot.id')) as [number];
});

interface Part {
  readonly status: number;
  readonly id: string | null;
  readonly location: string | null;
  readonly text: string;
}

const multipart = (body: string, boundary = 'b', headers: Record<string, string> = {}): Promise<Answer> => rig.send('POST', '/$batch', body.replaceAll('\n', '\r\n'), { 'content-type': `multipart/mixed; boundary=${boundary}`, ...headers });
const http = (line: string, body?: unknown, id?: string): string => `Content-Type: application/http\nContent-Transfer-Encoding: binary\n${id === undefined ? '' : `Content-ID: ${id}\n`}\n${line} HTTP/1.1\n${body === undefined ? '' : `Content-Type: application/json\n\n${typeof body === 'string' ? body : JSON.stringify(body)}`}\n`;
const enclose = (parts: readonly string[], boundary = 'b'): string => `${parts.map((part) => `--${boundary}\n${part}\n`).join('')}--${boundary}--\n`;
const set = (parts: readonly string[]): string => `Content-Type: multipart/mixed; boundary=c\n\n${enclose(parts, 'c')}`;
/** The responses of a multipart answer, in order, those of change sets in place. */
const partsOf = ({ text }: Answer): Part[] =>
  text.split(/^Content-Type: application\/http\r\n/m).slice(1).map((part) => ({
    status: Number(/^HTTP\/1\.1 (\d+)/m.exec(part)?.[1]),
    id: /^Content-ID: (\S+)/m.exec(part)?.[1] ?? null,
    location: /^location: (\S+)/m.exec(part)?.[1] ?? null,
    text: part.slice(part.indexOf('\r\n\r\n', part.indexOf('HTTP/1.1')) + 4),
  }));
const jsonBatch = async (requests: readonly Json[], headers: Record<string, string> = {}): Promise<Json[]> => (await rig.send('POST', '/$batch', { requests }, headers)).body['responses'] as Json[];
const count = async (path: string): Promise<number> => (await rig.get(`${path}${path.includes('?') ? '&' : '?'}$count=true&$top=0`))['@iot.count'] as number;
const named = (name: string): Json => ({ name, description: name });

describe('a multipart batch', () => {
  test('answers every part in order, also of GET, PATCH, PUT and DELETE', async () => {
    const id = await rig.create('/Things', named('Part'));
    const answer = await multipart(enclose([http(`GET Things(${String(id)})?$select=name`), http(`PATCH /v1.1/Things(${String(id)})`, { name: 'Patched' }), http(`PUT Things(${String(id)})`, named('Put')), http(`DELETE http://city.test/v1.1/Things(${String(id)})`), http('POST Sensors', SENSOR)]));
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'multipart/mixed; boundary=batch_1']);
    const parts = partsOf(answer);
    expect(parts.map(({ status }) => status)).toEqual([200, 200, 200, 200, 201]);
    expect(parts[0]?.text).toContain('{"name":"Part"}');
    expect((await rig.send('GET', `/Things(${String(id)})`)).status).toBe(404);
  });
  test('a failed part stops it, unless the sender wants to go on', async () => {
    const parts = [http('GET Nothing'), http('GET Things?$top=1')];
    expect(partsOf(await multipart(enclose(parts))).map(({ status }) => status)).toEqual([404]);
    expect(partsOf(await multipart(enclose(parts), 'b', { prefer: 'odata.continue-on-error' })).map(({ status }) => status)).toEqual([404, 200]);
    expect(partsOf(await multipart(enclose(parts), 'b', { prefer: 'continue-on-error=false' })).map(({ status }) => status)).toEqual([404]);
  });
  test('a change set refers to its own entities, in addresses and bodies, and stores observations', async () => {
    const answer = await multipart(
      enclose([
        set([
          http('POST Things', { ...named('Pump'), Locations: [LOCATION] }, 'pump'),
          http('POST Sensors', SENSOR, 'sensor'),
          http('POST ObservedProperties', LEVEL, 'level'),
          http('POST $pump/Datastreams', datastream({ name: 'Pump level', Sensor: { '@iot.id': '$sensor' }, ObservedProperty: { '@iot.id': '$level' } }), 'stream'),
          http('POST $stream/Observations', '{"result": 1.0, "phenomenonTime": "2026-11-24T05:00:00Z"}', 'first'),
          http('POST Observations', { result: 'text', phenomenonTime: '2026-11-24T05:01:00Z', Datastream: { '@iot.id': '$stream' } }),
          http('POST CreateObservations', [{ Datastream: { '@iot.id': '$stream' }, components: ['phenomenonTime', 'result'], dataArray: [['2026-11-24T05:02:00Z', 3]] }]),
        ]),
      ]),
    );
    const parts = partsOf(answer);
    expect(parts.map(({ status, id }) => [status, id])).toEqual([[201, 'pump'], [201, 'sensor'], [201, 'level'], [201, 'stream'], [201, 'first'], [201, null], [201, null]]);
    const [found] = (await rig.get("/Datastreams?$filter=name%20eq%20'Pump%20level'&$expand=Thing,Observations($expand=FeatureOfInterest)"))['value'] as Json[];
    expect((found?.['Thing'] as Json)['name']).toBe('Pump');
    const observations = found?.['Observations'] as Json[];
    expect(observations.map((one) => one['result'])).toEqual([1, 'text', 3]);
    expect(observations.map((one) => (one['FeatureOfInterest'] as Json | null)?.['name'])).toEqual(['Bridge', 'Bridge', 'Bridge']);
    expect(parts[4]?.text).toContain('"result":1.0');
    expect((await rig.send('GET', `/Observations(${/\((\d+)\)$/.exec(parts[4]?.location ?? '')?.[1] ?? ''})`)).text).toContain('"result":1.0');
    // a later reading by the ordinary way finds the same feature, and the same reading is not stored twice
    await rig.create(`/Datastreams(${String(found?.['@iot.id'])})/Observations`, { result: 3, phenomenonTime: '2026-11-24T05:02:00Z' });
    expect(await count(`/Datastreams(${String(found?.['@iot.id'])})/Observations`)).toBe(3);
  });
  test('a change set stores observations of a day that has no partition yet, under a Datastream that it has just read', async () => {
    const answer = await multipart(enclose([set([http(`PATCH Datastreams(${String(stream)})`, { description: 'read and changed' }), http(`POST Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: '2026-03-01T00:00:00Z' })])]));
    expect(partsOf(answer).map(({ status }) => status)).toEqual([200, 201]);
    const found = await rig.handle.pool.query<{ name: string }>("select tableoid::regclass::text as name from observation_hot where phenomenon_start = '2026-03-01T00:00:00Z'");
    expect(found.rows).toEqual([{ name: 'observation_20260301' }]);
  });
  test.each([
    ['a wrong entity', http('POST Things', { name: 'no description' }), 400],
    ['a refused observation', http('POST Observations', { result: 1, Datastream: { '@iot.id': 999_999 } }), 403],
    ['a GET, which a change set may not hold', http('GET Things'), 400],
    ['an unknown reference', http('POST $nothing/Datastreams', datastream()), 400],
    ['an address outside', http('POST /api/people', {}), 400],
  ])('with %s is not done at all', async (_what, wrong, status) => {
    const before = [await count('/Things'), await count('/Observations'), (await rig.get(`/Things(${String(thing)})`))['name']];
    const answer = await multipart(
      enclose([set([http('POST Things', named('Never')), http(`PATCH Things(${String(thing)})`, { name: 'Never' }), http(`POST Datastreams(${String(stream)})/Observations`, { result: 7, phenomenonTime: '2026-11-24T04:00:00Z' }), wrong]), http('GET Things?$top=1')]),
      'b',
      { prefer: 'odata.continue-on-error' },
    );
    expect(partsOf(answer).map((part) => part.status)).toEqual([status, 200]);
    expect([await count('/Things'), await count('/Observations'), (await rig.get(`/Things(${String(thing)})`))['name']]).toEqual(before);
  });
  test('when the commit itself fails, the observations that were stored for it are gone again', async () => {
    await rig.handle.pool.query(`
      create function refuse_at_commit() returns trigger language plpgsql as $$ begin raise exception 'at commit'; end $$;
      create constraint trigger refuse_at_commit after insert on thing deferrable initially deferred for each row when (new.name = 'Fails at commit') execute function refuse_at_commit()`);
    const before = [await count('/Things'), await count('/Observations')];
    const answer = await multipart(enclose([set([http('POST Things', named('Fails at commit')), http(`POST Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: '2026-11-24T01:00:00Z' })])]));
    expect([answer.status, await count('/Things'), await count('/Observations')]).toEqual([500, ...before]);
    // and can be sent again
    await rig.create(`/Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: '2026-11-24T01:00:00Z' });
    expect(await count('/Observations')).toBe((before[1] ?? 0) + 1);
  });
  test('many at once do not wait for each other for ever', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, at) => multipart(enclose([set([http('POST Things', named('At once'), 't'), http('POST $t/Datastreams', datastream({ name: `At once ${String(at)}`, Sensor: SENSOR, ObservedProperty: LEVEL }), 's'), http('POST $s/Observations', { result: at })])]))),
    );
    expect(answers.map((answer) => partsOf(answer).map(({ status }) => status))).toEqual(answers.map(() => [201, 201, 201]));
    expect(await count("/Observations?$filter=startswith(Datastream/name,'At once')")).toBe(40);
  });
  test('a deep insert with observations is part of the change set', async () => {
    const deep = (name: string, result: unknown): Json => ({ ...named(name), Datastreams: [datastream({ name, Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result, phenomenonTime: '2026-11-24T05:00:00Z' }] })] });
    expect(partsOf(await multipart(enclose([set([http('POST Things', deep('Deep', 5), 'deep'), http('PATCH $deep', { description: 'changed' })])]))).map(({ status }) => status)).toEqual([201, 200]);
    expect(await rig.list("/Observations?$filter=Datastream/name%20eq%20'Deep'", 'result')).toEqual([5]);
    expect(partsOf(await multipart(enclose([set([http('POST Things', deep('Deeper', 'x'.repeat(9_000)))])]))).map(({ status }) => status)).toEqual([413]);
    expect(await rig.list("/Things?$filter=name%20eq%20'Deeper'")).toEqual([]);
  });
  test.each<[string, string, string]>([
    ['no delimiter', 'nothing here', 'line 1'],
    ['a missing end', `--b\n${http('GET Things')}`, 'line 1'],
    ['a part that is no request', enclose(['Content-Type: text/plain\n\nhello']), 'line 4'],
    ['a request line without a method', enclose(['Content-Type: application/http\n\nThings']), 'line 4'],
    ['a header without a colon', enclose(['Content-Type: application/http\n\nGET Things HTTP/1.1\nwrong\n']), 'line 5'],
    ['an unknown method', enclose(['Content-Type: application/http\n\nBREW Things HTTP/1.1']), 'line 4'],
    ['a wrong Content-Length', enclose(['Content-Type: application/http\n\nPOST Things HTTP/1.1\nContent-Length: 999\n\n{}']), 'line 4'],
    ['a change set in a change set', enclose([set([set([http('GET Things')]).replaceAll('--c', '--d').replace('=c', '=d')])]), 'line 7'],
    ['two parts of one id', enclose([http('GET Things', undefined, 'one'), http('GET Things', undefined, 'one')]), 'line 14'],
  ])('with %s is a 400 that names the place', async (_what, body, field) => {
    const { status, body: answer } = await multipart(body);
    expect([status, answer['error']]).toEqual([400, { code: 'batch.malformed', field }]);
  });
  test('without a boundary, a body or with too many parts is refused', async () => {
    expect((await rig.send('POST', '/$batch', 'x', { 'content-type': 'multipart/mixed' })).body['error']).toEqual({ code: 'batch.malformed', field: 'content-type' });
    expect((await rig.send('POST', '/$batch', 'x', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await multipart(enclose(Array.from({ length: 1_001 }, () => http('GET Things'))))).status).toBe(413);
    expect((await rig.send('POST', '/$batch')).status).toBe(400);
  });
  test('holds no batch and nothing outside of the API', async () => {
    const addresses = ['$batch', '/v1.1/%24batch', '/api/me', '../api', '/v1.1/../log', 'http://elsewhere.test/v1.1/Things', '//elsewhere.test/v1.1/Things', '/v1.1'];
    const answer = await multipart(enclose(addresses.map((address) => http(`GET ${address}`))), 'b', { prefer: 'odata.continue-on-error' });
    expect(partsOf(answer).map(({ status, text }) => [status, (JSON.parse(text.split('\r\n')[0] ?? '') as { error: { code: string } }).error.code])).toEqual(addresses.map(() => [400, 'batch.address-outside']));
  });
});

describe('a JSON batch', () => {
  test('answers with the ids of its requests, and refers to what they created', async () => {
    const answers = await jsonBatch([
      { id: 't', method: 'post', url: 'Things', body: named('Json thing') },
      { id: 's', method: 'post', url: '$t/Datastreams', body: datastream({ name: 'Json stream', Sensor: SENSOR, ObservedProperty: LEVEL }), dependsOn: ['t'] },
      { id: 'o', method: 'POST', url: '/v1.1/Observations', body: { result: 12, Datastream: { '@iot.id': '$s' } } },
      { id: 'g', method: 'GET', url: '$t?$select=name' },
      { id: 'v', method: 'GET', url: '$t/name/$value' },
    ]);
    expect(answers.map((one) => [one['id'], one['status']])).toEqual([['t', 201], ['s', 201], ['o', 201], ['g', 200], ['v', 200]]);
    expect(answers.slice(3).map((one) => one['body'])).toEqual([{ name: 'Json thing' }, 'Json thing']);
    expect(await rig.list("/Observations?$filter=Datastream/Thing/name%20eq%20'Json%20thing'", 'result')).toEqual([12]);
  });
  test('a group is done as a whole or not at all', async () => {
    const before = await count('/Things');
    const group = (last: Json): Json[] => [
      { id: '1', atomicityGroup: 'g', method: 'POST', url: 'Things', body: named('Grouped') },
      { id: '2', atomicityGroup: 'g', method: 'POST', url: 'Things', body: last },
      { id: '3', dependsOn: ['g'], method: 'GET', url: '$1' },
      { id: '4', method: 'GET', url: 'Things?$top=0' },
    ];
    expect((await jsonBatch(group({ name: 'wrong' }), { prefer: 'continue-on-error' })).map((one) => [one['id'], one['atomicityGroup'], one['status']])).toEqual([['1', 'g', 424], ['2', 'g', 400], ['3', undefined, 424], ['4', undefined, 200]]);
    expect(await count('/Things')).toBe(before);
    expect((await jsonBatch(group(named('Grouped too')))).map((one) => one['status'])).toEqual([201, 201, 200, 200]);
    expect(await count('/Things')).toBe(before + 2);
  });
  test('numbers come through as they were written', async () => {
    const text = `{"requests":[{"id":"1","method":"post","url":"Datastreams(${String(stream)})/Observations","body":{"result":12345678901234567890.0,"phenomenonTime":"2026-11-23T05:00:00Z"}},{"id":"2","method":"get","url":"Observations?$filter=phenomenonTime%20lt%202026-11-23T06:00:00Z"}]}`;
    expect((await rig.send('POST', '/$batch', text)).text).toContain('"result":12345678901234567890.0');
  });
  test.each<[string, unknown, string]>([
    ['no list', { requests: {} }, 'requests'],
    ['a request without an id', { requests: [{ method: 'get', url: 'Things' }] }, 'requests.0.id'],
    ['an unknown method', { requests: [{ id: '1', method: 'brew', url: 'Things' }] }, 'requests.0.method'],
    ['an unknown member', { requests: [{ id: '1', method: 'get', url: 'Things', uri: 'x' }] }, 'requests.0.uri'],
    ['a dependence on what comes later', { requests: [{ id: '1', method: 'get', url: 'Things', dependsOn: ['2'] }, { id: '2', method: 'get', url: 'Things' }] }, 'requests.0.dependsOn'],
    ['a torn group', { requests: [{ id: '1', atomicityGroup: 'g', method: 'get', url: 'Things' }, { id: '2', method: 'get', url: 'Things' }, { id: '3', atomicityGroup: 'g', method: 'get', url: 'Things' }] }, 'requests.2'],
    ['an id that comes twice', { requests: [{ id: '1', method: 'get', url: 'Things' }, { id: '1', method: 'get', url: 'Things' }] }, 'requests.1'],
  ])('with %s is a 400 that names the place', async (_what, body, field) => {
    const answer = await rig.send('POST', '/$batch', body);
    expect([answer.status, answer.body['error']]).toEqual([400, { code: 'batch.malformed', field }]);
  });
});

test('a batch under /v2.0 works on the same entities', async () => {
  const send = (requests: readonly Json[]): Promise<Answer> => rig.send('POST', 'http://city.test/v2.0/$batch', { requests });
  const made = (await send([
    { id: 'a', atomicityGroup: 'g', method: 'post', url: 'Things', body: named('Both') },
    { id: 'b', atomicityGroup: 'g', method: 'patch', url: '$a', body: { description: 'two' } },
    { id: 'c', method: 'get', url: '$a?$select=description' },
    { id: 'd', method: 'get', url: '/v1.1/Things' },
  ])).body['responses'] as Json[];
  expect(made.map((one) => one['status'])).toEqual([201, 204, 200, 400]);
  expect((made[2]?.['body'] as Json)['description']).toBe('two');
  expect((await rig.get("/Things?$filter=name%20eq%20'Both'&$select=description"))['value']).toEqual([{ description: 'two' }]);
});

describe('the reader of multipart', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_.~'), minLength: 1, maxLength: 12 }).filter((text) => /^[A-Za-z0-9]/.test(text));
  const request = fc.record({ method: fc.constantFrom('GET', 'POST', 'PATCH', 'PUT', 'DELETE'), url: word, value: fc.option(fc.json(), { nil: null }) });
  const items = fc.array(fc.oneof(fc.record({ atomic: fc.constant(false), requests: fc.array(request, { minLength: 1, maxLength: 1 }) }), fc.record({ atomic: fc.constant(true), requests: fc.array(request, { maxLength: 4 }) })), { maxLength: 6 });
  const write = (batch: readonly { readonly atomic: boolean; readonly requests: readonly { readonly method: string; readonly url: string; readonly value: string | null }[] }[], lineEnd: string): string => {
    const one = ({ method, url, value }: { method: string; url: string; value: string | null }): string => `Content-Type: application/http\n\n${method} ${url} HTTP/1.1\n${value === null ? '' : `Content-Type: application/json\nContent-Length: ${String(Buffer.byteLength(value))}\n\n${value}`}`;
    const parts = batch.map(({ atomic, requests }) => (atomic ? `Content-Type: multipart/mixed; boundary="set=1"\n\n${requests.map((each) => `--set=1\n${one(each)}\n`).join('')}--set=1--` : one(requests[0] as { method: string; url: string; value: string | null })));
    return `preamble\n${parts.map((part) => `--outer\n${part}\n`).join('')}--outer--`.replaceAll('\n', lineEnd);
  };
  const plain = (batch: readonly { readonly atomic: boolean; readonly requests: readonly { readonly method: string; readonly url: string; readonly value: string | null }[] }[]): unknown => batch.map(({ atomic, requests }) => ({ atomic, requests: requests.map(({ method, url, value }) => [method, url, value]) }));

  test('gives back what was written, with either line ending', () => {
    fc.assert(
      fc.property(items.filter((batch) => batch.length > 0), fc.constantFrom('\r\n', '\n'), (batch, lineEnd) => {
        fc.pre(!JSON.stringify(batch).includes('\\n')); // a JSON text of several lines would get other line ends here
        const read = readMultipartBatch(Buffer.from(write(batch.map((item) => (item.requests.length === 0 ? { ...item, atomic: false, requests: [{ method: 'GET', url: 'x', value: null }] } : item)), lineEnd)), 'outer');
        const expected = batch.map((item) => (item.requests.length === 0 ? { atomic: false, requests: [{ method: 'GET', url: 'x', value: null }] } : item));
        expect(read.ok && read.value.map(({ atomic, requests }) => ({ atomic, requests: requests.map(({ method, url, body }) => [method, url, body?.toString() ?? null]) }))).toEqual(plain(expected));
      }),
    );
  });
  test('takes or refuses anything, and never throws', () => {
    const valid = enclose([set([http('POST Things', named('x'), 'a')]), http('GET $a')]).replaceAll('\n', '\r\n');
    const pieces = fc.constantFrom('--b', '--b--', '--c', '\r\n', '\n', ': ', 'Content-Type: application/http', 'GET Things HTTP/1.1', 'Content-Length: 99999999999', '\u0000', '{', '$1');
    fc.assert(
      fc.property(fc.nat(valid.length), fc.nat(60), fc.array(pieces, { maxLength: 8 }), (at, cut, more) => {
        const read = readMultipartBatch(Buffer.from(valid.slice(0, at) + more.join('') + valid.slice(at + cut)), 'b');
        expect(read.ok || ['batch.malformed', 'http.too-large'].includes(read.refusal.code)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void readMultipartBatch(Buffer.from(bytes), 'b')));
  });
});
