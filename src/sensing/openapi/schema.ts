import { LIMITS } from '../../kernel/index.ts';
import { targetOf, type Api, type EntityModel, type NavigationModel, type PropertyModel } from '../entities/model.ts';

/** JSON Schema 2020-12, as far as these documents need it. */
export interface Schema {
  readonly [keyword: string]: unknown;
}

type Kind = NonNullable<PropertyModel['write']>['kind'];

/** Where the schemas of one document stand; `prefix` keeps versions apart in a document of several. */
export interface Naming {
  readonly prefix: string;
}

export const schemaRef = ({ prefix }: Naming, name: string): Schema => ({ $ref: `#/components/schemas/${prefix}${name}` });

const INSTANT: Schema = { type: 'string', format: 'date-time', examples: ['2026-11-24T06:00:00.000Z'] };
const TIME: Schema = { type: 'string', description: 'ISO 8601 instant, or interval of two instants with a slash between.', pattern: '^[^/]+(/[^/]+)?$', examples: ['2026-11-24T06:00:00.000Z', '2026-11-24T06:00:00.000Z/2026-11-24T07:00:00.000Z'] };
const INTERVAL: Schema = { type: 'string', format: 'iso8601-interval', description: 'ISO 8601 interval: two instants with a slash between.' };
const TIME_PARTS: Schema = { type: 'object', description: 'An instant has a start, an interval an end as well.', properties: { start: INSTANT, end: { ...INSTANT, type: ['string', 'null'] } }, required: ['start'], additionalProperties: false };
const GEOMETRY: Schema = { description: 'GeoJSON (RFC 7946) when encodingType is application/geo+json, any JSON otherwise.', examples: [{ type: 'Point', coordinates: [11.57, 48.14] }] };
const UNIT: Schema = {
  type: 'object',
  properties: { name: { type: ['string', 'null'] }, symbol: { type: ['string', 'null'] }, definition: { type: ['string', 'null'] } },
  additionalProperties: false,
  examples: [{ name: 'metre', symbol: 'm', definition: 'http://unitsofmeasure.org/ucum.html#para-30' }],
};

/** By the way in which a property is read from a body. A kind that is not listed takes any JSON. */
const OF_KIND: Readonly<Partial<Record<Kind, Schema>>> = {
  name: { type: 'string', minLength: 1, maxLength: LIMITS.name_chars },
  text: { type: 'string', maxLength: LIMITS.text_chars },
  object: { type: 'object' },
  unit: UNIT,
  units: { type: 'array', items: UNIT, minItems: 1 },
  types: { type: 'array', items: { type: 'string', format: 'uri' }, minItems: 1 },
  complex: { type: 'string', description: 'Ends with OM_ComplexObservation.' },
  geometry: GEOMETRY,
  instant: INSTANT,
  time: TIME,
  'optional-instant': { ...INSTANT, type: ['string', 'null'] },
  result: { description: 'Any JSON; it comes back as it was sent, digit by digit.' },
  interval: { type: ['string', 'null'], format: 'iso8601-interval' },
  parameters: { type: ['object', 'null'] },
};

// what the server works out itself (18-088 Table 8)
const COMPUTED: Readonly<Record<string, Schema>> = { observedArea: GEOMETRY, phenomenonTime: INTERVAL, resultTime: INTERVAL };

/** Whether times are objects with start and end (23-019 §9.2.2) and no texts. */
function hasParts({ value }: PropertyModel): boolean {
  const filtered = value?.('t');
  return filtered?.type === 'interval' && filtered.hasParts === true;
}

function valueSchema(property: PropertyModel): Schema {
  const { name, write } = property;
  if (hasParts(property)) return write === undefined ? { ...TIME_PARTS, readOnly: true } : TIME_PARTS;
  return write === undefined ? { ...(COMPUTED[name] ?? {}), readOnly: true } : (OF_KIND[write.kind] ?? {});
}

/** The same value, or null; what takes anything takes null already. */
function orNull(schema: Schema): Schema {
  const { type } = schema;
  if (type === undefined) return schema;
  const types = Array.isArray(type) ? (type as string[]) : [type as string];
  return types.includes('null') ? schema : { ...schema, type: [...types, 'null'] };
}

const idSchema: Schema = { type: 'integer', minimum: 1 };

/** Schemas of one entity: as it is answered, as it is changed, as it is created, and a page of it. */
export function entitySchemas(model: EntityModel, naming: Naming): Record<string, Schema> {
  const { api, name, set } = model;
  const { control } = api;
  const navigations = model.navigations.map((navigation) => ({ navigation, target: targetOf(model, navigation).name }));
  const shown: Record<string, Schema> = { [control.id]: idSchema, [control.selfLink]: { type: 'string', format: 'uri' } };
  for (const property of model.properties) {
    const always = property.write?.required === true && !property.nullable;
    shown[property.name] = always ? valueSchema(property) : orNull(valueSchema(property));
  }
  for (const { navigation, target } of navigations) {
    shown[`${navigation.name}${control.navigationLink}`] = { type: 'string', format: 'uri' };
    shown[navigation.name] = navigation.many ? { type: 'array', items: schemaRef(naming, target) } : { anyOf: [schemaRef(naming, target), { type: 'null' }] };
    if (!navigation.many) continue;
    shown[`${navigation.name}${control.count}`] = { type: 'integer', minimum: 0 };
    shown[`${navigation.name}${control.nextLink}`] = { type: 'string', format: 'uri' };
  }
  const properties = Object.fromEntries(model.properties.filter(({ write }) => write !== undefined).map((property) => [property.name, property.write?.required === true ? valueSchema(property) : orNull(valueSchema(property))]));
  const required = model.properties.filter(({ write }) => write?.required === true).map((property) => property.name);
  const computed = Object.fromEntries(model.properties.filter(({ write }) => write === undefined).map((property) => [property.name, { description: 'Taken and ignored: the server works it out.' }]));
  return {
    [name]: { type: 'object', 'x-entity-set': set, description: `${article(name)} ${name}. Without $select, every property that it has; a relation in full where $expand asks for it, else as a link.`, properties: shown },
    [`${name}Update`]: {
      type: 'object',
      description: 'Only what changes. Relations are given as references to what exists.',
      properties: { ...computed, ...properties, ...relationBodies(navigations, (target) => [reference(naming), schemaRef(naming, `${target}Create`)]) },
      // control information of a body that was read before has no effect
      patternProperties: { '@': {}, '^id$': {} },
      additionalProperties: false,
    },
    [`${name}Create`]: { allOf: [schemaRef(naming, `${name}Update`), { type: 'object', required }], ...(EXAMPLES[set] === undefined || naming.prefix !== '' || api.root !== '/v1.1' ? {} : { examples: [EXAMPLES[set]] }) },
    [`${name}Page`]: pageSchema(api, schemaRef(naming, name)),
  };
}

const article = (name: string): string => (/^[AEIOU]/.test(name) ? 'An' : 'A');
const reference = (naming: Naming): Schema => schemaRef(naming, 'Reference');

function relationBodies(navigations: readonly { navigation: NavigationModel; target: string }[], either: (target: string) => Schema[]): Record<string, Schema> {
  return Object.fromEntries(navigations.map(({ navigation: { name, many }, target }) => [name, many ? { type: 'array', items: { anyOf: either(target) } } : { anyOf: either(target) }]));
}

export function pageSchema({ control }: Api, items: Schema): Schema {
  return {
    type: 'object',
    properties: { [control.count]: { type: 'integer', minimum: 0, description: 'With $count=true: how many there are before $top, $skip and paging.' }, [control.nextLink]: { type: 'string', format: 'uri', description: 'Leads on; absent on the last page.' }, value: { type: 'array', items } },
    required: ['value'],
  };
}

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement';
const EXAMPLES: Readonly<Record<string, unknown>> = {
  Things: { name: 'Gauge', description: 'River gauge', properties: { kind: 'river_gauge' }, Locations: [{ name: 'Bridge', description: 'Pier of the bridge', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [11.57, 48.14] } }] },
  Datastreams: {
    name: 'Level at the bridge',
    description: 'Every minute',
    observationType: OM,
    unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' },
    properties: { purpose: 'flood-warning' },
    Thing: { '@iot.id': 1 },
    Sensor: { name: 'Radar', description: 'Radar gauge', encodingType: 'application/pdf', metadata: 'https://example.org/radar.pdf' },
    ObservedProperty: { name: 'Water level', definition: 'https://example.org/level', description: 'Height of the water' },
  },
  Observations: { result: 2.31, phenomenonTime: '2026-11-24T06:00:00Z', Datastream: { '@iot.id': 1 } },
};

/** What every version shares: references, errors, data arrays, the landing page, JSON Patch. */
export function sharedSchemas(api: Api, naming: Naming, codes: readonly string[]): Record<string, Schema> {
  const { control } = api;
  return {
    Reference: {
      type: 'object',
      description: `Names what exists, such as ${control.example}.`,
      properties: { [control.id]: { anyOf: [idSchema, { type: 'string', pattern: '^[0-9]{1,15}$' }] }, [control.selfLink]: { type: 'string', format: 'uri-reference' } },
      ...(control.example.includes(`"${control.id}"`) ? { required: [control.id] } : { anyOf: [{ required: [control.selfLink] }, { required: [control.id] }] }),
    },
    Landing: {
      type: 'object',
      properties: { value: { type: 'array', items: { type: 'object', properties: { name: { type: 'string' }, url: { type: 'string', format: 'uri' } }, required: ['name', 'url'] } }, serverSettings: { type: 'object', properties: { conformance: { type: 'array', items: { type: 'string', format: 'uri' } } }, required: ['conformance'] } },
      required: ['value', 'serverSettings'],
    },
    Links: pageSchema(api, { type: 'object', properties: { [control.selfLink]: { type: 'string', format: 'uri' } }, required: [control.selfLink] }),
    Link: { type: 'object', properties: { [control.selfLink]: { type: 'string', format: 'uri' } }, required: [control.selfLink] },
    Error: {
      type: 'object',
      description: 'A refusal names the place and the cure.',
      properties: {
        code: { type: 'integer', description: 'The HTTP status.' },
        type: { const: 'error' },
        message: { type: 'string' },
        error: { type: 'object', properties: { code: { type: 'string', enum: [...codes] }, field: { type: 'string', description: 'Query option, or path to the field of the body.' } }, required: ['code'] },
      },
      required: ['code', 'type', 'message'],
    },
    JsonPatch: {
      type: 'array',
      description: 'RFC 6902.',
      maxItems: 100,
      items: { type: 'object', properties: { op: { enum: ['add', 'remove', 'replace', 'move', 'copy', 'test'] }, path: { type: 'string' }, from: { type: 'string' }, value: {} }, required: ['op', 'path'] },
      examples: [[{ op: 'replace', path: '/description', value: 'Moved to the pier' }]],
    },
    DataArrayPage: pageSchema(api, { type: 'object', properties: { components: { type: 'array', items: { type: 'string' } }, [`dataArray${control.count}`]: { type: 'integer' }, dataArray: { type: 'array', items: { type: 'array' } } }, required: ['components', 'dataArray'] }),
    ObservationBlocks: {
      type: 'array',
      description: 'Rows of Datastreams under common columns (18-088 §13.2).',
      items: {
        type: 'object',
        properties: {
          Datastream: schemaRef(naming, 'Reference'),
          MultiDatastream: schemaRef(naming, 'Reference'),
          components: { type: 'array', items: { enum: ['result', 'phenomenonTime', 'resultTime', 'resultQuality', 'validTime', 'parameters', 'FeatureOfInterest/id'] }, contains: { const: 'result' } },
          'dataArray@iot.count': { type: 'integer', minimum: 0 },
          dataArray: { type: 'array', items: { type: 'array' } },
        },
        required: ['components', 'dataArray'],
        additionalProperties: false,
      },
      ...(api.root === '/v1.1' ? { examples: [[{ Datastream: { '@iot.id': 1 }, components: ['phenomenonTime', 'result'], dataArray: [['2026-11-24T06:00:00Z', 2.31], ['2026-11-24T06:01:00Z', 2.32]] }]] } : {}),
    },
  };
}
