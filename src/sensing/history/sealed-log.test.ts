import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { temporaryFolder } from '../../../test/log-folder.ts';
import { seedStreams } from '../../../test/streams.ts';
import { ANONYMOUS } from '../../contracts/principal.ts';
import { manualClock, systemClock, systemRandom } from '../../kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger } from '../../platform/index.ts';
import { createTrust } from '../../trust/index.ts';
import { openHistory, registerHistoryRoutes } from './index.ts';

test('a sealed day can be checked by anybody against the leaf in the log', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const bus = await createBus(handle, systemClock, silentLogger);
  const trust = await createTrust({ handle, bus, clock: systemClock, random: systemRandom, logger: silentLogger, metrics: createMetrics(), dataFolder: temporaryFolder(), purposesYaml: null, publicUrl: undefined });
  const history = openHistory({ handle, clock: manualClock(Date.parse('2026-11-24T06:00:00Z')), logger: silentLogger, metrics: createMetrics(), purposes: trust.purposes, partitions: { forget: () => undefined }, seal_after_days: 35, log: trust.log });
  const http = await buildHttp({ logger: silentLogger, authenticate: async () => ANONYMOUS, authorize: (principal, action) => trust.authorize(principal, action) });
  registerHistoryRoutes(http, { history, handle, streams: () => new Map(), latest: () => undefined, clock: manualClock(0) });
  await trust.registerRoutes(http);
  onTestFinished(async () => {
    await http.close();
    await history.close();
    await trust.close();
    await bus.close();
  });
  await handle.pool.query(`insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select n, $1, '2026-09-01T00:00:00Z'::timestamptz + n * interval '1 hour', now(), n / 10.0, true from generate_series(1, 30) n`, [stream]);
  expect(await history.seal()).toEqual(['2026-09-01', '2026-09-02']);

  const csv = await http.inject('/api/history/days/2026-09-01.csv');
  const hash = createHash('sha256').update(csv.rawPayload).digest('hex');
  expect([csv.statusCode, csv.headers['x-content-sha256'], csv.body.split('\n').length]).toEqual([200, hash, 25]);
  const { sha256, leaf } = (await http.inject('/api/history/days/2026-09-01.json')).json<{ sha256: string; leaf: { index: number; nonce: string; body: string } }>();
  expect([sha256, JSON.parse(leaf.body)]).toEqual([hash, { day: '2026-09-01', observations: 23, bytes: csv.rawPayload.length, sha256: hash }]);
  // the leaf, as it stands in the log's own files (tlog-tiles: entries with a 16-bit length before each)
  const commit = createHash('sha256').update(Buffer.from(leaf.nonce, 'hex')).update(leaf.body).digest('hex');
  const bundle = (await http.inject(`/log/tile/entries/000.p/${String(trust.log.status().size)}`)).rawPayload;
  const leaves: { kind: string; commit: string }[] = [];
  for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) leaves.push(JSON.parse(bundle.toString('utf8', at + 2, at + 2 + bundle.readUInt16BE(at))) as { kind: string; commit: string });
  expect(leaves[leaf.index]).toMatchObject({ kind: 'history.sealed', commit });
  expect((await http.inject('/api/history/days')).json()).toMatchObject({ days: [{ day: '2026-09-02', logIndex: leaf.index + 1 }, { day: '2026-09-01', logIndex: leaf.index, sha256: hash }] });
});
