import type { Look } from '../contracts/trust.ts';
import type { Looks } from '../trust/index.ts';
import type { NoteRow } from './request-store.ts';

interface ToldDoor {
  readonly cases: { looksOf(caseId: string): Promise<Look[]> };
  readonly looks: Pick<Looks, 'tellable'>;
}

/** Looks at the case that its resident is told of by now, and those that wait for its next step. `notes`: the history of the case, in its order. */
export async function toldLooks(trust: ToldDoor, caseId: string, notes: readonly Pick<NoteRow, 'at'>[]): ReturnType<Looks['tellable']> {
  const looks = await trust.cases.looksOf(caseId);
  return trust.looks.tellable(caseId, looks, notes.at(-1)?.at ?? new Date(0));
}
