import { createHash } from 'node:crypto';
import { isoOf, type Clock } from '../../kernel/index.ts';
import type { Logger } from '../../platform/index.ts';
import { verifyConsistency } from '../log/verify-proofs.ts';
import { parseAddCheckpoint, SIZE_TYPE, type AddCheckpoint } from './add-checkpoint.ts';
import { cosign, isSignedBy, type NoteKey } from './signed-note.ts';
import type { Seen, State, WitnessFolder } from './state-file.ts';

const QUEUE_REQUESTS = 256;
/** More do not fit the message that ML-DSA-44 signs (C2SP tlog-cosignature). */
const ORIGIN_BYTES = 255;
const TEXT = 'text/plain; charset=utf-8';
const EMPTY_ROOT = createHash('sha256').digest();

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** What the page of a witness says of one log beyond its state; since the start only. */
export interface Visits {
  readonly lastAskedAt_ms: number | null;
  readonly lastRefusal: { readonly at_ms: number; readonly status: number; readonly detail: string; readonly evidence: string | null } | null;
}

const NEVER: Visits = { lastAskedAt_ms: null, lastRefusal: null };

export interface Witness {
  /** POST add-checkpoint of C2SP tlog-witness. */
  addCheckpoint(body: Uint8Array): Promise<Answer>;
  /** The latest checkpoint with the log's signatures and this witness's; null when it has cosigned none. `originHash` is SHA-256 of the origin, hex. */
  latest(originHash: string): string | null;
  state(): State;
  visits(origin: string): Visits;
  readonly origins: readonly string[];
}

interface WitnessOptions {
  readonly folder: WitnessFolder;
  readonly logs: readonly NoteKey[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A witness of the named logs. Requests are judged one after another, so that check and record are one step. */
export function createWitness({ folder, logs, clock, logger }: WitnessOptions): Witness {
  let state = folder.state;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  const origins = [...new Set(logs.map(({ name }) => name))];
  const visits = new Map<string, Visits>();

  const refuse = async (request: AddCheckpoint, seen: Seen | undefined, status: number, detail: string): Promise<Answer> => {
    const { origin, size, root } = request.body;
    const at_ms = clock.nowMs();
    const name = `${createHash('sha256').update(origin).digest('hex').slice(0, 8)}-${size}-${root.toString('hex').slice(0, 16)}.txt`;
    const text = `${isoOf(at_ms)} answered ${status}: ${detail}\n\nCosigned before:\n\n${seen?.checkpoint ?? '(nothing)\n'}\nRefused now:\n\n${request.checkpoint}\nProof sent from size ${request.oldSize}:\n\n${request.proof.map((hash) => `${hash.toString('base64')}\n`).join('')}`;
    const evidence = await folder.keepEvidence(name, text, status !== 409).catch((error: unknown) => {
      logger.error({ err: error }, 'what a log must not have signed could not be kept');
      return null;
    });
    visits.set(origin, { lastAskedAt_ms: at_ms, lastRefusal: { at_ms, status, detail, evidence } });
    logger.warn({ origin, status, size, seen: seen?.size ?? 0, evidence }, 'refused to cosign a checkpoint that the log has signed');
    return { status, type: TEXT, body: `${detail}\n` };
  };

  const judge = async (bytes: Uint8Array): Promise<Answer> => {
    const request = parseAddCheckpoint(bytes);
    if ('wrong' in request) return { status: 400, type: TEXT, body: `${request.wrong}\n` };
    const { origin, size, root } = request.body;
    const keys = logs.filter(({ name }) => name === origin);
    if (keys.length === 0) return { status: 404, type: TEXT, body: 'This witness does not watch a log of this origin.\n' };
    if (!isSignedBy(request.note, keys)) return { status: 403, type: TEXT, body: 'The checkpoint is not signed by the key of this log.\n' };
    if (Buffer.byteLength(origin) > ORIGIN_BYTES) return { status: 400, type: TEXT, body: `The origin is longer than ${ORIGIN_BYTES} bytes.\n` };
    if (request.oldSize > size) return { status: 400, type: TEXT, body: 'The old size is larger than the checkpoint.\n' };
    const seen = Object.hasOwn(state.logs, origin) ? state.logs[origin] : undefined;
    const seenRoot = seen === undefined ? EMPTY_ROOT : Buffer.from(seen.root, 'base64');
    visits.set(origin, { lastAskedAt_ms: clock.nowMs(), lastRefusal: visits.get(origin)?.lastRefusal ?? null });
    if (request.oldSize !== (seen?.size ?? 0)) return { status: 409, type: SIZE_TYPE, body: `${seen?.size ?? 0}\n` };
    if (request.oldSize === size && !root.equals(seenRoot)) return refuse(request, seen, 409, `The log has signed two different trees of ${size} entries.`);
    if (!verifyConsistency(request.oldSize, size, seenRoot, root, request.proof)) {
      return refuse(request, seen, 422, `The proof does not show that the tree of ${size} entries continues the one of ${request.oldSize} entries.`);
    }
    return record(request, seen);
  };

  const record = async (request: AddCheckpoint, seen: Seen | undefined): Promise<Answer> => {
    const { origin, size, root } = request.body;
    // A cosignature says "the largest tree seen until this time": its time never goes back, whatever the clock does.
    const time_s = Math.max(Math.floor(clock.nowMs() / 1_000), seen?.time_s ?? 0);
    const cosignature = folder.cosigners.map(({ key, privateKey }) => cosign(request.note.text, time_s, key, privateKey)).join('');
    const next: State = { ...state, logs: { ...state.logs, [origin]: { size, root: root.toString('base64'), time_s, checkpoint: request.checkpoint, cosignature } } };
    try {
      await folder.write(next);
    } catch (error) {
      logger.error({ err: error }, 'the state of the witness could not be written; nothing was cosigned');
      return { status: 503, type: TEXT, body: 'The witness could not record the checkpoint and has not cosigned it.\n' };
    }
    state = next;
    const { lastRefusal, lastAskedAt_ms } = visits.get(origin) ?? NEVER;
    if (lastRefusal !== null && lastRefusal.status !== 409) visits.set(origin, { lastAskedAt_ms, lastRefusal: null }); // a proven fork stays
    return { status: 200, type: TEXT, body: cosignature };
  };

  return {
    addCheckpoint: (bytes) => {
      if (waiting >= QUEUE_REQUESTS) return Promise.resolve({ status: 503, type: TEXT, body: 'Too many requests are waiting.\n' });
      waiting += 1;
      const answer = last.then(() => judge(bytes)).finally(() => (waiting -= 1));
      last = answer.catch(() => undefined); // the caller hears of the fault; the next request does not
      return answer;
    },
    latest: (originHash) => {
      const seen = Object.entries(state.logs).find(([origin]) => createHash('sha256').update(origin).digest('hex') === originHash)?.[1];
      return seen === undefined ? null : seen.checkpoint + seen.cosignature;
    },
    state: () => state,
    visits: (origin) => visits.get(origin) ?? NEVER,
    origins,
  };
}
