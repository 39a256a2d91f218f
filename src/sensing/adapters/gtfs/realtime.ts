import { Refused } from '../../../kernel/index.ts';
import { messageOf, messagesOf, readProtobuf, signedOf, stringOf, unsignedOf, type ProtobufFields } from '../protobuf.ts';

/** Field numbers and enumerations are those of gtfs-realtime.proto 2.0 (gtfs.org/documentation/realtime/proto). */
export interface RealtimeTrip {
  readonly tripId?: string;
  readonly routeId?: string;
  readonly directionId?: number;
  readonly startTime?: string;
  readonly startDate?: string;
  readonly scheduleRelationship?: string;
}

export interface RealtimeEvent {
  /** Seconds late; negative is early. */
  readonly delay?: number;
  /** POSIX seconds. */
  readonly time?: number;
  readonly uncertainty?: number;
}

export interface RealtimeCall {
  readonly stopSequence?: number;
  readonly stopId?: string;
  readonly arrival?: RealtimeEvent;
  readonly departure?: RealtimeEvent;
  readonly scheduleRelationship?: string;
}

export interface RealtimeTripUpdate {
  readonly trip: RealtimeTrip;
  readonly stopTimeUpdate: readonly RealtimeCall[];
  readonly timestamp?: number;
  readonly delay?: number;
}

export interface RealtimeAlert {
  readonly activePeriod: readonly { readonly start?: number; readonly end?: number }[];
  readonly informedEntity: readonly { readonly agencyId?: string; readonly routeId?: string; readonly routeType?: number; readonly trip?: RealtimeTrip; readonly stopId?: string; readonly directionId?: number }[];
  readonly cause: string;
  readonly effect: string;
  readonly severityLevel: string;
  /** In any language, as it came. */
  readonly header: readonly { readonly text: string; readonly language?: string }[];
}

export interface RealtimeEntity {
  readonly id: string;
  readonly isDeleted?: true;
  readonly tripUpdate?: RealtimeTripUpdate;
  readonly alert?: RealtimeAlert;
  /** There is a position of a vehicle; it is not read. */
  readonly hasVehicle?: true;
}

export interface RealtimeFeed {
  readonly version: string;
  readonly incrementality: 'FULL_DATASET' | 'DIFFERENTIAL';
  /** POSIX seconds. */
  readonly timestamp?: number;
  readonly entities: readonly RealtimeEntity[];
}

const ENTITIES_MAX = 100_000;
const CALLS_MAX = 500;
const SELECTORS_MAX = 1_000;

const CAUSES = ['', 'UNKNOWN_CAUSE', 'OTHER_CAUSE', 'TECHNICAL_PROBLEM', 'STRIKE', 'DEMONSTRATION', 'ACCIDENT', 'HOLIDAY', 'WEATHER', 'MAINTENANCE', 'CONSTRUCTION', 'POLICE_ACTIVITY', 'MEDICAL_EMERGENCY'];
const EFFECTS = ['', 'NO_SERVICE', 'REDUCED_SERVICE', 'SIGNIFICANT_DELAYS', 'DETOUR', 'ADDITIONAL_SERVICE', 'MODIFIED_SERVICE', 'OTHER_EFFECT', 'UNKNOWN_EFFECT', 'STOP_MOVED', 'NO_EFFECT', 'ACCESSIBILITY_ISSUE'];
const SEVERITIES = ['', 'UNKNOWN_SEVERITY', 'INFO', 'WARNING', 'SEVERE'];
const TRIP_RELATIONS = ['SCHEDULED', 'ADDED', 'UNSCHEDULED', 'CANCELED', '', 'REPLACEMENT', 'DUPLICATED', 'DELETED', 'NEW'];
const CALL_RELATIONS = ['SCHEDULED', 'SKIPPED', 'NO_DATA', 'UNSCHEDULED'];

const tooLarge = (detail: string, field: string): Refused => new Refused({ code: 'feed.document-too-large', detail, field });
/** A value that this version does not know counts as the first one, as proto2 asks of enumerations (language guide, Enumerations). */
const termOf = (terms: readonly string[], value: number | undefined, otherwise: string): string => (value === undefined ? otherwise : terms[value] === undefined || terms[value] === '' ? otherwise : terms[value]);
/** Leaves out what is undefined. */
const present = <T extends object>(fields: { readonly [Key in keyof T]: T[Key] | undefined }): T => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

/** Decodes a FeedMessage. Positions of vehicles are noticed and not read. Throws `Refused` with the place. */
export function decodeFeed(body: Buffer): RealtimeFeed {
  const message = readProtobuf(body);
  const header = messageOf(message, 1);
  const version = header === undefined ? undefined : stringOf(header, 1);
  if (header === undefined || version === undefined) throw new Refused({ code: 'feed.document-invalid', detail: 'It is not a GTFS Realtime message: the header with gtfs_realtime_version is missing.', field: 'header' });
  const entities = messagesOf(message, 2);
  if (entities.length > ENTITIES_MAX) throw tooLarge(`A message has at most ${ENTITIES_MAX} entities.`, 'entity');
  return present<RealtimeFeed>({ version, incrementality: unsignedOf(header, 2) === 1 ? 'DIFFERENTIAL' : 'FULL_DATASET', timestamp: unsignedOf(header, 3), entities: entities.map((bytes, at) => readEntity(bytes, at)) });
}

function readEntity(bytes: Buffer, at: number): RealtimeEntity {
  try {
    const entity = readProtobuf(bytes);
    const update = messageOf(entity, 3);
    const alert = messageOf(entity, 5);
    return present<RealtimeEntity>({
      id: stringOf(entity, 1) ?? '',
      isDeleted: unsignedOf(entity, 2) === 1 ? true : undefined,
      tripUpdate: update === undefined ? undefined : readTripUpdate(update),
      hasVehicle: messagesOf(entity, 4).length > 0 ? true : undefined,
      alert: alert === undefined ? undefined : readAlert(alert),
    });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const [{ code, detail, field }] = error.refusals;
    throw new Refused({ code, detail, field: `entity[${at}] ${field ?? ''}`.trim() });
  }
}

function readTripUpdate(update: ProtobufFields): RealtimeTripUpdate {
  const trip = messageOf(update, 1);
  const calls = messagesOf(update, 2);
  if (calls.length > CALLS_MAX) throw tooLarge(`A trip has at most ${CALLS_MAX} calls.`, 'trip_update.stop_time_update');
  return present<RealtimeTripUpdate>({ trip: trip === undefined ? {} : readTrip(trip), stopTimeUpdate: calls.map((call) => readCall(readProtobuf(call))), timestamp: unsignedOf(update, 4), delay: signedOf(update, 5) });
}

function readTrip(trip: ProtobufFields): RealtimeTrip {
  const relation = unsignedOf(trip, 4);
  return present<RealtimeTrip>({ tripId: stringOf(trip, 1), startTime: stringOf(trip, 2), startDate: stringOf(trip, 3), scheduleRelationship: relation === undefined ? undefined : termOf(TRIP_RELATIONS, relation, 'SCHEDULED'), routeId: stringOf(trip, 5), directionId: unsignedOf(trip, 6) });
}

function readCall(call: ProtobufFields): RealtimeCall {
  const [arrival, departure, relation] = [messageOf(call, 2), messageOf(call, 3), unsignedOf(call, 5)];
  return present<RealtimeCall>({
    stopSequence: unsignedOf(call, 1),
    stopId: stringOf(call, 4),
    arrival: arrival === undefined ? undefined : readEvent(arrival),
    departure: departure === undefined ? undefined : readEvent(departure),
    scheduleRelationship: relation === undefined ? undefined : termOf(CALL_RELATIONS, relation, 'SCHEDULED'),
  });
}

const readEvent = (event: ProtobufFields): RealtimeEvent => present<RealtimeEvent>({ delay: signedOf(event, 1), time: signedOf(event, 2), uncertainty: signedOf(event, 3) });

function readAlert(alert: ProtobufFields): RealtimeAlert {
  const selectors = messagesOf(alert, 5);
  if (selectors.length > SELECTORS_MAX) throw tooLarge(`An alert is about at most ${SELECTORS_MAX} lines and stops.`, 'alert.informed_entity');
  const header = messageOf(alert, 10);
  return {
    activePeriod: messagesOf(alert, 1).slice(0, 100).map((bytes) => {
      const period = readProtobuf(bytes);
      return present<RealtimeAlert['activePeriod'][number]>({ start: unsignedOf(period, 1), end: unsignedOf(period, 2) });
    }),
    informedEntity: selectors.map((bytes) => {
      const selector = readProtobuf(bytes);
      const trip = messageOf(selector, 4);
      return present<RealtimeAlert['informedEntity'][number]>({ agencyId: stringOf(selector, 1), routeId: stringOf(selector, 2), routeType: signedOf(selector, 3), trip: trip === undefined ? undefined : readTrip(trip), stopId: stringOf(selector, 5), directionId: unsignedOf(selector, 6) });
    }),
    cause: termOf(CAUSES, unsignedOf(alert, 6), 'UNKNOWN_CAUSE'),
    effect: termOf(EFFECTS, unsignedOf(alert, 7), 'UNKNOWN_EFFECT'),
    severityLevel: termOf(SEVERITIES, unsignedOf(alert, 14), 'UNKNOWN_SEVERITY'),
    header: (header === undefined ? [] : messagesOf(header, 1).slice(0, 20)).map((bytes) => {
      const translation = readProtobuf(bytes);
      return present<RealtimeAlert['header'][number]>({ text: stringOf(translation, 1) ?? '', language: stringOf(translation, 2) });
    }),
  };
}
