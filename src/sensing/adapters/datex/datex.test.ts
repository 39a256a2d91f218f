import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARED_DATA } from '../../../../test/city.ts';
import { Refused } from '../../../kernel/index.ts';
import type { PullContext, SourceBatch } from '../adapter.ts';
import { DatexOptions, createDatex } from './datex.ts';
import { recognitionOf } from './sites.ts';

const FILE = join(SHARED_DATA, 'datex2', 'ITPBZ-SituationPublication-v2.xml');
const NOW = Date.parse('2026-11-24T06:00:00Z');
const push = (body: string | Buffer, datex = createDatex(), options: Record<string, unknown> = {}): Promise<SourceBatch> =>
  (datex.push as NonNullable<typeof datex.push>).read(DatexOptions.parse(options), { contentType: 'application/xml', body: Buffer.from(body), topic: null, receivedMs: NOW });
const refusalsOf = (batch: SourceBatch): string[][] => batch.refusals.map(({ at, refusal }) => [at, refusal.code]);

const version2 = (kind: string, inner: string): string =>
  `<d2LogicalModel xmlns="http://datex2.eu/schema/2/2_0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" modelBaseVersion="2"><exchange/><payloadPublication xsi:type="${kind}" lang="en"><publicationTime>2026-11-24T06:00:00Z</publicationTime>${inner}</payloadPublication></d2LogicalModel>`;
const version3 = (kind: string, inner: string): string =>
  `<con:messageContainer xmlns:con="http://datex2.eu/schema/3/messageContainer" xmlns:com="http://datex2.eu/schema/3/common" xmlns:sit="http://datex2.eu/schema/3/situation" xmlns:roa="http://datex2.eu/schema/3/roadTrafficData" xmlns:loc="http://datex2.eu/schema/3/locationReferencing" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><con:payload xsi:type="${kind}" lang="en"><com:publicationTime>2026-11-24T06:00:00Z</com:publicationTime>${inner}</con:payload></con:messageContainer>`;

const siteTable2 = (equipment: string): string =>
  version2('MeasurementSiteTablePublication', `<measurementSiteTable id="T"><measurementSiteRecord id="S1" version="1"><measurementEquipmentTypeUsed><values><value lang="en">${equipment}</value></values></measurementEquipmentTypeUsed><measurementSiteName><values><value lang="de">Ring Ost</value><value lang="en">Ring East</value></values></measurementSiteName>
    <measurementSpecificCharacteristics index="1"><measurementSpecificCharacteristics><period>60</period><specificLane>lane1</specificLane><specificMeasurementValueType>trafficFlow</specificMeasurementValueType><specificVehicleCharacteristics><vehicleType>anyVehicle</vehicleType></specificVehicleCharacteristics></measurementSpecificCharacteristics></measurementSpecificCharacteristics>
    <measurementSiteLocation xsi:type="Point"><pointByCoordinates><pointCoordinates><latitude>51.96</latitude><longitude>7.64</longitude></pointCoordinates></pointByCoordinates></measurementSiteLocation></measurementSiteRecord></measurementSiteTable>`);
const value2 = (index: number, type: string, inner: string): string => `<measuredValue index="${index}"><measuredValue><basicData xsi:type="${type}">${inner}</basicData></measuredValue></measuredValue>`;
const measured2 = (...values: string[]): string => version2('MeasuredDataPublication', `<measurementSiteTableReference id="T"/><siteMeasurements><measurementSiteReference id="S1" version="1"/><measurementTimeDefault>2026-11-24T06:59:00+01:00</measurementTimeDefault>${values.join('')}</siteMeasurements>`);

describe('measurements', () => {
  it('of version 2 become series with unit, name, place and interval of the site table', async () => {
    const datex = createDatex();
    expect((await push(siteTable2('inductive loop'), datex)).readings).toEqual([]);
    const batch = await push(
      measured2(
        value2(1, 'TrafficFlow', '<vehicleFlow><vehicleFlowRate>0</vehicleFlowRate></vehicleFlow>'),
        value2(2, 'TrafficSpeed', '<averageVehicleSpeed numberOfInputValuesUsed="0"><speed>51.5</speed></averageVehicleSpeed>'),
        value2(3, 'TrafficConcentration', '<occupancy><percentage>12</percentage></occupancy>'),
        value2(4, 'TrafficSpeed', '<averageVehicleSpeed><dataError>true</dataError><speed>0</speed></averageVehicleSpeed>'),
        value2(5, 'TrafficSpeed', '<averageVehicleSpeed><speed>-1</speed></averageVehicleSpeed>'),
        value2(6, 'WindInformation', '<wind/>'),
      ),
      datex,
    );
    expect(batch.places).toEqual([{ key: 'site/S1', name: 'Ring East', kind: 'traffic-counter', geometry: { type: 'Point', coordinates: [7.64, 51.96] } }]);
    expect(batch.series.map(({ key, name, unit, interval_s }) => [key, name, unit?.symbol, interval_s])).toEqual([
      ['site/S1/1/traffic-flow', 'Ring East: traffic flow (lane1, anyVehicle)', '1/h', 60], ['site/S1/2/traffic-speed', 'Ring East: mean speed of traffic', 'km/h', undefined],
      ['site/S1/3/occupancy', 'Ring East: occupancy', '%', undefined], ['site/S1/4/traffic-speed', 'Ring East: mean speed of traffic', 'km/h', undefined],
    ]);
    expect(batch.readings.map(({ result, resultQuality }) => [result, resultQuality])).toEqual([[0, undefined], [51.5, undefined], [12, undefined], [0, 'faulty']]);
    expect(batch.readings[0]?.phenomenonTime).toBe('2026-11-24T05:59:00.000Z');
    expect(refusalsOf(batch)).toEqual([['siteMeasurements[0].measuredValue[5]', 'feed.value-invalid'], ['siteMeasurements[0].measuredValue[6]', 'feed.value-invalid']]);
  });

  it('of version 3 are read the same', async () => {
    const batch = await push(version3('roa:MeasuredDataPublication', '<roa:siteMeasurements><roa:measurementSiteReference id="S9" version="1"/><roa:measurementTimeDefault><com:timeValue>2026-11-24T05:59:00Z</com:timeValue></roa:measurementTimeDefault><roa:physicalQuantity index="1" xsi:type="roa:SinglePhysicalQuantity"><roa:basicData xsi:type="roa:TrafficFlow"><roa:vehicleFlow><com:vehicleFlowRate>420</com:vehicleFlowRate></roa:vehicleFlow></roa:basicData></roa:physicalQuantity></roa:siteMeasurements>'));
    expect(batch.readings).toEqual([{ seriesKey: 'site/S9/1/traffic-flow', phenomenonTime: '2026-11-24T05:59:00.000Z', result: 420 }]);
    expect(batch.refusals).toEqual([]);
  });
});

describe('journey times', () => {
  const time = value2(7, 'TravelTimeData', '<travelTime><duration>321</duration></travelTime>');
  it.each([
    ['ANPR camera', 'feed.plate-reading'], ['Kennzeichenerfassung', 'feed.plate-reading'], ['Bluetooth scanner', 'feed.plate-reading'], ['loop and licence plate camera', 'feed.plate-reading'], ['something new', 'feed.plate-reading'], ['', 'feed.plate-reading'],
    ['inductive loop', null], ['Doppelinduktionsschleife', null], ['radar', null],
  ])('of a site with "%s" are %s', async (equipment, code) => {
    const datex = createDatex();
    await push(siteTable2(equipment), datex);
    const batch = await push(measured2(time), datex);
    expect(batch.readings.map(({ result }) => result)).toEqual(code === null ? [321] : []);
    expect(batch.refusals.map(({ refusal }) => refusal.code)).toEqual(code === null ? [] : [code]);
  });

  it('are refused without a site table, with an identity and for single vehicles', async () => {
    expect((await push(measured2(time))).refusals[0]?.refusal.code).toBe('feed.plate-reading');
    const datex = createDatex();
    await push(siteTable2('loop'), datex);
    const single = await push(measured2(value2(1, 'TravelTimeData', '<vehicleIdentification><vehicleRegistrationNumber>MS-AB 123</vehicleRegistrationNumber></vehicleIdentification><travelTime><duration>1</duration></travelTime>'), value2(2, 'IndividualVehicleDataValues', '<individualVehicleSpeed><speed>80</speed></individualVehicleSpeed>')), datex);
    expect(single.readings).toEqual([]);
    expect(single.refusals.map(({ refusal }) => refusal.code)).toEqual(['feed.plate-reading', 'feed.single-vehicles']);
    expect(JSON.stringify(single)).not.toContain('MS-AB');
  });

  it('are recognised by whole words', () => {
    expect(['macadam', 'loop', 'plate reader', 'e-tag', 'camera'].map(recognitionOf)).toEqual(['unknown', 'anonymous', 'recognises', 'recognises', 'unknown']);
  });
});

const situation3 = (record: string, header = ''): string => version3('sit:SituationPublication', `<sit:situation id="s1" version="1"><sit:overallSeverity>high</sit:overallSeverity><sit:headerInformation>${header}<com:informationStatus>real</com:informationStatus></sit:headerInformation>${record}</sit:situation>`);
const ROADWORKS = '<sit:situationRecord xsi:type="sit:MaintenanceWorks" id="r1" version="3"><sit:situationRecordVersionTime>2026-11-24T05:00:00Z</sit:situationRecordVersionTime><sit:probabilityOfOccurrence>certain</sit:probabilityOfOccurrence><sit:severity>low</sit:severity><sit:validity><com:validityStatus>active</com:validityStatus><com:validityTimeSpecification><com:overallStartTime>2026-11-24T05:00:00Z</com:overallStartTime></com:validityTimeSpecification></sit:validity><sit:cause><sit:causeType>roadMaintenance</sit:causeType></sit:cause><sit:locationReference xsi:type="loc:PointLocation"><loc:supplementaryPositionalDescription><loc:roadInformation><loc:roadNumber>A1</loc:roadNumber></loc:roadInformation></loc:supplementaryPositionalDescription><loc:pointByCoordinates><loc:pointCoordinates><loc:latitude>51.9</loc:latitude><loc:longitude>7.5</loc:longitude></loc:pointCoordinates></loc:pointByCoordinates></sit:locationReference><sit:roadMaintenanceType>roadworks</sit:roadMaintenanceType></sit:situationRecord>';

describe('situations', () => {
  it('of version 3 are terms about the road, with severity, validity and cause', async () => {
    const batch = await push(situation3(ROADWORKS));
    expect(batch.places).toEqual([{ key: 'road/A1', name: 'A1', kind: 'road', geometry: null }]);
    expect(batch.readings).toEqual([
      { seriesKey: 'road/A1/MaintenanceWorks', phenomenonTime: '2026-11-24T05:00:00.000Z', result: 'roadworks', parameters: { situation: 's1', record: 'r1', version: '3', severity: 'low', status: 'active', start: '2026-11-24T05:00:00.000Z', cause: 'roadMaintenance', probability: 'certain', lon: 7.5, lat: 51.9 } },
    ]);
  });

  it('that end, are only exercised, or are not for the public say so', async () => {
    const ended = await push(situation3(ROADWORKS.replace('<sit:validity>', '<sit:management><sit:lifeCycleManagement><sit:end>true</sit:end></sit:lifeCycleManagement></sit:management><sit:validity>')));
    expect(ended.readings[0]?.result).toBe('ended');
    const exercise = await push(situation3(ROADWORKS).replace('>real<', '>technicalExercise<'));
    expect(exercise.readings[0]?.resultQuality).toEqual({ valid: false, status: 'technicalExercise' });
    const secret = await push(situation3(ROADWORKS, '<com:confidentiality>restrictedToAuthorities</com:confidentiality>'));
    expect([secret.readings, refusalsOf(secret)]).toEqual([[], [['situation[0].headerInformation.confidentiality', 'feed.not-public']]]);
  });

  it.each([
    ['HTML', '<html/>'],
    ['another publication', version2('ParkingStatusPublication', '')],
    ['version 1', version2('SituationPublication', '').replace('schema/2/2_0', 'schema/1_0/1_0')],
    ['a document type', `<!DOCTYPE x [<!ENTITY a "b">]>${version2('SituationPublication', '')}`],
  ])('in %s are refused with the line', async (_, document) => {
    const error: unknown = await push(document).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Refused);
    expect((error as Refused).refusals[0].code).toBe('feed.document-invalid');
    expect((error as Refused).refusals[0].field).toMatch(/line \d+/);
  });

  it('are pulled from each address', async () => {
    const datex = createDatex();
    const context: PullContext = { nowMs: () => NOW, fetch: async (url) => ({ status: 200, contentType: 'text/xml', body: Buffer.from(url.endsWith('sites') ? siteTable2('loop') : measured2(value2(1, 'TrafficFlow', '<vehicleFlow><vehicleFlowRate>60</vehicleFlowRate></vehicleFlow>'))) }) };
    const batch = await (datex.pull as NonNullable<typeof datex.pull>).read(DatexOptions.parse({ urls: ['https://roads.test/data'], sites: 'https://roads.test/sites', language: 'de' }), context);
    expect(batch.series[0]?.name).toBe('Ring Ost: traffic flow (lane1, anyVehicle)');
  });
});

describe.skipIf(!existsSync(FILE))('the published situations of Bolzano (../shared/data/datex2; skipped where that folder is missing)', () => {
  it('are all taken', async () => {
    const batch = await push(readFileSync(FILE), createDatex(), { language: 'de' });
    expect(batch.refusals).toEqual([]);
    expect(batch.readings).toHaveLength((readFileSync(FILE, 'utf8').match(/<situationRecord /g) ?? []).length);
    expect(batch.readings[0]).toEqual({
      seriesKey: 'place/46.498,11.355/AbnormalTraffic',
      phenomenonTime: '2024-01-02T08:30:00.000Z',
      result: 'slowTraffic',
      parameters: { situation: '1', record: '1', version: '2', severity: 'high', status: 'active', start: '2024-01-01T07:00:00.000Z', end: '2098-12-31T23:00:00.000Z', probability: 'certain', comment: 'Stau zwischen Bozen Süd und Bozen Nord', lon: 11.3548, lat: 46.4983 },
    });
    expect([...new Set(batch.readings.map(({ result }) => result))].sort()).toEqual(expect.arrayContaining(['slowTraffic', 'singleAlternateLineTraffic', 'roadworks', 'majorEvent', 'SpeedManagement']));
  });
});
