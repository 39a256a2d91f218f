import type { FeedHealth } from '../contracts/feed.ts';
import type { Reading, StreamInfo } from '../contracts/reading.ts';
import type { RuleState } from '../contracts/warning.ts';

/** What the room needs of sensing. */
export interface SensingDoor {
  streams(): ReadonlyMap<number, StreamInfo>;
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void;
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
  latest(datastreamId: number): Reading | undefined;
  latestAt(atMs: number): Promise<ReadonlyMap<number, Reading>>;
  /** [from, to) by phenomenon time, oldest first. */
  readSeries(datastreamId: number, fromMs: number, toMs: number, limit: number): Promise<Reading[]>;
  /** Health of the feeds of feeds.yaml; left out by what has none. */
  feedHealth?(): FeedHealth[];
  ingestStats(): { readonly perPlaceKind: ReadonlyMap<string, { readonly perMinute: number }> };
}

/** What the room needs of the brain. */
export interface BrainDoor {
  stateOf(datastreamId: number): RuleState;
  onStates(handle: (changed: readonly number[]) => void): () => void;
  statesAt(atMs: number): Promise<ReadonlyMap<number, RuleState>>;
}

/** What the room needs of the gate: readings refused since start, by purpose. */
export interface GateDoor {
  refusedOf(purpose: string): number;
}
