import type { z } from 'zod';
import type { Refusal } from '../../kernel/index.ts';

/** A place of a source; becomes a Thing with one Location. Keys are the source's own ids, unique within a feed. */
export interface SourcePlace {
  readonly key: string;
  readonly name: string;
  readonly description?: string;
  /** `properties.kind` of the Thing, such as `bike-station`. */
  readonly kind: string;
  /** GeoJSON geometry in longitude and latitude; null when the source does not say. */
  readonly geometry: { readonly type: string; readonly coordinates: unknown } | null;
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
}

/** One series of readings at a place; becomes a Datastream with its ObservedProperty and Sensor. */
export interface SourceSeries {
  readonly key: string;
  readonly placeKey: string;
  readonly name: string;
  readonly property: { readonly key: string; readonly name: string; readonly definition: string };
  readonly unit: { readonly name: string; readonly symbol: string; readonly definition: string } | null;
  /** Last part of the O&M 2.0 observation type, which is also what the gate registers. */
  readonly observationType: 'OM_Measurement' | 'OM_CountObservation' | 'OM_TruthObservation' | 'OM_CategoryObservation' | 'OM_Observation';
  readonly interval_s?: number;
  readonly min?: number;
  readonly max?: number;
  /** Names that `parameters` of a reading may carry. */
  readonly parameters?: readonly string[];
  /** The instrument; without it the feed itself is the Sensor. */
  readonly sensor?: { readonly key: string; readonly name: string; readonly description: string };
}

export interface SourceReading {
  readonly seriesKey: string;
  /** ISO 8601 instant or interval with a zone. */
  readonly phenomenonTime: string;
  readonly result: unknown;
  readonly resultTime?: string;
  readonly resultQuality?: unknown;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

/** Something in a document that was not taken. `at` is its place there, such as `entity[3].vehicle`; content is never repeated. */
export interface SourceRefusal {
  readonly at: string;
  readonly refusal: Refusal;
}

/** What one document of a source says. Every reading names a series that this or an earlier batch of the feed has described. */
export interface SourceBatch {
  readonly places: readonly SourcePlace[];
  readonly series: readonly SourceSeries[];
  readonly readings: readonly SourceReading[];
  readonly refusals: readonly SourceRefusal[];
  /** Values that are not taken because nobody asked for them, such as signal strength; only their number is kept. */
  readonly ignored?: number;
}

export interface FetchedDocument {
  readonly status: number;
  readonly contentType: string;
  /** Decompressed; never longer than was asked for. */
  readonly body: Buffer;
}

export interface PullContext {
  /** The one way out. Throws `Refused` when the host is not on the egress list, the answer is too long, too late or not 2xx. */
  readonly fetch: (url: string, limits: { readonly max_bytes: number; readonly accept: string }) => Promise<FetchedDocument>;
  readonly nowMs: () => number;
}

export interface PushedMessage {
  readonly contentType: string;
  readonly body: Buffer;
  /** Null for a webhook. */
  readonly topic: string | null;
  readonly receivedMs: number;
}

/**
 * One kind of source, one file. `read…` is given options that passed `options` and answers what the document says; a document
 * that cannot be read at all is thrown as `Refused` (code from kernel/errors.ts, `detail` naming the place and the cure).
 * An adapter keeps nothing between two calls but what `createAdapter` closes over.
 */
export interface Adapter<Options> {
  /** Word in `feeds.yaml`, such as `gbfs`. */
  readonly kind: string;
  /** For people: `GBFS (bicycle sharing stations)`. */
  readonly title: string;
  /** A whole entry of `feeds.yaml` to copy, shown on the page /feeds. Optional; a test of the registry reads every one. */
  readonly example?: string;
  readonly options: z.ZodType<Options>;
  /** Absent when the source can only push. */
  readonly pull?: {
    readonly interval_s: number;
    /** Hosts that it calls are on the egress list before anything is called. */
    readonly urls: (options: Options) => readonly string[];
    readonly read: (options: Options, context: PullContext) => Promise<SourceBatch>;
  };
  /** Absent when the source can only be pulled. A webhook comes to `POST /api/feeds/NAME`. */
  readonly push?: {
    readonly contentTypes: readonly string[];
    /** Topics of this server's own broker, `+` and `#` allowed; empty for webhooks only. */
    readonly topics: (options: Options) => readonly string[];
    readonly read: (options: Options, message: PushedMessage) => Promise<SourceBatch>;
  };
}
