import { statusOf, type Refusal, type Result } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { insideChangeSet, type ChangeSet } from '../change-set.ts';
import type { EntityChange } from '../entities/entity-store.ts';
import type { Draft } from '../observations/draft.ts';
import type { BatchAnswer } from './request.ts';

export interface ChangeSetDeps {
  readonly handle: DatabaseHandle;
  /** Whether the days of the observations have their partitions. */
  readonly hasDays: (drafts: readonly Draft[]) => boolean;
  readonly makeDays: (drafts: readonly Draft[]) => Promise<void>;
  /** Makes admitted observations durable. */
  readonly store: (drafts: readonly Draft[]) => Promise<Refusal | null>;
  /** Takes back what `store` made durable. */
  readonly removeStored: (drafts: readonly Draft[]) => Promise<void>;
  /** Tells others of durable changes. */
  readonly tell: (changes: readonly EntityChange[]) => void;
  /** Forgets what was made in memory for a set that came to nothing. */
  readonly forget: (changes: readonly EntityChange[]) => void;
  /** Called for the streams of new observations when all is durable. */
  readonly afterCommit: (drafts: readonly Draft[]) => Promise<void>;
}

export type SetOutcome = { readonly kind: 'done'; readonly answers: readonly BatchAnswer[] } | { readonly kind: 'failed'; readonly at: number; readonly answer: BatchAnswer };

/** Ends the transaction of a set of which one request failed. */
class SetFailed extends Error {
  readonly at: number;
  readonly answer: BatchAnswer;
  constructor(at: number, answer: BatchAnswer) {
    super(`request ${String(at)} of a change set failed`);
    this.at = at;
    this.answer = answer;
  }
}

/** A new partition waits for all who have read the table, and this transaction may have: the set starts again after it. */
class DaysMissing extends Error {
  readonly drafts: readonly Draft[];
  constructor(drafts: readonly Draft[]) {
    super('observations of days that have no partition yet');
    this.drafts = drafts;
  }
}

const PARKED = Symbol('parked');
const GIVEN_UP: Refusal = { code: 'batch.dependency-failed', detail: 'Another request of the change set failed.' };

/**
 * Carries out requests in order and in one transaction. Observations are admitted at once and stored together when all
 * other requests have succeeded, then the transaction commits; when it does not, they are removed again.
 */
export async function performChangeSet(deps: ChangeSetDeps, requests: number, perform: (at: number) => Promise<BatchAnswer>): Promise<SetOutcome> {
  try {
    return await attempt(deps, requests, perform, true);
  } catch (error) {
    if (!(error instanceof DaysMissing)) throw error;
    await deps.makeDays(error.drafts);
    return attempt(deps, requests, perform, false);
  }
}

/** Does in one transaction what `act` does; when it is refused or thrown nothing of it has happened. */
export async function performTogether<T>(deps: ChangeSetDeps, act: () => Promise<Result<T>>): Promise<Result<T>> {
  let result: Result<T> | undefined;
  await performChangeSet(deps, 1, async () => {
    result = await act();
    return { status: result.ok ? 200 : statusOf(result.refusal), headers: {}, body: Buffer.alloc(0) };
  });
  if (result === undefined) throw new Error('a change set ended before it began');
  return result;
}

async function attempt(deps: ChangeSetDeps, requests: number, perform: (at: number) => Promise<BatchAnswer>, isFirst: boolean): Promise<SetOutcome> {
  const drafts: Draft[] = [];
  const changes: EntityChange[] = [];
  const stored = Promise.withResolvers<Refusal | null>();
  let isStored = false;
  let committed = false;
  const pending: Promise<BatchAnswer>[] = [];
  try {
    const answers = await deps.handle.db.transaction().execute(async (trx) => {
      let park = (): void => undefined;
      const set: ChangeSet = {
        trx,
        changes,
        add: (more) => void drafts.push(...more),
        join: (more) => {
          drafts.push(...more);
          park();
          return stored.promise;
        },
      };
      for (let at = 0; at < requests; at += 1) {
        const parked = new Promise<typeof PARKED>((resolve) => (park = () => resolve(PARKED)));
        const answer = insideChangeSet(set, () => perform(at));
        pending.push(answer);
        const outcome = await Promise.race([answer, parked]);
        if (outcome !== PARKED && outcome.status >= 400) throw new SetFailed(at, outcome);
      }
      if (isFirst && !deps.hasDays(drafts)) throw new DaysMissing(drafts);
      const refusal = drafts.length === 0 ? null : await deps.store(drafts);
      isStored = refusal === null;
      stored.resolve(refusal);
      const done = await Promise.all(pending);
      const failed = done.findIndex((answer) => answer.status >= 400);
      if (failed >= 0) throw new SetFailed(failed, done[failed] as BatchAnswer);
      if (refusal !== null) throw new Error(`the observations of a change set were not stored: ${refusal.code}`);
      return done;
    });
    committed = true;
    deps.tell(changes);
    await deps.afterCommit(drafts);
    return { kind: 'done', answers };
  } catch (error) {
    stored.resolve(GIVEN_UP);
    await Promise.allSettled(pending);
    if (!committed) {
      deps.forget(changes);
      if (isStored) await deps.removeStored(drafts);
    }
    if (error instanceof SetFailed) return { kind: 'failed', at: error.at, answer: error.answer };
    throw error;
  }
}
