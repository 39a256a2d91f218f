import { Refused } from '../../kernel/index.ts';
import type { Outgoing } from '../../platform/index.ts';
import { formatAddCheckpoint, parseSizeAnswer } from './add-checkpoint.ts';
import type { PolicyWitness } from './policy-file.ts';
import { parseSignatureLines, verifyCosignature } from './signed-note.ts';

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES = 65_536;
/** How far a witness's clock may be away from ours. */
const CLOCK_AWAY_S = 300;

/** The head that is sent, and what proves that it continues an older one. */
export interface Head {
  readonly size: number;
  /** Checkpoint with the log's signature. */
  readonly checkpoint: string;
  /** The checkpoint without signatures, with its last line break. */
  readonly text: string;
}

export type Outcome =
  | { readonly is: 'cosigned'; readonly line: string; readonly time_s: number }
  /** The witness has seen a past that is not ours. */
  | { readonly is: 'refused'; readonly detail: string }
  | { readonly is: 'fault'; readonly detail: string; readonly witnessSize?: number };

interface Submission {
  readonly outgoing: Outgoing;
  readonly witness: PolicyWitness & { readonly url: string };
  readonly head: Head;
  /** What we believe that the witness has seen; 0 when we do not know (C2SP tlog-witness, "add-checkpoint"). */
  readonly oldSize: number;
  /** Entries in our log at this moment, which may be more than in `head`. */
  readonly currentSize: () => number;
  readonly proveConsistency: (from: number, to: number) => Promise<readonly Uint8Array[]>;
  readonly now_s: number;
}

/** Sends a head to one witness, once more when the witness names another size, and judges the answer. Never throws for what the witness does. */
export async function submitHead(submission: Submission): Promise<Outcome> {
  const { head, witness, currentSize } = submission;
  let oldSize = Math.min(submission.oldSize, head.size);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const answer = await send(submission, oldSize);
    if ('is' in answer) return answer;
    const body = answer.body.toString('utf8');
    if (answer.status === 200) return readCosignature(submission, body);
    if (answer.status !== 409) return judgeStatus(answer.status);
    const size = parseSizeAnswer(answer.contentType, body);
    if (size === null || size === oldSize) return { is: 'refused', detail: `${witness.name} has cosigned another tree of ${oldSize} entries than this log shows now.` };
    if (size > currentSize()) return { is: 'refused', detail: `${witness.name} has cosigned ${size} entries, but this log has only ${currentSize()}: it was set back.` };
    if (size > head.size) return { is: 'fault', detail: 'It has seen a newer head already.', witnessSize: size };
    oldSize = size;
  }
  return { is: 'fault', detail: 'It names another size each time, as if somebody else sent it heads of this log.', witnessSize: oldSize };
}

async function send({ outgoing, witness, head, proveConsistency }: Submission, oldSize: number): Promise<{ status: number; contentType: string; body: Buffer } | Outcome> {
  const proof = oldSize === 0 ? [] : await proveConsistency(oldSize, head.size);
  try {
    return await outgoing.post(`${witness.url}/add-checkpoint`, { accept: 'text/plain', max_bytes: ANSWER_BYTES, timeout_ms: TIMEOUT_MS, content: { type: 'text/plain', body: formatAddCheckpoint(oldSize, proof, head.checkpoint) } });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { is: 'fault', detail: error.refusals[0].detail };
  }
}

function judgeStatus(status: number): Outcome {
  switch (status) {
    case 422:
      return { is: 'refused', detail: 'It finds that this log does not continue what it has seen.' };
    case 403:
      return { is: 'fault', detail: 'It knows this log under another key (403).' };
    case 404:
      return { is: 'fault', detail: 'It does not know this log; give its keeper the verifier key (404).' };
    default:
      return { is: 'fault', detail: `It answers with status ${status}.` };
  }
}

function readCosignature({ witness, head, now_s }: Submission, body: string): Outcome {
  for (const line of parseSignatureLines(body) ?? []) {
    const time_s = verifyCosignature(head.text, line, witness.key);
    if (time_s === null) continue; // lines of unknown keys are ignored (tlog-witness)
    if (Math.abs(time_s - now_s) > CLOCK_AWAY_S) return { is: 'fault', detail: `Its clock is ${Math.round((time_s - now_s) / 60)} minutes away from ours.`, witnessSize: head.size };
    return { is: 'cosigned', line: line.line, time_s };
  }
  return { is: 'fault', detail: 'Its answer holds no cosignature of the key in the policy.', witnessSize: head.size };
}
