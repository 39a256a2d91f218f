import { connect, type Socket } from 'node:net';

/**
 * One keep-alive connection that posts one request after another with as little work as possible: Node's own client costs more
 * than the server it measures, and on two cores that would be measured too.
 */
export interface HttpLane {
  /** Status, and the first 200 characters of the answer. */
  post(path: string, token: string, body: Buffer): Promise<{ status: number; head: string }>;
  close(): void;
}

export async function openHttpLane(url: string): Promise<HttpLane> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let waiting: { resolve: (answer: { status: number; head: string }) => void; reject: (error: Error) => void } | undefined;
  let head = '';
  let left_bytes = -1; // of the body; -1 while the headers are not complete
  const fail = (error: Error): void => waiting?.reject(error);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('the server closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    if (left_bytes < 0) {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
      if (length === undefined) return fail(new Error(`an answer without a length: ${head.slice(0, 200)}`));
      left_bytes = Number(length) - (head.length - end - 4);
    } else left_bytes -= chunk.length;
    if (left_bytes > 0) return;
    const answer = { status: Number(head.slice(9, 12)), head: head.slice(head.indexOf('\r\n\r\n') + 4).slice(0, 200) };
    head = '';
    left_bytes = -1;
    const { resolve } = waiting as NonNullable<typeof waiting>;
    waiting = undefined;
    resolve(answer);
  });
  return {
    post: (path, token, body) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.cork();
        socket.write(`POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`);
        socket.write(body);
        socket.uncork();
      }),
    close: () => socket.destroy(),
  };
}
