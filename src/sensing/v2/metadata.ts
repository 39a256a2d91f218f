import type { Api, EntityModel, NavigationModel, PropertyModel } from '../entities/model.ts';

type Json = Record<string, unknown>;

const SCHEMA = 'org.ogc.sensorthings';
const named = (type: string): string => `${SCHEMA}.${type}`;

/** Types of the properties whose form alone does not tell them (OGC 23-019 §9.2.2). */
const TYPES: Readonly<Record<string, string>> = {
  'Observation/phenomenonTime': named('TM_Object'),
  'Observation/validTime': named('TM_Interval'),
  'Observation/resultTime': 'Edm.DateTimeOffset',
  'Observation/result': 'Edm.Untyped',
  'Observation/resultQuality': 'Edm.Untyped',
  'Datastream/phenomenonTime': named('TM_Interval'),
  'Datastream/resultTime': named('TM_Interval'),
  'Datastream/observedArea': 'Edm.Geometry',
  'Datastream/resultType': named('JSON_Object'),
  'Datastream/resultEncoding': named('JSON_Object'),
  'HistoricalLocation/time': 'Edm.DateTimeOffset',
  'Location/location': 'Edm.Untyped',
  'Feature/feature': 'Edm.Untyped',
  'Sensor/metadata': 'Edm.Untyped',
};

export function edmTypeOf({ name }: EntityModel, property: PropertyModel): string {
  return property.name === 'properties' ? named('JSON_Object') : (TYPES[`${name}/${property.name}`] ?? 'Edm.String');
}

/** The data model in OData CSDL JSON 4.01, for `$metadata`. */
export function describeModel(api: Api): Json {
  const types = api.models.map((model): [string, Json] => [model.name, describeEntity(api, model)]);
  const sets = api.models.map((model): [string, Json] => [
    model.set,
    { $Collection: true, $Type: named(model.name), $NavigationPropertyBinding: Object.fromEntries(model.navigations.map(({ name, target }) => [name, target])) },
  ]);
  const instant = { $Type: 'Edm.DateTimeOffset', $Precision: 3 };
  return {
    $Version: '4.01',
    $EntityContainer: named('Service'),
    [SCHEMA]: {
      ...Object.fromEntries(types),
      TM_Object: { $Kind: 'ComplexType', start: instant, end: { ...instant, $Nullable: true } },
      TM_Interval: { $Kind: 'ComplexType', start: instant, end: instant },
      JSON_Object: { $Kind: 'ComplexType', $OpenType: true },
      Service: { $Kind: 'EntityContainer', ...Object.fromEntries(sets) },
    },
  };
}

function describeEntity(api: Api, model: EntityModel): Json {
  const properties = model.properties.map((property): [string, Json] => [property.name, { $Type: edmTypeOf(model, property), ...(property.write?.required === true ? {} : { $Nullable: true }) }]);
  const relations = model.navigations.map((navigation): [string, Json] => [navigation.name, describeRelation(api, navigation)]);
  return { $Kind: 'EntityType', $Key: ['id'], id: { $Type: 'Edm.Int64' }, ...Object.fromEntries(properties), ...Object.fromEntries(relations) };
}

const describeRelation = (api: Api, { target, many, required }: NavigationModel): Json => ({ $Kind: 'NavigationProperty', $Type: named(api.modelOf(target).name), ...(many ? { $Collection: true } : required ? {} : { $Nullable: true }) });
