import pg from 'pg';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Draft } from './draft.ts';
import { batchValues, NOTE_BATCH } from './batch-store.ts';
import { findStored } from './duplicate-store.ts';
import { COPY_COLUMNS, createCopyBuffer } from './row-encoding.ts';

/** One dedicated connection that stores batches. It connects when needed and again after it broke. */
export interface ObservationWriter {
  /**
   * Stores the drafts in one transaction and sets their ids; returns after COMMIT. A draft that `mayBeStored` and is stored
   * already gets the id of the stored one and is not stored again; those are returned.
   * Throws `WriterAway` when the database does not answer: the batch may or may not be stored, and handing in the same drafts
   * again finds out. Throws the database's own error when it does not take the content.
   */
  store(drafts: readonly Draft[]): Promise<ReadonlySet<Draft>>;
  close(): Promise<void>;
}

/** The database does not answer, or answered that it cannot take anything now. */
export class WriterAway extends Error {
  constructor(cause: unknown) {
    super('the database is away', { cause });
    this.name = 'WriterAway';
  }
}

/** Gives out ids in blocks of the sequence (migrations/0021), one range for all writers of a process. */
export interface IdBlocks {
  readonly blocks: { next: number; end: number }[];
}
export const createIdBlocks = (): IdBlocks => ({ blocks: [] });
const BLOCK_IDS = 10_000;

export interface WriterOptions {
  readonly handle: DatabaseHandle;
  readonly ids: IdBlocks;
  readonly logger: Logger;
  /** No other writer of this database has it. */
  readonly name: string;
  /** Whether other processes store readings too: then every batch is looked up and stored under locks that all writers share. */
  readonly isShared: () => boolean;
}

const CONNECT_TIMEOUT_MS = 5_000;
const SHARE_LOCK = 6_302;
// one lock for so many datastreams: writers whose batches have none in common do not wait for each other
const SHARE_LOCKS = 64;
const ANSWER_TIMEOUT_MS = 15_000;
// classes of SQLSTATE that say "not now": connection, insufficient resources, operator intervention, system error, and a
// transaction that lost to another one (PostgreSQL 18 documentation, appendix A)
const AWAY = /^(?:08|53|57|58|40|55|XX)/;

export function openWriter({ handle, ids, logger, name, isShared }: WriterOptions): ObservationWriter {
  const copyBuffer = createCopyBuffer();
  const applicationName = `clerestory ingest ${name}`;
  let client: pg.Client | undefined;
  let uncertain: { readonly first: Draft; readonly stored: ReadonlySet<Draft> } | undefined; // a batch whose COMMIT was not answered

  const connect = async (): Promise<pg.Client> => {
    if (client !== undefined) return client;
    const { host, port, user, database, password, connectionString, ssl } = handle.pool.options;
    const opened = new pg.Client({ ...definedOf({ host, port, user, database, password, connectionString, ssl }), application_name: applicationName, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });
    opened.on('error', (error) => {
      logger.warn({ err: error, writer: name }, 'an ingest connection broke');
      if (client === opened) client = undefined;
    });
    try {
      await opened.connect();
      // an earlier connection of ours may still be committing what we do not know of
      await opened.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid() and usename = current_user', [applicationName]);
      // a process that was stopped while it holds the locks must not hold up the others for ever;
      // the look-up of stored readings must walk the index, however large the planner thinks the table is
      await opened.query('set enable_seqscan = off; set enable_mergejoin = off; set jit = off; set synchronous_commit = on; set lock_timeout = 5000; set idle_in_transaction_session_timeout = 15000');
    } catch (error) {
      opened.end().catch((cause: unknown) => logger.debug({ err: cause }, 'a connection that did not open does not close'));
      throw error;
    }
    client = opened;
    return opened;
  };

  const takeIds = async (on: pg.Client, count: number): Promise<number[]> => {
    let free = ids.blocks.reduce((sum, block) => sum + block.end - block.next, 0);
    while (free < count) {
      const answer = await on.query<{ first: string }>("select nextval('observation_id') as first");
      const first = Number(answer.rows[0]?.first);
      ids.blocks.push({ next: first, end: first + BLOCK_IDS });
      free = ids.blocks.reduce((sum, block) => sum + block.end - block.next, 0); // another writer may have taken some meanwhile
    }
    const taken = new Array<number>(count);
    for (let at = 0; at < count; at += 1) {
      const block = ids.blocks[0] as { next: number; end: number };
      taken[at] = block.next;
      block.next += 1;
      if (block.next === block.end) ids.blocks.shift();
    }
    return taken;
  };

  const isCommitted = async (on: pg.Client, draft: Draft): Promise<boolean> => {
    const answer = await on.query('select 1 from observation_hot where datastream_id = $1 and phenomenon_start = $2 and id = $3', [draft.stream.id, new Date(draft.phenomenonMs), draft.id]);
    return answer.rows.length > 0;
  };

  /** `mayBeOthers`: another process may have stored any of them, and none can while the locks are held. */
  const storeOn = async (on: pg.Client, drafts: readonly Draft[], mayBeOthers: boolean): Promise<ReadonlySet<Draft>> => {
    const suspects = drafts.filter((draft) => draft.mayBeStored || (mayBeOthers && draft.hasOwnTime));
    const stored = suspects.length === 0 ? NONE : await findStored(on, suspects);
    const fresh = stored.size === 0 ? drafts : drafts.filter((draft) => !stored.has(draft));
    if (fresh.length === 0) return stored;
    const taken = await takeIds(on, fresh.length);
    copyBuffer.reset();
    fresh.forEach((draft, at) => {
      draft.id = taken[at] as number;
      copyBuffer.append(draft, draft.id);
    });
    uncertain = { first: fresh[0] as Draft, stored };
    await copy(on, batchValues(applicationName, fresh), copyBuffer.finish());
    if (!mayBeOthers) uncertain = undefined;
    return stored;
  };

  const storeShared = async (on: pg.Client, drafts: readonly Draft[]): Promise<ReadonlySet<Draft>> => {
    const locks = [...new Set(drafts.map((draft) => draft.stream.id % SHARE_LOCKS))].sort((a, b) => a - b);
    await on.query('begin');
    try {
      await on.query('select pg_advisory_xact_lock($1, k) from (select k from unnest($2::int[]) k order by k offset 0) locks', [SHARE_LOCK, locks]);
      const stored = await storeOn(on, drafts, true);
      await on.query('commit');
      uncertain = undefined;
      return stored;
    } catch (error) {
      if (!isAway(error)) await on.query('rollback');
      throw error;
    }
  };

  return {
    store: async (drafts) => {
      try {
        const on = await connect();
        if (uncertain !== undefined) {
          const { first, stored } = uncertain;
          const isThisBatch = drafts.includes(first) && (await isCommitted(on, first));
          uncertain = undefined;
          if (isThisBatch) return stored;
        }
        return await (isShared() ? storeShared(on, drafts) : storeOn(on, drafts, false));
      } catch (error) {
        if (!isAway(error)) {
          uncertain = undefined; // the database answered: nothing of it is stored
          throw error;
        }
        const broken = client;
        client = undefined;
        broken?.end().catch((cause: unknown) => logger.debug({ err: cause }, 'a broken connection does not close'));
        throw new WriterAway(error);
      }
    },
    close: async () => {
      const open = client;
      client = undefined;
      await open?.end();
    },
  };
}

const NONE: ReadonlySet<Draft> = new Set();

const definedOf = <T extends object>(options: T): T => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

function isAway(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  if (error instanceof pg.DatabaseError) return typeof code !== 'string' || AWAY.test(code);
  return true; // the driver's or the system's: the connection is gone
}

/** The driver's connection, as far as the messages of an extended query go (PostgreSQL 18 documentation, 54.2.3). */
interface Wire {
  readonly stream: NodeJS.WritableStream & { cork(): void; uncork(): void; destroy(error: Error): void };
  parse(statement: { name: string; text: string }): void;
  bind(portal: { statement: string; values: readonly (string | null)[] }): void;
  execute(portal: { rows: number }): void;
  close(statement: { type: 'S'; name: string }): void;
  sync(): void;
}

const STATEMENTS = [
  { name: 'note batch', text: NOTE_BATCH },
  { name: 'copy readings', text: `copy observation_hot (${COPY_COLUMNS}) from stdin (format binary)` },
] as const;
const prepared = new WeakSet<pg.Client>();

/**
 * The batch and the COPY in one extended query, which makes them one transaction, and in one write: what follows a statement that
 * fails is skipped up to the Sync, rows and all (PostgreSQL 18 documentation, 54.2.3 and 54.2.6).
 */
function copy(on: pg.Client, batch: readonly (string | null)[], messages: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const slow = setTimeout(() => {
      (on as unknown as { connection: Wire }).connection.stream.destroy(new Error('no answer to a COPY'));
    }, ANSWER_TIMEOUT_MS);
    let fault: Error | undefined;
    on.query({
      submit: (connection: pg.Connection) => {
        const wire = connection as unknown as Wire;
        wire.stream.cork();
        for (const { name, text } of prepared.has(on) ? [] : STATEMENTS) {
          wire.close({ type: 'S', name }); // one may be left of an attempt that failed
          wire.parse({ name, text });
        }
        for (const { name } of STATEMENTS) {
          wire.bind({ statement: name, values: name === 'note batch' ? batch : [] });
          wire.execute({ rows: 0 });
        }
        wire.stream.write(messages);
        wire.sync();
        wire.stream.uncork();
      },
      handleCopyInResponse: () => undefined,
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => {
        clearTimeout(slow);
        if (fault !== undefined) return reject(fault);
        prepared.add(on);
        resolve();
      },
      handleError: (error: Error) => {
        clearTimeout(slow);
        fault = error;
        reject(error);
      },
      callback: () => undefined,
    } as unknown as pg.Submittable);
  });
}
