import { gunzipSync, gzipSync } from 'node:zlib';
import { ErasureReceipt } from '../contracts/keys.ts';
import type { Purpose } from '../contracts/trust.ts';
import { isoOf, watchPace, type Clock, type Result } from '../kernel/index.ts';
import { Counter, type Logger, type Metrics } from '../platform/index.ts';
import { hasEnded } from '../trust/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { ErasureCause, RetentionStore } from './retention-store.ts';

/** What retention needs of trust; `Trust` fits it. */
export interface RetentionDoor {
  readonly cases: {
    shred(caseId: string, options: { readonly compact: boolean }): Promise<Result<{ readonly receipt: ErasureReceipt }>>;
    compact(): Promise<void>;
    listErased(since: Date, limit: number): Promise<{ caseId: string; at: Date }[]>;
  };
  readonly purposes: { all(): readonly Purpose[] };
  readonly log: { append(entry: { kind: string; body: Record<string, string | number | boolean> }): Promise<{ index: number }> };
}

export interface RetentionDeps {
  readonly store: RetentionStore;
  readonly catalogue: Pick<Catalogue, 'services'>;
  readonly trust: RetentionDoor;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** What was done for a purpose. */
export interface Retained {
  readonly erased: number;
  /** Kept by a legal hold. */
  readonly held: number;
}

export interface Retention {
  /** Erases what residents wrote for purposes that ended, and what is past its retention. Gives the purposes for which something was due. */
  retain(): Promise<ReadonlyMap<string, Retained>>;
  /** Stops; waits for a run under way. */
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
const FIRST_MS = 300_000;
const EVERY_MS = 3_600_000;
/** How late the resident's page may say that two people erased the report. */
const FOLLOW_MS = 5_000;
const ROWS_AT_ONCE = 200;
const ERASED_AT_ONCE = 1_000;
const RECEIPT_BYTES = 4_194_304;
/** Of rows of before whose service the catalogue does not have any more. */
const FALLBACK_PURPOSE = 'service-requests';

/** The receipt as it was given; null when there is none. */
export const unpackReceipt = (packed: Buffer | null): ErasureReceipt | null => (packed === null ? null : ErasureReceipt.parse(JSON.parse(gunzipSync(packed, { maxOutputLength: RECEIPT_BYTES }).toString('utf8'))));

/** Residents' data is kept as long as the register says: the keys of the case are destroyed, a leaf says so, and the row stays for the figures. */
export function createRetention(deps: RetentionDeps): Retention {
  const { store, trust, clock, logger } = deps;
  const erased = new Counter({ name: 'clerestory_requests_erased_total', help: 'Requests whose resident data was erased, by purpose', labelNames: ['purpose'], registers: [deps.metrics] });
  let isClosing = false;
  let running: Promise<unknown> = Promise.resolve();
  let followedTo = new Date(0);
  let isRewriteDue = false;

  /** One request; false when a legal hold keeps it. Throws when neither log nor broker can say that it is gone. */
  const eraseOne = async (id: string, cause: ErasureCause): Promise<boolean> => {
    const shredded = await trust.cases.shred(id, { compact: false });
    if (!shredded.ok && shredded.refusal.code === 'key.held') return false;
    // without sealed data there is no key; with a key that is gone, a run was cut off between key and row
    if (!shredded.ok && shredded.refusal.code !== 'key.gone' && shredded.refusal.code !== 'request.not-found') throw new Error(`a case could not be erased: ${shredded.refusal.detail}`);
    await store.erase(id, { at: new Date(clock.nowMs()), cause, receipt: shredded.ok ? gzipSync(JSON.stringify(shredded.value.receipt)) : null });
    isRewriteDue = true;
    return true;
  };

  const retainPurpose = async (purpose: Purpose): Promise<Retained> => {
    const nowMs = clock.nowMs();
    const ended = hasEnded(purpose, nowMs);
    const before = ended ? null : new Date(Math.floor(nowMs / DAY_MS) * DAY_MS - purpose.retention_days * DAY_MS);
    const done = { erased: 0, held: 0 };
    let after = '';
    try {
      while (!isClosing) {
        const due = await store.listDue(purpose.id, before, after, ROWS_AT_ONCE);
        for (const id of due) {
          if (isClosing) break;
          done[(await eraseOne(id, ended ? 'ended' : 'retention')) ? 'erased' : 'held'] += 1;
          after = id;
        }
        if (due.length < ROWS_AT_ONCE) break;
      }
    } finally {
      // also of a run that was cut off: what is erased is told
      if (done.erased > 0) {
        erased.inc({ purpose: purpose.id }, done.erased);
        await trust.log.append({ kind: 'requests.erased', body: { purpose: purpose.id, requests: done.erased, held: done.held, ...(before === null ? { ended } : { before: isoOf(before.getTime()) }) } });
      }
    }
    return done;
  };

  /** Rows whose case two people erased, or whose erasure was cut off before the row was blanked. */
  const followDecisions = async (): Promise<void> => {
    while (!isClosing) {
      const found = await trust.cases.listErased(followedTo, ERASED_AT_ONCE);
      const at = new Map(found.map((each) => [each.caseId, each.at]));
      for (const id of await store.listKept([...at.keys()])) {
        await store.erase(id, { at: at.get(id) ?? new Date(clock.nowMs()), cause: 'decision', receipt: null });
        isRewriteDue = true;
      }
      // the last millisecond is read once more: another erasure may share it
      const next = new Date((found.at(-1)?.at.getTime() ?? 0) - 1);
      if (next <= followedTo) break;
      followedTo = next;
      if (found.length < ERASED_AT_ONCE) break;
    }
  };

  const retain = async (): Promise<ReadonlyMap<string, Retained>> => {
    await store.namePurposes(deps.catalogue, FALLBACK_PURPOSE);
    const retained = new Map<string, Retained>();
    try {
      for (const purpose of trust.purposes.all()) {
        if (isClosing) break;
        const done = await retainPurpose(purpose);
        if (done.erased + done.held > 0) retained.set(purpose.id, done);
      }
      await followDecisions();
    } finally {
      if (isRewriteDue) {
        await trust.cases.compact();
        await store.rewrite();
        isRewriteDue = false;
      }
    }
    return retained;
  };

  const isSteady = watchPace(clock);
  const upkeep = async (): Promise<void> => {
    if (isSteady()) await retain();
    else logger.warn({}, 'the clock has jumped within the last day: no report is erased until it has gone steadily for a day');
  };
  const plan = (wait_ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      running = upkeep()
        .catch((error: unknown) => logger.error({ err: error }, 'reports whose time is over could not be erased; trying again in an hour'))
        .finally(() => {
          if (!isClosing) timer = plan(EVERY_MS);
        });
    }, wait_ms).unref();
  let timer = plan(FIRST_MS);
  let following: Promise<unknown> | undefined;
  const followTimer = setInterval(() => {
    following ??= followDecisions()
      .catch((error: unknown) => logger.error({ err: error }, 'erasures that two people decided could not be followed; trying again'))
      .finally(() => (following = undefined));
  }, FOLLOW_MS);
  followTimer.unref();
  return {
    retain,
    close: async () => {
      isClosing = true;
      clearTimeout(timer);
      clearInterval(followTimer);
      await Promise.all([running, following]);
    },
  };
}
