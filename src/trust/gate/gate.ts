import type { GateCounts } from '../../contracts/trust.ts';
import { LIMITS, type Refusal, type RefusalCode } from '../../kernel/index.ts';
import { Counter, type Metrics } from '../../platform/index.ts';
import { RULES, type RuleId } from './detectors/index.ts';
import { countedBy, floorResult, FLOORS, hasWholeNumber, saysNumber } from './floor.ts';
import { inspect, maskPath, type Finding } from './inspect.ts';
import { Neighbourhood } from './recurrence.ts';
import type { GateRegistration } from './registration.ts';
import { hasMoved, objectIdOf, positionOf } from './shapes.ts';
import { createWatch, type Watch } from './watch.ts';

/** One refusal as it may be known: which stream (0 for none), which rule, how many bytes; never what. */
export interface RefusalNote {
  readonly stream: number;
  readonly rule: string;
  readonly bytes: number;
}

export interface Gate {
  /** Null when the result may come in. Stores and logs nothing of what it sees. */
  admit(registration: GateRegistration, result: unknown): Refusal | null;
  /** Null when a text or value of an entity may come in: the same detectors, no registration. `path` names the place. */
  admitDescription(value: unknown, path: string, author: Author): Refusal | null;
  /** Whether a text of a source may be repeated to people, such as the key of a place; the question is not counted. */
  maySay(text: string): boolean;
  /** What is stored instead of the result of a stream that counts people or vehicles; other results stay exactly as they are. */
  floor<T>(registration: GateRegistration, result: T): T;
  /** Null when a count covers the shortest window or more. */
  admitWindow(registration: GateRegistration, length_ms: number): Refusal | null;
  /** Notes a refusal as (code, purpose); the refused content is gone. */
  count(code: RefusalCode, purpose: string): void;
  countAdmitted(readings: number): void;
  counts(): GateCounts;
  refusedOf(purpose: string): number;
  /** Hears of every refusal, for the sums that are kept. */
  onRefused(listener: (note: RefusalNote) => void): void;
  /** Hears of a stream that was put into quarantine. */
  onQuarantined(listener: (stream: number, rule: RuleId) => void): void;
  /** Which streams are in quarantine, as the register of the city says. */
  setQuarantine(streams: ReadonlyMap<number, string>): void;
  quarantined(): ReadonlyMap<number, string>;
  release(stream: number): void;
}

const refusal = (code: RefusalCode, detail: string): Refusal => ({ code, detail, field: 'result' });
const NOT_A_NUMBER = refusal('gate.not-a-number', 'A finite JSON number is registered here.');
const NOT_AN_INTEGER = refusal('gate.not-a-number', 'A whole number is registered here (OM_CountObservation).');
const NOT_A_TRUTH = refusal('gate.not-registered-type', 'true or false is registered here (OM_TruthObservation).');
const NOT_A_TERM = refusal('gate.not-registered-type', `A term of at most ${LIMITS.name_chars} characters is registered here (OM_CategoryObservation).`);
const NOT_IN_LIST = refusal('gate.not-registered-type', 'One of the terms in properties.terms of the Datastream is registered here.');
const QUARANTINED = refusal('gate.quarantined', 'Its values behaved like the identifiers of passers-by.');
const A_COUNT_IN_WORDS = refusal('gate.not-registered-type', 'It counts people or vehicles: a count is a JSON number here, never a text.');
const A_COUNT_BESIDE = refusal('gate.not-registered-type', 'Beside counts of people or vehicles no other whole numbers are taken.');
const FEW = 1e12;
const COUNTED_STREAMS = 10_000;
const WATCHED_STREAMS = 20_000;

/** The refusal for what was found: the rule and its meaning, never the content. */
export const refusalOf = ({ rule, path }: Finding, field: string): Refusal => ({ code: 'gate.person-data', detail: `It carries ${RULES[rule]} (rule ${rule}).`, field: path === '' ? field || 'body' : field === '' ? maskPath(path) : `${field}.${maskPath(path)}` });

/** Who wrote what describes a sensor: a person, or a device, a feed or a table, which say what they were told by others. */
export type Author = 'person' | 'source';

/** The number of the equipment itself. */
const EQUIPMENT = 'address.eui64';
/** What a person may write into the texts of a sensor, but not into its name: contacts of an office, a data sheet, the address of a gateway. */
const CONTACTS: ReadonlySet<string> = new Set(['address.email', 'address.ip', 'media.link', 'phone']);
const isText = (path: string): boolean => /(?:^|\.)(?:description|properties|metadata|definition)(?:\.|$)/.test(path);
/** Pieces that make one whole are no finding of their own where one of them is the whole already: its place is the better one. */
const withoutEchoes = (findings: readonly Finding[]): readonly Finding[] =>
  findings.filter(({ rule, path, through }) => !through.includes('pieces') || !findings.some((other) => other.rule === rule && !other.through.includes('pieces') && (path === '' || other.path.startsWith(`${path}.`))));
const isUsual = ({ rule, path }: Finding, author: Author): boolean => rule === EQUIPMENT || (author === 'person' && CONTACTS.has(rule) && isText(path));

/** `country`: ISO 3166-1 alpha-2, whose national forms count without a prefix. */
export function createGate(metrics: Metrics, sinceMs: number, { country = 'DE' }: { readonly country?: string } = {}): Gate {
  const admittedMetric = new Counter({ name: 'clerestory_gate_admitted_total', help: 'Readings that the gate let in', registers: [metrics] });
  const refusedMetric = new Counter({ name: 'clerestory_gate_refused_total', help: 'Readings that the gate refused', labelNames: ['code', 'purpose'], registers: [metrics] });
  const refused = new Map<string, { code: string; purpose: string; count: number }>(); // bounded by codes × registered purposes
  const byRule = new Map<string, { stream: number; rule: string; count: number }>();
  const refusedListeners: ((note: RefusalNote) => void)[] = [];
  const quarantineListeners: ((stream: number, rule: RuleId) => void)[] = [];
  const others = new Neighbourhood();
  const watches = new Map<number, Watch>();
  const tracks = new Map<string, (readonly [number, number])[]>();
  let quarantine = new Map<number, string>();
  let admitted = 0;

  const note = (stream: number, rule: string, bytes: number): void => {
    const key = `${String(stream)} ${rule}`;
    const entry = byRule.get(key);
    if (entry !== undefined) entry.count += 1;
    else if (byRule.size < COUNTED_STREAMS) byRule.set(key, { stream, rule, count: 1 });
    for (const listener of refusedListeners) listener({ stream, rule, bytes });
  };
  const enclose = (stream: number, rule: RuleId): void => {
    if (quarantine.has(stream)) return;
    quarantine.set(stream, rule);
    for (const listener of quarantineListeners) listener(stream, rule);
  };
  const watchOf = (registration: GateRegistration): Watch | null => {
    if (registration.watch !== undefined) return registration.watch;
    const { stream } = registration;
    if (stream === undefined) return (registration.watch = null);
    let watch = watches.get(stream);
    if (watch === undefined) {
      if (watches.size >= WATCHED_STREAMS) watches.delete(watches.keys().next().value as number);
      watch = createWatch(others, stream);
      watches.set(stream, watch);
    }
    return (registration.watch = watch);
  };

  const admitNumber = (registration: GateRegistration, result: unknown): Refusal | null => {
    if (typeof result !== 'number' || !Number.isFinite(result)) return NOT_A_NUMBER;
    if (registration.allows === 'integer' && !Number.isInteger(result)) return NOT_AN_INTEGER;
    if (result < registration.min || result > registration.max) return refusal('gate.out-of-bounds', `The registered bounds are ${registration.min} to ${registration.max}.`);
    // digits of a card or a telephone; bounds below them leave none
    if (result > FEW) {
      const [finding] = inspect(result, { country, first: true });
      if (finding !== undefined) return refusalOf(finding, 'result');
    }
    const watch = registration.watch === undefined ? watchOf(registration) : registration.watch;
    if (watch !== null && watch.noteNumber(result)) return encloseNow(registration);
    return null;
  };
  const encloseNow = (registration: GateRegistration): Refusal | null => {
    if (registration.stream === undefined) return null;
    enclose(registration.stream, 'identifier-like');
    return QUARANTINED;
  };
  const admitList = (registration: GateRegistration, result: unknown): Refusal | null => {
    const elements = registration.elements ?? [];
    if (!Array.isArray(result) || result.length !== elements.length) return refusal('gate.not-registered-type', `A list of ${String(elements.length)} elements is registered here.`);
    const watch = watchOf(registration);
    for (const [at, element] of elements.entries()) {
      if (element.watch === undefined) element.watch = watch?.field(String(at)) ?? null;
      const found = check(element, result[at]);
      if (found !== null) return found === QUARANTINED ? found : { ...found, field: `result.${String(at)}` };
      const value = result[at] as unknown;
      if (element.watch !== null && ((typeof value === 'number' && element.allows === 'any' && element.watch.noteNumber(value)) || false)) return encloseNow(registration);
    }
    return null;
  };
  const admitTerm = (registration: GateRegistration, result: unknown): Refusal | null => {
    if (typeof result !== 'string' || result.length > LIMITS.name_chars) return NOT_A_TERM;
    if (registration.terms !== undefined) return registration.terms.has(result) ? null : NOT_IN_LIST;
    if (registration.counts !== undefined && saysNumber(result)) return A_COUNT_IN_WORDS;
    const [finding] = inspect(result, { country, first: true });
    if (finding !== undefined) return refusalOf(finding, 'result');
    return watchOf(registration)?.noteText(result) === true ? encloseNow(registration) : null;
  };
  const admitAny = (registration: GateRegistration, result: unknown): Refusal | null => {
    if (registration.counts !== undefined && saysNumber(result)) return A_COUNT_IN_WORDS;
    if (registration.isBesideCounts === true && hasWholeNumber(result)) return A_COUNT_BESIDE;
    const [finding] = inspect(result, { country, first: true, mayBeVector: registration.shape !== undefined });
    if (finding !== undefined) return refusalOf(finding, 'result');
    const { stream } = registration;
    if (stream === undefined) return null;
    if (isWay(stream, result)) {
      return refusalOf({ rule: 'trajectory', path: '', start: 0, end: 0, through: [] }, 'result');
    }
    const watch = watchOf(registration);
    return watch !== null && registration.shape === undefined && watchMembers(watch, result, '', 0) ? encloseNow(registration) : null;
  };
  /** The third place of one object, reading by reading. */
  const isWay = (stream: number, result: unknown): boolean => {
    const members = (Array.isArray(result) ? result.slice(0, 64) : [result]) as unknown[];
    return members.some((member) => {
      const [id, position] = [objectIdOf(member), positionOf(member)];
      if (id === null || position === null) return false;
      const key = `${String(stream)} ${id}`;
      const seen = tracks.get(key) ?? [];
      if (seen.every((other) => hasMoved(other, position))) seen.push(position);
      if (tracks.size >= COUNTED_STREAMS) tracks.delete(tracks.keys().next().value as string);
      tracks.set(key, seen.slice(-3));
      return seen.length >= 3;
    });
  };

  const check = (registration: GateRegistration, result: unknown): Refusal | null => {
    switch (registration.allows) {
      case 'number':
      case 'integer':
        return admitNumber(registration, result);
      case 'boolean':
        return typeof result === 'boolean' ? null : NOT_A_TRUTH;
      case 'term':
        return admitTerm(registration, result);
      case 'any':
        return admitAny(registration, result);
      case 'list':
        return admitList(registration, result);
    }
  };

  return {
    admit: (registration, result) => {
      const stream = registration.stream ?? 0;
      const found = quarantine.size > 0 && quarantine.has(stream) ? QUARANTINED : check(registration, result);
      if (found !== null) note(stream, ruleOf(found), sizeOf(result));
      return found;
    },
    admitDescription: (value, path, author) => {
      const finding = withoutEchoes(inspect(value, { country, keys: path.split('.').at(-1) ?? '' })).find((found) => !isUsual(found, author));
      if (finding === undefined) return null;
      note(0, finding.rule, sizeOf(value));
      return refusalOf(finding, path);
    },
    maySay: (text) => inspect(text, { country, first: true }).length === 0,
    floor: floorResult,
    admitWindow: (registration, length_ms) => {
      const counts = countedBy(registration);
      if (counts === undefined || length_ms >= FLOORS[counts].window_s * 1_000) return null;
      note(registration.stream ?? 0, 'window-too-short', 0);
      return { code: 'gate.window-too-short', detail: `Counts of ${counts} cover at least ${String(FLOORS[counts].window_s / 60)} minutes.`, field: 'phenomenonTime' };
    },
    count: (code, purpose) => {
      refusedMetric.inc({ code, purpose });
      const key = `${code} ${purpose}`;
      const entry = refused.get(key);
      if (entry) entry.count += 1;
      else refused.set(key, { code, purpose, count: 1 });
      // these are refused before the gate is asked about a result
      if (code === 'gate.stream-unregistered' || code === 'gate.field-unregistered' || code.startsWith('purpose.')) note(0, code.replace('gate.', ''), 0);
    },
    countAdmitted: (readings) => {
      admitted += readings;
      admittedMetric.inc(readings);
    },
    counts: () => ({ since: new Date(sinceMs).toISOString(), admitted, refused: [...refused.values()].sort((a, b) => b.count - a.count), rules: [...byRule.values()].sort((a, b) => b.count - a.count).slice(0, 1_000) }),
    refusedOf: (purpose) => [...refused.values()].reduce((sum, entry) => (entry.purpose === purpose ? sum + entry.count : sum), 0),
    onRefused: (listener) => void refusedListeners.push(listener),
    onQuarantined: (listener) => void quarantineListeners.push(listener),
    setQuarantine: (streams) => {
      for (const stream of quarantine.keys()) if (!streams.has(stream)) watches.delete(stream);
      quarantine = new Map(streams);
    },
    quarantined: () => quarantine,
    release: (stream) => {
      quarantine.delete(stream);
      watches.delete(stream);
    },
  };
}

const ruleOf = ({ code, detail }: Refusal): string => /\(rule ([\w.-]+)\)/.exec(detail)?.[1] ?? code.replace('gate.', '');

/** Bytes of JSON, about: an upper bound on what was refused, and nothing about it. */
function sizeOf(value: unknown): number {
  return typeof value === 'string' ? Buffer.byteLength(value) + 2 : Buffer.byteLength(JSON.stringify(value) ?? '');
}

/** Watches texts and numbers inside a structured result, field by field. True when one behaves like an identifier. */
function watchMembers(watch: Watch, value: unknown, path: string, depth: number): boolean {
  if (depth > 4) return false;
  if (typeof value === 'number') return watch.field(path)?.noteNumber(value) ?? false;
  if (typeof value === 'string') return watch.field(path)?.noteText(value) ?? false;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.slice(0, 64).some((member) => watchMembers(watch, member, `${path}[]`, depth + 1));
  return Object.entries(value).slice(0, 64).some(([name, member]) => watchMembers(watch, member, `${path}.${name}`, depth + 1));
}
