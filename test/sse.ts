import { get, type IncomingMessage } from 'node:http';

export interface SseEvent {
  readonly kind: string;
  readonly id: number | null;
  readonly data: unknown;
}

export interface SseClient {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly events: SseEvent[];
  /** True once the server or the test has ended the stream. */
  ended(): boolean;
  /** Cuts the connection at once. */
  cut(): void;
}

/** Opens a stream over a real socket and keeps what arrives; `onEvent` sees each event the moment it is complete. */
export function openSse(port: number, path: string, options: { headers?: Record<string, string>; onEvent?: (event: SseEvent) => void } = {}): Promise<SseClient> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false, headers: { accept: 'text/event-stream', ...options.headers } }, (response) => {
      const events: SseEvent[] = [];
      let ended = false;
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        rest += text;
        const blocks = rest.split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) {
          const event = parse(block);
          if (event === null) continue;
          events.push(event);
          options.onEvent?.(event);
        }
      });
      const end = (): void => {
        ended = true;
      };
      response.on('close', end).on('error', end);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, events, ended: () => ended, cut: () => request.destroy() });
    });
    request.once('error', reject);
  });
}

function parse(block: string): SseEvent | null {
  const fields = new Map(block.split('\n').map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).replace(/^ /, '')]));
  const kind = fields.get('event');
  if (kind === undefined) return null; // `retry:` alone
  const id = fields.get('id');
  return { kind, id: id === undefined ? null : Number(id), data: JSON.parse(fields.get('data') ?? 'null') as unknown };
}
