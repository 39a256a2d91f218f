import { Refused, parseInstantMs } from '../../../kernel/index.ts';
import { isObject, type JsonObject } from '../json.ts';

/** What both network servers say of one uplink. */
export interface Uplink {
  /** 16 hexadecimal digits, large. */
  readonly devEui: string;
  readonly fPort: number;
  /** Null when the device sent commands of the network only. */
  readonly payload: Buffer | null;
  /** What the network server decoded itself. */
  readonly decoded: JsonObject | null;
  readonly atMs: number;
}

// LoRaWAN L2 1.0.4, table of N: at most 242 bytes of application payload in any region
const PAYLOAD_BYTES = 242;

const invalid = (field: string, detail: string): Refused => new Refused({ code: 'feed.document-invalid', detail, field });

/** Uplink of The Things Stack 3: the webhook for uplink messages, and MQTT under v3/APP/devices/ID/up. Throws `Refused` naming the field. */
export function readTheThingsStack(sent: unknown): Uplink {
  if (!isObject(sent)) throw invalid('document', 'A message is a JSON object.');
  const message = sent['uplink_message'];
  if (!isObject(message)) throw invalid('uplink_message', 'The message is no uplink; enable uplink messages only in the webhook.');
  if (sent['simulated'] === true) throw invalid('simulated', 'The uplink was simulated in the console of the network server.');
  const ids = sent['end_device_ids'];
  return {
    devEui: readEui(isObject(ids) ? ids['dev_eui'] : undefined, 'end_device_ids.dev_eui'),
    fPort: readPort(message['f_port'], 'uplink_message.f_port'),
    payload: readPayload(message['frm_payload'], 'uplink_message.frm_payload'),
    decoded: readDecoded(message['decoded_payload']),
    atMs: readTime(message['received_at'] ?? sent['received_at'], 'uplink_message.received_at'),
  };
}

/** Uplink of ChirpStack 4 in its JSON form: the HTTP integration with event=up, and MQTT under application/ID/device/EUI/event/up. */
export function readChirpStack(sent: unknown): Uplink {
  if (!isObject(sent)) throw invalid('document', 'A message is a JSON object; set the encoding of the integration to JSON.');
  const info = sent['deviceInfo'];
  return {
    devEui: readEui(isObject(info) ? info['devEui'] : undefined, 'deviceInfo.devEui'),
    fPort: readPort(sent['fPort'], 'fPort'),
    payload: readPayload(sent['data'], 'data'),
    decoded: readDecoded(sent['object']),
    atMs: readTime(sent['time'], 'time'),
  };
}

function readEui(value: unknown, field: string): string {
  if (typeof value !== 'string' || !/^[0-9A-Fa-f]{16}$/.test(value)) throw invalid(field, 'It must have 16 hexadecimal digits.');
  return value.toUpperCase();
}

/** Both servers leave 0 out, as JSON of protocol buffers does. */
function readPort(value: unknown, field: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) throw invalid(field, 'It must be a number from 0 to 255.');
  return value;
}

function readPayload(value: unknown, field: string): Buffer | null {
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]{0,400}={0,2}$/.test(value)) throw invalid(field, `It must be base64 of at most ${PAYLOAD_BYTES} bytes.`);
  const payload = Buffer.from(value, 'base64');
  if (payload.length > PAYLOAD_BYTES) throw invalid(field, `It must be base64 of at most ${PAYLOAD_BYTES} bytes.`);
  return payload;
}

const readDecoded = (value: unknown): JsonObject | null => (isObject(value) && Object.keys(value).length > 0 ? value : null);

function readTime(value: unknown, field: string): number {
  const atMs = typeof value === 'string' ? parseInstantMs(value) : null;
  if (atMs === null) throw invalid(field, 'It must be an ISO 8601 instant with a zone.');
  return atMs;
}
