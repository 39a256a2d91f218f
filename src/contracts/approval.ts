import { z } from 'zod';
import { Instant } from './common.ts';

/** Acts that one person alone cannot do (OWASP ASVS 5.0 V2.3.5). */
export const DANGEROUS_ACTS = ['purpose.change', 'look.seal', 'look.extend', 'case.export', 'case.shred', 'key.rotate', 'identity.disclose'] as const;
export const DangerousAct = z.enum(DANGEROUS_ACTS);
export type DangerousAct = z.infer<typeof DangerousAct>;

/** What each act does, as people read it before they agree. */
export const ACT_TITLES: Readonly<Record<DangerousAct, string>> = {
  'purpose.change': 'Change the register of purposes',
  'look.seal': 'Look at a report without the resident seeing it until a date',
  'look.extend': 'Keep a sealed look closed for longer',
  'case.export': 'Export the data of residents',
  'case.shred': 'Destroy the key of a report',
  'key.rotate': 'Change the root key',
  'identity.disclose': 'Say which person a pseudonym stands for',
};

/**
 * `approving` and `performing` last for moments; `failed` means that the act was agreed to and refused or broke;
 * `spent` that the part of the city that needed the approval has used it.
 */
export const APPROVAL_STATES = ['open', 'approving', 'approved', 'performing', 'performed', 'failed', 'spent', 'declined', 'expired'] as const;
export const ApprovalState = z.enum(APPROVAL_STATES);
export type ApprovalState = z.infer<typeof ApprovalState>;

/** One difference that the act makes; null where there is nothing before or after. */
export const Change = z.object({ path: z.string(), from: z.string().nullable(), to: z.string().nullable() });
export type Change = z.infer<typeof Change>;

const Party = z.object({ pseudonym: z.string(), name: z.string().describe('Shown to colleagues; empty when the account is gone') });

export const Approval = z.object({
  id: z.string(),
  act: DangerousAct,
  title: z.string(),
  /** What it is done to, such as the id of a purpose or of a request. */
  subject: z.string(),
  reason: z.string(),
  changes: z.array(Change),
  /** SHA-256 of the canonical JSON of act, subject and body, hex: the approval holds for exactly this. */
  hash: z.string(),
  state: ApprovalState,
  proposer: Party,
  proposedAt: Instant,
  expiresAt: Instant,
  decider: Party.nullable(),
  decidedAt: Instant.nullable(),
  /** Why it was declined, or the code of what hindered the act; empty otherwise. */
  outcome: z.string(),
  /** Leaves of the transparency log: proposal, decision, end. */
  leaves: z.array(z.number().int()),
});
export type Approval = z.infer<typeof Approval>;

/** GET /api/approvals */
export const ApprovalList = z.object({
  approvals: z.array(Approval.extend({ mayApprove: z.boolean(), hindrance: z.string().nullable().describe('Why the caller may not approve it') })),
  /** Open ones that the caller may approve. */
  waiting: z.number().int(),
  /** People who may approve anything; with one alone nothing dangerous can be done. */
  approvers: z.number().int(),
});
export type ApprovalList = z.infer<typeof ApprovalList>;

/** POST /api/approvals/{id}/decline */
export const Decline = z.strictObject({ reason: z.string().trim().min(5).max(500) });

export const REASON_CHARS = { min: 10, max: 500 } as const;
