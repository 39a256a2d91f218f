import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEVICE_STATES } from '../../contracts/device.ts';
import { createSuspicion, deviceMachine } from './device.ts';
import { credentialsCsv, readDeviceCsv, templateCsv } from './device-csv.ts';

const RULE = { refused: 5, foreign: 2, window_ms: 60_000 };

test('refusals within the window add up, those before it are forgotten, and faults that are not the device\'s do not count', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ afterMs: fc.nat(30_000), code: fc.constantFrom('gate.out-of-bounds', 'sensing.no-such-entity', 'http.overloaded', 'device.stream-not-own'), readings: fc.integer({ min: 1, max: 3 }) }), { maxLength: 40 }), (events) => {
      const suspicion = createSuspicion(RULE);
      const past: { atMs: number; code: string; readings: number }[] = [];
      let nowMs = 1_000_000;
      for (const { afterMs, code, readings } of events) {
        nowMs += Math.floor(afterMs / 1_000) * 1_000;
        past.push({ atMs: nowMs, code, readings });
        const within = (wanted: (code: string) => boolean): number => past.filter((one) => one.atMs > nowMs - RULE.window_ms && wanted(one.code)).reduce((sum, one) => sum + one.readings, 0);
        const foreign = within((one) => one === 'device.stream-not-own') >= RULE.foreign;
        const refused = within((one) => one.startsWith('gate.') || one === 'sensing.no-such-entity') >= RULE.refused;
        const expected = code === 'http.overloaded' ? false : code === 'device.stream-not-own' ? foreign : refused;
        expect(suspicion.note(code, readings, nowMs) !== null).toBe(expected);
      }
    }),
  );
});

test('a revoked device stays revoked; only a quarantined one is released', () => {
  for (const event of ['quarantine', 'release', 'revoke'] as const) expect(deviceMachine.next('revoked', event)).toBeNull();
  expect(DEVICE_STATES.filter((state) => deviceMachine.next(state, 'release') !== null)).toEqual(['quarantined']);
});

test('the template is a good table itself, whichever sign separates', () => {
  for (const text of [templateCsv('city-operations'), `\uFEFF${templateCsv('city-operations').replaceAll(',', ';')}`, templateCsv('city-operations').replaceAll(',', '\t')]) {
    expect(readDeviceCsv(text, () => true)).toMatchObject({ ok: true, value: { faults: [], rows: [{ line: 2, device: { name: 'Gauge at the mill', point: [11.5755, 48.1374], measures: ['level', 'water_temperature'], interval_s: 600, kind: 'river_gauge' } }] } });
  }
});

test('any text is a table, a table with faults, or refused; it never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 400 }), fc.string({ maxLength: 200 }).map((text) => `name,longitude,latitude,measures,interval_s,purpose\n${text}`)), (text) => {
      const read = readDeviceCsv(text, () => false);
      if (read.ok) expect(read.value.rows.every(({ device }) => device === null)).toBe(true);
      else expect(read.refusal.code).toMatch(/^http\./);
    }),
  );
});

test('what a spreadsheet would compute is written as text', () => {
  const device = { id: 'dev_1', name: '=1+1, "x"', thingId: 1, purpose: 'p', state: 'active' as const, stateReason: null, stateAt: '', createdAt: '', lastSeenAt: null, taken: 0, perMinute: 0, refused: [], streams: [] };
  expect(credentialsCsv([{ device, token: 't', curl: '', mosquitto: '' }])).toBe('name,device,datastreams,token\r\n"\'=1+1, ""x""",dev_1,,t\r\n');
});
