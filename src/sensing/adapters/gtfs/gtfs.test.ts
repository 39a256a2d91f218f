import fc from 'fast-check';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PbfWriter } from 'pbf';
import { describe, expect, it } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { writeZip } from '../../../../test/zip.ts';
import { Refused } from '../../../kernel/index.ts';
import type { PullContext, SourceBatch } from '../adapter.ts';
import { GtfsOptions, createGtfs } from './gtfs.ts';
import { decodeFeed } from './realtime.ts';
import { readSchedule, readServiceTime } from './schedule.ts';

const FOLDER = join(SHARED_DATA, 'gtfs');
const pull = (gtfs: ReturnType<typeof createGtfs>, schedule: Buffer, message: Buffer, more: Record<string, unknown> = {}): Promise<SourceBatch> => {
  const context: PullContext = { nowMs: () => 0, fetch: async (url) => ({ status: 200, contentType: '', body: url.endsWith('.zip') ? schedule : message }) };
  return (gtfs.pull as NonNullable<typeof gtfs.pull>).read(GtfsOptions.parse({ schedule: 'https://t.test/s.zip', realtime: ['https://t.test/rt.pb'], ...more }), context);
};
const resultsOf = (batch: SourceBatch): Record<string, unknown> => Object.fromEntries(batch.readings.map(({ seriesKey, result }) => [seriesKey, result]));

// a small network in Berlin time: one trip past midnight, one line, stops with quotes and a byte order mark
const TIMETABLE = {
  'agency.txt': 'agency_id,agency_name,agency_url,agency_timezone\nA,"Trams, city",https://t.test,Europe/Berlin\n',
  'stops.txt': '\ufeffstop_lon,stop_id,stop_name,stop_lat\n7.6,s1,"Main ""Square""",51.9\n7.7,s2,Station,51.95\n',
  'routes.txt': 'route_id,route_short_name,route_type\nr1,1,0\nr2,2,3\n',
  'trips.txt': 'trip_id,route_id,service_id\nt1,r1,x\nt2,r1,x\nt3,r2,x\n',
  'stop_times.txt': 'trip_id,arrival_time,departure_time,stop_id,stop_sequence\nt1,23:50:00,23:50:00,s1,1\nt1,25:10:00,25:11:00,s2,2\nt2,08:00:00,08:00:00,s1,1\nt2,,,s2,2\nt3,08:00:00,08:00:00,s1,1\n',
};

interface Call { sequence?: number; stop?: string; time?: number; delay?: number; skipped?: true }
interface Trip { trip?: string; route?: string; day?: string; relation?: number; calls?: Call[] }
interface Alert { id: string; effect: number; cause?: number; route?: string; stop?: string; agency?: string; trip?: string; header?: string }
/** A message as an agency would send it, written by the protobuf library that maps use. */
function message({ timestamp, trips = [], alerts = [], vehicles = 0, differential = false }: { timestamp: number; trips?: Trip[]; alerts?: Alert[]; vehicles?: number; differential?: boolean }): Buffer {
  const pbf = new PbfWriter();
  pbf.writeMessage(1, (_: null, header) => {
    header.writeStringField(1, '2.0');
    header.writeVarintField(2, differential ? 1 : 0);
    header.writeVarintField(3, timestamp);
  }, null);
  for (const [at, trip] of trips.entries()) {
    pbf.writeMessage(2, (_: null, entity) => {
      entity.writeStringField(1, `e${at}`);
      entity.writeMessage(3, (__: null, update) => {
        update.writeMessage(1, (___: null, descriptor) => {
          if (trip.trip !== undefined) descriptor.writeStringField(1, trip.trip);
          if (trip.day !== undefined) descriptor.writeStringField(3, trip.day);
          if (trip.relation !== undefined) descriptor.writeVarintField(4, trip.relation);
          if (trip.route !== undefined) descriptor.writeStringField(5, trip.route);
        }, null);
        for (const call of trip.calls ?? []) {
          update.writeMessage(2, (___: null, stop) => {
            if (call.sequence !== undefined) stop.writeVarintField(1, call.sequence);
            if (call.stop !== undefined) stop.writeStringField(4, call.stop);
            if (call.skipped === true) stop.writeVarintField(5, 1);
            stop.writeMessage(2, (____: null, arrival) => {
              if (call.delay !== undefined) arrival.writeVarintField(1, call.delay);
              if (call.time !== undefined) arrival.writeVarintField(2, call.time);
            }, null);
          }, null);
        }
      }, null);
    }, null);
  }
  for (const alert of alerts) {
    pbf.writeMessage(2, (_: null, entity) => {
      entity.writeStringField(1, alert.id);
      entity.writeMessage(5, (__: null, body) => {
        body.writeMessage(5, (___: null, selector) => {
          if (alert.agency !== undefined) selector.writeStringField(1, alert.agency);
          if (alert.route !== undefined) selector.writeStringField(2, alert.route);
          if (alert.trip !== undefined) selector.writeMessage(4, (____: null, trip) => trip.writeStringField(1, alert.trip ?? ''), null);
          if (alert.stop !== undefined) selector.writeStringField(5, alert.stop);
        }, null);
        if (alert.cause !== undefined) body.writeVarintField(6, alert.cause);
        body.writeVarintField(7, alert.effect);
        if (alert.header !== undefined) body.writeMessage(10, (___: null, text) => text.writeMessage(1, (____: null, one) => one.writeStringField(1, alert.header ?? ''), null), null);
      }, null);
    }, null);
  }
  for (let at = 0; at < vehicles; at += 1) {
    pbf.writeMessage(2, (_: null, entity) => {
      entity.writeStringField(1, `v${at}`);
      entity.writeMessage(4, (__: null, vehicle) => vehicle.writeMessage(8, (___: null, descriptor) => descriptor.writeStringField(3, 'MS-AB 123'), null), null);
    }, null);
  }
  return Buffer.from(pbf.finish());
}
const at = (text: string): number => Date.parse(text) / 1_000;

describe('delays', () => {
  it('are the time against the timetable of the service day, past midnight too', async () => {
    // trip t1 of 23 November calls at s2 at 25:10, which is 00:10 UTC of the 24th
    const update = message({ timestamp: at('2026-11-24T00:00:00Z'), trips: [{ trip: 't1', day: '20261123', calls: [{ sequence: 2, stop: 's2', time: at('2026-11-24T00:13:00Z') }] }] });
    const batch = await pull(createGtfs(), await writeZip(TIMETABLE), update);
    expect(resultsOf(batch)).toEqual({ 'stop/s2/line/r1/delay': 180, 'line/r1/line-delay': 180, 'line/r1/trips-tracked': 1, 'line/r1/trips-late': 0, 'line/r1/trips-cancelled': 0 });
    expect(batch.places.map(({ key, name, geometry }) => [key, name, geometry?.type])).toEqual([['stop/s2', 'Station', 'Point'], ['line/r1', '1', undefined]]);
    expect(new Set(batch.readings.map(({ phenomenonTime }) => phenomenonTime))).toEqual(new Set(['2026-11-24T00:00:00.000Z']));
    const withoutDay = message({ timestamp: at('2026-11-24T00:00:00Z'), trips: [{ trip: 't1', calls: [{ sequence: 2, time: at('2026-11-24T00:13:00Z') }] }] });
    expect(resultsOf(await pull(createGtfs(), await writeZip(TIMETABLE), withoutDay))['stop/s2/line/r1/delay']).toBe(180);
  });

  it('count from noon minus 12 hours on the days of the clock change', async () => {
    const schedule = await readSchedule(await writeZip(TIMETABLE));
    const instant = (day: string, time: string): string => new Date(schedule.instantOf(day, readServiceTime(time) ?? 0) ?? 0).toISOString();
    expect(instant('20260329', '08:00:00')).toBe('2026-03-29T06:00:00.000Z'); // summer time has begun
    expect(instant('20260329', '00:30:00')).toBe('2026-03-28T22:30:00.000Z'); // an hour before local midnight, as GTFS defines it
    expect(instant('20261025', '08:00:00')).toBe('2026-10-25T07:00:00.000Z');
    expect(instant('20261024', '25:10:00')).toBe('2026-10-24T23:10:00.000Z');
    expect(schedule.instantOf('20260230', 0)).toBeNull();
  });

  it('of several trips are one mean; cancelled and skipped ones do not count', async () => {
    const update = message({
      timestamp: at('2026-11-24T06:30:00Z'),
      trips: [
        { trip: 't1', calls: [{ stop: 's2', delay: 600 }] },
        { trip: 't2', day: '20261124', calls: [{ sequence: 1, time: at('2026-11-24T07:00:00Z') }, { stop: 's2', delay: -60 }] },
        { trip: 't3', relation: 3 },
        { trip: 't3', calls: [{ stop: 's1', delay: 9_999, skipped: true }] },
        { trip: 'extra', route: 'r1', relation: 1, calls: [{ stop: 's2', delay: 0 }] },
      ],
    });
    const batch = await pull(createGtfs(), await writeZip(TIMETABLE), update);
    expect(resultsOf(batch)).toEqual({
      'stop/s2/line/r1/delay': 180, 'stop/s1/line/r1/delay': 0,
      'line/r1/line-delay': 200, 'line/r1/trips-tracked': 3, 'line/r1/trips-late': 1, 'line/r1/trips-cancelled': 0,
      'line/r2/trips-tracked': 1, 'line/r2/trips-late': 0, 'line/r2/trips-cancelled': 1,
    });
    expect(batch.readings[0]?.parameters).toEqual({ line: '1', trips: 3 });
  });

  it('without a time or a timetable are refused at their call', async () => {
    const update = message({ timestamp: at('2026-11-24T06:30:00Z'), trips: [{ trip: 'nobody' }, { trip: 't2', calls: [{ sequence: 2, time: at('2026-11-24T07:00:00Z') }, { stop: 's9', delay: 5 }, { stop: 's1', delay: 100_000 }] }] });
    const batch = await pull(createGtfs(), await writeZip(TIMETABLE), update);
    expect(batch.refusals.map(({ at: place, refusal }) => [place, refusal.code])).toEqual([
      ['entity[0].trip_update.trip', 'feed.reference-unknown'],
      ['entity[1].trip_update.stop_time_update[0]', 'feed.reference-unknown'],
      ['entity[1].trip_update.stop_time_update[1].stop_id', 'feed.reference-unknown'],
      ['entity[1].trip_update.stop_time_update[2]', 'feed.value-invalid'],
    ]);
  });
});

describe('alerts', () => {
  it('stand with the time they were first seen and end with NO_EFFECT', async () => {
    const gtfs = createGtfs();
    const zip = await writeZip(TIMETABLE);
    const detour = { id: 'a', effect: 4, cause: 10, route: 'r1', header: 'Works in Main Street' };
    const first = await pull(gtfs, zip, message({ timestamp: 1_000, alerts: [detour, { id: 'b', effect: 1, stop: 's1' }, { id: 'c', effect: 3, agency: 'A' }, { id: 'd', effect: 3, trip: 't3' }] }));
    expect(resultsOf(first)).toEqual({ 'line/r1/alert': 'DETOUR', 'stop/s1/alert': 'NO_SERVICE', 'agency/A/alert': 'SIGNIFICANT_DELAYS', 'line/r2/alert': 'SIGNIFICANT_DELAYS' });
    expect(first.readings[0]?.parameters).toEqual({ alert: 'a', cause: 'CONSTRUCTION', severity: 'UNKNOWN_SEVERITY', header: 'Works in Main Street', line: '1' });
    const second = await pull(gtfs, zip, message({ timestamp: 2_000, alerts: [detour] }));
    expect(second.readings.map(({ seriesKey, phenomenonTime, result }) => [seriesKey, Date.parse(phenomenonTime), result])).toEqual([
      ['line/r1/alert', 1_000_000, 'DETOUR'], ['stop/s1/alert', 2_000_000, 'NO_EFFECT'], ['agency/A/alert', 2_000_000, 'NO_EFFECT'], ['line/r2/alert', 2_000_000, 'NO_EFFECT'],
    ]);
  });
});

describe('vehicles', () => {
  it('are counted and nothing of them is read', async () => {
    const batch = await pull(createGtfs(), await writeZip(TIMETABLE), message({ timestamp: 1_000, vehicles: 3 }));
    expect(batch.readings).toEqual([]);
    expect(batch.refusals).toHaveLength(1);
    expect(batch.refusals[0]?.refusal.code).toBe('feed.single-vehicles');
    expect(batch.refusals[0]?.refusal.detail).toContain('3 vehicles');
    expect(JSON.stringify(batch)).not.toContain('MS-AB');
  });
});

describe('what cannot be read', () => {
  it.each([
    ['a file is missing', { 'agency.txt': TIMETABLE['agency.txt'] }, 'stops.txt'],
    ['a column is missing', { ...TIMETABLE, 'routes.txt': 'route_id\nr1\n' }, 'routes.txt'],
    ['a zone is unknown', { ...TIMETABLE, 'agency.txt': 'agency_id,agency_name,agency_timezone\nA,B,Mars/Olympus\n' }, 'agency.txt'],
    ['a time is not one', { ...TIMETABLE, 'stop_times.txt': 'trip_id,arrival_time,departure_time,stop_id,stop_sequence\nt1,8:0:0,08:00:00,s1,1\n' }, 'stop_times.txt line 2'],
    ['a quote stays open', { ...TIMETABLE, 'stops.txt': 'stop_id,stop_name\ns1,"Main\ns2,x\n' }, 'stops.txt'],
  ])('where %s is named', async (_, files, place) => {
    const error: unknown = await pull(createGtfs(), await writeZip(files), message({ timestamp: 1 })).catch((thrown: unknown) => thrown);
    expect((error as Refused).refusals[0].code).toBe('feed.document-invalid');
    expect((error as Refused).refusals[0].field).toContain(place);
  });

  it('of any bytes is Refused and nothing else', () => {
    const valid = message({ timestamp: 1_000, trips: [{ trip: 't1', calls: [{ stop: 's2', delay: -5 }] }], alerts: [{ id: 'a', effect: 4, header: 'x' }] });
    const attempt = (body: Buffer): void => {
      try {
        decodeFeed(body);
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => attempt(Buffer.from(bytes))), { numRuns: 2_000 });
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), fc.nat(valid.length), (place, byte, end) => {
        const broken = Buffer.from(valid);
        broken[place] = byte;
        attempt(broken);
        attempt(broken.subarray(0, end));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is a difference to an earlier message', async () => {
    await expect(pull(createGtfs(), await writeZip(TIMETABLE), message({ timestamp: 1, differential: true }))).rejects.toMatchObject({ refusals: [{ field: 'header.incrementality' }] });
  });
});

describe.skipIf(!existsSync(FOLDER))('published feeds (../shared/data/gtfs; skipped where that folder is missing)', () => {
  const rt = (name: string): Buffer => readFileSync(join(FOLDER, 'rt', name));
  interface Decoded { header: { timestamp: string; gtfsRealtimeVersion: string }; entity?: Record<string, unknown>[] }
  const numbers = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(numbers);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, (key === 'time' || key === 'timestamp') && typeof member === 'string' ? Number(member) : numbers(member)]));
  };

  it.each(['ct-trip-updates.pb', 'ct-service-alerts.pb', 'ct-vehicle-positions.pb', 'example.pb'])('%s is decoded as others decode it', (name) => {
    const feed = decodeFeed(rt(name));
    const expected = JSON.parse(rt(`${name}.json`).toString('utf8')) as Decoded;
    expect(feed.version).toBe(expected.header.gtfsRealtimeVersion);
    expect(feed.timestamp).toBe(Number(expected.header.timestamp));
    expect(feed.entities).toHaveLength(expected.entity?.length ?? 0);
    for (const [index, entity] of (expected.entity ?? []).entries()) {
      const own = feed.entities[index];
      expect(own?.id).toBe(entity['id']);
      expect(own?.hasVehicle === true).toBe(entity['vehicle'] !== undefined);
      if (entity['tripUpdate'] === undefined) continue;
      const update = Object.fromEntries(Object.entries(entity['tripUpdate'] as object).filter(([key]) => key !== 'vehicle'));
      expect(own?.tripUpdate).toEqual(numbers({ stopTimeUpdate: [], ...update }));
    }
  });

  it('of Caltrain give the delays that the predicted times imply', async () => {
    const batch = await pull(createGtfs(), rt('ct-static.zip'), rt('ct-trip-updates.pb'));
    const decoded = JSON.parse(rt('ct-trip-updates.pb.json').toString('utf8')) as Decoded;
    expect(batch.readings.length).toBeGreaterThan(50);
    expect(batch.refusals.filter(({ refusal }) => refusal.code !== 'feed.reference-unknown')).toEqual([]);
    // the same by hand: every call against the timetable of 7 November, UTC-8
    const { execFileSync } = await import('node:child_process');
    const rows = execFileSync('unzip', ['-p', join(FOLDER, 'rt', 'ct-static.zip'), 'stop_times.txt'], { encoding: 'utf8' }).split('\n').map((row) => row.split(','));
    const planned = new Map(rows.map(([trip, arrival, departure, , sequence]) => [`${trip} ${sequence}`, { arrival, departure }]));
    const secondsOf = (text = ''): number => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
    const delays = new Map<string, number[]>();
    interface Update { trip: { tripId: string; routeId: string }; stopTimeUpdate: { stopId: string; stopSequence: number; arrival?: { time: string }; departure?: { time: string } }[] }
    for (const { trip, stopTimeUpdate } of (decoded.entity ?? []).map((entity) => entity['tripUpdate'] as Update)) {
      for (const call of stopTimeUpdate) {
        const times = planned.get(`${trip.tripId} ${call.stopSequence}`);
        if (times === undefined) continue;
        const delay = Number((call.arrival ?? call.departure)?.time) - Date.parse('2023-11-07T08:00:00Z') / 1_000 - secondsOf(call.arrival === undefined ? times.departure : times.arrival);
        const key = `stop/${call.stopId}/line/${trip.routeId}/delay`;
        delays.set(key, [...(delays.get(key) ?? []), delay]);
      }
    }
    const own = Object.fromEntries([...delays].map(([key, all]) => [key, Math.round((all.reduce((sum, delay) => sum + delay, 0) / all.length) * 10) / 10]));
    expect(Object.fromEntries(batch.readings.filter(({ seriesKey }) => seriesKey.endsWith('/delay')).map(({ seriesKey, result }) => [seriesKey, result]))).toEqual(own);
    expect(Math.max(...Object.values(own).map(Math.abs))).toBeLessThan(7_200); // no day or zone is mistaken
  });

  it('of Heidelberg have every stop and call', async () => {
    const schedule = await readSchedule(readFileSync(join(FOLDER, 'heidelberg-vrn-cut.zip')));
    const { execFileSync } = await import('node:child_process');
    const rows = (file: string): number => execFileSync('unzip', ['-p', join(FOLDER, 'heidelberg-vrn-cut.zip'), file], { encoding: 'utf8', maxBuffer: 1 << 26 }).trim().split('\n').length - 1;
    expect([schedule.stops.size, schedule.routes.size, schedule.callCount]).toEqual([rows('stops.txt'), rows('routes.txt'), rows('stop_times.txt')]);
  });

  it('with files that no standard knows are read all the same', async () => {
    const schedule = await readSchedule(rt('example-static.zip'));
    expect([...schedule.routes.keys()]).toEqual(['AB', 'BFC', 'STBA', 'CITY', 'AAMV']);
    expect(schedule.hasFixedTimes('STBA')).toBe(false);
    expect(schedule.hasFixedTimes('AB1')).toBe(true);
  });
});
