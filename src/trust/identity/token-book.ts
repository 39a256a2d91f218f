import type { Principal } from '../../contracts/principal.ts';
import { refuse, type Clock, type Refusal } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { insertRevokedToken, isTokenRevoked } from './identity-store.ts';
import { readToken } from './tokens.ts';

const REMEMBERED_LIMIT = 10_000;
/** Another process's revocation is seen at the latest after this; one's own at once. */
const REMEMBERED_MS = 30_000;

export interface TokenBook {
  authenticate(token: string): Promise<Principal | Refusal>;
  revoke(idOrToken: string): Promise<void>;
}

/** Checks bearer tokens; verified ones are remembered for a while, because ingest asks thousands of times a second. */
export function createTokenBook(options: { db: Database; key: Uint8Array; clock: Clock }): TokenBook {
  const { db, key, clock } = options;
  const remembered = new Map<string, { principal: Principal; untilMs: number }>();
  const revoked = refuse('auth.invalid', 'The bearer token was revoked.').refusal;
  return {
    authenticate: async (token) => {
      const known = remembered.get(token);
      if (known && known.untilMs > clock.nowMs()) return known.principal;
      const read = readToken(token, key);
      if (!read.ok) return read.refusal;
      if (await isTokenRevoked(db, read.value.id)) {
        remembered.delete(token);
        return revoked;
      }
      remembered.delete(token); // so that it goes to the end: the map is kept in order of checking
      remembered.set(token, { principal: read.value, untilMs: clock.nowMs() + REMEMBERED_MS });
      if (remembered.size > REMEMBERED_LIMIT) remembered.delete(remembered.keys().next().value as string);
      return read.value;
    },
    revoke: async (idOrToken) => {
      const read = readToken(idOrToken, key);
      const id = read.ok ? read.value.id : idOrToken;
      await insertRevokedToken(db, id, new Date(clock.nowMs()));
      for (const [token, { principal }] of remembered) if (principal.id === id) remembered.delete(token);
    },
  };
}
