import { edgeOf } from '../observations/index.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';
import { observedArea, resultExtent, validTime } from './computed.ts';
import { jsonValue, scalar, type ScalarType, type Value } from '../query/value.ts';
import { CONFORMANCE } from './conformance.ts';

export const SET_NAMES = ['Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'MultiDatastreams', 'Sensors', 'ObservedProperties', 'Observations', 'FeaturesOfInterest'] as const;
/** Sets of both versions of the API; OGC 23-019 has two of its own. */
export type SetName = (typeof SET_NAMES)[number] | 'Features' | 'FeatureTypes';

/** How a property is read from a body. `geometry` is any JSON, GeoJSON when the encodingType says so. */
type WriteKind = 'name' | 'text' | 'object' | 'json' | 'geometry' | 'unit' | 'units' | 'types' | 'complex' | 'instant' | 'time' | 'optional-instant' | 'result' | 'quality' | 'interval' | 'parameters';

export interface PropertyModel {
  readonly name: string;
  /** Columns that a row must bring so that the property can be shown. */
  readonly columns: readonly string[];
  /** Shown from times and features of the observations, which are read apart. */
  readonly computed?: boolean;
  readonly nullable: boolean;
  /** Makes the shown value of a row; absent when the one column has it as it is. */
  readonly read?: (row: Readonly<Record<string, unknown>>) => unknown;
  /** What the property is in a filter; null when it cannot be filtered by. */
  readonly value: ((alias: string) => Value) | null;
  /** Absent for what the server keeps itself. */
  readonly write?: {
    readonly kind: WriteKind;
    readonly required: boolean;
    /** Where it is written, when that is not the first of `columns`. */
    readonly column?: string;
    /** What is written when it is not sent. */
    readonly otherwise?: string | null;
  };
}

export interface NavigationModel {
  readonly name: string;
  readonly target: SetName;
  readonly many: boolean;
  /** Column of the own row with the target's id; only for a single target that is stored so. */
  readonly column?: string;
  /** A single target must exist at creation. */
  readonly required: boolean;
  /** Column of the target's rows with the own id; only for many targets that are stored so. */
  readonly foreignKey?: string;
  /** Table of pairs; only for many targets that are stored so. */
  readonly pair?: { readonly table: string; readonly own: string; readonly other: string };
  /** SQL of the target's id; only for a single target. */
  readonly key?: (alias: string) => Fragment;
  /** SQL of the place of `child` among the members of `parentId`; only for members that have an order. */
  readonly position?: (child: string, parentId: Fragment) => Fragment;
  /** SQL that holds for the rows `child` of the target that belong to `parentId`. */
  readonly link: (child: string, parentId: Fragment) => Fragment;
}

/** Names of control information in bodies and answers, and how a body refers to what exists. */
export interface ControlNames {
  readonly id: string;
  readonly selfLink: string;
  /** What follows the name of a relation. */
  readonly navigationLink: string;
  readonly count: string;
  readonly nextLink: string;
  /** Whether a path of a query or a `$select` means the id by this name. */
  readonly isId: (name: string) => boolean;
  /** What a body that was read before carries; accepted and without effect. */
  readonly isControl: (name: string) => boolean;
  /** What a body refers to: undefined for no reference, null for a wrong one; `set` is the link's own. */
  readonly readReference: (body: Readonly<Record<string, unknown>>, set: SetName) => number | null | undefined;
  /** Makes the body of 1.1 of an observation; throws `Refused`. Absent where it is that already. */
  readonly readObservation?: (body: unknown) => unknown;
  /** Whether an update may create what it links (23-019 §9.4.6, deep update). */
  readonly updatesDeep?: boolean;
  /** Whether a relation in the body that the address settles is passed over (23-019 §9.4.2) instead of refused. */
  readonly addressWins?: boolean;
  /** The option and value of an address that ask for this `$resultMetadata`; absent where that is its name. */
  readonly askMetadata?: (metadata: string) => readonly [option: string, text: string];
  /** How a reference is written, for messages. */
  readonly example: string;
}

/** One version of the API over the same tables: its address, its entities, its names. */
export interface Api {
  /** Path of the landing page, such as /v1.1. */
  readonly root: string;
  readonly models: readonly EntityModel[];
  readonly control: ControlNames;
  /** URIs of the requirements that reading and writing of entities meet. */
  readonly conformance: readonly string[];
  find(set: string): EntityModel | undefined;
  modelOf(set: SetName): EntityModel;
}

export interface EntityModel {
  /** The version of the API that the model belongs to. */
  readonly api: Api;
  readonly set: SetName;
  /** The set of 1.1 that the rows belong to, where it has another name. */
  readonly storedAs?: SetName;
  /** Name of one, such as Thing. */
  readonly name: string;
  readonly table: string;
  readonly properties: readonly PropertyModel[];
  readonly navigations: readonly NavigationModel[];
  /** Works out columns that follow from more than one property; what its elements refer to, where they are named so. */
  readonly settle?: (columns: Map<string, unknown>, at: (name: string) => string) => ElementReferences | undefined;
}

/** ObservedProperties by what the elements of a result name, in the order of their first mention. */
export interface ElementReferences {
  readonly names: readonly { readonly definition: string; readonly label: string | null; readonly path: string }[];
  /** Results are lists, of one element each. */
  readonly isList: boolean;
  /** Columns to set when the ids are known, in the order of `names`. */
  columns(ids: readonly number[]): ReadonlyMap<string, unknown>;
  /** Whether observations of the stored row can stay. */
  fits(current: Readonly<Record<string, unknown>>): boolean;
  readonly path: string;
}

export const column = (alias: string, name: string): Fragment => raw(`${alias}.${name}`);
export const plain = (name: string, columnName: string, type: ScalarType, kind: WriteKind): PropertyModel => ({ name, columns: [columnName], nullable: false, value: (alias) => scalar(type, column(alias, columnName)), write: { kind, required: true } });
export const json = (name: string, columnName: string, kind: WriteKind, required: boolean): PropertyModel => ({ name, columns: [columnName], nullable: true, value: (alias) => jsonValue(column(alias, columnName)), write: { kind, required } });

export const NAME = plain('name', 'name', 'text', 'name');
export const DESCRIPTION = plain('description', 'description', 'text', 'text');
export const ENCODING = plain('encodingType', 'encoding_type', 'text', 'name');
export const PROPERTIES = json('properties', 'properties', 'object', false);

/** Many rows that carry the id of their one owner. */
export const owned = (name: string, target: SetName, foreignKey: string): NavigationModel => ({ name, target, many: true, required: false, foreignKey, link: (child, parentId) => frag`${column(child, foreignKey)} = ${parentId}` });
/** The one owner whose id the row carries. */
export const owner = (name: string, target: SetName, table: string, foreignKey: string): NavigationModel => ({
  name,
  target,
  many: false,
  column: foreignKey,
  required: true,
  key: (alias) => column(alias, foreignKey),
  link: (child, parentId) => frag`${column(child, 'id')} = (select owner.${raw(foreignKey)} from ${raw(table)} owner where owner.id = ${parentId}${table === 'observation' ? frag` and owner.id_low <= ${parentId} and owner.id_high >= ${parentId}` : raw('')})`,
});
/** Many on both sides, through a table of pairs. */
export const paired = (name: string, target: SetName, table: string, own: string, other: string): NavigationModel => ({
  name,
  target,
  many: true,
  required: false,
  pair: { table, own, other },
  link: (child, parentId) => frag`${column(child, 'id')} in (select pair.${raw(other)} from ${raw(table)} pair where pair.${raw(own)} = ${parentId})`,
});

export const geometry = (name: 'location' | 'feature', table: 'location' | 'feature_of_interest'): PropertyModel => ({ name, columns: [name], nullable: false, value: (alias) => ({ type: 'stored-geometry', stored: { table, column: name, alias } }), write: { kind: 'geometry', required: true } });

/** SQL of the id of the feature that an observation is about (migrations/0022). */
export function featureOf(alias: string): Fragment {
  const row = raw(alias);
  return frag`coalesce((${row}.extra ->> 'feature')::bigint, (select former.feature_id from datastream_feature former where former.datastream_id = ${row}.datastream_id and former.until > ${row}.arrived order by former.until limit 1), (select stream.feature_id from datastream stream where stream.id = ${row}.datastream_id))`;
}

export function aboutFeature(child: string, featureId: Fragment): Fragment {
  const row = raw(child);
  const streams = frag`select stream.id from datastream stream where stream.feature_id = ${featureId} union all select former.datastream_id from datastream_feature former where former.feature_id = ${featureId}`;
  return frag`((${row}.extra ? 'feature' and (${row}.extra ->> 'feature')::bigint = ${featureId}) or (${row}.datastream_id = any(array(${streams})) and ${featureOf(child)} = ${featureId}))`;
}

/** First and last phenomenon of a datastream; an index answers each. */
const extent = (alias: string, order: 'asc' | 'desc'): Fragment => {
  const end = order === 'asc' ? raw('o.phenomenon_start') : raw('coalesce(o.phenomenon_end, o.phenomenon_start)');
  return frag`(select ${end} from (${edgeOf(raw(`${alias}.id`), order)}) o)`;
};

// Any JSON: a text is left out when the server's JSON type could not read it (NUL, exponents beyond its numbers).
const resultJson = (alias: string): Fragment => {
  const text = column(alias, 'result_json');
  return frag`(case when ${text} is null then to_jsonb(${column(alias, 'result_number')}) when strpos(${text}, '\\u0000') = 0 and ${text} !~ '[eE][+-]?[0-9]{4}' then ${text}::jsonb end)`;
};

export const RESULT: PropertyModel = {
  name: 'result',
  columns: ['result_number', 'result_json'],
  nullable: true,
  value: (alias) => {
    const text = column(alias, 'result_json');
    return {
      type: 'json',
      sql: resultJson(alias),
      number: column(alias, 'result_number'),
      text: frag`(case when ${text} like '"%' and strpos(${text}, '\\u0000') = 0 then ${text}::jsonb #>> '{}' end)`,
      boolean: frag`(case ${text} when 'true' then true when 'false' then false end)`,
      order: scalar('number', column(alias, 'result_number')),
    };
  },
  write: { kind: 'result', required: true },
};

export const extra = (name: string, kind: WriteKind, filterable: boolean): PropertyModel => ({ name, columns: ['extra'], nullable: true, value: filterable ? (alias) => jsonValue(frag`(${column(alias, 'extra')} -> ${name}::text)`) : null, write: { kind, required: false } });

/** What both kinds of streams have beside what they measure. */
export const STREAM_PROPERTIES: readonly PropertyModel[] = [
  { name: 'observedArea', columns: ['observed_area'], computed: true, nullable: true, value: observedArea },
  { name: 'phenomenonTime', columns: [], computed: true, nullable: true, value: (alias) => ({ type: 'interval', start: extent(alias, 'asc'), end: extent(alias, 'desc') }) },
  { name: 'resultTime', columns: [], computed: true, nullable: true, value: resultExtent },
  { name: 'properties', columns: ['properties', 'purpose'], nullable: false, value: (alias) => jsonValue(frag`(${column(alias, 'properties')} || jsonb_build_object('purpose', ${column(alias, 'purpose')}))`), write: { kind: 'object', required: false } },
];

/** SQL of the place of an ObservedProperty among the elements of a MultiDatastream. */
export const elementPosition = (child: string, parentId: Fragment): Fragment => frag`(select element.position from ${raw(ELEMENTS)} element where element.datastream_id = ${parentId} and element.observed_property_id = ${column(child, 'id')})`;

/** Which ObservedProperty each element of a result is about, in order. */
export const ELEMENTS = 'datastream_observed_property';

const MODELS: readonly Omit<EntityModel, 'api'>[] = [
  {
    set: 'Things',
    name: 'Thing',
    table: 'thing',
    properties: [NAME, DESCRIPTION, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'thing_id'), owned('MultiDatastreams', 'MultiDatastreams', 'thing_id'), paired('Locations', 'Locations', 'thing_location', 'thing_id', 'location_id'), owned('HistoricalLocations', 'HistoricalLocations', 'thing_id')],
  },
  {
    set: 'Locations',
    name: 'Location',
    table: 'location',
    properties: [NAME, DESCRIPTION, ENCODING, geometry('location', 'location'), PROPERTIES],
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
    table: 'plain_datastream',
    properties: [
      NAME,
      DESCRIPTION,
      plain('observationType', 'observation_type', 'text', 'name'),
      json('unitOfMeasurement', 'unit_of_measurement', 'unit', true),
      ...STREAM_PROPERTIES,
    ],
    navigations: [
      owner('Thing', 'Things', 'datastream', 'thing_id'),
      owner('Sensor', 'Sensors', 'datastream', 'sensor_id'),
      owner('ObservedProperty', 'ObservedProperties', 'datastream', 'observed_property_id'),
      owned('Observations', 'Observations', 'datastream_id'),
    ],
  },
  {
    set: 'MultiDatastreams',
    name: 'MultiDatastream',
    table: 'multi_datastream',
    properties: [
      NAME,
      DESCRIPTION,
      { ...plain('observationType', 'observation_type', 'text', 'complex'), write: { kind: 'complex', required: false } },
      json('multiObservationDataTypes', 'types', 'types', true),
      json('unitOfMeasurements', 'units', 'units', true),
      ...STREAM_PROPERTIES,
    ],
    navigations: [
      owner('Thing', 'Things', 'datastream', 'thing_id'),
      owner('Sensor', 'Sensors', 'datastream', 'sensor_id'),
      { ...paired('ObservedProperties', 'ObservedProperties', ELEMENTS, 'datastream_id', 'observed_property_id'), required: true, position: elementPosition },
      owned('Observations', 'Observations', 'datastream_id'),
    ],
  },
  {
    set: 'Sensors',
    name: 'Sensor',
    table: 'sensor',
    properties: [NAME, DESCRIPTION, ENCODING, json('metadata', 'metadata', 'json', true), PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'sensor_id'), owned('MultiDatastreams', 'MultiDatastreams', 'sensor_id')],
  },
  {
    set: 'ObservedProperties',
    name: 'ObservedProperty',
    table: 'observed_property',
    properties: [NAME, plain('definition', 'definition', 'text', 'text'), DESCRIPTION, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'observed_property_id'), paired('MultiDatastreams', 'MultiDatastreams', ELEMENTS, 'observed_property_id', 'datastream_id')],
  },
  {
    set: 'Observations',
    name: 'Observation',
    table: 'observation',
    properties: [
      {
        name: 'phenomenonTime',
        columns: ['phenomenon_start', 'phenomenon_end'],
        nullable: false,
        value: (alias) => ({ type: 'interval', start: column(alias, 'phenomenon_start'), end: frag`coalesce(${column(alias, 'phenomenon_end')}, ${column(alias, 'phenomenon_start')})` }),
        write: { kind: 'time', required: false },
      },
      { name: 'resultTime', columns: ['result_time'], nullable: true, value: (alias) => scalar('instant', column(alias, 'result_time')), write: { kind: 'optional-instant', required: false } },
      RESULT,
      extra('resultQuality', 'quality', true),
      { ...extra('validTime', 'interval', true), value: validTime },
      extra('parameters', 'parameters', true),
    ],
    navigations: [
      { ...owner('Datastream', 'Datastreams', 'observation', 'datastream_id'), required: false },
      { ...owner('MultiDatastream', 'MultiDatastreams', 'observation', 'datastream_id'), required: false },
      {
        name: 'FeatureOfInterest',
        target: 'FeaturesOfInterest',
        many: false,
        required: false,
        key: featureOf,
        link: (child, parentId) => frag`${column(child, 'id')} = (select ${featureOf('about')} from observation about where about.id = ${parentId} and about.id_low <= ${parentId} and about.id_high >= ${parentId})`,
      },
    ],
  },
  {
    set: 'FeaturesOfInterest',
    name: 'FeatureOfInterest',
    table: 'feature_of_interest',
    properties: [NAME, DESCRIPTION, ENCODING, geometry('feature', 'feature_of_interest'), PROPERTIES],
    navigations: [{ name: 'Observations', target: 'Observations', many: true, required: false, link: aboutFeature }],
  },
];

/** Joins models to one version of the API; each then knows the others. */
export function createApi({ models, ...own }: Pick<Api, 'root' | 'control' | 'conformance'> & { readonly models: readonly Omit<EntityModel, 'api'>[] }): Api {
  const bySet = new Map<string, EntityModel>();
  const api: Api = {
    ...own,
    models: [],
    find: (set) => bySet.get(set),
    modelOf: (set) => {
      const model = bySet.get(set);
      if (model === undefined) throw new Error(`no model of ${set} in ${own.root}`);
      return model;
    },
  };
  for (const model of models) bySet.set(model.set, { ...model, api });
  return Object.assign(api, { models: [...bySet.values()] });
}

/** A positive id, as number or digits; null when it is something else, undefined when there is none. */
export function readId(value: unknown): number | null | undefined {
  if (value === undefined) return undefined;
  const id = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) && id > 0 ? id : null;
}

// 18-088 §8.1: @iot.id, @iot.selfLink, Things@iot.navigationLink, …
const CONTROL: ControlNames = {
  id: '@iot.id',
  selfLink: '@iot.selfLink',
  navigationLink: '@iot.navigationLink',
  count: '@iot.count',
  nextLink: '@iot.nextLink',
  isId: (name) => name === 'id' || name === '@iot.id',
  isControl: (name) => /^(?:\w+)?@iot\.\w+$/.test(name),
  readReference: (body) => readId(body['@iot.id']),
  example: '{"@iot.id": 1}',
};

/** OGC SensorThings API 1.1 (18-088). */
export const API_1_1: Api = createApi({ root: '/v1.1', models: MODELS, control: CONTROL, conformance: CONFORMANCE });

/** The model of 1.1; storage knows the sets by these names. */
export const modelOf = (set: SetName): EntityModel => API_1_1.modelOf(set);
/** The entities that a relation of `model` leads to, in the same version of the API. */
export const targetOf = (model: EntityModel, navigation: NavigationModel): EntityModel => model.api.modelOf(navigation.target);
/** The set by which others hear of changes: that of 1.1. */
export const storedSetOf = ({ set, storedAs }: EntityModel): SetName => storedAs ?? set;
export const findNavigation = (model: EntityModel, name: string): NavigationModel | undefined => model.navigations.find((navigation) => navigation.name === name);
export const findProperty = (model: EntityModel, name: string): PropertyModel | undefined => model.properties.find((property) => property.name === name);

/** Streams of observations: Datastreams and MultiDatastreams. */
export const isStreamSet = (set: SetName): boolean => set === 'Datastreams' || set === 'MultiDatastreams';

/** In what order members come when nobody asks for one; a function gives the SQL of the place. */
export type NaturalOrder = 'id' | 'phenomenonTime' | ((alias: string) => Fragment);

export function naturalOrderOf(model: EntityModel, { target, position }: NavigationModel, parentId: Fragment): NaturalOrder {
  if (position !== undefined) return (alias) => position(alias, parentId);
  return target === 'Observations' && isStreamSet(model.set) ? 'phenomenonTime' : 'id';
}
