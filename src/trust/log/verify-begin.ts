/** Checks how a log that was begun anew names the one before it. Import nothing of this folder here but other `verify-` files. */
import { createHash } from 'node:crypto';
import { checkCheckpoint, type Fault } from './verify-checkpoint.ts';

export interface PreviousLog {
  /** Kept in log-<number>, and under old/<number>/ over HTTP. */
  readonly number: number;
  readonly origin: string;
  readonly vkey: string;
  readonly size: number;
  /** The newest head that was known when it ended. */
  readonly checkpoint: Uint8Array;
  readonly reason: string;
}

/** Null for a log that was not begun anew; a fault when leaf 0 says that it was, and nothing fits it. */
export function checkBeginning(leaf: Uint8Array | undefined, opening: Uint8Array | null): PreviousLog | Fault | null {
  const { kind, commit } = leaf ? (JSON.parse(Buffer.from(leaf).toString('utf8')) as { kind: string; commit: string }) : { kind: '', commit: '' };
  if (kind !== 'log.begin') return opening === null ? null : { path: 'begin.json', detail: 'the first leaf does not say that the log was begun anew' };
  const fault = (detail: string): Fault => ({ path: 'begin.json', detail });
  if (opening === null) return fault('the file is missing, and the first leaf says that the log was begun anew');
  try {
    const { nonce, body } = JSON.parse(Buffer.from(opening).toString('utf8')) as { nonce: string; body: string };
    if (!/^[0-9a-f]{64}$/.test(nonce) || createHash('sha256').update(Buffer.from(nonce, 'hex')).update(body).digest('hex') !== commit)
      return fault('it is not what the first leaf commits to');
    const { reason, previous } = JSON.parse(body) as { reason: string; previous: { number: number; origin: string; vkey: string; size: number; checkpoint: string } };
    const checkpoint = Buffer.from(previous.checkpoint);
    const checked = checkCheckpoint(checkpoint, previous.vkey, 'begin.json');
    if ('fault' in checked) return fault(`the last head of the log before is not right: ${checked.fault.detail}`);
    if (checked.head.size !== previous.size || checked.head.origin !== previous.origin) return fault('the last head of the log before is not the one that it names');
    return { ...previous, checkpoint, reason };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    return fault('it is not what opens a first leaf');
  }
}
