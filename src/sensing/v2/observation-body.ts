import { Refused } from '../../kernel/index.ts';
import { isAnnotation, readReference } from './reference.ts';
import { timeTextOf } from './time.ts';

const NAMES: ReadonlyMap<string, string> = new Map([['properties', 'parameters'], ['ProximateFeatureOfInterest', 'FeatureOfInterest']]);
const OF_1_1_ONLY: ReadonlySet<string> = new Set(['parameters', 'FeatureOfInterest', 'MultiDatastream']);

/**
 * The body of 18-088 of an observation that is written as OGC 23-019 says: times as objects, `properties`, and links by `@id` or
 * `id`. What has no other form is passed on untouched, so that there is one check for both versions. Throws `Refused`.
 */
export function readObservation(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const read: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (isAnnotation(name)) continue;
    if (OF_1_1_ONLY.has(name)) throw new Refused({ code: 'gate.field-unregistered', detail: 'An Observation has no property of this name.', field: name });
    read[NAMES.get(name) ?? name] = valueOf(name, value);
  }
  return read;
}

function valueOf(name: string, value: unknown): unknown {
  switch (name) {
    case 'phenomenonTime':
    case 'validTime':
      return timeTextOf(value, name);
    case 'Datastream':
      return linkOf(name, value, 'Datastreams');
    case 'ProximateFeatureOfInterest':
      return value === null ? undefined : linkOf(name, value, 'Features');
    default:
      return value;
  }
}

function linkOf(name: string, value: unknown, set: 'Datastreams' | 'Features'): unknown {
  const id = typeof value === 'object' && value !== null ? readReference(value as Record<string, unknown>, set) : null;
  if (typeof id !== 'number') throw new Refused({ code: 'http.invalid', detail: `It must be a link to one that exists: {"@id": "${set}(1)"}.`, field: name });
  return { '@iot.id': id };
}
