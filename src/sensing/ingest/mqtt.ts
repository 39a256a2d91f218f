import type { Action, Principal } from '../../contracts/principal.ts';
import { REFUSALS, isoOf, statusOf, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import { createMqttBroker, type Logger, type Metrics, type MqttBroker, type MqttPeer } from '../../platform/index.ts';
import { describeRefusal } from '../error-shape.ts';
import type { Draft } from '../observations/draft.ts';
import type { ObservationRow } from '../observations/observation-row.ts';
import { parseExactJson } from './exact-json.ts';
import type { Ingest, Target } from './ingest.ts';
import type { Journal } from './journal.ts';
import { readId } from './observation-body.ts';

export interface MqttDeps {
  readonly ingest: Ingest;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** Entity JSON of an observation, as GET answers it. */
  readonly renderObservation: (row: ObservationRow) => unknown;
}

/** MQTT of 18-088 §14: publish to create observations, subscribe to get new ones. docs/reference/mqtt.md says it all. */
export interface MqttDoor {
  readonly broker: MqttBroker;
  /** Hands durable observations to the subscribers. */
  forward(drafts: readonly Draft[]): void;
}

const ALL = 'v1.1/Observations';
const OF_STREAM = /^v1\.1\/Datastreams\((\d{1,16})\)\/Observations$/;
/** Where a client hears why its own messages were refused. */
const REFUSED = '$refused';
const WAIT_ROUNDS = 3;

export async function openMqttDoor(deps: MqttDeps): Promise<MqttDoor> {
  const { ingest, journal, clock } = deps;

  const take = async (peer: MqttPeer, payload: Buffer, target: Target): Promise<Result<number>> => {
    const parsed = parseExactJson(payload);
    if (!parsed.ok) return parsed;
    let result: Result<number> = { ok: false, refusal: { code: 'http.overloaded', detail: 'The queue of readings is full.' } };
    // a full queue holds the socket: nothing more is read from it until there is room
    for (let round = 0; round < WAIT_ROUNDS && (await journal.whenRoom(1)); round += 1) {
      result = await ingest.takeOne(peer.principal, parsed.value, target);
      if (result.ok || result.refusal.code !== 'http.overloaded') break;
    }
    return result;
  };

  const broker = await createMqttBroker({
    logger: deps.logger,
    metrics: deps.metrics,
    authenticate: deps.authenticateToken,
    maySubscribe: (principal, topic) => topic === REFUSED || ((topic === ALL || OF_STREAM.test(topic)) && deps.authorize(principal, 'sensing.read')),
    onPublish: async (peer, topic, payload) => {
      const target = targetOf(topic);
      if (target === null || !deps.authorize(peer.principal, 'sensing.write')) return false;
      const result = await take(peer, payload, target);
      if (result.ok) return true;
      const { refusal } = result;
      if (statusOf(refusal) === 503) return false; // it comes again, unlike what is wrong in itself
      peer.tell(REFUSED, JSON.stringify({ topic, at: isoOf(clock.nowMs()), ...describeRefusal(refusal), cure: REFUSALS[refusal.code].cure }));
      return true;
    },
  });

  return {
    broker,
    forward: (drafts) => {
      const toAll = broker.hasSubscribers(ALL);
      for (const draft of drafts) {
        const topic = `v1.1/Datastreams(${draft.stream.id})/Observations`;
        const toStream = broker.hasSubscribers(topic);
        if (!toAll && !toStream) continue;
        const payload = JSON.stringify(deps.renderObservation(rowOf(draft)));
        if (toAll) broker.publish(ALL, payload);
        if (toStream) broker.publish(topic, payload);
      }
    },
  };
}

function targetOf(topic: string): Target | null {
  if (topic === ALL) return {};
  const datastreamId = readId(OF_STREAM.exec(topic)?.[1]);
  return datastreamId === null ? null : { datastreamId };
}

/** The row as a query would return it. */
function rowOf(draft: Draft): ObservationRow {
  const instant = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
  return {
    id: draft.id,
    datastream_id: draft.stream.id,
    phenomenon_start: new Date(draft.phenomenonMs),
    phenomenon_end: instant(draft.phenomenonEndMs),
    result_time: instant(draft.resultTimeMs),
    arrived: new Date(draft.arrivalMs),
    result_number: draft.value,
    result_json: draft.exact,
    extra: draft.extra === null ? null : (JSON.parse(draft.extra) as ObservationRow['extra']),
    valid: draft.valid,
  };
}
