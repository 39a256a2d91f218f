import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { KeeperAnswer, KeeperOrder } from '../keeper/main.ts';
import { fingerprintOf } from './ciphers.ts';
import { InDoubt } from './journal.ts';
import type { Protection } from './protocol.ts';

const KEEPER = fileURLToPath(new URL('../keeper/main.ts', import.meta.url));

/** The root key cannot be opened; `detail` says what to do. Never a reason to make a new one. */
export class RootLocked extends Error {}

export interface RootKeys {
  readonly protection: Protection;
  list(): { version: number; fingerprint: Buffer }[];
  newest(): number;
  /** Null when the broker holds no such version. */
  get(version: number): Uint8Array | null;
  /** Makes the next version. */
  rotate(at: string): number;
  /** Overwrites and deletes a version; false when its successor is younger than the window. */
  retire(version: number, windowDays: number, at: string): boolean;
}

/** Runs the key keeper, which alone reads and writes the files of the root key, for each act. Throws `RootLocked`; later `InDoubt`. */
export function askKeeper(order: KeeperOrder): RootKeys {
  const ask = (act: Pick<KeeperOrder, 'rotate' | 'retire'>): KeeperAnswer =>
    JSON.parse(execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', KEEPER], { input: JSON.stringify({ ...order, ...act }), stdio: ['pipe', 'pipe', 'inherit'] }).toString('utf8')) as KeeperAnswer;
  const take = (answer: KeeperAnswer): Map<number, Buffer> => {
    if ('locked' in answer) throw new RootLocked(answer.locked);
    order = { ...order, ...answer.secrets }; // typed at the terminal once, needed again when a version is made
    return new Map(answer.roots.map(({ version, key }) => [version, Buffer.from(key, 'base64')]));
  };
  const first = ask({});
  let held = take(first);
  const act = (what: Pick<KeeperOrder, 'rotate' | 'retire'>): void => {
    try {
      held = take(ask(what));
    } catch (cause) {
      throw new InDoubt('the key keeper did not finish', { cause });
    }
  };
  const newest = (): number => Math.max(...held.keys());
  return {
    protection: (first as { protection: Protection }).protection,
    list: () => [...held].map(([version, key]) => ({ version, fingerprint: fingerprintOf(key) })),
    newest,
    get: (version) => held.get(version) ?? null,
    rotate: (at) => {
      act({ rotate: { at } });
      return newest();
    },
    retire: (version, windowDays, at) => {
      act({ retire: { version, windowDays, at } });
      return !held.has(version);
    },
  };
}
