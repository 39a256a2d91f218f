import { z } from 'zod';
import { REASON_CHARS } from './approval.ts';
import { Instant } from './common.ts';

const Hex = z.string().regex(/^(?:[0-9a-f]{2})+$/);
const Reason = z.string().trim().min(REASON_CHARS.min).max(REASON_CHARS.max);
const CaseId = z.string().min(1).max(100);

/** GET /api/keys: how the root key lies, which versions there are, and whether openings and looks are of one number. */
export const KeyState = z.object({
  protection: z.enum(['none', 'passphrase', 'pkcs11']).describe('none: the root key lies open in a file of its owner'),
  versions: z.array(z.object({ version: z.number().int(), cases: z.number().int().describe('Cases whose keys it wraps') })),
  /** Openings in the broker's own journal. */
  openings: z.number().int(),
  /** Looks in the log; those that opened nothing (cut off after the leaf, or telling of a sealed look) make it larger than `openings`. */
  looks: z.number().int(),
  windowDays: z.number().int().describe('Days that copies of the key store are kept'),
});
export type KeyState = z.infer<typeof KeyState>;

/** POST /api/keys/rotations/proposals */
export const RotationProposal = z.strictObject({ reason: Reason });
/** POST /api/keys/erasures/proposals */
export const ErasureProposal = z.strictObject({ caseId: CaseId, reason: Reason });
/** POST /api/keys/erasures */
export const ErasureRequest = z.strictObject({ approval: z.string().min(1).max(64) });
/** PUT /api/keys/holds/{caseId} */
export const LegalHold = z.strictObject({ reason: Reason });

/** GET /api/keys/holds */
export const HoldList = z.object({ holds: z.array(z.object({ caseId: CaseId, reason: z.string(), placedBy: z.string(), placedAt: Instant })) });
export type HoldList = z.infer<typeof HoldList>;

/** GET /api/keys/cases/{caseId}: how a case lies, and nothing of what is in it. */
export const CaseKeyState = z.object({
  caseId: CaseId,
  version: z.number().int().describe('Of the root key that wraps its keys'),
  records: z.number().int().describe('Sealed records'),
  madeAt: Instant,
  erasedAt: Instant.nullable(),
  hold: z.string().nullable().describe('Why it must not be erased'),
});
export type CaseKeyState = z.infer<typeof CaseKeyState>;

/** What the resident keeps of an erasure; `clerestory verify erase FILE` checks it. It holds no key and no word of the case. */
export const ErasureReceipt = z.strictObject({
  v: z.literal(1),
  caseId: CaseId,
  caseTag: Hex,
  n: z.number().int().min(1),
  records: z.number().int().min(0),
  /** Where the leaf `case.shred` stands in the log. */
  index: z.number().int().min(0),
  erasedAt: Instant,
  /** From here on no copy of the key store that opens the case should exist. */
  completeAt: Instant,
  /** Version of the root key that wrapped the keys. */
  keyVersion: z.number().int().min(1),
  /** With these the leaf's commitment can be recomputed. */
  nonce: Hex,
  body: z.string().max(10_000),
  vkey: z.string().max(500),
  /** The leaf as it stands in the log, and its C2SP tlog-proof. */
  leaf: z.string().max(10_000),
  proof: z.string().max(20_000),
  /** The first bytes of what was destroyed, in hex: with them it is found again in files. */
  traces: z.array(z.strictObject({ what: z.enum(['record key', 'log key', 'owner key', 'record']), needle: Hex.length(32), bytes: z.number().int().min(16) })).max(1_000),
});
export type ErasureReceipt = z.infer<typeof ErasureReceipt>;
