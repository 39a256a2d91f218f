import type { Database } from '../../platform/index.ts';

type AttemptTables = { attempt: { key_hash: Buffer; count: number; since: Date } };
const on = (database: Database) => database.withTables<AttemptTables>();

/** Counts one more attempt under each key, beginning anew where the last window ended before `windowStart`. Gives the counts in the order of the keys. */
export async function countAttempts(db: Database, keyHashes: readonly Buffer[], at: Date, windowStart: Date): Promise<{ count: number; since: Date }[]> {
  const counts: { count: number; since: Date }[] = [];
  for (const key_hash of keyHashes) {
    const row = await on(db)
      .insertInto('attempt')
      .values({ key_hash, count: 1, since: at })
      .onConflict((conflict) =>
        conflict.column('key_hash').doUpdateSet((set) => ({
          count: set.case().when('attempt.since', '<=', windowStart).then(1).else(set('attempt.count', '+', 1)).end(),
          since: set.case().when('attempt.since', '<=', windowStart).then(at).else(set.ref('attempt.since')).end(),
        })),
      )
      .returning(['count', 'since'])
      .executeTakeFirstOrThrow();
    counts.push(row);
  }
  return counts;
}

/** Takes `by` off the count of a key. */
export async function forgiveAttempts(db: Database, keyHash: Buffer, by: number): Promise<void> {
  await on(db)
    .updateTable('attempt')
    .set((set) => ({ count: set.fn<number>('greatest', [set.val(0), set('count', '-', by)]) }))
    .where('key_hash', '=', keyHash)
    .execute();
}

export async function deleteAttempts(db: Database, keyHash: Buffer): Promise<void> {
  await on(db).deleteFrom('attempt').where('key_hash', '=', keyHash).execute();
}

export async function deleteOldAttempts(db: Database, windowStart: Date): Promise<void> {
  await on(db).deleteFrom('attempt').where('since', '<=', windowStart).execute();
}
