import { CompiledQuery } from 'kysely';
import { Refused, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { frag, join, raw, toStatement, type Fragment } from '../query/fragment.ts';
import type { ParsedEntity, ParsedLink } from './body.ts';
import { findNavigation, modelOf, type EntityModel, type NavigationModel, type SetName } from './model.ts';
import { createPlacing } from './place-store.ts';

/** A change that is durable. */
export interface EntityChange {
  readonly set: SetName;
  readonly id: number;
  readonly kind: 'created' | 'updated' | 'deleted';
}

/** Observations that came with a new Datastream. */
interface InlineObservations {
  readonly datastreamId: number;
  readonly observations: readonly unknown[];
  readonly path: string;
}

/** The entity that a new one belongs to. */
export interface Parent {
  readonly model: EntityModel;
  readonly navigation: NavigationModel;
  readonly id: number;
}

/** What an observation is after a correction; the form in which the ingest path admits one. */
export interface ObservationValues {
  readonly phenomenonMs: number;
  /** NaN for an instant. */
  readonly phenomenonEndMs: number;
  /** NaN when there is none. */
  readonly resultTimeMs: number;
  readonly value: number | null;
  readonly exact: string | null;
  /** JSON text of the rare parts. */
  readonly extra: string | null;
  readonly valid: boolean;
}

export interface Written {
  readonly id: number;
  readonly changes: readonly EntityChange[];
  readonly inline: readonly InlineObservations[];
}

interface EntityStore {
  /** Stores the entity and all that is inside it, or nothing. Throws `Refused` for links to what does not exist. */
  create(entity: ParsedEntity, parent: Parent | null): Promise<Written>;
  /** Locks and reads the row, asks `parse` for what to change, and changes it. Null when there is none. */
  update(model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<Written | null>;
  /** Deletes the entity and what depends on it (18-088 Table 27). Null when there is none. */
  remove(model: EntityModel, id: number): Promise<Written | null>;
  /** Takes back what one request has created, with the default features that were made of its Locations meanwhile. */
  undo(changes: readonly EntityChange[]): Promise<readonly EntityChange[]>;
  correctObservation(id: number, datastreamId: number, values: ObservationValues): Promise<boolean>;
}

export function createEntityStore(handle: DatabaseHandle, clock: Clock): EntityStore {
  const inTransaction = async (act: (writer: Writer) => Promise<number | null>): Promise<Written | null> => {
    const writer = createWriter(clock.nowMs());
    try {
      const id = await handle.db.transaction().execute((trx) => act(writer.on(trx)));
      return id === null ? null : { id, changes: writer.changes, inline: writer.inline };
    } catch (error) {
      throw explain(error);
    }
  };
  return {
    create: async (entity, parent) => {
      const written = await inTransaction((writer) => writer.insert(entity, parent));
      if (written === null) throw new Error('a created entity has no id');
      return written;
    },
    update: (model, id, parse) => inTransaction((writer) => writer.update(model, id, parse)),
    remove: (model, id) => inTransaction((writer) => writer.remove(model, id)),
    undo: async (done) => {
      const created = done.filter(({ kind }) => kind === 'created');
      const undone = await inTransaction(async (writer) => {
        await writer.removeMade(created.filter(({ set }) => set === 'Locations').map(({ id }) => id));
        for (const { set, id } of created.toReversed()) await writer.remove(modelOf(set), id);
        return 0;
      });
      return undone?.changes ?? [];
    },
    correctObservation: async (id, datastreamId, values) => {
      const date = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
      const { text, parameters } = toStatement(
        frag`update observation set datastream_id = ${datastreamId}::bigint, phenomenon_start = ${date(values.phenomenonMs)}::timestamptz, phenomenon_end = ${date(values.phenomenonEndMs)}::timestamptz, result_time = ${date(values.resultTimeMs)}::timestamptz, result_number = ${values.value}::double precision, result_json = ${values.exact}::text, extra = ${values.extra}::jsonb, valid = ${values.valid}::boolean where id = ${id}::bigint`,
      );
      const { numAffectedRows } = await handle.db.executeQuery(CompiledQuery.raw(text, parameters));
      return numAffectedRows === 1n;
    },
  };
}

/** A linked entity that was deleted between the check and the commit. */
function explain(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === '23503') return new Refused({ code: 'sensing.entity-invalid', detail: 'A linked entity was deleted in the meantime.' });
  if (code === '40P01' || code === '40001') return new Refused({ code: 'http.conflict', detail: 'Another request changed the same entities at the same time.' });
  return error;
}

interface Writer {
  readonly changes: EntityChange[];
  readonly inline: InlineObservations[];
  on(trx: Trx): Writer;
  insert(entity: ParsedEntity, parent: Parent | null): Promise<number>;
  update(model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<number | null>;
  remove(model: EntityModel, id: number): Promise<number | null>;
  /** Removes the features that were made of the Locations. */
  removeMade(locationIds: readonly number[]): Promise<void>;
}

function createWriter(nowMs: number): Writer {
  const changes: EntityChange[] = [];
  const inline: InlineObservations[] = [];
  let transaction: Trx | undefined;

  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    if (transaction === undefined) throw new Error('the writer has no transaction');
    const { text, parameters } = toStatement(fragment);
    return (await transaction.executeQuery<T>(CompiledQuery.raw(text, parameters))).rows;
  };
  const note = (model: EntityModel, id: number, kind: EntityChange['kind']): void => void changes.push({ set: model.set, id, kind });
  const ids = async (fragment: Fragment): Promise<number[]> => (await run<{ id: number }>(fragment)).map(({ id }) => id);

  const placing = createPlacing({ run, note, now: new Date(nowMs) });

  /** `moves` takes the stronger lock at once: two requests that both raise a weak one would wait for each other. */
  const requireExisting = async (navigation: Pick<NavigationModel, 'target'>, id: number, path: string, moves = false): Promise<number> => {
    const target = modelOf(navigation.target);
    const found = await ids(frag`select id from ${raw(target.table)} where id = ${id}::bigint ${raw(moves ? 'for update' : 'for key share')}`);
    if (found.length === 0) throw new Refused({ code: 'sensing.entity-invalid', detail: `There is no ${target.name} ${String(id)}.`, field: path });
    return id;
  };
  const resolve = async (model: EntityModel, navigation: NavigationModel, link: ParsedLink): Promise<number> =>
    link.kind === 'existing' ? requireExisting(navigation, link.id, link.path, navigation.target === 'Things' && model.set !== 'Datastreams') : insert(link.entity, null);

  const insert = async (entity: ParsedEntity, parent: Parent | null): Promise<number> => {
    const { model, links } = entity;
    const columns = new Map(entity.columns);
    if (parent !== null) await requireExisting({ target: parent.model.set }, parent.id, parent.model.name, parent.model.set === 'Things' && model.set !== 'Datastreams');
    if (parent?.navigation.foreignKey !== undefined) columns.set(parent.navigation.foreignKey, parent.id);
    for (const [navigation, [link]] of links) if (navigation.column !== undefined && link !== undefined) columns.set(navigation.column, await resolve(model, navigation, link));
    const names = [...columns.keys()];
    const values = [...columns.values()].map((value) => frag`${value as string}`);
    const [id] = await ids(frag`insert into ${raw(model.table)} (${raw(names.join(', '))}) values (${join(values, ', ')}) returning id`);
    if (id === undefined) throw new Error('an insert returned no id');
    note(model, id, 'created');
    if (entity.observations.length > 0) inline.push({ datastreamId: id, observations: entity.observations, path: entity.path });
    for (const [navigation, members] of links) if (navigation.many) await setMembers(model, id, navigation, members);
    if (parent?.navigation.pair !== undefined) await addToParent(parent, model, id);
    if (model.set === 'HistoricalLocations') await placing.moveByHistory(id);
    return id;
  };

  /** A Location created under a Thing becomes where the Thing is; other pairs are added. */
  const addToParent = async (parent: Parent, model: EntityModel, id: number): Promise<void> => {
    if (parent.model.set === 'Things' && model.set === 'Locations') return placing.moveThing(parent.id, [id]);
    if (parent.model.set === 'Locations' && model.set === 'Things') return placing.moveThing(id, [parent.id]);
    await placing.pair(parent.navigation, parent.id, [id]);
  };
  const setMembers = async (model: EntityModel, id: number, navigation: NavigationModel, members: readonly ParsedLink[]): Promise<void> => {
    if (navigation.foreignKey !== undefined) {
      const target = modelOf(navigation.target);
      for (const member of members) {
        if (member.kind === 'new') await insert(member.entity, { model, navigation, id });
        else {
          await requireExisting(navigation, member.id, member.path);
          await run(frag`update ${raw(target.table)} set ${raw(navigation.foreignKey)} = ${id}::bigint where id = ${member.id}::bigint`);
          note(target, member.id, 'updated');
        }
      }
      return;
    }
    const memberIds: number[] = [];
    for (const member of members) memberIds.push(await resolve(model, navigation, member));
    if (model.set === 'Things' && navigation.target === 'Locations') return placing.moveThing(id, memberIds);
    if (model.set === 'Locations' && navigation.target === 'Things') {
      for (const thingId of memberIds) await placing.moveThing(thingId, [id]);
      return;
    }
    await run(frag`delete from ${raw(navigation.pair?.table ?? '')} where ${raw(navigation.pair?.own ?? '')} = ${id}::bigint`);
    await placing.pair(navigation, id, memberIds);
  };

  const update = async (model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<number | null> => {
    const [current] = await run<Record<string, unknown>>(frag`select * from ${raw(model.table)} where id = ${id}::bigint for update`);
    if (current === undefined) return null;
    const { columns: parsed, links } = parse(current);
    const columns = new Map(parsed);
    for (const [navigation, [link]] of links) if (navigation.column !== undefined && link !== undefined) columns.set(navigation.column, await resolve(model, navigation, link));
    if (columns.size > 0) {
      const assignments = [...columns].map(([name, value]) => frag`${raw(name)} = ${value as string}`);
      await run(frag`update ${raw(model.table)} set ${join(assignments, ', ')} where id = ${id}::bigint`);
    }
    note(model, id, 'updated');
    for (const [navigation, members] of links) if (navigation.many) await setMembers(model, id, navigation, members);
    return id;
  };

  const remove = async (model: EntityModel, id: number): Promise<number | null> => {
    const found = await ids(frag`select id from ${raw(model.table)} where id = ${id}::bigint${raw(model.set === 'Observations' ? '' : ' for update')}`);
    if (found.length === 0) return null;
    const streams = findNavigation(model, 'Datastreams');
    const streamIds = model.set === 'Datastreams' ? [id] : streams === undefined ? [] : await ids(frag`select id from datastream where ${raw(streams.foreignKey ?? '')} = ${id}::bigint for update`);
    // observations have no foreign keys: they would cost the ingest path a look-up a row
    if (streamIds.length > 0) await run(frag`delete from observation where datastream_id = any(${streamIds}::bigint[])`);
    const about = model.set === 'FeaturesOfInterest' ? findNavigation(model, 'Observations') : undefined;
    if (about !== undefined) await run(frag`delete from observation where ${about.link('observation', frag`${id}::bigint`)}`);
    if (model.set === 'Locations') {
      const movedIds = await ids(frag`select thing_id as id from thing_location where location_id = ${id}::bigint`);
      await run(frag`delete from historical_location where id in (select historical_location_id from historical_location_location where location_id = ${id}::bigint)`);
      for (const thingId of movedIds) note(modelOf('Things'), thingId, 'updated');
    }
    await run(frag`delete from ${raw(model.table)} where id = ${id}::bigint`);
    for (const streamId of streamIds) if (model.set !== 'Datastreams') note(modelOf('Datastreams'), streamId, 'deleted');
    note(model, id, 'deleted');
    return id;
  };

  const writer: Writer = {
    changes,
    inline,
    on: (trx) => {
      transaction = trx;
      return writer;
    },
    insert,
    update,
    remove,
    removeMade: async (locationIds) => {
      const featureIds = await ids(frag`select feature_id as id from location_feature where location_id = any(${locationIds}::bigint[])`);
      for (const id of featureIds) await remove(modelOf('FeaturesOfInterest'), id);
    },
  };
  return writer;
}
