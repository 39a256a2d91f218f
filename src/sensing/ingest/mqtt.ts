import { ANONYMOUS, type Action, type Principal } from '../../contracts/principal.ts';
import { REFUSALS, Refused, isoOf, statusOf, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import { Counter, REASON, createMqttBroker, type Logger, type Metrics, type MqttBroker, type MqttPeer, type PublishOutcome } from '../../platform/index.ts';
import { describeRefusal } from '../error-shape.ts';
import type { EntityChange } from '../observations/directory.ts';
import type { Draft } from '../observations/draft.ts';
import { parseExactJson } from './exact-json.ts';
import type { Ingest, Target } from './ingest.ts';
import type { Journal } from './journal.ts';
import { readTopic, streamOf, type Topic } from './mqtt-topics.ts';
import { createUpdates, type UpdateApi, type Updates } from './mqtt-updates.ts';

/** One version of SensorThings; its topics begin with its root, such as `v1.1`. */
export interface MqttApi extends UpdateApi {
  /** Where an observation goes that is published under this address; throws `Refused` where none can be created. */
  readonly targetOf: (segments: readonly string[]) => Target;
  /** The body as the ingest path reads it; the same when it is left out. */
  readonly bodyOf?: (body: unknown) => unknown;
  /** Last part of the topics that create (23-019 §11.5); without it the topic of a set creates. */
  readonly createsUnder?: string;
  /** Creates an entity of any set from a message; `path` is the address of the set. Throws `Refused`. */
  readonly createEntity?: (path: string, payload: Buffer, principal: Principal) => Promise<Result<unknown>>;
}

export interface MqttDeps {
  readonly apis: readonly MqttApi[];
  readonly ingest: Pick<Ingest, 'takeOne'>;
  readonly journal: Pick<Journal, 'whenRoom'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  readonly hasLatest: (datastreamId: number) => boolean;
  /** Whether the purpose of the Datastream lets its observations out. */
  readonly mayShow: (datastreamId: number) => boolean;
  /** Hears whom MQTT denied what, for the record of decisions; `resource` holds no id and nothing that a client typed. */
  readonly noteDenied?: (principal: Principal, action: string, resource: string) => void;
  /** Takes messages of other topics, such as those of a LoRaWAN server; false when nobody wants them. */
  readonly onOtherTopic?: (principal: Principal, topic: string, payload: Buffer) => Promise<boolean>;
}

/** MQTT of 18-088 §14: publish to create observations, subscribe to what is new. docs/reference/mqtt.md says it all. */
export interface MqttDoor {
  readonly broker: MqttBroker;
  /** Hands durable observations to the subscribers. */
  forward(drafts: readonly Draft[]): void;
  noteChange(change: EntityChange): void;
  close(): Promise<void>;
}

/** Where a client hears why its own messages were refused. */
const REFUSED = '$refused';
const WAIT_ROUNDS = 3;

const TAKEN: PublishOutcome = { kind: 'taken' };
const cut = (reason: number, text: string): PublishOutcome => ({ kind: 'cut', reason, text });

export async function openMqttDoor(deps: MqttDeps): Promise<MqttDoor> {
  const { apis, ingest, journal, clock, logger, metrics } = deps;
  const dropped = new Counter({ name: 'clerestory_mqtt_updates_dropped_total', help: 'Updates for MQTT subscribers that were not sent', labelNames: ['reason'], registers: [metrics] });
  const topics = new Map<string, { readonly topic: Topic; readonly updates: Updates }>();

  const take = async (peer: MqttPeer, payload: Buffer, target: Target, { bodyOf }: MqttApi): Promise<Result<number>> => {
    const parsed = parseExactJson(payload);
    if (!parsed.ok) {
      peer.principal.device?.noteRefused(parsed.refusal.code, 1);
      return parsed;
    }
    const body = bodyOf === undefined ? parsed.value : bodyOf(parsed.value);
    let result: Result<number> = { ok: false, refusal: { code: 'http.overloaded', detail: 'The queue of readings is full.' } };
    // a full queue holds the socket: nothing more is read from it until there is room
    for (let round = 0; round < WAIT_ROUNDS && (await journal.whenRoom(1)); round += 1) {
      result = await ingest.takeOne(peer.principal, body, target);
      if (result.ok || result.refusal.code !== 'http.overloaded') break;
    }
    return result;
  };
  const explain = (peer: MqttPeer, topic: string, refusal: Refusal): PublishOutcome => {
    const { cure } = REFUSALS[refusal.code];
    peer.tell(REFUSED, JSON.stringify({ topic, at: isoOf(clock.nowMs()), ...describeRefusal(refusal), cure }));
    return { kind: 'refused', reason: reasonOf(refusal), text: `${refusal.field === undefined ? '' : `${refusal.field}: `}${refusal.detail} ${cure} (${refusal.code})` };
  };

  const roots = apis.map((door) => ({ door, prefix: `${door.api.root.slice(1)}/` }));
  /** The version of the API that a topic belongs to, and the address under its root. */
  const addressOf = (topic: string): { door: MqttApi; path: string } | null => {
    const found = roots.find(({ prefix }) => topic.startsWith(prefix));
    return found === undefined ? null : { door: found.door, path: topic.slice(found.prefix.length) };
  };

  const onPublish = async (peer: MqttPeer, topic: string, payload: Buffer): Promise<PublishOutcome> => {
    const { principal } = peer;
    if (!deps.authorize(principal, 'sensing.write')) return cut(REASON.notAuthorized, 'The credential may not write readings.');
    const found = addressOf(topic);
    if (found === null) {
      try {
        const isTaken = principal.device === undefined && (await deps.onOtherTopic?.(principal, topic, payload)) === true;
        return isTaken ? TAKEN : cut(REASON.topicInvalid, 'Nobody takes messages of this topic.');
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const [refusal] = error.refusals;
        return statusOf(refusal) === 503 ? cut(REASON.serverBusy, refusal.detail) : explain(peer, topic, refusal);
      }
    }
    const path = creationPathOf(found.door, found.path);
    const target = path === null ? null : targetOf(found.door, path);
    if (target === null && path !== null && found.door.createEntity !== undefined && principal.device === undefined) {
      try {
        const made = await found.door.createEntity(path, payload, principal);
        return made.ok ? TAKEN : explain(peer, topic, made.refusal);
      } catch (error) {
        if (error instanceof Refused) return explain(peer, topic, error.refusals[0]);
        throw error;
      }
    }
    if (target === null) return cut(REASON.topicInvalid, 'No observation can be created under this topic.');
    const { device } = principal;
    if (device?.state === 'active' && target.datastreamId !== undefined && !device.streams.has(target.datastreamId)) {
      device.noteRefused('device.stream-not-own', 1);
      return cut(REASON.notAuthorized, 'The device may not publish to this topic.');
    }
    try {
      const result = await take(peer, payload, target, found.door);
      if (result.ok) return TAKEN;
      // it comes again, unlike what is wrong in itself
      return statusOf(result.refusal) === 503 ? cut(REASON.serverBusy, result.refusal.detail) : explain(peer, topic, result.refusal);
    } catch (error) {
      if (error instanceof Refused) return explain(peer, topic, error.refusals[0]);
      throw error;
    }
  };

  const updatesOf = new Map<MqttApi, Updates>();
  const read = (text: string): { topic: Topic; door: MqttApi } | null => {
    const question = text.indexOf('?');
    const found = addressOf(question < 0 ? text : text.slice(0, question));
    const topic = found === null ? null : readTopic(found.door.api, text, found.path, question < 0 ? '' : text.slice(question + 1));
    return found === null || topic === null ? null : { topic, door: found.door };
  };
  const maySubscribe = async (principal: Principal, text: string): Promise<boolean> => {
    if (text === REFUSED) return true;
    const found = read(text);
    if (found === null || !deps.authorize(principal, 'sensing.read')) return false;
    const { topic, door } = found;
    const stream = streamOf(topic);
    if (topic.observations !== null && stream !== null && !deps.mayShow(stream)) return false;
    const { device } = principal;
    if (device !== undefined && (stream === null || !device.streams.has(stream) || topic.options.expand.length > 0)) return false;
    await updatesOf.get(door)?.prepare(topic);
    return true;
  };

  /** The topic without its ids, when it is one of the API's: what else a client types is in no record. */
  const kindOf = (text: string): string => (read(text) === null ? '(other topic)' : text.replace(/\?.*$/s, '').replace(/\([^)]*\)/g, '(:id)'));
  const denied = (principal: Principal, action: string, act: string, topic: string): void => deps.noteDenied?.(principal, action, `MQTT ${act}${topic === '' ? '' : ` ${kindOf(topic)}`}`);

  const broker = await createMqttBroker({
    logger,
    metrics,
    authenticate: async (token, userName) => {
      const principal = await deps.authenticateToken(token);
      if ('code' in principal) denied(ANONYMOUS, 'mqtt.connect', 'CONNECT', '');
      if ('code' in principal || principal.device === undefined) return principal;
      if (userName === principal.device.id) {
        principal.device.noteTaken(0); // seen
        return principal;
      }
      principal.device.noteRefused('device.name-different', 1);
      denied(principal, 'mqtt.connect', 'CONNECT', '');
      return { code: 'device.name-different', detail: 'The user name of CONNECT is another one.', field: 'username' };
    },
    maySubscribe: async (principal, text) => {
      const allowed = await maySubscribe(principal, text);
      if (!allowed) denied(principal, 'sensing.read', 'SUBSCRIBE', text);
      return allowed;
    },
    onPublish: async (peer, topic, payload) => {
      const outcome = await onPublish(peer, topic, payload);
      if (outcome.kind === 'cut' && outcome.reason === REASON.notAuthorized) denied(peer.principal, 'sensing.write', 'PUBLISH', topic);
      return outcome;
    },
    onTopic: (text, isWanted) => {
      if (!isWanted) {
        const known = topics.get(text);
        topics.delete(text);
        known?.updates.want(known.topic, false);
        return;
      }
      const found = read(text);
      const updates = found === null ? undefined : updatesOf.get(found.door);
      if (found === null || updates === undefined) return;
      topics.set(text, { topic: found.topic, updates });
      updates.want(found.topic, true);
    },
    onSubscribed: (peer, text) => {
      const known = topics.get(text);
      known?.updates.greet(peer, known.topic);
    },
  });
  for (const door of apis) updatesOf.set(door, createUpdates({ door, publish: (topic, payload) => broker.publish(topic, payload), logger, dropped, hasLatest: deps.hasLatest }));

  return {
    broker,
    forward: (drafts) => {
      if (topics.size === 0) return;
      for (const updates of updatesOf.values()) updates.forward(drafts);
    },
    noteChange: (change) => {
      if (topics.size === 0) return;
      for (const updates of updatesOf.values()) updates.noteChange(change);
    },
    close: async () => {
      await broker.close();
      for (const updates of updatesOf.values()) await updates.close();
    },
  };
}

/** The address of the set that a topic creates in; null when it creates nothing. */
function creationPathOf({ createsUnder }: MqttApi, path: string): string | null {
  if (createsUnder === undefined) return path;
  return path.endsWith(`/${createsUnder}`) ? path.slice(0, -createsUnder.length - 1) : null;
}

function targetOf(api: MqttApi, path: string): Target | null {
  const segments = path.split('/');
  if (segments.pop() !== 'Observations' || segments.length > 2) return null;
  try {
    return api.targetOf(segments);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** The reason code of MQTT 5 §3.4.2.1 that comes closest. */
function reasonOf({ code }: Refusal): number {
  if (code.startsWith('device.') || code.startsWith('auth.')) return REASON.notAuthorized;
  if (code.startsWith('gate.') || code.startsWith('http.') || code.startsWith('sensing.time')) return REASON.payloadInvalid;
  return REASON.implementation;
}
