import { spawn } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Refused } from '../../kernel/index.ts';
import { connectToSocket, type Logger } from '../../platform/index.ts';
import { readFrames, writeFrame } from '../broker/frames.ts';
import type { BrokerSettings } from '../broker/main.ts';
import type { AnswerOf, CallOf, Denial, Operation } from '../broker/protocol.ts';

const BROKER = fileURLToPath(new URL('../broker/main.ts', import.meta.url));
const START_MS = 30_000;
const CALL_MS = 30_000;
const PENDING_MAX = 10_000;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 5_000;

/** The broker understood the call and does not do it: something was tampered with, or the city made a mistake. */
export class BrokerDenied extends Error {
  readonly denial: Denial;
  constructor(denial: Denial, detail: string) {
    super(`the key broker refused: ${detail}`);
    this.name = 'BrokerDenied';
    this.denial = denial;
  }
}

export type BrokerState = AnswerOf<'hello'>;

export interface BrokerClient {
  /** Throws `Refused` with `key.broker-away` while the broker is away, and `BrokerDenied`. */
  call<K extends Operation>(operation: K, call: CallOf<K>): Promise<AnswerOf<K>>;
  /** What the broker said when it was last met. */
  state(): BrokerState;
  /** Asks again. */
  refresh(): Promise<BrokerState>;
  /** Process id of the child; undefined for a broker on a socket. */
  pid(): number | undefined;
  close(): Promise<void>;
}

export interface BrokerOptions {
  readonly settings: BrokerSettings;
  /** Secrets for a child by the names of their environment variables; they do not stay in this process. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Path of the socket of a broker that runs by itself. */
  readonly socket?: string | undefined;
  /** Key of the log that the broker has to check. */
  readonly vkey: string;
  readonly logger: Logger;
}

interface Line {
  readonly from: Readable | Duplex;
  readonly to: Writable | Duplex;
  readonly pid?: number;
  end(): void;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

type Frame = { ready?: true; refused?: { locked: boolean; detail: string }; id?: number; answer?: unknown; denied?: { denial: Denial; detail: string }; fault?: string; away?: boolean };

const away = (): Refused => new Refused({ code: 'key.broker-away', detail: 'The key broker does not answer, so nothing was sealed or shown.' });

/** Starts the broker as a child, or meets the one on the socket, and brings it back when it goes. Throws `Refused`. */
export async function meetBroker(options: BrokerOptions): Promise<BrokerClient> {
  const { logger, socket, vkey } = options;
  const waiting = new Map<number, Waiting>();
  let line: Line | null = null;
  let met: BrokerState | null = null;
  let lastId = 0;
  let closed = false;

  const send = <K extends Operation>(on: Line, operation: K, call: CallOf<K>): Promise<AnswerOf<K>> => {
    if (waiting.size >= PENDING_MAX) return Promise.reject(away());
    lastId += 1;
    const id = lastId;
    return new Promise<AnswerOf<K>>((resolve, reject) => {
      const timer = setTimeout(() => on.end(), CALL_MS); // whoever does not answer is met anew
      const settle = <T>(then: (value: T) => void) => (value: T): void => {
        clearTimeout(timer);
        waiting.delete(id);
        then(value);
      };
      waiting.set(id, { resolve: settle(resolve as (answer: unknown) => void), reject: settle(reject) });
      writeFrame(on.to, { id, operation, call });
    });
  };

  const meet = async (): Promise<void> => {
    const fresh = socket === undefined ? spawnBroker(options) : await reach(socket);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => fresh.end(), START_MS);
      const take = (value: unknown): void => {
        const frame = value as Frame;
        if (frame.ready) {
          clearTimeout(timer);
          resolve();
        } else if (frame.refused) reject(new Refused({ code: frame.refused.locked ? 'start.key-locked' : 'start.broker-failed', detail: frame.refused.detail }));
        else {
          const one = waiting.get(frame.id ?? 0);
          if (frame.denied) one?.reject(new BrokerDenied(frame.denied.denial, frame.denied.detail));
          else if (frame.fault !== undefined) one?.reject(frame.away === true ? away() : new Error(`the key broker failed: ${frame.fault}`));
          else one?.resolve(frame.answer);
        }
      };
      readFrames(fresh.from, take, () => fresh.end());
      fresh.from.once('close', () => {
        clearTimeout(timer);
        reject(new Refused({ code: 'start.broker-failed', detail: 'The key broker ended before it was ready.' }));
        if (line !== null && line !== fresh) return;
        line = null;
        for (const one of [...waiting.values()]) one.reject(away());
        if (met !== null && !closed) void comeBack();
      });
      fresh.to.on('error', () => fresh.end());
    });
    try {
      met = await send(fresh, 'hello', { vkey });
    } catch (error) {
      fresh.end();
      throw error;
    }
    line = fresh;
  };

  let returning = false;
  const comeBack = async (): Promise<void> => {
    if (returning) return;
    returning = true;
    logger.warn('the key broker is away; nothing is sealed or shown until it is back');
    for (let pauseMs = RETRY_FIRST_MS; !closed && line === null; pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)) {
      await sleep(pauseMs, undefined, { ref: false });
      if (closed) break;
      await meet().then(
        () => logger.warn('the key broker is back'),
        (error: unknown) => logger.error({ err: error }, 'the key broker did not come back'),
      );
    }
    returning = false;
  };

  await meet().catch((error: unknown) => {
    if (error instanceof BrokerDenied) throw new Refused({ code: 'start.key-different', detail: error.message });
    throw error;
  });
  const call: BrokerClient['call'] = (operation, call_) => (line === null ? Promise.reject(away()) : send(line, operation, call_));
  return {
    call,
    state: () => met as BrokerState,
    refresh: async () => (met = await call('hello', { vkey })),
    pid: () => line?.pid,
    close: async () => {
      closed = true;
      const last = line;
      if (last === null) return;
      const gone = new Promise<void>((resolve) => void last.from.once('close', () => resolve()));
      last.end();
      await gone;
    },
  };
}

async function reach(socket: string): Promise<Line> {
  try {
    const stream = await connectToSocket(socket);
    stream.on('error', () => stream.destroy());
    return { from: stream, to: stream, end: () => stream.destroy() };
  } catch (cause) {
    throw Object.assign(new Refused({ code: 'start.broker-failed', detail: `No key broker listens on ${socket}.`, field: 'broker' }), { cause });
  }
}

/** The child gets nothing of our environment but what it needs; it ends when its standard input closes, so also when we are killed. */
function spawnBroker({ settings, secrets = {} }: BrokerOptions): Line {
  const { PATH, SOFTHSM2_CONF } = process.env;
  const env = { PATH, ...(SOFTHSM2_CONF === undefined ? {} : { SOFTHSM2_CONF }), ...secrets, BROKER_SETTINGS: JSON.stringify(settings) };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', BROKER], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  child.on('error', () => child.stdout.destroy());
  child.stdin.on('error', () => child.stdout.destroy()); // EPIPE: the child is gone
  return { from: child.stdout, to: child.stdin, ...(child.pid === undefined ? {} : { pid: child.pid }), end: () => void child.kill('SIGKILL') };
}
