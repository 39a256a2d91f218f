import type pg from 'pg';
import type { DatabaseHandle } from '../../platform/index.ts';
import type { StoredReading } from './segment.ts';

/** A connection of its own in one state of the database. */
export interface Session {
  readonly client: pg.PoolClient;
}

const AHEAD_BYTES = 1 << 20;
const CHUNK_BYTES = 1 << 16;
const FETCHED_ROWS = 4_096;

/**
 * Runs `act` in one read-only transaction that sees one state of the database. When `act` stops early, the connection is closed and
 * the server ends what it was doing (client_connection_check_interval, PostgreSQL 14 and later).
 */
export async function* inSnapshot<T>(handle: DatabaseHandle, act: (session: Session) => AsyncGenerator<T>): AsyncGenerator<T> {
  const client = await handle.pool.connect();
  let done = false;
  try {
    await client.query('begin isolation level repeatable read read only');
    await client.query("set local client_connection_check_interval = '1s'");
    yield* act({ client });
    await client.query('commit');
    done = true;
  } finally {
    client.release(done ? undefined : new Error('the reader of a snapshot stopped'));
  }
}

/**
 * The bytes of `copy (…) to stdout`, in chunks of about 64 KiB. The server waits while the reader does not read. `onRows` hears at the
 * end how many rows it were.
 */
export async function* copyOut({ client }: Session, statement: string, onRows?: (rows: number) => void): AsyncGenerator<Buffer> {
  const { connection } = client as unknown as { connection: { readonly stream: { pause(): void; resume(): void }; query(text: string): void } };
  const waiting: Buffer[] = [];
  let waiting_bytes = 0;
  let isPaused = false;
  let isDone = false;
  let fault: Error | undefined;
  let wake: (() => void) | undefined;
  const signal = (): void => {
    wake?.();
    wake = undefined;
  };
  const end = (error?: Error): void => {
    fault ??= error;
    isDone = true;
    signal();
  };
  client.query({
    submit: () => connection.query(statement),
    handleCopyData: ({ chunk }: { chunk: Buffer }) => {
      waiting.push(Buffer.from(chunk)); // the driver uses its memory again
      waiting_bytes += chunk.length;
      if (waiting_bytes > AHEAD_BYTES && !isPaused) {
        isPaused = true;
        connection.stream.pause();
      }
      if (waiting_bytes >= CHUNK_BYTES) signal();
    },
    handleCommandComplete: ({ text }: { text: string }) => onRows?.(Number(/\d+$/.exec(text)?.[0])), // COPY 123
    handleReadyForQuery: () => end(),
    handleError: (error: Error) => end(error),
    callback: () => undefined,
  } as unknown as pg.Submittable);
  for (;;) {
    if (waiting_bytes < CHUNK_BYTES && !isDone) await new Promise<void>((resolve) => (wake = resolve));
    if (fault !== undefined) throw fault;
    if (waiting.length > 0) {
      const chunk = Buffer.concat(waiting);
      waiting.length = 0;
      waiting_bytes = 0;
      if (isPaused) connection.stream.resume();
      isPaused = false;
      yield chunk;
    } else if (isDone) return;
  }
}

const sinceUs = (column: string): string => `(extract(epoch from ${column}) * 1000000)::bigint - 946684800000000`;

/** Columns in which `readStored` reads a reading; of table observation_hot or of one of the views. */
export const STORED_COLUMNS = `id, datastream_id, ${sinceUs('phenomenon_start')}, ${sinceUs('phenomenon_end')}, ${sinceUs('result_time')}, ${sinceUs('arrived')}, result_number, result_json, extra::text, valid`;

const FLOAT8_OID = 701;
const INT8_OID = 20;
const BOOL_OID = 16;
// numbers as they are, texts untouched
const TYPES = {
  getTypeParser: (oid: number) => (value: string) => (oid === FLOAT8_OID || oid === INT8_OID ? Number(value) : oid === BOOL_OID ? value === 't' : value),
};

type StoredRow = [number, number, number, number | null, number | null, number, number | null, string | null, string | null, boolean];

/** Readings of a select of `STORED_COLUMNS`, through a cursor, in lists of at most 4,096. The session must be in a transaction. */
export async function* readStored({ client }: Session, select: string, parameters: readonly unknown[]): AsyncGenerator<readonly StoredReading[]> {
  await client.query(`declare stored no scroll cursor for ${select}`, [...parameters]);
  for (;;) {
    const { rows } = await client.query<StoredRow>({ text: `fetch ${FETCHED_ROWS} from stored`, rowMode: 'array', types: TYPES });
    if (rows.length > 0) yield rows.map(([id, streamId, startUs, endUs, resultUs, arrivedUs, number, text, extra, valid]) => ({ id, streamId, startUs, endUs, resultUs, arrivedUs, number, text, extra, valid }));
    if (rows.length < FETCHED_ROWS) break;
  }
  await client.query('close stored');
}
