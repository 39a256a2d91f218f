import { z } from 'zod';
import type { Approval, Change } from '../../contracts/approval.ts';
import type { Principal } from '../../contracts/principal.ts';
import { Purpose, type PurposeProposal } from '../../contracts/trust.ts';
import { ok, refuse, type Result } from '../../kernel/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import { changesOf } from '../approvals/changes.ts';
import type { PurposeRegistry } from './purposes.ts';
import { applyChange, changeTowards, differenceOf } from './register.ts';

/** What is agreed to: the entries before and after, and the hash of the register that it was proposed on. */
const Body = z.strictObject({ base: z.string(), before: z.record(z.string(), Purpose.nullable()), after: z.record(z.string(), Purpose) });
const SUBJECT_CHARS = 200;

export interface RegisterChanges {
  /** Records the wish; the register stays until another person approves it. */
  propose(principal: Principal, proposal: PurposeProposal): Promise<Result<Approval>>;
  /** What the file of the city folder would change; null when it says what is in force. */
  fileChanges(): Change[] | null;
}

/** Changing the register takes two people: the act `purpose.change`. */
export function createRegisterChanges({ purposes, approvals }: { purposes: PurposeRegistry; approvals: Pick<Approvals, 'propose' | 'on'> }): RegisterChanges {
  approvals.on('purpose.change', async ({ id, body }) => {
    const parsed = Body.safeParse(body);
    if (!parsed.success) return refuse('purpose.change-invalid', 'What was agreed to is not a change of the register.', parsed.error.issues[0]?.path.join('.') ?? '');
    const { base, after } = parsed.data;
    if (base !== purposes.hash()) return refuse('purpose.register-changed', 'The register is not the one any more that this was proposed on.', 'base');
    const next = applyChange(purposes.all(), { set: Object.values(after), end: [] });
    if (!next.ok) return next;
    const version = await purposes.replace(next.value, base, id);
    return version.ok ? ok({ version: version.value, hash: purposes.hash() }) : version;
  });

  const bodyFor = (wish: Pick<PurposeProposal, 'set' | 'end' | 'from_file'>): Result<z.infer<typeof Body>> => {
    const file = purposes.waitingFile();
    if (wish.from_file && file === null) return refuse('purpose.change-invalid', 'The file says what is in force.', 'from_file');
    if (wish.from_file && (wish.set.length > 0 || wish.end.length > 0)) return refuse('purpose.change-invalid', 'Take the file or name entries, not both.', 'from_file');
    const change = wish.from_file ? changeTowards(purposes.all(), file ?? []) : wish;
    const next = applyChange(purposes.all(), change);
    if (!next.ok) return next;
    const { before, after } = differenceOf(purposes.all(), next.value);
    return ok({ base: purposes.hash(), before, after: after as Record<string, Purpose> }); // nothing is ever taken out
  };
  return {
    propose: async (principal, proposal) => {
      const body = bodyFor(proposal);
      if (!body.ok) return body;
      return approvals.propose(principal, 'purpose.change', subjectOf(Object.keys(body.value.after)), body.value, proposal.reason);
    },
    fileChanges: () => {
      if (purposes.waitingFile() === null) return null;
      const body = bodyFor({ set: [], end: [], from_file: true });
      return body.ok ? changesOf(body.value) : null;
    },
  };
}

function subjectOf(ids: readonly string[]): string {
  const text = ids.join(', ');
  return text.length <= SUBJECT_CHARS ? text : `${String(ids.length)} purposes`;
}
