import type { Client } from 'aedes';
import type { Principal } from '../../contracts/principal.ts';
import { LIMITS } from '../../kernel/index.ts';
import type { Logger } from '../logger.ts';
import { Counter, Gauge, type Metrics } from '../metrics.ts';
import { REASON } from './version-5.ts';

type Qos = 0 | 1 | 2;

/** A connected and authenticated MQTT client. */
export interface MqttPeer {
  readonly principal: Principal;
  /** Sends to this client alone, if it has subscribed to `topic`; `retain` marks what was known before it did. */
  tell(topic: string, payload: string, retain?: boolean): void;
}

interface Session {
  readonly peer: MqttPeer;
  readonly topics: Map<string, Qos>;
}

interface SessionsOptions {
  readonly counts: ReturnType<typeof createCounts>;
  readonly logger: Logger;
  /** The first subscriber of a topic came, or the last one left. */
  readonly onTopic: (topic: string, isWanted: boolean) => void;
  readonly cutOff: (client: Client, reason: number) => void;
}

/** Who is connected and who listens to what. */
export interface Sessions {
  of(client: Client): Session | undefined;
  ofDevice(deviceId: string): readonly Client[];
  /** Of one person or token. */
  ofPrincipal(principalId: string): readonly Client[];
  open(client: Client, principal: Principal): void;
  close(client: Client): void;
  subscribe(client: Client, topic: string, qos: Qos): MqttPeer | undefined;
  unsubscribe(client: Client, topic: string): void;
  publish(topic: string, payload: string): void;
}

export function createSessions({ counts, logger, onTopic, cutOff }: SessionsOptions): Sessions {
  const sessions = new WeakMap<Client, Session>();
  const subscribers = new Map<string, Map<Client, Qos>>();
  const devices = new Map<string, Set<Client>>();
  const principals = new Map<string, Set<Client>>();

  const send = (client: Client, topic: string, payload: string, qos: Qos, retain = false): void => {
    if (client.conn.destroyed) {
      counts.dropped.inc(); // cut off a moment ago
      return;
    }
    if (client.conn.writableLength > LIMITS.live_client_buffer_bytes) {
      counts.closed.inc({ reason: 'slow-reader' });
      counts.dropped.inc();
      cutOff(client, REASON.serverBusy);
      return;
    }
    counts.published.inc();
    client.publish({ cmd: 'publish', topic, payload, qos, retain, dup: false }, (error) => {
      if (error) logger.debug({ err: error }, 'an MQTT client went away while it was sent to');
    });
  };
  const forget = (client: Client, topic: string): void => {
    const clients = subscribers.get(topic);
    if (clients?.delete(client) !== true || clients.size > 0) return;
    subscribers.delete(topic);
    onTopic(topic, false);
  };

  return {
    of: (client) => sessions.get(client),
    ofDevice: (deviceId) => [...(devices.get(deviceId) ?? [])],
    ofPrincipal: (principalId) => [...(principals.get(principalId) ?? [])],
    open: (client, principal) => {
      const topics = new Map<string, Qos>();
      const tell: MqttPeer['tell'] = (topic, payload, retain) => {
        const qos = topics.get(topic);
        if (qos !== undefined) send(client, topic, payload, qos, retain);
      };
      sessions.set(client, { peer: { principal, tell }, topics });
      note(principals, principal.id, client);
      if (principal.device !== undefined) note(devices, principal.device.id, client);
    },
    close: (client) => {
      const session = sessions.get(client);
      if (session === undefined) return;
      for (const topic of session.topics.keys()) forget(client, topic);
      const { id, device } = session.peer.principal;
      drop(principals, id, client);
      if (device !== undefined) drop(devices, device.id, client);
    },
    subscribe: (client, topic, qos) => {
      const session = sessions.get(client);
      if (session === undefined) return undefined;
      session.topics.set(topic, qos);
      const clients = subscribers.get(topic);
      if (clients !== undefined) clients.set(client, qos);
      else {
        subscribers.set(topic, new Map([[client, qos]]));
        onTopic(topic, true);
      }
      return session.peer;
    },
    unsubscribe: (client, topic) => {
      sessions.get(client)?.topics.delete(topic);
      forget(client, topic);
    },
    publish: (topic, payload) => {
      for (const [client, qos] of subscribers.get(topic) ?? []) send(client, topic, payload, qos);
    },
  };
}

function note(clients: Map<string, Set<Client>>, id: string, client: Client): void {
  clients.set(id, (clients.get(id) ?? new Set<Client>()).add(client));
}

function drop(clients: Map<string, Set<Client>>, id: string, client: Client): void {
  const own = clients.get(id);
  if (own?.delete(client) === true && own.size === 0) clients.delete(id);
}

/** What came, what became of it, what went out: the sums must agree (received = taken + refused + cut + those under way). */
export function createCounts(metrics: Metrics) {
  const registers = [metrics];
  const outcomes = new Counter({ name: 'clerestory_mqtt_outcomes_total', help: 'What became of published messages: taken (durable), refused (acknowledged and explained), cut (not acknowledged)', labelNames: ['outcome'], registers });
  return {
    connections: new Gauge({ name: 'clerestory_mqtt_connections', help: 'Open MQTT connections', registers }),
    closed: new Counter({ name: 'clerestory_mqtt_closed_total', help: 'MQTT connections that the server closed', labelNames: ['reason'], registers }),
    received: new Counter({ name: 'clerestory_mqtt_received_total', help: 'Messages that MQTT clients published', registers }),
    outcomes: { taken: outcomes.labels('taken'), refused: outcomes.labels('refused'), cut: outcomes.labels('cut') },
    published: new Counter({ name: 'clerestory_mqtt_published_total', help: 'Messages sent to MQTT subscribers', registers }),
    dropped: new Counter({ name: 'clerestory_mqtt_dropped_total', help: 'Messages not sent, because their subscriber did not read and was cut off', registers }),
  };
}
