/** What city and broker say to each other. Bytes are base64; a call carries everything the broker needs, for it knows no case. */

/** A refusal of the broker: the call was understood and must not be done. */
export const DENIALS = ['leaf-not-in-log', 'leaf-spent', 'log-older', 'log-forked', 'log-unknown', 'look-wrong', 'key-wrong', 'root-missing', 'window-open', 'malformed'] as const;
export type Denial = (typeof DENIALS)[number];

/** Two keys of one case as they lie in the city's store: wrapped under version `version` of the root key. */
export interface WrappedKeys {
  readonly version: number;
  readonly recordKey: string;
  readonly logKey: string;
}

/** The same two keys, wrapped under the key that follows from the secret of the resident's link. */
export interface OwnerKeys {
  readonly recordKey: string;
  readonly logKey: string;
}

/** Who looks, in which position, for what; all of it goes into every look of one call. */
export interface LookAct {
  /** ISO 8601 instant by the city's clock. */
  readonly at: string;
  readonly position: string;
  readonly pseudonym: string;
  readonly department: string;
  readonly purpose: string;
  readonly reason: string;
  readonly via: string;
  /** ISO 8601 date until which the resident does not see the look. */
  readonly until?: string;
}

/** A leaf that the city has to append, and the sealed body that it commits to. */
export interface PreparedLook {
  readonly leaf: { readonly kind: string; readonly t: string; readonly commit: string } & Readonly<Record<string, string | number>>;
  readonly sealed: string;
  /** Hex. */
  readonly nonce: string;
  /** Canonical JSON. */
  readonly body: string;
}

export interface OpenItem {
  readonly caseId: string;
  readonly keys: WrappedKeys;
  readonly record: string;
  readonly recordVersion: number;
  readonly sealed: string;
  /** The sealed body of `prepare`, its running number (0 for a sealed look), and where its leaf stands in the log. */
  readonly look: { readonly n: number; readonly sealed: string; readonly index: number; readonly proof: readonly string[] };
}

export interface Protocol {
  /** Names the log of the city. Gives the root keys that the broker holds and the log head that it saw last. */
  hello(call: { vkey: string }): { roots: { version: number; fingerprint: string }[]; protection: Protection; seen: number; openings: number };
  makeKeys(call: { caseId: string; ownerSecret: string | null }): { keys: WrappedKeys; owner: OwnerKeys | null };
  seal(call: { caseId: string; keys: WrappedKeys; record: string; recordVersion: number; plain: Readonly<Record<string, string>> }): { sealed: string };
  prepare(call: { act: LookAct; items: readonly { caseId: string; keys: WrappedKeys; record: string; fields: readonly string[]; n: number }[] }): { looks: PreparedLook[] };
  /** Journals the leaves, then decrypts the fields that each look names. `consistency` leads from the head seen last to `checkpoint`. */
  open(call: { checkpoint: string; from: number; consistency: readonly string[]; items: readonly OpenItem[] }): { plain: Record<string, string>[] };
  /** The look that tells the resident of a sealed look whose date has come by `at`. */
  reveal(call: { caseId: string; keys: WrappedKeys; n: number; sealed: string; index: number; at: string }): PreparedLook;
  openOwn(call: { caseId: string; owner: OwnerKeys; ownerSecret: string; record: string; recordVersion: number; sealed: string }): { plain: Record<string, string> };
  ownLogKey(call: { caseId: string; owner: OwnerKeys; ownerSecret: string }): { logKey: string };
  /** `body` is canonical JSON; SHA-256(nonce ‖ body) is the leaf's commitment. Nonce in hex. */
  readLooks(call: { caseId: string; keys: WrappedKeys; looks: readonly { n: number; sealed: string }[] }): { looks: { nonce: string; body: string }[] };
  tag(call: { caseId: string; keys: WrappedKeys; n: number }): { caseTag: string };
  /** Makes the next version of the root key; the city then rewraps what older ones wrapped. */
  rotate(call: { at: string }): { version: number; fingerprint: string };
  rewrap(call: { items: readonly { caseId: string; keys: WrappedKeys }[] }): { keys: WrappedKeys[] };
  /** Destroys a version of the root key, when its successor is older than `windowDays`. */
  retire(call: { version: number; windowDays: number; at: string }): { destroyed: boolean };
}

/** How the root key lies on the disk. */
export type Protection = 'none' | 'passphrase' | 'pkcs11';
export type Operation = keyof Protocol;
export type CallOf<K extends Operation> = Parameters<Protocol[K]>[0];
export type AnswerOf<K extends Operation> = ReturnType<Protocol[K]>;
