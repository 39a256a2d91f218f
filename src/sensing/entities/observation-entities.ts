import type { Principal } from '../../contracts/principal.ts';
import { ok, refuse, type Refusal, type Result } from '../../kernel/index.ts';
import { refuseEntities } from '../devices/binding.ts';
import type { InlineEntities, MadeEntities } from '../ingest/index.ts';
import type { ObservationValues } from '../observations/index.ts';
import { NO_OPTIONS } from '../query/syntax.ts';
import { isObject, parseEntity, type BodyContext, type Mode, type ParsedEntity } from './body.ts';
import type { EntityStore, Parent, Written } from './entity-store.ts';
import { isStreamSet, modelOf, readId } from './model.ts';
import type { ReadStore } from './read-store.ts';
import type { Json, Renderer } from './render.ts';
import type { Row } from './windows.ts';

/** Where the address puts an observation, in the words of the ingest path. */
export interface ObservationTarget {
  readonly datastreamId?: number;
  readonly isMulti?: boolean;
  readonly anyKind?: boolean;
  readonly featureId?: number;
}

/** Observations as entities: created by the ingest path, corrected, and what they bring with them. */
export interface ObservationEntities {
  /** `anyKind` for a version that does not tell Datastreams and MultiDatastreams apart. */
  create(parent: Parent | null, body: unknown, principal: Principal, anyKind?: boolean): Promise<Result<{ readonly id: number }>>;
  update(id: number, body: unknown, mode: Exclude<Mode, 'create'>, principal: Principal): Promise<Result<{ readonly id: number }>>;
  /** Creates the new Datastream and FeatureOfInterest that an observation has inside (18-088 §10.2.1). */
  createInline(principal: Principal, inline: InlineEntities): Promise<Result<MadeEntities>>;
}

interface ObservationEntitiesDeps {
  readonly store: EntityStore;
  readonly reads: ReadStore;
  readonly renderer: Renderer;
  readonly isMulti: (datastreamId: number) => boolean;
  readonly contextOf: (mode: Mode, principal: Principal, current: BodyContext['current']) => BodyContext;
  readonly tell: (changes: Pick<Written, 'changes'>) => void;
  readonly undo: (written: Pick<Written, 'changes'>) => Promise<void>;
  readonly takeObservation: (principal: Principal, body: unknown, target: ObservationTarget) => Promise<Result<number>>;
  readonly admitObservation: ((datastreamId: number, isMulti: boolean, body: unknown) => Promise<Result<ObservationValues>>) | undefined;
}

export function createObservationEntities(deps: ObservationEntitiesDeps): ObservationEntities {
  const { store, reads, renderer, isMulti, contextOf, tell, undo } = deps;
  const model = modelOf('Observations');
  const missing = (id: number): Result<never> => refuse('sensing.no-such-entity', `There is no Observation ${String(id)}.`);

  return {
    create: async (parent, body, principal, anyKind = false) => {
      const target: ObservationTarget =
        parent === null ? {} : isStreamSet(parent.model.set) ? { datastreamId: parent.id, isMulti: isMulti(parent.id) } : { featureId: parent.id };
      const taken = await deps.takeObservation(principal, body, anyKind ? { ...target, anyKind } : target);
      return taken.ok ? ok({ id: taken.value }) : taken;
    },
    update: async (id, body, mode, principal) => {
      if (!isObject(body)) return refuse('sensing.entity-invalid', 'Observation must be a JSON object.', 'body');
      if (deps.admitObservation === undefined) return refuse('http.not-implemented', 'Observations cannot be corrected here.');
      const current = await reads.inSession((session) => session.readEntity(model, id, NO_OPTIONS));
      if (current === null) return missing(id);
      const { Datastream: plain, MultiDatastream: multi, ...sent } = Object.fromEntries(Object.entries(body).filter(([name]) => !model.api.control.isControl(name)));
      const stream = linkOf(plain, multi, current.row['datastream_id'] as number, isMulti);
      if ('code' in stream) return { ok: false, refusal: stream };
      const before = observationBody(renderer.entity(current), current.row);
      const base = mode === 'patch' ? before : { phenomenonTime: before['phenomenonTime'], FeatureOfInterest: before['FeatureOfInterest'] };
      const admitted = await deps.admitObservation(stream.id, stream.isMulti, { ...base, ...sent });
      if (!admitted.ok) return admitted;
      if (!(await store.correctObservation(id, stream.id, admitted.value, principal.pseudonym))) return missing(id);
      tell({ changes: [{ set: 'Observations', id, kind: 'updated', model }] });
      return ok({ id });
    },
    createInline: async (principal, { stream, feature }) => {
      const forbidden = refuseEntities(principal);
      if (forbidden !== null) return { ok: false, refusal: forbidden };
      const context = contextOf('create', principal, null);
      const parse = (name: 'Datastream' | 'MultiDatastream' | 'FeatureOfInterest', body: object): ParsedEntity => under(name, parseEntity(modelOf(name === 'FeatureOfInterest' ? 'FeaturesOfInterest' : `${name}s`), plainNumbers(body), context, 'Observations'));
      const parsed = [...(stream === null ? [] : [parse(stream.isMulti ? 'MultiDatastream' : 'Datastream', stream.body)]), ...(feature === null ? [] : [parse('FeatureOfInterest', feature)])];
      const written = await store.createTogether(parsed);
      tell(written);
      return ok({ datastreamId: stream === null ? undefined : written.ids[0], isMulti: stream?.isMulti ?? false, featureId: feature === null ? undefined : written.ids.at(-1), undo: () => undo(written) });
    },
  };
}

function linkOf(plain: unknown, multi: unknown, current: number, isMulti: (id: number) => boolean): { readonly id: number; readonly isMulti: boolean } | Refusal {
  const named = multi ?? plain;
  if (named === undefined) return { id: current, isMulti: isMulti(current) };
  const id = isObject(named) ? readId(named['@iot.id']) : null;
  const field = multi === undefined ? 'Datastream' : 'MultiDatastream';
  return typeof id === 'number' ? { id, isMulti: multi !== undefined } : { code: 'sensing.entity-invalid', detail: `It must be {"@iot.id": 1} of an existing ${field}.`, field };
}

/** An observation as it would be sent now, to be changed and admitted again. */
function observationBody(json: Json, { extra }: Row): Json {
  const feature = (extra as { feature?: number } | null)?.feature;
  const kept = Object.entries(json).filter(([name, value]) => !name.includes('@iot.') && value !== null);
  return { ...Object.fromEntries(kept), result: json['result'], ...(feature === undefined ? {} : { FeatureOfInterest: { '@iot.id': feature } }) };
}

const under = (path: string, entity: ParsedEntity): ParsedEntity => ({ ...entity, path: entity.path === '' ? path : `${path}.${entity.path}` });

/** Entities have plain numbers; only observations keep what was written. */
const plainNumbers = (body: object): unknown => JSON.parse(JSON.stringify(body)) as unknown;
