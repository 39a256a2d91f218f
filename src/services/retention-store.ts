import { sql } from 'kysely';
import type { DatabaseHandle } from '../platform/index.ts';
import type { Catalogue } from './catalogue.ts';

export type ErasureCause = 'ended' | 'retention' | 'decision';

/** When and why what the resident wrote was erased. */
export interface ErasureRow {
  readonly at: Date;
  readonly cause: ErasureCause;
  /** As it was packed; null when the person who erased has it, or nothing was sealed. */
  readonly receipt: Buffer | null;
}

type RetentionTables = {
  request: { id: string; purpose: string | null; service_code: string; closed_at: Date | null; updated_at: Date; erased_at: Date | null };
  request_erasure: { request_id: string; erased_at: Date; cause: ErasureCause; receipt: Buffer | null };
};

/** What is due, and what becomes of a row whose resident's data is gone. */
export function createRetentionStore(handle: DatabaseHandle) {
  const db = handle.db.withTables<RetentionTables>();
  return {
    /** Names the purpose of rows of before by the catalogue; of a service that it does not have, `fallback`. */
    namePurposes: async ({ services }: Pick<Catalogue, 'services'>, fallback: string): Promise<void> => {
      for (const { code, purpose } of services) await db.updateTable('request').set({ purpose }).where('purpose', 'is', null).where('service_code', '=', code).execute();
      await db.updateTable('request').set({ purpose: fallback }).where('purpose', 'is', null).execute();
    },

    /** Requests of the purpose whose last step (closing; while open, any change) was before `before`, after `afterId` in the order of their ids. */
    listDue: async (purpose: string, before: Date | null, afterId: string, limit: number): Promise<string[]> => {
      let query = db.selectFrom('request').select('id').where('purpose', '=', purpose).where('erased_at', 'is', null).where('id', '>', afterId).orderBy('id').limit(limit);
      if (before !== null) query = query.where(({ fn }) => fn.coalesce('closed_at', 'updated_at'), '<', before);
      return (await query.execute()).map(({ id }) => id);
    },

    /** Those of the ids whose row still says that there is something of the resident. */
    listKept: async (ids: readonly string[]): Promise<string[]> => (ids.length === 0 ? [] : (await db.selectFrom('request').select('id').where('id', 'in', [...ids]).where('erased_at', 'is', null).execute()).map(({ id }) => id)),

    /** Blanks what came from the resident or was released of it, and keeps place, service, times and outcome. Whoever sends the same report again finds the old one. */
    erase: async (id: string, erasure: ErasureRow): Promise<void> => {
      await handle.db.transaction().execute(async (trx) => {
        await sql`update request set erased_at = ${erasure.at}, word_fields = '{}', contact_fields = '{}', description = '', published = false, public_description = null, public_answers = null, fingerprint = null
          where id = ${id} and erased_at is null`.execute(trx);
        await sql`update request_note set sealed = false, sentence = null where request_id = ${id} and kind = 'reopened_by_resident'`.execute(trx);
        // whose list it stood in says whose it was; who has the receipt comes last and counts
        await sql`delete from kept_report where request_id = ${id}`.execute(trx);
        await sql`insert into request_erasure (request_id, erased_at, cause, receipt) values (${id}, ${erasure.at}, ${erasure.cause}, ${erasure.receipt})
          on conflict (request_id) do update set cause = excluded.cause, receipt = excluded.receipt where request_erasure.receipt is null and excluded.receipt is not null`.execute(trx);
      });
    },

    /** Rewrites the tables, so that no page of a file keeps what was blanked. */
    rewrite: async (): Promise<void> => {
      await sql`vacuum full request`.execute(handle.db);
      await sql`vacuum full request_note`.execute(handle.db);
    },

    readErasure: async (id: string): Promise<ErasureRow | null> => {
      const row = await db.selectFrom('request_erasure').selectAll().where('request_id', '=', id).executeTakeFirst();
      return row === undefined ? null : { at: row.erased_at, cause: row.cause, receipt: row.receipt };
    },
  };
}
export type RetentionStore = ReturnType<typeof createRetentionStore>;
