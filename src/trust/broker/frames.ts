import type { Duplex, Readable, Writable } from 'node:stream';

/** A frame is a length of 32 bits, big-endian, and that many bytes of JSON. 200 records of 16 KiB fit. */
const FRAME_BYTES_MAX = 16 * 1_048_576;
/** What all peers together may have sent of frames that are not whole yet, and how long a frame may take. */
const UNFINISHED_BYTES_MAX = 3 * FRAME_BYTES_MAX;
const FRAME_MS = 20_000;
const HEAD_BYTES = 4;
let unfinished = 0;

export function writeFrame(to: Writable | Duplex, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  if (body.length > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${body.length} bytes is longer than ${FRAME_BYTES_MAX}`);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(body.length);
  to.write(Buffer.concat([head, body]));
}

/** Calls `take` for each frame. One that is too long, too slow or not JSON goes to `fail`, after which nothing more is read. */
export function readFrames(from: Readable | Duplex, take: (value: unknown) => void, fail: (error: Error) => void, frameMs = FRAME_MS): void {
  let parts: Buffer[] = [];
  let gathered = 0;
  let wanted = HEAD_BYTES;
  let inBody = false;
  let late: NodeJS.Timeout | undefined;
  const keep = (bytes: readonly Buffer[], length: number): void => {
    unfinished += length - gathered;
    [parts, gathered] = [[...bytes], length];
  };
  const end = (error?: Error): void => {
    clearTimeout(late);
    keep([], 0);
    from.off('data', gather);
    if (error) fail(error);
  };
  const gather = (chunk: Buffer): void => {
    parts.push(chunk);
    [gathered, unfinished] = [gathered + chunk.length, unfinished + chunk.length];
    if (unfinished > UNFINISHED_BYTES_MAX) return end(new RangeError('too many bytes of unfinished frames'));
    if (gathered >= wanted) {
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
        return end(error as Error);
      }
      keep([Buffer.from(rest)], rest.length);
      clearTimeout(late);
      late = undefined;
    }
    if (gathered > 0 || inBody) late ??= setTimeout(() => end(new RangeError(`a frame took longer than ${frameMs} ms`)), frameMs);
  };
  from.on('data', gather).once('close', () => end());
}
