import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { Refused } from '../../../kernel/index.ts';
import type { PullContext, SourceBatch } from '../adapter.ts';
import { GbfsOptions, createGbfs } from './gbfs.ts';

const FOLDER = join(SHARED_DATA, 'gbfs', 'v2.3');
const T = Date.parse('2026-11-24T06:00:00Z');

/** A system whose documents are served from `documents` by the last part of the address. */
function serve(documents: Readonly<Record<string, unknown>>): { asked: string[]; context: PullContext; nowMs: number } {
  const served = { asked: [] as string[], nowMs: T, context: null as unknown as PullContext };
  served.context = {
    nowMs: () => served.nowMs,
    fetch: async (url) => {
      const name = url.split('/').at(-1) ?? '';
      served.asked.push(name);
      const document = documents[name];
      if (document === undefined) throw new Refused({ code: 'http.not-found', detail: 'There is no such document.' });
      return { status: 200, contentType: 'application/json', body: Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)) };
    },
  };
  return served;
}
const pull = (gbfs: ReturnType<typeof createGbfs>, context: PullContext, options: Record<string, unknown> = {}): Promise<SourceBatch> => (gbfs.pull as NonNullable<typeof gbfs.pull>).read(GbfsOptions.parse({ url: 'https://bikes.test/gbfs.json', ...options }), context);

const feeds = (...names: string[]): { name: string; url: string }[] => names.map((name) => ({ name, url: `https://bikes.test/${name}` }));
const VERSION_3 = {
  'gbfs.json': { last_updated: '2026-11-24T06:00:00Z', ttl: 60, version: '3.0', data: { feeds: feeds('station_information', 'station_status', 'vehicle_status') } },
  station_information: { last_updated: '2026-11-24T06:00:00Z', ttl: 60, version: '3.0', data: { stations: [{ station_id: 's1', name: [{ text: 'Castle', language: 'en' }, { text: 'Schloss', language: 'de-DE' }], lat: 51.96, lon: 7.61, capacity: 20 }] } },
  station_status: {
    last_updated: '2026-11-24T06:00:00Z', ttl: 120, version: '3.0',
    data: { stations: [{ station_id: 's1', is_installed: true, is_renting: false, is_returning: true, last_reported: '2026-11-24T06:59:30+01:00', num_vehicles_available: 0, num_vehicles_disabled: 2, num_docks_available: 18, vehicle_types_available: [{ vehicle_type_id: 'cargo', count: 0 }] }] },
  },
};

describe('a system of version 3.0', () => {
  it('gives counts and truths of its stations in the wanted language, also 0 and false', async () => {
    const { context, asked } = serve(VERSION_3);
    const batch = await pull(createGbfs(), context, { language: 'de', by_vehicle_type: true });
    expect(asked).toEqual(['gbfs.json', 'station_information', 'station_status']); // never vehicle_status
    expect(batch.places).toEqual([{ key: 's1', name: 'Schloss', kind: 'bike-station', geometry: { type: 'Point', coordinates: [7.61, 51.96] }, properties: { capacity: 20 } }]);
    expect(Object.fromEntries(batch.readings.map(({ seriesKey, result }) => [seriesKey, result]))).toEqual({ 's1/vehicles-available': 0, 's1/vehicles-disabled': 2, 's1/docks-available': 18, 's1/renting': false, 's1/returning': true, 's1/installed': true, 's1/vehicles-available/cargo': 0 });
    expect(new Set(batch.readings.map(({ phenomenonTime }) => phenomenonTime))).toEqual(new Set(['2026-11-24T05:59:30.000Z']));
    expect(batch.refusals).toMatchObject([{ at: 'gbfs.json vehicle_status', refusal: { code: 'feed.single-vehicles' } }]);
  });

  it('is not asked again before its ttl has passed', async () => {
    const served = serve(VERSION_3);
    const gbfs = createGbfs();
    await pull(gbfs, served.context);
    served.nowMs += 119_000;
    expect((await pull(gbfs, served.context)).readings).toEqual([]);
    expect(served.asked).toHaveLength(3);
    served.nowMs += 1_000;
    expect((await pull(gbfs, served.context)).readings).toHaveLength(6);
  });

  it('loses one station with a wrong value, not the others', async () => {
    const status = structuredClone(VERSION_3.station_status);
    status.data.stations.push({ ...(status.data.stations[0] as (typeof status.data.stations)[0]), station_id: 'unknown' }, { ...(status.data.stations[0] as (typeof status.data.stations)[0]), num_vehicles_available: -1 });
    const batch = await pull(createGbfs(), serve({ ...VERSION_3, station_status: status }).context);
    expect(batch.readings).toHaveLength(6);
    expect(batch.refusals.map(({ at, refusal }) => [at, refusal.code]).slice(0, 2)).toEqual([['station_status data.stations[1].station_id', 'feed.reference-unknown'], ['station_status data.stations[2].num_vehicles_available', 'feed.value-invalid']]);
  });

  it.each([
    ['HTML', { ...VERSION_3, 'gbfs.json': '<html>' }],
    ['a version to come', { ...VERSION_3, 'gbfs.json': { ...VERSION_3['gbfs.json'], version: '4.0' } }],
    ['no stations', { ...VERSION_3, 'gbfs.json': { version: '3.0', data: { feeds: feeds('vehicle_status') } } }],
    ['a list for an object', { ...VERSION_3, station_status: { data: [] } }],
  ])('with %s is refused', async (_, documents) => {
    await expect(pull(createGbfs(), serve(documents).context)).rejects.toMatchObject({ refusals: [{ code: 'feed.document-invalid' }] });
  });

  it('of any JSON is read or refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (stations, one) => {
        const documents = { ...VERSION_3, station_status: { last_updated: 1, data: { stations } }, station_information: { data: { stations: [one, { station_id: 's1', name: one, lat: 1, lon: 1 }] } } };
        await pull(createGbfs(), serve(documents).context).catch((error: unknown) => expect(error).toBeInstanceOf(Refused));
      }),
      { numRuns: 200 },
    );
  });
});

describe.skipIf(!existsSync(FOLDER))('the published example of 2.3 (../shared/data/gbfs; skipped where that folder is missing)', () => {
  it('gives both stations', async () => {
    const read = (name: string): string => readFileSync(join(FOLDER, `${name}.json`), 'utf8');
    const { context, asked } = serve({ 'gbfs.json': read('gbfs'), station_information: read('station_information'), station_status: read('station_status') });
    const batch = await pull(createGbfs(), context);
    expect(asked).not.toContain('free_bike_status');
    expect(batch.places.map(({ name }) => name)).toEqual(['Cool bikes', 'Cooler bikes']);
    expect(batch.readings.filter(({ seriesKey }) => seriesKey.endsWith('-available')).map(({ seriesKey, result }) => [seriesKey, result])).toEqual([
      ['TST:Station:1/vehicles-available', 1], ['TST:Station:1/docks-available', 3], ['TST:Station:2/vehicles-available', 6], ['TST:Station:2/docks-available', 8],
    ]);
    expect(batch.readings[0]?.phenomenonTime).toBe(new Date(1_751_437_263_000).toISOString());
  });
});
