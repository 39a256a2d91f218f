import type { Frame } from './stream.ts';

/** What a window says to the shared worker. */
export type ToWorker = { readonly say: 'join'; readonly after: number } | { readonly say: 'leave' } | { readonly say: 'alive' };
/** What the worker says to a window. */
export type FromWorker = { readonly say: 'frame'; readonly frame: Frame } | { readonly say: 'status'; readonly status: 'connecting' | 'open' | 'broken' };

const KEPT_DURABLE = 500;
const KEPT_PASSING = 60;

/**
 * What the worker remembers, so that a window that joins late gets exactly what it missed since its picture was read.
 * At most 500 durable frames and 60 passing ones; older ones fall out, and a window that needs them is told to read anew.
 */
export class FrameMemory {
  /** Position before the oldest durable frame that is kept. */
  #from: number;
  #durable: Frame[] = [];
  #passing: Frame[] = [];

  constructor(from: number) {
    this.#from = from;
  }

  keep(frame: Frame): void {
    if (frame.kind === 'resync') {
      this.#durable = [];
      this.#passing = [];
      this.#from = Number.POSITIVE_INFINITY; // unknown until the next durable frame
      return;
    }
    if (frame.seq === null) {
      this.#passing.push(frame);
      if (this.#passing.length > KEPT_PASSING) this.#passing.shift();
      return;
    }
    if (this.#from === Number.POSITIVE_INFINITY) this.#from = frame.seq - 1;
    this.#durable.push(frame);
    if (this.#durable.length > KEPT_DURABLE) this.#from = this.#durable.shift()?.seq ?? this.#from;
  }

  /** What a window misses whose picture stands at `after`. */
  since(after: number): readonly Frame[] {
    const gap = after < this.#from;
    const missed = this.#durable.filter(({ seq }) => seq !== null && seq > after);
    if (gap) return [{ kind: 'resync', data: '{"reason":"the window joined with an older picture"}', seq: null }, ...missed];
    return [...missed, ...this.#passing];
  }
}
