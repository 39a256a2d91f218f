import type { Action, Position, Principal } from '../contracts/principal.ts';
import type { LookRequest, LookWay } from '../contracts/trust.ts';
import { Refused } from '../kernel/index.ts';
import type { LookItem, Looks } from '../trust/index.ts';
import type { TrustDoor } from './doors.ts';
import type { Catalogue } from './catalogue.ts';
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

/** What the city's catalogue and the clock say of a look, whoever looks. */
export interface LookContext {
  readonly catalogue: Pick<Catalogue, 'byCode'>;
  readonly nowMs: number;
  /** Reports of a purpose that does not live are not opened for another one either. */
  readonly purposes?: TrustDoor['purposes'] | undefined;
}

/** Why nothing of the report may be opened: the purpose that it was filed under does not live. */
export function checkReportPurpose({ purposes }: Pick<LookContext, 'purposes'>, row: RequestRow): void {
  const refusal = row.purpose === null ? null : (purposes?.refusalOf(row.purpose) ?? null);
  if (refusal !== null) throw new Refused({ ...refusal, detail: `${refusal.detail} What residents wrote for it is opened by nobody.` });
}

const isOver = ({ purposes }: LookContext, row: RequestRow): boolean => row.purpose !== null && (purposes?.refusalOf(row.purpose) ?? null) !== null;

function itemOf(row: RequestRow, record: string, fields: readonly string[], { catalogue, nowMs }: LookContext): LookItem {
  return { caseId: row.id, record, fields, assigned: isWorkedOn(row, nowMs), told: catalogue.byCode(row.service_code)?.looks_told ?? 'now' };
}

export const wordsItem = (row: RequestRow, context: LookContext): LookItem[] => (row.word_fields.length === 0 || isOver(context, row) ? [] : [itemOf(row, WORDS_RECORD, row.word_fields, context)]);

export const reopeningItems = (row: RequestRow, notes: readonly NoteRow[], context: LookContext): LookItem[] => (isOver(context, row) ? [] : notes.filter(({ sealed }) => sealed).map(({ seq }) => itemOf(row, reopeningRecord(seq), [REASON_FIELD], context)));

export function contactItem(row: RequestRow, wanted: readonly string[], context: LookContext): LookItem[] {
  const fields = wanted.filter((field) => row.contact_fields.includes(field));
  return fields.length === 0 || isOver(context, row) ? [] : [itemOf(row, CONTACT_RECORD, fields, context)];
}
