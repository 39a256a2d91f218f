/** One request of a batch, whichever form it came in. */
export interface BatchRequest {
  /** Content-ID (multipart) or id (JSON); null when the sender gave none. */
  readonly id: string | null;
  readonly method: string;
  /** As written: relative to the root of the API, absolute, or from the value of `$id` on. */
  readonly url: string;
  /** Names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer | null;
  /** Ids of requests and groups that must have succeeded. */
  readonly dependsOn: readonly string[];
  /** Where it stands in the batch, for messages: `line 12` or `requests.3`. */
  readonly place: string;
}

/** A request alone, or the requests of a change set. */
export interface BatchItem {
  /** Name of the group in a JSON batch. */
  readonly group: string | null;
  readonly atomic: boolean;
  readonly requests: readonly BatchRequest[];
}

export interface BatchAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export const BATCH = { parts: 1_000, header_lines: 50, header_line_bytes: 8_192, id_chars: 100, answer_bytes: 67_108_864 } as const;
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);
/** Names that may stand behind `$` in a reference (OData 4.01 JSON Format §19.1). */
export const REFERENCE_NAME = /^[A-Za-z0-9][A-Za-z0-9._~-]*$/;
