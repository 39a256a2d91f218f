import { expect, test } from 'vitest';
import type { Stream } from '../observations/stream.ts';
import type { Draft } from '../observations/draft.ts';
import { silentLogger } from '../../platform/index.ts';
import { WriterAway, type ObservationWriter } from '../observations/writer-store.ts';
import { createJournal, type Journal } from './journal.ts';

const streamOf = (id: number): Stream => ({ id, isMulti: false, isGone: false, info: { id, name: '', property: '', unit: '', purpose: '', interval_s: 60, thingId: 1, placeName: '', placeKind: '', point: null }, registration: { purpose: '', allows: 'number', min: -Infinity, max: Infinity }, parameters: [], featureId: 1, hasLocation: true, latest: undefined, newestMs: -Infinity, newest: null });
const draftOf = (stream: Stream, phenomenonMs: number, value: number): Draft => ({ stream, phenomenonMs, phenomenonEndMs: NaN, resultTimeMs: NaN, arrivalMs: 0, value, exact: null, extra: null, valid: true, hasOwnTime: true, id: 0, mayBeStored: false, waiter: null, followers: null });
const partitions = { ensure: () => Promise.resolve(), isKnown: () => true, names: () => [], forget: () => undefined, refresh: async () => undefined, makeAhead: async () => undefined, close: () => Promise.resolve() };

/** A store in memory: `takes` says of a batch that it is taken, or throws. */
function memory(takes: (drafts: readonly Draft[]) => void): { writer: ObservationWriter; rows: Draft[] } {
  const rows: Draft[] = [];
  const writer: ObservationWriter = {
    store: async (drafts) => {
      await Promise.resolve();
      takes(drafts);
      const known = new Set(drafts.filter((draft) => draft.mayBeStored && rows.some((row) => row.phenomenonMs === draft.phenomenonMs && row.value === draft.value)));
      for (const draft of drafts) if (!known.has(draft)) draft.id = rows.push(draft);
      return known;
    },
    close: () => Promise.resolve(),
  };
  return { writer, rows };
}
const journalOn = (writer: ObservationWriter, options: { queue_rows?: number; ack_timeout_ms?: number } = {}): Journal =>
  createJournal({ writers: [writer], partitions, logger: silentLogger, onCommitted: () => undefined, queue_rows: 100, batch_rows: 10, ack_timeout_ms: 300, ...options });

test('a reading that the database refuses fails alone, and those beside it are stored', async () => {
  const { writer, rows } = memory((drafts) => {
    if (drafts.some((draft) => draft.value === 13)) throw Object.assign(new Error('refused'), { code: '22021' });
  });
  const journal = journalOn(writer);
  const stream = streamOf(1);
  const results = await Promise.allSettled(Array.from({ length: 30 }, (_, n) => journal.append([draftOf(stream, n, n)])));
  expect(results.flatMap((result, n) => (result.status === 'rejected' ? [n] : []))).toEqual([13]);
  expect(rows.map((row) => row.value).sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual(Array.from({ length: 30 }, (_, n) => n).filter((n) => n !== 13));
  await journal.drain();
});

test('while the database is away its readings wait, then are refused, and the same reading is taken afterwards', async () => {
  let away = true;
  const { writer, rows } = memory(() => {
    if (away) throw new WriterAway(new Error('gone'));
  });
  const journal = journalOn(writer);
  const stream = streamOf(1);
  const refused = await Promise.all([journal.append([draftOf(stream, 5, 1)]), journal.append([draftOf(stream, 5, 1)]), journal.append([draftOf(stream, 3, 1)])]);
  expect(refused.map((refusal) => refusal?.code)).toEqual(['http.overloaded', 'http.overloaded', 'http.overloaded']);
  expect(journal.queuedRows).toBe(0);
  away = false;
  expect(await Promise.all([journal.append([draftOf(stream, 5, 1)]), journal.append([draftOf(stream, 3, 1)])])).toEqual([null, null]);
  expect(rows).toHaveLength(2);
  await journal.drain();
  expect((await journal.append([draftOf(stream, 9, 1)]))?.code).toBe('http.overloaded');
});

test('who waits for room gets it when a batch is through, and hears when there is none in time', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { writer } = memory(() => undefined);
  const slow: ObservationWriter = { ...writer, store: async (drafts) => (await held, writer.store(drafts)) };
  const journal = journalOn(slow, { queue_rows: 5 });
  const stream = streamOf(1);
  const first = journal.append(Array.from({ length: 5 }, (_, n) => draftOf(stream, n, n)));
  expect((await journal.append([draftOf(stream, 9, 9)]))?.code).toBe('http.overloaded');
  expect(await journal.whenRoom(1)).toBe(false);
  const room = journal.whenRoom(1);
  release();
  expect(await first).toBeNull();
  expect(await room).toBe(true);
  await journal.drain();
});
