import type { Principal } from '../../contracts/principal.ts';
import { ok, refuse, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import { Counter, type Metrics } from '../../platform/index.ts';
import type { Gate, Trust } from '../../trust/index.ts';
import { currentChangeSet, isMadeHere } from '../change-set.ts';
import { refusalOf } from '../devices/binding.ts';
import type { Directory } from '../observations/directory.ts';
import type { Draft } from '../observations/draft.ts';
import type { Stream } from '../observations/stream.ts';
import { admit, isRefusal } from './admission.ts';
import { readDataArrays } from './data-array.ts';
import type { Journal } from './journal.ts';
import { readObservationBody, type InlineEntities, type ObservationBody } from './observation-body.ts';

/** Where the address of the request puts an observation. */
export interface Target {
  readonly datastreamId?: number;
  /** `datastreamId` is that of a MultiDatastream. */
  readonly isMulti?: boolean;
  /** The version of the API does not tell Datastreams and MultiDatastreams apart. */
  readonly anyKind?: boolean;
  readonly featureId?: number;
  /** The Datastream must belong to this Thing. */
  readonly thingId?: number;
  /** The sender's own id of the message; counts when the message has no phenomenonTime. */
  readonly clientId?: string;
}

/** Entities that one observation has brought with it. */
export interface MadeEntities {
  readonly datastreamId: number | undefined;
  readonly isMulti: boolean;
  readonly featureId: number | undefined;
  /** Takes them back when the observation is refused. */
  readonly undo: () => Promise<void>;
}

export interface Ingest {
  /** Takes one observation in entity form, with the new Datastream and FeatureOfInterest in it; its id once it is durable. */
  takeOne(principal: Principal, body: unknown, target: Target): Promise<Result<number>>;
  /** The same; the stored observation. */
  takeDraft(principal: Principal, body: unknown, target: Target): Promise<Result<Draft>>;
  /** Makes drafts of a change set durable: all of them, or none is acknowledged. */
  store(drafts: readonly Draft[]): Promise<Refusal | null>;
  /** Takes data arrays (18-088 §13.2): for every row its id once all are durable, or why it was refused. */
  takeDataArrays(principal: Principal, body: unknown): Promise<Result<(number | Refusal)[]>>;
  /** Takes observations that were sent inside a new Datastream or FeatureOfInterest; all of them or none. */
  takeMany(principal: Principal, target: Target, bodies: readonly unknown[]): Promise<Result<undefined>>;
  /** Checks an observation as if it came now, and stores nothing. */
  check(datastreamId: number, isMulti: boolean, body: unknown): Promise<Result<Draft>>;
}

export interface IngestDeps {
  readonly directory: Directory;
  readonly journal: Journal;
  readonly gate: Gate;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Creates what stands inside an observation (18-088 §10.2.1), all of it or nothing. */
  readonly createInline: (principal: Principal, inline: InlineEntities) => Promise<Result<MadeEntities>>;
}

const withClientId = (draft: Draft, clientId: string): Draft => ({ ...draft, clientId, extra: JSON.stringify({ ...(draft.extra === null ? {} : (JSON.parse(draft.extra) as object)), clientId }) });

/** Label of refusals that concern no registered Datastream. */
const NO_PURPOSE = 'none';

export function createIngest({ directory, journal, gate, purposes, clock, metrics, createInline }: IngestDeps): Ingest {
  const refusedMetric = new Counter({ name: 'clerestory_ingest_refused_total', help: 'Observations that were refused on arrival', labelNames: ['code'], registers: [metrics] });

  const note = (refusal: Refusal, purpose: string): Refusal => {
    refusedMetric.inc({ code: refusal.code });
    if (refusal.code.startsWith('gate.') || refusal.code.startsWith('purpose.')) gate.count(refusal.code, purpose);
    return refusal;
  };

  const resolveStream = async (id: number | undefined, isMulti: boolean, principal: Principal | null, target: Target): Promise<Stream | Refusal> => {
    const kind = isMulti ? 'MultiDatastream' : 'Datastream';
    if (id === undefined) return note({ code: 'gate.stream-unregistered', detail: 'The observation names no Datastream.', field: 'Datastream' }, NO_PURPOSE);
    const stream = directory.get(id) ?? (await findStream(id));
    if (stream === undefined || (stream.isMulti !== isMulti && target.anyKind !== true) || (target.thingId !== undefined && stream.info.thingId !== target.thingId)) {
      return note(target.datastreamId === undefined ? { code: 'gate.stream-unregistered', detail: `There is no ${kind} ${id}.`, field: kind } : { code: 'sensing.no-such-entity', detail: `There is no ${kind} ${id} at this address.`, field: kind }, NO_PURPOSE);
    }
    const { purpose } = stream.info;
    const unbound = principal?.device === undefined ? null : refusalOf(principal.device, id);
    if (unbound !== null) return note(unbound, purpose);
    if (!purposes.live(purpose)) return note({ code: purposes.get(purpose) === undefined ? 'purpose.unknown' : 'purpose.expired', detail: `The Datastream's purpose is ${purpose}.`, field: 'Datastream' }, purpose);
    if (principal?.purpose !== undefined && principal.purpose !== purpose) return note({ code: 'auth.forbidden', detail: `The credential is bound to another purpose than the Datastream's, ${purpose}.`, field: 'Datastream' }, purpose);
    // a change set may hold the Location itself: its features are made after the commit
    if (stream.featureId === null && stream.hasLocation && currentChangeSet() === undefined) await directory.ensureFeature(stream);
    return stream;
  };

  const findStream = (id: number): Promise<Stream | undefined> => {
    const changes = currentChangeSet();
    return changes !== undefined && (isMadeHere('Datastreams', id) || isMadeHere('MultiDatastreams', id)) ? directory.adopt(changes.trx, id) : directory.find(id);
  };

  const checkFeature = async (id: number | undefined): Promise<Refusal | null> =>
    id === undefined || isMadeHere('FeaturesOfInterest', id) || (await directory.hasFeature(id)) ? null : { code: 'sensing.no-such-entity', detail: `There is no FeatureOfInterest ${id}.`, field: 'FeatureOfInterest' };

  const draftOf = async (principal: Principal | null, { sent, datastreamId, isMulti }: ObservationBody, target: Target): Promise<Draft | Refusal> => {
    if (target.datastreamId !== undefined && datastreamId !== undefined && (datastreamId !== target.datastreamId || (isMulti !== (target.isMulti ?? false) && target.anyKind !== true))) return note({ code: 'http.invalid', detail: 'The body names another Datastream than the address.', field: isMulti ? 'MultiDatastream' : 'Datastream' }, NO_PURPOSE);
    const stream = await resolveStream(target.datastreamId ?? datastreamId, target.datastreamId === undefined ? isMulti : (target.isMulti ?? false), principal, target);
    if (isRefusal(stream)) return stream;
    const feature = target.featureId ?? sent.feature;
    const refusal = feature === undefined ? null : await checkFeature(feature);
    if (refusal !== null) return note(refusal, stream.info.purpose);
    const draft = admit(gate, stream, target.featureId === undefined ? sent : { ...sent, feature }, clock.nowMs());
    if (isRefusal(draft)) return note(draft, stream.info.purpose);
    return target.clientId === undefined || draft.hasOwnTime ? draft : withClientId(draft, target.clientId);
  };

  /** A body without new entities inside. */
  const readPlain = (body: unknown): Result<ObservationBody> => {
    const read = readObservationBody(body);
    return read.ok && read.value.inline !== null ? refuse('http.invalid', 'Here it must be a link to an existing one: {"@iot.id": 1}.', read.value.inline.feature === null ? 'Datastream' : 'FeatureOfInterest') : read;
  };

  const store = async (drafts: readonly Draft[]): Promise<Refusal | null> => {
    const refusal = await journal.append(drafts);
    if (refusal !== null) refusedMetric.inc({ code: refusal.code }, drafts.length);
    else gate.countAdmitted(drafts.length);
    return refusal;
  };

  const storeOrJoin = (drafts: readonly Draft[]): Promise<Refusal | null> => currentChangeSet()?.join(drafts) ?? store(drafts);

  const takeDraft: Ingest['takeDraft'] = async (principal, body, target) => {
    const read = readObservationBody(body);
    if (!read.ok) return { ok: false, refusal: note(read.refusal, NO_PURPOSE) };
    if (read.value.inline !== null) return takeWithEntities(principal, read.value, read.value.inline, target);
    const draft = await draftOf(principal, read.value, target);
    if (isRefusal(draft)) return { ok: false, refusal: draft };
    const refusal = await storeOrJoin([draft]);
    return refusal === null ? ok(draft) : { ok: false, refusal };
  };

  const takeWithEntities = async (principal: Principal, body: ObservationBody, inline: InlineEntities, target: Target): Promise<Result<Draft>> => {
    const settled = inline.stream !== null && target.datastreamId !== undefined ? 'Datastream' : inline.feature !== null && target.featureId !== undefined ? 'FeatureOfInterest' : null;
    if (settled !== null) return { ok: false, refusal: note({ code: 'http.invalid', detail: `The ${settled} is the one that the address names; leave it out.`, field: settled }, NO_PURPOSE) };
    const made = await createInline(principal, inline);
    if (!made.ok) return made;
    const { datastreamId, isMulti, featureId, undo } = made.value;
    const complete: ObservationBody = { ...body, ...(datastreamId === undefined ? {} : { datastreamId, isMulti }), sent: { ...body.sent, feature: featureId ?? body.sent.feature } };
    const draft = await draftOf(principal, complete, target);
    const refusal = isRefusal(draft) ? draft : await storeOrJoin([draft]);
    if (refusal === null && !isRefusal(draft)) return ok(draft);
    await undo();
    return { ok: false, refusal: refusal as Refusal };
  };

  return {
    takeOne: async (principal, body, target) => {
      const taken = await takeDraft(principal, body, target);
      return taken.ok ? ok(taken.value.id) : taken;
    },
    takeDraft,
    store,
    takeMany: async (principal, target, bodies) => {
      const drafts: Draft[] = [];
      for (const [at, body] of bodies.entries()) {
        const read = readPlain(body);
        const draft = read.ok ? await draftOf(principal, read.value, target) : note(read.refusal, NO_PURPOSE);
        if (isRefusal(draft)) return refuse(draft.code, draft.detail, `Observations.${at}.${draft.field ?? ''}`);
        drafts.push(draft);
      }
      const changes = currentChangeSet();
      if (changes !== undefined) changes.add(drafts);
      const refusal = changes !== undefined ? null : await store(drafts);
      return refusal === null ? ok(undefined) : { ok: false, refusal };
    },
    check: async (datastreamId, isMulti, body) => {
      const read = readPlain(body);
      if (!read.ok) return { ok: false, refusal: note(read.refusal, NO_PURPOSE) };
      const draft = await draftOf(null, read.value, { datastreamId, isMulti });
      return isRefusal(draft) ? { ok: false, refusal: draft } : ok(draft);
    },
    takeDataArrays: async (principal, body) => {
      const blocks = readDataArrays(body);
      if (!blocks.ok) return { ok: false, refusal: note(blocks.refusal, NO_PURPOSE) };
      const answers: (Draft | Refusal)[] = [];
      const drafts: Draft[] = [];
      const streams = await Promise.all(blocks.value.map((block) => resolveStream(block.datastreamId, block.isMulti, principal, {})));
      for (const [at, block] of blocks.value.entries()) {
        const stream = streams[at] as Stream | Refusal;
        if (isRefusal(stream)) {
          for (let left = block.rows.length; left > 0; left -= 1) answers.push(stream);
          continue;
        }
        const nowMs = clock.nowMs();
        for (const row of block.rows) {
          const sent = block.read(row);
          let answer = isRefusal(sent) ? sent : sent.feature === undefined ? null : await checkFeature(sent.feature);
          if (answer === null) {
            const draft = admit(gate, stream, sent as Exclude<typeof sent, Refusal>, nowMs);
            if (!isRefusal(draft)) {
              answers.push(draft);
              drafts.push(draft);
              continue;
            }
            answer = draft;
          }
          answers.push(note(answer, stream.info.purpose));
        }
      }
      const refusal = await storeOrJoin(drafts);
      if (refusal !== null) return { ok: false, refusal };
      return ok(answers.map((answer) => (isRefusal(answer) ? answer : answer.id)));
    },
  };
}
