import type { FastifyRequest } from 'fastify';
import { ANONYMOUS, type Principal } from '../contracts/principal.ts';
import { unwrap, type Clock, type Random, type Refusal } from '../kernel/index.ts';
import type { DatabaseHandle, Metrics } from '../platform/index.ts';
import { createGate } from './gate.ts';
import { createTokenBook } from './identity/token-book.ts';
import { readSecret } from './keys/key-files.ts';
import { authorize } from './policy.ts';
import { readPurposes } from './purposes.ts';
import type { Trust } from './trust.ts';

/** What a process needs of trust that only takes readings: bearer tokens, purposes and the gate; no log, no sessions, no keys of cases. */
export type Doorkeeper = Pick<Trust, 'authenticate' | 'authenticateToken' | 'deviceTokens' | 'authorize' | 'purposes' | 'gate'>;

const BEARER = /^Bearer ([\w.-]+)$/;

/** Uses the token key of the city's data folder and the register that the city recorded. Throws `Refused` when either is missing. */
export async function createDoorkeeper({ handle, clock, random, metrics, dataFolder }: { handle: DatabaseHandle; clock: Clock; random: Random; metrics: Metrics; dataFolder: string }): Promise<Doorkeeper> {
  const tokens = createTokenBook({ db: handle.db, key: readSecret(dataFolder, 'token'), clock, random });
  return {
    authenticate: async (request: FastifyRequest): Promise<Principal | Refusal> => {
      const given = request.headers.authorization;
      if (given === undefined) return ANONYMOUS;
      const token = BEARER.exec(given)?.[1];
      return token === undefined ? { code: 'auth.invalid', detail: 'Here a bearer token is taken and nothing else.' } : tokens.authenticate(token);
    },
    authenticateToken: (token) => tokens.authenticate(token),
    deviceTokens: tokens,
    authorize,
    purposes: unwrap(await readPurposes({ handle, clock })),
    gate: createGate(metrics, clock.nowMs()),
  };
}
