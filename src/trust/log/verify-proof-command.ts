import { readFile } from 'node:fs/promises';
import { readTrustPolicy, trustLogAlone, type TrustPolicy } from '../../contracts/tlog/policy.ts';
import { verifyProof } from '../../contracts/tlog/proof.ts';

interface ProofOptions {
  /** File with the bytes of the entry. */
  readonly entry?: string;
  /** Verifier key of the log, from a place that the log's keeper does not control. */
  readonly key?: string;
  /** File with a policy (C2SP tlog-policy): the logs and witnesses to trust. */
  readonly policy?: string;
  readonly print?: (line: string) => void;
}

/**
 * `clerestory verify proof FILE`: checks a proof that somebody kept (C2SP tlog-proof), offline. Gives the exit code: 0 it holds, 1 it
 * does not, 2 a file or the key is missing.
 */
export async function verifyProofFile(file: string, options: ProofOptions): Promise<number> {
  const print = options.print ?? ((line: string) => void process.stdout.write(`${line}\n`));
  const [text, entry] = await Promise.all([readGiven(file), readGiven(options.entry)]);
  if (text === null || entry === null) {
    print('Two files are needed: the proof, and the entry that it is about (--entry FILE).');
    return 2;
  }
  const policy = await readPolicy(options);
  if (typeof policy === 'string') {
    print(policy);
    return 2;
  }
  const verdict = await verifyProof(text.toString('utf8'), entry, policy);
  if (!verdict.ok) {
    print(`The proof does NOT hold. ${verdict.detail}`);
    return 1;
  }
  print(`log      ${verdict.head.origin}`);
  print(`entry    ${verdict.index} of ${verdict.head.size}`);
  for (const { name, at_s } of verdict.cosigners) print(`witness  ${name}, ${new Date(at_s * 1_000).toISOString()}`);
  print('\nProved:\n  - the entry stands at this place under a head that the log signed');
  if (verdict.cosigners.length > 0) print('  - these witnesses cosigned the head, and the policy finds them enough');
  print('\nNot proved:');
  if (verdict.cosigners.length === 0) print('  - that others are shown the same log: no witness was asked for (--policy FILE)');
  print('  - that what the entry says is true, or that everything was logged');
  return 0;
}

async function readGiven(path: string | undefined): Promise<Buffer | null> {
  try {
    return path === undefined ? null : await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return null;
  }
}

async function readPolicy({ key, policy }: ProofOptions): Promise<TrustPolicy | string> {
  if (policy === undefined) return (key !== undefined && (await trustLogAlone(key))) || 'The key of the log is needed: --key NAME+HASH+KEY, or a policy with --policy FILE.';
  const text = await readGiven(policy);
  if (text === null) return `There is no file ${policy}.`;
  const read = await readTrustPolicy(text.toString('utf8'));
  return 'detail' in read ? `Line ${read.line} of the policy is not right: ${read.detail}.` : read;
}
