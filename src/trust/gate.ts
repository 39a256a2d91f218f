import { LIMITS, type Refusal, type RefusalCode } from '../kernel/index.ts';
import { Counter, type Metrics } from '../platform/index.ts';
import type { GateCounts } from '../contracts/trust.ts';

/** What a datastream has registered to send; everything else is refused. */
export interface GateRegistration {
  readonly purpose: string;
  readonly allows: 'number' | 'integer' | 'boolean' | 'term' | 'any' | 'list';
  readonly min: number;
  readonly max: number;
  /** What each element of a list may be; only for lists (18-088 §8.2.10). */
  readonly elements?: readonly GateRegistration[];
}

export interface Gate {
  /** Null when the result may come in. Pure: neither stores nor logs what it sees. */
  admit(registration: GateRegistration, result: unknown): Refusal | null;
  /** Notes a refusal as (code, purpose); the refused content is gone. */
  count(code: RefusalCode, purpose: string): void;
  countAdmitted(readings: number): void;
  counts(): GateCounts;
  refusedOf(purpose: string): number;
}

// last part of http://www.opengis.net/def/observationType/OGC-OM/2.0/…
const ALLOWED_BY_TYPE: Readonly<Record<string, GateRegistration['allows']>> = {
  OM_Measurement: 'number',
  OM_CountObservation: 'integer',
  OM_TruthObservation: 'boolean',
  OM_CategoryObservation: 'term',
  OM_Observation: 'any',
};

/**
 * Reads what a Datastream registers: its observationType says the type, properties.min and properties.max the bounds.
 * An unknown observationType registers numbers only. With `elementTypes` the result is a list, one element each, and the
 * bounds are lists as well.
 */
export function registrationOf(datastream: { observationType: string; properties: Readonly<Record<string, unknown>>; purpose: string; elementTypes?: readonly string[] | null }): GateRegistration {
  const { elementTypes, properties, purpose } = datastream;
  if (elementTypes !== undefined && elementTypes !== null) {
    const nth = (value: unknown, at: number): unknown => (Array.isArray(value) ? (value[at] as unknown) : undefined);
    const elements = elementTypes.map((observationType, at) => registrationOf({ observationType, properties: { min: nth(properties['min'], at), max: nth(properties['max'], at) }, purpose }));
    return { purpose, allows: 'list', min: -Infinity, max: Infinity, elements };
  }
  const name = datastream.observationType.slice(datastream.observationType.lastIndexOf('/') + 1);
  const bound = (key: string, otherwise: number): number => {
    const value = datastream.properties[key];
    return typeof value === 'number' ? value : otherwise;
  };
  return { purpose: datastream.purpose, allows: ALLOWED_BY_TYPE[name] ?? 'number', min: bound('min', -Infinity), max: bound('max', Infinity) };
}

const refusal = (code: RefusalCode, detail: string): Refusal => ({ code, detail, field: 'result' });
const NOT_A_NUMBER = refusal('gate.not-a-number', 'A finite JSON number is registered here.');
const NOT_AN_INTEGER = refusal('gate.not-a-number', 'A whole number is registered here (OM_CountObservation).');
const NOT_A_TRUTH = refusal('gate.not-registered-type', 'true or false is registered here (OM_TruthObservation).');
const NOT_A_TERM = refusal('gate.not-registered-type', `A term of at most ${LIMITS.name_chars} characters is registered here (OM_CategoryObservation).`);
const MEDIA = refusal('gate.person-data', 'The result carries an image, sound or video.');
const VECTOR = refusal('gate.person-data', 'The result carries a long vector of numbers, the form of a face or voice template.');

export function createGate(metrics: Metrics, sinceMs: number): Gate {
  const admittedMetric = new Counter({ name: 'clerestory_gate_admitted_total', help: 'Readings that the gate let in', registers: [metrics] });
  const refusedMetric = new Counter({ name: 'clerestory_gate_refused_total', help: 'Readings that the gate refused', labelNames: ['code', 'purpose'], registers: [metrics] });
  const refused = new Map<string, { code: string; purpose: string; count: number }>(); // bounded by codes × registered purposes
  let admitted = 0;

  const admitList = (elements: readonly GateRegistration[], result: unknown): Refusal | null => {
    if (!Array.isArray(result) || result.length !== elements.length) return refusal('gate.not-registered-type', `A list of ${String(elements.length)} elements is registered here.`);
    for (const [at, element] of elements.entries()) {
      const refused = admit(element, result[at]);
      if (refused !== null) return { ...refused, field: `result.${String(at)}` };
    }
    return null;
  };
  const admit: Gate['admit'] = (registration, result) => {
    switch (registration.allows) {
      case 'number':
      case 'integer':
        if (typeof result !== 'number' || !Number.isFinite(result)) return NOT_A_NUMBER;
        if (registration.allows === 'integer' && !Number.isInteger(result)) return NOT_AN_INTEGER;
        if (result < registration.min || result > registration.max) return refusal('gate.out-of-bounds', `The registered bounds are ${registration.min} to ${registration.max}.`);
        return null;
      case 'boolean':
        return typeof result === 'boolean' ? null : NOT_A_TRUTH;
      case 'term':
        return typeof result === 'string' && result.length <= LIMITS.name_chars ? inspectText(result) : NOT_A_TERM;
      case 'any':
        return inspect(result, 0);
      case 'list':
        return admitList(registration.elements ?? [], result);
    }
  };

  return {
    admit,
    count: (code, purpose) => {
      refusedMetric.inc({ code, purpose });
      const key = `${code} ${purpose}`;
      const entry = refused.get(key);
      if (entry) entry.count += 1;
      else refused.set(key, { code, purpose, count: 1 });
    },
    countAdmitted: (readings) => {
      admitted += readings;
      admittedMetric.inc(readings);
    },
    counts: () => ({ since: new Date(sinceMs).toISOString(), admitted, refused: [...refused.values()].sort((a, b) => b.count - a.count) }),
    refusedOf: (purpose) => [...refused.values()].reduce((sum, entry) => (entry.purpose === purpose ? sum + entry.count : sum), 0),
  };
}

// Heads of JPEG, PNG, GIF, RIFF (WebP, WAV), PDF, MP4 and of ISO/IEC 19794 templates, as base64 and as hex.
const MEDIA_HEADS = /^(?:data:(?:image|audio|video|application)\/|\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|JVBERi|AAAA[A-Za-z0-9+/]{2}Z0eX|Rk1SA|RklSA|RkFDA|ffd8ff|89504e47|47494638|52494646|464d5200|46495200|46414300)/i;
const VECTOR_LIMIT = 32;

function inspectText(text: string): Refusal | null {
  return MEDIA_HEADS.test(text) ? MEDIA : null;
}

function inspect(value: unknown, depth: number): Refusal | null {
  if (depth > 8) return refusal('gate.not-registered-type', 'The result is nested deeper than 8 levels.');
  if (typeof value === 'string') return inspectText(value);
  if (typeof value !== 'object' || value === null) return null;
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (Array.isArray(value) && value.length > VECTOR_LIMIT && value.every((member) => typeof member === 'number')) return VECTOR;
  for (const member of members) {
    const found = inspect(member, depth + 1);
    if (found) return found;
  }
  return null;
}
