import type { ServerResponse } from 'node:http';
import { LIMITS, isoOf, ok, refuse, type Clock, type Result } from '../kernel/index.ts';
import type { Bus, BusEvent } from './bus.ts';
import { createBacklog, type Backlog } from './live-backlog.ts';
import { createChannel, type CoalescedKind, type Channel } from './live-channel.ts';
import type { Logger } from './logger.ts';
import { Counter, Gauge, type Metrics } from './metrics.ts';

/** Events of a bus topic that clients get in order, each once, with `id:` = bus position. */
export interface DurableKind {
  readonly kind: string;
  readonly topic: string;
  /** What the clients see of the payload. */
  readonly dataOf: (payload: unknown) => unknown;
  /** Called once an event was written to every client that keeps up. */
  readonly onSent?: (payload: unknown) => void;
}

export interface LiveLimits {
  readonly clients: number;
  readonly backlog_events: number;
  readonly client_buffer_bytes: number;
  readonly frame_ms: number;
  readonly heartbeat_ms: number;
  /** A client whose socket takes nothing for this long is ended. */
  readonly stuck_ms: number;
  /** A connection ends after this long and is opened again by the client, so that its credential is checked again. */
  readonly connection_ms: number;
  /** Items in one catch-up frame. */
  readonly catch_up_items: number;
}

const DEFAULT_LIMITS: LiveLimits = {
  clients: LIMITS.live_clients,
  backlog_events: LIMITS.live_backlog_events,
  client_buffer_bytes: LIMITS.live_client_buffer_bytes,
  frame_ms: LIMITS.live_frame_ms,
  heartbeat_ms: LIMITS.heartbeat_ms,
  stuck_ms: 30_000,
  connection_ms: 15 * 60_000,
  catch_up_items: 2_000,
};

export interface LiveHubOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly durable: readonly DurableKind[];
  readonly coalesced: readonly CoalescedKind[];
  readonly limits?: Partial<LiveLimits>;
}

export interface LiveHub {
  /**
   * Makes `response` a stream of the kinds. `after` is the last bus position that the client has seen; null begins now;
   * a position that cannot be continued gets `resync`. Refuses with `http.overloaded` when there are too many clients.
   */
  open(response: ServerResponse, options: { kinds: ReadonlySet<string>; after: number | null; headers?: Readonly<Record<string, string>> }): Promise<Result<null>>;
  /** The state of `key` changed: it goes out with the next frame. */
  touch(kind: string, key: number): void;
  /** One frame to every client that keeps up, and to each that opens later until the next one. */
  send(kind: string, data: unknown): void;
  clients(): number;
  close(): void;
}

interface Client {
  readonly response: ServerResponse;
  readonly kinds: ReadonlySet<string>;
  /** Bus position up to which the client has everything. */
  position: number;
  /** Per coalesced kind: version up to which the client has everything. */
  readonly versions: Map<string, number>;
  blockedFrames: number;
  lastBuffered: number;
  agedFrames: number;
}

/**
 * Fan-out of Server-Sent Events (HTML Living Standard §9.2). A client is a cursor over shared, once-serialised frames: it
 * has no queue of its own, so one that does not read costs the others nothing. It loses readings frames first and catches
 * up with the newest states; durable events wait for it in the shared backlog; when it falls out of that, it gets `resync`.
 */
export async function createLiveHub(options: LiveHubOptions): Promise<LiveHub> {
  const hub = new Fanout(options);
  await hub.start();
  return {
    open: (response, { kinds, after, headers }) => hub.open(response, kinds, after, headers ?? {}),
    touch: (kind, key) => hub.touch(kind, key),
    send: (kind, data) => hub.send(kind, data),
    clients: () => hub.clients.size,
    close: () => hub.close(),
  };
}

class Fanout {
  readonly clients = new Set<Client>(); // bounded by limits.clients
  readonly #options: LiveHubOptions;
  readonly #limits: LiveLimits;
  readonly #backlog: Backlog;
  readonly #channels: ReadonlyMap<string, Channel>;
  readonly #durable: ReadonlyMap<string, DurableKind>; // by topic
  readonly #lastSent = new Map<string, Buffer>(); // one a kind
  readonly #meters: Meters;
  #opening = 0;
  #opened = 0;
  #timers: NodeJS.Timeout[] = [];
  #unsubscribe: () => void = () => undefined;

  constructor(options: LiveHubOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#backlog = createBacklog(this.#limits.backlog_events);
    this.#channels = new Map(options.coalesced.map((kind) => [kind.kind, createChannel(kind)]));
    this.#durable = new Map(options.durable.map((kind) => [kind.topic, kind]));
    this.#meters = createMeters(options.metrics, () => ({
      clients: this.clients.size,
      lag: [...this.clients].reduce((most, client) => Math.max(most, this.#backlog.lagOf(client.position)), 0),
    }));
  }

  async start(): Promise<void> {
    const { bus } = this.#options;
    const topics = [...this.#durable.keys()];
    // Subscribed before the backlog is filled, so that nothing falls between the two.
    const early: BusEvent[] = [];
    let filled = false;
    this.#unsubscribe = await bus.subscribe(topics, (event) => (filled ? this.#take(event) : void early.push(event)));
    const head = await bus.lastSeq();
    this.#backlog.begin(Math.max(0, head - this.#limits.backlog_events));
    for (const event of await bus.readAfter(this.#backlog.floor(), topics, this.#limits.backlog_events)) this.#remember(event);
    this.#backlog.advance(head);
    filled = true;
    for (const event of early) this.#take(event);
    this.#timers = [setInterval(() => this.#tick(), this.#limits.frame_ms), setInterval(() => this.#beat(), this.#limits.heartbeat_ms)];
  }

  async open(response: ServerResponse, kinds: ReadonlySet<string>, after: number | null, headers: Readonly<Record<string, string>>): Promise<Result<null>> {
    const { bus, logger } = this.#options;
    if (this.clients.size + this.#opening >= this.#limits.clients) return refuse('http.overloaded', `${this.#limits.clients} live connections are open; that is the limit.`);
    this.#opening += 1;
    let ahead: boolean;
    try {
      ahead = after !== null && after > this.#backlog.head() && after > (await bus.lastSeq());
    } finally {
      this.#opening -= 1;
    }
    if (response.destroyed) return ok(null);
    const client: Client = { response, kinds, position: after ?? this.#backlog.head(), versions: new Map(), blockedFrames: 0, lastBuffered: 0, agedFrames: this.#ageAtOpening() };
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.on('drain', () => this.#pump(client));
    response.on('error', (error) => logger.debug({ err: error }, 'a live connection broke'));
    response.once('close', () => this.clients.delete(client));
    this.clients.add(client);
    response.write(RETRY);
    this.#write(client, 'heartbeat', this.#heartbeat());
    for (const [kind, bytes] of this.#lastSent) if (kinds.has(kind)) this.#write(client, kind, bytes);
    if (ahead) this.#resync(client, 'Your position is not one of this server.');
    else this.#pump(client);
    return ok(null);
  }

  touch(kind: string, key: number): void {
    this.#channels.get(kind)?.touch(key);
  }

  send(kind: string, data: unknown): void {
    const bytes = encode(kind, JSON.stringify(data));
    this.#lastSent.set(kind, bytes);
    for (const client of this.clients) {
      if (!client.kinds.has(kind)) continue;
      if (client.response.writableNeedDrain) this.#meters.dropped.inc({ kind });
      else this.#write(client, kind, bytes);
    }
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#unsubscribe();
    for (const { response } of this.clients) end(response, this.#limits.stuck_ms);
    this.clients.clear();
  }

  #remember(event: BusEvent): DurableKind | undefined {
    const kind = this.#durable.get(event.topic);
    if (kind === undefined || event.seq <= this.#backlog.head()) return undefined;
    this.#backlog.push({ seq: event.seq, kind: kind.kind, bytes: encode(kind.kind, JSON.stringify(kind.dataOf(event.payload)), event.seq) });
    return kind;
  }

  #take(event: BusEvent): void {
    const kind = this.#remember(event);
    if (kind === undefined) return;
    for (const client of this.clients) this.#pump(client);
    kind.onSent?.(event.payload);
  }

  /** Writes what the backlog holds for one client, as far as its buffer has room. */
  #pump(client: Client): void {
    const { response } = client;
    if (client.position < this.#backlog.floor()) {
      if (!response.writableNeedDrain) this.#resync(client, 'You were away for longer than the server keeps events.');
      return;
    }
    for (const frame of this.#backlog.after(client.position)) {
      if (response.writableLength >= this.#limits.client_buffer_bytes) return;
      if (client.kinds.has(frame.kind)) this.#write(client, frame.kind, frame.bytes);
      client.position = frame.seq;
    }
    client.position = Math.max(client.position, this.#backlog.head());
  }

  #resync(client: Client, reason: string): void {
    this.#write(client, 'resync', encode('resync', JSON.stringify({ reason })));
    client.position = this.#backlog.head();
    this.#meters.resyncs.inc();
  }

  #tick(): void {
    // a buffer that emptied without ever having been full announces no 'drain'
    for (const client of this.clients) if (client.position < this.#backlog.head()) this.#pump(client);
    for (const channel of this.#channels.values()) {
      const frame = channel.takeFrame();
      let bytes: Buffer | null = null;
      for (const client of this.clients) {
        if (!client.kinds.has(channel.kind)) continue;
        const version = client.versions.get(channel.kind) ?? 0;
        if (version === channel.version()) continue;
        if (client.response.writableNeedDrain || client.position < this.#backlog.head()) {
          this.#meters.dropped.inc({ kind: channel.kind });
        } else if (version === frame.from) {
          const json = frame.json();
          if (json !== null) this.#write(client, channel.kind, (bytes ??= encode(channel.kind, json)));
          client.versions.set(channel.kind, channel.version());
        } else {
          const missed = channel.readSince(version, this.#limits.catch_up_items);
          if (missed.json !== null) this.#write(client, channel.kind, encode(channel.kind, missed.json));
          client.versions.set(channel.kind, missed.version);
        }
      }
    }
    for (const client of this.clients) this.#watch(client);
  }

  #beat(): void {
    const bytes = this.#heartbeat();
    for (const client of this.clients) if (client.response.writableLength < this.#limits.client_buffer_bytes) this.#write(client, 'heartbeat', bytes);
  }

  #heartbeat(): Buffer {
    return encode('heartbeat', JSON.stringify({ now: isoOf(this.#options.clock.nowMs()), seq: this.#backlog.head() }));
  }

  /** Ends a client whose socket takes nothing, and one whose time is over. */
  #watch(client: Client): void {
    const { response } = client;
    const buffered = response.writableLength;
    client.blockedFrames = response.writableNeedDrain && buffered >= client.lastBuffered ? client.blockedFrames + 1 : 0;
    client.lastBuffered = buffered;
    client.agedFrames += 1;
    if (client.blockedFrames * this.#limits.frame_ms > this.#limits.stuck_ms) {
      this.#meters.ended.inc({ why: 'stuck' });
      this.#options.logger.info({ buffered }, 'a live client does not read and was ended');
      this.clients.delete(client);
      response.destroy();
    } else if (client.agedFrames * this.#limits.frame_ms > this.#limits.connection_ms) {
      this.#meters.ended.inc({ why: 'aged' });
      this.clients.delete(client);
      end(response, this.#limits.stuck_ms);
    }
  }

  /** Clients that all came at once, as after a restart, do not all leave at once: their ends lie up to a minute apart. */
  #ageAtOpening(): number {
    this.#opened += 1;
    return ((this.#opened % 60) * 1_000) / this.#limits.frame_ms;
  }

  #write(client: Client, kind: string, bytes: Buffer): void {
    client.response.write(bytes);
    this.#meters.frames.inc({ kind });
  }
}

const RETRY = Buffer.from('retry: 1000\n\n');

function encode(kind: string, json: string, seq?: number): Buffer {
  return Buffer.from(`${seq === undefined ? '' : `id: ${seq}\n`}event: ${kind}\ndata: ${json}\n\n`);
}

/** Ends a response when what is buffered has left, and at the latest after `patience_ms`. */
function end(response: ServerResponse, patience_ms: number): void {
  const late = setTimeout(() => response.destroy(), patience_ms);
  late.unref();
  response.once('close', () => clearTimeout(late));
  response.end();
}

type Meters = ReturnType<typeof createMeters>;

function createMeters(metrics: Metrics, read: () => { clients: number; lag: number }) {
  const registers = [metrics];
  new Gauge({
    name: 'clerestory_live_clients',
    help: 'Open live connections.',
    registers,
    collect() {
      this.set(read().clients);
    },
  });
  new Gauge({
    name: 'clerestory_live_lag_events',
    help: 'Durable events that the slowest live client has not got yet.',
    registers,
    collect() {
      this.set(read().lag);
    },
  });
  return {
    frames: new Counter({ name: 'clerestory_live_frames_total', help: 'Frames written to live clients.', labelNames: ['kind'], registers }),
    dropped: new Counter({ name: 'clerestory_live_dropped_total', help: 'Frames left out because a client lagged.', labelNames: ['kind'], registers }),
    resyncs: new Counter({ name: 'clerestory_live_resyncs_total', help: 'Clients that were told to read the pictures again.', registers }),
    ended: new Counter({ name: 'clerestory_live_ended_total', help: 'Live connections that the server ended.', labelNames: ['why'], registers }),
  };
}
