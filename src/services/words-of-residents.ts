import type { Result } from '../kernel/index.ts';
import { ok } from '../kernel/index.ts';
import type { Trx } from '../platform/index.ts';
import type { Answers } from './answers.ts';
import type { Service } from './catalogue.ts';
import type { TrustDoor } from './doors.ts';
import type { NoteRow, RequestRow } from './request-store.ts';

/** The sealed record of what a resident wrote: `description`, and `answer.CODE` for each free-text answer. */
export const WORDS_RECORD = 'report';
export const CONTACT_RECORD = 'contact';
const ANSWER = 'answer.';
const REOPENING = 'reopening-';
/** Field of a reopening's record. */
export const REASON_FIELD = 'reason';

export const reopeningRecord = (seq: number): string => `${REOPENING}${seq}`;

/** Parts a report into what the city works with and what the resident wrote in words. An answer to a question that is not offered any more counts as words. */
export function partWords(service: Service | undefined, description: string, answers: Answers): { structured: Answers; words: Record<string, string> } {
  const structured: Record<string, string | readonly string[]> = {};
  const words: Record<string, string> = description === '' ? {} : { description };
  for (const [code, value] of Object.entries(answers)) {
    const datatype = service?.attributes.find((each) => each.code === code)?.datatype;
    if (datatype === undefined || datatype === 'string' || datatype === 'text') words[`${ANSWER}${code}`] = typeof value === 'string' ? value : value.join('\n');
    else structured[code] = value;
  }
  return { structured, words };
}

/** The free-text answers of an opened record, by code. */
export function answersIn(words: Readonly<Record<string, string>>): Answers {
  return Object.fromEntries(Object.entries(words).flatMap(([field, value]) => (field.startsWith(ANSWER) && value !== '' ? [[field.slice(ANSWER.length), value]] : [])));
}

/** Seals words under the case's key and notes what they can be found by; nothing when there are none. */
export async function sealWords(trust: Pick<TrustDoor, 'cases' | 'looks'>, trx: Trx, caseId: string, words: Record<string, string>, ownerSecret?: string): Promise<void> {
  if (Object.keys(words).length === 0) return;
  await trust.cases.seal(trx, caseId, WORDS_RECORD, words, ownerSecret);
  await trust.looks.index(trx, caseId, WORDS_RECORD, { words: Object.values(words).join('\n') });
}

export async function sealContact(trust: Pick<TrustDoor, 'cases' | 'looks'>, trx: Trx, caseId: string, contact: Record<string, string>, ownerSecret?: string): Promise<void> {
  if (Object.keys(contact).length === 0) return;
  await trust.cases.seal(trx, caseId, CONTACT_RECORD, contact, ownerSecret);
  await trust.looks.index(trx, caseId, CONTACT_RECORD, { contact });
}

export async function sealReopening(trust: Pick<TrustDoor, 'cases' | 'looks'>, trx: Trx, caseId: string, seq: number, reason: string): Promise<void> {
  await trust.cases.seal(trx, caseId, reopeningRecord(seq), { [REASON_FIELD]: reason });
  await trust.looks.index(trx, caseId, reopeningRecord(seq), { words: reason });
}

/** What the resident reads of the own report: words and reasons of reopening by their number. Empty for a case whose link holds no key (filed before words were sealed). */
export async function readOwnWords({ cases }: Pick<TrustDoor, 'cases'>, row: RequestRow, notes: readonly NoteRow[], secret: string): Promise<Result<{ words: Record<string, string>; reasons: ReadonlyMap<number, string> }>> {
  const words = row.word_fields.length === 0 ? ok<Record<string, string>>({}) : await cases.openOwn(row.id, secret, WORDS_RECORD);
  if (!words.ok) return words.refusal.code === 'request.not-found' ? ok({ words: {}, reasons: new Map() }) : words;
  const reasons = new Map<number, string>();
  for (const { seq } of notes.filter(({ sealed }) => sealed)) {
    const opened = await cases.openOwn(row.id, secret, reopeningRecord(seq));
    if (opened.ok) reasons.set(seq, opened.value[REASON_FIELD] ?? '');
  }
  return ok({ words: words.value, reasons });
}
