import { isoOf, refuse, Refused, type Clock, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import type { LookAct, OpenItem, PreparedLook, WrappedKeys } from '../broker/protocol.ts';
import type { Leaf } from '../log/entry.ts';
import { LogFault, type TransparencyLog } from '../log/log.ts';
import { inclusionProof } from '../log/merkle.ts';
import { BrokerDenied, type BrokerClient } from './broker-client.ts';
import { countLooks, deletePendingLooks, insertLooks, lastLookNumbers, listPendingLooks, readKeys, readRecords, setLookIndices, type SealedRecord, type StoredKeys } from './case-store.ts';
import { deletePendingSealed, insertSealedLooks, listDue, listPendingSealed, setRevealed, setSealedIndex, type SealedLookRow } from './sealed-look-store.ts';

/** One record to open; `fields` are all that leaves it. */
export interface OpenItemRequest {
  readonly caseId: string;
  readonly record: string;
  readonly fields: readonly string[];
}

/** A look that is durable in the log and has opened nothing yet. */
export interface WrittenLook {
  readonly caseId: string;
  readonly record: string;
  /** 0 for a sealed look. */
  readonly n: number;
  readonly index: number;
  /** Base64; the broker's. */
  readonly sealed: string;
  readonly nonce: string;
  readonly body: string;
}

/** Looks and openings; one look a case at a time, so that its running numbers have no gaps. */
export interface Openings {
  /** Prepares the looks, appends their leaves in one batch and resolves when all are durable. Throws `LogFault` and `Refused`. */
  write(act: LookAct, items: readonly OpenItemRequest[]): Promise<WrittenLook[]>;
  /** Shows the broker the leaves, which then decrypts; refused with `key.gone` when a case was shredded meanwhile. */
  open(looks: readonly WrittenLook[]): Promise<Result<Record<string, string>[]>>;
  /** Tells the residents of sealed looks whose date has come; of one case or of all. Gives how many. */
  reveal(caseId?: string): Promise<number>;
  /** Gives looks that ended in doubt their index when their leaf is in the tree; the others go. */
  settle(caseIds?: readonly string[]): Promise<void>;
  inTurn<T>(caseIds: readonly string[], work: () => Promise<T>): Promise<T>;
  count(): number;
}

interface OpeningsOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly log: TransparencyLog;
  readonly broker: BrokerClient;
}

const OPEN_TRIES = 5;

export async function createOpenings({ handle, clock, log, broker }: OpeningsOptions): Promise<Openings> {
  const db = handle.db;
  const inTurn = createTurns();
  const inOrder = createTurns();
  let looks = await countLooks(db);
  let seen = broker.state().seen;

  const settle = async (caseIds?: readonly string[]): Promise<void> => {
    for (const look of await listPendingLooks(db, caseIds)) {
      const index = await log.find(look.commitment, look.fromIndex);
      if (index === null) await deletePendingLooks(db, [look.commitment]);
      else {
        await setLookIndices(db, [{ commitment: look.commitment, index }]);
        looks += 1;
      }
    }
  };
  const settleSealed = async (): Promise<void> => {
    for (const look of await listPendingSealed(db)) {
      const index = await log.find(look.commitment, look.fromIndex);
      if (index === null) await deletePendingSealed(db, [look.commitment]);
      else await setSealedIndex(db, look.commitment, index);
    }
  };

  /** Keeps the sealed bodies, appends the leaves, notes their indexes. */
  const append = async (prepared: readonly PreparedLook[], of: readonly { caseId: string; n: number }[], until: string | undefined): Promise<number[]> => {
    const at = new Date(clock.nowMs());
    const fromIndex = log.size();
    const rows = prepared.map(({ leaf, sealed }, place) => ({ caseId: of[place]?.caseId ?? '', n: of[place]?.n ?? 0, commitment: Buffer.from(leaf.commit, 'hex'), sealed: Buffer.from(sealed, 'base64'), fromIndex }));
    const commitments = rows.map(({ commitment }) => commitment);
    if (until === undefined) await insertLooks(db, rows, at);
    else await insertSealedLooks(db, rows.map((row) => ({ ...row, until: new Date(until) })), at);
    try {
      const indices = await log.appendMany(prepared.map(({ leaf }) => leaf as Leaf));
      const placed = commitments.map((commitment, place) => ({ commitment, index: indices[place] as number }));
      if (until === undefined) {
        await setLookIndices(db, placed);
        looks += rows.length;
      } else for (const { commitment, index } of placed) await setSealedIndex(db, commitment, index);
      return indices;
    } catch (error) {
      if (error instanceof Refused || (error instanceof LogFault && error.outcome === 'not-appended')) await (until === undefined ? deletePendingLooks : deletePendingSealed)(db, commitments);
      throw error;
    }
  };

  const write: Openings['write'] = (act, items) =>
    inTurn(
      items.map(({ caseId }) => caseId),
      async () => {
        const caseIds = items.map(({ caseId }) => caseId);
        await settle(caseIds);
        const [keys, last] = [await readKeys(db, caseIds), await lastLookNumbers(db, caseIds)];
        const numbered = items.map((item) => {
          const n = act.until === undefined ? (last.get(item.caseId) ?? 0) + 1 : 0;
          if (n > 0) last.set(item.caseId, n);
          return { ...item, n, keys: wrappedOf(keys.get(item.caseId)) };
        });
        const prepared = (await broker.call('prepare', { act, items: numbered })).looks;
        const indices = await append(prepared, numbered, act.until);
        return numbered.map(({ caseId, record, n }, place) => ({ ...(prepared[place] as PreparedLook), caseId, record, n, index: indices[place] as number }));
      },
    );

  /** The head and the proofs to it, all of one moment; one call at a time, so that heads reach the broker in their order. */
  const show = async (items: readonly Omit<OpenItem, 'look'>[], looks_: readonly WrittenLook[]): Promise<Record<string, string>[]> => {
    for (let tries = 1; ; tries += 1) {
      const { size, checkpoint } = { size: log.size(), checkpoint: log.checkpoint() };
      const from = seen;
      const consistency = from === 0 || from > size ? [] : (await log.proveConsistency(from, size)).map(encode);
      const withProofs: OpenItem[] = [];
      for (const [place, item] of items.entries()) {
        const { n, index, sealed } = looks_[place] as WrittenLook;
        withProofs.push({ ...item, look: { n, index, sealed, proof: (await inclusionProof(index, size, log.readHashes)).map(encode) } });
      }
      try {
        const { plain } = await broker.call('open', { checkpoint, from, consistency, items: withProofs });
        seen = size;
        return plain;
      } catch (error) {
        if (!(error instanceof BrokerDenied) || error.denial !== 'log-older' || tries === OPEN_TRIES) throw error;
        seen = (await broker.refresh()).seen; // a broker that came back, or one with another city
      }
    }
  };

  const open: Openings['open'] = async (written) => {
    const caseIds = written.map(({ caseId }) => caseId);
    // Read after the looks were written: a case may have been shredded meanwhile.
    const [keys, records] = [await readKeys(db, caseIds), await readRecords(db, caseIds)];
    const items: Omit<OpenItem, 'look'>[] = [];
    for (const { caseId, record } of written) {
      const found: SealedRecord | undefined = records.get(caseId)?.get(record);
      if (found === undefined || (keys.get(caseId)?.recordKey ?? null) === null) return refuse('key.gone', 'The key of this case was destroyed on purpose.');
      items.push({ caseId, record, recordVersion: found.version, sealed: encode(found.sealed), keys: wrappedOf(keys.get(caseId)) });
    }
    return { ok: true, value: await inOrder(['broker'], () => show(items, written)) };
  };

  const revealOne = (row: SealedLookRow): Promise<boolean> =>
    inTurn([row.caseId], async () => {
      const stored = (await readKeys(db, [row.caseId])).get(row.caseId);
      if (stored === undefined || stored.logKey === null) return false; // shredded: nobody is left who could read it
      await settle([row.caseId]);
      // read again in turn: another call may have told by now
      const due = (await listDue(db, new Date(clock.nowMs()), row.caseId)).find(({ commitment }) => commitment.equals(row.commitment));
      if (due === undefined) return false;
      const n = ((await lastLookNumbers(db, [row.caseId])).get(row.caseId) ?? 0) + 1;
      const prepared = await broker.call('reveal', { caseId: row.caseId, keys: wrappedOf(stored), n, sealed: encode(row.sealed), index: row.leafIndex as number, at: isoOf(clock.nowMs()) });
      await setRevealed(db, row.commitment, Buffer.from(prepared.leaf.commit, 'hex'));
      await append([prepared], [{ caseId: row.caseId, n }], undefined);
      return true;
    });

  await settle();
  await settleSealed();
  return {
    write,
    open,
    reveal: async (caseId) => {
      let revealed = 0;
      for (const row of await listDue(db, new Date(clock.nowMs()), caseId)) if (await revealOne(row)) revealed += 1;
      return revealed;
    },
    settle,
    inTurn,
    count: () => looks,
  };
}

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Throws `Refused` with `key.gone`. */
export function wrappedOf(keys: StoredKeys | undefined): WrappedKeys {
  if (keys === undefined || keys.recordKey === null || keys.logKey === null) throw new Refused({ code: 'key.gone', detail: 'The key of this case was destroyed on purpose.' });
  return { version: keys.version, recordKey: encode(keys.recordKey), logKey: encode(keys.logKey) };
}

/** Runs work that shares a key one after the other; takes the keys in one order, so that nobody waits for each other. */
function createTurns(): <T>(keys: readonly string[], work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  const one = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
  return <T>(keys: readonly string[], work: () => Promise<T>): Promise<T> => [...new Set(keys)].sort().reduceRight<() => Promise<T>>((inner, key) => () => one(key, inner), work)();
}
