import { decodeBase64, parseCheckpointBody, splitNote, type CheckpointBody, type Note } from './signed-note.ts';

/** C2SP tlog-witness, "add-checkpoint". */
const PROOF_LINES_MAX = 63;
/** 63 proof lines and 16 signatures of nearly 5 kB in base64, with room. */
export const REQUEST_BYTES = 131_072;
export const SIZE_TYPE = 'text/x.tlog.size';

export interface AddCheckpoint {
  readonly oldSize: number;
  readonly proof: readonly Buffer[];
  /** The checkpoint as it was sent. */
  readonly checkpoint: string;
  readonly note: Note;
  readonly body: CheckpointBody;
}

/** Reads the body of a request; otherwise says where it is wrong. */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint | { readonly wrong: string } {
  const end = Buffer.from(bytes).indexOf('\n\n');
  if (end < 0) return { wrong: 'There is no empty line between the proof and the checkpoint.' };
  const [first = '', ...lines] = Buffer.from(bytes).subarray(0, end).toString('latin1').split('\n');
  const size = /^old (0|[1-9]\d{0,15})$/.exec(first)?.[1];
  if (size === undefined || !Number.isSafeInteger(Number(size))) return { wrong: 'The first line must be "old SIZE", a decimal number without leading zeros, below 2^53.' };
  if (lines.length > PROOF_LINES_MAX) return { wrong: `There are more than ${PROOF_LINES_MAX} proof lines.` };
  const proof: Buffer[] = [];
  for (const [at, line] of lines.entries()) {
    const hash = decodeBase64(line);
    if (hash?.length !== 32) return { wrong: `Line ${at + 2} is not a hash of 32 bytes in base64.` };
    proof.push(hash);
  }
  const checkpoint = Buffer.from(bytes).subarray(end + 2);
  const note = splitNote(checkpoint);
  if (note === null) return { wrong: 'What follows the empty line is not a signed note.' };
  const body = parseCheckpointBody(note.text);
  if (body === null) return { wrong: 'The note is not a checkpoint: origin, size and root, each in a line.' };
  return { oldSize: Number(size), proof, checkpoint: checkpoint.toString('utf8'), note, body };
}

export function formatAddCheckpoint(oldSize: number, proof: readonly Uint8Array[], checkpoint: string): string {
  return `old ${oldSize}\n${proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`).join('')}\n${checkpoint}`;
}

/** The size that a 409 names; null when the answer is not of that form. */
export function parseSizeAnswer(contentType: string, body: string): number | null {
  const size = /^(0|[1-9]\d{0,15})\n$/.exec(body)?.[1];
  return contentType === SIZE_TYPE && size !== undefined && Number.isSafeInteger(Number(size)) ? Number(size) : null;
}
