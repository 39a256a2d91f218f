import { z } from 'zod';
import { Refused, isoOf } from '../../../kernel/index.ts';
import type { Adapter, PullContext } from '../adapter.ts';
import { openBatch, readText, type DraftBatch } from '../batch.ts';
import { readXml } from '../xml.ts';
import { readAlert, type CapAlert, type CapInfo } from './alert.ts';
import type { CapArea } from './area.ts';
import { isIndex, readIndex } from './index-feed.ts';

export const CapOptions = z.strictObject({
  /** Address of one alert, or of an Atom or RSS index of alerts; without it alerts are pushed. */
  url: z.url({ protocol: /^https?$/ }).max(2_000).optional(),
  /** Hosts that an index may point to, beside its own. Each must be on the egress list as well. */
  hosts: z.array(z.string().max(255)).max(20).default([]),
  language: z.string().min(2).max(35).default('en'),
  versions: z.array(z.enum(['1.1', '1.2'])).min(1).default(['1.2']),
});
export type CapOptions = z.infer<typeof CapOptions>;

const DOCUMENT_BYTES = 4_194_304;
const ALERTS_A_CALL = 50;
const REMEMBERED_MAX = 5_000;
const DEFINITION = 'http://docs.oasis-open.org/emergency/cap/v1.2/CAP-v1.2-os.html#_Toc97699527';
const PARAMETERS = ['identifier', 'sender', 'status', 'msgType', 'references', 'event', 'category', 'responseType', 'urgency', 'certainty', 'onset', 'effective', 'expires', 'headline', 'language', 'geocode', 'replacedBy'] as const;
/** Result of a series whose alert was cancelled or replaced by one for other areas. */
const CANCELLED = 'Cancelled';

/** What an earlier alert said and where: identifier -> areas. The oldest is forgotten beyond the limit. */
type Remembered = Map<string, readonly CapArea[]>;

/**
 * Warnings by the Common Alerting Protocol 1.2: for every area the severity as a term, with identifier, times and references as
 * parameters. Between calls it keeps which alerts of an index it has read and which areas they named, so that a Cancel
 * without areas reaches them; after a restart such a Cancel is refused as unknown.
 */
export function createCap(): Adapter<CapOptions> {
  const alerts: Remembered = new Map();
  const read = new Map<string, string>(); // address -> version of the entry that was read
  return {
    kind: 'cap',
    title: 'CAP (warnings of other authorities)',
    example: EXAMPLE,
    options: CapOptions,
    pull: {
      interval_s: 120,
      urls: (options) => (options.url === undefined ? [] : [options.url]),
      read: async (options, context) => {
        if (options.url === undefined) throw new Refused({ code: 'feed.document-invalid', detail: 'The feed has no address to read; it takes pushed alerts only.', field: 'options.url' });
        const root = readXml(await fetchXml(options.url, context));
        const batch = openBatch();
        if (!isIndex(root)) addAlert(batch, readAlert(root, options.versions), options, alerts, 'alert');
        else await readEntries(batch, options, options.url, context, alerts, read, root);
        return batch.finish();
      },
    },
    push: {
      contentTypes: ['application/cap+xml', 'application/xml', 'text/xml'],
      topics: () => [],
      read: async (options, message) => {
        const batch = openBatch();
        addAlert(batch, readAlert(readXml(message.body), options.versions), options, alerts, 'alert');
        return batch.finish();
      },
    },
  };
}

const EXAMPLE = `- name: weather-alerts
  adapter: cap
  purpose: city-operations
  options:
    url: https://alerts.example.org/index.atom
    language: en`;

async function fetchXml(url: string, context: PullContext): Promise<Buffer> {
  return (await context.fetch(url, { max_bytes: DOCUMENT_BYTES, accept: 'application/cap+xml, application/atom+xml, application/xml, text/xml' })).body;
}

/** Reads the alerts of an index that are new. One that is refused is named and does not hold up the others. */
async function readEntries(batch: DraftBatch, options: CapOptions, indexUrl: string, context: PullContext, alerts: Remembered, read: Map<string, string>, root: Parameters<typeof readIndex>[0]): Promise<void> {
  const entries = readIndex(root, indexUrl);
  const hosts = new Set([new URL(indexUrl).host, ...options.hosts]);
  const isNew = entries.filter((entry) => read.get(entry.url) !== entry.version);
  for (const entry of isNew.slice(0, ALERTS_A_CALL)) {
    const path = `entry[${entries.indexOf(entry)}]`;
    if (!hosts.has(new URL(entry.url).host)) {
      batch.refuse(path, 'feed.value-invalid', 'It points to a host that is not the one of the index and not in options.hosts.');
    } else {
      try {
        addAlert(batch, readAlert(readXml(await fetchXml(entry.url, context)), options.versions), options, alerts, path);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const [{ code, detail, field }] = error.refusals;
        batch.refuse(`${path}${field === undefined ? '' : ` ${field}`}`, code, detail);
        if (code !== 'feed.document-invalid' && code !== 'feed.document-too-large') continue; // the network failed: ask again
      }
    }
    read.set(entry.url, entry.version);
  }
  const listed = new Set(entries.map((entry) => entry.url));
  for (const url of read.keys()) if (!listed.has(url)) read.delete(url);
}

/** Adds what an alert says of each of its areas. */
export function addAlert(batch: DraftBatch, alert: CapAlert, options: Pick<CapOptions, 'language'>, alerts: Remembered, at: string): void {
  if (alert.scope !== 'Public') return batch.refuse(`${at}.scope`, 'feed.not-public', 'Only alerts with scope Public are taken.');
  if (alert.msgType === 'Ack' || alert.msgType === 'Error') return batch.refuse(`${at}.msgType`, 'feed.value-invalid', 'It answers another message and says nothing about an area.');
  const infos = chooseLanguage(alert.infos, options.language);
  const isCancel = alert.msgType === 'Cancel';
  const earlier = alert.references.flatMap((reference) => alerts.get(reference.split(',')[1] ?? '') ?? []);
  const said = new Set<string>();
  for (const info of infos) {
    for (const area of info.areas) {
      said.add(area.key);
      addReading(batch, area, alert, info, isCancel ? CANCELLED : info.severity);
    }
  }
  for (const area of earlier) {
    if (said.has(area.key)) continue;
    said.add(area.key);
    addReading(batch, area, alert, null, CANCELLED); // CAP 1.2 §3.2.1: an Update supersedes, a Cancel cancels the messages in references
  }
  if (said.size === 0) {
    if (isCancel) batch.refuse(`${at}.references`, 'feed.reference-unknown', 'It cancels an alert that was never seen here and names no area.');
    else batch.refuse(at, 'feed.document-invalid', 'It has no info with an area, so it says nothing about a place.');
    return;
  }
  for (const reference of alert.references) alerts.delete(reference.split(',')[1] ?? '');
  if (!isCancel) alerts.set(alert.identifier, uniqueAreas(infos));
  const oldest = alerts.keys().next();
  if (alerts.size > REMEMBERED_MAX && oldest.done !== true) alerts.delete(oldest.value);
}

const uniqueAreas = (infos: readonly CapInfo[]): CapArea[] => [...new Map(infos.flatMap((info) => info.areas).map((area) => [area.key, area])).values()];

/** The infos in the wanted language; of an alert that has none in it, those in its first language. */
function chooseLanguage(infos: readonly CapInfo[], language: string): readonly CapInfo[] {
  const base = (tag: string): string => tag.toLowerCase().split('-')[0] ?? '';
  const wanted = infos.filter((info) => info.language.toLowerCase() === language.toLowerCase());
  if (wanted.length > 0) return wanted;
  const near = infos.filter((info) => base(info.language) === base(language));
  return near.length > 0 ? near : infos.filter((info) => info.language === infos[0]?.language);
}

function addReading(batch: DraftBatch, area: CapArea, alert: CapAlert, info: CapInfo | null, result: string): void {
  batch.place({ key: area.key, name: area.name, kind: 'alert-area', geometry: area.geometry });
  const seriesKey = `${area.key}/alert`;
  batch.series({
    key: seriesKey,
    placeKey: area.key,
    name: `Alerts: ${area.name}`.slice(0, 255),
    property: { key: 'alert-severity', name: 'Severity of an alert', definition: DEFINITION },
    unit: null,
    observationType: 'OM_CategoryObservation',
    parameters: PARAMETERS,
  });
  const time = (value: string | null | undefined): string | undefined => (value === null || value === undefined ? undefined : isoOf(Date.parse(value)));
  const parameters: Record<string, unknown> = {
    identifier: alert.identifier,
    // often an e-mail address of a desk; who it is stands behind the at sign
    sender: alert.sender.slice(alert.sender.lastIndexOf('@') + 1),
    status: alert.status,
    msgType: alert.msgType,
    references: alert.references.length === 0 ? undefined : alert.references.slice(0, 10).map((reference) => reference.split(',')[1]?.slice(0, 200)),
    event: readText(info?.event) ?? undefined,
    category: info?.categories.join(' '),
    responseType: info === null || info.responseTypes.length === 0 ? undefined : info.responseTypes.join(' '),
    urgency: info?.urgency,
    certainty: info?.certainty,
    onset: time(info?.onset),
    effective: time(info?.effective),
    expires: time(info?.expires),
    headline: readText(info?.headline) ?? undefined,
    language: info?.language.slice(0, 35),
    geocode: area.geocodes.length === 0 ? undefined : area.geocodes.slice(0, 10),
    replacedBy: info === null ? alert.identifier : undefined,
  };
  batch.reading({
    seriesKey,
    phenomenonTime: isoOf(Date.parse(alert.sent)),
    result,
    // Test, Exercise, System and Draft must not set anything off (CAP 1.2 §3.2.1 status)
    ...(alert.status === 'Actual' ? {} : { resultQuality: { valid: false, status: alert.status } }),
    parameters: Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined)),
  });
}
