import type { Duplex } from 'node:stream';
import { LIMITS } from '../../kernel/index.ts';

const CONNECT_PACKET_BYTES = 8_192;

/**
 * Watches the packet lengths that a stream announces (MQTT 3.1.1 §2.2.3) and ends it at one that is too long, before
 * the parser would buffer it: a small limit until the first packet, which is CONNECT, is through.
 */
export function limitPackets(stream: Duplex, onTooLarge: () => void): Duplex {
  const guard = createPacketGuard();
  const read = stream.read.bind(stream);
  // Aedes reads with read(null); watching here costs nothing but the walk over the headers
  stream.read = (size) => {
    const chunk = read(size) as Buffer | null;
    if (chunk !== null && !guard(chunk)) {
      onTooLarge();
      stream.destroy();
      return null;
    }
    return chunk;
  };
  return stream;
}

/** Called with each chunk of a connection; false at the first packet that is longer than allowed or has a malformed length. */
export function createPacketGuard(): (chunk: Buffer) => boolean {
  let skip_bytes = 0;
  let inLength = false;
  let length = 0;
  let shift = 0;
  let limit_bytes = CONNECT_PACKET_BYTES;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (skip_bytes > 0) {
        const step = Math.min(skip_bytes, chunk.length - at);
        skip_bytes -= step;
        at += step;
      } else if (!inLength) {
        inLength = true; // the byte of type and flags
        length = 0;
        shift = 0;
        at += 1;
      } else {
        const byte = chunk[at] as number;
        at += 1;
        length += (byte & 127) * 2 ** shift;
        shift += 7;
        if ((byte & 128) !== 0) {
          if (shift > 21) return false;
          continue;
        }
        if (length > limit_bytes) return false;
        limit_bytes = LIMITS.mqtt_packet_bytes;
        skip_bytes = length;
        inLength = false;
      }
    }
    return true;
  };
}
