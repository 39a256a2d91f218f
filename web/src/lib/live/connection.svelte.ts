import { clock } from './clock.svelte.ts';
import type { FromWorker, ToWorker } from './fan-out.ts';
import LiveWorker from './live-worker.ts?sharedworker';
import { LiveStream, type Frame, type StreamStatus } from './stream.ts';

/** Two missed beats of 15 s, and a little for the way. */
export const STALE_AFTER_MS = 32_000;
const ALIVE_EVERY_MS = 30_000;

/** The window's end of /live: over the shared worker where the browser has one, else on a stream of its own. */
export class LiveConnection {
  status: StreamStatus = $state('connecting');
  /** Time of this machine's monotone clock when the last frame came. */
  #heard = $state(0);
  #elapsed = $state(0);
  readonly #onFrame: (frame: Frame) => void;
  #close: (() => void) | undefined;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** Milliseconds without any frame; the server beats every 15 s. */
  get silent_ms(): number {
    return Math.max(0, this.#elapsed - this.#heard);
  }

  get stale(): boolean {
    return this.silent_ms > STALE_AFTER_MS;
  }

  /** Opens after the picture's bus position; returns how to close. */
  open(after: number): () => void {
    this.#heard = performance.now();
    this.#elapsed = this.#heard;
    const tick = setInterval(() => (this.#elapsed = performance.now()), 1_000);
    const take = (frame: Frame): void => {
      this.#heard = performance.now();
      this.#elapsed = this.#heard;
      if (frame.kind === 'heartbeat') clock.correct((JSON.parse(frame.data) as { now: string }).now);
      this.#onFrame(frame);
    };
    this.#close = typeof SharedWorker === 'undefined' ? this.#openOwn(after, take) : this.#openShared(after, take);
    return () => {
      clearInterval(tick);
      this.#close?.();
    };
  }

  #openOwn(after: number, take: (frame: Frame) => void): () => void {
    const stream = new LiveStream({ after, onFrame: take, onStatus: (status) => (this.status = status) });
    stream.open();
    return () => stream.close();
  }

  #openShared(after: number, take: (frame: Frame) => void): () => void {
    const worker = new LiveWorker({ name: 'clerestory-live' });
    const say = (message: ToWorker): void => worker.port.postMessage(message);
    worker.port.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.say === 'frame') take(data.frame);
      else this.status = data.status;
    };
    worker.port.start();
    say({ say: 'join', after });
    const alive = setInterval(() => say({ say: 'alive' }), ALIVE_EVERY_MS);
    const leave = (): void => say({ say: 'leave' });
    addEventListener('pagehide', leave);
    return () => {
      clearInterval(alive);
      removeEventListener('pagehide', leave);
      leave();
    };
  }
}
