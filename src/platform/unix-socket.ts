import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';

/** Another program listens there. */
const isTaken = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    }).on('error', () => resolve(false));
  });

/** Listens on a Unix socket that owner and group may use. A socket file that nobody listens on is replaced. */
export async function listenOnSocket(path: string, onConnection: (stream: Socket) => void): Promise<void> {
  if (await isTaken(path)) throw new Error(`another program listens on ${path}`);
  rmSync(path, { force: true });
  const server = createServer((stream) => {
    stream.on('error', () => stream.destroy()); // the peer is gone; it connects again
    onConnection(stream);
  });
  const before = process.umask(0o117);
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  } finally {
    process.umask(before);
  }
  chmodSync(path, 0o660);
}

/** Connects to a Unix socket. Throws when nobody listens. */
export function connectToSocket(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stream = connect(path, () => resolve(stream.off('error', reject)));
    stream.once('error', reject);
  });
}
