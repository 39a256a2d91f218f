import { z } from 'zod';
import type { Adapter, PullContext, SourceBatch } from '../adapter.ts';
import { openBatch } from '../batch.ts';
import { readXml } from '../xml.ts';
import { readPublications, type Publication } from './document.ts';
import { addMeasurements } from './measurements.ts';
import { addSituations } from './situations.ts';
import { readSites, type MeasurementSite } from './sites.ts';

const Url = z.url({ protocol: /^https?$/ }).max(2_000);
export const DatexOptions = z.strictObject({
  /** Addresses of publications; without it they are pushed. */
  urls: z.array(Url).max(10).default([]),
  /** Address of the MeasurementSiteTablePublication; it may also be among `urls`. */
  sites: Url.optional(),
  /** How long a site table is used before it is read again. */
  sites_interval_s: z.number().int().min(300).max(604_800).default(86_400),
  language: z.string().min(2).max(35).default('en'),
});
export type DatexOptions = z.infer<typeof DatexOptions>;

const DOCUMENT_BYTES = 33_554_432;

interface KnownSites {
  readonly sites: ReadonlyMap<string, MeasurementSite>;
  readonly readMs: number;
}

/**
 * Road traffic by DATEX II, versions 2 and 3: situations, and measurements of loops and the like. Between calls it keeps the table of
 * measurement sites.
 */
export function createDatex(): Adapter<DatexOptions> {
  let known: KnownSites = { sites: new Map(), readMs: -Infinity };
  // a newer table replaces the older one as a whole
  const keep = (publications: readonly Publication[], language: string, readMs: number): void => {
    const tables = publications.filter(({ kind }) => kind === 'MeasurementSiteTablePublication');
    if (tables.length > 0) known = { sites: new Map(tables.flatMap((table) => [...readSites(table, language)])), readMs };
  };
  const fetchSites = async (options: DatexOptions, context: PullContext): Promise<void> => {
    if (options.sites === undefined || context.nowMs() - known.readMs < options.sites_interval_s * 1_000) return;
    keep(await fetchPublications(options.sites, context), options.language, context.nowMs());
  };
  const read = (publications: readonly Publication[], options: DatexOptions, nowMs: number): SourceBatch => {
    const batch = openBatch();
    keep(publications, options.language, nowMs);
    for (const publication of publications) {
      if (publication.kind === 'SituationPublication') addSituations(batch, publication, { language: options.language, nowMs });
      if (publication.kind === 'MeasuredDataPublication') addMeasurements(batch, publication, known.sites, nowMs);
    }
    return batch.finish();
  };
  return {
    kind: 'datex',
    title: 'DATEX II (road traffic)',
    example: EXAMPLE,
    options: DatexOptions,
    pull: {
      interval_s: 60,
      urls: (options) => [...options.urls, ...(options.sites === undefined ? [] : [options.sites])],
      read: async (options, context) => {
        await fetchSites(options, context);
        const publications: Publication[] = [];
        for (const url of options.urls) publications.push(...(await fetchPublications(url, context)));
        return read(publications, options, context.nowMs());
      },
    },
    push: {
      contentTypes: ['application/xml', 'text/xml', 'application/soap+xml'],
      topics: () => [],
      read: async (options, message) => read(readPublications(readXml(message.body)), options, message.receivedMs),
    },
  };
}

async function fetchPublications(url: string, context: PullContext): Promise<Publication[]> {
  return readPublications(readXml((await context.fetch(url, { max_bytes: DOCUMENT_BYTES, accept: 'application/xml, text/xml' })).body));
}

const EXAMPLE = `- name: roads
  adapter: datex
  purpose: city-operations
  options:
    urls: [https://roads.example.org/situations.xml, https://roads.example.org/measurements.xml]
    sites: https://roads.example.org/measurement-sites.xml`;
