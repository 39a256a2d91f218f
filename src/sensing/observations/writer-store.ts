import pg from 'pg';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Draft } from './draft.ts';
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

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 15_000;
// classes of SQLSTATE that say "not now": connection, insufficient resources, operator intervention, system error, and a
// transaction that lost to another one (PostgreSQL 18 documentation, appendix A)
const AWAY = /^(?:08|53|57|58|40|55|XX)/;

export function openWriter(handle: DatabaseHandle, ids: IdBlocks, logger: Logger, number: number): ObservationWriter {
  const copyBuffer = createCopyBuffer();
  const applicationName = `clerestory ingest ${process.pid}-${number}-${Date.now().toString(36)}`;
  let client: pg.Client | undefined;
  let uncertain: { readonly first: Draft; readonly stored: ReadonlySet<Draft> } | undefined; // a batch whose COMMIT was not answered

  const connect = async (): Promise<pg.Client> => {
    if (client !== undefined) return client;
    const { host, port, user, database, password, connectionString, ssl } = handle.pool.options;
    const opened = new pg.Client({ ...definedOf({ host, port, user, database, password, connectionString, ssl }), application_name: applicationName, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });
    opened.on('error', (error) => {
      logger.warn({ err: error, writer: number }, 'an ingest connection broke');
      if (client === opened) client = undefined;
    });
    try {
      await opened.connect();
      // an earlier connection of ours may still be committing what we do not know of
      await opened.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid() and usename = current_user', [applicationName]);
      // the look-up of stored readings must walk the index, however large the planner thinks the table is
      await opened.query('set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set synchronous_commit = on');
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
    const answer = await on.query('select 1 from observation where datastream_id = $1 and phenomenon_start = $2 and id = $3', [draft.stream.id, new Date(draft.phenomenonMs), draft.id]);
    return answer.rows.length > 0;
  };

  const storeOn = async (on: pg.Client, drafts: readonly Draft[]): Promise<ReadonlySet<Draft>> => {
    const suspects = drafts.filter((draft) => draft.mayBeStored);
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
    await copy(on, copyBuffer.finish());
    uncertain = undefined;
    return stored;
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
        return await storeOn(on, drafts);
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

async function findStored(on: pg.Client, suspects: readonly Draft[]): Promise<ReadonlySet<Draft>> {
  const instant = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
  const answer = await on.query<{ n: string; id: string }>(
    `select t.n, min(o.id) as id
       from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::text[], $6::text[]) with ordinality as t (stream, starts, ends, number, json, extra, n)
       join observation o on o.datastream_id = t.stream and o.phenomenon_start = t.starts
      where o.phenomenon_end is not distinct from t.ends and o.result_number is not distinct from t.number
        and o.result_json is not distinct from t.json and o.extra is not distinct from t.extra::jsonb
      group by t.n`,
    [suspects.map((draft) => draft.stream.id), suspects.map((draft) => instant(draft.phenomenonMs)), suspects.map((draft) => instant(draft.phenomenonEndMs)), suspects.map((draft) => draft.value), suspects.map((draft) => draft.exact), suspects.map((draft) => draft.extra)],
  );
  const stored = new Set<Draft>();
  for (const row of answer.rows) {
    const draft = suspects[Number(row.n) - 1];
    if (draft === undefined) continue;
    draft.id = Number(row.id);
    stored.add(draft);
  }
  return stored;
}

/**
 * One COPY, which is its own transaction, in one write: the server reads the rows after it has read the statement, and skips
 * them when the statement fails (PostgreSQL 18 documentation, 54.2.6).
 */
function copy(on: pg.Client, messages: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const slow = setTimeout(() => {
      (on as unknown as { connection: { stream: { destroy(error: Error): void } } }).connection.stream.destroy(new Error('no answer to a COPY'));
    }, ANSWER_TIMEOUT_MS);
    const settle = (error?: Error): void => {
      clearTimeout(slow);
      if (error === undefined) resolve();
      else reject(error);
    };
    on.query({
      submit: (connection: pg.Connection) => {
        const raw = connection as unknown as { query(text: string): void; stream: NodeJS.WritableStream & { cork(): void; uncork(): void } };
        raw.stream.cork();
        raw.query(`copy observation (${COPY_COLUMNS}) from stdin (format binary)`);
        raw.stream.write(messages);
        raw.stream.uncork();
      },
      handleCopyInResponse: () => undefined,
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => settle(),
      handleError: (error: Error) => settle(error),
      callback: () => undefined,
    } as unknown as pg.Submittable);
  });
}
