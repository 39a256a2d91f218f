import fc from 'fast-check';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { until } from '../../test/room.ts';
import { openSse, type SseClient } from '../../test/sse.ts';
import { systemClock } from '../kernel/index.ts';
import { createBus, type Bus } from './bus.ts';
import type { DatabaseHandle } from './database/database.ts';
import { createBacklog } from './live-backlog.ts';
import { createChannel } from './live-channel.ts';
import { createLiveHub, type LiveHub, type LiveLimits } from './live.ts';
import { silentLogger } from './logger.ts';
import { createMetrics, type Metrics } from './metrics.ts';

let handle: DatabaseHandle;
beforeAll(async () => {
  handle = await freshDatabase();
});
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Stage {
  readonly bus: Bus;
  readonly hub: LiveHub;
  readonly port: number;
  readonly metrics: Metrics;
  readonly states: Map<number, unknown>;
  readonly publish: (payload: object) => Promise<void>;
  readonly open: (query?: string) => Promise<SseClient>;
}

async function stage(limits: Partial<LiveLimits> = {}): Promise<Stage> {
  const bus = await createBus(handle, systemClock, silentLogger);
  const states = new Map<number, unknown>();
  const metrics = createMetrics();
  const hub = await createLiveHub({
    bus,
    clock: systemClock,
    logger: silentLogger,
    metrics,
    durable: [{ kind: 'thing', topic: 'thing.changed', dataOf: (payload) => payload }],
    coalesced: [{ kind: 'states', describe: (key) => states.get(key) ?? null, frame: (items) => `[${items.join(',')}]` }],
    limits: { frame_ms: 20, ...limits },
  });
  const server: Server = createServer((request, response) => {
    const query = new URL(request.url ?? '/', 'http://x').searchParams;
    const after = query.get('after');
    void hub.open(response, { kinds: new Set(['thing', 'states', 'note']), after: after === null ? null : Number(after) }).then((opened) => {
      if (!opened.ok) response.writeHead(503).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cut: SseClient[] = [];
  closing.push(async () => {
    for (const client of cut) client.cut();
    hub.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await bus.close();
  });
  return {
    bus,
    hub,
    port,
    metrics,
    states,
    publish: (payload) => handle.db.transaction().execute((trx) => bus.publish(trx, 'thing.changed', 'x', payload)),
    open: async (query = '') => {
      const client = await openSse(port, `/${query}`);
      cut.push(client);
      return client;
    },
  };
}

const things = (client: SseClient): unknown[] => client.events.filter(({ kind }) => kind === 'thing').map(({ data }) => (data as { n: number }).n);
const kindsOf = (client: SseClient): string[] => client.events.map(({ kind }) => kind);

test('a stream opens with a heartbeat that names the position, and goes on from there', async () => {
  const { publish, open, bus } = await stage();
  await publish({ n: 0 });
  await until(async () => (await bus.lastSeq()) > 0);
  const client = await open();
  await until(() => client.events.length > 0);
  expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  expect(client.events[0]?.kind).toBe('heartbeat');
  await publish({ n: 1 });
  await until(() => things(client).includes(1));
  expect(client.events.at(-1)?.id).toBe(await bus.lastSeq());
});

test('a client that is behind the start of the server is continued from the bus', async () => {
  const first = await stage();
  const from = await first.bus.lastSeq();
  for (const n of [1, 2, 3]) await first.publish({ n });
  const second = await stage();
  const client = await second.open(`?after=${from}`);
  await until(() => things(client).length === 3);
  await second.publish({ n: 4 });
  await until(() => things(client).length === 4);
  expect(things(client)).toEqual([1, 2, 3, 4]);
});

test('a client behind the kept events, or ahead of the server, is told to read the pictures again and then goes on', async () => {
  const { publish, open, bus } = await stage({ backlog_events: 4 });
  const from = await bus.lastSeq();
  const witness = await open();
  for (let n = 0; n < 20; n += 1) await publish({ n });
  const end = await bus.lastSeq();
  await until(() => witness.events.some(({ id }) => id === end));
  for (const position of [from, end + 1_000]) {
    const client = await open(`?after=${position}`);
    await until(() => kindsOf(client).includes('resync'));
    expect(things(client)).toEqual([]);
    await publish({ n: 99 });
    await until(() => things(client).length === 1);
    expect(things(client)).toEqual([99]);
  }
});

test('one more client than allowed is refused, and gets in once another has left', async () => {
  const { open, hub } = await stage({ clients: 2 });
  const [first] = [await open(), await open()];
  expect((await open()).status).toBe(503);
  first?.cut();
  await until(() => hub.clients() === 1);
  expect((await open()).status).toBe(200);
});

test('a state that changes many times goes out once a frame and the last one always arrives', async () => {
  const { open, hub, states } = await stage({ frame_ms: 50 });
  const client = await open();
  await until(() => hub.clients() === 1);
  for (let value = 1; value <= 500; value += 1) {
    states.set(1, { key: 1, value });
    hub.touch('states', 1);
    if (value % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const last = () => (client.events.findLast(({ kind }) => kind === 'states')?.data as { value: number }[] | undefined)?.[0]?.value;
  await until(() => last() === 500);
  expect(kindsOf(client).filter((kind) => kind === 'states').length).toBeLessThan(100);
});

test('a client that opens later gets every state and the last note at once', async () => {
  const { open, hub, states } = await stage({ catch_up_items: 10 });
  for (let key = 0; key < 45; key += 1) {
    states.set(key, { key });
    hub.touch('states', key);
  }
  hub.send('note', { text: 'all well' });
  const early = await open();
  const count = (client: SseClient) =>
    client.events
      .filter(({ kind }) => kind === 'states')
      .flatMap(({ data }) => data as { key: number }[])
      .map(({ key }) => key);
  await until(() => count(early).length === 45);
  const late = await open();
  await until(() => count(late).length === 45);
  expect(new Set(count(late)).size).toBe(45);
  expect(late.events.some(({ kind, data }) => kind === 'note' && (data as { text: string }).text === 'all well')).toBe(true);
});

test('a client that does not read costs the others nothing, keeps a bounded buffer and is ended', async () => {
  const { publish, open, hub, port, metrics, states } = await stage({ client_buffer_bytes: 100_000, stuck_ms: 1_500, backlog_events: 1_000 });
  const deaf: Socket = connect(port, '127.0.0.1');
  deaf.on('error', () => undefined); // the server destroys it: that is what the test waits for
  closing.push(() => void deaf.destroy());
  deaf.pause();
  deaf.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await until(() => hub.clients() === 1);
  const reader = await open();
  const text = 'x'.repeat(60_000);
  let n = 0;
  for (; n < 150; n += 1) {
    await publish({ n, text });
    states.set(1, { key: 1, n });
    hub.touch('states', 1);
  }
  await until(() => things(reader).length === n);
  expect(things(reader)).toEqual(Array.from({ length: n }, (_, at) => at));
  const lag = async () => Number(/^clerestory_live_lag_events (\d+)/m.exec(await metrics.getSingleMetricAsString('clerestory_live_lag_events'))?.[1]);
  expect(await lag()).toBeGreaterThan(50);
  await until(() => hub.clients() === 1);
  expect(await metrics.getSingleMetricAsString('clerestory_live_ended_total')).toContain('why="stuck"} 1');
  await until(async () => (await lag()) === 0);
});

test('a client that reads slowly gets every durable event once and in order, and the newest state', async () => {
  const { publish, hub, port, states, bus } = await stage({ client_buffer_bytes: 50_000, stuck_ms: 60_000, backlog_events: 1_000 });
  const from = await bus.lastSeq();
  const client = await openSse(port, `/?after=${from}`);
  closing.push(() => client.cut());
  const text = 'y'.repeat(20_000);
  for (let n = 0; n < 120; n += 1) {
    await publish({ n, text });
    states.set(7, { key: 7, n });
    hub.touch('states', 7);
    // blocks the reader and the server, which live in one process: frames pile up in the socket
    if (n % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
  }
  await until(() => things(client).length === 120 && (client.events.findLast(({ kind }) => kind === 'states')?.data as { n: number }[] | undefined)?.[0]?.n === 119);
  expect(things(client)).toEqual(Array.from({ length: 120 }, (_, at) => at));
});

test('a connection that has lasted its time is ended, so that the credential is checked again', async () => {
  const { open, metrics } = await stage({ connection_ms: 100 });
  const client = await open();
  await until(() => client.ended());
  expect(await metrics.getSingleMetricAsString('clerestory_live_ended_total')).toContain('why="aged"} 1');
});

test('the backlog gives every cursor exactly what came after it', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 80 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 0, max: 10_000 }),
      (numbers, limit, position) => {
        const seqs = numbers.sort((a, b) => a - b);
        const backlog = createBacklog(limit);
        backlog.begin(0);
        for (const seq of seqs) backlog.push({ seq, kind: 'k', bytes: Buffer.alloc(0) });
        const kept = seqs.filter((seq) => seq > backlog.floor());
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(limit, seqs.length));
        expect(kept.length).toBeLessThanOrEqual(limit * 1.25);
        expect([...backlog.after(position)].map(({ seq }) => seq)).toEqual(kept.filter((seq) => seq > position));
        expect(backlog.lagOf(position)).toBe(kept.filter((seq) => seq > position).length);
      },
    ),
  );
});

test('whatever a channel drops for a client, reading on from its version brings the newest state of every key', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.boolean(), fc.boolean()), { maxLength: 100 }), fc.integer({ min: 1, max: 4 }), (steps, limit) => {
      const truth = new Map<number, number>();
      const channel = createChannel({ kind: 'k', describe: (key) => ({ key, value: truth.get(key) }), frame: (items) => `[${items.join(',')}]` });
      const seen = new Map<number, number>();
      let version = 0;
      const show = (json: string | null): void => {
        for (const { key, value } of JSON.parse(json ?? '[]') as { key: number; value: number }[]) seen.set(key, value);
      };
      for (const [at, [key, tick, blocked]] of steps.entries()) {
        truth.set(key, at);
        channel.touch(key);
        if (!tick) continue;
        const frame = channel.takeFrame();
        if (blocked) continue;
        if (version === frame.from) {
          show(frame.json());
          version = channel.version();
        } else {
          const missed = channel.readSince(version, limit);
          show(missed.json);
          version = missed.version;
        }
      }
      channel.takeFrame();
      for (let rounds = 0; version !== channel.version(); rounds += 1) {
        expect(rounds).toBeLessThan(100);
        const missed = channel.readSince(version, limit);
        show(missed.json);
        version = missed.version;
      }
      expect(seen).toEqual(truth);
    }),
  );
});
