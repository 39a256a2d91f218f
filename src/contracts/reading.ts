/** Inside the server only: what flows from sensing to the brain and the consoles after it is durable. */
export interface Reading {
  readonly datastreamId: number;
  /** Milliseconds since 1970 of the phenomenon (start of an interval). */
  readonly phenomenonMs: number;
  /** Milliseconds since 1970 of arrival at this server. */
  readonly arrivalMs: number;
  /** Null when the result is not a number. */
  readonly value: number | null;
  /** False when resultQuality marks it bad. */
  readonly valid: boolean;
}

/** What the brain, the gate and the map know of a datastream. */
export interface StreamInfo {
  readonly id: number;
  readonly name: string;
  /** Key of the observed property: `properties.key` of the ObservedProperty, else its name as a slug. */
  readonly property: string;
  /** `unitOfMeasurement.symbol` as registered; empty when there is none. */
  readonly unit: string;
  readonly purpose: string;
  /** Seconds between readings as registered in Datastream properties.interval_s; 3,600 when it says nothing. */
  readonly interval_s: number;
  readonly thingId: number;
  /** Name of the Thing. */
  readonly placeName: string;
  /** properties.kind of the Thing, or `other`. */
  readonly placeKind: string;
  /** Came from a file that somebody imported: nothing more is expected, so it is never stale. */
  readonly isArchive?: boolean;
  /** Longitude and latitude of the Thing's Location, of other shapes than points the middle of their bounds; null without one. */
  readonly point: readonly [number, number] | null;
}
