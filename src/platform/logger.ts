import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stderr in production; never carries a body, a query string or a header. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: false }));
}

export const silentLogger: Logger = pino({ level: 'silent' });
