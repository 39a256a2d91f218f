import { targetOf, type EntityModel, type NavigationModel } from '../entities/model.ts';
import { idParameter, OF_ENTITY, OF_LINKS, OF_SET, propertyParameter, type Parameter } from './parameters.ts';
import { schemaRef, type Naming, type Schema } from './schema.ts';

export type Method = 'get' | 'post' | 'patch' | 'put' | 'delete';
export interface Operation {
  readonly operationId: string;
  readonly [key: string]: unknown;
}
export interface PathItem {
  readonly parameters?: readonly (Parameter | Schema)[];
  readonly get?: Operation;
  readonly post?: Operation;
  readonly patch?: Operation;
  readonly put?: Operation;
  readonly delete?: Operation;
}
export type Paths = Record<string, PathItem>;

/** What a document is written for: names of its parts, and which special addresses this server has. */
export interface Writing extends Naming {
  /** Writes answer without content unless `Prefer: return=representation` asks for the entity (RFC 7240 §4.2). */
  readonly isTerse: boolean;
  /** Whether the server answers this method at this address below the root. */
  readonly has: (method: Uppercase<Method>, path: string) => boolean;
}

// what $resultFormat asks for (RFC 4180, RFC 7946)
const OTHER_FORMS = {
  'text/csv': { schema: { type: 'string' } },
  'application/geo+json': { schema: { type: 'object', properties: { type: { const: 'FeatureCollection' }, features: { type: 'array', items: { type: 'object', properties: { type: { const: 'Feature' }, geometry: {}, properties: { type: ['object', 'null'] } }, required: ['type', 'geometry', 'properties'] } } }, required: ['type', 'features'] } },
};
const BEARER = [{ bearer: [] }];
const json = (schema: Schema): Schema => ({ 'application/json': { schema } });

export const optionRefs = ({ prefix }: Naming, names: readonly string[]): Schema[] => names.map((name) => ({ $ref: `#/components/parameters/${prefix}${name}` }));

export function errors({ prefix }: Naming, writes = false): Record<string, Schema> {
  const refused = (name: string): Schema => ({ $ref: `#/components/responses/${prefix}${name}` });
  return { '400': refused('BadRequest'), ...(writes ? { '401': refused('Unauthorized'), '403': refused('Forbidden') } : {}), '404': refused('NotFound'), '501': refused('NotBuilt'), '503': refused('Overloaded') };
}

export function readOperation(writing: Writing, own: { id: string; tag: string; summary: string; options?: readonly string[]; answer: Schema; type?: string; empty?: boolean; forms?: boolean }): Operation {
  return {
    operationId: own.id,
    tags: [own.tag],
    summary: own.summary,
    ...(own.options === undefined ? {} : { parameters: optionRefs(writing, own.options) }),
    responses: { '200': { description: 'The answer.', content: { [own.type ?? 'application/json']: { schema: own.answer }, ...(own.forms === true ? OTHER_FORMS : {}) } }, ...(own.empty === true ? { '204': { description: 'There is none.' } } : {}), ...errors(writing) },
  };
}

function createOperation(writing: Writing, model: EntityModel, id: string, tag: string, implied: string | null): Operation {
  const links = model.navigations.filter(({ required, name }) => required && name !== implied).map(({ name }) => name);
  const create = schemaRef(writing, `${model.name}Create`);
  const answer = model.set === 'Observations' ? { anyOf: [schemaRef(writing, model.name), schemaRef(writing, 'Reference')] } : schemaRef(writing, model.name);
  return {
    operationId: id,
    tags: [tag],
    summary: `Create one ${model.name}, with what is inside the body`,
    security: BEARER,
    requestBody: { required: true, content: json(links.length === 0 || model.set === 'Observations' ? create : { allOf: [create, { type: 'object', required: links }] }) },
    responses: { '201': { description: 'Created; Location leads to it.', headers: { location: { schema: { type: 'string', format: 'uri' } } }, content: json(answer) }, ...terse(writing, 'Created; Location leads to it.'), ...errors(writing, true) },
  };
}

function changeOperation(writing: Writing, model: EntityModel, how: 'patch' | 'put'): Operation {
  const schema = schemaRef(writing, how === 'patch' ? `${model.name}Update` : `${model.name}Create`);
  return {
    operationId: `${writing.prefix}${how === 'patch' ? 'update' : 'replace'}${model.name}`,
    tags: [model.set],
    summary: how === 'patch' ? `Change parts of one ${model.name}` : `Replace one ${model.name}`,
    security: BEARER,
    requestBody: { required: true, content: { 'application/json': { schema }, ...(how === 'patch' ? { 'application/json-patch+json': { schema: schemaRef(writing, 'JsonPatch') } } : {}) } },
    responses: { '200': { description: 'As it stands now.', content: json(schemaRef(writing, model.name)) }, ...terse(writing, 'Changed.'), ...errors(writing, true) },
  };
}

const terse = ({ isTerse }: Writing, description: string): Record<string, Schema> => (isTerse ? { '204': { description: `${description} With Prefer: return=representation the entity comes instead.` } } : {});

function removeSetOperation(writing: Writing, model: EntityModel, id: string, tag: string): Operation {
  return {
    operationId: id,
    tags: [tag],
    summary: `Delete all ${model.set} here that meet a condition`,
    security: BEARER,
    parameters: [
      { name: '$filter', in: 'query', required: true, description: 'As for reading; true means all of them.', schema: { type: 'string' }, example: 'id lt 100' },
      { name: 'dryRun', in: 'query', description: 'Only says what would go.', schema: { type: 'boolean', default: false } },
    ],
    responses: {
      '200': {
        description: 'What went, or would go, with what cannot be without it.',
        content: json({ type: 'object', properties: { set: { type: 'string' }, dryRun: { type: 'boolean' }, count: { type: 'integer' }, oldest: { type: ['string', 'null'], format: 'date-time' }, newest: { type: ['string', 'null'], format: 'date-time' }, cascade: { type: 'object' } }, required: ['set', 'dryRun', 'count', 'oldest', 'newest'] }),
      },
      ...errors(writing, true),
    },
  };
}

function linkOperation(writing: Writing, id: string, tag: string, summary: string, body: Schema | null): Operation {
  return {
    operationId: id,
    tags: [tag],
    summary,
    security: BEARER,
    ...(body === null ? { parameters: [{ name: '$id', in: 'query', required: true, description: 'Address of the member that is unlinked.', schema: { type: 'string', format: 'uri-reference' } }] } : { requestBody: { required: true, content: json(body) } }),
    responses: { [writing.isTerse ? '204' : '200']: { description: 'Linked as asked.' }, ...errors(writing, true) },
  };
}

/** A body that names what exists (OData JSON Format 4.0 §14). */
const linkBody = (writing: Writing): Schema => ({ anyOf: [schemaRef(writing, 'Reference'), { type: 'object', properties: { '@odata.id': { type: 'string', format: 'uri-reference' } }, required: ['@odata.id'] }] });

/** Addresses of one entity set: the set, one of it, its properties, its relations. */
export function entityPaths(model: EntityModel, writing: Writing): Paths {
  const { api, set, name } = model;
  const at = `${api.root}/${set}`;
  const one = `${at}({id})`;
  const id = idParameter('id', model);
  const observations = set === 'Observations';
  const page = schemaRef(writing, `${name}Page`);
  const paths: Paths = {
    [at]: {
      get: readOperation(writing, { id: `${writing.prefix}list${set}`, tag: set, summary: `Read ${set}`, options: OF_SET, answer: observations ? { anyOf: [page, schemaRef(writing, 'DataArrayPage')] } : page, forms: true }),
      post: createOperation(writing, model, `${writing.prefix}create${name}`, set, null),
      delete: removeSetOperation(writing, model, `${writing.prefix}delete${set}`, set),
    },
    [`${at}/$count`]: { get: readOperation(writing, { id: `${writing.prefix}count${set}`, tag: set, summary: `Count ${set}`, options: ['filter'], answer: { type: 'string', pattern: '^[0-9]+$' }, type: 'text/plain' }) },
    [`${at}/$ref`]: { get: readOperation(writing, { id: `${writing.prefix}list${set}Links`, tag: set, summary: `Read links to ${set}`, options: OF_LINKS, answer: schemaRef(writing, 'Links') }) },
    [one]: {
      parameters: [id],
      get: readOperation(writing, { id: `${writing.prefix}read${name}`, tag: set, summary: `Read one ${name}`, options: OF_ENTITY, answer: schemaRef(writing, name) }),
      patch: changeOperation(writing, model, 'patch'),
      put: changeOperation(writing, model, 'put'),
      delete: {
        operationId: `${writing.prefix}delete${name}`,
        tags: [set],
        summary: `Delete one ${name}, with what cannot be without it`,
        security: BEARER,
        responses: { [writing.isTerse ? '204' : '200']: { description: 'Gone.' }, ...errors(writing, true) },
      },
    },
    [`${one}/$ref`]: { parameters: [id], get: readOperation(writing, { id: `${writing.prefix}read${name}Link`, tag: set, summary: `Read the link to one ${name}`, answer: schemaRef(writing, 'Link') }) },
    [`${one}/{property}`]: {
      parameters: [id, propertyParameter(model)],
      get: readOperation(writing, { id: `${writing.prefix}read${name}Property`, tag: set, summary: `Read one property of a ${name}`, answer: { type: 'object', minProperties: 1 }, empty: true }),
    },
    [`${one}/{property}/$value`]: {
      parameters: [id, propertyParameter(model)],
      get: readOperation(writing, { id: `${writing.prefix}read${name}Value`, tag: set, summary: `Read the bare value of a property of a ${name}`, answer: { type: 'string' }, type: 'text/plain', empty: true }),
    },
  };
  for (const navigation of model.navigations) Object.assign(paths, relationPaths(model, navigation, writing));
  return paths;
}

function relationPaths(model: EntityModel, navigation: NavigationModel, writing: Writing): Paths {
  const { api, set, name } = model;
  const target = targetOf(model, navigation);
  const id = idParameter('id', model);
  const at = `${api.root}/${set}({id})/${navigation.name}`;
  const called = `${name}${navigation.name}`;
  const asked = `${writing.prefix}%${called}`;
  const idOf = (act: string): string => asked.replace('%', act);
  if (!navigation.many) {
    return {
      [`${at}/$ref`]: { parameters: [id], put: linkOperation(writing, idOf('set'), set, `Link the ${navigation.name} of a ${name}`, linkBody(writing)) },
      [at]: { parameters: [id], get: readOperation(writing, { id: `${writing.prefix}read${called}`, tag: set, summary: `Read the ${navigation.name} of a ${name}`, options: OF_ENTITY, answer: schemaRef(writing, target.name), empty: true }) },
    };
  }
  const implied = target.navigations.find((back) => !back.many && back.target === model.set)?.name ?? null;
  return {
    [at]: {
      parameters: [id],
      get: readOperation(writing, { id: `${writing.prefix}list${called}`, tag: set, summary: `Read the ${navigation.name} of a ${name}`, options: OF_SET, answer: target.set === 'Observations' ? { anyOf: [schemaRef(writing, `${target.name}Page`), schemaRef(writing, 'DataArrayPage')] } : schemaRef(writing, `${target.name}Page`), forms: true }),
      post: createOperation(writing, target, `${writing.prefix}create${name}${target.name}In${navigation.name}`, set, implied),
      delete: removeSetOperation(writing, target, idOf('delete'), set),
    },
    [`${at}/$ref`]: {
      parameters: [id],
      ...(target.set === 'Observations' ? {} : { post: linkOperation(writing, idOf('add'), set, `Link an existing ${target.name} to a ${name}`, linkBody(writing)) }),
      ...(navigation.pair === undefined ? {} : { put: linkOperation(writing, idOf('set'), set, `Link these ${navigation.name} and no others to a ${name}`, { anyOf: [linkBody(writing), { type: 'object', properties: { value: { type: 'array', items: linkBody(writing) } }, required: ['value'] }] }), delete: linkOperation(writing, idOf('unlink'), set, `Unlink one of the ${navigation.name} of a ${name}`, null) }),
      get: readOperation(writing, { id: `${writing.prefix}list${called}Links`, tag: set, summary: `Read links to the ${navigation.name} of a ${name}`, options: OF_LINKS, answer: schemaRef(writing, 'Links') }),
    },
    [`${at}({relatedId})`]: { parameters: [id, idParameter('relatedId', target)], get: readOperation(writing, { id: `${writing.prefix}read${called}One`, tag: set, summary: `Read one of the ${navigation.name} of a ${name}`, options: OF_ENTITY, answer: schemaRef(writing, target.name) }) },
  };
}

/** Addresses that belong to no entity set; those that this server does not have are left out. */
export function serverPaths(root: string, writing: Writing): Paths {
  const paths: Paths = { [root]: { get: readOperation(writing, { id: `${writing.prefix}readLanding`, tag: 'Server', summary: 'What there is, and which requirements are met', answer: schemaRef(writing, 'Landing') }) } };
  if (writing.has('GET', '/$metadata')) paths[`${root}/$metadata`] = { get: readOperation(writing, { id: `${writing.prefix}readMetadata`, tag: 'Server', summary: 'The data model', answer: { type: 'object' } }) };
  if (writing.has('POST', '/CreateObservations')) {
    paths[`${root}/CreateObservations`] = {
      post: {
        operationId: `${writing.prefix}createObservations`,
        tags: ['Observations'],
        summary: 'Create many Observations of many Datastreams',
        description: 'Answered when all are durable: for each row, in order, a link, or a text that begins with “error”.',
        security: BEARER,
        requestBody: { required: true, content: json(schemaRef(writing, 'ObservationBlocks')) },
        responses: { '201': { description: 'One text a row.', content: json({ type: 'array', items: { type: 'string' } }) }, ...errors(writing, true) },
      },
    };
  }
  if (writing.has('POST', '/$batch')) {
    paths[`${root}/$batch`] = {
      post: {
        operationId: `${writing.prefix}batch`,
        tags: ['Server'],
        summary: 'Many requests in one',
        description: 'multipart/mixed with change sets (OData 4.0 Part 1 §11.7), or JSON (OData JSON Format 4.01 §19). Each part is answered for itself.',
        security: BEARER,
        requestBody: {
          required: true,
          content: { 'multipart/mixed': { schema: { type: 'string' } }, ...json({ type: 'object', properties: { requests: { type: 'array', items: { type: 'object', properties: { id: { type: 'string' }, method: { type: 'string' }, url: { type: 'string' }, atomicityGroup: { type: 'string' }, dependsOn: { type: 'array', items: { type: 'string' } }, headers: { type: 'object' }, body: {} }, required: ['id', 'method', 'url'] } } }, required: ['requests'] }) },
        },
        responses: { '200': { description: 'The answers, in order.', content: { 'multipart/mixed': { schema: { type: 'string' } }, ...json({ type: 'object', properties: { responses: { type: 'array', items: { type: 'object', properties: { id: { type: 'string' }, status: { type: 'integer' }, headers: { type: 'object' }, body: {} }, required: ['id', 'status'] } } }, required: ['responses'] }) } }, ...errors(writing, true) },
      },
    };
  }
  return paths;
}
