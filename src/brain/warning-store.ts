import { sql, type Generated, type JSONColumnType, type Selectable } from 'kysely';
import { isoOf } from '../kernel/index.ts';
import { type Bus, type DatabaseHandle, type Trx } from '../platform/index.ts';
import { type Severity } from '../contracts/common.ts';
import { type Explanation, type RuleState, type Warning } from '../contracts/warning.ts';

interface WarningTable {
  id: string;
  rule_id: string;
  rule_version: number;
  title: string;
  severity: string;
  state: string;
  place_id: number;
  place_name: string;
  place_kind: string;
  lon: number;
  lat: number;
  datastream_id: number;
  playbook: string | null;
  purpose: string;
  since: Date;
  raised_at: Date;
  cleared_at: Date | null;
  explanation: JSONColumnType<Explanation>;
}
// types, not interfaces: kysely's withTables() asks for an index signature
type BrainTables = {
  rule_version: { rule_id: string; version: number; document: string; loaded_at: Date; loaded_by: string };
  warning: WarningTable;
  warning_state: { seq: Generated<number>; warning_id: string; at: Date; state: string };
};
type WarningRow = Selectable<WarningTable>;

/** What happens to a warning. `changed` moves between warning and clearing and tells nobody. */
export interface WarningChange {
  readonly kind: 'raised' | 'cleared' | 'unknown' | 'known' | 'changed';
  /** As it is after the change. */
  readonly warning: Warning;
  readonly datastreamId: number;
  readonly atMs: number;
}

export interface RuleVersion {
  readonly ruleId: string;
  readonly version: number;
  readonly loadedAtMs: number;
  readonly loadedBy: string;
}

export interface WarningStore {
  /** Gives each document its version: the same document keeps the one it has. */
  saveRules(rules: readonly { id: string; document: string }[], loadedBy: string, nowMs: number): Promise<ReadonlyMap<string, RuleVersion>>;
  /** Stores changes in order and publishes them, in one transaction. A change that is stored already does nothing. */
  apply(changes: readonly WarningChange[]): Promise<void>;
  readStanding(): Promise<{ warning: Warning; datastreamId: number; changedAtMs: number }[]>;
  /** When the last warning of each rule at each place was cleared, since `fromMs`; key `rule place`. */
  readClearedSince(fromMs: number): Promise<ReadonlyMap<string, number>>;
  /** State of each datastream that had a standing warning at `atMs`. */
  readStatesAt(atMs: number): Promise<{ datastreamId: number; state: RuleState }[]>;
  readByIds(ids: readonly string[]): Promise<Warning[]>;
  /** Warnings that stood at some time in [fromMs, toMs), newest first. */
  readBetween(fromMs: number, toMs: number, limit: number): Promise<Warning[]>;
}

const RULES_LOCK = 7_301_030;

export function createWarningStore(handle: DatabaseHandle, bus: Bus): WarningStore {
  const db = handle.db.withTables<BrainTables>();
  return {
    saveRules: (rules, loadedBy, nowMs) =>
      db.transaction().execute(async (trx) => {
        await sql`select pg_advisory_xact_lock(${RULES_LOCK})`.execute(trx);
        const ids = rules.map((rule) => rule.id);
        const known = ids.length === 0 ? [] : await trx.selectFrom('rule_version').selectAll().where('rule_id', 'in', ids).orderBy('version').execute();
        const versions = new Map<string, RuleVersion>();
        for (const { id, document } of rules) {
          const own = known.filter((row) => row.rule_id === id);
          const same = own.find((row) => row.document === document);
          const row = same ?? { rule_id: id, version: (own.at(-1)?.version ?? 0) + 1, document, loaded_at: new Date(nowMs), loaded_by: loadedBy };
          if (same === undefined) await trx.insertInto('rule_version').values(row).execute();
          versions.set(id, { ruleId: id, version: row.version, loadedAtMs: row.loaded_at.getTime(), loadedBy: row.loaded_by });
        }
        return versions;
      }),
    apply: (changes) =>
      handle.db.transaction().execute(async (trx) => {
        for (const change of changes) {
          if (!(await store(trx, change)) || change.kind === 'changed') continue;
          await bus.publish(trx, `warning.${change.kind}`, change.warning.id, change.warning);
        }
      }),
    readStanding: async () => {
      const rows = await db
        .selectFrom('warning')
        .selectAll('warning')
        .select((eb) => eb.selectFrom('warning_state').select((inner) => inner.fn.max('at').as('at')).whereRef('warning_id', '=', 'warning.id').as('changed_at'))
        .where('cleared_at', 'is', null)
        .execute();
      return rows.map((row) => ({ warning: warningOf(row), datastreamId: row.datastream_id, changedAtMs: (row.changed_at ?? row.raised_at).getTime() }));
    },
    readClearedSince: async (fromMs) => {
      const rows = await db.selectFrom('warning').select(['rule_id', 'place_id', (eb) => eb.fn.max('cleared_at').as('cleared_at')]).where('cleared_at', '>=', new Date(fromMs)).groupBy(['rule_id', 'place_id']).execute();
      return new Map(rows.map((row) => [`${row.rule_id} ${String(row.place_id)}`, row.cleared_at?.getTime() ?? fromMs]));
    },
    readStatesAt: async (atMs) => {
      const at = new Date(atMs);
      const rows = await db
        .selectFrom('warning')
        .innerJoin('warning_state', 'warning_state.warning_id', 'warning.id')
        .distinctOn('warning.id')
        .select(['warning.datastream_id', 'warning_state.state'])
        .where('warning.raised_at', '<=', at)
        .where((eb) => eb.or([eb('warning.cleared_at', 'is', null), eb('warning.cleared_at', '>', at)]))
        .where('warning_state.at', '<=', at)
        .orderBy('warning.id')
        .orderBy('warning_state.seq', 'desc')
        .execute();
      return rows.map((row) => ({ datastreamId: row.datastream_id, state: row.state as RuleState }));
    },
    readByIds: async (ids) => (ids.length === 0 ? [] : (await db.selectFrom('warning').selectAll().where('id', 'in', [...ids]).orderBy('raised_at').execute()).map(warningOf)),
    readBetween: async (fromMs, toMs, limit) => {
      const rows = await db
        .selectFrom('warning')
        .selectAll()
        .where('raised_at', '<', new Date(toMs))
        .where((eb) => eb.or([eb('cleared_at', 'is', null), eb('cleared_at', '>=', new Date(fromMs))]))
        .orderBy('raised_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(warningOf);
    },
  };
}

/** Whether the change was new. At most one warning of a rule stands at a place: the partial unique index says so. */
async function store(trx: Trx, { kind, warning, datastreamId, atMs }: WarningChange): Promise<boolean> {
  const tables = trx.withTables<BrainTables>();
  if (kind === 'raised') {
    const row = await tables
      .insertInto('warning')
      .values({
        id: warning.id,
        rule_id: warning.ruleId,
        rule_version: warning.explanation.rule.version,
        title: warning.title,
        severity: warning.severity,
        state: warning.state,
        place_id: warning.placeId,
        place_name: warning.placeName,
        place_kind: warning.placeKind,
        lon: warning.point[0],
        lat: warning.point[1],
        datastream_id: datastreamId,
        playbook: warning.playbook,
        purpose: warning.purpose,
        since: new Date(warning.since),
        raised_at: new Date(warning.raisedAt),
        explanation: JSON.stringify(warning.explanation),
      })
      .onConflict((on) => on.doNothing())
      .returning('id')
      .executeTakeFirst();
    if (row === undefined) return false;
  } else {
    const row = await tables
      .updateTable('warning')
      .set({ state: warning.state, cleared_at: warning.clearedAt === null ? null : new Date(warning.clearedAt) })
      .where('id', '=', warning.id)
      .where('cleared_at', 'is', null)
      .where('state', '<>', warning.state)
      .returning('id')
      .executeTakeFirst();
    if (row === undefined) return false;
  }
  await tables.insertInto('warning_state').values({ warning_id: warning.id, at: new Date(atMs), state: warning.state }).execute();
  return true;
}

function warningOf(row: WarningRow): Warning {
  return {
    id: row.id,
    ruleId: row.rule_id,
    title: row.title,
    severity: row.severity as Severity,
    state: row.state as RuleState,
    placeId: row.place_id,
    placeName: row.place_name,
    placeKind: row.place_kind,
    point: [row.lon, row.lat],
    playbook: row.playbook,
    purpose: row.purpose,
    since: isoOf(row.since.getTime()),
    raisedAt: isoOf(row.raised_at.getTime()),
    clearedAt: row.cleared_at === null ? null : isoOf(row.cleared_at.getTime()),
    explanation: row.explanation,
  };
}
