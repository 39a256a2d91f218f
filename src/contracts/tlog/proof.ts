/** Checks a proof of the transparency log (C2SP tlog-proof) where it was handed over: in a browser or in Node, without asking the server. */
import { decodeBase64, type Bytes } from './bytes.ts';
import { hashEntry, verifyInclusionProof } from './merkle-proof.ts';
import { cosignedAt, isSignedBy, readCheckpoint, splitNote, type Checkpoint } from './note.ts';
import { meetsQuorum, type TrustPolicy } from './policy.ts';

/** Longer than any proof that this city gives: 64 hashes and 33 signatures of Ed25519. */
const CHARACTERS = 262_144;

export interface TlogProof {
  readonly index: bigint;
  /** From the leaf's sibling up. */
  readonly hashes: readonly Bytes[];
  /** Nothing signs it. */
  readonly extra: Bytes | null;
  /** The signed note, as it stands in the proof. */
  readonly checkpoint: string;
}

/** Reads a proof by the letter of C2SP tlog-proof, "Format"; null when it is none. Nothing is checked here. */
export function readProof(text: string): TlogProof | null {
  const cut = text.indexOf('\n\n');
  if (text.length > CHARACTERS || cut < 0) return null;
  const [magic, ...lines] = text.slice(0, cut).split('\n');
  const extraLine = lines[0]?.startsWith('extra ') ? lines.shift() : undefined;
  const extra = extraLine === undefined ? null : decodeBase64(extraLine.slice('extra '.length));
  const [indexLine = '', ...hashLines] = lines;
  const index = /^index (0|[1-9]\d{0,19})$/.exec(indexLine)?.[1];
  const hashes = hashLines.map(decodeBase64);
  if (magic !== 'c2sp.org/tlog-proof@v1' || index === undefined || (extraLine !== undefined && extra === null)) return null;
  if (hashes.length > 64 || !hashes.every((hash) => hash?.length === 32)) return null;
  return { index: BigInt(index), hashes: hashes as Bytes[], extra, checkpoint: text.slice(cut + 2) };
}

interface Cosigner {
  /** As the policy calls it. */
  readonly name: string;
  /** Seconds since 1970. */
  readonly at_s: number;
}

export type ProofVerdict =
  | { readonly ok: true; readonly index: bigint; readonly head: Checkpoint; readonly cosigners: readonly Cosigner[] }
  | { readonly ok: false; readonly fault: 'format' | 'log-unknown' | 'signature' | 'cosignature' | 'quorum' | 'inclusion'; readonly detail: string };

const not = (fault: Extract<ProofVerdict, { ok: false }>['fault'], detail: string): ProofVerdict => ({ ok: false, fault, detail });

/**
 * Whether `entry` (the bytes of the leaf) stands in a log that the policy trusts, under a head that the log signed and enough witnesses
 * cosigned. It does not say that the log tells everybody the same beyond what these witnesses saw, or that everything was logged.
 */
export async function verifyProof(text: string, entry: Uint8Array, policy: TrustPolicy): Promise<ProofVerdict> {
  const proof = readProof(text);
  const note = proof && splitNote(proof.checkpoint);
  const head = note && readCheckpoint(note.text);
  if (!proof || !note || !head) return not('format', 'This is not a proof of a transparency log (c2sp.org/tlog-proof@v1).');
  const key = policy.logs.find(({ name }) => name === head.origin);
  if (!key) return not('log-unknown', `The proof is of the log ${head.origin}, which is not a log that is trusted here.`);
  if (!(await isSignedBy(note, key))) return not('signature', 'The head in the proof is not signed by the log.');
  const cosigners: Cosigner[] = [];
  for (const [name, witness] of policy.witnesses) {
    const at = await cosignedAt(note, witness);
    if (at === 'wrong') return not('cosignature', `The signature of the witness ${name} is not right.`);
    if (at !== null) cosigners.push({ name, at_s: Number(at) });
  }
  if (!meetsQuorum(policy, new Set(cosigners.map(({ name }) => name)))) return not('quorum', 'Not enough witnesses signed the head in the proof.');
  if (!(await verifyInclusionProof(await hashEntry(entry), proof.index, head.size, proof.hashes, head.root)))
    return not('inclusion', `This entry does not stand at ${proof.index} under the head in the proof.`);
  return { ok: true, index: proof.index, head, cosigners };
}
