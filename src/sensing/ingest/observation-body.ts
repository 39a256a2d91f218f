import { refuse, ok, type Refusal, type Result } from '../../kernel/index.ts';
import type { SentObservation } from './admission.ts';

const FIELDS: ReadonlySet<string> = new Set(['result', 'phenomenonTime', 'resultTime', 'resultQuality', 'validTime', 'parameters', 'Datastream', 'MultiDatastream', 'FeatureOfInterest']);

/** New entities that stand inside an observation (18-088 §10.2.1), as they were sent. */
export interface InlineEntities {
  readonly stream: { readonly isMulti: boolean; readonly body: object } | null;
  readonly feature: object | null;
}

/** Where an observation goes, read from its body; ids are undefined when the body does not name them. */
export interface ObservationBody {
  readonly sent: SentObservation;
  readonly datastreamId: number | undefined;
  /** The id is that of a MultiDatastream. */
  readonly isMulti: boolean;
  readonly inline: InlineEntities | null;
}

/** Reads the body of one observation in the entity form of 18-088 §8.2.6. Checks the shape, not the values. */
export function readObservationBody(body: unknown): Result<ObservationBody> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return refuse('http.invalid', 'An observation is a JSON object.', 'body');
  for (const name in body) {
    // what a body that was read before carries (18-088 §8.1) has no effect
    if (name.includes('@iot.') && CONTROL.test(name)) continue;
    // the name of an unknown field is content too: it is named to the sender, never logged or counted
    if (!FIELDS.has(name)) return refuse('gate.field-unregistered', 'The observation carries a field that it may not carry.', name.slice(0, 255));
  }
  const fields = body as Record<string, unknown>;
  const isMulti = fields['MultiDatastream'] !== undefined;
  if (isMulti && fields['Datastream'] !== undefined) return refuse('http.invalid', 'An observation belongs to a Datastream or to a MultiDatastream, not to both.', 'MultiDatastream');
  const stream = readRelated(fields, isMulti ? 'MultiDatastream' : 'Datastream');
  if ('code' in stream) return { ok: false, refusal: stream };
  const feature = readRelated(fields, 'FeatureOfInterest');
  if ('code' in feature) return { ok: false, refusal: feature };
  return ok({
    datastreamId: stream.id,
    isMulti,
    inline: stream.body === null && feature.body === null ? null : { stream: stream.body === null ? null : { isMulti, body: stream.body }, feature: feature.body },
    sent: { result: fields['result'], phenomenonTime: fields['phenomenonTime'], resultTime: fields['resultTime'], resultQuality: fields['resultQuality'], validTime: fields['validTime'], parameters: fields['parameters'], feature: feature.id },
  });
}

const CONTROL = /^(?:\w+)?@iot\.\w+$/;

interface Related {
  readonly id: number | undefined;
  readonly body: object | null;
}
const NOTHING: Related = { id: undefined, body: null };

function readRelated(fields: Readonly<Record<string, unknown>>, name: 'Datastream' | 'MultiDatastream' | 'FeatureOfInterest'): Related | Refusal {
  const value = fields[name];
  if (value === undefined) return NOTHING;
  const id = readLink(value);
  if (id !== null) return { id, body: null };
  const isNew = typeof value === 'object' && value !== null && !Array.isArray(value) && !('@iot.id' in value);
  return isNew ? { id: undefined, body: value } : { code: 'http.invalid', detail: `It must be a link to an existing ${name}, {"@iot.id": 1}, or the properties of a new one.`, field: name };
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
