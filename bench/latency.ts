// Reading → warning on a console: how long from sending a reading that trips a rule to its incident on the live stream,
// while 2,000 readings a second come in. Prints p50, p99 and the ratio to the bound.
import { startTestCity } from '../test/city.ts';

const RATE_PER_S = 2_000;
const PLACES = 300;
const BATCH_MS = 50;
const BOUND_P99_MS = 500;

const city = await startTestCity({
  files: {
    'purposes.yaml': `purposes:
  - id: water-safety
    title: Water safety
    description: Levels of rivers and drains, to warn in time.
    legal_basis: Public task
    owner: Water office
    retention_days: 30
`,
    'rules.yaml': `- rule: level-high
  title: Level high
  why: A benchmark needs a rule that trips at once.
  owner: Bench
  purpose: water-safety
  watch: {observe: level, at: river_gauge}
  when: level.now() > m(5)
  clear: level.now() < m(4)
  severity: severe
`,
  },
});
try {
  const admin = city.token('administrator');
  const device = city.token('device');
  const operator = city.token('operator');
  for (let from = 0; from < PLACES; from += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, k) =>
        city.call('POST', '/v1.1/Things', {
          token: admin,
          body: {
            name: `Gauge ${from + k}`,
            description: 'Gauge',
            properties: { kind: 'river_gauge' },
            Locations: [{ name: 'here', description: '', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [-56 - (from + k) / 1000, -34.9] } }],
            Datastreams: [
              {
                name: 'Level',
                description: '',
                observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement',
                unitOfMeasurement: { name: 'metre', symbol: 'm', definition: '' },
                properties: { purpose: 'water-safety', interval_s: 60 },
                Sensor: { name: 'Radar', description: '', encodingType: 'text/plain', metadata: '' },
                ObservedProperty: { name: 'level', definition: 'https://example.org/level', description: '', properties: { key: 'level' } },
              },
            ],
          },
        }),
      ),
    );
  }
  const listed = await city.call('GET', `/v1.1/Datastreams?$select=id&$expand=Thing($select=name)&$top=${PLACES}`);
  const ids: { id: number; place: string }[] = listed.json.value.map((row: any) => ({ id: row['@iot.id'], place: row.Thing.name }));

  const sentMs = new Map<string, number>();
  const seenMs: number[] = [];
  const live = await fetch(`${city.url}/live?topics=incident`, { headers: { authorization: `Bearer ${operator}` } });
  void (async () => {
    let text = '';
    for await (const chunk of live.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const frame = text.slice(0, end);
        text = text.slice(end + 2);
        const data = /^data: ?(.*)$/m.exec(frame)?.[1];
        if (!/^event: ?incident$/m.test(frame) || data === undefined) continue;
        const { incident } = JSON.parse(data) as { incident: { placeName: string } };
        const sent = sentMs.get(incident.placeName);
        if (sent === undefined) continue;
        seenMs.push(performance.now() - sent);
        sentMs.delete(incident.placeName);
      }
    }
  })().catch(() => undefined); // the stream ends with the city

  const perBatch = (RATE_PER_S * BATCH_MS) / 1000;
  let next = 0;
  let sent = 0;
  const startedMs = performance.now();
  const pending: Promise<unknown>[] = [];
  while (next < PLACES) {
    const nowMs = Date.now();
    const rows = Array.from({ length: perBatch }, (_, k) => ({ id: ids[(sent + k) % ids.length]?.id, value: 2 + ((sent + k) % 100) / 100 }));
    sent += perBatch;
    // every second batch trips one more place
    const trip = (sent / perBatch) % 2 === 0 ? ids[next] : undefined;
    if (trip !== undefined) {
      next += 1;
      rows.push({ id: trip.id, value: 6 });
      sentMs.set(trip.place, performance.now());
    }
    const byStream = new Map<number, [string, number][]>();
    rows.forEach(({ id, value }, k) => {
      const list = byStream.get(id ?? 0) ?? [];
      list.push([new Date(nowMs + (k % 50) / 1).toISOString(), value]);
      byStream.set(id ?? 0, list);
    });
    pending.push(
      city.call('POST', '/v1.1/CreateObservations', { token: device, body: [...byStream].map(([id, dataArray]) => ({ Datastream: { '@iot.id': id }, components: ['phenomenonTime', 'result'], dataArray })) }),
    );
    const dueMs = startedMs + (sent / RATE_PER_S) * 1000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
  }
  await Promise.all(pending);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  seenMs.sort((a, b) => a - b);
  const at = (share: number): number => seenMs[Math.min(seenMs.length - 1, Math.floor(seenMs.length * share))] ?? Number.NaN;
  const rate = sent / ((performance.now() - 2_000 - startedMs) / 1000);
  console.log(`reading → console at ${rate.toFixed(0)} readings/s: ${seenMs.length} of ${PLACES} seen, p50 ${at(0.5).toFixed(0)} ms, p99 ${at(0.99).toFixed(0)} ms, ratio to the bound of ${BOUND_P99_MS} ms ${(at(0.99) / BOUND_P99_MS).toFixed(2)}`);
  if (seenMs.length !== PLACES || at(0.99) > BOUND_P99_MS) process.exitCode = 1;
} finally {
  await city.stop();
  city.remove();
}
