import type { Action, Position, Principal } from '../contracts/principal.ts';
import type { LookRequest, LookWay } from '../contracts/trust.ts';
import { Refused } from '../kernel/index.ts';
import type { LookItem, Looks } from '../trust/index.ts';
import type { TrustDoor } from './doors.ts';
import { isClosed } from './request.ts';
import type { NoteRow, RequestRow } from './request-store.ts';
import { CONTACT_RECORD, REASON_FIELD, reopeningRecord, WORDS_RECORD } from './words-of-residents.ts';

type LookingAct = Parameters<Looks['open']>[0];

/** A report counts as worked on until this long after its closing. */
const AFTER_CLOSING_MS = 14 * 24 * 3_600_000;

/** Who looks, in which position, for which purpose and why. A token looks by API whatever page it says it is, and only for its own purpose. */
export function lookingAct(trust: Pick<TrustDoor, 'authorize'>, principal: Principal, action: Action, { purpose, reasonCode, reason }: LookRequest, way: LookWay): LookingAct {
  if (principal.purpose !== undefined && principal.purpose !== purpose) throw new Refused({ code: 'auth.forbidden', detail: `This credential is bound to the purpose ${principal.purpose}.`, field: 'purpose' });
  return { principal, position: lookingPosition(trust, principal, action), purpose, reasonCode, reason, via: principal.kind === 'token' ? 'api' : way };
}

/** The position that the look is made in: the first of the caller's that may. */
function lookingPosition(trust: Pick<TrustDoor, 'authorize'>, principal: Principal, action: Action): Position {
  const position = principal.positions.find((each) => trust.authorize({ ...principal, positions: [each] }, action));
  if (position === undefined) throw new Refused({ code: 'auth.forbidden', detail: `None of your positions includes ${action}.` });
  return position;
}

/** Whether somebody has reason to look at it by the state of the work: open, or closed a short while ago. */
const isWorkedOn = (row: RequestRow, nowMs: number): boolean => !isClosed(row.state) || row.closed_at === null || nowMs - row.closed_at.getTime() < AFTER_CLOSING_MS;

export const wordsItem = (row: RequestRow, nowMs: number): LookItem[] => (row.word_fields.length === 0 ? [] : [{ caseId: row.id, record: WORDS_RECORD, fields: row.word_fields, assigned: isWorkedOn(row, nowMs) }]);

export const reopeningItems = (row: RequestRow, notes: readonly NoteRow[], nowMs: number): LookItem[] =>
  notes.filter(({ sealed }) => sealed).map(({ seq }) => ({ caseId: row.id, record: reopeningRecord(seq), fields: [REASON_FIELD], assigned: isWorkedOn(row, nowMs) }));

export function contactItem(row: RequestRow, wanted: readonly string[], nowMs: number): LookItem[] {
  const fields = wanted.filter((field) => row.contact_fields.includes(field));
  return fields.length === 0 ? [] : [{ caseId: row.id, record: CONTACT_RECORD, fields, assigned: isWorkedOn(row, nowMs) }];
}
