import { LIMITS, isoOf } from '../../../kernel/index.ts';
import { readText, type DraftBatch } from '../batch.ts';
import { lineKey, placeLine, placeStop, stopKey } from './delays.ts';
import type { RealtimeAlert, RealtimeFeed } from './realtime.ts';
import type { Schedule } from './schedule.ts';

const DEFINITION = 'https://gtfs.org/documentation/realtime/reference/#message-alert';
const PARAMETERS = ['alert', 'cause', 'severity', 'from', 'until', 'header', 'line', 'stop'] as const;
const ALERTS_MAX = 5_000;
/** Result of a series when its last alert is gone (GTFS Realtime, Effect). */
const NO_EFFECT = 'NO_EFFECT';

/** An alert that is on: what it said, since when and about which series. */
interface Standing {
  readonly content: string;
  readonly sinceMs: number;
  readonly seriesKeys: readonly string[];
}
/** Alerts of one address by entity id, as of the last message. */
export type StandingAlerts = ReadonlyMap<string, Standing>;

/**
 * Alerts as terms about lines, stops and agencies. An alert has the time at which it was first seen as it is, so a message that is
 * read again says nothing new; when it is gone, its series say NO_EFFECT. Answers the alerts that stand now.
 */
export function addAlerts(batch: DraftBatch, feed: RealtimeFeed, schedule: Schedule, before: StandingAlerts, options: { readonly language: string; readonly nowMs: number }): StandingAlerts {
  const atMs = feed.timestamp === undefined ? options.nowMs : feed.timestamp * 1_000;
  const standing = new Map<string, Standing>();
  for (const [at, { id, alert, isDeleted }] of feed.entities.entries()) {
    if (alert === undefined || isDeleted === true) continue;
    if (standing.size >= ALERTS_MAX) {
      batch.refuse(`entity[${at}].alert`, 'feed.document-too-large', `A message has at most ${ALERTS_MAX} alerts.`);
      break;
    }
    const content = JSON.stringify(alert);
    const known = before.get(id);
    const sinceMs = known?.content === content ? known.sinceMs : atMs;
    standing.set(id, { content, sinceMs, seriesKeys: addAlert(batch, id, alert, schedule, isoOf(sinceMs), options.language, `entity[${at}].alert`) });
  }
  const active = new Set([...standing.values()].flatMap(({ seriesKeys }) => seriesKeys));
  const ended = new Set([...before.values()].flatMap(({ seriesKeys }) => seriesKeys).filter((key) => !active.has(key)));
  for (const seriesKey of ended) batch.reading({ seriesKey, phenomenonTime: isoOf(atMs), result: NO_EFFECT });
  return standing;
}

function addAlert(batch: DraftBatch, id: string, alert: RealtimeAlert, schedule: Schedule, phenomenonTime: string, language: string, path: string): string[] {
  const seriesKeys = new Map<string, { line?: string; stop?: string }>();
  for (const [at, { agencyId, routeId, trip, stopId }] of alert.informedEntity.entries()) {
    const lineId = routeId ?? trip?.routeId ?? (trip?.tripId === undefined ? undefined : schedule.routeOf(trip.tripId));
    const about = { ...(lineId === undefined ? {} : { line: schedule.routes.get(lineId)?.name ?? lineId }), ...(stopId === undefined ? {} : { stop: schedule.stops.get(stopId)?.name ?? stopId }) };
    if (stopId !== undefined && placeStop(batch, schedule, stopId)) seriesKeys.set(describe(batch, stopKey(stopId), schedule.stops.get(stopId)?.name ?? stopId), about);
    else if (lineId !== undefined && placeLine(batch, schedule, lineId)) seriesKeys.set(describe(batch, lineKey(lineId), `Line ${schedule.routes.get(lineId)?.name ?? lineId}`), about);
    else if (stopId === undefined && lineId === undefined && agencyId !== undefined && schedule.agencies.has(agencyId)) seriesKeys.set(describe(batch, placeAgency(batch, schedule, agencyId), schedule.agencies.get(agencyId) ?? agencyId), about);
    else batch.refuse(`${path}.informed_entity[${at}]`, 'feed.reference-unknown', 'The timetable knows no such stop, line or agency.');
  }
  const [period] = alert.activePeriod;
  const time = (posix_s: number | undefined): string | undefined => (posix_s === undefined || posix_s === 0 || posix_s > 8.64e12 ? undefined : isoOf(posix_s * 1_000));
  const header = alert.header.find((translation) => translation.language === language) ?? alert.header[0];
  for (const [seriesKey, about] of seriesKeys) {
    const parameters = { alert: id.slice(0, LIMITS.name_chars), cause: alert.cause, severity: alert.severityLevel, from: time(period?.start), until: time(period?.end), header: readText(header?.text) ?? undefined, ...about };
    batch.reading({ seriesKey, phenomenonTime, result: alert.effect, parameters: Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined)) });
  }
  return [...seriesKeys.keys()];
}

function placeAgency(batch: DraftBatch, schedule: Schedule, id: string): string {
  const key = `agency/${id}`;
  batch.place({ key, name: schedule.agencies.get(id) ?? id, kind: 'transit-agency', geometry: null });
  return key;
}

function describe(batch: DraftBatch, placeKey: string, name: string): string {
  const key = `${placeKey}/alert`;
  batch.series({ key, placeKey, name: `${name}: alerts`.slice(0, 255), property: { key: 'service-alert', name: 'Effect of a service alert', definition: DEFINITION }, unit: null, observationType: 'OM_CategoryObservation', parameters: PARAMETERS });
  return key;
}
