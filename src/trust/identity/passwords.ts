import { scrypt, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../kernel/index.ts';

// OWASP's recommendation for scrypt: N = 2^17, r = 8, p = 1, which takes 128 MiB and about half a second of one core.
const COST_LOG2 = 17;
const BLOCK = 8;
const PARALLEL = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;

// Each check holds 128 MiB, so few run at once and few wait.
const AT_ONCE = 2;
const WAITING_LIMIT = 32;

export interface Passwords {
  /** `scrypt$17$8$1$SALT$HASH`, base64. Null when too many are waiting. */
  hash(password: string): Promise<string | null>;
  /** Constant time; takes as long for a person who does not exist (`stored` null). Null when too many are waiting. */
  matches(password: string, stored: string | null): Promise<boolean | null>;
}

/** scrypt (RFC 7914); `costLog2` is log2 of N. */
export type Derive = (password: string, salt: Buffer, costLog2: number, r: number, p: number) => Promise<Buffer>;

/** `derive` does the work of a check; only tests that count it give another one. */
export function createPasswords(random: Random, costLog2 = COST_LOG2, derive: Derive = deriveKey): Passwords {
  let running = 0;
  const waiting: (() => void)[] = [];
  const inTurn = async <T>(work: () => Promise<T>): Promise<T | null> => {
    if (running >= AT_ONCE) {
      if (waiting.length >= WAITING_LIMIT) return null;
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
  const nobody = format(costLog2, Buffer.alloc(SALT_BYTES), Buffer.alloc(HASH_BYTES));
  return {
    hash: (password) =>
      inTurn(async () => {
        const salt = Buffer.from(random(SALT_BYTES));
        return format(costLog2, salt, await derive(password, salt, costLog2, BLOCK, PARALLEL));
      }),
    matches: (password, stored) =>
      inTurn(async () => {
        const [, cost, block, parallel, salt, hash] = (stored ?? nobody).split('$');
        if (cost === undefined || block === undefined || parallel === undefined || salt === undefined || hash === undefined) throw new Error('a stored password hash is damaged');
        const derived = await derive(password, Buffer.from(salt, 'base64'), Number(cost), Number(block), Number(parallel));
        return timingSafeEqual(derived, Buffer.from(hash, 'base64')) && stored !== null;
      }),
  };
}

const format = (cost: number, salt: Buffer, hash: Buffer): string => `scrypt$${cost}$${BLOCK}$${PARALLEL}$${salt.toString('base64')}$${hash.toString('base64')}`;

// The same password can be typed as different code points; NFKC makes them one (NIST SP 800-63B §5.1.1.2).
const deriveKey: Derive = (password: string, salt: Buffer, costLog2: number, r: number, p: number): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    scrypt(password.normalize('NFKC'), salt, HASH_BYTES, { N: 2 ** costLog2, r, p, maxmem: MAX_MEMORY_BYTES }, (error, key) => (error ? reject(error) : resolve(key))),
  );
