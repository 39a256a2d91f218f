import { MEASURE_KINDS, type Device, type DeviceAct, type DeviceCredential, type DeviceList, type MeasureKind, type NewDevice } from '../../contracts/device.ts';
import type { Principal } from '../../contracts/principal.ts';
import type { Reading, StreamInfo } from '../../contracts/reading.ts';
import { LIMITS, isoOf, newId, ok, refuse, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Trust } from '../../trust/index.ts';
import type { Entities } from '../entities/index.ts';
import { deviceMachine, type DeviceEvent } from './device.ts';
import type { DeviceRow, DeviceStore, RefusalRow } from './device-store.ts';
import type { DeviceRegister } from './register.ts';

export interface DevicesDeps {
  readonly store: DeviceStore;
  readonly register: DeviceRegister;
  readonly clock: Clock;
  readonly random: Random;
  readonly tokens: Trust['deviceTokens'];
  readonly entities: Pick<Entities, 'createEntity' | 'removeEntity'>;
  readonly streams: () => ReadonlyMap<number, StreamInfo>;
  /** Resolves when `streams` knows every change that is committed. */
  readonly settled: () => Promise<void>;
  readonly latest: (datastreamId: number) => Reading | undefined;
  readonly publicUrl: () => string;
  readonly mqttUrl: () => string | undefined;
  /** Does in one transaction what is done inside, or nothing of it. */
  readonly together: <T>(act: () => Promise<Result<T>>) => Promise<Result<T>>;
}

/** Acts of the staff on devices. */
export interface Devices {
  list(search: string): Promise<DeviceList>;
  find(id: string): Promise<Result<Device>>;
  /** Adds all of them or none. The tokens are in the answer only. */
  add(wanted: readonly NewDevice[], principal: Principal): Promise<Result<DeviceCredential[]>>;
  /** Gives a new token; the old one ends at once, and with it the connections that it opened. */
  rotate(id: string): Promise<Result<DeviceCredential>>;
  act(id: string, act: DeviceAct): Promise<Result<Device>>;
  /** Takes back a device that has no readings, with all that was made for it. */
  remove(id: string): Promise<Result<null>>;
}

interface Made {
  readonly id: string;
  readonly thingId: number;
  readonly tokenId: string;
  readonly token: string;
}

export function createDevices(deps: DevicesDeps): Devices {
  const { store, register, clock, random, tokens, entities } = deps;
  const missing = (id: string) => refuse('device.not-found', `There is no device ${JSON.stringify(id.slice(0, 64))}.`, 'id');

  const show = (row: DeviceRow, refusals: readonly RefusalRow[]): Device => {
    const unsaved = register.unsavedOf(row.id);
    const refused = new Map(refusals.filter(({ device_id }) => device_id === row.id).map(({ code, count, last_at }) => [code, { code, count, lastAt: last_at.toISOString() }]));
    for (const [code, count] of unsaved.refused) refused.set(code, { code, count: (refused.get(code)?.count ?? 0) + count, lastAt: isoOf(unsaved.seenMs) });
    const seenMs = Math.max(row.last_seen_at?.getTime() ?? 0, unsaved.seenMs);
    return {
      id: row.id,
      name: row.name,
      thingId: row.thing_id,
      purpose: row.purpose,
      state: row.state,
      stateReason: row.state_reason,
      stateAt: row.state_at.toISOString(),
      createdAt: row.created_at.toISOString(),
      lastSeenAt: seenMs === 0 ? null : isoOf(seenMs),
      taken: row.taken + unsaved.taken,
      perMinute: unsaved.perMinute,
      refused: [...refused.values()].sort((a, b) => b.count - a.count),
      streams: row.streams.map((id) => {
        const info = deps.streams().get(id);
        const newest = deps.latest(id);
        return { id, name: info?.name ?? '', unit: info?.unit ?? '', lastAt: newest === undefined ? null : isoOf(newest.phenomenonMs), lastValue: newest?.value ?? null };
      }),
    };
  };
  const find = async (id: string): Promise<Result<Device>> => {
    const row = await store.find(id);
    return row === undefined ? missing(id) : ok(show(row, await store.refusalsOf([id])));
  };

  const credentialOf = async (id: string, token: string): Promise<Result<DeviceCredential>> => {
    await deps.settled();
    const found = await find(id);
    if (!found.ok) return found;
    return ok({ device: found.value, token, ...linesToTry(found.value, token, exampleOf(found.value.streams[0]?.id), deps) });
  };
  const exampleOf = (streamId: number | undefined): number | boolean => {
    const property = streamId === undefined ? undefined : deps.streams().get(streamId)?.property;
    return MEASURE_KINDS.find(({ key }) => key === property)?.example ?? 1;
  };

  const make = async (wanted: NewDevice, properties: Map<string, number>, principal: Principal): Promise<Result<Made>> => {
    const id = newId<string>('dev', clock.nowMs(), random);
    const kinds = wanted.measures.map((key) => MEASURE_KINDS.find((known) => known.key === key)).filter((known) => known !== undefined);
    for (const measure of kinds) {
      if (properties.has(measure.key)) continue;
      const created = await entities.createEntity('ObservedProperties', { name: measure.title, definition: measure.definition, description: measure.title, properties: { key: measure.key } }, principal);
      if (!created.ok) return created;
      properties.set(measure.key, created.value.id);
    }
    const thing = await entities.createEntity('Things', thingOf(id, wanted, kinds, properties), principal);
    if (!thing.ok) return thing;
    const { id: tokenId, token } = tokens.mintForDevice(id);
    return ok({ id, thingId: thing.value.id, tokenId, token });
  };
  /** The Things and the devices, in the transaction of the caller. */
  const makeAll = async (wanted: readonly NewDevice[], principal: Principal): Promise<Result<Made[]>> => {
    const properties = new Map(await store.observedProperties([...new Set(wanted.flatMap(({ measures }) => measures))]));
    const made: Made[] = [];
    for (const [at, one] of wanted.entries()) {
      const result = await make(one, properties, principal);
      if (!result.ok) return wanted.length === 1 ? result : refuse(result.refusal.code, result.refusal.detail, `${String(at)}.${result.refusal.field ?? ''}`);
      made.push(result.value);
    }
    const now = new Date(clock.nowMs());
    const streams: (readonly number[])[] = [];
    for (const { thingId } of made) streams.push(await store.streamsOfThing(thingId));
    await store.insert(made.map(({ id, thingId, tokenId }, at) => ({ id, name: wanted[at]?.name ?? '', thing_id: thingId, purpose: wanted[at]?.purpose ?? '', token_id: tokenId, created_at: now, created_by: principal.pseudonym, streams: streams[at] ?? [] })));
    return ok(made);
  };
  // each holds a connection while it asks with others
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const mine = turn.then(act);
    turn = mine.catch(() => undefined); // whoever waits for this turn hears of it; the next one begins anyway
    return mine;
  };
  const unmake = async (thingId: number): Promise<void> => {
    const { locations, sensors } = await store.partsOfThing(thingId);
    const parts = [['Things', [thingId]], ['Locations', locations], ['Sensors', sensors]] as const;
    for (const [set, ids] of parts) {
      for (const id of ids) {
        const removed = await entities.removeEntity(set, id);
        if (!removed.ok && removed.refusal.code !== 'sensing.no-such-entity') throw new Error(`${set}(${String(id)}) could not be removed: ${removed.refusal.detail}`);
      }
    }
  };

  return {
    list: async (search) => {
      const rows = await store.list(search, LIMITS.page_rows);
      const refusals = await store.refusalsOf(rows.map(({ id }) => id));
      const byDevice = Map.groupBy(refusals, ({ device_id }) => device_id);
      return { asOf: isoOf(clock.nowMs()), devices: rows.map((row) => show(row, byDevice.get(row.id) ?? [])), unknownSenders: register.unknownSenders() };
    },
    find,
    add: async (wanted, principal) => {
      const made = await inTurn(() => deps.together(() => makeAll(wanted, principal)));
      if (!made.ok) return made;
      const credentials: DeviceCredential[] = [];
      for (const { id, token } of made.value) {
        await register.reload(id);
        const credential = await credentialOf(id, token);
        if (!credential.ok) return credential;
        credentials.push(credential.value);
      }
      return ok(credentials);
    },
    rotate: async (id) => {
      const before = await store.find(id);
      if (before === undefined) return missing(id);
      const { id: tokenId, token } = tokens.mintForDevice(id);
      if (!(await store.setToken(id, tokenId))) return refuse('device.act-not-allowed', 'A revoked device gets no new token; add it again.', 'id');
      if (before.token_id !== null) await tokens.revoke(before.token_id);
      await register.reload(id);
      return credentialOf(id, token);
    },
    act: async (id, { act, reason }) => {
      const before = await store.find(id);
      if (before === undefined) return missing(id);
      const next = deviceMachine.next(before.state, act satisfies DeviceEvent);
      if (next === null) return refuse('device.act-not-allowed', `The device is ${before.state}.`, 'act');
      const why = act === 'release' ? null : (reason ?? (act === 'revoke' ? 'Revoked by hand.' : 'Put there by hand.'));
      if (!(await store.setState(id, before.state, next, why, new Date(clock.nowMs())))) return refuse('http.conflict', 'Its state was changed at the same moment.', 'act');
      if (next === 'revoked' && before.token_id !== null) await tokens.revoke(before.token_id);
      if (act === 'release') register.forgive(id);
      await register.reload(id);
      return find(id);
    },
    remove: async (id) => {
      const row = await store.find(id);
      if (row === undefined) return missing(id);
      if (await store.hasReadings(row.streams)) return refuse('device.act-not-allowed', 'It has sent readings, which are kept. Revoke it instead.', 'id');
      if (row.token_id !== null) await tokens.revoke(row.token_id);
      const { thing_id: thingId } = row;
      const removed = await inTurn(() =>
        deps.together(async () => {
          if (thingId !== null) await unmake(thingId);
          await store.remove(id);
          return ok(null);
        }),
      );
      await register.reload(id);
      return removed;
    },
  };
}

/** The Thing with its Location and Datastreams, as one deep insert (18-088 §10.2.1). */
function thingOf(deviceId: string, { name, point, purpose, interval_s, kind }: NewDevice, kinds: readonly MeasureKind[], properties: ReadonlyMap<string, number>): unknown {
  return {
    name,
    description: `Measures ${kinds.map(({ title }) => title.toLowerCase()).join(', ')}.`,
    properties: { kind, device: deviceId },
    Locations: [{ name, description: `Where ${name} stands`, encodingType: 'application/geo+json', location: { type: 'Point', coordinates: point } }],
    Datastreams: kinds.map(({ key, title, unit, observationType, bounds }) => ({
      name: title,
      description: `${title} of ${name}`,
      observationType,
      unitOfMeasurement: unit,
      properties: { purpose, interval_s, ...(bounds === null ? {} : { min: bounds[0], max: bounds[1] }) },
      ObservedProperty: { '@iot.id': properties.get(key) },
      Sensor: { name, description: `Sensor for ${title.toLowerCase()}`, encodingType: 'text/html', metadata: '' },
    })),
  };
}

/** Lines for a shell that send one reading, over HTTP and over MQTT. */
export function linesToTry(device: Device, token: string, example: number | boolean, { publicUrl, mqttUrl }: Pick<DevicesDeps, 'publicUrl' | 'mqttUrl'>): { curl: string; mosquitto: string } {
  const path = `v1.1/Datastreams(${String(device.streams[0]?.id ?? 0)})/Observations`;
  const body = JSON.stringify({ result: example });
  const { hostname, port } = new URL(mqttUrl() ?? 'mqtt://localhost:1883');
  return {
    curl: `curl -X POST '${publicUrl()}/${path}' -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '${body}'`,
    mosquitto: `mosquitto_pub -h ${hostname} -p ${port === '' ? '1883' : port} -u ${device.id} -P ${token} -q 1 -t '${path}' -m '${body}'`,
  };
}
