import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { Refused } from '../../../kernel/index.ts';
import type { PullContext, SourceBatch } from '../adapter.ts';
import { findElement, readXml, type XmlElement } from '../xml.ts';
import { ALERT, AREA, INFO } from './alert.ts';
import { CapOptions, createCap } from './cap.ts';

const FOLDER = join(SHARED_DATA, 'cap');
const push = (body: string | Buffer, options: Record<string, unknown> = {}, cap = createCap()): Promise<SourceBatch> =>
  (cap.push as NonNullable<typeof cap.push>).read(CapOptions.parse(options), { contentType: 'application/cap+xml', body: Buffer.from(body), topic: null, receivedMs: 0 });
const refusalOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof Refused) return `${error.refusals[0].code} ${error.refusals[0].field ?? ''}: ${error.refusals[0].detail}`;
    throw error;
  }
  return 'taken';
};

const info = (more = '', area = '<area><areaDesc>Old town</areaDesc><circle>51.96,7.63 2</circle></area>'): string =>
  `<info><category>Met</category><event>Storm</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty>${more}${area}</info>`;
const alert = ({ id = 'A1', status = 'Actual', msgType = 'Alert', scope = 'Public', references = '', sent = '2026-11-24T06:00:00+01:00', body = info() } = {}): string =>
  `<?xml version="1.0"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${id}</identifier><sender>w@city.test</sender><sent>${sent}</sent><status>${status}</status><msgType>${msgType}</msgType><scope>${scope}</scope>${references === '' ? '' : `<references>${references}</references>`}${body}</alert>`;

describe('an alert', () => {
  it('says the severity of its area at the time it was sent', async () => {
    const batch = await push(alert({ body: info('<onset>2026-11-24T08:00:00+05:30</onset><expires>2026-11-24T12:00:00-00:00</expires><headline>Storm  is coming</headline>') }));
    expect(batch.refusals).toEqual([]);
    expect(batch.places).toHaveLength(1);
    expect(batch.readings).toEqual([
      { seriesKey: 'area:Old town/alert', phenomenonTime: '2026-11-24T05:00:00.000Z', result: 'Severe', parameters: { identifier: 'A1', sender: 'city.test', status: 'Actual', msgType: 'Alert', event: 'Storm', category: 'Met', urgency: 'Immediate', certainty: 'Likely', onset: '2026-11-24T02:30:00.000Z', expires: '2026-11-24T12:00:00.000Z', headline: 'Storm is coming', language: 'en-US' } },
    ]);
    const ring = (batch.places[0]?.geometry?.coordinates as number[][][])[0] ?? [];
    expect(ring).toHaveLength(33);
    expect(ring[0]).toEqual(ring[32]);
    expect((ring[8]?.[1] ?? 0) - 51.96).toBeCloseTo(2 / 111.195, 4); // 2 km north
  });

  it.each(['Test', 'Exercise', 'System', 'Draft'])('of status %s is never valid', async (status) => {
    const batch = await push(alert({ status }));
    expect(batch.readings[0]?.resultQuality).toEqual({ valid: false, status });
  });

  it('is cancelled where it was given, also for areas that an update leaves out', async () => {
    const cap = createCap();
    const two = '<area><areaDesc>North</areaDesc></area><area><areaDesc>South</areaDesc></area>';
    await push(alert({ body: info('', two) }), {}, cap);
    const update = await push(alert({ id: 'A2', msgType: 'Update', references: 'w@city.test,A1,2026-11-24T06:00:00+01:00', sent: '2026-11-24T07:00:00+01:00', body: info('', '<area><areaDesc>South</areaDesc></area>') }), {}, cap);
    expect(update.readings.map(({ seriesKey, result }) => [seriesKey, result])).toEqual([['area:South/alert', 'Severe'], ['area:North/alert', 'Cancelled']]);
    const cancel = await push(alert({ id: 'A3', msgType: 'Cancel', references: 'w@city.test,A2,2026-11-24T07:00:00+01:00', sent: '2026-11-24T08:00:00+01:00', body: '' }), {}, cap);
    expect(cancel.readings.map(({ seriesKey, result, parameters }) => [seriesKey, result, parameters?.['references']])).toEqual([['area:South/alert', 'Cancelled', ['A2']]]);
    const again = await push(alert({ id: 'A4', msgType: 'Cancel', references: 'w@city.test,A2,2026-11-24T07:00:00+01:00', body: '' }), {}, cap);
    expect(again.refusals[0]?.refusal.code).toBe('feed.reference-unknown');
  });

  it.each([
    ['a time with Z', alert({ sent: '2026-11-24T06:00:00Z' }), 'sent'],
    ['a day that does not exist', alert({ sent: '2026-13-24T06:00:00+01:00' }), 'sent'],
    ['an unknown status', alert({ status: 'Real' }), 'status'],
    ['a space in the identifier', alert({ id: 'A 1' }), 'identifier'],
    ['an update without references', alert({ msgType: 'Update' }), 'references'],
    ['no event', alert({ body: info().replace('<event>Storm</event>', '') }), 'event'],
    ['elements in the wrong order', alert({ body: info().replace('<urgency>Immediate</urgency>', '').replace('<event>', '<urgency>Immediate</urgency><event>') }), 'event'],
    ['an unknown element', alert({ body: info('<mood>bad</mood>') }), 'mood'],
    ['two events', alert({ body: info().replace('<event>Storm</event>', '<event>Storm</event><event>Rain</event>') }), 'event'],
    ['an open polygon', alert({ body: info('', '<area><areaDesc>X</areaDesc><polygon>1,1 2,2 3,3 4,4</polygon></area>') }), 'polygon'],
    ['a latitude of 91', alert({ body: info('', '<area><areaDesc>X</areaDesc><circle>91,0 1</circle></area>') }), 'circle'],
    ['a negative radius', alert({ body: info('', '<area><areaDesc>X</areaDesc><circle>1,0 -1</circle></area>') }), 'circle'],
    ['HTML', '<html><body>Not found</body></html>', 'alert'],
    ['an entity', `<!DOCTYPE alert [<!ENTITY a "b">]>${alert().slice(21)}`, 'line'],
  ])('with %s is refused at its place', async (_, document, place) => {
    const refusal = await refusalOf(push(document));
    expect(refusal).toMatch(/^feed\.document-invalid/);
    expect(refusal).toContain(place);
  });

  it('that is not public is not taken', async () => {
    const batch = await push(alert({ scope: 'Restricted' }));
    expect(batch.readings).toEqual([]);
    expect(batch.refusals[0]?.refusal.code).toBe('feed.not-public');
  });
});

describe('an index', () => {
  const index = '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>1</id><updated>u1</updated><link href="/1.cap"/></entry><entry><id>2</id><updated>u1</updated><link href="https://elsewhere.test/2.cap" type="application/cap+xml"/></entry><entry><id>3</id><link href="/3.cap"/></entry></feed>';
  it('is followed to the alerts on allowed hosts, each read once', async () => {
    const asked: string[] = [];
    const context: PullContext = {
      nowMs: () => 0,
      fetch: async (url) => {
        asked.push(url);
        const body = url.endsWith('index') ? index : url.endsWith('/1.cap') ? alert() : '<html/>';
        return { status: 200, contentType: 'application/xml', body: Buffer.from(body) };
      },
    };
    const cap = createCap();
    const options = CapOptions.parse({ url: 'https://warn.test/index' });
    const batch = await (cap.pull as NonNullable<typeof cap.pull>).read(options, context);
    expect(asked).toEqual(['https://warn.test/index', 'https://warn.test/1.cap', 'https://warn.test/3.cap']);
    expect(batch.readings).toHaveLength(1);
    expect(batch.refusals.map(({ at, refusal }) => [at.split(' ')[0], refusal.code])).toEqual([['entry[1]', 'feed.value-invalid'], ['entry[2]', 'feed.document-invalid']]);
    const second = await (cap.pull as NonNullable<typeof cap.pull>).read(options, context);
    expect(asked.slice(3)).toEqual(['https://warn.test/index']);
    expect(second.readings).toEqual([]);
  });
});

describe.skipIf(!existsSync(FOLDER))('published alerts (../shared/data/cap; skipped where that folder is missing)', () => {
  const taken = async (name: string, versions: string[]): Promise<string> => {
    const batch = await push(readFileSync(join(FOLDER, name)), { versions });
    return batch.readings.length > 0 ? `${batch.readings.map(({ result }) => String(result)).join(' ')}` : `${batch.refusals[0]?.refusal.code ?? 'nothing'}`;
  };
  it('of CAP 1.2 are taken, those of 1.1 only where the feed allows it', async () => {
    const files = readdirSync(FOLDER).filter((name) => name.endsWith('.cap'));
    expect(files).toHaveLength(5);
    const strict: Record<string, string> = {};
    const both: Record<string, string> = {};
    for (const name of files) {
      const refusal = await refusalOf(push(readFileSync(join(FOLDER, name))));
      strict[name] = refusal === 'taken' ? await taken(name, ['1.2']) : refusal.replace(/:.*/, '');
      both[name] = await taken(name, ['1.1', '1.2']);
    }
    expect(strict).toEqual({ 'canada.cap': 'Minor Minor', 'thunderstorm.cap': 'Severe', 'earthquake.cap': 'feed.document-invalid alert, line 3', 'no_optional_fields.cap': 'feed.document-invalid alert, line 3', 'weather.cap': 'feed.document-invalid alert, line 2' });
    expect(both).toEqual({ 'canada.cap': 'Minor Minor', 'thunderstorm.cap': 'Severe', 'earthquake.cap': 'Unknown', 'no_optional_fields.cap': 'feed.document-invalid', 'weather.cap': 'Severe' });
  });

  it('are held to the sequences, numbers and terms of the schema of CAP 1.2', () => {
    const schema = readXml(readFileSync(join(FOLDER, 'cap12.xsd')));
    const declared = (parent: XmlElement, name: string): XmlElement => {
      const found = parent.children.find((child) => child.attributes['name'] === name);
      if (found === undefined) throw new Error(`the schema has no ${name}`);
      return found;
    };
    const sequenceOf = (element: XmlElement): XmlElement => findElement(element, 'sequence') as XmlElement;
    const alertSequence = sequenceOf(declared(schema, 'alert'));
    const infoSequence = sequenceOf(declared(alertSequence, 'info'));
    const areaSequence = sequenceOf(declared(infoSequence, 'area'));
    const termsOf = (element: XmlElement): string[] => (findElement(element, 'restriction')?.children ?? []).filter(({ name }) => name === 'enumeration').map(({ attributes }) => attributes['value'] ?? '');
    const rowsOf = (sequence: XmlElement): unknown[] =>
      sequence.children.filter(({ name }) => name === 'element').map((element) => {
        const { name, minOccurs = '1', maxOccurs = '1' } = element.attributes;
        const isTime = element.children.length > 0 && findElement(element, 'restriction')?.attributes['base'] === 'xs:dateTime';
        return [name, Number(minOccurs), maxOccurs === 'unbounded' ? Infinity : Number(maxOccurs), ['info', 'area'].includes(name ?? '') ? [] : termsOf(element), isTime];
      });
    for (const [rules, sequence] of [[ALERT, alertSequence], [INFO, infoSequence], [AREA, areaSequence]] as const) expect(rules.map(({ name, min, max, terms = [], isTime = false }) => [name, min, max, terms, isTime])).toEqual(rowsOf(sequence));
  });

  it('speak of the same areas in either language', async () => {
    const keys = async (language: string): Promise<string[]> => (await push(readFileSync(join(FOLDER, 'canada.cap')), { language })).places.map(({ key }) => key);
    expect(await keys('fr')).toEqual(await keys('en'));
    const french = await push(readFileSync(join(FOLDER, 'canada.cap')), { language: 'fr-FR' });
    expect(french.readings[0]?.parameters).toMatchObject({ event: 'orages', language: 'fr-CA', references: ['2.49.0.1.124.a3f342a4.2012', '2.49.0.1.124.60f31a3a.2012'] });
  });

  it('are found from the index of the weather service', async () => {
    const cap = createCap();
    const asked: string[] = [];
    const context: PullContext = {
      nowMs: () => 0,
      fetch: async (url) => {
        asked.push(url);
        return { status: 200, contentType: 'application/xml', body: readFileSync(join(FOLDER, asked.length === 1 ? 'weather_index.atom' : 'weather.cap')) };
      },
    };
    const batch = await (cap.pull as NonNullable<typeof cap.pull>).read(CapOptions.parse({ url: 'http://www.weather.gov/alerts-beta/us.atom', versions: ['1.1', '1.2'] }), context);
    expect(asked).toHaveLength(3);
    expect(batch.readings.map(({ result }) => result)).toEqual(['Severe', 'Severe']);
  });
});
