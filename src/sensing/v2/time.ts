import { Refused } from '../../kernel/index.ts';

// TM_Object and TM_Interval of OGC 23-019 §9.2.2: {"start": …} is an instant, {"start": …, "end": …} an interval.

export interface TimeObject {
  readonly start: string;
  readonly end?: string;
}

/** From the texts of 18-088: an ISO 8601 instant, or start/end. */
export function timeObjectOf(text: string): TimeObject {
  const [start = '', end] = text.split('/', 2);
  return end === undefined ? { start } : { start, end };
}

/**
 * The text of 18-088 for a time in a body: an object of 23-019, or that text itself. What is no time at all is passed on as it
 * is, for the one place that checks times. Throws `Refused` for an object with other members.
 */
export function timeTextOf(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { start, end, ...strangers } = value as Record<string, unknown>;
  const stranger = Object.keys(strangers)[0];
  if (stranger !== undefined) throw new Refused({ code: 'sensing.time-invalid', detail: 'A time has start and end only.', field: `${field}.${stranger.slice(0, 100)}` });
  if (typeof start !== 'string') throw new Refused({ code: 'sensing.time-invalid', detail: 'A time has a start: {"start": "2026-11-24T06:00:00Z"}.', field: `${field}.start` });
  if (end === undefined || end === null) return start;
  if (typeof end !== 'string') throw new Refused({ code: 'sensing.time-invalid', detail: 'It must be an ISO 8601 instant with a zone.', field: `${field}.end` });
  return `${start}/${end}`;
}
