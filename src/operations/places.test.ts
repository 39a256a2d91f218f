import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { memoryBrain, memorySensing, reading, startRoom, stream, type Room } from '../../test/room.ts';
import type { Places, Readings } from '../contracts/place.ts';
import { distanceM } from '../kernel/index.ts';
import { boxAround } from './joining.ts';
import { POINTS_MAX, feedsOf, readPlaces, readPoints, staleAfterMs, windowMs } from './places.ts';

const NO_REFUSALS = { refusedOf: () => 0 };
const T = Date.parse('2026-11-24T03:00:00Z');

test('a place shows the worst state of its streams and is stale once all of them are', async () => {
  const sensing = memorySensing();
  const brain = memoryBrain();
  sensing.addStream(stream(1, { thingId: 10, placeName: 'Weir' }));
  sensing.addStream(stream(2, { thingId: 10, placeName: 'Weir', property: 'flow', interval_s: 600 }));
  sensing.addStream(stream(3, { thingId: 11, point: null }));
  sensing.take([reading(1, T - 100_000, 312), reading(2, T - 100_000, 4.5)]);
  brain.set(2, 'unknown', T);
  const { places } = await readPlaces(sensing, brain, T, null);
  expect(places).toHaveLength(1);
  expect(places[0]).toMatchObject({ id: 10, name: 'Weir', state: 'unknown', stale: false });
  expect(places[0]?.streams.map(({ id, value, stale, state }) => [id, value, stale, state])).toEqual([
    [1, 312, false, 'ok'],
    [2, 4.5, false, 'unknown'],
  ]);
  brain.set(1, 'warning', T);
  const later = await readPlaces(sensing, brain, T + 200_000, null);
  expect(later.places[0]).toMatchObject({ state: 'warning', stale: false });
  expect((await readPlaces(sensing, brain, T + 4_000_000, null)).places[0]).toMatchObject({ state: 'warning', stale: true });
  expect(later.places[0]?.streams.map(({ stale }) => stale)).toEqual([true, false]);
});

test('a stream is stale after four intervals and at least two minutes, and one that never sent is stale', async () => {
  expect(staleAfterMs(stream(1, { interval_s: 10 }))).toBe(120_000);
  expect(staleAfterMs(stream(1, { interval_s: 60 }))).toBe(240_000);
  const sensing = memorySensing();
  sensing.addStream(stream(1));
  expect((await readPlaces(sensing, memoryBrain(), T, null)).places[0]?.streams[0]).toMatchObject({ stale: true, value: null, at: null });
  expect(feedsOf(sensing, NO_REFUSALS, T)).toEqual([{ id: 'river_gauge', label: 'River gauge', streams: 1, stale: 1, age_s: null, per_minute: 1, refused: 0, state: 'empty' }]);
});

test('what came from an imported file is never stale and is no feed', async () => {
  const sensing = memorySensing();
  sensing.addStream(stream(1, { isArchive: true }));
  sensing.take([reading(1, T - 90 * 86_400_000, 7)]);
  expect((await readPlaces(sensing, memoryBrain(), T, null)).places[0]).toMatchObject({ stale: false });
  expect(feedsOf(sensing, NO_REFUSALS, T)).toEqual([]);
});

test('a past moment shows what had arrived by then, not what was measured before it and came later', async () => {
  const sensing = memorySensing();
  const brain = memoryBrain();
  sensing.addStream(stream(1));
  sensing.take([reading(1, T, 100), { ...reading(1, T + 10_000, 200), arrivalMs: T + 60_000 }]);
  brain.set(1, 'warning', T + 60_000);
  const at = async (atMs: number): Promise<Places> => readPlaces(sensing, brain, T + 90_000, atMs);
  expect((await at(T + 30_000)).places[0]).toMatchObject({ state: 'ok', streams: [{ value: 100 }] });
  expect((await at(T + 60_000)).places[0]).toMatchObject({ state: 'warning', streams: [{ value: 200 }] });
});

test('feeds tell live, late, stale and empty apart', () => {
  const sensing = memorySensing();
  for (const id of [1, 2]) sensing.addStream(stream(id));
  sensing.take([reading(1, T, 1), reading(2, T, 1)]);
  expect(feedsOf(sensing, NO_REFUSALS, T)[0]).toMatchObject({ state: 'live', stale: 0, age_s: 0 });
  sensing.take([reading(1, T + 300_000, 1)]);
  expect(feedsOf(sensing, NO_REFUSALS, T + 301_000)[0]).toMatchObject({ state: 'late', stale: 1, age_s: 1 });
  expect(feedsOf(sensing, NO_REFUSALS, T + 900_000)[0]).toMatchObject({ state: 'stale', stale: 2, age_s: 600 });
  sensing.addStream(stream(3, { purpose: 'bathing-water' }));
  const refusals: Record<string, number> = { 'river-watch': 3, 'bathing-water': 4, 'air-quality': 100 };
  expect(feedsOf(sensing, { refusedOf: (purpose) => refusals[purpose] ?? 0 }, T)[0]).toMatchObject({ refused: 7 });
});

test('more than 5,000 readings come as means of equal windows that lose none and invent none', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: POINTS_MAX + 1, max: 12_000 }), fc.integer({ min: 1, max: 400 }), async (count, step) => {
      const sensing = memorySensing();
      const info = stream(1);
      sensing.addStream(info);
      sensing.take(Array.from({ length: count }, (_, n) => reading(1, T + n * step, n, n % 7 !== 0)));
      const toMs = T + count * step;
      const result = await readPoints(sensing, info, T, toMs);
      if (!result.ok) throw new Error(result.refusal.detail);
      const { points, window_ms } = result.value;
      expect(points.length).toBeLessThanOrEqual(POINTS_MAX);
      expect(window_ms).toBe(windowMs(T, toMs));
      for (const [at, [startMs, mean]] of points.entries()) {
        expect(startMs).toBe(T + at * window_ms);
        const within: number[] = [];
        for (let n = Math.ceil((startMs - T) / step); n < count && T + n * step < startMs + window_ms; n += 1) if (n % 7 !== 0) within.push(n);
        if (within.length === 0) expect(mean).toBeNull();
        else expect(mean).toBeCloseTo(within.reduce((a, b) => a + b, 0) / within.length, 6);
      }
    }),
    { numRuns: 8 },
  );
});

test('readings that share an instant at the border of a page are counted once', async () => {
  const sensing = memorySensing();
  const info = stream(1);
  sensing.addStream(info);
  // 60,000 readings on 20,000 instants: a page of 50,000 ends within an instant
  sensing.take(Array.from({ length: 60_000 }, (_, n) => reading(1, T + Math.floor(n / 3) * 1_000, 1 + (n % 3))));
  const result = await readPoints(sensing, info, T, T + 20_000_000);
  expect(result.ok && result.value.points.every(([, value]) => value === 2)).toBe(true);
});

test('the box around a point holds every point within the radius', () => {
  fc.assert(
    fc.property(
      fc.double({ min: -179, max: 179, noNaN: true }),
      fc.double({ min: -89, max: 89, noNaN: true }),
      fc.double({ min: 0, max: 2 * Math.PI, noNaN: true }),
      (lon, lat, bearing) => {
        const box = boxAround([lon, lat], 60);
        const dLat = (Math.cos(bearing) * 59) / 111_195;
        const dLon = (Math.sin(bearing) * 59) / (111_195 * Math.cos((lat * Math.PI) / 180));
        const point = [lon + dLon, lat + dLat] as const;
        if (distanceM([lon, lat], point) > 60) return;
        expect(point[0] >= box.west && point[0] <= box.east && point[1] >= box.south && point[1] <= box.north).toBe(true);
      },
    ),
  );
});

let room: Room;
beforeAll(async () => {
  room = await startRoom(await freshDatabase());
  return () => room.close();
});

test('readings are answered by HTTP as they are, with null for a bad one, and wrong questions name the field', async () => {
  room.sensing.addStream(stream(5));
  room.sensing.take([reading(5, T, 1), reading(5, T + 1_000, 2, false), reading(5, T + 2_000, 3)]);
  const answer = await room.http.inject('/api/datastreams/5/readings?from=2026-11-24T03:00:00Z&to=2026-11-24T03:00:02Z');
  expect(answer.json<Readings>()).toEqual({
    datastreamId: 5,
    unit: 'cm',
    label: 'Water level 5',
    window_ms: 0,
    points: [
      [T, 1],
      [T + 1_000, null],
    ],
  });
  expect((await room.http.inject('/api/datastreams/6/readings')).json()).toMatchObject({ status: 404, field: 'id' });
  expect((await room.http.inject('/api/datastreams/5/readings?from=2026-11-24T03:00:00Z&to=2026-11-24T03:00:00Z')).json()).toMatchObject({ status: 400, field: 'from' });
  expect((await room.http.inject('/api/places?at=yesterday')).json()).toMatchObject({ status: 400, code: 'http.invalid', field: 'at' });
});
