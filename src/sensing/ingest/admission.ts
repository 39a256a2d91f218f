import { LIMITS, isoOf, type Refusal, type RefusalCode } from '../../kernel/index.ts';
import { countedBy, type Gate, type GateRegistration } from '../../trust/index.ts';
import type { Draft } from '../observations/draft.ts';
import type { Stream } from '../observations/stream.ts';
import { findMismatch } from '../v2/result-check.ts';
import { isRawNumber, writeExactJson } from './exact-json.ts';
import { readInstantMs, readSpan } from './instants.ts';

/** The parts of an observation as they were sent, before any check; undefined for what was not sent. */
export interface SentObservation {
  readonly result: unknown;
  readonly phenomenonTime: unknown;
  readonly resultTime: unknown;
  readonly resultQuality: unknown;
  readonly validTime: unknown;
  readonly parameters: unknown;
  /** Id of an existing FeatureOfInterest. */
  readonly feature: number | undefined;
}

const refusal = (code: RefusalCode, detail: string, field: string): Refusal => ({ code, detail, field });
/** What stands beside the results of a stream is looked at like a structured result of its own. */
const beside = new WeakMap<GateRegistration, Map<string, GateRegistration>>();
function parametersOf({ registration }: Stream, field: string): GateRegistration {
  const known = beside.get(registration) ?? new Map<string, GateRegistration>();
  beside.set(registration, known);
  const { purpose, stream } = registration;
  const found = known.get(field) ?? { purpose, allows: 'any', min: -Infinity, max: Infinity, ...(stream === undefined ? {} : { stream }), ...(countedBy(registration) === undefined ? {} : { isBesideCounts: true }) };
  known.set(field, found);
  return found;
}

export const isRefusal = (value: object): value is Refusal => 'code' in value;

/**
 * Checks one observation for `stream` and makes its draft, or says which field is wrong (18-088 §8.2.6 Table 12).
 * The gate sees the result before anything else looks at it; refused content goes nowhere.
 */
export function admit(gate: Gate, stream: Stream, sent: SentObservation, nowMs: number): Draft | Refusal {
  const { result } = sent;
  if (result === undefined) return refusal('http.invalid', 'An observation needs a result.', 'result');
  let value: number | null = null;
  let exact: string | null = null;
  if (typeof result === 'number') {
    value = result;
    const refused = gate.admit(stream.registration, result) ?? checkStructure(stream, result);
    if (refused !== null) return refused;
    value = gate.floor(stream.registration, result);
  } else {
    if (isDeeperThan(result, LIMITS.json_depth)) return refusal('http.too-deep', `A result is nested at most ${LIMITS.json_depth} levels deep.`, 'result');
    exact = writeExactJson(result);
    const plain = isRawNumber(result) ? Number(exact) : typeof result === 'object' && result !== null ? (JSON.parse(exact) as unknown) : result;
    const refused = gate.admit(stream.registration, plain) ?? checkExact(plain, exact) ?? checkStructure(stream, plain);
    if (refused !== null) return refused;
    if (typeof plain === 'number') value = plain;
    if (countedBy(stream.registration) !== undefined) {
      const floored = gate.floor(stream.registration, plain);
      value = typeof floored === 'number' ? floored : null;
      exact = typeof floored === 'number' ? null : writeExactJson(floored);
    }
  }

  const { phenomenonTime, resultTime } = sent;
  const latestMs = nowMs + LIMITS.future_ms;
  let phenomenonMs = nowMs;
  let phenomenonEndMs = NaN;
  const hasOwnTime = phenomenonTime !== undefined && phenomenonTime !== null;
  if (hasOwnTime) {
    if (typeof phenomenonTime !== 'string') return badTime('phenomenonTime');
    const instantMs = readInstantMs(phenomenonTime);
    if (instantMs === null) {
      const span = readSpan(phenomenonTime);
      if (span === null) return badTime('phenomenonTime');
      phenomenonMs = span.startMs;
      phenomenonEndMs = span.endMs;
      if (phenomenonEndMs > latestMs) return tooEarly('phenomenonTime', nowMs);
    } else phenomenonMs = instantMs;
    if (phenomenonMs > latestMs) return tooEarly('phenomenonTime', nowMs);
  }
  if (countedBy(stream.registration) !== undefined) {
    const short = gate.admitWindow(stream.registration, Number.isNaN(phenomenonEndMs) ? stream.info.interval_s * 1_000 : phenomenonEndMs - phenomenonMs);
    if (short !== null) return short;
  }
  let resultTimeMs = NaN;
  if (resultTime !== undefined && resultTime !== null) {
    const readMs = typeof resultTime === 'string' ? readInstantMs(resultTime) : null;
    if (readMs === null) return badTime('resultTime');
    if (readMs > latestMs) return tooEarly('resultTime', nowMs);
    resultTimeMs = readMs;
  }

  let extra: string | null = null;
  let valid = true;
  if (sent.resultQuality !== undefined || sent.validTime !== undefined || sent.parameters !== undefined || sent.feature !== undefined) {
    const checked = checkExtra(gate, stream, sent);
    if (typeof checked === 'object') return checked;
    if (checked !== '{}') extra = checked;
    valid = !saysInvalid(sent.resultQuality);
  }
  return { stream, phenomenonMs, phenomenonEndMs, resultTimeMs, arrivalMs: nowMs, value, exact, extra, valid, hasOwnTime, id: 0, mayBeStored: false, waiter: null, followers: null };
}

/** The structure that a resultType of 23-019 states. */
function checkStructure({ structure }: Stream, plain: unknown): Refusal | null {
  if (structure === undefined || structure === null) return null;
  const mismatch = findMismatch(structure, plain);
  return mismatch === null ? null : refusal('gate.not-registered-type', `${mismatch}, as the resultType of the Datastream says.`, 'result');
}

const badTime = (field: string): Refusal => refusal('sensing.time-invalid', field === 'resultTime' ? 'It must be an ISO 8601 instant with a zone.' : 'It must be an ISO 8601 instant with a zone, or an interval start/end of two such.', field);
const tooEarly = (field: string, nowMs: number): Refusal => refusal('sensing.time-in-future', `The clock of this server says ${isoOf(nowMs)}.`, field);

function checkExact(plain: unknown, exact: string): Refusal | null {
  if (typeof plain === 'number') return Number.isFinite(plain) ? null : refusal('gate.not-a-number', 'The number is larger than a double can hold.', 'result');
  if (exact.length > LIMITS.result_json_bytes || Buffer.byteLength(exact) > LIMITS.result_json_bytes) return refusal('http.too-large', `A result has at most ${LIMITS.result_json_bytes} bytes of JSON.`, 'result');
  return null;
}

function checkExtra(gate: Gate, stream: Stream, sent: SentObservation): Refusal | string {
  const { resultQuality, validTime, parameters, feature } = sent;
  if (validTime !== undefined && validTime !== null && (typeof validTime !== 'string' || !validTime.includes('/') || readSpan(validTime) === null)) return refusal('sensing.time-invalid', 'It must be an ISO 8601 interval start/end, both with a zone.', 'validTime');
  if (parameters !== undefined && parameters !== null) {
    if (typeof parameters !== 'object' || Array.isArray(parameters) || isRawNumber(parameters)) return refusal('http.invalid', 'It must be an object.', 'parameters');
    const stranger = Object.keys(parameters).find((name) => !stream.parameters.includes(name));
    if (stranger !== undefined) return refusal('gate.field-unregistered', 'The datastream does not list this name in properties.parameters.', `parameters.${stranger.slice(0, LIMITS.name_chars)}`);
  }
  for (const [field, part] of [['resultQuality', resultQuality], ['parameters', parameters]] as const) {
    if (part === undefined || part === null) continue;
    if (isDeeperThan(part, LIMITS.json_depth)) return refusal('http.too-deep', `It is nested at most ${LIMITS.json_depth} levels deep.`, field);
    const text = writeExactJson(part);
    if (text.length > LIMITS.result_json_bytes) return refusal('http.too-large', `It has at most ${LIMITS.result_json_bytes} bytes of JSON.`, field);
    // jsonb holds no NUL and no half of a surrogate pair (PostgreSQL 18 documentation, 8.14), and this server no number beyond a double
    if (/\\u(?:0000|d[89a-f])/i.test(text.replaceAll('\\\\', ''))) return refusal('http.invalid', 'It contains a character that is not text (NUL or half a surrogate pair).', field);
    const plain = JSON.parse(text) as unknown;
    if (hasUnboundedNumber(plain)) return refusal('http.invalid', 'It contains a number that is larger than a double can hold.', field);
    const refused = gate.admit(parametersOf(stream, field), plain);
    if (refused !== null) return { ...refused, field };
  }
  return writeExactJson({ resultQuality: resultQuality ?? undefined, validTime: validTime ?? undefined, parameters: parameters ?? undefined, feature });
}

const INVALID_WORDS: ReadonlySet<string> = new Set(['bad', 'invalid', 'error', 'erroneous', 'faulty', 'rejected', 'missing']);

/**
 * Whether resultQuality marks a reading as bad, so that rules leave it out. It does when it is false, one of the words
 * bad, invalid, error, erroneous, faulty, rejected, missing (any case), or an object that says so under
 * `valid` (false), `status`, `quality`, `code` or `value`, or a list of which one member says so.
 */
function saysInvalid(quality: unknown): boolean {
  if (quality === false) return true;
  if (typeof quality === 'string') return INVALID_WORDS.has(quality.trim().toLowerCase());
  if (Array.isArray(quality)) return quality.some((member) => saysInvalid(member));
  if (typeof quality !== 'object' || quality === null) return false;
  const { valid, status, quality: inner, code, value } = quality as Record<string, unknown>;
  return valid === false || [status, inner, code, value].some((word) => typeof word === 'string' && saysInvalid(word));
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((member) => isDeeperThan(member, levels - 1));
}

function hasUnboundedNumber(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasUnboundedNumber);
}
