import { expect, onTestFinished, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { ANONYMOUS } from '../../contracts/principal.ts';
import type { StreamInfo } from '../../contracts/reading.ts';
import { LatestReadings } from '../../contracts/history.ts';
import { manualClock } from '../../kernel/index.ts';
import { buildHttp, createMetrics, silentLogger } from '../../platform/index.ts';
import { openHistory, registerHistoryRoutes } from './index.ts';

test('the newest readings come at once, of all datastreams or of some', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions: { forget: () => undefined }, seal_after_days: 0, log: undefined });
  const http = await buildHttp({ logger: silentLogger, authenticate: async () => ANONYMOUS, authorize: () => true });
  const at = Date.parse('2026-11-24T05:59:00.123Z');
  const newest = new Map([[1, { datastreamId: 1, phenomenonMs: at, arrivalMs: at, value: 0, valid: true }], [2, { datastreamId: 2, phenomenonMs: at, arrivalMs: at, value: null, valid: false }]]);
  registerHistoryRoutes(http, { history, handle, streams: () => new Map([1, 2, 3].map((id) => [id, { id } as StreamInfo])), latest: (id) => newest.get(id), clock });
  onTestFinished(async () => {
    await http.close();
    await history.close();
  });
  const get = async (query: string) => http.inject(`/api/latest${query}`);
  const all = LatestReadings.parse((await get('')).json());
  expect(all).toEqual({ asOf: '2026-11-24T06:00:00.000Z', readings: [{ datastreamId: 1, at: '2026-11-24T05:59:00.123Z', value: 0, valid: true }, { datastreamId: 2, at: '2026-11-24T05:59:00.123Z', value: null, valid: false }] });
  expect(LatestReadings.parse((await get('?datastreams=2,3')).json()).readings.map(({ datastreamId }) => datastreamId)).toEqual([2]);
  expect((await get('?datastreams=9')).statusCode).toBe(404);
  expect((await get('?datastreams=x')).statusCode).toBe(400);
});
