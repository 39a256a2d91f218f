import { isoOf, ok, refuse, type Clock, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Json } from '../log/canonical.ts';
import type { Gate } from './gate.ts';
import { addRefusals, deleteOldRefusals, findHourLeaf, insertQuarantine, noteLoggedHour, noteReleaseLeaf, readQuarantine, readRefusals, readUnloggedHour, releaseQuarantine, type QuarantineRow, type RefusalSum } from './gate-store.ts';

/** Keeps what the gate refused as sums, puts an hour's sums into the log, and shares quarantines between processes. */
export interface GateLedger {
  /** Sums of the last `hours`, the most frequent first. */
  read(hours: number): Promise<RefusalSum[]>;
  quarantine(): Promise<QuarantineRow[]>;
  /** Lets a stream in again; leaves a leaf with the pseudonym and the reason. */
  release(stream: number, by: string, reason: string): Promise<Result<undefined>>;
  /** Writes what is in memory and logs the hours that have ended; the timer does it by itself. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export interface GateLedgerOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: Gate;
  /** Null in a process without a log: the city logs its sums as well. */
  readonly log: { appendBody(kind: string, body: Json): Promise<number> } | null;
}

const HOUR_MS = 3_600_000;
const SETTLED_EVERY_MS = 10_000;
/** Rows that wait in memory; what comes beyond is summed under the stream 0. */
const ROWS = 10_000;
const LEAF_ROWS = 500;
/** What the database says is asked for once in this time, however many ask. */
const READ_EVERY_MS = 2_000;
const READ_ROWS = 1_000;
const KEPT_DAYS = 365;

export async function openGateLedger({ handle, clock, logger, gate, log }: GateLedgerOptions): Promise<GateLedger> {
  const { db } = handle;
  let waiting = new Map<string, { hour: number; stream: number; rule: string; count: number; bytes: number }>();
  let enclosed = new Map<number, { rule: string; sinceMs: number }>();
  let settling: Promise<void> | undefined;
  let stored: { readonly hours: number; readonly atMs: number; readonly rows: Promise<RefusalSum[]> } | null = null;

  gate.onRefused(({ stream, rule, bytes }) => {
    const hour = Math.floor(clock.nowMs() / HOUR_MS) * HOUR_MS;
    const of = (id: number): string => `${String(hour)} ${String(id)} ${rule}`;
    const id = waiting.has(of(stream)) || waiting.size < ROWS ? stream : 0;
    const entry = waiting.get(of(id)) ?? { hour, stream: id, rule, count: 0, bytes: 0 };
    entry.count += 1;
    entry.bytes += bytes;
    waiting.set(of(id), entry);
  });
  gate.onQuarantined((stream, rule) => {
    logger.warn({ stream, rule }, 'a datastream was put into quarantine');
    enclosed.set(stream, { rule, sinceMs: clock.nowMs() });
    settle().catch((error: unknown) => logger.warn({ err: error, stream }, 'the quarantine is kept in memory until it can be stored'));
  });

  const write = async (): Promise<void> => {
    const [sums, streams] = [waiting, enclosed];
    waiting = new Map();
    enclosed = new Map();
    try {
      for (const [stream, { rule, sinceMs }] of streams) await insertQuarantine(db, stream, rule, new Date(sinceMs));
      streams.clear();
      for (const hour of new Set([...sums.values()].map((sum) => sum.hour))) {
        const ofHour = [...sums].filter(([, sum]) => sum.hour === hour);
        await addRefusals(db, new Date(hour), ofHour.map(([, { stream, rule, count, bytes }]) => ({ stream, rule, count, bytes })));
        stored = null;
        for (const [key] of ofHour) sums.delete(key);
      }
    } catch (error) {
      for (const [stream, entry] of streams) enclosed.set(stream, entry);
      for (const [key, sum] of sums) {
        const newer = waiting.get(key);
        waiting.set(key, newer === undefined ? sum : { ...sum, count: sum.count + newer.count, bytes: sum.bytes + newer.bytes });
      }
      throw error;
    }
    gate.setQuarantine(new Map([...(await readQuarantine(db)).map(({ stream, rule }): [number, string] => [stream, rule]), ...[...enclosed].map(([stream, { rule }]): [number, string] => [stream, rule])]));
  };
  const logHours = async (): Promise<void> => {
    if (log === null) return;
    // other processes write their sums within a minute after the hour
    const before = new Date(Math.floor((clock.nowMs() - 60_000) / HOUR_MS) * HOUR_MS);
    for (let found = await readUnloggedHour(db, before, LEAF_ROWS); found !== null; found = await readUnloggedHour(db, before, LEAF_ROWS)) {
      const hour = isoOf(found.hour.getTime());
      const leaf = await findHourLeaf(db, hour);
      if (leaf === 'pending') return; // the next start of the log settles whether it is there
      const refused = found.sums.map((sum) => ({ ...sum }));
      await noteLoggedHour(db, found.hour, leaf ?? (await log.appendBody('gate.refused', { hour, refused, ...(found.rest.rows === 0 ? {} : { rest: found.rest }) })));
    }
    await deleteOldRefusals(db, new Date(clock.nowMs() - KEPT_DAYS * 24 * HOUR_MS));
  };
  const settle = (): Promise<void> => {
    settling ??= write()
      .then(logHours)
      .finally(() => (settling = undefined));
    return settling;
  };

  /** What is stored, asked for once in a while, and what waits in memory. */
  const readSums = async (hours: number): Promise<RefusalSum[]> => {
    await settling?.catch(() => undefined); // it is told of elsewhere; the sums are in memory again then
    const nowMs = clock.nowMs();
    const fromMs = nowMs - hours * HOUR_MS;
    if (stored === null || stored.hours !== hours || Math.abs(nowMs - stored.atMs) >= READ_EVERY_MS) {
      stored = { hours, atMs: nowMs, rows: readRefusals(db, new Date(fromMs), READ_ROWS) };
      stored.rows.catch(() => (stored = null)); // who asked hears of it
    }
    const sums = new Map((await stored.rows).map((row) => [`${String(row.stream)} ${row.rule}`, row]));
    for (const { hour, stream, rule, count, bytes } of waiting.values()) {
      const key = `${String(stream)} ${rule}`;
      const known = sums.get(key) ?? { stream, rule, count: 0, bytes: 0 };
      if (hour >= fromMs) sums.set(key, { stream, rule, count: known.count + count, bytes: known.bytes + bytes });
    }
    return [...sums.values()].sort((a, b) => b.count - a.count).slice(0, READ_ROWS);
  };

  await settle();
  const timer = setInterval(() => void settle().catch((error: unknown) => logger.error({ err: error }, 'the sums of refusals could not be kept; trying again')), SETTLED_EVERY_MS).unref();

  return {
    read: readSums,
    quarantine: async () => {
      if (enclosed.size > 0) await settle();
      await settling?.catch(() => undefined); // it is told of elsewhere, and what is stored is shown
      return readQuarantine(db);
    },
    release: async (stream, by, reason) => {
      await settle();
      if (!(await releaseQuarantine(db, stream, by, reason, new Date(clock.nowMs())))) return refuse('gate.not-quarantined', `The Datastream ${String(stream)} is not in quarantine.`, 'id');
      gate.release(stream);
      if (log !== null) await noteReleaseLeaf(db, stream, await log.appendBody('gate.released', { stream, by, reason }));
      return ok(undefined);
    },
    settle,
    close: async () => {
      clearInterval(timer);
      await settling?.catch(() => undefined); // the next lines try once more
      await settle().catch((error: unknown) => logger.error({ err: error }, 'the last sums of refusals could not be kept'));
    },
  };
}
