import { createHmac } from 'node:crypto';
import { refuse, type Clock, type Refusal } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { countAttempts, deleteAttempts, deleteOldAttempts, forgiveAttempts } from './attempt-store.ts';

export const ATTEMPT_WINDOW_MS = 15 * 60_000;
const FAILURES_PER_ACCOUNT = 10;
const FAILURES_PER_ADDRESS = 50;

/** `retryAfterS` stands beside a refusal for too many attempts. */
export type Admission = { readonly ok: true; readonly value: Attempt } | { readonly ok: false; readonly refusal: Refusal; readonly retryAfterS: number };

interface Attempt {
  /** The attempt was no failure: the account's failures are forgotten, and this one is taken off the address. */
  succeeded(): Promise<void>;
}

/**
 * Limits failed attempts by account and by address. The counts are kept in the database, so that a restart does not forget them
 * and all processes of a city count together. An attempt counts before it is checked, so that attempts sent at once do not slip through.
 */
export interface Attempts {
  /** `account` is what is tried, such as a name; without it only the address counts. */
  admit(account: string | null, address: string): Promise<Admission>;
  forgetOld(): Promise<void>;
}

export function createAttempts({ db, clock, key }: { db: Database; clock: Clock; key: Uint8Array }): Attempts {
  const hashOf = (kind: string, value: string): Buffer => createHmac('sha256', key).update(JSON.stringify(['attempt', kind, value])).digest();
  const windowStart = (): Date => new Date(clock.nowMs() - ATTEMPT_WINDOW_MS);
  return {
    admit: async (account, address) => {
      const nowMs = clock.nowMs();
      const keys = [
        { hash: hashOf('address', address), limit: FAILURES_PER_ADDRESS },
        ...(account === null ? [] : [{ hash: hashOf('account', account), limit: FAILURES_PER_ACCOUNT }]),
      ];
      const counts = await countAttempts(db, keys.map(({ hash }) => hash), new Date(nowMs), windowStart());
      const waits = counts.map(({ count, since }, index) => (count > (keys[index]?.limit ?? 0) ? Math.ceil((since.getTime() + ATTEMPT_WINDOW_MS - nowMs) / 1_000) : 0));
      const retryAfterS = Math.max(...waits);
      if (retryAfterS > 0) return { ...refuse('http.too-many-requests', `Too many failed attempts; wait ${Math.ceil(retryAfterS / 60)} min.`), retryAfterS };
      const [byAddress, byAccount] = keys;
      const succeeded = async (): Promise<void> => {
        if (byAddress) await forgiveAttempts(db, byAddress.hash, 1);
        if (byAccount) await deleteAttempts(db, byAccount.hash);
      };
      return { ok: true, value: { succeeded } };
    },
    forgetOld: () => deleteOldAttempts(db, windowStart()),
  };
}
