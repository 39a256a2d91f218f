/**
 * MQTT clients that connect, listen to one Datastream each, and then do nothing. They live in a process of their own, so that
 * their memory is not counted as the server's.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

interface Order {
  readonly host: string;
  readonly port: number;
  readonly count: number;
  readonly ids: readonly number[];
}

/** Resolves when all are connected and subscribed. */
export async function openIdleConnections(order: Order): Promise<{ close(): Promise<void> }> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [], { env: { ...process.env, MQTT_BENCH_IDLE: '1' }, execArgv: ['--disable-warning=ExperimentalWarning'] });
  child.send(order);
  const ended = once(child, 'exit');
  const [first] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
  if (first !== order.count) throw new Error(`only ${String(first)} of ${order.count} connections were made`);
  return {
    close: async () => {
      child.disconnect();
      await ended;
    },
  };
}

const AT_ONCE = 100;
const KEEP_ALIVE_S = 600;

async function openOne({ host, port, ids }: Order, n: number): Promise<Socket> {
  const socket = connect(port, host);
  socket.on('error', (error) => {
    throw error;
  });
  await once(socket, 'connect');
  socket.write(packet(0x10, [text('MQTT'), Buffer.from([4, 0b11000010]), short(KEEP_ALIVE_S), text(`idle-${n}`), text('bench'), text('bench')]));
  await once(socket, 'data');
  socket.write(packet(0x82, [short(1), text(`v1.1/Datastreams(${ids[n % ids.length]})/Observations`), Buffer.from([0])]));
  await once(socket, 'data');
  return socket;
}

const short = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const text = (value: string): Buffer => Buffer.concat([short(value.length), Buffer.from(value)]);
function packet(head: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([head, body.length]), body]); // all are shorter than 128 bytes
}

if (process.env['MQTT_BENCH_IDLE'] !== undefined) {
  const [order] = (await once(process, 'message')) as [Order];
  const sockets: Socket[] = [];
  for (let n = 0; n < order.count; n += AT_ONCE) {
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, order.count - n) }, (_, at) => openOne(order, n + at)))));
  }
  process.send?.(sockets.length);
  process.once('disconnect', () => process.exit(0));
}
