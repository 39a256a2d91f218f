import { Refused } from '../../kernel/index.ts';
import { frag, raw, type Fragment, type GeometryAnswer, type GeometryQuestion } from '../query/fragment.ts';

const GEOMETRIES = 50_000;

type Run = <T>(fragment: Fragment) => Promise<T[]>;

/** Reads the geometries that a question is about and puts them to its test. Throws `Refused` when there are more than 50,000. */
export async function answerGeometry(run: Run, question: GeometryQuestion): Promise<GeometryAnswer> {
  return question.other === null ? answerRows(run, question) : answerPairs(run, question, question.other);
}

const tooMany = (what: string): Refused => new Refused({ code: 'sensing.query-invalid', detail: `More than ${String(GEOMETRIES)} ${what} would have to be compared; narrow the area.`, field: '$filter' });

async function answerRows(run: Run, { rows: { table, column }, box, withoutPoints, test }: GeometryQuestion): Promise<GeometryAnswer> {
  const near = box === null ? raw('shape.bbox is not null') : frag`shape.bbox && box(point(${box[0]}::double precision, ${box[1]}::double precision), point(${box[2]}::double precision, ${box[3]}::double precision))`;
  const points = withoutPoints ? frag` and shape.${raw(column)} ->> 'type' <> 'Point'` : raw('');
  const rows = await run<{ id: number; geometry: unknown }>(frag`select shape.id, shape.${raw(column)} as geometry from ${raw(table)} shape where ${near}${points} limit ${GEOMETRIES + 1}::bigint`);
  if (rows.length > GEOMETRIES) throw tooMany('geometries');
  const ids: number[] = [];
  const measures: Record<string, number> = {};
  for (const { id, geometry } of rows) {
    const found = test(geometry, null);
    if (found === false) continue;
    ids.push(id);
    if (found !== true) measures[String(id)] = found;
  }
  return { ids, pairs: [], measures: JSON.stringify(measures) };
}

async function answerPairs(run: Run, { rows, withoutPoints, test }: GeometryQuestion, other: NonNullable<GeometryQuestion['other']>): Promise<GeometryAnswer> {
  const pairing = { meeting: 'one.bbox && two.bbox', 'same row': 'one.id = two.id and one.bbox is not null and two.bbox is not null', all: 'one.bbox is not null and two.bbox is not null' }[other.pairs];
  const points = withoutPoints ? frag` and not (one.${raw(rows.column)} ->> 'type' = 'Point' and two.${raw(other.rows.column)} ->> 'type' = 'Point')` : raw('');
  const pairs = await run<{ id: number; other: number }>(frag`select one.id, two.id as other from ${raw(rows.table)} one join ${raw(other.rows.table)} two on ${raw(pairing)}${points} limit ${GEOMETRIES + 1}::bigint`);
  if (pairs.length > GEOMETRIES) throw tooMany('pairs of geometries');
  const read = async ({ table, column }: GeometryQuestion['rows'], ids: readonly number[]): Promise<Map<number, unknown>> =>
    new Map((await run<{ id: number; geometry: unknown }>(frag`select shape.id, shape.${raw(column)} as geometry from ${raw(table)} shape where shape.id = any(${[...new Set(ids)]}::bigint[])`)).map(({ id, geometry }) => [id, geometry]));
  const ones = await read(rows, pairs.map(({ id }) => id));
  const twos = await read(other.rows, pairs.map((pair) => pair.other));
  const names: string[] = [];
  const measures: Record<string, number> = {};
  for (const pair of pairs) {
    const found = test(ones.get(pair.id), twos.get(pair.other));
    if (found === false) continue;
    const name = `${String(pair.id)} ${String(pair.other)}`;
    names.push(name);
    if (found !== true) measures[name] = found;
  }
  return { ids: [], pairs: names, measures: JSON.stringify(measures) };
}
