import type { Action, Position, Principal } from '../contracts/principal.ts';
import type { Look } from '../contracts/trust.ts';
import type { Refusal, Result } from '../kernel/index.ts';
import type { Trx } from '../platform/index.ts';

/** What services needs of trust; `Trust` fits it. */
export interface TrustDoor {
  authenticateToken(token: string): Promise<Principal | Refusal>;
  authorize(principal: Principal, action: Action): boolean;
  readonly cases: {
    seal(trx: Trx, caseId: string, record: string, plain: Record<string, string>): Promise<void>;
    open(options: { caseId: string; record: string; principal: Principal; position: Position; purpose: string; reason: string; fields: string[] }): Promise<Result<{ plain: Record<string, string>; look: Look }>>;
    looksOf(caseId: string): Promise<Look[]>;
  };
}

/** SHA-256 of a secret, hex; only trust holds ciphers and hashes. */
export type HashSecret = (text: string) => string;
