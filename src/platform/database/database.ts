import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import type { Logger } from '../logger.ts';

/**
 * A store names its own tables: `db.withTables<{ incident: IncidentRow }>()`.
 * Kysely writes every statement but the ingest path's COPY.
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- stores add their tables with withTables()
export type Tables = {};
export type Database = Kysely<Tables>;
export type Trx = Transaction<Tables>;
export interface DatabaseHandle {
  readonly db: Database;
  readonly pool: pg.Pool;
  /** Throws when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const INT8_OID = 20;

/** Opens a pool. int8 arrives as number: ids stay below 2^53. */
export function openDatabase(connection: pg.PoolConfig, logger: Logger, maxConnections = 16): DatabaseHandle {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8_OID, Number);
  const pool = new pg.Pool({ ...connection, max: maxConnections, types, connectionTimeoutMillis: 30_000 });
  let closing = false;
  // the database may go before the last of our good-byes has reached it
  pool.on('error', (error) => logger[closing ? 'debug' : 'warn']({ err: error }, 'an idle database connection broke'));
  // A connection that breaks between two statements of a transaction has no listener of its own; its next statement rejects.
  pool.on('connect', (client) => client.on('error', (error) => logger.debug({ err: error }, 'a database connection in use broke')));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const close = (): Promise<void> => {
    closing = true;
    return db.destroy();
  };
  return { db, pool, ping: async () => void (await pool.query('select 1')), close };
}

// connection, insufficient resources such as a full disk, shutdown, system error (PostgreSQL 18 documentation, appendix A)
const AWAY_STATES = /^(?:08|53|57P|58)/;
const AWAY_CALLS: ReadonlySet<unknown> = new Set(['connect', 'read', 'write']);

/** Whether the error, or one that caused it, says that the database cannot be reached or has no room: trying later may help. */
export function isDatabaseAway(error: unknown): boolean {
  for (let cause = error, left = 5; cause instanceof Error && left > 0; cause = cause.cause, left -= 1) {
    if (cause instanceof pg.DatabaseError) return AWAY_STATES.test(cause.code ?? '');
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (/^(?:ECONNREFUSED|ECONNRESET|EPIPE|ENOENT)$/.test(code ?? '') && AWAY_CALLS.has(syscall)) return true;
    // what pg and pg-pool say has no code
    if (code === undefined && /^(?:Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/.test(cause.message)) return true;
  }
  return false;
}

/** Whether the database was sent characters that no text of it can hold (SQLSTATE 22021 and 22P05). */
export const isNoText = (error: unknown): boolean => error instanceof pg.DatabaseError && (error.code === '22021' || error.code === '22P05');

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/', import.meta.url));

const migrationFiles = (): string[] => readdirSync(MIGRATIONS).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort();

/** Whether the database has exactly the migrations of this release. */
export async function isMigrated(db: Database): Promise<boolean> {
  const found = await sql<{ name: string | null }>`select to_regclass('kysely_migration')::text as name`.execute(db);
  if ((found.rows[0]?.name ?? null) === null) return false;
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  const files = migrationFiles().map((name) => name.replace(/\.sql$/, ''));
  return rows.length === files.length && rows.every((row, at) => row.name === files[at]);
}

/** Applies `migrations/NNNN_*.sql` in order, each in its own transaction, forward only. Returns the names applied now. */
export async function migrate(db: Database): Promise<string[]> {
  const files = migrationFiles();
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: () =>
        Promise.resolve(Object.fromEntries(files.map((name) => [name.replace(/\.sql$/, ''), { up: async (on: Kysely<unknown>) => void (await sql.raw(readFileSync(MIGRATIONS + name, 'utf8')).execute(on)) }]))),
    },
  });
  const { error, results } = await migrator.migrateToLatest();
  const failed = results?.find((result) => result.status === 'Error');
  if (error !== undefined) throw new Error(`migration ${failed?.migrationName ?? ''} failed`, { cause: error });
  return (results ?? []).map((result) => result.migrationName);
}
