/** One frame of /live as it came: the kind, the data as text, and the bus position of durable kinds. */
export interface Frame {
  readonly kind: 'incident' | 'readings' | 'feeds' | 'heartbeat' | 'resync';
  readonly data: string;
  readonly seq: number | null;
}

export const FRAME_KINDS = ['incident', 'readings', 'feeds', 'heartbeat', 'resync'] as const satisfies readonly Frame['kind'][];

export type StreamStatus = 'connecting' | 'open' | 'broken';

export interface StreamOptions {
  /** Bus position to go on after. */
  readonly after: number;
  readonly onFrame: (frame: Frame) => void;
  readonly onStatus: (status: StreamStatus) => void;
}

const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000] as const;

/**
 * Holds one EventSource on /live. The browser resumes short breaks by itself with Last-Event-ID; when the server answers
 * with an error the browser gives up, and this opens a new one after the last position, waiting longer each time.
 */
export class LiveStream {
  #source: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #seq: number;
  readonly #options: StreamOptions;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#seq = options.after;
  }

  get seq(): number {
    return this.#seq;
  }

  open(): void {
    this.close();
    this.#options.onStatus('connecting');
    const source = new EventSource(`/live?after=${this.#seq}`);
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#options.onStatus('open');
    };
    source.onerror = () => {
      this.#options.onStatus('broken');
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      const wait_ms = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 15_000;
      this.#failures += 1;
      this.#timer = setTimeout(() => this.open(), wait_ms);
    };
    for (const kind of FRAME_KINDS) {
      source.addEventListener(kind, (event) => {
        const id = Number.parseInt(event.lastEventId, 10);
        // lastEventId stays set on frames without one; only durable kinds move the position
        const seq = kind === 'incident' && Number.isSafeInteger(id) ? id : null;
        if (seq !== null) this.#seq = Math.max(this.#seq, seq);
        this.#options.onFrame({ kind, data: String(event.data), seq });
      });
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }
}
