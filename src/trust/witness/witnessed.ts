import { quorumTime, type Policy } from './policy-file.ts';
import { isBy, isSignedBy, parseCheckpointBody, splitNote, verifyCosignature, type CheckpointBody, type Note } from './signed-note.ts';

export interface CosignedHead {
  readonly note: Note;
  readonly body: CheckpointBody;
  /** Seconds since 1970 by the name of the witness in the policy. */
  readonly times: ReadonlyMap<string, number>;
  /** A line that names a witness's key and is not its cosignature. */
  readonly broken: readonly string[];
}

/** Reads a checkpoint and checks it against a policy: the log's signature, and each witness's. Otherwise says what is wrong. */
export function openCosignedHead(checkpoint: Uint8Array, policy: Policy): CosignedHead | { readonly wrong: string } {
  const note = splitNote(checkpoint);
  const body = note && parseCheckpointBody(note.text);
  if (note === null || body === null) return { wrong: 'it is not a signed checkpoint' };
  const keys = policy.logs.map(({ key }) => key).filter(({ name }) => name === body.origin);
  if (keys.length === 0) return { wrong: `it is of ${body.origin}, which is not a log of the policy` };
  if (!isSignedBy(note, keys)) return { wrong: 'it is not signed by the key of the log in the policy' };
  return { note, body, ...readCosignatures(note, policy) };
}

function readCosignatures(note: Note, policy: Policy): Pick<CosignedHead, 'times' | 'broken'> {
  const times = new Map<string, number>();
  const broken: string[] = [];
  for (const { name, key } of policy.witnesses) {
    for (const line of note.signatures.filter((each) => isBy(each, key))) {
      const time_s = verifyCosignature(note.text, line, key);
      if (time_s === null) broken.push(name);
      else times.set(name, Math.max(time_s, times.get(name) ?? 0));
    }
  }
  return { times, broken };
}

/** Size and time of a head that we kept as witnessed; null when the policy of today does not find it so. */
export function readWitnessed(checkpoint: string, policy: Policy): { size: number; time_s: number } | null {
  const note = splitNote(Buffer.from(checkpoint));
  const body = note && parseCheckpointBody(note.text);
  if (note === null || body === null) return null;
  const time_s = quorumTime(policy, readCosignatures(note, policy).times);
  return time_s === null ? null : { size: body.size, time_s };
}
