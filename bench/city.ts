// The whole city under load: CreateObservations and single POSTs through gate, rules, warnings and live, in the process
// that npm start runs. One in ten of 1,000 datastreams is watched by two rules. Prints what bench/ingest.ts prints.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, startTestCity } from '../test/city.ts';

const PLACES = 1_000;
const AT_ONCE = 25;
const read = (name: string): string => readFileSync(join(ROOT, 'demo', 'city', name), 'utf8');

const city = await startTestCity({ files: { 'purposes.yaml': read('purposes.yaml'), 'rules.yaml': read('rules.yaml'), 'playbooks.yaml': read('playbooks.yaml') } });
try {
  const token = city.token('administrator');
  for (let from = 0; from < PLACES; from += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, k) => {
        const watched = (from + k) % 10 === 0;
        const property = watched ? 'level' : 'fill';
        const { status, text } = await city.call('POST', '/v1.1/Things', {
          token,
          body: {
            name: `Place ${from + k}`,
            description: 'For the benchmark',
            properties: { kind: watched ? 'river_gauge' : 'waste_bin' },
            Locations: [{ name: 'here', description: '', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [-56 - (from + k) / 2000, -34.9] } }],
            Datastreams: [
              {
                name: property,
                description: '',
                observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement',
                unitOfMeasurement: watched ? { name: 'metre', symbol: 'm', definition: '' } : { name: 'percent', symbol: '%', definition: '' },
                properties: { purpose: watched ? 'water-safety' : 'waste', interval_s: 60 },
                Sensor: { name: 'Probe', description: '', encodingType: 'text/plain', metadata: '' },
                ObservedProperty: { name: property, definition: 'https://example.org', description: '', properties: { key: property } },
              },
            ],
          },
        });
        if (status !== 201) throw new Error(text);
      }),
    );
  }
  const { status } = spawnSync(process.execPath, [join(ROOT, 'bench', 'ingest.ts'), '--url', city.url, '--token', city.token('device')], { stdio: 'inherit' });
  const { json } = await city.call('GET', '/api/queue', { token: city.token('operator') });
  console.log(`incidents that the rules opened meanwhile: ${json.incidents.length}`);
  process.exitCode = status ?? 1;
} finally {
  await city.stop();
  city.remove();
}
