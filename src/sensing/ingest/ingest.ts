import type { Principal } from '../../contracts/principal.ts';
import { ok, refuse, type Clock, type Refusal, type Result } from '../../kernel/index.ts';
import { Counter, type Metrics } from '../../platform/index.ts';
import type { Gate, Trust } from '../../trust/index.ts';
import type { Directory } from '../observations/directory.ts';
import type { Draft } from '../observations/draft.ts';
import type { Stream } from '../observations/stream.ts';
import { admit, isRefusal } from './admission.ts';
import { readDataArrays } from './data-array.ts';
import type { Journal } from './journal.ts';
import { readObservationBody } from './observation-body.ts';

/** Where the address of the request puts an observation. */
export interface Target {
  readonly datastreamId?: number;
  readonly featureId?: number;
  /** The Datastream must belong to this Thing. */
  readonly thingId?: number;
}

export interface Ingest {
  /** Takes one observation in entity form; its id once it is durable. */
  takeOne(principal: Principal, body: unknown, target: Target): Promise<Result<number>>;
  /** Takes data arrays (18-088 §13.2): for every row its id once all are durable, or why it was refused. */
  takeDataArrays(principal: Principal, body: unknown): Promise<Result<(number | Refusal)[]>>;
  /** Takes observations of one Datastream that were sent with it; all of them or none. */
  takeMany(datastreamId: number, bodies: readonly unknown[]): Promise<Result<number[]>>;
  /** Checks an observation as if it came now, and stores nothing. */
  check(datastreamId: number, body: unknown): Promise<Result<Draft>>;
}

export interface IngestDeps {
  readonly directory: Directory;
  readonly journal: Journal;
  readonly gate: Gate;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Label of refusals that concern no registered Datastream. */
const NO_PURPOSE = 'none';

export function createIngest({ directory, journal, gate, purposes, clock, metrics }: IngestDeps): Ingest {
  const refusedMetric = new Counter({ name: 'clerestory_ingest_refused_total', help: 'Observations that were refused on arrival', labelNames: ['code'], registers: [metrics] });

  const note = (refusal: Refusal, purpose: string): Refusal => {
    refusedMetric.inc({ code: refusal.code });
    if (refusal.code.startsWith('gate.') || refusal.code.startsWith('purpose.')) gate.count(refusal.code, purpose);
    return refusal;
  };

  const resolveStream = async (id: number | undefined, principal: Principal | null, target: Target): Promise<Stream | Refusal> => {
    if (id === undefined) return note({ code: 'gate.stream-unregistered', detail: 'The observation names no Datastream.', field: 'Datastream' }, NO_PURPOSE);
    const stream = directory.get(id) ?? (await directory.find(id));
    if (stream === undefined || (target.thingId !== undefined && stream.info.thingId !== target.thingId)) {
      return note(target.datastreamId === undefined ? { code: 'gate.stream-unregistered', detail: `There is no Datastream ${id}.`, field: 'Datastream' } : { code: 'sensing.no-such-entity', detail: `There is no Datastream ${id} at this address.`, field: 'Datastream' }, NO_PURPOSE);
    }
    const { purpose } = stream.info;
    if (!purposes.live(purpose)) return note({ code: purposes.get(purpose) === undefined ? 'purpose.unknown' : 'purpose.expired', detail: `The Datastream's purpose is ${purpose}.`, field: 'Datastream' }, purpose);
    if (principal?.purpose !== undefined && principal.purpose !== purpose) return note({ code: 'auth.forbidden', detail: `The credential is bound to another purpose than the Datastream's, ${purpose}.`, field: 'Datastream' }, purpose);
    if (stream.featureId === null && stream.hasLocation) await directory.ensureFeature(stream);
    return stream;
  };

  const checkFeature = async (id: number | undefined): Promise<Refusal | null> =>
    id === undefined || (await directory.hasFeature(id)) ? null : { code: 'sensing.no-such-entity', detail: `There is no FeatureOfInterest ${id}.`, field: 'FeatureOfInterest' };

  const draftOf = async (principal: Principal | null, body: unknown, target: Target): Promise<Draft | Refusal> => {
    const read = readObservationBody(body);
    if (!read.ok) return note(read.refusal, NO_PURPOSE);
    const { sent, datastreamId } = read.value;
    if (target.datastreamId !== undefined && datastreamId !== undefined && datastreamId !== target.datastreamId) return note({ code: 'http.invalid', detail: 'The body names another Datastream than the address.', field: 'Datastream' }, NO_PURPOSE);
    const stream = await resolveStream(target.datastreamId ?? datastreamId, principal, target);
    if (isRefusal(stream)) return stream;
    const feature = target.featureId ?? sent.feature;
    const refusal = feature === undefined ? null : await checkFeature(feature);
    if (refusal !== null) return note(refusal, stream.info.purpose);
    const draft = admit(gate, stream, target.featureId === undefined ? sent : { ...sent, feature }, clock.nowMs());
    return isRefusal(draft) ? note(draft, stream.info.purpose) : draft;
  };

  const store = async (drafts: readonly Draft[]): Promise<Refusal | null> => {
    const refusal = await journal.append(drafts);
    if (refusal !== null) refusedMetric.inc({ code: refusal.code }, drafts.length);
    else gate.countAdmitted(drafts.length);
    return refusal;
  };

  return {
    takeOne: async (principal, body, target) => {
      const draft = await draftOf(principal, body, target);
      if (isRefusal(draft)) return { ok: false, refusal: draft };
      const refusal = await store([draft]);
      return refusal === null ? ok(draft.id) : { ok: false, refusal };
    },
    takeMany: async (datastreamId, bodies) => {
      const drafts: Draft[] = [];
      for (const [at, body] of bodies.entries()) {
        const draft = await draftOf(null, body, { datastreamId });
        if (isRefusal(draft)) return refuse(draft.code, draft.detail, `Observations.${at}.${draft.field ?? ''}`);
        drafts.push(draft);
      }
      const refusal = await store(drafts);
      return refusal === null ? ok(drafts.map((draft) => draft.id)) : { ok: false, refusal };
    },
    check: async (datastreamId, body) => {
      const draft = await draftOf(null, body, { datastreamId });
      return isRefusal(draft) ? { ok: false, refusal: draft } : ok(draft);
    },
    takeDataArrays: async (principal, body) => {
      const blocks = readDataArrays(body);
      if (!blocks.ok) return { ok: false, refusal: note(blocks.refusal, NO_PURPOSE) };
      const answers: (Draft | Refusal)[] = [];
      const drafts: Draft[] = [];
      const streams = await Promise.all(blocks.value.map((block) => resolveStream(block.datastreamId, principal, {})));
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
      const refusal = await store(drafts);
      if (refusal !== null) return { ok: false, refusal };
      return ok(answers.map((answer) => (isRefusal(answer) ? answer : answer.id)));
    },
  };
}
