import type { Refusal } from '../../kernel/index.ts';
import type { ObservationRow } from './observation-row.ts';
import type { Stream } from './stream.ts';

/** Whoever waits for some drafts to become durable. */
export interface Waiter {
  remaining: number;
  refusal: Refusal | null;
  fault: Error | undefined;
  readonly settle: () => void;
}

/** An admitted observation on its way to the disk. */
export interface Draft {
  readonly stream: Stream;
  readonly phenomenonMs: number;
  /** NaN for an instant. */
  readonly phenomenonEndMs: number;
  /** NaN when it was not sent. */
  readonly resultTimeMs: number;
  readonly arrivalMs: number;
  readonly value: number | null;
  /** JSON text of the result when the double alone does not say it. */
  readonly exact: string | null;
  /** JSON text of `ObservationExtra`. */
  readonly extra: string | null;
  readonly valid: boolean;
  /** The sender's own id of a message without a time of its own; the same id is the same reading. */
  readonly clientId?: string;
  /** False when the time was set by this server, because none was sent: then no other reading can be its duplicate. */
  readonly hasOwnTime: boolean;
  /** Id of the stored observation; 0 until it is durable. */
  id: number;
  /** Must be looked for in the database before it is stored. */
  mayBeStored: boolean;
  waiter: Waiter | null;
  /** Others who sent the same reading while this one was under way. */
  followers: Waiter[] | null;
}

/** Two drafts of one stream and time are the same reading when everything but resultTime is equal. */
export function isSameReading(a: Draft, b: Draft): boolean {
  return a.phenomenonMs === b.phenomenonMs && a.exact === b.exact && a.extra === b.extra && (a.value === b.value || (a.value !== null && b.value !== null && Object.is(a.value, b.value))) && (a.phenomenonEndMs === b.phenomenonEndMs || (Number.isNaN(a.phenomenonEndMs) && Number.isNaN(b.phenomenonEndMs)));
}

/** A stored observation as the draft that it was. */
export function draftOf(stream: Stream, row: ObservationRow): Draft {
  const ms = (at: Date | null): number => at?.getTime() ?? NaN;
  return {
    stream,
    phenomenonMs: ms(row.phenomenon_start),
    phenomenonEndMs: ms(row.phenomenon_end),
    resultTimeMs: ms(row.result_time),
    arrivalMs: ms(row.arrived),
    value: row.result_number,
    exact: row.result_json,
    extra: row.extra === null ? null : JSON.stringify(row.extra),
    valid: row.valid,
    hasOwnTime: true,
    id: row.id,
    mayBeStored: false,
    waiter: null,
    followers: null,
  };
}
