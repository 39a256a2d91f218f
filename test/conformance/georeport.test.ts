import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parser, plainOfJson, plainOfXml, type Plain } from './plain-value.ts';
import { DEMO_SERVICES, startServicesCity, type ServicesCity } from './georeport-city.ts';

// One test for each line G1–G24 of the checklist in docs/reference/georeport.md; every answer is read in XML and in JSON and must say the same.

let city: ServicesCity;
beforeAll(async () => {
  city = await startServicesCity();
});
afterAll(() => city.close());

interface Answer {
  readonly status: number;
  readonly root: string;
  readonly value: Plain;
  readonly json: unknown;
  readonly xml: string;
  readonly headers: Record<string, unknown>;
}

/** Asks in both formats, checks the content types, and that both decode to the same value. `path` has `FORMAT` for the extension. */
async function ask(path: string, init: { method?: 'GET' | 'POST'; payload?: string; headers?: Record<string, string> } = {}, sameValue = true): Promise<Answer> {
  const send = (format: string) => city.http.inject({ method: init.method ?? 'GET', url: `/open311/v2${path.replace('FORMAT', format)}`, ...(init.payload === undefined ? {} : { payload: init.payload }), headers: { ...(init.payload === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }), ...init.headers } });
  const xml = await send('xml');
  const json = await send('json');
  expect(xml.headers['content-type']).toBe('text/xml; charset=utf-8');
  expect(json.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(json.statusCode).toBe(xml.statusCode);
  expect(xml.body.startsWith('<?xml version="1.0" encoding="utf-8"?>\n<')).toBe(true);
  const document = parser.parse(xml.body) as Record<string, unknown>;
  const root = Object.keys(document).find((name) => name !== '?xml') as string;
  const value = plainOfXml(root, document[root]);
  if (sameValue) expect(value).toEqual(plainOfJson(json.json()));
  return { status: xml.statusCode, root, value, json: json.json(), xml: xml.body, headers: json.headers };
}

const form = (fields: Record<string, string>): string => new URLSearchParams(fields).toString();
/** Posts in JSON and returns the id. */
async function post(fields: Record<string, string>): Promise<string> {
  const response = await city.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form(fields) });
  expect(response.statusCode, response.body).toBe(200);
  return response.json<{ service_request_id: string }[]>()[0]?.service_request_id as string;
}
const postBoth = (fields: Record<string, string>, sameValue = true) => ask('/requests.FORMAT', { method: 'POST', payload: form(fields) }, sameValue);
const POTHOLE = { service_code: 'pothole', lat: '50.0', long: '8.0' };
const one = (answer: Answer): Record<string, string> => (answer.value as Record<string, string>[])[0] as Record<string, string>;
const codes = (answer: Answer): string[] => (answer.value as { code: string }[]).map(({ code }) => code);
const descriptions = (answer: Answer): string => (answer.value as { description: string }[]).map(({ description }) => description).join('\n');
const ids = (answer: Answer): string[] => (answer.value as { service_request_id: string }[]).map(({ service_request_id }) => service_request_id);

test('G1: every path answers in XML and in JSON, and the extension alone picks the format', async () => {
  const id = await post(POTHOLE);
  for (const path of ['/discovery.FORMAT', '/services.FORMAT', '/services/street-light.FORMAT', '/requests.FORMAT', `/requests/${id}.FORMAT`]) {
    expect((await ask(path, { headers: { accept: 'text/html' } })).status, path).toBe(200);
  }
  for (const path of ['/services', '/services.html', '/services/pothole', '/requests/x.y', '/nonsense']) {
    const answer = await city.http.inject(`/open311/v2${path}`);
    expect([answer.statusCode, answer.headers['content-type']], path).toEqual([404, 'text/xml; charset=utf-8']);
  }
});

test('G2: XML has a declaration with encoding, no namespace, no attribute, no foreign element; text keeps its characters', async () => {
  const id = await post({ ...POTHOLE, description: 'Ärger & <b>"Loch"</b> ]]> 🕳\nzweite Zeile' });
  await city.http.inject({ method: 'POST', url: `/api/requests/${id}/publish`, headers: { authorization: `Bearer ${city.tokenOf('case_worker')}` }, payload: { published: true } });
  const answer = await ask(`/requests/${id}.FORMAT`);
  expect(answer.xml).not.toMatch(/<[^?>]*[\s:=][^?>]*>/);
  expect(answer.xml).toContain('Ärger &amp; &lt;b&gt;"Loch"&lt;/b&gt; ]]&gt; 🕳\nzweite Zeile');
  expect(one(answer)['description']).toBe('Ärger & <b>"Loch"</b> ]]> 🕳\nzweite Zeile');
});

test('G3: lists are bare arrays, definition and discovery bare objects, absent values null, ids and codes strings', async () => {
  await post(POTHOLE);
  for (const path of ['/services.FORMAT', '/requests.FORMAT']) expect(Array.isArray((await ask(path)).json), path).toBe(true);
  const definition = (await ask('/services/street-light.FORMAT')).json as { service_code: unknown; attributes: { values: unknown[] }[] };
  expect(typeof definition.service_code).toBe('string');
  expect(Array.isArray(definition.attributes) && Array.isArray(definition.attributes[0]?.values)).toBe(true);
  const discovery = (await ask('/discovery.FORMAT')).json as { endpoints: { formats: unknown[] }[] };
  expect(discovery.endpoints[0]?.formats).toEqual(['text/xml', 'application/json']);
  expect(((await ask('/requests.FORMAT')).json as Record<string, unknown>[])[0]).toMatchObject({ service_request_id: expect.any(String) as string, zipcode: null, media_url: null, lat: expect.any(Number) as number });
  expect((await ask('/services/dragons.FORMAT')).json).toEqual([{ code: 404, description: expect.any(String) as string }]);
});

test('G4: dates carry a zone and no milliseconds, going out and coming in', async () => {
  const id = await post(POTHOLE);
  const request = one(await ask(`/requests/${id}.FORMAT`));
  for (const field of ['requested_datetime', 'updated_datetime', 'expected_datetime']) expect(request[field]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
  for (const start of ['2026-11-24T05:00:00Z', '2026-11-24T06:00:00+01:00', '2026-11-24T00:00:00-05:00']) expect(ids(await ask(`/requests.FORMAT?start_date=${encodeURIComponent(start)}`)), start).toContain(id);
  for (const start of ['2026-11-24', '2026-11-24T05:00:00', 'yesterday', '2026-02-31T00:00:00Z']) expect((await ask(`/requests.FORMAT?start_date=${start}`)).status, start).toBe(400);
});

test('G5: a parameter that is present but empty equals one that is absent', async () => {
  const id = await post({ ...POTHOLE, address_string: '', address_id: '', email: '', device_id: '', account_id: '', first_name: '', last_name: '', phone: '', description: '', media_url: '', api_key: '', jurisdiction_id: '', 'attribute[SURFACE]': '', 'attribute[NOPE]': '' });
  const names = ['jurisdiction_id', 'service_request_id', 'service_code', 'start_date', 'end_date', 'status', 'page', 'page_size', 'cursor', 'extensions', 'updated_after', 'updated_before', 'bbox', 'radius', 'lat', 'long', 'locale'];
  const without = await ask('/requests.FORMAT');
  expect(ids(without)).toContain(id);
  expect((await ask(`/requests.FORMAT?${names.map((name) => `${name}=`).join('&')}`)).value).toEqual(without.value);
});

test('G6: jurisdiction_id may be left out, and another one is 404', async () => {
  expect((await ask('/services.FORMAT?jurisdiction_id=elsewhere.example')).status).toBe(404);
  expect((await postBoth({ ...POTHOLE, jurisdiction_id: 'elsewhere.example' })).status).toBe(404);
  const named = await startServicesCity({ servicesYaml: DEMO_SERVICES.replace('jurisdiction_id: null', 'jurisdiction_id: town.example') });
  expect((await named.http.inject('/open311/v2/services.json?jurisdiction_id=town.example')).statusCode).toBe(200);
  expect((await named.http.inject('/open311/v2/services.json')).statusCode).toBe(200);
  await named.close();
});

test('G7: POST needs an api_key unless the city is open; a wrong one is 403 everywhere', async () => {
  const closed = await startServicesCity({ servicesYaml: DEMO_SERVICES.replace('open311_open_posting: true', 'open311_open_posting: false') });
  const send = (fields: Record<string, string>) => closed.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form(fields) });
  for (const fields of [POTHOLE, { ...POTHOLE, api_key: '' }, { ...POTHOLE, api_key: 'wrong' }, {}]) expect((await send(fields as Record<string, string>)).statusCode, JSON.stringify(fields)).toBe(403);
  expect((await send({ ...POTHOLE, api_key: closed.tokenOf('case_worker') })).statusCode).toBe(200);
  await closed.close();
  expect((await postBoth({ ...POTHOLE, api_key: 'wrong' })).status).toBe(403);
});

test('G8: errors are a list in the format of the path, and several faults come together', async () => {
  const answer = await postBoth({ service_code: 'noise', lat: '95', long: '8', email: 'nonsense' });
  expect(answer.root).toBe('errors');
  expect(answer.status).toBe(400);
  expect(codes(answer)).toEqual(['400', '400', '400']);
  expect(descriptions(answer)).toMatch(/email[\s\S]*lat[\s\S]*SOURCE required/);
  for (const [headers, payload] of [[{ 'content-type': 'application/json' }, '{}'], [{ 'content-type': 'text/plain' }, 'x'], [{ 'content-type': 'multipart/form-data; boundary=x' }, 'broken']] as const) {
    const refused = await ask('/requests.FORMAT', { method: 'POST', payload, headers });
    expect([refused.status, refused.root], payload).toEqual([400, 'errors']);
  }
});

test('G9: discovery has every field, and its changeset lies in the past and moves with the catalogue', async () => {
  const answer = await ask('/discovery.FORMAT');
  expect(answer.value).toMatchObject({ changeset: '2026-11-24T06:00:00Z', endpoints: [{ specification: 'http://wiki.open311.org/GeoReport_v2', url: 'http://city.test/open311/v2', changeset: '2026-11-24T06:00:00Z', type: 'production', formats: ['text/xml', 'application/json'] }] });
  for (const field of ['contact', 'key_service']) expect((answer.value as Record<string, string>)[field]).not.toBe('');
  const { createServices } = await import('../../src/services/index.ts');
  const { buildHttp, createMetrics, silentLogger } = await import('../../src/platform/index.ts');
  const { hashSecret } = await import('./georeport-city.ts');
  const { systemRandom } = await import('../../src/kernel/index.ts');
  const changesetOf = async (servicesYaml: string): Promise<string> => {
    const services = await createServices({ handle: city.handle, bus: city.bus, clock: city.clock, random: systemRandom, logger: silentLogger, metrics: createMetrics(), trust: city.trust, hashSecret, servicesYaml, gazetteerNdjson: null, publicUrl: 'http://city.test' });
    const http = await buildHttp({ logger: silentLogger, authenticate: (request) => city.trust.authenticate(request), authorize: (principal, action) => city.trust.authorize(principal, action) });
    await services.registerRoutes(http);
    const changeset = (await http.inject('/open311/v2/discovery.json')).json<{ changeset: string }>().changeset;
    await http.close();
    await services.close();
    return changeset;
  };
  city.clock.advance(60_000);
  expect(await changesetOf(DEMO_SERVICES)).toBe('2026-11-24T06:00:00Z');
  expect(await changesetOf(DEMO_SERVICES.replace('sla_hours: 120', 'sla_hours: 100'))).toBe('2026-11-24T06:01:00Z');
  city.clock.advance(60_000);
  expect(await changesetOf(DEMO_SERVICES)).toBe('2026-11-24T06:02:00Z');
});

test('G10: a service has its seven fields, keywords in one string, in the language asked for', async () => {
  const answer = await ask('/services.FORMAT?locale=de');
  expect((answer.value as Plain[]).length).toBe(5);
  expect((answer.value as Plain[])[0]).toEqual({ service_code: 'street-light', service_name: 'Straßenbeleuchtung', description: 'Eine Straßenlaterne ist aus, flackert, brennt am Tag oder ist beschädigt.', metadata: 'true', type: 'realtime', keywords: 'Lampe,Licht,dunkel,Laterne', group: 'Straßen' });
  expect(one(await ask('/services.FORMAT', { headers: { 'accept-language': 'xx, fr-CH;q=0.9, en;q=0.8' } }))['service_name']).toBe('Éclairage public');
});

test('G11: a definition has its attributes in order, information is never required, an unknown code is 404', async () => {
  const light = (await ask('/services/street-light.FORMAT')).value as { attributes: Record<string, Plain>[] };
  expect(light.attributes.map(({ code, order, required, variable, datatype }) => [code, order, required, variable, datatype])).toEqual([
    ['FAULT', '1', 'true', 'true', 'singlevaluelist'],
    ['POLE', '2', 'false', 'true', 'string'],
  ]);
  expect(light.attributes[0]?.['values']).toContainEqual({ key: 'out', name: 'It is out' });
  const flood = (await ask('/services/flooded-street.FORMAT')).value as { attributes: Record<string, Plain>[] };
  expect(flood.attributes[0]).toMatchObject({ code: 'DANGER', variable: 'false', required: 'false' });
  for (const code of ['dragons', 'a.b', '%00', '..%2F..', 'x'.repeat(300)]) expect((await ask(`/services/${code}.FORMAT`)).status, code).toBe(404);
});

test('G12: service_code and a location are required; half a pair is 400; an address is found in the gazetteer', async () => {
  const faults: [Record<string, string>, number, RegExp][] = [
    [{ lat: '50', long: '8' }, 400, /service_code/],
    [{ service_code: 'dragons', lat: '50', long: '8' }, 404, /service_code/],
    [{ service_code: 'pothole' }, 400, /location is required/],
    [{ service_code: 'pothole', lat: '50' }, 400, /long/],
    [{ service_code: 'pothole', long: '8', address_string: 'High Street 10' }, 400, /lat/],
    [{ service_code: 'pothole', lat: 'NaN', long: '8' }, 400, /lat/],
    [{ service_code: 'pothole', lat: '50', long: '181' }, 400, /long/],
    [{ service_code: 'pothole', address_string: 'Rue Inconnue 7' }, 400, /address/],
    [{ service_code: 'pothole', address_id: 'nowhere' }, 400, /address_id/],
  ];
  for (const [fields, status, says] of faults) {
    const answer = await postBoth(fields);
    expect(answer.status, JSON.stringify(fields)).toBe(status);
    expect(descriptions(answer)).toMatch(says);
  }
  const byAddress = one(await ask(`/requests/${await post({ service_code: 'pothole', address_string: 'HIGH street 15' })}.FORMAT`));
  expect([byAddress['lat'], byAddress['long'], byAddress['address']]).toEqual(['50', '8.0005', 'High Street 15 (≈ 10–20)']);
  const byId = one(await ask(`/requests/${await post({ service_code: 'pothole', address_id: 'mill-lane-3' })}.FORMAT`));
  expect([byId['lat'], byId['long'], byId['address'], byId['address_id']]).toEqual(['50.01', '8.01', 'Mill Lane 3', 'mill-lane-3']);
});

test('G13: attributes are checked by their datatype, missing ones are named, several values go by brackets', async () => {
  const light = { service_code: 'street-light', lat: '50', long: '8' };
  expect(descriptions(await postBoth(light))).toContain('FAULT required');
  const faults: Record<string, string>[] = [
    { ...light, 'attribute[FAULT]': 'sparkles' },
    { ...light, 'attribute[FAULT]': 'out', 'attribute[PLATE]': 'B-XY 12' },
    { ...light, 'attribute[FAULT]': 'out', 'attribute[POLE]': 'x'.repeat(256) },
    { service_code: 'flooded-street', lat: '50', long: '8', 'attribute[DEPTH_CM]': 'deep' },
    { service_code: 'flooded-street', lat: '50', long: '8', 'attribute[DANGER]': 'yes' },
    { service_code: 'noise', lat: '50', long: '8', 'attribute[SOURCE]': 'site', 'attribute[SINCE]': 'last week' },
  ];
  for (const fields of faults) expect((await postBoth(fields)).status, JSON.stringify(fields)).toBe(400);
  const payload = `${form({ service_code: 'illegal-dumping', lat: '50', long: '8' })}&attribute[WASTE][]=rubble&attribute%5BWASTE%5D%5B%5D=furniture`;
  const response = await city.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload });
  const id = response.json<{ service_request_id: string }[]>()[0]?.service_request_id ?? '';
  const shown = one(await ask(`/requests/${id}.FORMAT?extensions=true`)) as unknown as { extended_attributes: Plain };
  expect(shown.extended_attributes).toMatchObject({ attributes: [{ code: 'WASTE', value: 'Rubble, Furniture' }] });
  const twice = `${form({ service_code: 'street-light', lat: '50', long: '8' })}&attribute[FAULT]=out&attribute[FAULT]=day`;
  expect((await ask('/requests.FORMAT', { method: 'POST', payload: twice })).status).toBe(400);
});

test('G14: optional fields are taken within their limits, device_id is dropped and counted, markup stays text, files are refused', async () => {
  const id = await post({ ...POTHOLE, email: 'a@example.org', device_id: 'tt222111', account_id: '77', first_name: 'John', last_name: 'Smith', phone: '111', description: 'x'.repeat(4_000), media_url: 'http://photos.example/1.jpg' });
  const stored = await city.handle.pool.query<{ text: string; contact_fields: string[] }>('select r::text as text, contact_fields from request r where id = $1', [id]);
  expect(stored.rows[0]?.text).not.toMatch(/tt222111|John|Smith|a@example|photos\.example/);
  expect(stored.rows[0]?.contact_fields).toEqual(['name', 'email', 'phone', 'account_id']);
  expect(await city.metrics.getSingleMetricAsString('clerestory_georeport_fields_dropped_total')).toContain('{field="device_id"} 1');
  expect((await postBoth({ ...POTHOLE, description: 'x'.repeat(4_001) })).status).toBe(400);
  expect((await postBoth({ ...POTHOLE, email: 'no address' })).status).toBe(400);
  const multipart = (file: string) => ({ headers: { 'content-type': 'multipart/form-data; boundary=edge' }, payload: ['service_code', 'lat', 'long'].map((name, n) => `--edge\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${['pothole', '50', '8'][n] as string}\r\n`).join('') + `--edge\r\ncontent-disposition: form-data; name="media"; filename="${file === '' ? '' : 'a.jpg'}"\r\ncontent-type: image/jpeg\r\n\r\n${file}\r\n--edge--\r\n` });
  expect((await ask('/requests.FORMAT', { method: 'POST', ...multipart('') }, false)).status).toBe(200);
  expect(descriptions(await ask('/requests.FORMAT', { method: 'POST', ...multipart('JFIF') }))).toMatch(/not taken/);
});

test('G15: the answer to a POST is a list of one with the id, a notice and the account, and no token', async () => {
  const answer = await postBoth({ ...POTHOLE, account_id: '123', media_url: 'http://photos.example/1.jpg' }, false);
  expect([answer.status, answer.root]).toEqual([200, 'service_requests']);
  expect(Object.keys(one(answer))).toEqual(['service_request_id', 'service_notice', 'account_id']);
  expect(one(answer)).toMatchObject({ service_request_id: expect.stringMatching(/^req_/) as string, account_id: '123', service_notice: expect.stringMatching(/http:\/\/city\.test\/r\/\w{32} .*not kept/) as string });
  expect((await postBoth(POTHOLE, false)).xml).toContain('<account_id/>');
});

test('G16: the secret of the follow-up link is a token that gives the id, and an unknown token is 404', async () => {
  const answer = await postBoth(POTHOLE, false);
  const token = /\/r\/(\w{32})/.exec(one(answer)['service_notice'] ?? '')?.[1] ?? '';
  expect((await ask(`/tokens/${token}.FORMAT`)).value).toEqual([{ service_request_id: one(answer)['service_request_id'], token }]);
  for (const unknown of ['0'.repeat(32), 'short', '%F0%9F%A6%A9']) expect((await ask(`/tokens/${unknown}.FORMAT`)).status).toBe(404);
});

test('G17: service_request_id is a comma list and overrides every other argument, also a wrong one', async () => {
  const [a, b] = [await post(POTHOLE), await post(POTHOLE)];
  const answer = await ask(`/requests.FORMAT?service_request_id=${a},req_unknown,,${b}&status=nonsense&start_date=never&service_code=noise&page=-1`);
  expect([answer.status, ids(answer).sort()]).toEqual([200, [a, b].sort()]);
});

test('G18: service_code is a comma list', async () => {
  const dumping = await post({ service_code: 'illegal-dumping', lat: '50', long: '8' });
  const pothole = await post(POTHOLE);
  const both = ids(await ask('/requests.FORMAT?service_code=illegal-dumping,pothole,dragons'));
  expect(both).toEqual(expect.arrayContaining([dumping, pothole]));
  expect(ids(await ask('/requests.FORMAT?service_code=illegal-dumping'))).not.toContain(pothole);
  expect(ids(await ask('/requests.FORMAT?service_code=dragons'))).toEqual([]);
});

test('G19: the window is on requested_datetime, both ends count, at most 90 days; one end gives the 90 days beside it', async () => {
  city.clock.advance(3_600_000);
  const id = await post(POTHOLE);
  const at = one(await ask(`/requests/${id}.FORMAT`))['requested_datetime'] as string;
  const shifted = (seconds: number): string => new Date(Date.parse(at) + seconds * 1_000).toISOString().replace('.000', '');
  const found = async (query: string): Promise<boolean> => ids(await ask(`/requests.FORMAT?${query}`)).includes(id);
  expect(await found(`start_date=${at}&end_date=${at}`)).toBe(true);
  expect(await found(`start_date=${shifted(1)}`)).toBe(false);
  expect(await found(`end_date=${shifted(-1)}`)).toBe(false);
  expect(await found(`end_date=${shifted(90 * 86_400)}`)).toBe(true);
  expect(await found(`end_date=${shifted(90 * 86_400 + 1)}`)).toBe(false);
  expect(await found(`start_date=${shifted(-90 * 86_400)}`)).toBe(true);
  expect(await found(`start_date=${shifted(-90 * 86_400 - 1)}`)).toBe(false);
  expect((await ask(`/requests.FORMAT?start_date=${shifted(0)}&end_date=${shifted(90 * 86_400 + 1)}`)).status).toBe(400);
  expect((await ask(`/requests.FORMAT?start_date=${shifted(1)}&end_date=${shifted(0)}`)).status).toBe(400);
  city.clock.advance(91 * 86_400_000);
  expect(await found('')).toBe(false);
  expect(await found(`end_date=${shifted(0)}`)).toBe(true);
});

test('G20: status takes open, closed and both, and nothing else', async () => {
  const [open, closed] = [await post(POTHOLE), await post(POTHOLE)];
  await city.http.inject({ method: 'POST', url: `/api/requests/${closed}/decline`, headers: { authorization: `Bearer ${city.tokenOf('case_worker')}` }, payload: { outcome: 'duplicate', sentence: 'Reported yesterday already.' } });
  const listed = async (status: string) => ids(await ask(`/requests.FORMAT?status=${status}`)).filter((id) => id === open || id === closed);
  expect(await listed('open')).toEqual([open]);
  expect(await listed('closed')).toEqual([closed]);
  expect((await listed('open,closed')).length).toBe(2);
  expect((await ask('/requests.FORMAT?status=done')).status).toBe(400);
  expect(one(await ask(`/requests/${closed}.FORMAT?locale=en`))).toMatchObject({ status: 'closed', status_notes: 'It was reported before and is dealt with there. Reported yesterday already.' });
});

test('G21: at most 1,000 come at once, in the order of filing, and a Link leads to the rest', async () => {
  const many = await startServicesCity();
  await many.handle.pool.query(
    `insert into request (id, service_code, state, language, source, description, attributes, address, lon, lat, listed, public_lon, public_lat, filed_at, updated_at)
     select 'req_' || n, 'pothole', 'received', 'en', 'georeport', '', '{}', '', 8, 50, true, 8, 50, timestamptz '2026-11-20' + n * interval '1 second', now() from generate_series(1, 1005) n`,
  );
  const first = await many.http.inject('/open311/v2/requests.json');
  const rows = first.json<{ service_request_id: string; requested_datetime: string }[]>();
  expect(rows.length).toBe(1_000);
  expect(rows.map(({ requested_datetime }) => requested_datetime)).toEqual(rows.map(({ requested_datetime }) => requested_datetime).sort());
  const next = /<http:\/\/city\.test([^>]+)>; rel="next"/.exec(String(first.headers['link']))?.[1] ?? '';
  const second = await many.http.inject(next);
  expect([second.json<unknown[]>().length, second.headers['link']]).toEqual([5, undefined]);
  await many.close();
});

test('G22: every field of the standard stands in every request', async () => {
  const id = await post({ ...POTHOLE, description: 'secret until read' });
  const request = one(await ask(`/requests/${id}.FORMAT?locale=en`));
  expect(Object.keys(request)).toEqual(['service_request_id', 'status', 'status_notes', 'service_name', 'service_code', 'description', 'agency_responsible', 'service_notice', 'requested_datetime', 'updated_datetime', 'expected_datetime', 'address', 'address_id', 'zipcode', 'lat', 'long', 'media_url']);
  expect(request).toMatchObject({ status: 'open', status_notes: 'We have received your report.', service_name: 'Pothole', agency_responsible: 'Department of Works', address: 'High Street 10', address_id: 'high-street-10', lat: '50', long: '8' });
  expect(Date.parse(request['expected_datetime'] ?? '') - Date.parse(request['requested_datetime'] ?? '')).toBe(168 * 3_600_000);
});

test('G23: one request comes as a list of one; an unknown and a hidden one cannot be told apart', async () => {
  const hidden = await startServicesCity({ servicesYaml: DEMO_SERVICES.replace('public: true', 'public: false') });
  const response = await hidden.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form({ service_code: 'street-light', lat: '50', long: '8', 'attribute[FAULT]': 'out' }) });
  const id = response.json<{ service_request_id: string }[]>()[0]?.service_request_id ?? '';
  const answers = await Promise.all([id, 'req_unknown'].map((each) => hidden.http.inject(`/open311/v2/requests/${each}.json`)));
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([404, 404]);
  expect(answers[0]?.body).toBe(answers[1]?.body);
  for (const query of ['', `?service_request_id=${id}`]) expect((await hidden.http.inject(`/open311/v2/requests.json${query}`)).json()).toEqual([]);
  await hidden.close();
  expect((await ask(`/requests/${await post(POTHOLE)}.FORMAT`)).value).toHaveLength(1);
});

test('G24: no contact data ever comes out, texts only after release, private places only roughly', async () => {
  const id = await post({ service_code: 'noise', lat: '50.0101234', long: '8.0101234', address_string: 'behind the house of Smith', email: 'smith@example.org', first_name: 'Jane', last_name: 'Smith', phone: '0123456', description: 'The fan of Smith', 'attribute[SOURCE]': 'machine' });
  const url = `/requests/${id}.FORMAT?extensions=true`;
  const before = await ask(url);
  expect(before.xml).not.toMatch(/smith|jane|0123456|Mill Lane 3|mill-lane-3/i);
  expect(one(before)).toMatchObject({ lat: '50.01', long: '8.01', description: '', address: 'Mill Lane', address_id: '' });
  const publish = (payload: object) => city.http.inject({ method: 'POST', url: `/api/requests/${id}/publish`, headers: { authorization: `Bearer ${city.tokenOf('case_worker')}` }, payload });
  expect((await publish({ published: true, description: 'The fan is loud' })).statusCode).toBe(200);
  const after = await ask(url);
  expect(one(after)['description']).toBe('The fan is loud');
  expect(after.xml).not.toMatch(/smith|jane|0123456/i);
  await publish({ published: false });
  expect(one(await ask(url))['description']).toBe('');
});

test('extensions: notes tell the history, updated_after finds changes, bbox and radius find places', async () => {
  const id = await post({ service_code: 'pothole', lat: '50.5', long: '8.5' });
  city.clock.advance(5_000);
  const cut = new Date(city.clock.nowMs()).toISOString();
  await city.http.inject({ method: 'POST', url: `/api/requests/${id}/decline`, headers: { authorization: `Bearer ${city.tokenOf('case_worker')}` }, payload: { outcome: 'not_ours', sentence: 'It is a state road.' } });
  const shown = one(await ask(`/requests/${id}.FORMAT?extensions=true&locale=en`)) as unknown as { notes: Record<string, string>[]; extended_attributes: Plain };
  expect(shown.notes.map(({ type }) => type)).toEqual(['received', 'declined']);
  expect(shown.notes[1]?.['description']).toBe('It is not in the hands of the city. It is a state road.');
  expect(shown.extended_attributes).toMatchObject({ detailed_status: 'declined', outcome: 'not_ours' });
  expect(ids(await ask(`/requests.FORMAT?updated_after=${cut}`))).toContain(id);
  expect(ids(await ask(`/requests.FORMAT?updated_before=${new Date(city.clock.nowMs() - 1).toISOString()}`))).not.toContain(id);
  expect(ids(await ask('/requests.FORMAT?bbox=8.4,50.4,8.6,50.6'))).toEqual([id]);
  expect(ids(await ask('/requests.FORMAT?lat=50.5001&long=8.5&radius=20'))).toEqual([id]);
  expect(ids(await ask('/requests.FORMAT?lat=50.501&long=8.5&radius=20'))).toEqual([]);
  for (const wrong of ['bbox=1,2,3', 'bbox=9,50,8,51', 'radius=5', 'radius=-1&lat=1&long=1', 'page=0', 'page_size=1001', 'cursor=x', 'updated_after=x']) expect((await ask(`/requests.FORMAT?${wrong}`)).status, wrong).toBe(400);
});

test('the union of all pages and of all windows is every public request, without repeats, while new ones are filed', async () => {
  const town = await startServicesCity();
  const file = async (): Promise<string> => {
    const response = await town.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form(POTHOLE) });
    return response.json<{ service_request_id: string }[]>()[0]?.service_request_id ?? '';
  };
  const read = async (url: string) => {
    const response = await town.http.inject(url);
    expect(response.statusCode, response.body).toBe(200);
    return { rows: response.json<{ service_request_id: string }[]>().map(({ service_request_id }) => service_request_id), next: /<http:\/\/city\.test([^>]+)>/.exec(String(response.headers['link'] ?? ''))?.[1] };
  };
  const all: string[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 2_500 }), { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 7 }), fc.array(fc.boolean(), { maxLength: 6 }), fc.integer({ min: 1, max: 4 }), async (gaps, size, inserts, window_s) => {
      for (const gap of gaps) {
        town.clock.advance(gap);
        all.push(await file());
      }
      const known = [...all];
      // by Link
      const linked: string[] = [];
      let url: string | undefined = `/open311/v2/requests.json?page_size=${size}`;
      for (let n = 0; url !== undefined; n += 1) {
        const page: { rows: string[]; next: string | undefined } = await read(url);
        linked.push(...page.rows);
        if (inserts[n] === true) all.push(await file());
        url = page.next;
      }
      expect(new Set(linked).size).toBe(linked.length);
      expect(linked.slice(0, known.length)).toEqual(known);
      // by number
      const numbered: string[] = [];
      for (let page = 1; ; page += 1) {
        const { rows } = await read(`/open311/v2/requests.json?page=${page}&page_size=${size}`);
        numbered.push(...rows);
        if (inserts[page] === true && page < inserts.length) all.push(await file());
        if (rows.length === 0) break;
      }
      expect(new Set(numbered).size).toBe(numbered.length);
      expect(numbered).toEqual(all.slice(0, numbered.length));
      expect(numbered.length).toBeGreaterThanOrEqual(known.length);
      // by window: [a, a + w − 1 s], [a + w, …]
      const start = Math.floor(Date.parse('2026-11-24T06:00:00Z') / 1_000);
      const end = Math.floor(town.clock.nowMs() / 1_000);
      const windowed: string[] = [];
      const w = Math.max(window_s, Math.ceil((end - start) / 20));
      for (let from = start; from <= end; from += w) {
        const iso = (s: number): string => new Date(s * 1_000).toISOString().replace('.000', '');
        windowed.push(...(await read(`/open311/v2/requests.json?start_date=${iso(from)}&end_date=${iso(from + w - 1)}`)).rows);
      }
      expect(windowed).toEqual(all);
    }),
    { numRuns: 25 },
  );
  await town.close();
});

test('concurrent filing and paging lose nothing: what one page has passed never grows behind it', async () => {
  const town = await startServicesCity();
  const filing = Promise.all(
    Array.from({ length: 60 }, async () => {
      const response = await town.http.inject({ method: 'POST', url: '/open311/v2/requests.json', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form({ ...POTHOLE, first_name: 'A' }) });
      return response.json<{ service_request_id: string }[]>()[0]?.service_request_id ?? '';
    }),
  );
  let filed: string[] | undefined;
  const done = filing.then((result) => void (filed = result));
  const seen: string[] = [];
  let cursor = '';
  while (filed === undefined || seen.length < 60) {
    const response = await town.http.inject(`/open311/v2/requests.json?page_size=3${cursor}`);
    const rows = response.json<{ service_request_id: string; requested_datetime: string }[]>();
    seen.push(...rows.map(({ service_request_id }) => service_request_id));
    if (rows.length > 0) {
      const last = await town.handle.pool.query<{ at: Date; seq: number }>('select filed_at as at, seq from request where id = $1', [rows.at(-1)?.service_request_id]);
      cursor = `&cursor=${last.rows[0]?.at.getTime() ?? 0}.${last.rows[0]?.seq ?? 0}`;
    }
    town.clock.advance(1);
  }
  await done;
  expect([...seen].sort()).toEqual([...(filed ?? [])].sort());
  await town.close();
});

test('2,000 random POSTs get an answer of the right form and never a 5xx', async () => {
  const junk = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 40 }), fc.constantFrom('', '\u0000', '\ud800', '\uFFFE', ']]>', '<a b="c">', '%', '%00', '=&=', '[]', '0', '-0', '1e400', 'NaN', 'null', '__proto__', 'constructor', "'; drop table request; --", 'x'.repeat(5_000)));
  const value = (good: string[]) => fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: junk });
  const field = fc.oneof(
    fc.tuple(fc.constant('service_code'), value(['pothole', 'noise', 'street-light', 'illegal-dumping', 'flooded-street'])),
    fc.tuple(fc.constant('lat'), value(['50', '-34.9', '90', '90.1'])),
    fc.tuple(fc.constant('long'), value(['8', '-56.2', '180', '1e2'])),
    fc.tuple(fc.constantFrom('attribute[FAULT]', 'attribute[WASTE][]', 'attribute[DEPTH_CM]', 'attribute[SINCE]', 'attribute[SOURCE]', 'attribute[DANGER]', 'attribute[__proto__]', 'attribute[', 'attribute[]', 'attribute[x][y]'), value(['out', 'rubble', '12', '2026-01-01T00:00:00Z', 'site'])),
    fc.tuple(fc.constantFrom('description', 'email', 'phone', 'first_name', 'last_name', 'account_id', 'device_id', 'media_url', 'address_string', 'address_id', 'jurisdiction_id', 'api_key', 'locale', 'toString', '__proto__'), value(['a@example.org', 'High Street 10', 'de'])),
    fc.tuple(junk, junk),
  );
  const encode = (text: string): string => encodeURIComponent(text.toWellFormed());
  const body = fc.array(fc.tuple(field, fc.boolean()), { maxLength: 14 }).map((fields) => fields.map(([[name, text], escaped]) => (escaped ? `${encode(name)}=${encode(text)}` : `${name}=${text}`)).join('&'));
  const usual = fc.array(field, { maxLength: 4 }).map((fields) => ['service_code=pothole&lat=50&long=8', ...fields.map(([name, text]) => `${encode(name)}=${encode(text)}`)].join('&'));
  const type = fc.constantFrom('application/x-www-form-urlencoded', 'application/x-www-form-urlencoded; charset=utf-8', 'multipart/form-data; boundary=edge', 'multipart/form-data', 'application/json', 'nonsense', '');
  const counts = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(body, usual), fc.oneof({ weight: 6, arbitrary: fc.constant('application/x-www-form-urlencoded') }, { weight: 1, arbitrary: type }), fc.constantFrom('xml', 'json'), async (payload, contentType, format) => {
      const response = await city.http.inject({ method: 'POST', url: `/open311/v2/requests.${format}`, headers: contentType === '' ? {} : { 'content-type': contentType }, payload });
      counts.set(response.statusCode, (counts.get(response.statusCode) ?? 0) + 1);
      expect([200, 400, 403, 404]).toContain(response.statusCode);
      const document = format === 'json' ? (response.json<Record<string, unknown>[]>()) : (plainOfXml(response.statusCode === 200 ? 'service_requests' : 'errors', Object.values(parser.parse(response.body) as Record<string, unknown>)[1]) as Record<string, unknown>[]);
      expect(document.length).toBeGreaterThan(0);
      for (const entry of document) expect(Object.keys(entry)).toEqual(response.statusCode === 200 ? ['service_request_id', 'service_notice', 'account_id'] : ['code', 'description']);
    }),
    { numRuns: 2_000 },
  );
  // the generator must reach both outcomes, or it proves nothing
  expect(counts.get(200) ?? 0).toBeGreaterThan(100);
  expect(counts.get(400) ?? 0).toBeGreaterThan(100);
  const all = await ask('/requests.FORMAT?extensions=true');
  expect(all.status).toBe(200);
});

test('who asks too often gets 429 with Retry-After, in the format of the path', async () => {
  const strict = await startServicesCity({ ratePerMinute: { read: 3, write: 2 } });
  const send = (format: string) => strict.http.inject({ method: 'POST', url: `/open311/v2/requests.${format}`, headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form(POTHOLE) });
  expect([(await send('json')).statusCode, (await send('json')).statusCode]).toEqual([200, 200]);
  const refused = await send('json');
  expect([refused.statusCode, refused.json<{ code: number }[]>()[0]?.code]).toEqual([429, 429]);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  const other = await strict.http.inject({ method: 'POST', url: '/open311/v2/requests.json', remoteAddress: '192.0.2.7', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: form(POTHOLE) });
  expect(other.statusCode).toBe(200);
  await strict.close();
});
