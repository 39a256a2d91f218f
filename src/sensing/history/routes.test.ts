import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parse as parseCsv } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { beforeAll, describe, expect, test } from 'vitest';
import { FULL_THING, openSensorThings, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

let rig: SensorThingsRig;
let stream = 0;
const RESULTS = ['1.0', '-0.0', '12345678901234567890', '0.1', 'null', '"a,\\"b\\"\\nc"', '[1,2.50]', '1e-300'];
const fetchPath = async (path: string): Promise<{ statusCode: number; headers: Record<string, unknown>; body: string; rawPayload: Buffer }> => rig.http.inject({ method: 'GET', url: path });

beforeAll(async () => {
  rig = await openSensorThings();
  const thing = await rig.create('/Things', FULL_THING);
  stream = (await rig.list(`/Things(${thing})/Datastreams`, '@iot.id'))[0] as number;
  for (const [at, result] of RESULTS.entries()) {
    const answer = await rig.send('POST', `/Datastreams(${stream})/Observations`, `{"result": ${result}, "phenomenonTime": "2026-11-24T0${Math.floor(at / 4)}:${String((at % 4) * 10).padStart(2, '0')}:00.250Z"${at === 3 ? ', "parameters": {}, "resultTime": "2026-11-24T05:00:00Z"' : ''}}`);
    expect([result, answer.status]).toEqual([result, 201]);
  }
});

describe('an export', () => {
  test('as CSV has every result as it was sent', async () => {
    const answer = await fetchPath(`/api/export/observations.csv?datastreams=${stream}&from=2026-11-24T00:00:00Z`);
    expect([answer.statusCode, answer.headers['content-type'], answer.headers['content-disposition']]).toEqual([200, 'text/csv; charset=utf-8; header=present', `attachment; filename="observations-${stream}-2026-11-24.csv"`]);
    const rows = parseCsv<Record<string, string>>(answer.body, { columns: true });
    expect(rows.map((row) => row['result'])).toEqual(RESULTS);
    expect(rows[0]).toMatchObject({ datastream: String(stream), phenomenonTime: '2026-11-24T00:00:00.250000Z', phenomenonEnd: '', resultTime: '', valid: 't' });
    expect(rows[3]?.['resultTime']).toBe('2026-11-24T05:00:00.000000Z');
  });

  test('as Parquet is read back by another reader', async () => {
    const answer = await fetchPath('/api/export/observations.parquet');
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/vnd.apache.parquet']);
    const { buffer, byteOffset, length } = answer.rawPayload;
    const rows = await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer });
    expect(rows.map((row): unknown => row['exact'] ?? JSON.stringify(row['number']))).toEqual(RESULTS);
    expect(rows[1]).toMatchObject({ datastream: BigInt(stream), phenomenonTime: new Date('2026-11-24T00:10:00.250Z'), phenomenonEnd: null, valid: true });
    expect(Object.is(rows[1]?.['number'], -0)).toBe(true);
  });

  test('as GeoJSON puts each reading at its place', async () => {
    const answer = await fetchPath(`/api/export/observations.geojson?datastreams=${stream}&to=2026-11-24T01:00:00Z`);
    const { type, features } = JSON.parse(answer.body) as { type: string; features: Json[] };
    expect([answer.headers['content-type'], type, features.length]).toEqual(['application/geo+json', 'FeatureCollection', 4]);
    expect(features[3]).toMatchObject({ geometry: { type: 'Point', coordinates: [11.57, 48.14] }, properties: { datastream: stream, phenomenonTime: '2026-11-24T00:30:00.250Z', resultTime: '2026-11-24T05:00:00.000Z', result: 0.1, valid: true } });
    expect(answer.body).toContain('"result":12345678901234567890');
  });

  test.each([
    ['/api/export/observations.xlsx', 400],
    ['/api/export/observations.csv?datastreams=a', 400],
    ['/api/export/observations.csv?datastreams=99999', 404],
    ['/api/export/observations.csv?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 400],
    ['/api/export/observations.csv?from=yesterday', 400],
    ['/api/export/observations.csv?streams=1', 400],
  ])('%s is refused', async (path, status) => {
    expect((await fetchPath(path)).statusCode).toBe(status);
  });

  test('ends when its client goes away, and the database is asked no longer', async () => {
    await rig.handle.pool.query(`insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select 1000000 + n, $1, '2026-11-20T00:00:00Z'::timestamptz + n * interval '1 second', now(), n, true from generate_series(1, 200000) n`, [stream]);
    const running = async (): Promise<number> => (await rig.handle.pool.query<{ n: number }>(`select count(*) as n from pg_stat_activity where datname = current_database() and state <> 'idle' and query like '%to stdout (format csv)%' and pid <> pg_backend_pid()`)).rows[0]?.n ?? -1;
    if (!rig.http.server.listening) await rig.http.listen({ host: '127.0.0.1', port: 0 });
    const { port } = rig.http.server.address() as AddressInfo;
    const request = get({ port, host: '127.0.0.1', path: '/api/export/observations.csv' });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await once(response, 'data');
    response.pause();
    await expect.poll(running).toBe(1);
    request.destroy();
    await expect.poll(running, { timeout: 10_000 }).toBe(0);
    // and the places of those who went away are free
    for (let n = 0; n < 5; n += 1) expect((await fetchPath(`/api/export/observations.csv?datastreams=${stream}&from=2026-11-24T00:00:00Z`)).statusCode).toBe(200);
  });
});

describe('the history of a datastream', () => {
  test('answers steps and readings', async () => {
    const hours = await fetchPath(`/api/history/datastreams/${stream}?from=2026-11-24T00:00:00Z&to=2026-11-24T06:00:00Z&step=hour`);
    const { buckets, unit } = JSON.parse(hours.body) as { buckets: { from: string; n: number }[]; unit: string };
    expect([unit, buckets.map(({ from, n }) => [from, n])]).toEqual(['m', [['2026-11-24T00:00:00.000Z', 4], ['2026-11-24T01:00:00.000Z', 1]]]);
    const raw = await fetchPath(`/api/history/datastreams/${stream}?from=2026-11-24T00:00:00Z&to=2026-11-24T06:00:00Z&step=raw`);
    expect((JSON.parse(raw.body) as { readings: unknown[]; next: unknown }).readings[3]).toEqual({ at: '2026-11-24T00:30:00.250Z', value: 0.1, valid: true });
  });

  test.each([
    ['/api/history/datastreams/99999?from=2026-11-24T00:00:00Z&to=2026-11-24T06:00:00Z', 404],
    [`/api/history/datastreams/1?from=2026-11-24T00:00:00Z`, 400],
    [`/api/history/datastreams/1?from=2026-11-24T00:00:00Z&to=2026-11-24T06:00:00Z&step=week`, 400],
    [`/api/history/datastreams/1?from=2026-11-24T00:00:00Z&to=2026-11-24T06:00:00Z&timeZone=Mars/Olympus`, 400],
    ['/api/history/days/2026-13-45.csv', 404],
    ['/api/history/days/2026-01-01.csv', 404],
    ['/api/history/days/yesterday.csv', 400],
  ])('%s is refused', async (path, status) => {
    expect((await fetchPath(path)).statusCode).toBe(status);
  });

  test('tells what an observation was before it was corrected, and what is kept', async () => {
    const id = (await rig.list(`/Datastreams(${stream})/Observations?$orderby=phenomenonTime%20desc&$top=1`, '@iot.id'))[0] as number;
    expect((await rig.send('PATCH', `/Observations(${id})`, { result: 7 })).status).toBe(200);
    expect(JSON.parse((await fetchPath(`/api/history/observations/${id}/corrections`)).body)).toMatchObject({ observationId: id, corrections: [{ pseudonym: 'p1', result: '1e-300', valid: true }] });
    expect(JSON.parse((await fetchPath('/api/history')).body)).toMatchObject({ purposes: [{ purpose: 'city-operations', retentionDays: 30 }] });
    expect(JSON.parse((await fetchPath('/api/history/days')).body)).toEqual({ days: [] });
  });
});
