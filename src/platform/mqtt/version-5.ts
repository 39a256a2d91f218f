import type { Duplex } from 'node:stream';

/** Reason codes of MQTT 5 §2.4 that this server gives. */
export const REASON = { success: 0x00, unspecified: 0x80, implementation: 0x83, notAuthorized: 0x87, badCredential: 0x86, serverUnavailable: 0x88, serverBusy: 0x89, topicInvalid: 0x90, filterInvalid: 0x8f, packetTooLarge: 0x95, payloadInvalid: 0x99 } as const;

/** Why a message with this packet identifier was refused; taken out when its PUBACK leaves. */
export type ReasonOf = (messageId: number) => { readonly code: number; readonly text: string } | undefined;

const TYPE = { connack: 2, publish: 3, puback: 4, suback: 9, unsuback: 11 } as const;

/**
 * Aedes speaks MQTT 3.1.1 and parses 5. This turns what it writes to a connection into MQTT 5: reason codes where 3.1.1 has
 * return codes, and properties where 5 wants them. `topicCount` tells how many topics an UNSUBSCRIBE had.
 */
export function writeVersion5(stream: Duplex, options: { readonly reasonOf: ReasonOf; readonly topicCount: (messageId: number) => number; readonly packet_bytes: number; readonly receiveMaximum: number; readonly assignedId: string | null }): void {
  const write = stream.write.bind(stream);
  let held: Buffer = Buffer.alloc(0);
  const translate = (chunk: Buffer): Buffer => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const out: Buffer[] = [];
    for (let frame = frameOf(held); frame !== null; frame = frameOf(held)) {
      out.push(translatePacket(held[0] as number, held.subarray(frame.start, frame.end), options));
      held = held.subarray(frame.end);
    }
    return Buffer.concat(out);
  };
  // mqtt-packet hands a packet over in pieces, texts with their encoding
  stream.write = ((chunk: string | Buffer, encoding?: BufferEncoding | ((error?: Error | null) => void), done?: (error?: Error | null) => void): boolean => {
    const callback = typeof encoding === 'function' ? encoding : done;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8') : chunk;
    const translated = translate(bytes);
    return translated.length > 0 ? write(translated, callback) : (callback?.(), stream.writableLength < stream.writableHighWaterMark);
  }) as Duplex['write'];
}

/** Ends a connection of MQTT 5 with the reason (§3.14); `send` is what writes bytes as they are. */
export const disconnectPacket = (reason: number): Buffer => Buffer.from([0xe0, 2, reason, 0]);

/** Where the body of the first packet lies; null when it is not whole yet. */
function frameOf(bytes: Buffer): { start: number; end: number } | null {
  let length = 0;
  for (let at = 1; at < 5 && at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    length += (byte & 127) * 128 ** (at - 1);
    if ((byte & 128) !== 0) continue;
    const end = at + 1 + length;
    return end <= bytes.length ? { start: at + 1, end } : null;
  }
  return null;
}

function translatePacket(head: number, body: Buffer, options: Parameters<typeof writeVersion5>[1]): Buffer {
  switch (head >> 4) {
    case TYPE.connack:
      return packet(head, [body.subarray(0, 1), Buffer.from([connectReason(body[1] as number)]), properties(body[1] === 0 ? connectProperties(options) : [])]);
    case TYPE.publish: {
      const topicEnd = 2 + body.readUInt16BE(0);
      const propertiesAt = topicEnd + ((head & 0b110) === 0 ? 0 : 2);
      return packet(head, [body.subarray(0, propertiesAt), Buffer.of(0), body.subarray(propertiesAt)]);
    }
    case TYPE.puback: {
      const reason = options.reasonOf(body.readUInt16BE(0));
      return reason === undefined ? packet(head, [body]) : packet(head, [body, Buffer.of(reason.code), properties([text(0x1f, reason.text)])]);
    }
    case TYPE.suback:
      return packet(head, [body.subarray(0, 2), Buffer.of(0), body.subarray(2).map((code) => (code === 128 ? REASON.notAuthorized : code))]);
    case TYPE.unsuback:
      return packet(head, [body, Buffer.of(0), Buffer.alloc(options.topicCount(body.readUInt16BE(0)))]);
    default:
      return packet(head, [body]); // PUBREC, PUBREL, PUBCOMP and PINGRESP are the same in both
  }
}

/** CONNACK return codes of 3.1.1 §3.2.2.3 as reason codes of 5 §3.2.2.2. */
const connectReason = (code: number): number => ({ 0: 0x00, 1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87 })[code] ?? REASON.unspecified;

/** Limits, and what this server does not do (§3.2.2.3): sessions that outlive the connection, wildcards, subscription ids, shared subscriptions. */
function connectProperties({ packet_bytes, receiveMaximum, assignedId }: Parameters<typeof writeVersion5>[1]): Buffer[] {
  const size = Buffer.alloc(5);
  size[0] = 0x27;
  size.writeUInt32BE(packet_bytes, 1);
  const parts = [Buffer.of(0x11, 0, 0, 0, 0), Buffer.of(0x21, 0, receiveMaximum), size, Buffer.of(0x28, 0), Buffer.of(0x29, 0), Buffer.of(0x2a, 0)];
  return assignedId === null ? parts : [...parts, text(0x12, assignedId)];
}

function text(id: number, value: string): Buffer {
  const bytes = Buffer.from(value.slice(0, 500));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([Buffer.of(id), length, bytes]);
}

function properties(parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([variableLength(body.length), body]);
}

function packet(head: number, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(head), variableLength(length), ...parts]);
}

/** Variable byte integer (§1.5.5). */
function variableLength(length: number): Buffer {
  const bytes: number[] = [];
  let left = length;
  do {
    bytes.push((left % 128) | (left >= 128 ? 128 : 0));
    left = Math.floor(left / 128);
  } while (left > 0);
  return Buffer.from(bytes);
}
