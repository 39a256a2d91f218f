import type { Position, Principal } from '../../contracts/principal.ts';
import type { Look } from '../../contracts/trust.ts';
import { isoOf, ok, refuse, Refused, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { canonicalJson, type Json } from '../log/canonical.ts';
import { caseTag, commitTo, NONCE_BYTES } from '../log/entry.ts';
import { LogFault, type TransparencyLog } from '../log/log.ts';
import { authorize } from '../policy.ts';
import type { Purposes } from '../purposes.ts';
import {
  countLooks,
  deletePendingLook,
  destroyKeys,
  insertKeys,
  insertLook,
  lastLookNumber,
  listLooks,
  listPendingLooks,
  lockRecordVersion,
  readKeys,
  readRecord,
  setLookIndex,
  settleFingerprint,
  writeRecord,
  type WrappedKeys,
} from './case-store.ts';
import { fingerprintOf, KEY_BYTES, seal, unseal } from './ciphers.ts';

const REASON_MIN_CHARS = 5;
const REASON_MAX_CHARS = 500;
const KEY_VERSION = 1;

export interface OpenRequest {
  readonly caseId: string;
  readonly record: string;
  readonly principal: Principal;
  /** In which of the principal's positions. */
  readonly position: Position;
  readonly purpose: string;
  readonly reason: string;
  /** Names of the fields to show; nothing else leaves. */
  readonly fields: readonly string[];
}

export interface Cases {
  /** Seals `plain` under the case's key, which is made when there is none; replaces the record of that name. Throws `Refused` with `key.gone`. */
  seal(trx: Trx, caseId: string, record: string, plain: Record<string, string>): Promise<void>;
  /** Shows fields of a record after a look with purpose and reason is durable in the log; otherwise refuses and decrypts nothing. */
  open(request: OpenRequest): Promise<Result<{ plain: Record<string, string>; look: Look }>>;
  /** Every look at the case, oldest first; none for a case without a key. Throws `Refused` with `key.gone`. */
  looksOf(caseId: string): Promise<Look[]>;
  /** Destroys the keys of the case: nobody reads its records or looks any more. The log keeps a leaf that says so. */
  shred(caseId: string): Promise<Result<{ records: number; index: number }>>;
  /** Durable looks of all cases. */
  count(): number;
}

interface CasesOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly random: Random;
  readonly rootKey: Uint8Array;
  readonly log: TransparencyLog;
  readonly purposes: Purposes;
}

/** What the look commits to; sealed for the resident, never in the leaf. */
type LookBody = { readonly [key: string]: Json } & {
  at: string;
  record: string;
  position: string;
  pseudonym: string;
  purpose: string;
  reason: string;
  fields: readonly string[];
  n: number;
};

/**
 * The key broker. A case has two keys, each wrapped under the root key: the log key, which seals looks and makes the tags in the
 * log, and the record key, which is unwrapped only after the look is durable.
 */
export async function createCases(options: CasesOptions): Promise<Cases> {
  const { handle, clock, random, rootKey, log, purposes } = options;
  const db = handle.db;
  const fingerprint = fingerprintOf(rootKey);
  if (!(await settleFingerprint(db, fingerprint)).equals(fingerprint))
    throw new Refused({ code: 'start.key-different', detail: 'keys/root.key is not the key that wrapped the case keys of this database.' });

  const wrap = (caseId: string, use: 'record' | 'log', key: Uint8Array): Buffer => seal(rootKey, ['case-key', caseId, use, KEY_VERSION], key, random);
  const unwrapKey = (caseId: string, use: 'record' | 'log', keys: WrappedKeys): Buffer | null => {
    const wrapped = use === 'record' ? keys.recordKey : keys.logKey;
    return wrapped && unseal(rootKey, ['case-key', caseId, use, keys.version], wrapped);
  };
  // A look whose append ended in doubt gets its index when its leaf is in the tree, and goes when it is not.
  const settlePending = async (caseId?: string): Promise<void> => {
    for (const look of await listPendingLooks(db, caseId)) {
      const index = await log.find(look.commitment, look.fromIndex);
      if (index === null) await deletePendingLook(db, look.commitment);
      else {
        await setLookIndex(db, look.commitment, index);
        looks += 1;
      }
    }
  };
  let looks = await countLooks(db);
  await settlePending();

  // One look a case at a time, so that its running numbers have no gaps.
  const inTurn = createTurns();

  const appendLook = async (request: OpenRequest, logKey: Uint8Array): Promise<Look> => {
    const { caseId, record, position, purpose } = request;
    await settlePending(caseId);
    const n = (await lastLookNumber(db, caseId)) + 1;
    const at = clock.nowMs();
    const { pseudonym } = request.principal;
    const body: LookBody = { at: isoOf(at), record, position, pseudonym, purpose, reason: request.reason.trim(), fields: [...request.fields], n };
    const nonce = random(NONCE_BYTES);
    const commitment = commitTo(nonce, body);
    const sealed = seal(logKey, ['look', caseId, n], Buffer.from(canonicalJson({ nonce: Buffer.from(nonce).toString('hex'), body })), random);
    await insertLook(db, { caseId, n, commitment, sealed, fromIndex: log.size() }, new Date(at));
    try {
      const index = await log.append({ kind: 'look', t: isoOf(at), purpose, position, pseudonym, caseTag: caseTag(logKey, n), n, commit: commitment.toString('hex') });
      await setLookIndex(db, commitment, index);
      looks += 1;
      return toLook(body, index);
    } catch (error) {
      if (error instanceof Refused || (error instanceof LogFault && error.outcome === 'not-appended')) await deletePendingLook(db, commitment);
      throw error;
    }
  };

  return {
    seal: async (trx, caseId, record, plain) => {
      await insertKeys(
        trx,
        caseId,
        { version: KEY_VERSION, recordKey: wrap(caseId, 'record', random(KEY_BYTES)), logKey: wrap(caseId, 'log', random(KEY_BYTES)) },
        new Date(clock.nowMs()),
      );
      const version = (await lockRecordVersion(trx, caseId, record)) + 1;
      const keys = await readKeys(trx, caseId);
      const key = keys && unwrapKey(caseId, 'record', keys);
      if (!key) throw new Refused(keyGone());
      await writeRecord(trx, caseId, record, version, seal(key, [caseId, record, version], Buffer.from(JSON.stringify(plain)), random), new Date(clock.nowMs()));
      key.fill(0);
    },
    open: async (request) => {
      const refusal = checkOpen(request, purposes);
      if (refusal) return refusal;
      const { caseId, record, fields } = request;
      const keys = await readKeys(db, caseId);
      if (!keys || !(await readRecord(db, caseId, record)))
        return keys && keys.recordKey === null ? { ok: false, refusal: keyGone() } : refuse('request.not-found', 'No such data is kept for this case.', 'caseId');
      const logKey = unwrapKey(caseId, 'log', keys);
      if (!logKey) return { ok: false, refusal: keyGone() };
      let look: Look;
      try {
        look = await inTurn(caseId, () => appendLook(request, logKey));
      } catch (error) {
        if (error instanceof LogFault) return refuse('look.log-unavailable', 'The look could not be written to the transparency log, so nothing was decrypted.');
        if (error instanceof Refused) return { ok: false, refusal: error.refusals[0] };
        throw error;
      } finally {
        logKey.fill(0);
      }
      // Read again: the case may have been shredded while the look was written.
      const [present, sealed] = [await readKeys(db, caseId), await readRecord(db, caseId, record)];
      const key = present && unwrapKey(caseId, 'record', present);
      if (!key || !sealed) return { ok: false, refusal: keyGone() };
      const all = JSON.parse(unseal(key, [caseId, record, sealed.version], sealed.sealed).toString('utf8')) as Record<string, string>;
      key.fill(0);
      return ok({ plain: Object.fromEntries(fields.map((field) => [field, all[field] ?? ''])), look });
    },
    looksOf: async (caseId) => {
      const keys = await readKeys(db, caseId);
      if (!keys) return [];
      const logKey = unwrapKey(caseId, 'log', keys);
      if (!logKey) throw new Refused(keyGone());
      const rows = await listLooks(db, caseId);
      const found = rows.map(({ n, sealed, leafIndex }) => {
        const { body } = JSON.parse(unseal(logKey, ['look', caseId, n], sealed).toString('utf8')) as { body: LookBody };
        return toLook(body, leafIndex as number);
      });
      logKey.fill(0);
      return found;
    },
    shred: (caseId) =>
      inTurn(caseId, async () => {
        await settlePending(caseId);
        const keys = await readKeys(db, caseId);
        const logKey = keys && unwrapKey(caseId, 'log', keys);
        if (!logKey) return { ok: false, refusal: keyGone() } as const;
        const n = (await lastLookNumber(db, caseId)) + 1;
        const tag = caseTag(logKey, n);
        logKey.fill(0);
        const records = await destroyKeys(db, caseId, new Date(clock.nowMs()));
        if (records === null) return { ok: false, refusal: keyGone() } as const;
        const index = await log.appendBody('case.shred', { records }, { caseTag: tag, n });
        return ok({ records, index });
      }),
    count: () => looks,
  };
}

const keyGone = () => refuse('key.gone', 'The key of this case was destroyed on purpose.').refusal;

const toLook = (body: LookBody, index: number): Look => ({
  index,
  at: body.at,
  position: body.position,
  pseudonym: body.pseudonym,
  purpose: body.purpose,
  reason: body.reason,
  fields: [...body.fields],
});

/** Everything that must hold before a look is even written. */
function checkOpen({ principal, position, purpose, reason, fields }: OpenRequest, purposes: Purposes): ReturnType<typeof refuse> | null {
  if (!principal.positions.includes(position) || !authorize({ ...principal, positions: [position] }, 'requests.look'))
    return refuse('auth.forbidden', "This position does not look at residents' data.");
  if (purpose === '') return refuse('look.reason-missing', 'No purpose is named.', 'purpose');
  const length = reason.trim().length;
  if (length < REASON_MIN_CHARS || length > REASON_MAX_CHARS)
    return refuse('look.reason-missing', `Give a reason of ${REASON_MIN_CHARS} to ${REASON_MAX_CHARS} characters.`, 'reason');
  if (fields.length === 0 || fields.length > 100) return refuse('http.invalid', 'Name the fields to show.', 'fields');
  const registered = purposes.get(purpose);
  if (!registered) return refuse('purpose.unknown', `${purpose} is not in the register.`, 'purpose');
  if (!purposes.live(purpose)) return refuse('purpose.expired', `${purpose} has ended.`, 'purpose');
  if (!registered.personal_data) return refuse('purpose.unknown', `${purpose} is not registered for personal data.`, 'purpose');
  return null;
}

/** Runs work of the same key one after the other. */
function createTurns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
