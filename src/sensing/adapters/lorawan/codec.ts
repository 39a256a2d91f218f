import { Worker } from 'node:worker_threads';
import { Refused } from '../../../kernel/index.ts';
import type { CodecAnswer, CodecInput } from './codec-machine.ts';

export type { CodecInput } from './codec-machine.ts';

/** The text of `city/codecs/NAME.js`. */
export type CodecSource = string;

interface Waiting {
  readonly job: { readonly id: number; readonly source: string; readonly input: CodecInput };
  readonly settle: (answer: CodecAnswer) => void;
}

// the machine stops a codec after 50 ms where it can; a loop inside one built-in function it cannot, and its start takes a while
const HANG_MS = 2_000;
const START_MS = 10_000;
const QUEUE_MAX = 1_000;

let worker: Worker | undefined;
let lastId = 0;
let current: Waiting | undefined;
let timer: NodeJS.Timeout | undefined;
const queue: Waiting[] = [];

/** Decodes a payload with a codec, outside of this thread. Throws `Refused` naming the codec and the cause. */
export async function decodePayload(name: string, source: CodecSource, input: CodecInput): Promise<Readonly<Record<string, unknown>>> {
  if (queue.length >= QUEUE_MAX) throw new Refused({ code: 'http.overloaded', detail: `${QUEUE_MAX} messages wait for their codecs already.` });
  const answer = await new Promise<CodecAnswer>((settle) => {
    lastId += 1;
    queue.push({ job: { id: lastId, source, input }, settle });
    next();
  });
  if ('fields' in answer) return answer.fields;
  throw new Refused({ code: 'feed.codec-failed', detail: `${name}: ${answer.detail}`, field: `codecs/${name}.js` });
}

function next(): void {
  if (current !== undefined) return;
  current = queue.shift();
  if (current === undefined) {
    worker?.unref();
    return;
  }
  if (worker === undefined) {
    worker = startWorker();
    timer = setTimeout(() => endWorker('Its machine did not start.'), START_MS);
  } else {
    worker.ref();
    send();
  }
}

function send(): void {
  clearTimeout(timer);
  timer = setTimeout(() => endWorker('It did not come back from a built-in function.'), HANG_MS);
  worker?.postMessage(current?.job);
}

function startWorker(): Worker {
  const started = new Worker(new URL('./codec-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 64 } });
  started.on('message', (message: 'ready' | { id: number; answer: CodecAnswer }) => {
    if (worker !== started) return;
    if (message === 'ready') send();
    else if (current?.job.id === message.id) finish(message.answer);
  });
  started.on('error', () => {
    if (worker === started) endWorker('It brought its machine down.');
  });
  return started;
}

function endWorker(detail: string): void {
  const ended = worker;
  worker = undefined;
  void ended?.terminate();
  finish({ detail });
}

function finish(answer: CodecAnswer): void {
  clearTimeout(timer);
  const done = current;
  current = undefined;
  done?.settle(answer);
  next();
}
