import { setTimeout as sleep } from 'node:timers/promises';
import { CompiledQuery } from 'kysely';
import { Refused, type Clock } from '../../kernel/index.ts';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { currentChangeSet } from '../change-set.ts';
import { frag, join, raw, toStatement, type Fragment } from '../query/fragment.ts';
import type { ParsedEntity, ParsedLink } from './body.ts';
import { correctObservation, type ObservationValues, type Run } from '../observations/index.ts';
import { isStreamSet, storedSetOf, targetOf, type EntityModel, type NavigationModel, type SetName } from './model.ts';
import { requireFit } from '../v2/element-store.ts';
import { keepFormerFeature, releaseOthers } from '../v2/update-store.ts';
import { createElements } from './element-store.ts';
import { createPlacing } from './place-store.ts';
import { createRemoval, type Removal, type RemovalFigures } from './removal-store.ts';

/** A change that is durable. */
export interface EntityChange {
  readonly set: SetName;
  readonly id: number;
  readonly kind: 'created' | 'updated' | 'deleted';
}

/** A change as the writer knows it, in whatever version of the API it came. */
interface WrittenChange extends EntityChange {
  readonly model: EntityModel;
}

/** Observations that came with a new Datastream, MultiDatastream or FeatureOfInterest. */
interface InlineObservations {
  readonly target: { readonly datastreamId: number; readonly isMulti: boolean } | { readonly featureId: number };
  readonly observations: readonly unknown[];
  readonly path: string;
}

/** The entity that a new one belongs to. */
export interface Parent {
  readonly model: EntityModel;
  readonly navigation: NavigationModel;
  readonly id: number;
}

export interface Written {
  readonly id: number;
  readonly changes: readonly WrittenChange[];
  readonly inline: readonly InlineObservations[];
}

export interface EntityStore {
  /** Stores the entity and all that is inside it, or nothing. Throws `Refused` for links to what does not exist. */
  create(entity: ParsedEntity, parent: Parent | null): Promise<Written>;
  /** Stores several entities, or none of them; their ids in order. */
  createTogether(entities: readonly ParsedEntity[]): Promise<{ readonly ids: readonly number[]; readonly changes: readonly WrittenChange[] }>;
  /** Locks and reads the row, asks `parse` for what to change, and changes it. Null when there is none. */
  update(model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<Written | null>;
  /** Deletes the entity and what depends on it (18-088 Table 27). Null when there is none. */
  remove(model: EntityModel, id: number): Promise<Written | null>;
  /** Deletes those of the ids that exist and adds to `figures` what that takes; with `dryRun` it only counts. */
  removeTogether(model: EntityModel, ids: readonly number[], figures: RemovalFigures, seen: Set<number>, dryRun: boolean): Promise<Pick<Written, 'changes'>>;
  /** Adds or takes away one member of a relation with many on both sides; null when there is no such member to take away. */
  relate(act: 'link' | 'unlink', model: EntityModel, id: number, navigation: NavigationModel, memberId: number): Promise<Written | null>;
  /** Takes back what one request has created, with the default features that were made of its Locations meanwhile. */
  undo(changes: readonly WrittenChange[]): Promise<readonly WrittenChange[]>;
  /** Keeps what it was, with the pseudonym of who corrects it. False when there is none. */
  correctObservation(id: number, datastreamId: number, values: ObservationValues, pseudonym: string): Promise<boolean>;
}

/** Tells other processes of changes, in the transaction of the changes. */
export type Announce = (run: Run, changes: readonly EntityChange[]) => Promise<void>;

export function createEntityStore(handle: DatabaseHandle, clock: Clock, announce: Announce = async () => undefined): EntityStore {
  const inTransaction = async (act: (writer: Writer) => Promise<number | null>): Promise<Written | null> => {
    const writer = createWriter(clock);
    try {
      const perform = async (trx: Trx): Promise<number | null> => {
        const done = await act(writer.on(trx));
        if (done !== null && writer.changes.length > 0) await announce(writer.run, writer.changes);
        return done;
      };
      const set = currentChangeSet();
      const id = set === undefined ? await handle.db.transaction().execute(perform) : await perform(set.trx);
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
    createTogether: async (entities) => {
      const ids: number[] = [];
      const written = await inTransaction(async (writer) => {
        for (const entity of entities) ids.push(await writer.insert(entity, null));
        return 0;
      });
      return { ids, changes: written?.changes ?? [] };
    },
    update: (model, id, parse) => inTransaction((writer) => writer.update(model, id, parse)),
    remove: (model, id) => inTransaction(async (writer) => (await writer.remove(model, [id]))[0] ?? null),
    removeTogether: async (model, ids, figures, seen, dryRun) => {
      const written = await inTransaction(async (writer) => {
        await writer.count(model, ids, figures, seen);
        if (!dryRun) await writer.remove(model, ids);
        return 0;
      });
      return { changes: written?.changes ?? [] };
    },
    relate: (act, model, id, navigation, memberId) => inTransaction((writer) => writer.relate(act, model, id, navigation, memberId)),
    undo: async (done) => {
      const created = done.filter(({ kind }) => kind === 'created');
      const undone = await inTransaction(async (writer) => {
        await writer.removeMade(created.filter(({ set }) => set === 'Locations').map(({ id }) => id));
        for (const { model, id } of created.toReversed()) await writer.remove(model, [id]);
        return 0;
      });
      return undone?.changes ?? [];
    },
    correctObservation: async (id, datastreamId, values, pseudonym) => {
      let corrected = false;
      await inTransaction(async (writer) => {
        corrected = await correctObservation(writer.run, id, datastreamId, values, { atMs: clock.nowMs(), pseudonym });
        return 0;
      });
      return corrected;
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

const keptOf = (members: readonly ParsedLink[]): number[] => members.flatMap((member) => (member.kind === 'existing' ? [member.id] : []));

interface Writer {
  readonly changes: WrittenChange[];
  readonly inline: InlineObservations[];
  readonly run: Run;
  on(trx: Trx): Writer;
  insert(entity: ParsedEntity, parent: Parent | null): Promise<number>;
  update(model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<number | null>;
  relate(act: 'link' | 'unlink', model: EntityModel, id: number, navigation: NavigationModel, memberId: number): Promise<number | null>;
  readonly remove: Removal['remove'];
  readonly removeMade: Removal['removeMade'];
  readonly count: Removal['count'];
}

const TICK_MS = 1;
const TICKS = 5;

/**
 * The millisecond after this one. Readings arrive at whole milliseconds: what was acknowledged by now has arrived before it, and
 * what is sent after the answer has not. A clock that stands still is not waited for.
 */
async function nextMillisecond(clock: Clock): Promise<Date> {
  const startMs = clock.nowMs();
  for (let left = TICKS; left > 0 && clock.nowMs() === startMs; left -= 1) await sleep(TICK_MS);
  return new Date(clock.nowMs());
}

function createWriter(clock: Clock): Writer {
  const changes: WrittenChange[] = [];
  const inline: InlineObservations[] = [];
  let transaction: Trx | undefined;

  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    if (transaction === undefined) throw new Error('the writer has no transaction');
    const { text, parameters } = toStatement(fragment);
    return (await transaction.executeQuery<T>(CompiledQuery.raw(text, parameters))).rows;
  };
  const note = (model: EntityModel, id: number, kind: EntityChange['kind'], isList = false): void => void changes.push({ set: isList ? 'MultiDatastreams' : storedSetOf(model), id, kind, model });
  const ids = async (fragment: Fragment): Promise<number[]> => (await run<{ id: number }>(fragment)).map(({ id }) => id);

  let moved: Promise<Date> | undefined;
  const until = (): Promise<Date> => (moved ??= nextMillisecond(clock));
  const placing = createPlacing({ run, note, now: new Date(clock.nowMs()), until });

  // rows that this transaction has made or locked, so that a deep insert asks once for what it links a thousand times
  const held = new Set<string>();
  /** `moves` takes the stronger lock at once: two requests that both raise a weak one would wait for each other. */
  const requireExisting = async (target: EntityModel, id: number, path: string, moves = false): Promise<number> => {
    const key = `${moves ? 'moved' : 'kept'} ${target.table} ${String(id)}`;
    if (held.has(key) || (!moves && held.has(`moved ${target.table} ${String(id)}`))) return id;
    const found = await ids(frag`select id from ${raw(target.table)} where id = ${id}::bigint ${raw(moves ? 'for update' : 'for key share')}`);
    if (found.length === 0) throw new Refused({ code: 'sensing.entity-invalid', detail: `There is no ${target.name} ${String(id)}.`, field: path });
    held.add(key);
    return id;
  };
  const resolve = async (model: EntityModel, navigation: NavigationModel, link: ParsedLink): Promise<number> => {
    if (link.kind === 'new') return insert(link.entity, null);
    const target = targetOf(model, navigation);
    await requireExisting(target, link.id, link.path, link.change !== undefined || (navigation.target === 'Things' && !isStreamSet(model.set)));
    if (link.change !== undefined) await update(target, link.id, link.change);
    return link.id;
  };

  const insert = async (entity: ParsedEntity, parent: Parent | null): Promise<number> => {
    const { model, links } = entity;
    const columns = new Map(entity.columns);
    if (parent !== null) await requireExisting(parent.model, parent.id, parent.model.name, parent.model.set === 'Things' && !isStreamSet(model.set));
    if (parent?.navigation.foreignKey !== undefined) columns.set(parent.navigation.foreignKey, parent.id);
    for (const [navigation, [link]] of links) if (navigation.column !== undefined && link !== undefined) columns.set(navigation.column, await resolve(model, navigation, link));
    const elements = model.set === 'MultiDatastreams' || entity.references !== undefined ? await elementsOf(entity, parent) : null;
    if (elements !== null) columns.set('observed_property_id', elements[0]);
    if (elements !== null) for (const [name, value] of entity.references?.columns(elements) ?? []) columns.set(name, value);
    const names = [...columns.keys()];
    const values = [...columns.values()].map((value) => frag`${value as string}`);
    const [id] = await ids(frag`insert into ${raw(model.table)} (${raw(names.join(', '))}) values (${join(values, ', ')}) returning id`);
    if (id === undefined) throw new Error('an insert returned no id');
    note(model, id, 'created', entity.references?.isList);
    held.add(`moved ${model.table} ${String(id)}`);
    if (elements !== null) await setElements(id, elements, entity.path);
    if (entity.observations.length > 0) inline.push({ target: isStreamSet(model.set) ? { datastreamId: id, isMulti: entity.references?.isList ?? elements !== null } : { featureId: id }, observations: entity.observations, path: entity.path });
    for (const [navigation, members] of links) if (navigation.many && navigation.position === undefined) await setMembers(model, id, navigation, members);
    if (parent?.navigation.pair !== undefined && elements === null) await addToParent(parent, model, id);
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
      const target = targetOf(model, navigation);
      if (model.api.control.updatesDeep === true) for (const other of await releaseOthers(run, model, id, navigation, keptOf(members))) note(target, other, 'updated');
      for (const member of members) {
        if (member.kind === 'new') await insert(member.entity, { model, navigation, id });
        else {
          await requireExisting(target, member.id, member.path);
          await run(frag`update ${raw(target.table)} set ${raw(navigation.foreignKey)} = ${id}::bigint where id = ${member.id}::bigint`);
          note(target, member.id, 'updated');
          if (member.change !== undefined) await update(target, member.id, member.change);
        }
      }
      return;
    }
    const memberIds: number[] = [];
    for (const member of members) memberIds.push(await resolve(model, navigation, member));
    if (model.set === 'Things' && navigation.target === 'Locations') return placing.moveThing(id, memberIds);
    if (model.set === 'Locations' && navigation.target === 'Things') {
      const leaving = model.api.control.updatesDeep === true ? await ids(frag`select thing_id as id from thing_location where location_id = ${id}::bigint and thing_id <> all(${memberIds}::bigint[])`) : [];
      for (const thingId of leaving) await placing.moveThing(thingId, await ids(frag`select location_id as id from thing_location where thing_id = ${thingId}::bigint and location_id <> ${id}::bigint`));
      for (const thingId of memberIds) await placing.moveThing(thingId, [id]);
      return;
    }
    await run(frag`delete from ${raw(navigation.pair?.table ?? '')} where ${raw(navigation.pair?.own ?? '')} = ${id}::bigint`);
    await placing.pair(navigation, id, memberIds);
  };

  const update = async (model: EntityModel, id: number, parse: (current: Readonly<Record<string, unknown>>) => ParsedEntity): Promise<number | null> => {
    const [current] = await run<Record<string, unknown>>(frag`select * from ${raw(model.table)} where id = ${id}::bigint for update`);
    if (current === undefined) return null;
    const entity = parse(current);
    const { links } = entity;
    const columns = new Map(entity.columns);
    for (const [navigation, [link]] of links) if (navigation.column !== undefined && link !== undefined) columns.set(navigation.column, await resolve(model, navigation, link));
    const elements = entity.references !== undefined || [...links.keys()].some(({ position }) => position !== undefined) ? await elementsOf(entity, null) : null;
    if (elements !== null) columns.set('observed_property_id', elements[0]);
    if (entity.references !== undefined && elements !== null) {
      await requireFit(run, entity.references, current);
      for (const [name, value] of entity.references.columns(elements)) columns.set(name, value);
      await run(frag`delete from datastream_observed_property where datastream_id = ${id}::bigint`);
    }
    if (columns.has('feature_id')) await keepFormerFeature(run, id, columns.get('feature_id') as number | null, await until());
    if (model.set === 'Locations' && columns.has('location')) await placing.moveFeature(id, columns.get('location') as string);
    if (columns.size > 0) {
      const assignments = [...columns].map(([name, value]) => frag`${raw(name)} = ${value as string}`);
      await run(frag`update ${raw(model.table)} set ${join(assignments, ', ')} where id = ${id}::bigint`);
    }
    note(model, id, 'updated', (columns.get('multi') ?? current['multi'] ?? null) !== null);
    for (const [navigation, members] of links) if (navigation.many && navigation.position === undefined) await setMembers(model, id, navigation, members);
    if (elements !== null || columns.has('multi')) await setElements(id, elements, entity.path);
    return id;
  };

  const removal = createRemoval(run, note);
  const { elementsOf, setElements } = createElements(run, (model, navigation, member) => resolve(model, navigation, member));

  const relate: Writer['relate'] = async (act, model, id, navigation, memberId) => {
    const target = targetOf(model, navigation);
    const moves = model.set === 'Things' && navigation.target === 'Locations' ? { thing: id, location: memberId } : model.set === 'Locations' && navigation.target === 'Things' ? { thing: memberId, location: id } : null;
    await requireExisting(model, id, model.name, model.set === 'Things');
    await requireExisting(target, memberId, 'body', target.set === 'Things');
    const { table, own, other } = navigation.pair ?? { table: '', own: '', other: '' };
    const pair = frag`${raw(own)} = ${id}::bigint and ${raw(other)} = ${memberId}::bigint`;
    if (act === 'unlink' && (await ids(frag`select ${raw(other)} as id from ${raw(table)} where ${pair}`)).length === 0) return null;
    if (moves !== null) {
      const present = await ids(frag`select location_id as id from thing_location where thing_id = ${moves.thing}::bigint`);
      await placing.moveThing(moves.thing, act === 'link' ? [...present, moves.location] : present.filter((location) => location !== moves.location));
    } else if (act === 'link') await placing.pair(navigation, id, [memberId]);
    else await run(frag`delete from ${raw(table)} where ${pair}`);
    note(model, id, 'updated');
    return id;
  };

  const writer: Writer = {
    changes,
    inline,
    run,
    on: (trx) => {
      transaction = trx;
      return writer;
    },
    insert,
    update,
    relate,
    remove: removal.remove,
    removeMade: removal.removeMade,
    count: removal.count,
  };
  return writer;
}
