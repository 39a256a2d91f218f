import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';
import { hasMuenster, MUENSTER, readBicycles, readParking, readSites, type Count } from '../muenster.ts';

// Open data of Münster (dl-de/by-2-0), a whole year in local time with both clock changes. Without ../shared/data this is skipped.
if (!hasMuenster) console.log('the year of Münster is skipped: ../shared/data/muenster is not here');

const PURPOSES = `
purposes:
  - id: city-operations
    title: Operating the city's infrastructure
    description: Readings of the city's own installations.
    legal_basis: Public task of the municipality; no personal data is processed
    owner: City IT
    retention_days: 3650
`;
const YEAR = ['2023-01-01', '2024-01-01'] as const;
const ROWS_PER_BLOCK = 5_000;

describe.skipIf(!hasMuenster)('a year of Münster', () => {
  let city: TestCity;
  let token = '';
  beforeAll(async () => {
    city = await startTestCity({ files: { 'purposes.yaml': PURPOSES } });
    token = city.token('administrator');
  });
  afterAll(async () => {
    await city.stop();
    city.remove();
  });

  const get = async (path: string): Promise<any> => {
    const { status, json, text } = await city.call('GET', path);
    if (status !== 200) throw new Error(`${path}: ${String(status)} ${text.slice(0, 300)}`);
    return json;
  };

  async function makeStream(site: string, property: string): Promise<number> {
    const { name, lon, lat } = readSites().get(site) ?? { name: site, lon: 7.62, lat: 51.96 };
    const made = await city.call('POST', '/v1.1/Things', {
      token,
      body: {
        name: name === '' ? site : name,
        description: site,
        Locations: [{ name: site, description: site, encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [Number.isFinite(lon) ? lon : 7.62, Number.isFinite(lat) ? lat : 51.96] } }],
        Datastreams: [{ name: property, description: property, observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_CountObservation', unitOfMeasurement: { name: 'one', symbol: '1', definition: 'ucum:1' }, properties: { purpose: 'city-operations', interval_s: 900 }, Sensor: { name: site, description: site, encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: property, definition: `http://example.org/${property}`, description: property } }],
      },
    });
    expect(made.status).toBe(201);
    return (await get(`/v1.1/Things(${String(made.json['@iot.id'])})/Datastreams?$select=id`)).value[0]['@iot.id'] as number;
  }

  async function send(counts: readonly Count[], ids: ReadonlyMap<string, number>): Promise<number> {
    let taken = 0;
    for (const [site, readings] of Map.groupBy(counts, (count) => count.site)) {
      for (let from = 0; from < readings.length; from += ROWS_PER_BLOCK) {
        const rows = readings.slice(from, from + ROWS_PER_BLOCK).map(({ atMs, value }) => [new Date(atMs).toISOString(), value]);
        const { status, json } = await city.call('POST', '/v1.1/CreateObservations', { token, body: [{ Datastream: { '@iot.id': ids.get(site) }, components: ['phenomenonTime', 'result'], dataArray: rows }] });
        expect(status).toBe(201);
        taken += (json as string[]).filter((answer) => answer.startsWith('http')).length;
      }
    }
    return taken;
  }

  const berlin = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Europe/Berlin' });
  const localDay = (atMs: number): string => berlin.format(atMs);

  test('bicycles: every count is there, and each station’s days and hours add up to the unit', async () => {
    // sums straight from the text of the file, whose days are local: independent of every reading of times here
    const lines = gunzipSync(readFileSync(join(MUENSTER, 'bike-15min-2023.csv.gz'))).toString('utf8').trim().split(/\r?\n/).slice(1);
    const byDay = new Map<string, { n: number; sum: number }>();
    for (const line of lines) {
      const [local = '', station = '', count = ''] = line.split(',');
      if (count === '' || local >= '2024') continue;
      const key = `${station} ${local.slice(0, 10)}`;
      const entry = byDay.get(key) ?? { n: 0, sum: 0 };
      byDay.set(key, { n: entry.n + 1, sum: entry.sum + Number(count) });
    }
    const counts = readBicycles('bike-15min-2023.csv.gz', ...YEAR);
    const stations = [...new Set(counts.map(({ site }) => site))];
    const ids = new Map<string, number>();
    for (const station of stations) ids.set(station, await makeStream(station, `bicycles-${station}`));
    expect(await send(counts, ids)).toBe(counts.length);

    for (const station of stations) {
      const id = String(ids.get(station));
      const days = await get(`/api/history/datastreams/${id}?from=2022-12-31T23:00:00Z&to=2023-12-31T23:00:00Z&step=day&timeZone=Europe/Berlin`);
      const seen = new Map<string, { n: number; sum: number }>((days.buckets as { from: string; n: number; sum: number }[]).map(({ from, n, sum }) => [`${station} ${localDay(Date.parse(from))}`, { n, sum }]));
      const wanted = new Map([...byDay].filter(([key]) => key.startsWith(`${station} `)));
      expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(wanted));
      const total = [...wanted.values()].reduce((sum, { n }) => sum + n, 0);
      expect((await get(`/v1.1/Datastreams(${id})/Observations?$count=true&$top=0`))['@iot.count']).toBe(total);
    }
    // the day of autumn has 25 hours and the day of spring 23, and the repeated hour is two different hours
    const id = String(ids.get(stations[0] as string));
    const hoursOf = async (from: string, to: string): Promise<number> => ((await get(`/api/history/datastreams/${id}?from=${from}&to=${to}&step=hour`)).buckets as unknown[]).length;
    const own = counts.filter(({ site }) => site === stations[0]);
    const present = (day: string): number => new Set(own.filter(({ atMs }) => localDay(atMs) === day).map(({ atMs }) => Math.floor(atMs / 3_600_000))).size;
    expect(await hoursOf('2023-10-28T22:00:00Z', '2023-10-29T23:00:00Z')).toBe(present('2023-10-29'));
    expect(await hoursOf('2023-03-25T23:00:00Z', '2023-03-26T22:00:00Z')).toBe(present('2023-03-26'));

    // the same year again changes nothing
    const before = (await get('/v1.1/Observations?$count=true&$top=0'))['@iot.count'] as number;
    expect(await send(counts.slice(0, 20_000), ids)).toBe(20_000);
    expect((await get('/v1.1/Observations?$count=true&$top=0'))['@iot.count']).toBe(before);
  });

  test('car parks: the sum of all free spaces of the year is right, by the standard’s own queries', async () => {
    const counts = readParking('parking-2023.csv.gz', ...YEAR);
    const sites = [...new Set(counts.map(({ site }) => site))];
    const ids = new Map<string, number>();
    for (const site of sites) ids.set(site, await makeStream(site, `parking-${String(sites.indexOf(site))}`));
    expect(await send(counts, ids)).toBe(counts.length);
    // one car park page by page with next links, so that the standard's own way gives the same sum
    const site = sites[0] as string;
    let link: string | undefined = `${city.url}/v1.1/Datastreams(${String(ids.get(site))})/Observations?$resultFormat=dataArray&$top=1000&$select=phenomenonTime,result`;
    let rows = 0;
    let sum = 0;
    while (link !== undefined) {
      const page: any = await get(link);
      for (const block of page.value) {
        const at = (block.components as string[]).indexOf('result');
        for (const row of block.dataArray as unknown[][]) {
          rows += 1;
          sum += row[at] as number;
        }
      }
      link = page['@iot.nextLink'] as string | undefined;
    }
    const wanted = counts.filter((count) => count.site === site);
    expect([rows, sum]).toEqual([wanted.length, wanted.reduce((total, { value }) => total + value, 0)]);
    for (const other of sites) {
      const { buckets } = await get(`/api/history/datastreams/${String(ids.get(other))}?from=2022-12-31T23:00:00Z&to=2023-12-31T23:00:00Z&step=day&timeZone=Europe/Berlin`);
      const own = counts.filter((count) => count.site === other);
      expect((buckets as { n: number; sum: number }[]).reduce((total, { n, sum: part }) => [total[0] + n, total[1] + part] as [number, number], [0, 0] as [number, number])).toEqual([own.length, own.reduce((total, { value }) => total + value, 0)]);
    }
  });
});
