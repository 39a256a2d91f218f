import { setTimeout as sleep } from 'node:timers/promises';
import type { FeedAnswer, FeedRefusal } from '../../contracts/feed.ts';
import type { Principal } from '../../contracts/principal.ts';
import type { Reading } from '../../contracts/reading.ts';
import { Refused, type Refusal, type Result } from '../../kernel/index.ts';
import type { SourceBatch, SourceReading, SourceRefusal } from './adapter.ts';
import type { FeedEntities } from './feed-entities.ts';
import type { DescriptionDoor } from './feed-descriptions.ts';
import { plainText } from './json.ts';

/** What the feeds need of the ingest path. */
export interface ReadingDoor {
  takeDataArrays(principal: Principal, body: unknown): Promise<Result<(number | Refusal)[]>>;
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
}

interface Stored {
  readonly batch: SourceBatch;
  readonly made: FeedEntities;
  readonly principal: Principal;
  readonly refused: readonly SourceRefusal[];
  readonly gate: Pick<DescriptionDoor, 'maySay'>;
  /** Whether to wait when the queue is full; a sender is told to come again instead. */
  readonly patient: boolean;
}

const CHUNK_ROWS = 5_000;
const LISTED = 100;
const DETAIL_CHARS = 500;
const AT_CHARS = 200;
const WAIT_ROUNDS = 20;
const WAIT_MS = 500;

const COMPONENTS = ['result', 'phenomenonTime', 'resultTime', 'resultQuality', 'parameters'] as const;

/** Hands the readings of a batch to the ingest path: gate, journal, duplicates. Durable when it resolves; throws `Refused` when the queue stays full. */
export async function storeReadings(door: ReadingDoor, { batch, made, principal, refused, patient, gate }: Stored): Promise<FeedAnswer & { readonly allRefused: readonly FeedRefusal[] }> {
  const all: FeedRefusal[] = refused.map(({ at, refusal }) => refusalOf(at, refusal));
  const said = new Map<string, string>();
  /** The key of a series, or nothing of it when it may not be said. */
  const say = (key: string): string => {
    const known = said.get(key) ?? (gate.maySay(key) ? key : 'a series');
    said.set(key, known);
    return known;
  };
  const streams = new Set<number>();
  const rows: { id: number; reading: SourceReading }[] = [];
  for (const reading of batch.readings) {
    const id = made.datastreamOf(reading.seriesKey);
    if (id === undefined) all.push(refusalOf(say(reading.seriesKey), { code: 'feed.reference-unknown', detail: 'The reading belongs to a series that is not there.' }));
    else {
      rows.push({ id, reading });
      streams.add(id);
    }
  }
  // only this feed writes into its datastreams, and it has one batch at a time: what is committed now is of this batch
  let taken = 0;
  const stop = door.onReadings((committed) => {
    for (const { datastreamId } of committed) if (streams.has(datastreamId)) taken += 1;
  });
  let admitted = 0;
  try {
    for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
      const blocks = blocksOf(rows.slice(from, from + CHUNK_ROWS));
      const answers = await takePatiently(door, principal, blocks.map(({ block }) => block), patient);
      const sent = blocks.flatMap(({ readings }) => readings);
      for (const [at, answer] of answers.entries()) {
        if (typeof answer === 'number') admitted += 1;
        else all.push(refusalOf(say(sent[at]?.seriesKey ?? ''), answer));
      }
    }
  } finally {
    stop();
  }
  return { taken, duplicate: Math.max(0, admitted - taken), refused: all.slice(0, LISTED), refused_count: all.length, allRefused: all };
}

function blocksOf(rows: readonly { id: number; reading: SourceReading }[]): { block: unknown; readings: SourceReading[] }[] {
  const byStream = new Map<number, SourceReading[]>();
  for (const { id, reading } of rows) {
    const known = byStream.get(id);
    if (known === undefined) byStream.set(id, [reading]);
    else known.push(reading);
  }
  return [...byStream].map(([id, readings]) => ({
    readings,
    block: {
      Datastream: { '@iot.id': id },
      components: COMPONENTS,
      dataArray: readings.map(({ result, phenomenonTime, resultTime, resultQuality, parameters }) => [result, phenomenonTime, resultTime ?? null, resultQuality ?? null, parameters ?? null]),
    },
  }));
}

async function takePatiently(door: ReadingDoor, principal: Principal, body: unknown, patient: boolean): Promise<(number | Refusal)[]> {
  for (let round = 0; ; round += 1) {
    const answers = await door.takeDataArrays(principal, body);
    if (answers.ok) return answers.value;
    if (!patient || answers.refusal.code !== 'http.overloaded' || round >= WAIT_ROUNDS) throw new Refused(answers.refusal);
    await sleep(WAIT_MS);
  }
}

const refusalOf = (at: string, { code, detail }: Refusal): FeedRefusal => ({ at: plainText(at, AT_CHARS), code, detail: plainText(detail, DETAIL_CHARS) });
