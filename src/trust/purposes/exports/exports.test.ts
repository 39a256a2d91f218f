import { expect, test } from 'vitest';
import { z } from 'zod';
import { Purpose } from '../../../contracts/trust.ts';
import type { AlgorithmCard } from '../parts.ts';
import type { RegisteredStream } from '../register-store.ts';
import { toAtrs } from './atrs.ts';
import { toDpv } from './dpv.ts';
import { DTPR_CATEGORIES, toSigns } from './dtpr.ts';
import { SENSOR_COLUMNS, toCsv, toGeoJson, toSensorRows } from './sensor-register.ts';

const purpose = (id: string, more: Record<string, unknown> = {}): Purpose => Purpose.parse({ id, title: `Purpose ${id}`, description: 'Levels at crossings, to plan quiet streets.', legal_basis: 'GDPR art. 6(1)(e), public task; GDPR art. 6(1)(a), consent', owner: 'Environment office', retention_days: 30, observes: ['noise'], ...more });
const PURPOSES = [
  purpose('noise', { ends: '2027-01-01', contact: 'noise@city.test', supplier: 'Loud Ltd', dpia: 'https://city.test/dpia' }),
  purpose('reports', { personal_data: true, data_subjects: ['Residents'], data_categories: ['Contact data'], recipients: ['Cleaning department'], security_measures: ['Sealed under a key a case'], observes: [] }),
  purpose('scoring', { algorithm: true, algorithm_link: 'https://city.test/model', ended: true }),
];
const shared = { base: 'https://city.test/trust/purposes', city: 'Testville', since: new Date('2026-11-24T06:00:00Z'), nowMs: Date.parse('2026-11-24T06:00:00Z'), live: (id: string) => id !== 'scoring' && id !== 'later' };

// Terms that are used, each of the published vocabulary (w3c/dpv: 2.3/dpv/dpv.csv; 2.3/legal/eu/gdpr/modules/legal_basis.ttl)
const CLASSES = ['ROPA', 'PersonalDataProcess', 'NonPersonalDataProcess', 'Purpose', 'DataController', 'OrganisationalUnit', 'LegalBasis', 'PersonalData', 'NonPersonalData', 'DataSubject', 'Recipient', 'TechnicalOrganisationalMeasure', 'ImpactAssessment', 'StorageDuration'];
const PROPERTIES = ['hasProcess', 'hasPurpose', 'hasDataController', 'hasName', 'hasContact', 'hasOrganisationalUnit', 'hasLegalBasis', 'hasPersonalData', 'hasData', 'hasDataSubject', 'hasRecipient', 'hasTechnicalOrganisationalMeasure', 'hasImpactAssessment', 'hasStorageCondition', 'hasDuration', 'hasStatus'];

test('DPV: every term is one of the vocabulary, and each purpose is one process with what art. 30 asks', () => {
  const document = toDpv(PURPOSES, { ...shared, version: 3 });
  expect(document['@context']).toMatchObject({ dpv: 'https://w3id.org/dpv#', 'eu-gdpr': 'https://w3id.org/dpv/legal/eu/gdpr#' });
  const seen = { keys: new Set<string>(), types: new Set<string>() };
  walk(document['@graph'], seen);
  expect([...seen.keys].filter((key) => key.startsWith('dpv:') && !PROPERTIES.includes(key.slice(4)))).toEqual([]);
  expect([...seen.types].filter((type) => type.startsWith('dpv:') && !CLASSES.includes(type.slice(4)))).toEqual([]);
  const [record, noise, reports] = document['@graph'] as Record<string, unknown>[];
  expect(record?.['dpv:hasProcess']).toEqual(PURPOSES.map(({ id }) => ({ '@id': `${shared.base}#${id}` })));
  expect(noise).toMatchObject({ '@type': 'dpv:NonPersonalDataProcess', 'dpv:hasData': [{ 'dct:title': 'noise' }], 'dpv:hasStorageCondition': [{ '@type': 'dpv:StorageDuration', 'dpv:hasDuration': { '@type': 'xsd:duration', '@value': 'P30D' } }], 'dct:valid': { '@value': '2027-01-01' } });
  expect((noise?.['dpv:hasLegalBasis'] as Record<string, string>[]).map((basis) => basis['@id'] ?? basis['@type'])).toEqual(['eu-gdpr:A6-1-e', 'eu-gdpr:A6-1-a', 'dpv:LegalBasis']);
  expect(reports).toMatchObject({ '@type': 'dpv:PersonalDataProcess', 'dpv:hasPersonalData': [{ 'dct:title': 'Contact data' }], 'dpv:hasDataSubject': [{ 'dct:title': 'Residents' }], 'dpv:hasRecipient': [{ 'dct:title': 'Cleaning department' }] });
});

test('DPV: the context resolves every name, and what has ended, runs or has yet to begin says so', () => {
  const document = toDpv([purpose('noise'), purpose('scoring', { ended: true }), purpose('later', { starts: '2027-01-01' })], { ...shared, version: 1 });
  const statuses = (document['@graph'].slice(1) as Record<string, { '@id': string }[]>[]).map((node) => node['dpv:hasStatus']?.[0]?.['@id']);
  expect(statuses).toEqual(['dpv:ActivityOngoing', 'dpv:ActivityCompleted', 'dpv:ActivityPlanned']);
  const context = document['@context'] as Record<string, unknown>;
  // JSON-LD 1.1 §9.4: a prefix ends in a character that can end one, and every compact IRI uses one that is there
  for (const prefix of Object.keys(context).filter((key) => !key.includes(':'))) expect(context[prefix]).toMatch(/[#/]$/);
  const names = new Set<string>();
  collectNames(document['@graph'], names);
  for (const name of names) {
    const [prefix = '', local] = name.split(':');
    expect([name, typeof context[prefix], local === undefined || local === '']).toEqual([name, 'string', false]);
  }
});

/** Keys, types and compact IRIs. */
function collectNames(value: unknown, names: Set<string>): void {
  if (Array.isArray(value)) for (const each of value) collectNames(each, names);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!key.startsWith('@')) names.add(key);
      if ((key === '@type' || key === '@id') && typeof inner === 'string' && !inner.startsWith('https://')) names.add(inner);
      collectNames(inner, names);
    }
  }
}

function walk(value: unknown, seen: { keys: Set<string>; types: Set<string> }): void {
  if (Array.isArray(value)) for (const each of value) walk(each, seen);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      seen.keys.add(key);
      if (key === '@type') seen.types.add(inner as string);
      walk(inner, seen);
    }
  }
}

const text = z.string();
// Attributes of the published table (co-cddo/algorithmic-transparency-recording-standard, template_table.md, V3.0 of March 2024)
const texts = (names: string): Record<string, z.ZodString> => Object.fromEntries(names.split(' ').map((name) => [name, text]));
const AtrsDocument = z.strictObject({
  standard: z.literal('Algorithmic Transparency Recording Standard'),
  version: z.literal('3.0'),
  records: z.array(
    z.strictObject({
      metadata: z.strictObject({ ...texts('identifier organisation_type function capability task tags date_of_completion date_updated date_archived title organisation_name region one_sentence_description'), identifier: text.regex(/^(?:rule|purpose):[a-z][a-z0-9-]+$/), standard_version: z.literal('3.0'), phase: z.enum(['Pre-deployment', 'Production', 'Retired']) }),
      tier_1: z.strictObject({ name: text.min(1), description: text.min(1), website_url: z.url(), contact_email: text }),
      tier_2: z.strictObject({
        owner_and_responsibility: z.strictObject({ ...texts('organisation_or_department team senior_responsible_owner external_supplier companies_house_number external_supplier_role procurement_procedure_type data_access_terms'), external_supplier_involvement: z.enum(['Yes', 'No']) }),
        description_and_rationale: z.strictObject(texts('detailed_description scope benefit previous_process alternatives_considered')),
        decision_making_process: z.strictObject(texts('process_integration provided_information frequency_and_scale_of_usage human_decisions_and_review required_training appeals_and_review')),
        tool_specification: z.strictObject({ ...texts('system_architecture maintenance models'), phase: z.enum(['Pre-deployment', 'Production', 'Retired']) }),
        model_specification: z.strictObject(texts('model_name model_version model_task model_input model_output model_architecture model_performance datasets dataset_purposes')),
        data_specification: z.strictObject(texts('source_data_name data_modality data_description data_quantities sensitive_attributes data_completeness_and_representativeness source_data_url data_collection data_cleaning data_sharing_agreements data_access_and_storage')),
        risks_mitigations_and_impact_assessments: z.strictObject(texts('impact_assessment risks_and_mitigations')),
      }),
    }),
  ),
});

test('ATRS: every rule that runs is a record with both tiers, and so is another algorithm that a purpose names', () => {
  const rule: AlgorithmCard = { id: 'too-loud', title: 'Too loud', why: 'People sleep badly.', owner: 'Noise desk', purpose: 'noise', sentence: 'The level is above 70 dB for 10 minutes.', document: 'rule: too-loud\n' };
  const document = AtrsDocument.parse(toAtrs(PURPOSES, [rule, { ...rule, id: 'lost', purpose: 'unheard' }], shared));
  expect(document.records.map(({ metadata }) => metadata.identifier)).toEqual(['rule:too-loud', 'purpose:scoring']);
  expect(document.records[0]).toMatchObject({ tier_1: { name: 'Too loud', contact_email: 'noise@city.test' }, tier_2: { owner_and_responsibility: { team: 'Environment office', senior_responsible_owner: 'Noise desk', external_supplier_involvement: 'Yes', external_supplier: 'Loud Ltd' }, tool_specification: { phase: 'Production' }, model_specification: { model_architecture: 'rule: too-loud\n' } } });
  expect(document.records[1]?.tier_2.tool_specification['phase']).toBe('Retired');
});

const stream = (id: number, more: Partial<RegisteredStream> = {}): RegisteredStream => ({ id, name: `Level ${String(id)}`, purpose: 'noise', property: 'Noise', sensor: 'Meter', place: 'Crossing', location: { type: 'Point', coordinates: [11.5, 48.1] }, observations: true, ...more });

test('the register of sensors as CSV and GeoJSON has a row a datastream, with quotes, formulas and shapes without a point', () => {
  const rows = toSensorRows([stream(1), stream(2, { name: '=HYPERLINK("x"), "loud"', location: { type: 'Polygon', coordinates: [] } }), stream(3, { location: null }), stream(4, { purpose: 'unheard' }), stream(5, { location: { type: 'Feature', coordinates: null, geometry: { type: 'Point', coordinates: [1, 2] } } as never })], PURPOSES, 'https://city.test');
  expect(rows.map(({ reference }) => reference)).toEqual([1, 2, 3, 5].map((id) => `https://city.test/v1.1/Datastreams(${String(id)})`));
  const lines = toCsv(rows).split('\r\n');
  expect(lines[0]).toBe(SENSOR_COLUMNS.join(','));
  expect(lines[1]).toBe('https://city.test/v1.1/Datastreams(1),Noise,Level 1,Environment office,noise@city.test,Purpose noise,no,"GDPR art. 6(1)(e), public task; GDPR art. 6(1)(a), consent",https://city.test/trust/purposes/noise,2027-01-01,Crossing,11.5,48.1,noise');
  expect(lines[2]).toContain(`"'=HYPERLINK(""x""), ""loud"""`);
  const collection = toGeoJson(rows) as { type: string; features: { geometry: unknown; properties: Record<string, unknown> }[] };
  expect(collection.type).toBe('FeatureCollection');
  expect(collection.features.map(({ geometry }) => geometry)).toEqual([{ type: 'Point', coordinates: [11.5, 48.1] }, null, null, { type: 'Point', coordinates: [1, 2] }]);
  expect(collection.features[0]?.properties).toMatchObject({ owner: 'Environment office', contains_pi_data: false, purpose: 'noise' });
});

test('signs carry the ten categories for what lives, and nothing for what has ended', () => {
  const { signs } = toSigns(PURPOSES, shared);
  expect(signs.map(({ id }) => id)).toEqual(['noise', 'reports']);
  for (const { chain } of signs) {
    expect(chain.map(({ category }) => category)).toEqual([...DTPR_CATEGORIES]);
    expect(chain.every((link) => link.text.length > 0)).toBe(true);
  }
});
