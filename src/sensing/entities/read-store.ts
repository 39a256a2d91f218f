import { CompiledQuery, sql } from 'kysely';
import { Refused, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { frag, questionsOf, raw, toStatement, type Fragment, type GeometryAnswer, type GeometryQuestion } from '../query/fragment.ts';
import { checkOptions, planPage, rowColumns, writeToken, type NaturalOrder } from '../query/page.ts';
import type { ExpandItem, QueryOptions } from '../query/syntax.ts';
import { findNavigation, modelOf, type EntityModel, type NavigationModel } from './model.ts';
import { addExtents, readMembers, readRows, type PagedRow, type Row } from './windows.ts';

/** A row with its related entities, as far as they were asked for. */
export interface Entity {
  readonly model: EntityModel;
  readonly options: QueryOptions;
  readonly row: Row;
  readonly related: Map<string, Entity | Page | null>;
}

export interface Page {
  readonly entities: readonly Entity[];
  /** All there are, when $count asked. */
  readonly count: number | null;
  /** Opaque place after the last row; null on the last page. */
  readonly next: string | null;
}

/** Which rows belong to a collection, by its path. */
export interface Collection {
  readonly model: EntityModel;
  readonly restrict: (alias: string) => readonly Fragment[];
  readonly natural: NaturalOrder;
}

const STATEMENT_TIMEOUT_MS = 20_000;
const EXPANDED_ROWS = 100_000;
const GEOMETRIES = 50_000;

export interface ReadSession {
  readPage(collection: Collection, options: QueryOptions): Promise<Page>;
  readEntity(model: EntityModel, id: number, options: QueryOptions): Promise<Entity | null>;
  exists(model: EntityModel, id: number): Promise<boolean>;
  /** The id of the entity that the relation leads to; with `id`, only when it is that one. */
  follow(parentId: number, navigation: NavigationModel, id: number | null): Promise<number | null>;
}

export interface ReadStore {
  /** Everything that `read` asks sees one state of the database. Throws `Refused` for what a query makes impossible. */
  inSession<T>(read: (session: ReadSession) => Promise<T>): Promise<T>;
}

export function createReadStore(handle: DatabaseHandle, clock: Clock): ReadStore {
  return {
    inSession: async (read) => {
      try {
        return await handle.db
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
          .execute(async (trx) => {
            await sql`set local statement_timeout = ${sql.raw(String(STATEMENT_TIMEOUT_MS))}`.execute(trx);
            return await read(createSession(trx, clock.nowMs()));
          });
      } catch (error) {
        throw explain(error);
      }
    },
  };
}

/** Data exceptions (SQLSTATE class 22) come from the values of the query: 1e308 mul 10, a date beyond the calendar. */
function explain(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code.startsWith('22')) return new Refused({ code: 'sensing.query-invalid', detail: 'The query computes a value that is out of range.', field: '$filter' });
  if (code.startsWith('54')) return new Refused({ code: 'sensing.query-invalid', detail: 'The query is too large for the database.', field: '$filter' });
  if (code === '57014') return new Refused({ code: 'http.overloaded', detail: `The query took longer than ${String(STATEMENT_TIMEOUT_MS / 1_000)} s and was ended; narrow it by time or by datastream.` });
  return error;
}

function createSession(trx: Trx, nowMs: number): ReadSession {
  let spentRows = 0;
  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    const answers = new Map<GeometryQuestion, GeometryAnswer>();
    for (const question of questionsOf(fragment)) if (!answers.has(question)) answers.set(question, await answer(question));
    const { text, parameters } = toStatement(fragment, answers);
    const { rows } = await trx.executeQuery<T>(CompiledQuery.raw(text, parameters));
    return rows;
  };

  const answer = async ({ table, column, box, withoutPoints, test }: GeometryQuestion): Promise<GeometryAnswer> => {
    const near = box === null ? raw('bbox is not null') : frag`bbox && box(point(${box[0]}::double precision, ${box[1]}::double precision), point(${box[2]}::double precision, ${box[3]}::double precision))`;
    const points = withoutPoints ? frag` and ${raw(column)} ->> 'type' <> 'Point'` : raw('');
    const rows = await run<{ id: number; geometry: unknown }>(frag`select id, ${raw(column)} as geometry from ${raw(table)} where ${near}${points} limit ${GEOMETRIES + 1}::bigint`);
    if (rows.length > GEOMETRIES) throw new Refused({ code: 'sensing.query-invalid', detail: `More than ${String(GEOMETRIES)} geometries would have to be compared; narrow the area.`, field: '$filter' });
    const ids: number[] = [];
    const numbers: number[] = [];
    for (const { id, geometry } of rows) {
      const found = test(geometry);
      if (found === false) continue;
      ids.push(id);
      numbers.push(found === true ? 0 : found);
    }
    return { ids, numbers };
  };

  const spend = (rows: number): void => {
    spentRows += rows;
    if (spentRows > EXPANDED_ROWS) throw new Refused({ code: 'sensing.query-invalid', detail: `The answer would hold more than ${String(EXPANDED_ROWS)} entities; use smaller pages with $top.`, field: '$expand' });
  };

  const complete = async (model: EntityModel, options: QueryOptions, rows: readonly Row[]): Promise<Entity[]> => {
    spend(rows.length);
    const full = model.set === 'Datastreams' && showsComputed(model, options) && rows.length > 0 ? await addExtents(run, rows, nowMs) : rows;
    const entities = full.map((row): Entity => ({ model, options, row, related: new Map() }));
    for (const item of options.expand) await expand(entities, model, item);
    return entities;
  };

  const expand = async (parents: readonly Entity[], model: EntityModel, { name, options }: ExpandItem): Promise<void> => {
    const navigation = findNavigation(model, name);
    if (navigation === undefined || parents.length === 0) return;
    const target = modelOf(navigation.target);
    if (!navigation.many) {
      const targetOf = (parent: Entity): number | null => parent.row[`to ${name}`] as number | null;
      const ids = [...new Set(parents.map(targetOf).filter((id) => id !== null))];
      const rows = await run<Row>(frag`select ${rowColumns(target, options, 't0')} from ${raw(target.table)} t0 where t0.id = any(${ids}::bigint[])`);
      const byId = new Map((await complete(target, options, rows)).map((entity) => [entity.row.id, entity]));
      for (const parent of parents) parent.related.set(name, byId.get(targetOf(parent) ?? -1) ?? null);
      return;
    }
    const ids = [...new Set(parents.map(({ row }) => row.id))];
    const owner = raw('owner_row.id');
    const plan = planPage(target, options, nowMs, (alias) => [navigation.link(alias, owner)], target.set === 'Observations' && model.set === 'Datastreams' ? 'phenomenonTime' : 'id');
    const rows = await readMembers(run, plan, ids, nowMs, EXPANDED_ROWS + 1);
    const counts = options.count ? new Map((await run<{ id: number; count: number }>(frag`select owner_row.id, (${plan.count}) as count from unnest(${ids}::bigint[]) owner_row(id)`)).map(({ id, count }) => [id, count])) : null;
    const groups = Map.groupBy(rows, (row) => row.owner_id);
    const shown = [...groups.values()].flatMap((group) => group.slice(0, plan.rows));
    const entities = await complete(target, options, shown);
    const byOwner = Map.groupBy(entities, (entity) => entity.row['owner_id'] as number);
    for (const parent of parents) {
      const { id } = parent.row;
      parent.related.set(name, { entities: byOwner.get(id) ?? [], count: counts === null ? null : (counts.get(id) ?? 0), next: nextOf(groups.get(id) ?? [], plan.rows) });
    }
  };

  return {
    readPage: async ({ model, restrict, natural }, options) => {
      checkOptions(model, options, nowMs, false);
      const plan = planPage(model, options, nowMs, restrict, natural);
      const rows = await readRows(run, plan, nowMs);
      const count = options.count ? ((await run<{ count: number }>(plan.count))[0]?.count ?? 0) : null;
      return { entities: await complete(model, options, rows.slice(0, plan.rows)), count, next: nextOf(rows, plan.rows) };
    },
    readEntity: async (model, id, options) => {
      checkOptions(model, options, nowMs, true);
      const rows = await run<Row>(frag`select ${rowColumns(model, options, 't0')} from ${raw(model.table)} t0 where t0.id = ${id}::bigint`);
      return (await complete(model, options, rows))[0] ?? null;
    },
    exists: async (model, id) => (await run(frag`select 1 from ${raw(model.table)} t0 where t0.id = ${id}::bigint`)).length > 0,
    follow: async (parentId, navigation, id) => {
      const target = modelOf(navigation.target);
      const link = navigation.link('t0', frag`${parentId}::bigint`);
      const rows = await run<{ id: number }>(frag`select t0.id from ${raw(target.table)} t0 where ${link}${id === null ? raw('') : frag` and t0.id = ${id}::bigint`} limit 1`);
      return rows[0]?.id ?? null;
    },
  };
}

function nextOf(rows: readonly PagedRow[], shown: number): string | null {
  const last = rows[shown - 1];
  if (shown === 0 || rows.length <= shown || last === undefined) return null;
  return writeToken(last.keys);
}

function showsComputed(model: EntityModel, { select }: QueryOptions): boolean {
  return model.properties.some((property) => property.computed === true && (select === null || select.some(({ name }) => name === property.name)));
}
