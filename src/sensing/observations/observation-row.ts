/** Rare parts of an observation, each only when it was sent. */
export interface ObservationExtra {
  readonly resultQuality?: unknown;
  /** ISO 8601 interval as sent. */
  readonly validTime?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Id of the FeatureOfInterest; without it the default feature of the datastream applies. */
  readonly feature?: number;
  /** The sender's own id of a message that had no time of its own; never shown. */
  readonly clientId?: string;
}

/** A row of table `observation` as the driver returns it (migrations/0021). The result is `result_json ?? result_number`. */
export interface ObservationRow {
  readonly id: number;
  readonly datastream_id: number;
  readonly phenomenon_start: Date;
  readonly phenomenon_end: Date | null;
  readonly result_time: Date | null;
  readonly arrived: Date;
  readonly result_number: number | null;
  /** JSON text exactly as sent, when the double alone does not say it. */
  readonly result_json: string | null;
  readonly extra: ObservationExtra | null;
  readonly valid: boolean;
}
