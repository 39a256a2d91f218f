import type { ErasureReceipt } from '../../contracts/keys.ts';
import { isoOf, ok, refuse, type Clock, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Logger } from '../../platform/index.ts';
import { readBody } from '../log/log-store.ts';
import type { TransparencyLog } from '../log/log.ts';
import type { BrokerClient } from './broker-client.ts';
import { compactTables, destroyKeys, lastLookNumbers, readHold, readKeys, readRecords } from './case-store.ts';
import { wrappedOf, type Openings } from './openings.ts';

/** Bytes by which a sealed value is found again in files: its nonce and the begin of its ciphertext. */
const NEEDLE_BYTES = 16;
const DAY_MS = 86_400_000;

export interface Erased {
  readonly records: number;
  readonly index: number;
  readonly receipt: ErasureReceipt;
}

interface ErasureOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly log: TransparencyLog;
  readonly broker: BrokerClient;
  readonly openings: Pick<Openings, 'inTurn' | 'settle' | 'reveal'>;
  readonly keyWindowDays: number;
  readonly logger: Logger;
}

export interface Erasure {
  /** Refused with `key.gone` or `key.held` when the case cannot be erased. */
  check(caseId: string): Promise<Result<void>>;
  /** `compact`: rewrites the tables at once, so that their files hold nothing of it; false for many in a row, with `compact` after the last. */
  shred(caseId: string, options?: { readonly compact: boolean }): Promise<Result<Erased>>;
  /** Rewrites the tables that held keys and records of what was erased. */
  compact(): Promise<void>;
}

/** Crypto-shredding: without its keys nothing of a case can be read. The leaf comes first, as with every act. */
export function createErasure({ handle, clock, log, broker, openings, keyWindowDays, logger }: ErasureOptions): Erasure {
  const db = handle.db;
  // erased it is already; what fails here leaves dead copies, wrapped and sealed, until the next compaction
  const compact = (): Promise<void> => compactTables(db).catch((error: unknown) => logger.warn({ err: error }, 'the tables of keys and records were not compacted after an erasure'));
  return {
    compact,
    check: async (caseId) => {
      const stored = (await readKeys(db, [caseId])).get(caseId);
      if (stored === undefined) return refuse('request.not-found', 'No such data is kept for this case.', 'caseId');
      if (stored.recordKey === null) return refuse('key.gone', 'The key of this case was destroyed on purpose.');
      const held = await readHold(db, caseId);
      return held === null ? ok(undefined) : refuse('key.held', `A legal hold stands: ${held}`, 'caseId');
    },
    shred: (caseId, options = { compact: true }) =>
      openings.inTurn([caseId], async () => {
        await openings.settle([caseId]);
        const stored = (await readKeys(db, [caseId])).get(caseId);
        if (stored === undefined || stored.recordKey === null || stored.logKey === null) return refuse('key.gone', 'The key of this case was destroyed on purpose.');
        const held = await readHold(db, caseId);
        if (held !== null) return refuse('key.held', `A legal hold stands: ${held}`, 'caseId');
        const records = [...((await readRecords(db, [caseId])).get(caseId)?.values() ?? [])];
        const n = ((await lastLookNumbers(db, [caseId])).get(caseId) ?? 0) + 1;
        const { caseTag } = await broker.call('tag', { caseId, keys: wrappedOf(stored), n });
        const erasedAtMs = clock.nowMs();
        const index = await log.appendBody('case.shred', { records: records.length }, { caseTag, n });
        const destroyed = await destroyKeys(db, caseId, new Date(erasedAtMs));
        if (destroyed === null) return refuse('key.held', 'A legal hold was placed meanwhile; nothing was erased.', 'caseId');
        if (options.compact) await compact();
        const opening = await readBody(db, 'case.shred', index);
        const receipt: ErasureReceipt = {
          v: 1,
          caseId,
          caseTag,
          n,
          records: destroyed,
          index,
          erasedAt: isoOf(erasedAtMs),
          completeAt: isoOf(erasedAtMs + keyWindowDays * DAY_MS),
          keyVersion: stored.version,
          nonce: opening?.nonce.toString('hex') ?? '',
          body: opening?.body ?? '',
          vkey: log.verifierKey(),
          leaf: Buffer.from((await log.proveInclusion(index)).entry).toString('utf8'),
          proof: await log.tlogProof(index),
          traces: [traceOf('record key', stored.recordKey), traceOf('log key', stored.logKey), ...[stored.ownerRecordKey, stored.ownerLogKey].flatMap((key) => (key === null ? [] : traceOf('owner key', key))), ...records.map(({ sealed }) => traceOf('record', sealed))],
        };
        return ok({ records: destroyed, index, receipt });
      }),
  };
}

const traceOf = (what: ErasureReceipt['traces'][number]['what'], sealed: Buffer): ErasureReceipt['traces'][number] => ({ what, needle: sealed.subarray(0, NEEDLE_BYTES).toString('hex'), bytes: sealed.length });
