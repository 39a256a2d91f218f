import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { PLACE_KINDS } from './kinds.ts';
import { formOf, reportsBetween } from './residents.ts';

const BEGAN_MS = Date.UTC(2026, 10, 24, 12);
const HOUR_MS = 3_600_000;
const day = reportsBetween('storm-day', BEGAN_MS, BEGAN_MS, BEGAN_MS + 24 * HOUR_MS);

describe('residents', () => {
  it('report in three languages, some with contact data at example.org', () => {
    expect(new Set(day.map(({ language }) => language))).toEqual(new Set(['es', 'de', 'en']));
    const contacts = day.flatMap(({ contact }) => (contact ? [contact.email] : []));
    expect(contacts.length).toBeGreaterThan(3);
    expect(contacts.length).toBeLessThan(day.length);
    expect(contacts.every((email) => email.endsWith('@example.org'))).toBe(true);
  });
  it('report a handful in a storm, and each report once however the time is cut', () => {
    const storm = reportsBetween('storm-day', BEGAN_MS, BEGAN_MS, BEGAN_MS + HOUR_MS);
    expect(storm.length).toBeGreaterThanOrEqual(8);
    expect(storm.length).toBeLessThan(14);
    const bySecond = Array.from({ length: 3_600 }, (_, second) => reportsBetween('storm-day', BEGAN_MS, BEGAN_MS + second * 1_000, BEGAN_MS + (second + 1) * 1_000)).flat();
    expect(bySecond.map(({ description }) => description).sort()).toEqual(storm.map(({ description }) => description).sort());
  });
  it('report the second storm as well', () => {
    const second = reportsBetween('storm-day', BEGAN_MS, BEGAN_MS + 4 * HOUR_MS - 60_000, BEGAN_MS + 4 * HOUR_MS + 10 * 60_000);
    expect(second.filter(({ service_code }) => service_code === 'flooded-street').length).toBeGreaterThanOrEqual(3);
  });
  it('use services that the city offers, answer its required questions, and stand near places that exist', () => {
    const { services } = parse(readFileSync(new URL('./city/services.yaml', import.meta.url), 'utf8')) as { services: { code: string; open_posting: boolean; attributes: { code: string; required: boolean; values?: { key: string }[] }[] }[] };
    for (const report of [...day, ...reportsBetween('ordinary-day', BEGAN_MS, BEGAN_MS, BEGAN_MS + 30 * 24 * HOUR_MS)]) {
      const service = services.find(({ code }) => code === report.service_code);
      expect(service?.open_posting).toBe(true);
      for (const { code, required, values } of service?.attributes ?? []) {
        const answer = report.attributes?.[code];
        if (required) expect(answer).toBeDefined();
        if (answer !== undefined && values) expect(values.map(({ key }) => key)).toContain(answer);
      }
      const [, kind, number] = /^([a-z-]+)-(\d{3})$/.exec(report.near) ?? [];
      expect(Number(number)).toBeLessThanOrEqual(PLACE_KINDS.find((place) => place.kind === kind?.replaceAll('-', '_'))?.count ?? 0);
    }
  });
  it('send the form of GeoReport with coordinates, attributes and contact', () => {
    const report = day.find(({ contact, service_code }) => contact?.phone !== undefined && service_code === 'flooded-street');
    if (!report) throw new Error('no such report');
    const form = formOf({ ...report, attributes: { DEPTH_CM: '10' } }, [-56.2, -34.9]);
    expect(Object.fromEntries(form)).toMatchObject({ service_code: 'flooded-street', lat: '-34.9', long: '-56.2', 'attribute[DEPTH_CM]': '10', email: report.contact?.email });
  });
});
