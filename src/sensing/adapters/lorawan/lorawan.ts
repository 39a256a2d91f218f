import { Refused, isoOf, ok, refuse, type Result } from '../../../kernel/index.ts';
import type { Adapter, SourceBatch, SourcePlace, SourceReading, SourceRefusal, SourceSeries } from '../adapter.ts';
import { readJson, type JsonObject } from '../json.ts';
import { decodePayload, type CodecSource } from './codec.ts';
import { lorawanOptions, type Device, type Field, type LorawanOptions } from './options.ts';
import { readChirpStack, readTheThingsStack, type Uplink } from './uplink.ts';

export type { CodecSource } from './codec.ts';

/**
 * LoRaWAN devices through The Things Stack 3 or ChirpStack 4, by webhook or MQTT. Only listed devices are taken; what they
 * measure is listed field by field. The DevEUI stays in feeds.yaml.
 */
export function createLorawan(codecs: ReadonlyMap<string, CodecSource>): Adapter<LorawanOptions> {
  return {
    kind: 'lorawan',
    title: 'LoRaWAN (The Things Stack, ChirpStack)',
    example: EXAMPLE,
    options: lorawanOptions(codecs),
    push: {
      contentTypes: ['application/json'],
      topics: ({ server, application = '+' }) => [server === 'chirpstack' ? `application/${application}/device/+/event/up` : `v3/${application}/devices/+/up`],
      read: async (options, { body }) => {
        const sent = readJson(body);
        return readUplink(options, codecs, options.server === 'chirpstack' ? readChirpStack(sent) : readTheThingsStack(sent));
      },
    },
  };
}

const EXAMPLE = `- name: street-climate
  adapter: lorawan
  purpose: city-operations
  interval_s: 900
  options:
    server: chirpstack # or the-things-stack
    profiles:
      climate:
        codec: climate # the file city/codecs/climate.js; leave it out when the network server decodes
        fields:
          - { field: temperature, property: temperature, name: Air temperature, unit: °C, min: -40, max: 60 }
          - { field: humidity, property: humidity, name: Relative humidity, unit: "%", min: 0, max: 100 }
    devices:
      - { dev_eui: "0011223344556677", profile: climate, key: market-square, name: Market square, lon: 7.6261, lat: 51.9607 }
`;

const NOTHING: SourceBatch = { places: [], series: [], readings: [], refusals: [] };

async function readUplink({ devices, profiles }: LorawanOptions, codecs: ReadonlyMap<string, CodecSource>, uplink: Uplink): Promise<SourceBatch> {
  const device = devices.find(({ dev_eui }) => dev_eui === uplink.devEui);
  // answered as taken: a network server switches a webhook off that refuses
  if (device === undefined) return { ...NOTHING, refusals: [{ at: 'device', refusal: { code: 'feed.sender-unknown', detail: 'The DevEUI is not listed under options.devices.' } }] };
  const profile = profiles[device.profile];
  if (profile === undefined) throw new Error(`the profile ${device.profile} passed the options and is not there`);
  const decoded = uplink.decoded === null ? await decode(uplink, device, profile.codec, codecs) : ok(uplink.decoded);
  if (!decoded.ok) return { ...NOTHING, refusals: [{ at: device.key, refusal: decoded.refusal }] };
  const fields = decoded.value;
  if (fields === null) return NOTHING;

  const place: SourcePlace = { key: device.key, name: device.name, kind: device.kind, geometry: { type: 'Point', coordinates: [device.lon, device.lat] } };
  const series: SourceSeries[] = [];
  const readings: SourceReading[] = [];
  const refusals: SourceRefusal[] = [];
  const used = new Set<string>();
  for (const field of profile.fields) {
    const found = valueAt(fields, field.field);
    used.add(field.field.split('.')[0] ?? '');
    if (found === undefined || found === null) continue; // a device sends some fields seldom
    const result = readResult(found, field);
    if (result === null) {
      refusals.push({ at: `${device.key}: ${field.field}`, refusal: { code: 'feed.value-invalid', detail: `It is not a ${field.type} that is listed.` } });
      continue;
    }
    const one = seriesOf(device, field, profile.interval_s);
    series.push(one);
    readings.push({ seriesKey: one.key, phenomenonTime: isoOf(uplink.atMs), result });
  }
  return { places: [place], series, readings, refusals, ignored: Object.keys(fields).filter((name) => !used.has(name)).length };
}

/** Fields of the payload, null when there is nothing to decode, a refusal when nobody can. */
async function decode({ payload, fPort, atMs }: Uplink, device: Device, codec: string | undefined, codecs: ReadonlyMap<string, CodecSource>): Promise<Result<JsonObject | null>> {
  if (payload === null || fPort === 0) return ok(null);
  const source = codec === undefined ? undefined : codecs.get(codec);
  if (codec === undefined || source === undefined) return refuse('feed.codec-failed', 'The network server decodes nothing, and the profile names no codec.', `profiles.${device.profile}.codec`);
  try {
    return ok(await decodePayload(codec, source, { bytes: payload, fPort, receivedMs: atMs, variables: device.variables }));
  } catch (error) {
    // a codec's fault is this message's; a full queue is for the sender, who comes again
    if (error instanceof Refused && error.refusals[0].code === 'feed.codec-failed') return { ok: false, refusal: error.refusals[0] };
    throw error;
  }
}

function seriesOf(device: Device, { property, name, definition, type, unit, min, max }: Field, interval_s: number | undefined): SourceSeries {
  const observationType = ({ number: 'OM_Measurement', count: 'OM_CountObservation', truth: 'OM_TruthObservation', term: 'OM_CategoryObservation' } as const)[type];
  return {
    key: `${device.key}/${property}`,
    placeKey: device.key,
    name: `${device.name}: ${name}`,
    property: { key: property, name, definition: definition ?? `urn:clerestory:property:${property}` },
    unit,
    observationType,
    ...(interval_s === undefined ? {} : { interval_s }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

function valueAt(fields: JsonObject, path: string): unknown {
  let value: unknown = fields;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}

function readResult(value: unknown, { type, terms }: Field): number | boolean | string | null {
  switch (type) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? value : null;
    case 'count':
      return typeof value === 'number' && Number.isInteger(value) ? value : null;
    case 'truth':
      return typeof value === 'boolean' ? value : value === 0 || value === 1 ? value === 1 : null;
    case 'term':
      return typeof value === 'string' && terms?.includes(value) === true ? value : null;
  }
}
