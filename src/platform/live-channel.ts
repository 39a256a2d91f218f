/** The newest state of many keyed things; a client gets each at most once a frame, and never an older one after a newer. */
export interface CoalescedKind {
  readonly kind: string;
  /** The state of `key` now; null when it is gone. */
  readonly describe: (key: number) => unknown;
  /** Puts serialised items into one JSON document. */
  readonly frame: (items: readonly string[]) => string;
}

/** Keyed states with versions. Memory is bounded by the number of keys: a state that changes replaces the one before. */
export interface Channel {
  readonly kind: string;
  /** The state of `key` changed; it is read when the next frame is taken. */
  touch(key: number): void;
  version(): number;
  /** What was touched since the last call; `json` serialises at the first call and is null when nothing is left of it. */
  takeFrame(): { readonly from: number; readonly json: () => string | null };
  /** What changed after `version`, oldest first, at most `limit` items, and the version that this reaches. */
  readSince(version: number, limit: number): { readonly json: string | null; readonly version: number };
}

export function createChannel({ kind, describe, frame }: CoalescedKind): Channel {
  const dirty = new Set<number>(); // keys touched since the last frame
  const items = new Map<number, { version: number; json: string | null }>(); // oldest version first: a key moves to the end when it changes
  let version = 0;

  const jsonOf = (key: number): string | null => {
    const item = items.get(key);
    if (item === undefined) return null;
    if (item.json === null) {
      const state = describe(key);
      if (state === null) {
        items.delete(key);
        return null;
      }
      item.json = JSON.stringify(state);
    }
    return item.json;
  };
  const documentOf = (found: readonly string[]): string | null => (found.length === 0 ? null : frame(found));

  return {
    kind,
    touch: (key) => void dirty.add(key),
    version: () => version,
    takeFrame: () => {
      const from = version;
      const keys = [...dirty];
      dirty.clear();
      for (const key of keys) {
        version += 1;
        items.delete(key);
        items.set(key, { version, json: null });
      }
      let json: string | null | undefined;
      return { from, json: () => (json === undefined ? (json = documentOf(keys.map(jsonOf).filter((item) => item !== null))) : json) };
    },
    readSince: (since, limit) => {
      const found: string[] = [];
      for (const [key, item] of items) {
        if (item.version <= since) continue;
        const json = jsonOf(key);
        if (json !== null) found.push(json);
        if (found.length >= limit) return { json: documentOf(found), version: item.version };
      }
      return { json: documentOf(found), version };
    },
  };
}
