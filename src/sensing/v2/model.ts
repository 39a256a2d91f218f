import { Refused } from '../../kernel/index.ts';
import {
  aboutFeature,
  API_1_1,
  column,
  createApi,
  DESCRIPTION,
  elementPosition,
  ELEMENTS,
  ENCODING,
  extra,
  findNavigation,
  geometry,
  json,
  NAME,
  owned,
  owner,
  paired,
  plain,
  PROPERTIES,
  STREAM_PROPERTIES,
  type Api,
  type ControlNames,
  type ElementReferences,
  type EntityModel,
  type NavigationModel,
  type PropertyModel,
} from '../entities/model.ts';
import { frag } from '../query/fragment.ts';
import { jsonValue, scalar } from '../query/value.ts';
import { CONFORMANCE } from './conformance.ts';
import { readObservation } from './observation-body.ts';
import { isAnnotation, readReference } from './reference.ts';
import { readResultType, shapeOf } from './result-type.ts';
import { timeObjectOf } from './time.ts';

// The core data model of OGC 23-019 §8 over the tables of 18-088; migrations/0061 has what it keeps beyond them.

type Row = Readonly<Record<string, unknown>>;
type Model = Omit<EntityModel, 'api'>;

const DEFINITION: PropertyModel = { name: 'definition', columns: ['definition'], nullable: true, read: (row) => row['definition'] ?? undefined, value: (alias) => scalar('text', column(alias, 'definition')), write: { kind: 'text', required: false, otherwise: null } };
/** Texts that 18-088 asks for and 23-019 leaves open: kept as an empty text, shown as nothing. */
const orEmpty = (property: PropertyModel): PropertyModel => ({ ...property, nullable: true, value: (alias) => scalar('text', frag`nullif(${column(alias, property.columns[0] ?? '')}, '')`), read: (row) => (row[property.columns[0] ?? ''] === '' ? undefined : row[property.columns[0] ?? '']), write: { kind: property.write?.kind ?? 'text', required: false, otherwise: '' } });
const DESCRIBED = orEmpty(DESCRIPTION);
const METADATA: PropertyModel = { ...json('metadata', 'metadata', 'json', false), value: (alias) => jsonValue(frag`nullif(${column(alias, 'metadata')}, '""'::jsonb)`), read: (row) => (row['metadata'] === '' ? undefined : row['metadata']), write: { kind: 'json', required: false, otherwise: '""' } };

/** A single relation of a row that may be empty. */
const optional = (name: string, columnName: string): NavigationModel => ({ ...owner(name, 'Features', 'datastream', columnName), required: false });

const RESULT_TYPE: PropertyModel = { name: 'resultType', columns: ['result_type'], nullable: false, value: (alias) => jsonValue(column(alias, 'result_type')), write: { kind: 'object', required: true, column: 'stated_result_type' } };
const RESULT_ENCODING: PropertyModel = { name: 'resultEncoding', columns: ['result_encoding'], nullable: true, read: (row) => row['result_encoding'] ?? undefined, value: (alias) => jsonValue(column(alias, 'result_encoding')), write: { kind: 'json', required: false, column: 'stated_result_encoding', otherwise: null } };

/** What 18-088 shows of the result follows from the resultType. */
function settleResultType(columns: Map<string, unknown>, at: (name: string) => string): ElementReferences | undefined {
  const [stated, encoding] = [columns.get('stated_result_type'), columns.get('stated_result_encoding')];
  if (stated === undefined) {
    if (encoding === undefined) return undefined;
    throw new Refused({ code: 'sensing.entity-invalid', detail: 'The encoding changes together with the resultType; send both.', field: at('resultEncoding') });
  }
  const parse = (text: unknown): unknown => (typeof text === 'string' ? JSON.parse(text) : undefined);
  const read = readResultType(parse(stated), parse(encoding), at('resultType'));
  columns.set('observation_type', read.observationType);
  columns.set('unit_of_measurement', read.unit === null ? null : JSON.stringify(read.unit));
  columns.set('multi', read.multi === null ? null : JSON.stringify(read.multi));
  columns.set('stated_result_encoding', encoding ?? null);
  return {
    names: read.names,
    isList: read.multi !== null,
    columns: (ids) => new Map([['stated_result_type', JSON.stringify(read.restate(ids))]]),
    fits: (current) => shapeOf(current['result_type']) === read.shape && JSON.stringify(current['multi'] === null) === JSON.stringify(read.multi === null),
    path: at('resultType'),
  };
}

const byName = (set: Parameters<Api['modelOf']>[0], name: string): PropertyModel => {
  const property = API_1_1.modelOf(set).properties.find((candidate) => candidate.name === name);
  if (property === undefined) throw new Error(`${set} of 1.1 has no ${name}`);
  return property;
};
const toFeature = findNavigation(API_1_1.modelOf('Observations'), 'FeatureOfInterest');
if (toFeature === undefined) throw new Error('an Observation of 1.1 has no FeatureOfInterest');

const interval = (property: PropertyModel, show: (row: Row) => string | undefined): PropertyModel => ({
  ...property,
  value: (alias) => {
    const value = property.value?.(alias);
    if (value?.type !== 'interval') throw new Error(`${property.name} is no interval`);
    return { ...value, hasParts: true };
  },
  read: (row) => {
    const text = show(row);
    return text === undefined ? undefined : timeObjectOf(text);
  },
});
const iso = (value: unknown): string => (value as Date).toISOString();
const EXTRA = (row: Row): Row => (row['extra'] as Row | null) ?? {};

const OBSERVATION: Model = {
  set: 'Observations',
  name: 'Observation',
  table: 'observation',
  properties: [
    interval(byName('Observations', 'phenomenonTime'), (row) => (row['phenomenon_end'] === null ? iso(row['phenomenon_start']) : `${iso(row['phenomenon_start'])}/${iso(row['phenomenon_end'])}`)),
    { ...byName('Observations', 'resultTime'), read: (row) => (row['result_time'] === null ? undefined : iso(row['result_time'])) },
    byName('Observations', 'result'),
    interval(byName('Observations', 'validTime'), (row) => EXTRA(row)['validTime'] as string | undefined),
    { ...extra('parameters', 'parameters', true), name: 'properties', read: (row) => EXTRA(row)['parameters'] },
    byName('Observations', 'resultQuality'),
  ],
  navigations: [owner('Datastream', 'Datastreams', 'observation', 'datastream_id'), { ...toFeature, name: 'ProximateFeatureOfInterest', target: 'Features' }],
};

/** What is worked out from the observations: `extent` and `area` of addExtents. */
const computed = (name: string): PropertyModel => {
  const property = STREAM_PROPERTIES.find((candidate) => candidate.name === name);
  if (property === undefined) throw new Error(`a Datastream of 1.1 has no ${name}`);
  return property;
};
const extentOf = (row: Row, first: string, last: string): string | undefined => {
  const extent = row['extent'] as Row | null | undefined;
  const [start, end] = [extent?.[first], extent?.[last]];
  return start instanceof Date && end instanceof Date ? `${iso(start)}/${iso(end)}` : undefined;
};

const MODELS: readonly Model[] = [
  {
    set: 'Things',
    name: 'Thing',
    table: 'thing',
    properties: [NAME, DEFINITION, DESCRIBED, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'thing_id'), paired('Locations', 'Locations', 'thing_location', 'thing_id', 'location_id'), owned('HistoricalLocations', 'HistoricalLocations', 'thing_id')],
  },
  {
    set: 'Locations',
    name: 'Location',
    table: 'location',
    properties: [NAME, DEFINITION, DESCRIBED, ENCODING, geometry('location', 'location'), PROPERTIES],
    navigations: [paired('Things', 'Things', 'thing_location', 'location_id', 'thing_id'), paired('HistoricalLocations', 'HistoricalLocations', 'historical_location_location', 'location_id', 'historical_location_id')],
  },
  {
    set: 'HistoricalLocations',
    name: 'HistoricalLocation',
    table: 'historical_location',
    properties: [plain('time', 'time', 'instant', 'instant')],
    navigations: [owner('Thing', 'Things', 'historical_location', 'thing_id'), paired('Locations', 'Locations', 'historical_location_location', 'historical_location_id', 'location_id')],
  },
  {
    set: 'Datastreams',
    name: 'Datastream',
    table: 'datastream_2_0',
    properties: [
      NAME,
      DEFINITION,
      DESCRIBED,
      RESULT_TYPE,
      RESULT_ENCODING,
      computed('observedArea'),
      interval(computed('phenomenonTime'), (row) => extentOf(row, 'first_start', 'last_end')),
      interval(computed('resultTime'), (row) => extentOf(row, 'first_result', 'last_result')),
      computed('properties'),
    ],
    navigations: [
      owner('Thing', 'Things', 'datastream', 'thing_id'),
      owner('Sensor', 'Sensors', 'datastream', 'sensor_id'),
      { ...paired('ObservedProperties', 'ObservedProperties', ELEMENTS, 'datastream_id', 'observed_property_id'), position: elementPosition },
      owned('Observations', 'Observations', 'datastream_id'),
      optional('ProximateFeatureOfInterest', 'feature_id'),
      optional('UltimateFeatureOfInterest', 'ultimate_feature_id'),
    ],
    settle: settleResultType,
  },
  {
    set: 'Sensors',
    name: 'Sensor',
    table: 'sensor',
    properties: [NAME, DEFINITION, DESCRIBED, { ...ENCODING, write: { kind: 'name', required: false, otherwise: 'text/plain' } }, METADATA, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'sensor_id')],
  },
  {
    set: 'ObservedProperties',
    name: 'ObservedProperty',
    table: 'observed_property',
    properties: [NAME, plain('definition', 'definition', 'text', 'text'), DESCRIBED, PROPERTIES],
    navigations: [paired('Datastreams', 'Datastreams', ELEMENTS, 'observed_property_id', 'datastream_id')],
  },
  OBSERVATION,
  {
    set: 'Features',
    storedAs: 'FeaturesOfInterest',
    name: 'Feature',
    table: 'feature_of_interest',
    properties: [NAME, DEFINITION, DESCRIBED, ENCODING, geometry('feature', 'feature_of_interest'), PROPERTIES],
    navigations: [
      { name: 'Observations', target: 'Observations', many: true, required: false, link: aboutFeature },
      owned('DatastreamsProximate', 'Datastreams', 'feature_id'),
      owned('DatastreamsUltimate', 'Datastreams', 'ultimate_feature_id'),
      paired('FeatureTypes', 'FeatureTypes', 'feature_feature_type', 'feature_id', 'feature_type_id'),
    ],
  },
  {
    set: 'FeatureTypes',
    name: 'FeatureType',
    table: 'feature_type',
    properties: [NAME, DEFINITION, DESCRIBED, PROPERTIES],
    navigations: [paired('Features', 'Features', 'feature_feature_type', 'feature_type_id', 'feature_id')],
  },
];

const CONTROL: ControlNames = {
  id: 'id',
  selfLink: '@id',
  navigationLink: '@navigationLink',
  count: '@count',
  nextLink: '@nextLink',
  isId: (name) => name === 'id',
  isControl: isAnnotation,
  readReference,
  readObservation,
  updatesDeep: true,
  addressWins: true,
  askMetadata: (metadata) => ['$format', `application/json;metadata=${metadata}`], // §9.3.3.10
  example: '{"@id": "Things(1)"}',
};

/** OGC SensorThings API 2.0 (23-019). */
export const API_2_0: Api = createApi({ root: '/v2.0', models: MODELS, control: CONTROL, conformance: CONFORMANCE });
