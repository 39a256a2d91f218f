import { createHash } from 'node:crypto';
import type { TestCity } from './city.ts';

const COUNT = 3_000;
const BATCH = 500;

/** What a counter of telephones sends that calls a salted hash anonymous: some come back, most do not. Enough of it for a quarantine. */
export async function sendHashedAddresses(city: TestCity, token: string, stream: number): Promise<void> {
  const values = Array.from({ length: COUNT }, (_, at) => createHash('sha256').update(`salt ${String(at % 5 === 0 ? Math.floor(at / 7) : at * 31)}`).digest().readUIntBE(0, 6));
  for (let at = 0; at < values.length; at += BATCH) {
    const dataArray = values.slice(at, at + BATCH).map((value, n) => [value, new Date(Date.now() - 4_000_000 + (at + n) * 1_000).toISOString()]);
    await city.call('POST', '/v1.1/CreateObservations', { token, body: [{ Datastream: { '@iot.id': stream }, components: ['result', 'phenomenonTime'], dataArray }] });
  }
}
