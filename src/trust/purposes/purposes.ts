import type { Purpose } from '../../contracts/trust.ts';
import { isoOf, ok, refuse, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import type { Bus, DatabaseHandle, Logger } from '../../platform/index.ts';
import type { Json } from '../log/canonical.ts';
import { insertVersion, listUnlogged, readNewest, setLogIndex, type StoredVersion } from './register-store.ts';
import { canonicalRegister, hashRegister, parseRegister, parseStored, spanOf, STARTER_REGISTER } from './register.ts';

/** The register of purposes in force; the gate, the policy and retention read nothing else. It changes while the city runs. */
export interface Purposes {
  get(id: string): Purpose | undefined;
  /** In the register, begun and not ended at the clock's now. */
  live(id: string): boolean;
  all(): readonly Purpose[];
  version(): number;
  since(): Date;
  /** SHA-256 of the canonical register, hex. */
  hash(): string;
  /** Why nothing may be processed for it now; null when it is live. */
  refusalOf(id: string): Refusal | null;
  /** Called when the register changed, and when a purpose began or ended by its dates. */
  onChange(listener: () => void): () => void;
  /** Reads the version in force again, and looks which purposes live now. Happens by itself. */
  refresh(): Promise<void>;
  close(): void;
}

/** The register where it can be changed: in the city's own process. */
export interface PurposeRegistry extends Purposes {
  /** What the city folder says, when it is not what is in force; null when it is, or when there is no file. */
  waitingFile(): readonly Purpose[] | null;
  /** Puts a register into force that two people agreed to, if `base` is the hash of the one before. Its leaf is durable first. */
  replace(purposes: readonly Purpose[], base: string, approval: string): Promise<Result<number>>;
}

export const REGISTER_TOPIC = 'register.changed';
// dates begin and end by the clock: how late the listeners may hear of it; `live` itself is never late
const LOOK_MS = 15_000;

interface Deps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  /** Tells other processes of a change, and this one of theirs. */
  readonly bus?: Bus;
  readonly logger?: Logger;
}
interface RegistryDeps extends Deps {
  /** Text of the city's own register; null for the starter register. */
  readonly yaml: string | null;
  readonly log?: { appendBody(kind: string, body: Json): Promise<number> };
}

/**
 * Loads the register in force. The first one of a city comes from its file and needs nobody; after that a file that says
 * something else changes nothing by itself: two people must agree to it.
 */
export async function createPurposes(options: RegistryDeps): Promise<Result<PurposeRegistry>> {
  const { handle, clock, bus, log } = options;
  const parsed = parseRegister(options.yaml ?? STARTER_REGISTER);
  if (!parsed.ok) return parsed;
  const found = await readNewest(handle.db);

  /** The leaf comes first: a register that is in force and told to nobody does not exist. */
  const store = async (purposes: readonly Purpose[], base: string | null, approval: string | null): Promise<number | null> => {
    const document = canonicalRegister(purposes);
    const hash = hashRegister(document);
    const at = new Date(clock.nowMs());
    const logIndex = log === undefined ? null : await log.appendBody('purpose.register', leafBody({ hash, since: at, approval, previous: base }));
    return handle.db.transaction().execute(async (trx) => {
      const version = await insertVersion(trx, base, { hash, document, at, approval, logIndex });
      if (version !== null && bus !== undefined) await bus.publish(trx, REGISTER_TOPIC, String(version), { version, hash });
      return version;
    });
  };

  if (found === null) await store(parsed.value, null, null);
  else {
    // a release may add fields to an entry: the same content gets its new form and hash, and nothing else changes
    const stored = parseStored(found.document);
    if (hashRegister(canonicalRegister(stored)) !== found.hash) await store(stored, found.hash, null);
  }
  if (log !== undefined) {
    let previous: string | null = null;
    for (const each of await listUnlogged(handle.db)) {
      await setLogIndex(handle.db, each.version, await log.appendBody('purpose.register', leafBody({ hash: each.hash, since: each.since, approval: each.approval, previous })));
      previous = each.hash;
    }
  }
  const purposes = await openPurposes(options);
  if (purposes === null) throw new Error('the register of purposes is gone from the database');
  return ok({
    ...purposes,
    waitingFile: () => (options.yaml === null || canonicalRegister(parsed.value) === canonicalRegister(withoutEnded(purposes.all(), parsed.value)) ? null : parsed.value),
    replace: async (next, base, approval) => {
      if (purposes.hash() !== base) return registerChanged();
      const version = await store(next, base, approval);
      await purposes.refresh();
      return version === null ? registerChanged() : ok(version);
    },
  });
}

/** The register as the city recorded it last, for a process that takes readings beside it. Refuses when there is none yet. */
export async function readPurposes(options: Deps): Promise<Result<Purposes>> {
  const purposes = await openPurposes(options);
  return purposes === null ? refuse('start.config-invalid', 'The city has no register of purposes yet; start the city itself first.', 'role') : ok(purposes);
}

const registerChanged = () => refuse('purpose.register-changed', 'Another change of the register came first.', 'base');
const leafBody = ({ hash, since, approval, previous }: { hash: string; since: Date; approval: string | null; previous: string | null }): Json => ({ hash, since: isoOf(since.getTime()), ...(approval === null ? {} : { approval }), ...(previous === null ? {} : { previous }) });

/** An ended entry that the file leaves out is no difference. */
function withoutEnded(current: readonly Purpose[], wanted: readonly Purpose[]): readonly Purpose[] {
  const ids = new Set(wanted.map(({ id }) => id));
  return current.filter(({ id, ended }) => !ended || ids.has(id));
}

interface InForce {
  readonly stored: StoredVersion;
  readonly purposes: ReadonlyMap<string, Purpose>;
  readonly spans: ReadonlyMap<string, { readonly fromMs: number; readonly untilMs: number }>;
}

function inForce(stored: StoredVersion): InForce {
  const purposes = new Map(parseStored(stored.document).map((purpose) => [purpose.id, purpose]));
  return { stored, purposes, spans: new Map([...purposes].map(([id, purpose]) => [id, spanOf(purpose)])) };
}

async function openPurposes({ handle, clock, bus, logger }: Deps): Promise<Purposes | null> {
  const listeners = new Set<() => void>();
  let current: InForce | undefined;
  let lived = '';
  const live = (id: string): boolean => {
    const span = current?.spans.get(id);
    if (span === undefined) return false;
    const nowMs = clock.nowMs();
    return nowMs >= span.fromMs && nowMs <= span.untilMs;
  };
  const look = (): void => {
    const now = `${String(current?.stored.version)} ${[...(current?.purposes.keys() ?? [])].filter(live).join(' ')}`;
    if (now === lived) return;
    lived = now;
    for (const listener of listeners) listener();
  };
  const refresh = async (): Promise<void> => {
    const newest = await readNewest(handle.db);
    if (newest !== null && newest.version > (current?.stored.version ?? -1)) current = inForce(newest);
    look();
  };
  const stopListening = await bus?.subscribe([REGISTER_TOPIC], refresh);
  await refresh();
  if (current === undefined) {
    stopListening?.();
    return null;
  }
  const force = (): InForce => current as InForce;
  const looking = setInterval(() => {
    try {
      look();
    } catch (error) {
      logger?.error({ err: error }, 'a part of the city did not take a change of the register');
    }
  }, LOOK_MS);
  looking.unref();
  return {
    get: (id) => force().purposes.get(id),
    live,
    all: () => [...force().purposes.values()],
    version: () => force().stored.version,
    since: () => force().stored.since,
    hash: () => force().stored.hash,
    refusalOf: (id) => {
      const purpose = force().purposes.get(id);
      if (purpose === undefined) return refuse('purpose.unknown', `${id} is not in the register.`, 'purpose').refusal;
      if (live(id)) return null;
      const begins = clock.nowMs() < spanOf(purpose).fromMs;
      return refuse('purpose.expired', begins && !purpose.ended ? `The purpose ${id} begins on ${purpose.starts ?? ''}.` : `The purpose ${id} has ended${purpose.ended || purpose.ends === null ? '' : ` on ${purpose.ends}`}.`, 'purpose').refusal;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refresh,
    close: () => {
      clearInterval(looking);
      stopListening?.();
      listeners.clear();
    },
  };
}
