import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { Aedes, type AedesOptions, type Client } from 'aedes';
import { WebSocketServer, createWebSocketStream } from 'ws';
import type { Principal } from '../contracts/principal.ts';
import { LIMITS, type Refusal } from '../kernel/index.ts';
import type { Logger } from './logger.ts';
import { Counter, Gauge, type Metrics } from './metrics.ts';

/** A connected and authenticated MQTT client. */
export interface MqttPeer {
  readonly principal: Principal;
  /** Sends to this client alone, if it has subscribed to `topic`. */
  tell(topic: string, payload: string): void;
}

export interface MqttOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly authenticate: (token: string) => Promise<Principal | Refusal>;
  /**
   * Takes a message. The acknowledgement (PUBACK, PUBREC) leaves when it resolves true; false closes the connection without
   * one, so that the sender sends again later.
   */
  readonly onPublish: (peer: MqttPeer, topic: string, payload: Buffer) => Promise<boolean>;
  readonly maySubscribe: (principal: Principal, topic: string) => boolean;
}

/** An MQTT 3.1.1 broker for publishers and subscribers of this server; it forwards nothing by itself. */
export interface MqttBroker {
  listen(options: { host: string; port: number }): Promise<{ port: number }>;
  /** MQTT over WebSocket at /mqtt of the HTTP server. */
  attachWebSocket(server: HttpServer): void;
  /** Whether anybody would get a message on `topic`. */
  hasSubscribers(topic: string): boolean;
  publish(topic: string, payload: string): void;
  close(): Promise<void>;
}

const CONNECT_PACKET_BYTES = 8_192;
const CONNECT_TIMEOUT_MS = 10_000;
const QOS2_IN_FLIGHT = 20;
const SUBSCRIPTIONS_PER_CLIENT = 1_000;
const CLOSE_GRACE_MS = 2_000;
const WRONG_CREDENTIAL = 4; // CONNACK return code, MQTT 3.1.1 §3.2.2.3
const SERVER_UNAVAILABLE = 3;

/**
 * Aedes acknowledges a message before it hands it on; here it is handed on by `authorizePublish`, which runs before the
 * acknowledgement, so nothing is left to do afterwards.
 */
class Broker extends Aedes {
  override publish(_packet: unknown, clientOrDone: unknown, done?: unknown): void {
    const callback = (typeof clientOrDone === 'function' ? clientOrDone : done) as ((error?: Error) => void) | undefined;
    callback?.();
  }
}

interface Session {
  readonly peer: MqttPeer;
  readonly topics: Map<string, 0 | 1 | 2>;
}

export async function createMqttBroker(options: MqttOptions): Promise<MqttBroker> {
  const { logger, metrics } = options;
  const connectionsMetric = new Gauge({ name: 'clerestory_mqtt_connections', help: 'Open MQTT connections', registers: [metrics] });
  const closedMetric = new Counter({ name: 'clerestory_mqtt_closed_total', help: 'MQTT connections that the server closed', labelNames: ['reason'], registers: [metrics] });
  const sessions = new WeakMap<Client, Session>();
  const subscribers = new Map<string, Map<Client, 0 | 1 | 2>>();
  const streams = new Set<Duplex>();
  let socketServer: Server | undefined;
  let webSockets: WebSocketServer | undefined;

  const send = (client: Client, topic: string, payload: string, qos: 0 | 1 | 2): void => {
    if (client.conn.writableLength > LIMITS.live_client_buffer_bytes) {
      closedMetric.inc({ reason: 'slow-reader' });
      client.conn.destroy();
      return;
    }
    client.publish({ cmd: 'publish', topic, payload, qos, retain: false, dup: false }, (error) => {
      if (error) logger.debug({ err: error }, 'an MQTT client went away while it was sent to');
    });
  };
  const forget = (client: Client, topic: string): void => {
    const clients = subscribers.get(topic);
    clients?.delete(client);
    if (clients?.size === 0) subscribers.delete(topic);
  };
  const sessionOf = (client: Client, principal: Principal): Session => {
    const topics = new Map<string, 0 | 1 | 2>();
    const peer: MqttPeer = {
      principal,
      tell: (topic, payload) => {
        const qos = topics.get(topic);
        if (qos !== undefined) send(client, topic, payload, qos);
      },
    };
    return { peer, topics };
  };

  const hooks: AedesOptions = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxInflightInbound: QOS2_IN_FLIGHT,
    preConnect: (_client, packet, done) => {
      // No session outlives its connection: queues for absent clients would grow without bound. CONNACK says so (session present 0).
      packet.clean = true;
      done(null, true);
    },
    authenticate: (client, _username, password, done) => {
      const refuse = (returnCode: number): void => {
        closedMetric.inc({ reason: returnCode === WRONG_CREDENTIAL ? 'wrong-credential' : 'fault' });
        done(Object.assign(new Error('the credential is not valid'), { returnCode }), false);
      };
      options.authenticate(password?.toString('utf8') ?? '').then(
        (principal) => {
          if ('code' in principal || principal.kind === 'anonymous') {
            refuse(WRONG_CREDENTIAL);
            return;
          }
          // client ids count within a credential, so that nobody ends another's connection by using its id
          (client as { id: string }).id = `${principal.id}/${client.id}`;
          sessions.set(client, sessionOf(client, principal));
          done(null, true);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'an MQTT credential could not be checked');
          refuse(SERVER_UNAVAILABLE);
        },
      );
    },
    authorizePublish: (client, packet, done) => {
      const session = client === null ? undefined : sessions.get(client);
      if (session === undefined || packet.topic.startsWith('$') || Buffer.byteLength(packet.topic) > LIMITS.mqtt_topic_bytes) {
        closedMetric.inc({ reason: 'topic' });
        done(new Error('publishing to this topic is not allowed'));
        return;
      }
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      packet.payload = EMPTY; // what is kept until a QoS 2 exchange ends needs no content
      packet.retain = false;
      options.onPublish(session.peer, packet.topic, payload).then(
        (isTaken) => {
          if (!isTaken) closedMetric.inc({ reason: 'not-taken' });
          done(isTaken ? null : new Error('the message was not taken'));
        },
        (error: unknown) => {
          logger.error({ err: error }, 'an MQTT message could not be taken');
          closedMetric.inc({ reason: 'fault' });
          done(new Error('the message was not taken'));
        },
      );
    },
    authorizeSubscribe: (client, subscription, done) => {
      const session = sessions.get(client);
      const allowed = session !== undefined && Buffer.byteLength(subscription.topic) <= LIMITS.mqtt_topic_bytes && session.topics.size < SUBSCRIPTIONS_PER_CLIENT && options.maySubscribe(session.peer.principal, subscription.topic);
      done(null, allowed ? subscription : null);
    },
  };
  const broker = new Broker(hooks);
  await broker.listen();
  broker.on('subscribe', (subscriptions, client) => {
    const session = sessions.get(client);
    for (const { topic, qos } of subscriptions) {
      if (session === undefined || (qos as number) === 128) continue; // 128: refused
      session.topics.set(topic, qos);
      const clients = subscribers.get(topic) ?? new Map<Client, 0 | 1 | 2>();
      subscribers.set(topic, clients.set(client, qos));
    }
  });
  broker.on('unsubscribe', (topics, client) => {
    for (const topic of topics) {
      sessions.get(client)?.topics.delete(topic);
      forget(client, topic);
    }
  });
  broker.on('clientError', (_client, error) => logger.debug({ err: error }, 'an MQTT client was cut off'));
  broker.on('connectionError', (_client, error) => logger.debug({ err: error }, 'an MQTT connection was cut off'));

  const accept = (stream: Duplex): void => {
    if (streams.size >= LIMITS.mqtt_connections) {
      closedMetric.inc({ reason: 'too-many' });
      stream.destroy();
      return;
    }
    streams.add(stream);
    connectionsMetric.set(streams.size);
    const client = broker.handle(limitPackets(stream, () => closedMetric.inc({ reason: 'packet-too-large' })));
    stream.once('close', () => {
      streams.delete(stream);
      connectionsMetric.set(streams.size);
      for (const topic of sessions.get(client)?.topics.keys() ?? []) forget(client, topic);
    });
  };

  return {
    listen: async ({ host, port }) => {
      const server = createServer({ noDelay: true, keepAlive: true }, accept);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          resolve();
        });
      });
      server.on('error', (error) => logger.error({ err: error }, 'the MQTT port failed'));
      socketServer = server;
      return { port: (server.address() as AddressInfo).port };
    },
    attachWebSocket: (server) => {
      const sockets = new WebSocketServer({ noServer: true, maxPayload: LIMITS.mqtt_packet_bytes, handleProtocols: (protocols) => (protocols.has('mqtt') ? 'mqtt' : false) });
      webSockets = sockets;
      server.on('upgrade', (request, socket, head) => {
        if (new URL(request.url ?? '/', 'http://localhost').pathname !== '/mqtt') {
          socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
          return;
        }
        sockets.handleUpgrade(request, socket, head, (webSocket) => {
          const stream = createWebSocketStream(webSocket);
          stream.on('error', (error) => logger.debug({ err: error }, 'an MQTT WebSocket was cut off'));
          accept(stream);
        });
      });
    },
    hasSubscribers: (topic) => subscribers.has(topic),
    publish: (topic, payload) => {
      for (const [client, qos] of subscribers.get(topic) ?? []) send(client, topic, payload, qos);
    },
    close: async () => {
      const served = socketServer === undefined ? undefined : new Promise<void>((resolve) => socketServer?.close(() => resolve()));
      webSockets?.close();
      const patience = setTimeout(() => streams.forEach((stream) => stream.destroy()), CLOSE_GRACE_MS);
      await new Promise<void>((resolve) => broker.close(resolve));
      for (const stream of streams) stream.destroy();
      await served;
      clearTimeout(patience);
    },
  };
}

const EMPTY = Buffer.alloc(0);

/**
 * Watches the packet lengths that a stream announces (MQTT 3.1.1 §2.2.3) and ends it at one that is too long, before
 * the parser would buffer it: a small limit until the first packet, which is CONNECT, is through.
 */
function limitPackets(stream: Duplex, onTooLarge: () => void): Duplex {
  const guard = createPacketGuard();
  const read = stream.read.bind(stream);
  // Aedes reads with read(null); watching here costs nothing but the walk over the headers
  stream.read = (size) => {
    const chunk = read(size) as Buffer | null;
    if (chunk !== null && !guard(chunk)) {
      onTooLarge();
      stream.destroy();
      return null;
    }
    return chunk;
  };
  return stream;
}

/** Called with each chunk of a connection; false at the first packet that is longer than allowed or has a malformed length. */
export function createPacketGuard(): (chunk: Buffer) => boolean {
  let skip_bytes = 0;
  let inLength = false;
  let length = 0;
  let shift = 0;
  let limit_bytes = CONNECT_PACKET_BYTES;
  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (skip_bytes > 0) {
        const step = Math.min(skip_bytes, chunk.length - at);
        skip_bytes -= step;
        at += step;
      } else if (!inLength) {
        inLength = true; // the byte of type and flags
        length = 0;
        shift = 0;
        at += 1;
      } else {
        const byte = chunk[at] as number;
        at += 1;
        length += (byte & 127) * 2 ** shift;
        shift += 7;
        if ((byte & 128) !== 0) {
          if (shift > 21) return false;
          continue;
        }
        if (length > limit_bytes) return false;
        limit_bytes = LIMITS.mqtt_packet_bytes;
        skip_bytes = length;
        inLength = false;
      }
    }
    return true;
  };
}
