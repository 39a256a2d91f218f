import { Refused, type Result } from '../../kernel/index.ts';
import { queryFault } from '../query/fault.ts';
import { parseQuery } from '../query/options.ts';
import { NO_OPTIONS, type QueryOptions } from '../query/syntax.ts';
import type { EntityModel } from './model.ts';
import type { Collection, ReadStore } from './read-store.ts';
import { noFigures, type RemovalFigures } from './removal-store.ts';

/** The query of a DELETE on a set. */
export interface RemovalQuery {
  readonly options: QueryOptions;
  readonly dryRun: boolean;
}

interface FilteredRemovalDeps {
  readonly reads: ReadStore;
  readonly removeTogether: (model: EntityModel, ids: readonly number[], figures: RemovalFigures, seen: Set<number>, dryRun: boolean) => Promise<Result<undefined>>;
}

const ROWS_AT_ONCE = 1_000;

/** `$filter=…&dryRun=true`; everything of a set goes only when that is said: `$filter=true`. Throws `Refused`. */
export function readRemovalQuery(search: string): RemovalQuery {
  const parts = search.split('&');
  const [dry, ...more] = parts.filter((part) => part.startsWith('dryRun='));
  if (more.length > 0 || (dry !== undefined && dry !== 'dryRun=true' && dry !== 'dryRun=false')) throw queryFault('dryRun', 0, 'it is true or false.');
  const options = parseQuery(parts.filter((part) => !part.startsWith('dryRun=')).join('&'));
  if (options.filter === null) throw queryFault('$filter', 0, 'a DELETE of a set names what goes; $filter=true means all of it.');
  const other = options.texts.find(([name]) => name !== '$filter');
  if (other !== undefined) throw queryFault(other[0], 0, 'a DELETE of a set takes $filter and dryRun only.');
  return { options, dryRun: dry === 'dryRun=true' };
}

/**
 * Deletes, or with `dryRun` counts, the members of a set that the filter keeps: in transactions of at most 1,000, so an
 * interrupted one is carried on by asking again. Throws `Refused`.
 */
export async function removeFiltered(deps: FilteredRemovalDeps, collection: Collection, { options, dryRun }: RemovalQuery): Promise<RemovalFigures> {
  const figures = noFigures();
  const seen = new Set<number>();
  const page: QueryOptions = { ...NO_OPTIONS, filter: options.filter, top: ROWS_AT_ONCE, select: [{ name: collection.model.api.control.id, rest: [], at: 0 }] };
  for (let after: string | null = null; ; ) {
    const { entities, next } = await deps.reads.inSession((session) => session.readPage({ ...collection, natural: 'id' }, { ...page, after }));
    const ids = entities.map(({ row }) => row.id);
    if (ids.length > 0) {
      const removed = await deps.removeTogether(collection.model, ids, figures, seen, dryRun);
      if (!removed.ok) throw new Refused(removed.refusal);
    }
    if (next === null) return figures;
    after = next;
  }
}

/** The answer to a DELETE of a set. */
export function describeFigures(model: EntityModel, { count, oldest, newest, cascade }: RemovalFigures, dryRun: boolean): Record<string, unknown> {
  return { set: model.set, dryRun, count, oldest: oldest?.toISOString() ?? null, newest: newest?.toISOString() ?? null, ...(model.set === 'Observations' ? {} : { cascade }) };
}
