import type { FastifyRequest } from 'fastify';
import { ANONYMOUS, type Principal } from '../contracts/principal.ts';
import { unwrap, type Clock, type Random, type Refusal } from '../kernel/index.ts';
import type { Bus, DatabaseHandle, Logger, Metrics } from '../platform/index.ts';
import { createGate, openGateLedger } from './gate/index.ts';
import { createTokenBook } from './identity/token-book.ts';
import { readSecret } from './keys/key-files.ts';
import { createDecisionLog } from './policy/decision-log.ts';
import { createPolicy } from './policy/policy.ts';
import { readPurposes } from './purposes/index.ts';
import { createRevocations } from './revocations.ts';
import type { Trust } from './trust.ts';

/** What a process needs of trust that only takes readings: bearer tokens, purposes and the gate; no log, no sessions, no keys of cases. */
export type Doorkeeper = Pick<Trust, 'authenticate' | 'authenticateToken' | 'deviceTokens' | 'authorize' | 'noteDecision' | 'noteDenied' | 'onRevoked' | 'purposes' | 'gate' | 'close'>;

const BEARER = /^Bearer ([\w.-]+)$/;

/** Uses the token key of the city's data folder and the register that the city recorded. Throws `Refused` when either is missing. */
export async function createDoorkeeper({ handle, bus, clock, random, logger, metrics, dataFolder, country }: { handle: DatabaseHandle; bus?: Bus; clock: Clock; random: Random; logger: Logger; metrics: Metrics; dataFolder: string; country?: string }): Promise<Doorkeeper> {
  const tokens = createTokenBook({ db: handle.db, key: readSecret(dataFolder, 'token'), clock, random });
  // a process that hears of nothing remembers a token for its half minute
  const revocations = bus === undefined ? undefined : await createRevocations({ bus, forget: (id) => tokens.forget(id) });
  const policy = createPolicy(dataFolder);
  const purposes = unwrap(await readPurposes({ handle, clock, ...(bus === undefined ? {} : { bus }) }));
  const decisions = createDecisionLog({ handle, clock, logger, policyHash: policy.hash, retentionDays: () => purposes.get('city-operations')?.retention_days ?? 365, log: null });
  const gate = createGate(metrics, clock.nowMs(), country === undefined ? {} : { country });
  const ledger = await openGateLedger({ handle, clock, logger, gate, log: null });
  return {
    authenticate: async (request: FastifyRequest): Promise<Principal | Refusal> => {
      const given = request.headers.authorization;
      if (given === undefined) return ANONYMOUS;
      const token = BEARER.exec(given)?.[1];
      return token === undefined ? { code: 'auth.invalid', detail: 'Here a bearer token is taken and nothing else.' } : tokens.authenticate(token);
    },
    authenticateToken: (token) => tokens.authenticate(token),
    deviceTokens: tokens,
    noteDecision: decisions.noteRoute,
    noteDenied: decisions.noteDenied,
    onRevoked: (listener) => revocations?.onRevoked(listener),
    authorize: policy.authorize,
    purposes,
    gate,
    close: async () => {
      purposes.close();
      revocations?.close();
      await ledger.close();
      await decisions.close();
    },
  };
}
