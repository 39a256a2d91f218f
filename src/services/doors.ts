import type { FastifyRequest } from 'fastify';
import type { Action, Principal } from '../contracts/principal.ts';
import type { Look } from '../contracts/trust.ts';
import type { Refusal, Result } from '../kernel/index.ts';
import type { Trx } from '../platform/index.ts';
import type { Approvals, LimitStoreClass, Looks } from '../trust/index.ts';

/** What services needs of trust; `Trust` fits it. */
export interface TrustDoor {
  /** Counts of public calls that outlive a restart; only tests leave it out. */
  readonly publicLimits?: { storeOf(group: string): LimitStoreClass };
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

/** What the list of a resident needs of trust; `Trust` fits it. */
export interface ResidentDoor {
  readonly residents: {
    readonly service: { readonly label: string } | null;
    /** The account whose session came with the request, hex; null when there is none. */
    accountOf(request: FastifyRequest): Promise<string | null>;
    /** Throws `Refused` unless the request comes from a page of this server. */
    refuseForeignPage(request: FastifyRequest): void;
  };
}

/** SHA-256 of a secret, hex; only trust holds ciphers and hashes. */
export type HashSecret = (text: string) => string;
