import type { DeviceBinding, Principal } from '../../contracts/principal.ts';
import { refuse, type Clock, type Random, type Refusal, type Result } from '../../kernel/index.ts';
import type { Database } from '../../platform/index.ts';
import { insertRevokedToken, isTokenRevoked } from './identity-store.ts';
import { mintDeviceToken, readToken, type TokenPrincipal } from './tokens.ts';

const REMEMBERED_LIMIT = 10_000;
/** A revocation is told to every process at once; should that fail, it is seen at the latest after this. */
const REMEMBERED_MS = 30_000;

/** Finds what a device may do; undefined when there is no such device. */
export type FindDevice = (deviceId: string) => Promise<DeviceBinding | undefined>;

export interface TokenBook {
  authenticate(token: string): Promise<Principal | Refusal>;
  revoke(idOrToken: string): Promise<void>;
  /** Drops what is remembered of a token that was revoked, in this process or another. */
  forget(tokenId: string): void;
  /** Makes a token for a device; it counts as soon as the device names its id. */
  mintForDevice(deviceId: string): { readonly id: string; readonly token: string };
  /** Whom to ask about devices. Until then no token of a device is taken. */
  bindDevices(find: FindDevice): void;
}

const revoked = refuse('auth.invalid', 'The bearer token was revoked.').refusal;
const unbound = refuse('auth.invalid', 'The device of this token does not exist, was revoked, or has a newer token.').refusal;

/** Checks bearer tokens; verified ones are remembered for a while, because ingest asks thousands of times a second. */
export function createTokenBook(options: { db: Database; key: Uint8Array; clock: Clock; random: Random }): TokenBook {
  const { db, key, clock, random } = options;
  const remembered = new Map<string, { principal: Principal; untilMs: number }>();
  let findDevice: FindDevice = () => Promise.resolve(undefined);
  let forgotten = 0; // how often something was dropped: what was read before is not remembered after
  const forget = (id: string): void => {
    forgotten += 1;
    for (const [token, { principal }] of remembered) if (principal.id === id) remembered.delete(token);
  };

  const bind = async ({ deviceId, ...principal }: TokenPrincipal): Promise<Result<Principal>> => {
    if (deviceId === undefined) return { ok: true, value: principal };
    const device = await findDevice(deviceId);
    return device?.tokenId === principal.id ? { ok: true, value: { ...principal, device } } : { ok: false, refusal: unbound };
  };
  return {
    authenticate: async (token) => {
      const known = remembered.get(token);
      if (known && known.untilMs > clock.nowMs() && isCurrent(known.principal)) return known.principal;
      remembered.delete(token);
      const read = readToken(token, key);
      if (!read.ok) return read.refusal;
      const before = forgotten;
      if (await isTokenRevoked(db, read.value.id)) return revoked;
      const bound = await bind(read.value);
      if (!bound.ok) return bound.refusal;
      // something was revoked meanwhile, perhaps this
      if (before !== forgotten) return (await isTokenRevoked(db, read.value.id)) ? revoked : bound.value;
      remembered.set(token, { principal: bound.value, untilMs: clock.nowMs() + REMEMBERED_MS });
      if (remembered.size > REMEMBERED_LIMIT) remembered.delete(remembered.keys().next().value as string);
      return bound.value;
    },
    revoke: async (idOrToken) => {
      const read = readToken(idOrToken, key);
      const id = read.ok ? read.value.id : idOrToken;
      await insertRevokedToken(db, id, new Date(clock.nowMs()));
      forget(id);
    },
    forget,
    mintForDevice: (deviceId) => mintDeviceToken(key, deviceId, clock, random),
    bindDevices: (find) => {
      findDevice = find;
    },
  };
}

const isCurrent = ({ id, device }: Principal): boolean => device === undefined || device.tokenId === id;
