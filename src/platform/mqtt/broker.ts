import { createServer, type AddressInfo, type Server } from 'node:net';
import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { Aedes, type AedesOptions, type Client } from 'aedes';
import { WebSocketServer, createWebSocketStream } from 'ws';
import type { Principal } from '../../contracts/principal.ts';
import { LIMITS, type Refusal } from '../../kernel/index.ts';
import type { Logger } from '../logger.ts';
import type { Metrics } from '../metrics.ts';
import { createCounts, createSessions, type MqttPeer } from './sessions.ts';
import { limitPackets } from './packet-guard.ts';
import { REASON, disconnectPacket, writeVersion5 } from './version-5.ts';

/**
 * What becomes of a message. `refused` is acknowledged, since it would come again for ever: with the reason in MQTT 5, which 3.1.1
 * has no place for. `cut` ends the connection without an acknowledgement, so that the sender sends again.
 */
export type PublishOutcome = { readonly kind: 'taken' } | { readonly kind: 'refused' | 'cut'; readonly reason: number; readonly text: string };

export interface MqttOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** `userName` is empty when none was sent. */
  readonly authenticate: (token: string, userName: string) => Promise<Principal | Refusal>;
  /** Takes a message. The acknowledgement (PUBACK, PUBREC) leaves when it resolves. */
  readonly onPublish: (peer: MqttPeer, topic: string, payload: Buffer) => Promise<PublishOutcome>;
  /** The SUBACK leaves when all topics of the packet are answered. */
  readonly maySubscribe: (principal: Principal, topic: string) => Promise<boolean>;
  /** After the SUBACK. */
  readonly onSubscribed: (peer: MqttPeer, topic: string) => void;
  /** The first subscriber of a topic came, or the last one left. */
  readonly onTopic: (topic: string, isWanted: boolean) => void;
}

/** An MQTT 3.1.1 and 5 broker for publishers and subscribers of this server; it forwards nothing by itself. */
export interface MqttBroker {
  listen(options: { host: string; port: number }): Promise<{ port: number }>;
  /** MQTT over WebSocket at /mqtt of the HTTP server; pages of other sites than this server and `publicHost` are refused (RFC 6455 §10.2). */
  attachWebSocket(server: HttpServer, publicHost: string): void;
  /** Ends the connections over WebSocket and takes no more. */
  closeWebSockets(): void;
  publish(topic: string, payload: string): void;
  /** Ends the connections of a device whose credential does not count any more. */
  disconnectDevice(deviceId: string): void;
  /** The same for the token of anybody. */
  disconnectPrincipal(principalId: string): void;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const QOS2_IN_FLIGHT = 100;
const SUBSCRIPTIONS_PER_CLIENT = 1_000;
const CLOSE_GRACE_MS = 2_000;
const VERSION_5 = 5;
const WRONG_CREDENTIAL = 4; // CONNACK return code, MQTT 3.1.1 §3.2.2.3
const SERVER_UNAVAILABLE = 3;
const REFUSED_QOS = 128; // SUBACK return code, MQTT 3.1.1 §3.9.3
const EMPTY = Buffer.alloc(0);

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

let assignedIds = 0;

/** What a connection of MQTT 5 needs beside that of 3.1.1. */
interface Version5 {
  readonly reasons: Map<number, { code: number; text: string }>;
  readonly unsubscribed: Map<number, number>;
  readonly disconnect: (reason: number) => void;
}

export async function createMqttBroker(options: MqttOptions): Promise<MqttBroker> {
  const { logger } = options;
  const counts = createCounts(options.metrics);
  const versions = new WeakMap<Client, Version5>();
  const sessions = createSessions({ counts, logger, onTopic: options.onTopic, cutOff: (client, reason) => cutOff(client, reason) });
  const streams = new Set<Duplex>();
  let socketServer: Server | undefined;
  let webSockets: WebSocketServer | undefined;

  const cutOff = (client: Client, reason: number): void => {
    versions.get(client)?.disconnect(reason);
    client.conn.destroy();
  };

  const cutRevoked = (clients: readonly Client[]): void => {
    for (const client of clients) {
      counts.closed.inc({ reason: 'revoked' });
      cutOff(client, REASON.notAuthorized);
    }
  };

  const hooks: AedesOptions = {
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxInflightInbound: QOS2_IN_FLIGHT,
    preConnect: (client, packet, done) => {
      // No session outlives its connection: queues for absent clients would grow without bound. CONNACK says so (session present 0).
      packet.clean = true;
      if ((packet.protocolVersion as number | undefined) === VERSION_5) versions.set(client, speakVersion5(client, packet as unknown as Connect5));
      done(null, true);
    },
    authenticate: (client, userName, password, done) => {
      const refuse = (returnCode: number): void => {
        counts.closed.inc({ reason: returnCode === WRONG_CREDENTIAL ? 'wrong-credential' : 'fault' });
        done(Object.assign(new Error('the credential is not valid'), { returnCode }), false);
      };
      options.authenticate(password?.toString('utf8') ?? '', typeof userName === 'string' ? userName : '').then(
        (principal) => {
          if ('code' in principal || principal.kind === 'anonymous') {
            refuse(WRONG_CREDENTIAL);
            return;
          }
          // client ids count within a credential, so that nobody ends another's connection by using its id
          (client as { id: string }).id = `${principal.id}/${client.id}`;
          sessions.open(client, principal);
          done(null, true);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'an MQTT credential could not be checked');
          refuse(SERVER_UNAVAILABLE);
        },
      );
    },
    authorizePublish: (client, packet, done) => {
      counts.received.inc();
      const session = client === null ? undefined : sessions.of(client);
      if (client === null || session === undefined || packet.topic.startsWith('$') || Buffer.byteLength(packet.topic) > LIMITS.mqtt_topic_bytes) {
        counts.closed.inc({ reason: 'topic' });
        if (client !== null) versions.get(client)?.disconnect(REASON.topicInvalid);
        done(new Error('publishing to this topic is not allowed'));
        return;
      }
      const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
      packet.payload = EMPTY; // what is kept until a QoS 2 exchange ends needs no content
      packet.retain = false;
      options.onPublish(session.peer, packet.topic, payload).then(
        (outcome) => {
          counts.outcomes[outcome.kind].inc();
          if (outcome.kind === 'cut') {
            counts.closed.inc({ reason: 'not-taken' });
            versions.get(client)?.disconnect(outcome.reason);
            done(new Error('the message was not taken'));
            return;
          }
          const { messageId } = packet as { messageId?: number };
          if (outcome.kind === 'refused' && packet.qos === 1 && messageId !== undefined) versions.get(client)?.reasons.set(messageId, { code: outcome.reason, text: outcome.text });
          done(null);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'an MQTT message could not be taken');
          counts.closed.inc({ reason: 'fault' });
          versions.get(client)?.disconnect(REASON.unspecified);
          done(new Error('the message was not taken'));
        },
      );
    },
    authorizeSubscribe: (client, subscription, done) => {
      const session = sessions.of(client);
      if (session === undefined || Buffer.byteLength(subscription.topic) > LIMITS.mqtt_topic_bytes || session.topics.size >= SUBSCRIPTIONS_PER_CLIENT) {
        done(null, null);
        return;
      }
      options.maySubscribe(session.peer.principal, subscription.topic).then(
        (isAllowed) => done(null, isAllowed ? subscription : null),
        (error: unknown) => {
          logger.error({ err: error }, 'an MQTT subscription could not be checked');
          done(null, null);
        },
      );
    },
  };
  const broker = new Broker(hooks);
  await broker.listen();
  broker.on('subscribe', (subscriptions, client) => {
    for (const { topic, qos } of subscriptions) {
      const peer = (qos as number) === REFUSED_QOS ? undefined : sessions.subscribe(client, topic, qos);
      if (peer !== undefined) options.onSubscribed(peer, topic);
    }
  });
  broker.on('unsubscribe', (topics, client) => {
    for (const topic of topics) sessions.unsubscribe(client, topic);
  });
  broker.on('clientError', (_client, error) => logger.debug({ err: error }, 'an MQTT client was cut off'));
  broker.on('connectionError', (_client, error) => logger.debug({ err: error }, 'an MQTT connection was cut off'));

  const accept = (stream: Duplex): void => {
    if (streams.size >= LIMITS.mqtt_connections) {
      counts.closed.inc({ reason: 'too-many' });
      stream.destroy();
      return;
    }
    streams.add(stream);
    counts.connections.set(streams.size);
    const client = broker.handle(limitPackets(stream, () => counts.closed.inc({ reason: 'packet-too-large' })));
    stream.once('close', () => {
      streams.delete(stream);
      counts.connections.set(streams.size);
      sessions.close(client);
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
    attachWebSocket: (server, publicHost) => {
      webSockets = acceptWebSockets(server, publicHost, accept, logger);
    },
    closeWebSockets: () => {
      webSockets?.close();
      for (const socket of webSockets?.clients ?? []) socket.terminate();
    },
    publish: (topic, payload) => sessions.publish(topic, payload),
    disconnectDevice: (deviceId) => cutRevoked(sessions.ofDevice(deviceId)),
    disconnectPrincipal: (principalId) => cutRevoked(sessions.ofPrincipal(principalId)),
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

/** Browsers say which page asks; other clients say nothing. */
function isOtherSite({ headers: { origin, host } }: IncomingMessage, publicHost: string): boolean {
  if (origin === undefined) return false;
  const from = URL.canParse(origin) ? new URL(origin).host : '';
  return from === '' || (from !== host && from !== publicHost);
}

function acceptWebSockets(server: HttpServer, publicHost: string, accept: (stream: Duplex) => void, logger: Logger): WebSocketServer {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LIMITS.mqtt_packet_bytes, handleProtocols: (protocols) => (protocols.has('mqtt') ? 'mqtt' : false) });
  server.on('upgrade', (request, socket, head) => {
    // the HTTP server has let go of the socket: a reset would have no listener, and the URL is as it was sent, so it may be none
    socket.on('error', (error) => logger.debug({ err: error }, 'a connection broke that asked for a WebSocket'));
    const refused = request.url?.split('?', 1)[0] !== '/mqtt' ? '404 Not Found' : isOtherSite(request, publicHost) ? '403 Forbidden' : null;
    if (refused !== null) {
      socket.once('finish', () => socket.destroy()).end(`HTTP/1.1 ${refused}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const stream = createWebSocketStream(webSocket);
      stream.on('error', (error) => logger.debug({ err: error }, 'an MQTT WebSocket was cut off'));
      accept(stream);
    });
  });
  return sockets;
}

interface Connect5 {
  protocolVersion: number;
  clientId: string;
}

/** Lets Aedes take a client of MQTT 5 for one of 3.1.1, while its parser goes on to read 5 and what it writes becomes 5. */
function speakVersion5(client: Client, packet: Connect5): Version5 {
  const assignedId = packet.clientId === '' ? `client-${String((assignedIds += 1))}` : null;
  if (assignedId !== null) packet.clientId = assignedId;
  const reasons = new Map<number, { code: number; text: string }>();
  const unsubscribed = new Map<number, number>();
  const take = <T>(from: Map<number, T>, id: number): T | undefined => {
    const found = from.get(id);
    from.delete(id);
    return found;
  };
  const writeAsIs = client.conn.write.bind(client.conn);
  writeVersion5(client.conn, { packet_bytes: LIMITS.mqtt_packet_bytes, receiveMaximum: QOS2_IN_FLIGHT, assignedId, reasonOf: (id) => take(reasons, id), topicCount: (id) => take(unsubscribed, id) ?? 1 });
  const { _parser: parser } = client as unknown as { _parser: { settings: object; prependListener(event: 'packet', handle: (packet: { cmd: string; messageId?: number; unsubscriptions?: readonly string[] }) => void): void } };
  parser.settings = { ...packet }; // mqtt-packet keeps the CONNECT packet itself, which is changed now
  packet.protocolVersion = 4;
  parser.prependListener('packet', ({ cmd, messageId, unsubscriptions }) => {
    if (cmd === 'unsubscribe' && messageId !== undefined) unsubscribed.set(messageId, unsubscriptions?.length ?? 1);
  });
  return { reasons, unsubscribed, disconnect: (reason) => void (client.conn.writable && writeAsIs(disconnectPacket(reason))) };
}
