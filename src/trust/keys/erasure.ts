import { isoOf, ok, refuse, type Clock, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { readBody } from '../log/log-store.ts';
import type { TransparencyLog } from '../log/log.ts';
import type { BrokerClient } from './broker-client.ts';
import { destroyKeys, lastLookNumbers, readHold, readKeys, readRecords } from './case-store.ts';
import { wrappedOf, type Openings } from './openings.ts';

/** Bytes by which a sealed value is found again in files: its nonce and the begin of its ciphertext. */
const NEEDLE_BYTES = 16;
const DAY_MS = 86_400_000;

/** What the resident keeps of an erasure; `clerestory verify erase FILE` checks it. It holds no key and no word of the case. */
export interface ErasureReceipt {
  readonly v: 1;
  readonly caseId: string;
  readonly caseTag: string;
  readonly n: number;
  readonly records: number;
  readonly index: number;
  readonly erasedAt: string;
  /** From here on no copy of the key store that opens the case should exist. */
  readonly completeAt: string;
  /** Version of the root key that wrapped the keys. */
  readonly keyVersion: number;
  /** With these the leaf's commitment can be recomputed. */
  readonly nonce: string;
  readonly body: string;
  readonly vkey: string;
  /** The leaf `case.shred`, as it stands in the log, and its C2SP tlog-proof. */
  readonly leaf: string;
  readonly proof: string;
  /** Begins of what was destroyed, in hex, and its length. */
  readonly traces: readonly { readonly what: 'record key' | 'log key' | 'record'; readonly needle: string; readonly bytes: number }[];
}

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
}

/** Crypto-shredding: without its keys nothing of a case can be read. The leaf comes first, as with every act. */
export function createErasure({ handle, clock, log, broker, openings, keyWindowDays }: ErasureOptions): { shred(caseId: string): Promise<Result<Erased>> } {
  const db = handle.db;
  return {
    shred: (caseId) =>
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
          traces: [traceOf('record key', stored.recordKey), traceOf('log key', stored.logKey), ...records.map(({ sealed }) => traceOf('record', sealed))],
        };
        return ok({ records: destroyed, index, receipt });
      }),
  };
}

const traceOf = (what: ErasureReceipt['traces'][number]['what'], sealed: Buffer): ErasureReceipt['traces'][number] => ({ what, needle: sealed.subarray(0, NEEDLE_BYTES).toString('hex'), bytes: sealed.length });
