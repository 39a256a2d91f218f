/**
 * The key broker: a process of its own that opens cases. It speaks over its standard input and output with the city that started it, or
 * over a Unix socket (`clerestory broker`). As a child it imports nothing of the database and opens no other connection.
 */
import { rmSync, writeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { systemRandom } from '../../kernel/index.ts';
import type { KeeperOrder } from '../keeper/main.ts';
import { createBroker, Denied } from './broker.ts';
import { readFrames, writeFrame } from './frames.ts';
import { InDoubt, openJournal } from './journal.ts';
import type { Operation, Protocol } from './protocol.ts';
import { askKeeper, RootLocked } from './roots.ts';

/** What the parent hands over in BROKER_SETTINGS. */
export interface BrokerSettings extends Pick<KeeperOrder, 'keyFolder' | 'passphraseFile' | 'pkcs11'> {
  readonly journalFolder: string;
  /** Path to listen on; absent for a child that speaks over its standard streams. */
  readonly socket?: string;
}

const CLIENTS_MAX = 8;
const { journalFolder, socket, ...keys } = JSON.parse(process.env['BROKER_SETTINGS'] ?? '{}') as BrokerSettings;
const [passphrase, pin] = [process.env['CLERESTORY_ROOT_PASSPHRASE'], process.env['CLERESTORY_PKCS11_PIN']];
for (const name of ['CLERESTORY_ROOT_PASSPHRASE', 'CLERESTORY_PKCS11_PIN']) delete process.env[name];
process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole group; the city stops first, and this process with its streams

function serve(broker: Protocol, from: Readable, to: Writable): void {
  const answer = (value: unknown): void => {
    writeFrame(to, value);
    if (to.writableNeedDrain && !from.isPaused()) to.once('drain', from.pause().resume.bind(from)); // whoever reads slowly asks slowly
  };
  const take = (frame: unknown): void => {
    const { id, operation, call } = frame as { id: number; operation: Operation; call: never };
    if (!Object.hasOwn(broker, operation)) throw new Error('there is no such operation');
    try {
      answer({ id, answer: broker[operation](call) });
    } catch (error) {
      if (error instanceof Denied) return answer({ id, denied: { denial: error.denial, detail: error.message } });
      answer({ id, fault: (error as Error).message, away: error instanceof InDoubt });
      if (error instanceof InDoubt) setImmediate(() => process.exit(1)); // the next start reads again what the disk holds
    }
  };
  readFrames(from, take, (error) => {
    writeSync(2, `clerestory broker: ${error.message}\n`);
    from.destroy(error);
  });
  answer({ ready: true });
}

try {
  const journal = openJournal(journalFolder);
  const broker = createBroker({ roots: askKeeper({ ...keys, ...(passphrase && { passphrase }), ...(pin && { pin }) }), journal, random: systemRandom });
  if (socket === undefined) {
    process.on('SIGTERM', () => undefined); // service managers too signal the whole group
    process.stdin.on('close', () => process.exit(0)).on('error', () => process.exit(0));
    process.stdout.on('error', () => process.exit(0));
    serve(broker, process.stdin, process.stdout);
  } else {
    const { listenOnSocket } = await import('../../platform/index.ts'); // a child opens no socket, so it loads nothing of this
    let clients = 0;
    await listenOnSocket(socket, (stream) => {
      if (clients === CLIENTS_MAX) return stream.destroy();
      clients += 1;
      stream.once('close', () => (clients -= 1));
      serve(broker, stream, stream);
    });
    process.on('SIGTERM', () => {
      rmSync(socket, { force: true });
      process.exit(0);
    });
    writeSync(1, `The key broker listens on ${socket}.\n`);
  }
} catch (error) {
  if (socket === undefined) writeFrame(process.stdout, { refused: { locked: error instanceof RootLocked, detail: (error as Error).message } });
  else writeSync(2, `clerestory broker: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
