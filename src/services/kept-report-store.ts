import type { Selectable } from 'kysely';
import type { DatabaseHandle } from '../platform/index.ts';
import type { RequestRow } from './request-store.ts';

/** Reports that one account may keep; whoever reports more keeps the links. */
export const KEPT_MAX = 200;

type KeptTables = {
  kept_report: { account: Buffer; request_id: string; kept_at: Date };
  request: RequestRow;
};
export type KeptRow = Selectable<RequestRow> & { kept_at: Date };

/** Which reports a resident keeps. `account` is the hex of `ResidentAccount`. */
export interface KeptReports {
  /** False when the list is full. Keeping one again changes nothing. */
  keep(account: string, requestId: string, at: Date): Promise<boolean>;
  isKept(account: string, requestId: string): Promise<boolean>;
  /** False when it was not in the list. */
  drop(account: string, requestId: string): Promise<boolean>;
  /** The newest report first. */
  list(account: string): Promise<KeptRow[]>;
}

export function createKeptReports(handle: DatabaseHandle): KeptReports {
  const db = handle.db.withTables<KeptTables>();
  const of = (account: string): Buffer => Buffer.from(account, 'hex');
  return {
    keep: (account, request_id, kept_at) =>
      db.transaction().execute(async (trx) => {
        const { count } = await trx.selectFrom('kept_report').select((select) => select.fn.countAll<number>().as('count')).where('account', '=', of(account)).where('request_id', '!=', request_id).executeTakeFirstOrThrow();
        if (Number(count) >= KEPT_MAX) return false;
        await trx.insertInto('kept_report').values({ account: of(account), request_id, kept_at }).onConflict((conflict) => conflict.doNothing()).execute();
        return true;
      }),
    isKept: async (account, requestId) => (await db.selectFrom('kept_report').select('kept_at').where('account', '=', of(account)).where('request_id', '=', requestId).executeTakeFirst()) !== undefined,
    drop: async (account, requestId) => (await db.deleteFrom('kept_report').where('account', '=', of(account)).where('request_id', '=', requestId).returning('kept_at').executeTakeFirst()) !== undefined,
    list: (account) =>
      db.selectFrom('kept_report').innerJoin('request', 'request.id', 'kept_report.request_id').selectAll('request').select('kept_report.kept_at').where('account', '=', of(account)).orderBy('request.filed_at', 'desc').orderBy('request.seq', 'desc').limit(KEPT_MAX).execute(),
  };
}
