import { openSync, readSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';

/** Reads a line without echo; null when there is no terminal. */
export function askTerminal(question: string): string | null {
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
