/** A durable event as it goes over the wire, serialised once for all clients. */
export interface Frame {
  /** Bus position. */
  readonly seq: number;
  readonly kind: string;
  readonly bytes: Buffer;
}

/** The last durable frames by position. Clients are cursors over it. */
export interface Backlog {
  /** A client at or after this position can be continued without a gap. */
  floor(): number;
  /** Newest position that is known. */
  head(): number;
  /** Begins empty at a position. */
  begin(at: number): void;
  /** Nothing that a client wants lies between the last frame and `to`. */
  advance(to: number): void;
  push(frame: Frame): void;
  after(position: number): Iterable<Frame>;
  /** Frames after `position`. */
  lagOf(position: number): number;
}

// Forgetting in runs, not one by one, keeps the cost of a push constant.
const SLACK = 1.25;

/** Keeps at least the last `limit` frames, and at most a quarter more. */
export function createBacklog(limit: number): Backlog {
  const frames: Frame[] = [];
  let floor = 0;
  let head = 0;
  const indexAfter = (position: number): number => {
    let low = 0;
    let high = frames.length;
    if (position >= (frames.at(-1)?.seq ?? 0)) return high; // the usual case: a client that keeps up
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((frames[middle]?.seq ?? 0) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {
    floor: () => floor,
    head: () => head,
    begin: (at) => {
      frames.length = 0;
      floor = at;
      head = at;
    },
    advance: (to) => {
      head = Math.max(head, to);
    },
    push: (frame) => {
      frames.push(frame);
      head = frame.seq;
      if (frames.length > limit * SLACK) floor = frames.splice(0, frames.length - limit).at(-1)?.seq ?? floor;
    },
    *after(position) {
      for (let at = indexAfter(position); ; at += 1) {
        const frame = frames[at];
        if (frame === undefined) return;
        yield frame;
      }
    },
    lagOf: (position) => frames.length - indexAfter(position),
  };
}
