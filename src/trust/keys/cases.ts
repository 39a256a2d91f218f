import { createHash } from 'node:crypto';
import { LOOK_WAYS, type Look, type LookWay } from '../../contracts/trust.ts';
import type { Action, Position, Principal } from '../../contracts/principal.ts';
import { isoOf, ok, refuse, Refused, type Clock, type Result } from '../../kernel/index.ts';
import { silentLogger, type DatabaseHandle, type Logger, type Trx } from '../../platform/index.ts';
import type { Denial, LookAct } from '../broker/protocol.ts';
import { LogFault, type TransparencyLog } from '../log/log.ts';
import type { Policy } from '../policy/policy.ts';
import type { Purposes } from '../purposes/index.ts';
import { BrokerDenied, type BrokerClient } from './broker-client.ts';
import { insertKeys, liftHold, listErased, listLooks, lockRecordVersion, placeHold, readKeys, readRecords, writeRecord, type StoredKeys } from './case-store.ts';
import { createErasure, type Erased } from './erasure.ts';
import { createOpenings, wrappedOf, type OpenItemRequest } from './openings.ts';
import { settleRoots } from './rotation.ts';
import { listSealed, readSealed, setUntil } from './sealed-look-store.ts';

const REASON_MIN_CHARS = 5;
const REASON_MAX_CHARS = 500;
const ITEMS_MAX = 200;

/** Who looks and why; the same for all records of one call. */
export interface OpenAct {
  readonly principal: Principal;
  /** In which of the principal's positions. */
  readonly position: Position;
  readonly purpose: string;
  readonly reason: string;
  /** How it is shown; in the body of the look, not in the leaf. */
  readonly via?: LookWay;
  /** ISO 8601 date or instant until which the resident does not see the look; the caller has had two people agree. */
  readonly sealedUntil?: string;
}
export type OpenRequest = OpenAct & OpenItemRequest;

export interface Cases {
  /** Whether somebody might look for this purpose and reason at all; says nothing of any case. */
  check(act: OpenAct): Result<void>;
  /**
   * Seals `plain` under the case's key; replaces the record of that name. The first seal of a case makes its keys and, with
   * `ownerSecret`, wraps them for the resident's link too: then only, and never later. Throws `Refused` with `key.gone` or `key.broker-away`.
   */
  seal(trx: Trx, caseId: string, record: string, plain: Record<string, string>, ownerSecret?: string): Promise<void>;
  /** Shows fields of a record after a look with purpose and reason is durable in the log; otherwise refuses and decrypts nothing. */
  open(request: OpenRequest): Promise<Result<{ plain: Record<string, string>; look: Look }>>;
  /** The same for up to 200 records: a look each, all durable before any is decrypted. Refuses all when one is not there. */
  openMany(act: OpenAct, items: readonly OpenItemRequest[]): Promise<Result<{ caseId: string; plain: Record<string, string>; look: Look }[]>>;
  /** The resident's own read by the secret of their link: no look, no root key. `request.not-found` when the case was not sealed for it. */
  openOwn(caseId: string, ownerSecret: string, record: string): Promise<Result<Record<string, string>>>;
  /** The case's log key in hex: with it the resident finds all leaves of the case. */
  ownLogKey(caseId: string, ownerSecret: string): Promise<Result<string>>;
  /** Every look at the case that its resident may see by now, oldest first; none for a case without a key. Throws `Refused` with `key.gone`. */
  looksOf(caseId: string): Promise<Look[]>;
  /** Tells the residents of sealed looks whose date has come; gives how many. `looksOf` does so by itself. */
  revealDue(): Promise<number>;
  /** Moves the date of the sealed look at `index`, at most 12 months ahead of now; leaves a leaf `look.extend`. The caller has had two people agree. */
  extendSealed(index: number, until: string): Promise<Result<{ index: number }>>;
  /** Sealed looks without their cases, for the public count. */
  listSealed(): Promise<{ index: number; at: string; until: string; revealed: boolean }[]>;
  /** Destroys the keys of the case: nobody reads its records or looks any more. The log keeps a leaf that says so. `key.held` under a legal hold. */
  shred(caseId: string, options?: { readonly compact: boolean }): Promise<Result<Erased>>;
  /** After many erasures with `compact: false`: rewrites the tables, so that their files hold nothing of what was erased. */
  compact(): Promise<void>;
  /** Cases whose keys were destroyed after `since`, oldest first, at most `limit`. */
  listErased(since: Date, limit: number): Promise<{ caseId: string; at: Date }[]>;
  /** `key.gone` or `key.held` when the case cannot be erased. */
  mayShred(caseId: string): Promise<Result<void>>;
  /** A legal hold with its reason; null lifts it. */
  hold(caseId: string, hold: { reason: string; placedBy: string } | null): Promise<Result<void>>;
  /** Durable looks of all cases. */
  count(): number;
}

interface CasesOptions {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly broker: BrokerClient;
  readonly log: TransparencyLog;
  readonly purposes: Pick<Purposes, 'get' | 'live'>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** The policy's word once purpose and reason are known. */
  readonly mayLook: Policy['mayLook'];
  /** Days that copies of the key store are kept; an erasure is complete after them. */
  readonly keyWindowDays?: number;
  readonly logger?: Logger;
}

const KEY_WINDOW_DAYS = 30;

/** The city's side of the key broker: it keeps what is sealed and wrapped, and never has a key. */
export async function createCases(options: CasesOptions): Promise<Cases> {
  const { handle, clock, broker, log } = options;
  const db = handle.db;
  await settleRoots(db, broker.state());
  const openings = await createOpenings({ handle, clock, log, broker });
  const erasure = createErasure({ handle, clock, log, broker, openings, keyWindowDays: options.keyWindowDays ?? KEY_WINDOW_DAYS, logger: options.logger ?? silentLogger });
  const keysOf = async (caseId: string): Promise<StoredKeys | undefined> => (await readKeys(db, [caseId])).get(caseId);

  const findMissing = async (items: readonly OpenItemRequest[]): Promise<ReturnType<typeof refuse> | null> => {
    const caseIds = items.map(({ caseId }) => caseId);
    const [keys, records] = [await readKeys(db, caseIds), await readRecords(db, caseIds)];
    for (const { caseId, record } of items) {
      if (keys.get(caseId)?.recordKey === null) return keyGone();
      if (!records.get(caseId)?.has(record)) return refuse('request.not-found', 'No such data is kept for this case.', 'caseId');
    }
    return null;
  };

  const openMany: Cases['openMany'] = async (act, items) => {
    const refusal = checkOpen(options, act, items) ?? (await findMissing(items));
    if (refusal) return refusal;
    const lookAct = lookActOf(act, clock.nowMs());
    if (lookAct === null) return refuse('http.invalid', 'Give a date in the coming twelve months.', 'sealedUntil');
    return refusing(async () => {
      const written = await openings.write(lookAct, items);
      const plain = await openings.open(written);
      if (!plain.ok) return plain;
      return ok(written.map((look, at) => ({ caseId: look.caseId, plain: plain.value[at] as Record<string, string>, look: toLook(look, look.index) })));
    });
  };

  const own = async <T>(caseId: string, work: (owner: { recordKey: string; logKey: string }) => Promise<T>): Promise<Result<T>> => {
    const keys = await keysOf(caseId);
    if (keys?.recordKey === null) return keyGone();
    if (keys === undefined || keys.ownerRecordKey === null || keys.ownerLogKey === null) return refuse('request.not-found', 'This case was not sealed for a link.', 'caseId');
    return ok(await work({ recordKey: encode(keys.ownerRecordKey), logKey: encode(keys.ownerLogKey) }));
  };

  return {
    check: (act) => checkAct(options, act) ?? ok(undefined),
    seal: async (trx, caseId, record, plain, ownerSecret) => {
      const at = new Date(clock.nowMs());
      if (!(await readKeys(trx, [caseId])).has(caseId)) {
        const { keys, owner } = await broker.call('makeKeys', { caseId, ownerSecret: ownerSecret ?? null });
        await insertKeys(trx, caseId, { version: keys.version, recordKey: decode(keys.recordKey), logKey: decode(keys.logKey), ownerRecordKey: owner && decode(owner.recordKey), ownerLogKey: owner && decode(owner.logKey) }, at);
      }
      const recordVersion = (await lockRecordVersion(trx, caseId, record)) + 1;
      const keys = wrappedOf((await readKeys(trx, [caseId])).get(caseId));
      const { sealed } = await broker.call('seal', { caseId, keys, record, recordVersion, plain });
      await writeRecord(trx, caseId, record, recordVersion, decode(sealed), at);
    },
    openMany,
    open: async ({ caseId, record, fields, ...act }) => {
      const opened = await openMany(act, [{ caseId, record, fields }]);
      return opened.ok ? ok({ plain: opened.value[0]?.plain as Record<string, string>, look: opened.value[0]?.look as Look }) : opened;
    },
    openOwn: async (caseId, ownerSecret, record) => {
      const found = (await readRecords(db, [caseId])).get(caseId)?.get(record);
      if (found === undefined) return refuse('request.not-found', 'No such data is kept for this case.', 'caseId');
      return own(caseId, async (owner) => (await broker.call('openOwn', { caseId, owner, ownerSecret, record, recordVersion: found.version, sealed: encode(found.sealed) })).plain);
    },
    ownLogKey: (caseId, ownerSecret) => own(caseId, async (owner) => (await broker.call('ownLogKey', { caseId, owner, ownerSecret })).logKey),
    looksOf: async (caseId) => {
      const stored = await keysOf(caseId);
      if (!stored) return [];
      await openings.reveal(caseId);
      const rows = await listLooks(db, caseId);
      const { looks } = await broker.call('readLooks', { caseId, keys: wrappedOf(stored), looks: rows.map(({ n, sealed }) => ({ n, sealed: encode(sealed) })) });
      return looks.map((look, at) => toLook(look, rows[at]?.leafIndex as number));
    },
    revealDue: () => openings.reveal(),
    extendSealed: async (index, until) => {
      const row = await readSealed(db, index);
      const date = untilOf(until, clock.nowMs());
      if (row === undefined) return refuse('request.not-found', 'There is no sealed look at this index.', 'index');
      if (date === null || Date.parse(date) <= row.until.getTime()) return refuse('http.invalid', 'Give a date after the present one, in the coming twelve months.', 'until');
      if (!(await setUntil(db, row.commitment, new Date(date)))) return refuse('request.act-not-allowed', 'This look has been opened already.', 'index');
      return refusing(async () => ok({ index: await log.appendBody('look.extend', { sealed: index, until: date }) }));
    },
    listSealed: async () => (await listSealed(db)).map(({ index, at, until, revealed }) => ({ index, at: at.toISOString(), until: until.toISOString(), revealed })),
    shred: (caseId, shredOptions) => refusing(() => erasure.shred(caseId, shredOptions)),
    compact: () => erasure.compact(),
    listErased: (since, limit) => listErased(db, since, limit),
    mayShred: (caseId) => erasure.check(caseId),
    hold: async (caseId, hold) => {
      if ((await keysOf(caseId)) === undefined) return refuse('request.not-found', 'No such data is kept for this case.', 'caseId');
      await (hold === null ? liftHold(db, caseId) : placeHold(db, caseId, { ...hold, at: new Date(clock.nowMs()) }));
      return ok(undefined);
    },
    count: () => openings.count(),
  };
}

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const decode = (text: string): Buffer => Buffer.from(text, 'base64');
const keyGone = () => refuse('key.gone', 'The key of this case was destroyed on purpose.');

/** A log that does not take the look and a broker that is away are answers, not faults. */
async function refusing<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LogFault) return refuse('look.log-unavailable', 'The transparency log could not be written, so nothing was done.');
    if (error instanceof Refused) return { ok: false, refusal: error.refusals[0] };
    if (error instanceof BrokerDenied && error.denial in DENIALS) return refuse('look.log-unavailable', DENIALS[error.denial] as string);
    throw error;
  }
}

const SET_BACK = 'The key broker has seen more of the log than there is: log or database were set back, so nothing was shown. Put back what is missing, or begin a new log (clerestory log restart).';
/** Denials that say that the log is not what it was, by what the city can do. What else the broker denies is a fault of the city. */
const DENIALS: Partial<Record<Denial, string>> = {
  'log-older': SET_BACK,
  'log-forked': 'The log is not a continuation of the one that the key broker saw, so nothing was shown. Put back the log that belongs to it, or begin a new log (clerestory log restart).',
  'log-unknown': 'The key broker serves another log, so nothing was shown.',
  'leaf-spent': SET_BACK,
  'leaf-not-in-log': 'The look does not stand in the log where it should, so nothing was shown. Check the log (clerestory verify log).',
};

const YEAR_MS = 366 * 86_400_000;

function untilOf(text: string, nowMs: number): string | null {
  const atMs = /^\d{4}-\d{2}-\d{2}(T\S+Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  return atMs > nowMs && atMs <= nowMs + YEAR_MS ? isoOf(atMs) : null;
}

function lookActOf({ principal, position, purpose, reason, via, sealedUntil }: OpenAct, nowMs: number): LookAct | null {
  const until = sealedUntil === undefined ? undefined : untilOf(sealedUntil, nowMs);
  if (until === null) return null;
  const { pseudonym, department } = principal;
  return { at: isoOf(nowMs), position, pseudonym, department: department ?? '', purpose, reason: reason.trim(), via: via ?? 'detail', ...(until === undefined ? {} : { until }) };
}

/** The look that a body tells of; bodies of the first release have neither department nor way. */
function toLook({ nonce, body }: { nonce: string; body: string }, index: number): Look {
  const { opens, ...told } = JSON.parse(body) as LookAct & { n: number; fields: string[]; record?: string; opens?: { index: number } };
  const via = LOOK_WAYS.find((way) => way === told.via) ?? 'detail';
  return {
    index,
    n: told.n,
    at: told.at,
    position: told.position,
    pseudonym: told.pseudonym,
    department: told.department ?? '',
    purpose: told.purpose,
    reason: told.reason,
    record: told.record ?? 'contact',
    fields: [...told.fields],
    via,
    ...(told.until === undefined ? {} : { sealedUntil: told.until }),
    ...(opens === undefined ? {} : { opens: opens.index }),
    nonce,
    commit: createHash('sha256').update(Buffer.from(nonce, 'hex')).update(body).digest('hex'),
    body,
  };
}

/** Everything that must hold before a look is even written. */
function checkOpen(options: CasesOptions, act: OpenAct, items: readonly OpenItemRequest[]): ReturnType<typeof refuse> | null {
  const refusal = checkAct(options, act);
  if (refusal !== null) return refusal;
  if (items.length === 0 || items.length > ITEMS_MAX) return refuse('http.invalid', `Open 1 to ${ITEMS_MAX} records at once.`, 'items');
  if (items.some(({ fields }) => fields.length === 0 || fields.length > 100)) return refuse('http.invalid', 'Name the fields to show.', 'fields');
  return null;
}

function checkAct({ authorize, mayLook, purposes }: CasesOptions, { principal, position, purpose, reason, via = 'detail' }: OpenAct): ReturnType<typeof refuse> | null {
  if (!principal.positions.includes(position) || !authorize({ ...principal, positions: [position] }, 'requests.look'))
    return refuse('auth.forbidden', "This position does not look at residents' data.");
  if (purpose === '') return refuse('look.reason-missing', 'No purpose is named.', 'purpose');
  const length = reason.trim().length;
  if (length < REASON_MIN_CHARS || length > REASON_MAX_CHARS)
    return refuse('look.reason-missing', `Give a reason of ${REASON_MIN_CHARS} to ${REASON_MAX_CHARS} characters.`, 'reason');
  if (!reason.isWellFormed()) return refuse('http.invalid', 'The reason is not well-formed text.', 'reason');
  const registered = purposes.get(purpose);
  if (!registered) return refuse('purpose.unknown', `${purpose} is not in the register.`, 'purpose');
  if (!purposes.live(purpose)) return refuse('purpose.expired', `${purpose} has ended.`, 'purpose');
  if (!registered.personal_data) return refuse('purpose.unknown', `${purpose} is not registered for personal data.`, 'purpose');
  if (!mayLook({ ...principal, positions: [position] }, { purpose, purposeLive: true, reason: true, via })) return refuse('auth.forbidden', 'A rule of the policy forbids this look.');
  return null;
}
