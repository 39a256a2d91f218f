import { refuse, ok, type Result } from '../../kernel/index.ts';
import type { SentObservation } from './admission.ts';

const FIELDS: ReadonlySet<string> = new Set(['result', 'phenomenonTime', 'resultTime', 'resultQuality', 'validTime', 'parameters', 'Datastream', 'FeatureOfInterest']);

/** Where an observation goes, read from its body; ids are undefined when the body does not name them. */
export interface ObservationBody {
  readonly sent: SentObservation;
  readonly datastreamId: number | undefined;
}

/** Reads the body of one observation in the entity form of 18-088 §8.2.6. Checks the shape, not the values. */
export function readObservationBody(body: unknown): Result<ObservationBody> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('http.invalid', 'An observation is a JSON object.', 'body');
  for (const name in body) {
    // the name of an unknown field is content too: it is named to the sender, never logged or counted
    if (!FIELDS.has(name)) return refuse('gate.field-unregistered', 'The observation carries a field that it may not carry.', name.slice(0, 255));
  }
  const fields = body as Record<string, unknown>;
  let datastreamId: number | undefined;
  if (fields['Datastream'] !== undefined) {
    const id = readLink(fields['Datastream']);
    if (id === null) return refuse('http.invalid', 'It must be a link to an existing Datastream: {"@iot.id": 1}.', 'Datastream');
    datastreamId = id;
  }
  let feature: number | undefined;
  if (fields['FeatureOfInterest'] !== undefined) {
    const id = readLink(fields['FeatureOfInterest']);
    if (id === null) return refuse('http.invalid', 'It must be a link to an existing FeatureOfInterest: {"@iot.id": 1}.', 'FeatureOfInterest');
    feature = id;
  }
  return ok({
    datastreamId,
    sent: { result: fields['result'], phenomenonTime: fields['phenomenonTime'], resultTime: fields['resultTime'], resultQuality: fields['resultQuality'], validTime: fields['validTime'], parameters: fields['parameters'], feature },
  });
}

/** The id of `{"@iot.id": 1}` (a string of digits is taken too), or null. */
export function readLink(link: unknown): number | null {
  if (typeof link !== 'object' || link === null) return null;
  const names = Object.keys(link);
  if (names.length !== 1 || names[0] !== '@iot.id') return null;
  return readId((link as Record<string, unknown>)['@iot.id']);
}

/** A positive integer id, as number or as digits. */
export function readId(id: unknown): number | null {
  const value = typeof id === 'string' && /^\d{1,16}$/.test(id) ? Number(id) : id;
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null;
}
