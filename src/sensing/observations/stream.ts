import type { Reading, StreamInfo } from '../../contracts/reading.ts';
import type { GateRegistration } from '../../trust/index.ts';
import type { Draft } from './draft.ts';

/** What the ingest path holds in memory of a datastream; one object a datastream, changed in place. */
export interface Stream {
  readonly id: number;
  /** A MultiDatastream: its results are lists. */
  isMulti: boolean;
  /** Deleted; readings of it that are still under way are removed when they are stored. */
  isGone: boolean;
  info: StreamInfo;
  registration: GateRegistration;
  /** Component of SWE Common that results must fit; null when the registration says all. */
  structure?: Readonly<Record<string, unknown>> | null;
  /** Names that `parameters` of an observation may carry: Datastream properties.parameters. */
  parameters: readonly string[];
  /** Default FeatureOfInterest; null until the first reading makes it from the Thing's Location (18-088 §10.2.1). */
  featureId: number | null;
  hasLocation: boolean;
  /** Newest durable reading by phenomenon time. */
  latest: Reading | undefined;
  /** No admitted reading has a later phenomenon time; an upper bound, -Infinity when there is none. */
  newestMs: number;
  /** The readings at `newestMs`, or null when they are known to the database only. */
  newest: Draft[] | null;
}
