import { Refused } from '../kernel/index.ts';
import type { Logger } from '../platform/index.ts';
import type { Catalogue } from './catalogue.ts';
import type { TrustDoor } from './doors.ts';
import type { RequestStore } from './request-store.ts';
import { partWords, sealReopening, sealWords } from './words-of-residents.ts';

const BATCH_ROWS = 100;

/**
 * Seals and blanks words of reports that stand in the clear from before words were sealed. One transaction a report, so that a
 * stop in the middle loses nothing and the next start goes on. The words of a case that was erased are blanked only.
 */
export async function sealClearWords({ store, catalogue, trust, logger }: { store: RequestStore; catalogue: Catalogue; trust: Pick<TrustDoor, 'cases' | 'looks'>; logger: Logger }): Promise<number> {
  let sealed = 0;
  for (;;) {
    const ids = await store.listClear(BATCH_ROWS);
    if (ids.length === 0) break;
    for (const id of ids) await sealOne({ store, catalogue, trust }, id);
    sealed += ids.length;
  }
  if (sealed > 0) {
    await store.rewrite();
    logger.info({ reports: sealed }, 'the words of earlier reports are sealed now');
  }
  return sealed;
}

async function sealOne({ store, catalogue, trust }: { store: RequestStore; catalogue: Catalogue; trust: Pick<TrustDoor, 'cases' | 'looks'> }, id: string): Promise<void> {
  await store.inTransaction(async (trx) => {
    const row = await store.lock(trx, id);
    if (row === undefined) return;
    const { structured, words } = partWords(catalogue.byCode(row.service_code), row.description, row.attributes);
    const reopenings = await store.listClearReasons(trx, id);
    let fields = [...new Set([...row.word_fields, ...Object.keys(words)])];
    try {
      await sealWords(trust, trx, id, words);
      for (const { seq, sentence } of reopenings) await sealReopening(trust, trx, id, seq, sentence);
    } catch (error) {
      if (!(error instanceof Refused) || error.refusals[0].code !== 'key.gone') throw error;
      fields = [];
    }
    await store.blank(trx, id, structured, fields, reopenings.map(({ seq }) => seq));
  });
}
