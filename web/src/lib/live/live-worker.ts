/// <reference lib="webworker" />
import { FrameMemory, type FromWorker, type ToWorker } from './fan-out.ts';
import { LiveStream, type StreamStatus } from './stream.ts';

/**
 * One stream for all windows of this browser: HTTP/1.1 allows six connections an origin, and a desk with four screens
 * would starve its own pages. Windows that fall silent for two minutes are forgotten; without windows the stream is closed.
 */
declare const self: SharedWorkerGlobalScope;

const SILENT_MS = 120_000;
const ports = new Map<MessagePort, { heardMs: number }>();
let stream: LiveStream | undefined;
let memory = new FrameMemory(0);
let status: StreamStatus = 'connecting';

const send = (port: MessagePort, message: FromWorker): void => port.postMessage(message);

function start(after: number): void {
  memory = new FrameMemory(after);
  stream = new LiveStream({
    after,
    onFrame: (frame) => {
      memory.keep(frame);
      for (const port of ports.keys()) send(port, { say: 'frame', frame });
    },
    onStatus: (next) => {
      status = next;
      for (const port of ports.keys()) send(port, { say: 'status', status });
    },
  });
  stream.open();
}

function forget(port: MessagePort): void {
  ports.delete(port);
  if (ports.size > 0) return;
  stream?.close();
  stream = undefined;
}

self.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    switch (data.say) {
      case 'join':
        ports.set(port, { heardMs: Date.now() });
        if (stream === undefined) start(data.after);
        else for (const frame of memory.since(data.after)) send(port, { say: 'frame', frame });
        send(port, { say: 'status', status });
        break;
      case 'alive':
        ports.set(port, { heardMs: Date.now() });
        break;
      case 'leave':
        forget(port);
        break;
    }
  };
  port.start();
};

setInterval(() => {
  for (const [port, { heardMs }] of ports) if (Date.now() - heardMs > SILENT_MS) forget(port);
}, SILENT_MS / 4);
