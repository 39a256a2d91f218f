import { frag, raw, type Fragment } from '../query/fragment.ts';
import { jsonValue, scalar, type ScalarType, type Value } from '../query/value.ts';

export const SET_NAMES = ['Things', 'Locations', 'HistoricalLocations', 'Datastreams', 'Sensors', 'ObservedProperties', 'Observations', 'FeaturesOfInterest'] as const;
export type SetName = (typeof SET_NAMES)[number];

/** How a property is read from a body. `geometry` is any JSON, GeoJSON when the encodingType says so. */
type WriteKind = 'name' | 'text' | 'object' | 'json' | 'geometry' | 'unit' | 'instant' | 'time' | 'optional-instant' | 'result' | 'quality' | 'interval' | 'parameters';

export interface PropertyModel {
  readonly name: string;
  /** Columns that a row must bring so that the property can be shown. */
  readonly columns: readonly string[];
  /** Shown from times and features of the observations, which are read apart. */
  readonly computed?: boolean;
  readonly nullable: boolean;
  /** What the property is in a filter; null when it cannot be filtered by. */
  readonly value: ((alias: string) => Value) | null;
  /** Absent for what the server keeps itself. */
  readonly write?: { readonly kind: WriteKind; readonly required: boolean };
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
  /** SQL that holds for the rows `child` of the target that belong to `parentId`. */
  readonly link: (child: string, parentId: Fragment) => Fragment;
}

export interface EntityModel {
  readonly set: SetName;
  /** Name of one, such as Thing. */
  readonly name: string;
  readonly table: string;
  readonly properties: readonly PropertyModel[];
  readonly navigations: readonly NavigationModel[];
}

const column = (alias: string, name: string): Fragment => raw(`${alias}.${name}`);
const plain = (name: string, columnName: string, type: ScalarType, kind: WriteKind): PropertyModel => ({ name, columns: [columnName], nullable: false, value: (alias) => scalar(type, column(alias, columnName)), write: { kind, required: true } });
const json = (name: string, columnName: string, kind: WriteKind, required: boolean): PropertyModel => ({ name, columns: [columnName], nullable: true, value: (alias) => jsonValue(column(alias, columnName)), write: { kind, required } });

const NAME = plain('name', 'name', 'text', 'name');
const DESCRIPTION = plain('description', 'description', 'text', 'text');
const ENCODING = plain('encodingType', 'encoding_type', 'text', 'name');
const PROPERTIES = json('properties', 'properties', 'object', false);

/** Many rows that carry the id of their one owner. */
const owned = (name: string, target: SetName, foreignKey: string): NavigationModel => ({ name, target, many: true, required: false, foreignKey, link: (child, parentId) => frag`${column(child, foreignKey)} = ${parentId}` });
/** The one owner whose id the row carries. */
const owner = (name: string, target: SetName, table: string, foreignKey: string): NavigationModel => ({
  name,
  target,
  many: false,
  column: foreignKey,
  required: true,
  key: (alias) => column(alias, foreignKey),
  link: (child, parentId) => frag`${column(child, 'id')} = (select owner.${raw(foreignKey)} from ${raw(table)} owner where owner.id = ${parentId})`,
});
/** Many on both sides, through a table of pairs. */
const paired = (name: string, target: SetName, table: string, own: string, other: string): NavigationModel => ({
  name,
  target,
  many: true,
  required: false,
  pair: { table, own, other },
  link: (child, parentId) => frag`${column(child, 'id')} in (select pair.${raw(other)} from ${raw(table)} pair where pair.${raw(own)} = ${parentId})`,
});

const geometry = (name: 'location' | 'feature', table: 'location' | 'feature_of_interest'): PropertyModel => ({ name, columns: [name], nullable: false, value: (alias) => ({ type: 'stored-geometry', stored: { table, column: name, alias } }), write: { kind: 'geometry', required: true } });

/** SQL of the id of the feature that an observation is about (migrations/0022). */
function featureOf(alias: string): Fragment {
  const row = raw(alias);
  return frag`coalesce((${row}.extra ->> 'feature')::bigint, (select former.feature_id from datastream_feature former where former.datastream_id = ${row}.datastream_id and former.until > ${row}.arrived order by former.until limit 1), (select stream.feature_id from datastream stream where stream.id = ${row}.datastream_id))`;
}

function aboutFeature(child: string, featureId: Fragment): Fragment {
  const row = raw(child);
  const streams = frag`select stream.id from datastream stream where stream.feature_id = ${featureId} union all select former.datastream_id from datastream_feature former where former.feature_id = ${featureId}`;
  return frag`((${row}.extra ? 'feature' and (${row}.extra ->> 'feature')::bigint = ${featureId}) or (${row}.datastream_id in (${streams}) and ${featureOf(child)} = ${featureId}))`;
}

/** First and last phenomenon of a datastream; an index answers each. */
const extent = (alias: string, order: 'asc' | 'desc'): Fragment => {
  const end = order === 'asc' ? raw('o.phenomenon_start') : raw('coalesce(o.phenomenon_end, o.phenomenon_start)');
  return frag`(select ${end} from observation o where o.datastream_id = ${raw(alias)}.id order by o.phenomenon_start ${raw(order)} limit 1)`;
};

// Any JSON: a text is left out when the server's JSON type could not read it (NUL, exponents beyond its numbers).
const resultJson = (alias: string): Fragment => {
  const text = column(alias, 'result_json');
  return frag`(case when ${text} is null then to_jsonb(${column(alias, 'result_number')}) when strpos(${text}, '\\u0000') = 0 and ${text} !~ '[eE][+-]?[0-9]{4}' then ${text}::jsonb end)`;
};

const RESULT: PropertyModel = {
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

const extra = (name: string, kind: WriteKind, filterable: boolean): PropertyModel => ({ name, columns: ['extra'], nullable: true, value: filterable ? (alias) => jsonValue(frag`(${column(alias, 'extra')} -> ${name}::text)`) : null, write: { kind, required: false } });

const MODELS: readonly EntityModel[] = [
  {
    set: 'Things',
    name: 'Thing',
    table: 'thing',
    properties: [NAME, DESCRIPTION, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'thing_id'), paired('Locations', 'Locations', 'thing_location', 'thing_id', 'location_id'), owned('HistoricalLocations', 'HistoricalLocations', 'thing_id')],
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
    table: 'datastream',
    properties: [
      NAME,
      DESCRIPTION,
      plain('observationType', 'observation_type', 'text', 'name'),
      json('unitOfMeasurement', 'unit_of_measurement', 'unit', true),
      { name: 'observedArea', columns: ['observed_area'], computed: true, nullable: true, value: null },
      { name: 'phenomenonTime', columns: [], computed: true, nullable: true, value: (alias) => ({ type: 'interval', start: extent(alias, 'asc'), end: extent(alias, 'desc') }) },
      { name: 'resultTime', columns: [], computed: true, nullable: true, value: null },
      { name: 'properties', columns: ['properties', 'purpose'], nullable: false, value: (alias) => jsonValue(frag`(${column(alias, 'properties')} || jsonb_build_object('purpose', ${column(alias, 'purpose')}))`), write: { kind: 'object', required: false } },
    ],
    navigations: [
      owner('Thing', 'Things', 'datastream', 'thing_id'),
      owner('Sensor', 'Sensors', 'datastream', 'sensor_id'),
      owner('ObservedProperty', 'ObservedProperties', 'datastream', 'observed_property_id'),
      owned('Observations', 'Observations', 'datastream_id'),
    ],
  },
  {
    set: 'Sensors',
    name: 'Sensor',
    table: 'sensor',
    properties: [NAME, DESCRIPTION, ENCODING, json('metadata', 'metadata', 'json', true), PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'sensor_id')],
  },
  {
    set: 'ObservedProperties',
    name: 'ObservedProperty',
    table: 'observed_property',
    properties: [NAME, plain('definition', 'definition', 'text', 'text'), DESCRIPTION, PROPERTIES],
    navigations: [owned('Datastreams', 'Datastreams', 'observed_property_id')],
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
      extra('validTime', 'interval', false),
      extra('parameters', 'parameters', true),
    ],
    navigations: [
      owner('Datastream', 'Datastreams', 'observation', 'datastream_id'),
      {
        name: 'FeatureOfInterest',
        target: 'FeaturesOfInterest',
        many: false,
        required: false,
        key: featureOf,
        link: (child, parentId) => frag`${column(child, 'id')} = (select ${featureOf('about')} from observation about where about.id = ${parentId})`,
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

const BY_SET: ReadonlyMap<string, EntityModel> = new Map(MODELS.map((model) => [model.set, model]));

export function findModel(set: string): EntityModel | undefined {
  return BY_SET.get(set);
}

export function modelOf(set: SetName): EntityModel {
  const model = BY_SET.get(set);
  if (model === undefined) throw new Error(`no model of ${set}`);
  return model;
}

export const findNavigation = (model: EntityModel, name: string): NavigationModel | undefined => model.navigations.find((navigation) => navigation.name === name);
export const findProperty = (model: EntityModel, name: string): PropertyModel | undefined => model.properties.find((property) => property.name === name);
