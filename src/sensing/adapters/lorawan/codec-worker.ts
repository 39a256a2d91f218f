import { parentPort } from 'node:worker_threads';
import { runCodec, type CodecInput } from './codec-machine.ts';

// Runs codecs one after the other in a thread of its own, which codec.ts ends when one does not come back.
parentPort?.postMessage('ready');
parentPort?.on('message', ({ id, source, input }: { id: number; source: string; input: CodecInput }) => {
  void runCodec(source, input).then((answer) => parentPort?.postMessage({ id, answer }));
});
