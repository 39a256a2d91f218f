import { CompiledQuery, sql } from 'kysely';
import { Refused, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { currentChangeSet } from '../change-set.ts';
import { countAllObservations } from '../observations/index.ts';
import { frag, join, questionsOf, raw, toStatement, type Fragment, type GeometryAnswer, type GeometryQuestion } from '../query/fragment.ts';
import { planDistinct } from '../query/distinct.ts';
import { checkOptions, planPage, rowColumns, writeToken, type NaturalOrder, type PagePlan } from '../query/page.ts';
import type { ExpandItem, QueryOptions } from '../query/syntax.ts';
import { nest } from '../query/selection.ts';
import { answerGeometry } from './geometry-store.ts';
import type { Hidden } from './hidden-store.ts';
import { createIdDays, type IdDays } from './id-days.ts';
import { findNavigation, isStreamSet, naturalOrderOf, targetOf, type EntityModel, type NavigationModel } from './model.ts';
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

export interface Combinations {
  readonly values: readonly Readonly<Record<string, unknown>>[];
  readonly count: number | null;
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

export interface ReadSession {
  readPage(collection: Collection, options: QueryOptions): Promise<Page>;
  /** The different combinations of what `$select=distinct:` names, as JSON. */
  readCombinations(collection: Collection, options: QueryOptions): Promise<Combinations>;
  /** How many there are that meet the $filter. */
  readCount(collection: Collection, options: QueryOptions): Promise<number>;
  readEntity(model: EntityModel, id: number, options: QueryOptions): Promise<Entity | null>;
  exists(model: EntityModel, id: number): Promise<boolean>;
  /** Throws `Refused` with purpose.expired when it is a stream whose purpose does not live: its readings are not given out. */
  refuseNotLive(model: EntityModel, id: number): Promise<void>;
  /** The id of the entity that the relation leads to; with `id`, only when it is that one. */
  follow(model: EntityModel, parentId: number, navigation: NavigationModel, id: number | null): Promise<number | null>;
}

export interface ReadStore {
  /** Everything that `read` asks sees one state of the database. Throws `Refused` for what a query makes impossible. */
  inSession<T>(read: (session: ReadSession) => Promise<T>): Promise<T>;
}

/** Readings under the purposes of `readHidden`, asked for each session, are not there for anybody. */
export function createReadStore(handle: DatabaseHandle, clock: Clock, readHidden: () => Promise<Hidden> = async () => ({ notLive: [], withReadings: [] })): ReadStore {
  const idDays = createIdDays(() => clock.nowMs());
  return {
    inSession: async (read) => {
      try {
        const hidden = await readHidden();
        const set = currentChangeSet();
        if (set !== undefined) return await read(createSession(set.trx, clock.nowMs(), idDays, hidden));
        return await handle.db
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
          .execute(async (trx) => {
            await sql`set local statement_timeout = ${sql.raw(String(STATEMENT_TIMEOUT_MS))}`.execute(trx);
            return await read(createSession(trx, clock.nowMs(), idDays, hidden));
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

function createSession(trx: Trx, nowMs: number, idDays: IdDays, { notLive, withReadings }: Hidden): ReadSession {
  let spentRows = 0;
  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    const answers = new Map<GeometryQuestion, GeometryAnswer>();
    for (const question of questionsOf(fragment)) if (!answers.has(question)) answers.set(question, await answerGeometry(run, question));
    const { text, parameters } = toStatement(withoutReadingsOf(withReadings, fragment), answers);
    const { rows } = await trx.executeQuery<T>(CompiledQuery.raw(text, parameters));
    return rows;
  };

  const findById = async <T>(columns: Fragment, model: EntityModel, id: number): Promise<T[]> => {
    const find = (within: Fragment): Promise<T[]> => run<T>(frag`select ${columns} from ${raw(model.table)} t0 where ${hasId(model, id)} and ${within}`);
    const likely = model.table === 'observation' ? await idDays.likely(run, id, 't0') : null;
    const found = likely === null ? [] : await find(likely);
    return found.length > 0 ? found : find(raw('true'));
  };

  const countOf = async (plan: PagePlan): Promise<number> => {
    if (plan.everything && plan.model.set === 'Observations' && withReadings.length === 0) return countAllObservations(run);
    return (await run<{ count: number }>(plan.count))[0]?.count ?? 0;
  };

  const spend = (rows: number): void => {
    spentRows += rows;
    if (spentRows > EXPANDED_ROWS) throw new Refused({ code: 'sensing.query-invalid', detail: `The answer would hold more than ${String(EXPANDED_ROWS)} entities; use smaller pages with $top.`, field: '$expand' });
  };

  const complete = async (model: EntityModel, options: QueryOptions, rows: readonly Row[]): Promise<Entity[]> => {
    spend(rows.length);
    const full = isStreamSet(model.set) && showsComputed(model, options) && rows.length > 0 ? await addExtents(run, rows, nowMs) : rows;
    const entities = full.map((row): Entity => ({ model, options, row, related: new Map() }));
    for (const item of options.expand) await expand(entities, model, item);
    return entities;
  };

  const expand = async (parents: readonly Entity[], model: EntityModel, { name, options }: ExpandItem): Promise<void> => {
    const navigation = findNavigation(model, name);
    if (navigation === undefined || parents.length === 0) return;
    const target = targetOf(model, navigation);
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
    const plan = planPage(target, options, nowMs, (alias) => [navigation.link(alias, owner)], naturalOrderOf(model, navigation, owner));
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
      const rows = await readRows(run, plan, nowMs, idDays);
      const count = options.count ? await countOf(plan) : null;
      return { entities: await complete(model, options, rows.slice(0, plan.rows)), count, next: nextOf(rows, plan.rows) };
    },
    readCombinations: async ({ model, restrict }, options) => {
      checkOptions(model, options, nowMs, false);
      const plan = planDistinct(model, options, nowMs, restrict);
      const rows = await run<{ parts: unknown[]; keys: string[] }>(plan.select);
      const count = options.count ? ((await run<{ count: number }>(plan.count))[0]?.count ?? 0) : null;
      return { values: rows.slice(0, plan.rows).map(({ parts }) => combinationOf(model, parts, options)), count, next: nextOf(rows, plan.rows) };
    },
    readCount: ({ model, restrict, natural }, options) => countOf(planPage(model, options, nowMs, restrict, natural)),
    readEntity: async (model, id, options) => {
      checkOptions(model, options, nowMs, true);
      const rows = await findById<Row>(rowColumns(model, options, 't0'), model, id);
      return (await complete(model, options, rows))[0] ?? null;
    },
    refuseNotLive: async (model, id) => {
      if (notLive.length === 0 || !isStreamSet(model.set)) return;
      const [found] = await run<{ purpose: string }>(frag`select purpose from datastream where id = ${id}::bigint and purpose = any(${notLive}::text[])`);
      if (found !== undefined) throw new Refused({ code: 'purpose.expired', detail: `The Datastream's purpose, ${found.purpose}, has ended or not begun.`, field: 'Datastream' });
    },
    exists: async (model, id) => (await findById(raw('t0.id'), model, id)).length > 0,
    follow: async (model, parentId, navigation, id) => {
      const target = targetOf(model, navigation);
      const link = navigation.link('t0', frag`${parentId}::bigint`);
      const rows = await run<{ id: number }>(frag`select t0.id from ${raw(target.table)} t0 where ${link}${id === null ? raw('') : frag` and t0.id = ${id}::bigint`} limit 1`);
      return rows[0]?.id ?? null;
    },
  };
}

/** In one place for every statement, whatever relations it follows: a WITH query hides the table of its name (PostgreSQL 18, 7.8.1). */
function withoutReadingsOf(purposes: readonly string[], statement: Fragment): Fragment {
  if (purposes.length === 0) return statement;
  const sources = ['observation', 'observation_hot', 'observation_sealed'].map((name) => frag`${raw(name)} as not materialized (select * from ${raw(name)} where datastream_id not in (select id from datastream where purpose = any(${purposes}::text[])))`);
  return frag`with ${join(sources, ', ')} ${statement}`;
}

function combinationOf(model: EntityModel, parts: readonly unknown[], { select }: QueryOptions): Record<string, unknown> {
  const combination: Record<string, unknown> = {};
  for (const [at, part] of parts.entries()) {
    const { name, rest } = select?.[at] ?? { name: '', rest: [] };
    nest(combination, [model.api.control.isId(name) ? model.api.control.id : name, ...rest], part);
  }
  return combination;
}

/** The bounds of an observation's id leave sealed segments out (migrations/0062). */
const hasId = (model: EntityModel, id: number): Fragment => (model.table === 'observation' ? frag`t0.id = ${id}::bigint and t0.id_low <= ${id}::bigint and t0.id_high >= ${id}::bigint` : frag`t0.id = ${id}::bigint`);

function nextOf(rows: readonly Pick<PagedRow, 'keys'>[], shown: number): string | null {
  const last = rows[shown - 1];
  if (shown === 0 || rows.length <= shown || last === undefined) return null;
  return writeToken(last.keys);
}

function showsComputed(model: EntityModel, { select }: QueryOptions): boolean {
  return model.properties.some((property) => property.computed === true && (select === null || select.some(({ name }) => name === property.name)));
}
