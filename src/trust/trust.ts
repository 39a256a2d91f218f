import type { FastifyRequest } from 'fastify';
import type { Action, Position, Principal } from '../contracts/principal.ts';
import type { LogStatus } from '../contracts/trust.ts';
import { unwrap, type Clock, type Random, type Refusal } from '../kernel/index.ts';
import type { Bus, DatabaseHandle, Http, Logger, Metrics } from '../platform/index.ts';
import { createGate, type Gate } from './gate.ts';
import { registerIdentityRoutes } from './identity/identity-routes.ts';
import { hasAdministrator } from './identity/identity-store.ts';
import { createIdentity } from './identity/identity.ts';
import type { TokenBook } from './identity/token-book.ts';
import { createCases, type Cases } from './keys/cases.ts';
import { readOrMakeSecret, readOrMakeSigningKey } from './keys/key-files.ts';
import type { Json } from './log/canonical.ts';
import { registerLogRoutes } from './log/log-routes.ts';
import { readBody } from './log/log-store.ts';
import { openLog } from './log/log.ts';
import { authorize } from './policy.ts';
import { createPurposes, type Purposes } from './purposes.ts';
import { registerRegisterRoutes } from './register-routes.ts';

export interface Trust {
  /** Cookie session or bearer token; anonymous when there is neither, a refusal when there is a wrong one. */
  readonly authenticate: (request: FastifyRequest) => Promise<Principal | Refusal>;
  /** A bearer token alone, such as an MQTT password. */
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  /** Tokens of devices: made here, and bound by what the register of devices says. */
  readonly deviceTokens: Pick<TokenBook, 'mintForDevice' | 'bindDevices' | 'revoke'>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  readonly purposes: Purposes;
  readonly gate: Gate;
  readonly cases: Cases;
  readonly log: {
    /** Appends a leaf that commits to `body` (no personal data); durable when it resolves. Do not await it inside a transaction. */
    append(entry: { kind: string; body: Json }): Promise<{ index: number }>;
    /** What the leaf commits to, if it is of this kind and concerns no case: with it anybody can check the leaf. Nonce in hex, body as it was hashed. */
    readOpening(kind: string, index: number): Promise<{ nonce: string; body: string } | null>;
    status(): LogStatus;
  };
  /** Makes the code of a one-time link for an account; the page /invite/CODE accepts it. */
  createInvitation(positions: readonly Position[], name: string, lifetime_ms: number): Promise<string>;
  /** Whether anybody can manage people; if not, the start prints a one-time link. */
  hasAdministrator(): Promise<boolean>;
  registerRoutes(http: Http): Promise<void>;
  close(): Promise<void>;
}

export interface TrustOptions {
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly dataFolder: string;
  /** The register of purposes as YAML; null for the starter register. */
  readonly purposesYaml: string | null;
  /** Address under which others reach this server, if the city states one. */
  readonly publicUrl: string | undefined;
  /** log2 of scrypt's N; only tests lower it. */
  readonly passwordCostLog2?: number;
}

/** Starts trust: keys, log, purposes, gate, cases and identity. Throws `Refused` when log, keys or register are not right. */
export async function createTrust(options: TrustOptions): Promise<Trust> {
  const { handle, clock, random, logger, metrics, dataFolder, publicUrl } = options;
  const log = await openLog({ handle, clock, random, logger, metrics, dataFolder, publicUrl, signingKey: readOrMakeSigningKey(dataFolder) });
  try {
    const purposes = unwrap(await createPurposes({ handle, clock, yaml: options.purposesYaml }));
    const gate = createGate(metrics, clock.nowMs());
    const cases = await createCases({ handle, clock, random, rootKey: readOrMakeSecret(dataFolder, 'root', random), log, purposes });
    const cost = options.passwordCostLog2 === undefined ? {} : { passwordCostLog2: options.passwordCostLog2 };
    const identity = createIdentity({ handle, clock, random, logger, tokenKey: readOrMakeSecret(dataFolder, 'token', random), publicUrl, ...cost });
    const status = (): LogStatus => log.status(cases.count());
    return {
      authenticate: identity.authenticate,
      authenticateToken: identity.authenticateToken,
      deviceTokens: identity.tokens,
      authorize,
      purposes,
      gate,
      cases,
      log: { append: async ({ kind, body }) => ({ index: await log.appendBody(kind, body) }), readOpening: (kind, index) => readOpening(handle, kind, index), status },
      createInvitation: async (positions, name, lifetime_ms) => (await identity.invite({ positions, name, lifetime_ms })).code,
      hasAdministrator: () => hasAdministrator(handle.db),
      registerRoutes: async (http) => {
        registerIdentityRoutes(http, { identity, db: handle.db, clock });
        registerLogRoutes(http, { log, status });
        registerRegisterRoutes(http, { handle, purposes, gate });
      },
      close: async () => {
        identity.close();
        await log.close();
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

async function readOpening(handle: DatabaseHandle, kind: string, index: number): Promise<{ nonce: string; body: string } | null> {
  const found = await readBody(handle.db, kind, index);
  return found === undefined ? null : { nonce: found.nonce.toString('hex'), body: found.body };
}
