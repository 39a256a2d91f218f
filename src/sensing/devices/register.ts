import type { DeviceBinding } from '../../contracts/principal.ts';
import type { DeviceState, UnknownSender } from '../../contracts/device.ts';
import { isoOf, type Clock } from '../../kernel/index.ts';
import type { Bus, Logger } from '../../platform/index.ts';
import { createRates, type Rates } from '../ingest/rates.ts';
import { createSuspicion, type Suspicion } from './device.ts';
import { DEVICE_CHANGED, type DeviceRow, type DeviceStore } from './device-store.ts';

/** Counts of a device that the database does not hold yet. */
export interface Unsaved {
  readonly taken: number;
  readonly seenMs: number;
  readonly refused: ReadonlyMap<string, number>;
  readonly perMinute: number;
}

/** What every request of a device is checked against, in memory: bindings, counts, and the rule of quarantine. */
export interface DeviceRegister {
  find(deviceId: string): Promise<DeviceBinding | undefined>;
  /** Reads a device again after it was changed in the database. */
  reload(deviceId: string): Promise<void>;
  unsavedOf(deviceId: string): Unsaved;
  /** A device's slate is clean after somebody released it. */
  forgive(deviceId: string): void;
  /** Somebody with a good token that is no device's wrote to a Datastream that does not exist. */
  noteUnknown(pseudonym: string): void;
  unknownSenders(): UnknownSender[];
  /** Told when a device's token stops counting, so that its connections end. */
  onCredentialEnded(handle: (deviceId: string) => void): void;
  close(): Promise<void>;
}

interface Entry {
  binding: { -readonly [Key in keyof DeviceBinding]: DeviceBinding[Key] };
  readonly suspicion: Suspicion;
  taken: number;
  seenMs: number;
  refused: Map<string, number>;
  dirty: boolean;
}

const FLUSH_MS = 10_000;
const UNKNOWN_SENDERS = 1_000;
const NOTHING: ReadonlyMap<string, number> = new Map();

export async function openDeviceRegister({ store, bus, clock, logger }: { store: DeviceStore; bus: Bus; clock: Clock; logger: Logger }): Promise<DeviceRegister> {
  const entries = new Map<string, Entry>();
  const dirty = new Set<Entry>();
  const unknown = new Map<string, { count: number; lastMs: number }>();
  const endings = new Set<(deviceId: string) => void>();
  const rates: Rates = createRates();

  const touch = (entry: Entry): void => {
    entry.seenMs = clock.nowMs();
    if (entry.dirty) return;
    entry.dirty = true;
    dirty.add(entry);
  };
  const quarantine = (entry: Entry, reason: string): void => {
    const { id } = entry.binding;
    entry.binding.state = 'quarantined';
    logger.warn({ device: id, reason }, 'a device goes to quarantine');
    store.setState(id, 'active', 'quarantined', reason, new Date(clock.nowMs())).catch((error: unknown) => {
      entry.binding.state = 'active'; // the next refusal tries again
      logger.error({ err: error, device: id }, 'the quarantine of a device could not be written');
    });
  };
  const makeEntry = (row: DeviceRow): Entry => {
    const entry: Entry = {
      binding: {
        id: row.id,
        tokenId: row.token_id,
        state: row.state,
        streams: new Set(row.streams),
        noteTaken: (readings) => {
          entry.taken += readings;
          rates.count(row.id, clock.nowMs(), readings);
          touch(entry);
        },
        noteRefused: (code, readings) => {
          entry.refused.set(code, (entry.refused.get(code) ?? 0) + readings);
          touch(entry);
          if (entry.binding.state !== 'active') return;
          const reason = entry.suspicion.note(code, readings, entry.seenMs);
          if (reason !== null) quarantine(entry, reason);
        },
      },
      suspicion: createSuspicion(),
      taken: 0,
      seenMs: 0,
      refused: new Map(),
      dirty: false,
    };
    return entry;
  };
  const end = (id: string): void => {
    for (const handle of endings) handle(id);
  };
  const take = (row: DeviceRow): Entry => {
    const known = entries.get(row.id);
    if (known === undefined) {
      const made = makeEntry(row);
      entries.set(row.id, made);
      return made;
    }
    const { binding } = known;
    const before = binding.tokenId;
    if (binding.state === 'quarantined' && row.state === 'active') known.suspicion.clear();
    Object.assign(binding, { tokenId: row.token_id, state: row.state satisfies DeviceState, streams: new Set(row.streams) });
    if (before !== row.token_id) end(row.id);
    return known;
  };
  const reload = async (id: string): Promise<void> => {
    const row = await store.find(id);
    if (row !== undefined) {
      take(row);
      return;
    }
    const gone = entries.get(id);
    if (gone === undefined) return;
    entries.delete(id);
    dirty.delete(gone);
    Object.assign(gone.binding, { tokenId: null, state: 'revoked' });
    end(id);
  };

  for (const row of await store.all()) take(row);
  const unsubscribe = await bus.subscribe([DEVICE_CHANGED], ({ key }) => reload(key));

  let flushing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    if (dirty.size === 0) return;
    const batch = [...dirty].map((entry) => ({ entry, taken: entry.taken, refused: entry.refused, seenMs: entry.seenMs }));
    dirty.clear();
    for (const { entry } of batch) Object.assign(entry, { dirty: false, taken: 0, refused: new Map() });
    try {
      await store.addCounts(batch.map(({ entry, taken, refused, seenMs }) => ({ id: entry.binding.id, taken, seenAt: new Date(seenMs), refused: [...refused].map(([code, count]) => ({ code, count })) })));
    } catch (error) {
      logger.warn({ err: error }, 'the counts of devices could not be written; they are kept for the next time');
      for (const { entry, taken, refused } of batch) {
        entry.taken += taken;
        for (const [code, count] of refused) entry.refused.set(code, (entry.refused.get(code) ?? 0) + count);
        entry.dirty = true;
        dirty.add(entry);
      }
    }
  };
  const flushInTurn = (): Promise<void> => (flushing = flushing.then(flush));
  const timer = setInterval(() => void flushInTurn(), FLUSH_MS);
  timer.unref();

  return {
    find: async (id) => {
      const known = entries.get(id);
      if (known !== undefined) return known.binding;
      const row = await store.find(id);
      return row === undefined ? undefined : take(row).binding;
    },
    reload,
    unsavedOf: (id) => {
      const entry = entries.get(id);
      return { taken: entry?.taken ?? 0, seenMs: entry?.seenMs ?? 0, refused: entry?.refused ?? NOTHING, perMinute: rates.perMinute(clock.nowMs()).get(id)?.perMinute ?? 0 };
    },
    forgive: (id) => entries.get(id)?.suspicion.clear(),
    noteUnknown: (pseudonym) => {
      const known = unknown.get(pseudonym) ?? { count: 0, lastMs: 0 };
      unknown.delete(pseudonym); // so that it goes to the end: the map is in the order of the last message
      unknown.set(pseudonym, { count: known.count + 1, lastMs: clock.nowMs() });
      if (unknown.size > UNKNOWN_SENDERS) unknown.delete(unknown.keys().next().value as string);
    },
    unknownSenders: () => [...unknown].map(([pseudonym, { count, lastMs }]) => ({ pseudonym, count, lastAt: isoOf(lastMs) })).reverse(),
    onCredentialEnded: (handle) => void endings.add(handle),
    close: async () => {
      clearInterval(timer);
      unsubscribe();
      await flushInTurn();
    },
  };
}
