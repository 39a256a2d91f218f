/**
 * The key broker: a process of its own that alone holds the root key. It speaks over its standard input and output with the city
 * that started it, or over a Unix socket (`clerestory broker`). It imports nothing of the database and opens no other connection.
 */
import { openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { systemRandom } from '../../kernel/index.ts';
import { createBroker, Denied } from './broker.ts';
import { readFrames, writeFrame } from './frames.ts';
import { JournalFault, openJournal } from './journal.ts';
import type { Operation, Protocol } from './protocol.ts';
import { openRootKeys, RootLocked, type Keeping } from './root-keys.ts';

/** What the parent hands over in BROKER_SETTINGS. */
export interface BrokerSettings {
  readonly keyFolder: string;
  readonly journalFolder: string;
  /** Path to listen on; absent for a child that speaks over its standard streams. */
  readonly socket?: string;
  readonly passphraseFile?: string;
  readonly pkcs11?: { module: string; label: string; keyLabel: string; pinFile?: string };
}

const settings = JSON.parse(process.env['BROKER_SETTINGS'] ?? '{}') as BrokerSettings;
const [passphrase, pin] = [process.env['CLERESTORY_ROOT_PASSPHRASE'], process.env['CLERESTORY_PKCS11_PIN']];
for (const name of ['CLERESTORY_ROOT_PASSPHRASE', 'CLERESTORY_PKCS11_PIN']) delete process.env[name];
process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole group; the city stops first, and this process with its streams

const readSecretFile = (path: string): string => readFileSync(path, 'utf8').replace(/\r?\n$/, '');

function keepingOf(): Keeping {
  const { pkcs11, passphraseFile } = settings;
  let asked: string | null | undefined;
  const given = passphrase ?? (passphraseFile === undefined ? null : readSecretFile(passphraseFile));
  return {
    token: pkcs11 === undefined ? null : { ...pkcs11, pin: pin ?? (pkcs11.pinFile === undefined ? askTerminal('PIN of the token: ') ?? '' : readSecretFile(pkcs11.pinFile)) },
    passphrase: (needed = false) => given ?? (needed ? (asked ??= askTerminal('Passphrase of the root key: ')) : (asked ?? null)),
  };
}

/** Reads a line without echo; null when there is no terminal. */
function askTerminal(question: string): string | null {
  let terminal: number;
  try {
    terminal = openSync('/dev/tty', 'r+');
  } catch {
    return null; // ENXIO: a service has no terminal
  }
  const stream = new ReadStream(terminal);
  stream.setRawMode(true);
  try {
    writeSync(terminal, question);
    let line = '';
    for (const byte = Buffer.alloc(1); readSync(terminal, byte) === 1 && !/[\r\n\u0003\u0004]/.test(byte.toString('latin1')); ) line += byte.toString('latin1');
    writeSync(terminal, '\r\n');
    return Buffer.from(line, 'latin1').toString('utf8');
  } finally {
    stream.setRawMode(false);
    stream.destroy();
  }
}

function serve(broker: Protocol, from: Readable, to: Writable): void {
  const answer = (value: unknown): void => writeFrame(to, value);
  const take = (frame: unknown): void => {
    const { id, operation, call } = frame as { id: number; operation: Operation; call: never };
    if (!Object.hasOwn(broker, operation)) throw new Error('there is no such operation');
    try {
      answer({ id, answer: broker[operation](call) });
    } catch (error) {
      if (error instanceof Denied) return answer({ id, denied: { denial: error.denial, detail: error.message } });
      const mustRestart = error instanceof JournalFault || (error as NodeJS.ErrnoException).syscall !== undefined;
      answer({ id, fault: (error as Error).message, away: mustRestart });
      if (mustRestart) setImmediate(() => process.exit(1)); // what the disk holds is in doubt; the next start reads it again
    }
  };
  readFrames(from, take, (error) => {
    writeSync(2, `clerestory broker: ${error.message}\n`);
    from.destroy(error);
  });
  answer({ ready: true });
}

try {
  const journal = openJournal(settings.journalFolder);
  const broker = createBroker({ roots: openRootKeys(settings.keyFolder, keepingOf()), journal, random: systemRandom });
  if (settings.socket === undefined) {
    process.on('SIGTERM', () => undefined); // service managers too signal the whole group
    process.stdin.on('close', () => process.exit(0)).on('error', () => process.exit(0));
    process.stdout.on('error', () => process.exit(0));
    serve(broker, process.stdin, process.stdout);
  } else {
    const { socket } = settings;
    const { listenOnSocket } = await import('../../platform/index.ts'); // a child opens no socket, so it loads nothing of this
    await listenOnSocket(socket, (stream) => serve(broker, stream, stream));
    process.on('SIGTERM', () => {
      rmSync(socket, { force: true });
      process.exit(0);
    });
    writeSync(1, `The key broker listens on ${socket}.\n`);
  }
} catch (error) {
  if (settings.socket === undefined) writeFrame(process.stdout, { refused: { locked: error instanceof RootLocked, detail: (error as Error).message } });
  else writeSync(2, `clerestory broker: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
