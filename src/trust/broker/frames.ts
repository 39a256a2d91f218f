import type { Duplex, Readable, Writable } from 'node:stream';

/** A frame is a length of 32 bits, big-endian, and that many bytes of JSON. 200 records of 16 KiB fit. */
const FRAME_BYTES_MAX = 16 * 1_048_576;
const HEAD_BYTES = 4;

export function writeFrame(to: Writable | Duplex, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  if (body.length > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${body.length} bytes is longer than ${FRAME_BYTES_MAX}`);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.length);
  to.write(Buffer.concat([head, body]));
}

/** Calls `take` for each frame. A frame that is too long or not JSON goes to `fail`, after which nothing more is read. */
export function readFrames(from: Readable | Duplex, take: (value: unknown) => void, fail: (error: Error) => void): void {
  let parts: Buffer[] = [];
  let gathered = 0;
  let wanted = HEAD_BYTES;
  let inBody = false;
  let failed = false;
  from.on('data', (chunk: Buffer) => {
    if (failed) return;
    parts.push(chunk);
    gathered += chunk.length;
    if (gathered < wanted) return;
    let rest = Buffer.concat(parts);
    try {
      while (rest.length >= wanted) {
        const piece = rest.subarray(0, wanted);
        rest = rest.subarray(wanted);
        if (inBody) take(JSON.parse(piece.toString('utf8')));
        wanted = inBody ? HEAD_BYTES : piece.readUInt32BE(0);
        inBody = !inBody;
        if (wanted > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${wanted} bytes is longer than ${FRAME_BYTES_MAX}`);
      }
    } catch (error) {
      failed = true;
      fail(error as Error);
      return;
    }
    parts = [rest];
    gathered = rest.length;
  });
}
