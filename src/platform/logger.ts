import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stderr in production; never carries a body, a query string or a header. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: describeFault } }, pino.destination({ fd: 2, sync: false }));
}

// Errors of the database driver carry its whole connection; only these few lines help a reader.
function describeFault(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? { code: error.code } : {};
  return { type: name, message, ...code, stack, ...(cause === undefined ? {} : { cause: describeFault(cause) }) };
}

export const silentLogger: Logger = pino({ level: 'silent' });
