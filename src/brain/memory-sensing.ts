import { type Reading, type StreamInfo } from '../contracts/reading.ts';
import { type SensingDoor } from './index.ts';

/** Streams and readings in memory, behind the same door as sensing; for tests of the rules alone. */
export class MemorySensing implements SensingDoor {
  readonly #streams = new Map<number, StreamInfo>();
  readonly #readings: Reading[] = [];
  readonly #readers = new Set<(batch: readonly Reading[]) => void>();
  readonly #watchers = new Set<(ids: readonly number[]) => void>();

  register(...streams: readonly StreamInfo[]): void {
    for (const stream of streams) this.#streams.set(stream.id, stream);
    for (const handle of this.#watchers) handle(streams.map((stream) => stream.id));
  }
  remove(id: number): void {
    this.#streams.delete(id);
    for (const handle of this.#watchers) handle([id]);
  }
  /** Keeps the readings, then hands them on, as sensing does after its commit. */
  admit(...batch: readonly Reading[]): void {
    this.keep(...batch);
    for (const handle of this.#readers) handle(batch);
  }
  /** Readings that nobody is told of: what was committed when the server fell. */
  keep(...batch: readonly Reading[]): void {
    this.#readings.push(...batch);
  }

  streams(): ReadonlyMap<number, StreamInfo> {
    return this.#streams;
  }
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void {
    this.#watchers.add(handle);
    return () => this.#watchers.delete(handle);
  }
  onReadings(handle: (batch: readonly Reading[]) => void): () => void {
    this.#readers.add(handle);
    return () => this.#readers.delete(handle);
  }
  async *readHistory(datastreamIds: readonly number[], fromMs: number, toMs: number): AsyncIterable<readonly Reading[]> {
    const wanted = new Set(datastreamIds);
    const found = this.#readings.filter((reading) => wanted.has(reading.datastreamId) && reading.arrivalMs >= fromMs && reading.arrivalMs < toMs).sort((a, b) => a.arrivalMs - b.arrivalMs);
    for (let at = 0; at < found.length; at += 100) yield found.slice(at, at + 100);
  }
  readSeries(datastreamId: number, fromMs: number, toMs: number): Promise<Reading[]> {
    return Promise.resolve(this.#readings.filter((reading) => reading.datastreamId === datastreamId && reading.phenomenonMs >= fromMs && reading.phenomenonMs < toMs));
  }
}
