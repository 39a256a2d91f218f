import type { Purpose } from '../../../contracts/trust.ts';
import { hasEnded } from '../register.ts';

// Data Privacy Vocabulary 2.3 (W3C DPVCG), core and the module of the GDPR
const CONTEXT = {
  dpv: 'https://w3id.org/dpv#',
  'eu-gdpr': 'https://w3id.org/dpv/legal/eu/gdpr#',
  dct: 'http://purl.org/dc/terms/',
  xsd: 'http://www.w3.org/2001/XMLSchema#',
  'dct:created': { '@type': 'xsd:dateTime' },
} as const;

type Node = Readonly<Record<string, unknown>>;

export interface DpvDocument {
  readonly '@context': typeof CONTEXT;
  readonly '@graph': readonly Node[];
}

const titled = (type: string, title: string): Node => ({ '@type': type, 'dct:title': title });
const some = (key: string, nodes: readonly Node[]): Node => (nodes.length === 0 ? {} : { [key]: nodes });

/** The register as DPV 2.3 JSON-LD: a record of processing activities (GDPR art. 30) with one process a purpose. `base` is the address of the page of the register. */
export function toDpv(purposes: readonly Purpose[], options: { base: string; city: string; version: number; since: Date; nowMs: number; live: (id: string) => boolean }): DpvDocument {
  const iri = (id: string): string => `${options.base}#${id}`;
  return {
    '@context': CONTEXT,
    '@graph': [
      {
        '@id': options.base,
        '@type': 'dpv:ROPA',
        'dct:title': `Register of purposes of ${options.city}`,
        'dct:hasVersion': String(options.version),
        'dct:created': options.since.toISOString(),
        'dpv:hasProcess': purposes.map(({ id }) => ({ '@id': iri(id) })),
      },
      ...purposes.map((purpose) => toProcess(purpose, iri(purpose.id), options)),
    ],
  };
}

function toProcess(purpose: Purpose, iri: string, { city, live, nowMs }: { city: string; nowMs: number; live: (id: string) => boolean }): Node {
  const { personal_data: personal } = purpose;
  const categories = purpose.data_categories.length > 0 ? purpose.data_categories : purpose.observes;
  return {
    '@id': iri,
    '@type': personal ? 'dpv:PersonalDataProcess' : 'dpv:NonPersonalDataProcess',
    'dct:identifier': purpose.id,
    'dct:title': purpose.title,
    'dpv:hasPurpose': [{ '@type': 'dpv:Purpose', 'dct:title': purpose.title, 'dct:description': purpose.description }],
    'dpv:hasDataController': [{ '@type': 'dpv:DataController', 'dpv:hasName': purpose.controller || city, ...(purpose.contact === '' ? {} : { 'dpv:hasContact': purpose.contact }) }],
    'dpv:hasOrganisationalUnit': [titled('dpv:OrganisationalUnit', purpose.owner)],
    'dpv:hasLegalBasis': legalBasesOf(purpose),
    ...some(personal ? 'dpv:hasPersonalData' : 'dpv:hasData', categories.map((each) => titled(personal ? 'dpv:PersonalData' : 'dpv:NonPersonalData', each))),
    ...some('dpv:hasDataSubject', purpose.data_subjects.map((each) => titled('dpv:DataSubject', each))),
    ...some('dpv:hasRecipient', purpose.recipients.map((each) => titled('dpv:Recipient', each))),
    ...some('dpv:hasTechnicalOrganisationalMeasure', purpose.security_measures.map((each) => titled('dpv:TechnicalOrganisationalMeasure', each))),
    ...(purpose.dpia === null ? {} : { 'dpv:hasImpactAssessment': [{ '@id': purpose.dpia, '@type': 'dpv:ImpactAssessment' }] }),
    'dpv:hasStorageCondition': [{ '@type': 'dpv:StorageDuration', 'dpv:hasDuration': { '@type': 'xsd:duration', '@value': `P${String(purpose.retention_days)}D` } }],
    'dpv:hasStatus': [{ '@id': live(purpose.id) ? 'dpv:ActivityOngoing' : hasEnded(purpose, nowMs) ? 'dpv:ActivityCompleted' : 'dpv:ActivityPlanned' }],
    ...(purpose.ends === null ? {} : { 'dct:valid': { '@type': 'xsd:date', '@value': purpose.ends } }),
  };
}

/** Articles 6(1)(a) to (f) that the text names are terms of the module; the text itself is kept beside them. */
function legalBasesOf({ legal_basis }: Purpose): Node[] {
  const articles = [...legal_basis.matchAll(/art(?:icle|\.)?\s*6\s*\(1\)\s*\(([a-f])\)/gi)].map(([, letter]) => `eu-gdpr:A6-1-${(letter ?? '').toLowerCase()}`);
  const nodes: Node[] = [...new Set(articles)].map((id) => ({ '@id': id }));
  return [...nodes, titled('dpv:LegalBasis', legal_basis)];
}
