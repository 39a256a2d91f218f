import { beforeAll, describe, expect, test } from 'vitest';
import { datastream, LEVEL, openSensorThings, SENSOR, type SensorThingsRig } from '../sensorthings-rig.ts';

// One test for each operator of OGC 18-088 Table 23 and each function of Table 24, by what it finds over HTTP.
let rig: SensorThingsRig;
const tested = new Set<string>();

beforeAll(async () => {
  rig = await openSensorThings();
  const places = [
    { type: 'Point', coordinates: [1, 1] },
    { type: 'LineString', coordinates: [[0, 0], [3, 4]] },
    { type: 'Polygon', coordinates: [[[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]] },
  ];
  for (const [at, name] of ['Ash', 'Birch', 'Cedar  '].entries()) {
    await rig.create('/Things', {
      name,
      description: `Station ${String(at + 1)}`,
      properties: { rank: at + 1, half: (at + 1) / 2 },
      Locations: [{ name: `Place ${String(at + 1)}`, description: '', encodingType: 'application/geo+json', location: places[at] }],
      Datastreams: [datastream({ name: `Level ${String(at + 1)}`, Sensor: SENSOR, ObservedProperty: LEVEL, Observations: [{ result: at - 1.5, phenomenonTime: `2026-11-2${String(at + 1)}T0${String(at + 3)}:1${String(at)}:2${String(at)}.250Z`, resultTime: `2026-11-2${String(at + 1)}T05:00:00Z` }] })],
    });
  }
});

/** What `filter` finds in the set, by id; ids of the three entities of each set are 1, 2, 3 in the order of their creation. */
async function find(set: string, filter: string): Promise<number[]> {
  const ids = (await rig.list(`/${set}?$orderby=id&$top=1000`, '@iot.id')) as number[];
  return ((await rig.list(`/${set}?$filter=${encodeURIComponent(filter)}&$orderby=id`, '@iot.id')) as number[]).map((id) => ids.indexOf(id) + 1);
}

const each = (cases: readonly (readonly [name: string, set: string, filter: string, found: readonly number[]])[]): void => {
  for (const [name, set, filter, found] of cases) {
    tested.add(name);
    test(`${name}: ${filter}`, async () => {
      expect(await find(set, filter)).toEqual(found);
    });
  }
};

describe('operators (Table 23)', () => {
  each([
    ['eq', 'Things', "name eq 'Birch'", [2]],
    ['ne', 'Things', "name ne 'Birch'", [1, 3]],
    ['gt', 'Observations', 'result gt -0.5', [3]],
    ['ge', 'Observations', 'result ge -0.5', [2, 3]],
    ['lt', 'Observations', 'result lt -0.5', [1]],
    ['le', 'Observations', 'result le -0.5', [1, 2]],
    ['and', 'Things', 'properties/rank gt 1 and properties/rank lt 3', [2]],
    ['or', 'Things', 'properties/rank lt 2 or properties/rank gt 2', [1, 3]],
    ['not', 'Things', "not startswith(name,'B')", [1, 3]],
    ['add', 'Things', 'properties/rank add 5 gt 7', [3]],
    ['sub', 'Things', 'properties/rank sub 1 lt 1', [1]],
    ['mul', 'Things', 'properties/rank mul 2 eq 4', [2]],
    ['div', 'Things', 'properties/rank div 2 eq 1.5', [3]],
    ['mod', 'Things', 'properties/rank mod 2 eq 0', [2]],
    ['( )', 'Things', '(properties/rank add 1) mul 2 eq 8', [3]],
    ['path', 'Observations', "Datastream/Thing/name eq 'Ash'", [1]],
    ['part', 'Things', 'properties/half eq 1.5', [3]],
  ]);
});

const SQUARE = "geography'POLYGON((2 2,6 2,6 6,2 6,2 2))'";

describe('functions (Table 24)', () => {
  each([
    ['substringof', 'Things', "substringof('irc',name)", [2]],
    ['endswith', 'Things', "endswith(name,'h')", [1, 2]],
    ['startswith', 'Things', "startswith(name,'Ce')", [3]],
    ['length', 'Things', 'length(name) eq 3', [1]],
    ['indexof', 'Things', "indexof(name,'r') eq 2", [2]],
    ['substring', 'Things', "substring(name,1) eq 'sh'", [1]],
    ['substring with a length', 'Things', "substring(name,1,2) eq 'ir'", [2]],
    ['tolower', 'Things', "tolower(name) eq 'birch'", [2]],
    ['toupper', 'Things', "toupper(name) eq 'ASH'", [1]],
    ['trim', 'Things', "trim(name) eq 'Cedar'", [3]],
    ['concat', 'Things', "concat(name,description) eq 'AshStation 1'", [1]],
    ['year', 'Observations', 'year(phenomenonTime) eq 2026', [1, 2, 3]],
    ['month', 'Observations', 'month(phenomenonTime) eq 11', [1, 2, 3]],
    ['day', 'Observations', 'day(phenomenonTime) eq 22', [2]],
    ['hour', 'Observations', 'hour(phenomenonTime) eq 5', [3]],
    ['minute', 'Observations', 'minute(phenomenonTime) eq 10', [1]],
    ['second', 'Observations', 'second(phenomenonTime) eq 21', [2]],
    ['fractionalseconds', 'Observations', 'fractionalseconds(phenomenonTime) eq 0.25', [1, 2, 3]],
    ['date', 'Observations', 'date(resultTime) eq 2026-11-23', [3]],
    ['time', 'Observations', 'time(phenomenonTime) lt 04:00:00', [1]],
    ['totaloffsetminutes', 'Observations', 'totaloffsetminutes(resultTime) eq 0', [1, 2, 3]],
    ['now', 'Observations', "phenomenonTime gt now() sub duration'P2D'", [3]],
    ['mindatetime', 'Observations', 'resultTime gt mindatetime()', [1, 2, 3]],
    ['maxdatetime', 'Observations', 'resultTime lt maxdatetime()', [1, 2, 3]],
    ['round', 'Observations', 'round(result) eq -2', [1]],
    ['floor', 'Observations', 'floor(result) eq -1', [2]],
    ['ceiling', 'Observations', 'ceiling(result) eq 1', [3]],
    ['geo.distance', 'Locations', "geo.distance(location,geography'POINT(1 2)') lt 1.1", [1, 2, 3]],
    ['geo.length', 'Locations', 'geo.length(location) eq 5', [2]],
    ['geo.intersects', 'Locations', `geo.intersects(location,${SQUARE})`, [2, 3]],
    ['st_equals', 'Locations', `st_equals(location,${SQUARE})`, [3]],
    ['st_disjoint', 'Locations', `st_disjoint(location,${SQUARE})`, [1]],
    ['st_touches', 'Locations', "st_touches(location,geography'POLYGON((6 2,9 2,9 6,6 6,6 2))')", [3]],
    ['st_within', 'Locations', "st_within(location,geography'POLYGON((0.5 0.5,7 0.5,7 7,0.5 7,0.5 0.5))')", [1, 3]],
    ['st_overlaps', 'Locations', "st_overlaps(location,geography'POLYGON((4 4,9 4,9 9,4 9,4 4))')", [3]],
    ['st_crosses', 'Locations', `st_crosses(location,${SQUARE})`, [2]],
    ['st_intersects', 'Locations', "st_intersects(location,geography'POINT(3 4)')", [2, 3]],
    ['st_contains', 'Locations', "st_contains(location,geography'POINT(3 3)')", [3]],
    ['st_relate', 'Locations', `st_relate(location,${SQUARE},'T********')`, [2, 3]],
  ]);

  test('is the whole of the table', () => {
    const table = ['substringof', 'endswith', 'startswith', 'length', 'indexof', 'substring', 'tolower', 'toupper', 'trim', 'concat', 'year', 'month', 'day', 'hour', 'minute', 'second', 'fractionalseconds', 'date', 'time', 'totaloffsetminutes', 'now', 'mindatetime', 'maxdatetime', 'round', 'floor', 'ceiling', 'geo.distance', 'geo.length', 'geo.intersects', 'st_equals', 'st_disjoint', 'st_touches', 'st_within', 'st_overlaps', 'st_crosses', 'st_intersects', 'st_contains', 'st_relate', 'eq', 'ne', 'gt', 'ge', 'lt', 'le', 'and', 'or', 'not', 'add', 'sub', 'mul', 'div', 'mod', '( )'];
    expect(table.filter((name) => !tested.has(name))).toEqual([]);
  });
});

describe('beyond the tables', () => {
  each([
    ['in', 'Things', "name in ('Ash','Birch')", [1, 2]],
    ['any', 'Things', 'Datastreams/any(d:d/Observations/any(o:o/result gt 0))', [3]],
    ['all', 'Things', 'Datastreams/all(d:d/Observations/all(o:o/result lt 0))', [1, 2]],
    ['contains', 'Things', "contains(name,'da')", [3]],
    ['before', 'Observations', 'before(phenomenonTime,2026-11-22T00:00:00Z)', [1]],
    ['after', 'Observations', 'after(phenomenonTime,2026-11-23T00:00:00Z)', [3]],
    ['during', 'Observations', 'during(phenomenonTime,2026-11-22T00:00:00Z/2026-11-23T00:00:00Z)', [2]],
  ]);

  test.each([
    ['cast', "cast(name,'Edm.String') eq 'a'", 501],
    ['isof', "isof(name,'Edm.String')", 501],
    ['nosuch', 'nosuch(name)', 400],
  ])('%s is refused', async (_name, filter, status) => {
    expect((await rig.send('GET', `/Things?$filter=${encodeURIComponent(filter)}`)).status).toBe(status);
  });
});
