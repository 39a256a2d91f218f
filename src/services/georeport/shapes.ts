import type { Language } from '../../contracts/common.ts';
import { inLanguage, type Attribute, type Catalogue, type Service } from '../catalogue.ts';
import { noteText, publicViewOf } from '../public-view.ts';
import { isClosed } from '../request.ts';
import type { NoteRow, RequestRow } from '../request-store.ts';
import { orNull, w3cOf, type Tree } from './document.ts';

/** GeoReport v2, Service List. Keywords are one comma-separated string. */
export function serviceTree(service: Service, language: Language): Tree {
  return {
    service_code: service.code,
    service_name: inLanguage(service.name, language),
    description: inLanguage(service.description, language),
    metadata: service.attributes.length > 0,
    type: 'realtime',
    keywords: orNull((service.keywords[language] ?? []).join(',')),
    group: inLanguage(service.group, language),
  };
}

/** GeoReport v2, Service Definition. */
export function definitionTree(service: Service, language: Language): Tree {
  return { service_code: service.code, attributes: service.attributes.map((attribute, index) => attributeTree(attribute, index + 1, language)) };
}

function attributeTree(attribute: Attribute, order: number, language: Language): Tree {
  return {
    variable: attribute.variable,
    code: attribute.code,
    datatype: attribute.datatype,
    required: attribute.required,
    datatype_description: orNull(inLanguage(attribute.hint, language)),
    order,
    description: inLanguage(attribute.question, language),
    values: attribute.values.map(({ key, name }) => ({ key, name: inLanguage(name, language) })),
  };
}

/** GeoReport v2, Service Discovery. `changeset` is when the catalogue last changed. */
export function discoveryTree(catalogue: Catalogue, changeset: Date, url: string): Tree {
  return {
    changeset: w3cOf(changeset),
    contact: catalogue.contact,
    key_service: catalogue.key_service,
    endpoints: [{ specification: 'http://wiki.open311.org/GeoReport_v2', url, changeset: w3cOf(changeset), type: 'production', formats: ['text/xml', 'application/json'] }],
  };
}

/** GeoReport v2, GET Service Requests: every field, absent ones empty. */
export function requestTree(catalogue: Catalogue, row: RequestRow, language: Language): Record<string, Tree> {
  const view = publicViewOf(catalogue, row, language);
  return {
    service_request_id: row.id,
    status: isClosed(row.state) ? 'closed' : 'open',
    status_notes: orNull(view.statusNotes),
    service_name: view.serviceName,
    service_code: row.service_code,
    description: orNull(view.description),
    agency_responsible: orNull(catalogue.agency),
    service_notice: null,
    requested_datetime: w3cOf(row.filed_at),
    updated_datetime: w3cOf(row.updated_at),
    expected_datetime: w3cOf(row.expected_at),
    address: orNull(view.address),
    address_id: orNull(view.addressId),
    zipcode: null,
    lat: view.point[1],
    long: view.point[0],
    media_url: null,
  };
}

/** The `extensions=true` members found at Chicago, Boston and San Francisco: history as notes, the rest below extended_attributes. */
export function extensionTree(catalogue: Catalogue, row: RequestRow, notes: readonly NoteRow[], language: Language): Record<string, Tree> {
  const { answers } = publicViewOf(catalogue, row, language);
  return {
    extended_attributes: { detailed_status: row.state, outcome: row.outcome, attributes: answers.map(({ code, question, answer }) => ({ code, name: question, value: answer })) },
    notes: notes.map((note) => ({ datetime: w3cOf(note.at), description: noteText(note, language), type: note.kind === 'filed' ? 'received' : note.state })),
  };
}
