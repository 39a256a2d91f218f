import type { Action, Principal } from '../contracts/principal.ts';
import type { Look } from '../contracts/trust.ts';
import type { Refusal, Result } from '../kernel/index.ts';
import type { Trx } from '../platform/index.ts';
import type { Approvals, Looks } from '../trust/index.ts';

/** What services needs of trust; `Trust` fits it. */
export interface TrustDoor {
  authenticateToken(token: string): Promise<Principal | Refusal>;
  authorize(principal: Principal, action: Action): boolean;
  readonly cases: {
    /** `ownerSecret`: of the follow-up link; counts only at the first seal of a case. */
    seal(trx: Trx, caseId: string, record: string, plain: Record<string, string>, ownerSecret?: string): Promise<void>;
    /** The resident's own read. Leaves no look. */
    openOwn(caseId: string, ownerSecret: string, record: string): Promise<Result<Record<string, string>>>;
    looksOf(caseId: string): Promise<Look[]>;
  };
  readonly looks: Looks;
  /** Without it nothing ends: only tests leave it out. */
  readonly purposes?: { refusalOf(id: string): Refusal | null };
  readonly approvals: Pick<Approvals, 'propose' | 'spend'>;
}

/** SHA-256 of a secret, hex; only trust holds ciphers and hashes. */
export type HashSecret = (text: string) => string;
