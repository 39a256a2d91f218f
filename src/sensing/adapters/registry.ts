import type { Result } from '../../kernel/index.ts';
import type { Adapter, PullContext, PushedMessage, SourceBatch } from './adapter.ts';
import { createCap } from './cap/cap.ts';
import { createCsv } from './csv/csv.ts';
import { createDatex } from './datex/datex.ts';
import { createGbfs } from './gbfs/gbfs.ts';
import { createGtfs } from './gtfs/gtfs.ts';
import { readOptions } from './feed-file.ts';
import { createLorawan, type CodecSource } from './lorawan/lorawan.ts';
import { createNgsi } from './ngsi/ngsi.ts';
import { createSensorCommunity } from './sensor-community.ts';

/** An adapter with the options of one feed. */
export interface BoundAdapter {
  readonly pull?: { readonly interval_s: number; readonly urls: readonly string[]; readonly read: (context: PullContext) => Promise<SourceBatch> };
  readonly push?: { readonly contentTypes: readonly string[]; readonly topics: readonly string[]; readonly read: (message: PushedMessage) => Promise<SourceBatch> };
}

export interface AdapterEntry {
  readonly kind: string;
  readonly title: string;
  readonly example: string;
  readonly pulls: boolean;
  readonly pushes: boolean;
  /** Reads the options of the feed `name`; a refusal names the field. */
  readonly bind: (options: unknown, name: string) => Result<BoundAdapter>;
}

/** Every adapter of this server, by the word that feeds.yaml uses. An adapter keeps nothing of one feed for another: each feed gets its own. */
export function createAdapters(deps: { readonly codecs: ReadonlyMap<string, CodecSource> }): ReadonlyMap<string, AdapterEntry> {
  const entries = [
    register(() => createLorawan(deps.codecs)),
    register(() => createNgsi()),
    register(() => createSensorCommunity()),
    register(() => createGbfs()),
    register(() => createGtfs()),
    register(() => createDatex()),
    register(() => createCap()),
    register(() => createCsv()),
  ];
  return new Map(entries.map((entry) => [entry.kind, entry]));
}

function register<Options>(create: () => Adapter<Options>): AdapterEntry {
  const shown = create();
  return {
    kind: shown.kind,
    title: shown.title,
    example: shown.example ?? '',
    pulls: shown.pull !== undefined,
    pushes: shown.push !== undefined,
    bind: (sent, name) => {
      const { options: schema, pull, push } = create();
      const read = readOptions(schema, sent, name);
      if (!read.ok) return read;
      const options = read.value;
      return {
        ok: true,
        value: {
          ...(pull === undefined ? {} : { pull: { interval_s: pull.interval_s, urls: pull.urls(options), read: (context: PullContext) => pull.read(options, context) } }),
          ...(push === undefined ? {} : { push: { contentTypes: push.contentTypes, topics: push.topics(options), read: (message: PushedMessage) => push.read(options, message) } }),
        },
      };
    },
  };
}
