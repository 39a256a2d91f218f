import type { IncidentChanged } from '../contracts/incident.ts';
import { isoOf, type Clock } from '../kernel/index.ts';
import { Histogram, createLiveHub, type Bus, type LiveHub, type LiveLimits, type Logger, type Metrics } from '../platform/index.ts';
import type { BrainDoor, GateDoor, SensingDoor } from './doors.ts';
import { feedsOf, streamState } from './places.ts';

export const LIVE_TOPICS = ['incident', 'readings', 'feeds'] as const;

const FEEDS_EVERY_MS = 5_000;

export interface LiveStream {
  readonly hub: LiveHub;
  close(): void;
}

/** Feeds the hub of /live: incidents from the bus, readings and rule states as they change, feed health every 5 s. */
export async function createLiveStream(deps: {
  bus: Bus;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  sensing: SensingDoor;
  brain: BrainDoor;
  gate: GateDoor;
  limits?: Partial<LiveLimits>;
}): Promise<LiveStream> {
  const { bus, clock, logger, metrics, sensing, brain, gate } = deps;
  const toFrame = new Histogram({
    name: 'clerestory_warning_to_frame_seconds',
    help: 'From the moment a warning was raised to the moment its incident was written to every live client that keeps up.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    registers: [metrics],
  });
  const staleBefore = new Map<number, boolean>(); // by stream; what was last told

  const describe = (id: number): unknown => {
    const stream = sensing.streams().get(id);
    if (stream === undefined || stream.point === null) return null;
    const state = streamState(stream, sensing.latest(id), brain.stateOf(id), clock.nowMs());
    staleBefore.set(id, state.stale);
    return { ...state, placeId: stream.thingId };
  };
  const hub = await createLiveHub({
    bus,
    clock,
    logger,
    metrics,
    durable: [
      {
        kind: 'incident',
        topic: 'incident.changed',
        dataOf: (payload) => {
          const { incident, entry } = payload as IncidentChanged; // published by this module's own store
          return { incident, entry };
        },
        onSent: (payload) => {
          const { warningRaisedAt } = payload as IncidentChanged;
          if (warningRaisedAt !== undefined) toFrame.observe(Math.max(0, clock.nowMs() - Date.parse(warningRaisedAt)) / 1_000);
        },
      },
    ],
    coalesced: [{ kind: 'readings', describe, frame: (items) => `{"asOf":"${isoOf(clock.nowMs())}","streams":[${items.join(',')}]}` }],
    ...(deps.limits === undefined ? {} : { limits: deps.limits }),
  });
  const touch = (id: number): void => hub.touch('readings', id);

  for (const id of sensing.streams().keys()) touch(id);
  const stops = [
    sensing.onReadings((batch) => {
      for (const { datastreamId } of batch) touch(datastreamId);
    }),
    sensing.onStreamsChanged((ids) => ids.forEach(touch)),
    brain.onStates((ids) => ids.forEach(touch)),
  ];
  /** Staleness comes by the passing of time alone, so it is looked for. */
  const sweep = (): void => {
    const nowMs = clock.nowMs();
    for (const stream of sensing.streams().values()) {
      const before = staleBefore.get(stream.id);
      if (before !== undefined && before !== streamState(stream, sensing.latest(stream.id), 'ok', nowMs).stale) touch(stream.id);
    }
    for (const id of staleBefore.keys()) if (!sensing.streams().has(id)) staleBefore.delete(id);
    hub.send('feeds', { feeds: feedsOf(sensing, gate, nowMs), sources: sensing.feedHealth?.() ?? [] });
  };
  sweep();
  const timer = setInterval(sweep, FEEDS_EVERY_MS);
  return {
    hub,
    close: () => {
      clearInterval(timer);
      for (const stop of stops) stop();
      hub.close();
    },
  };
}
