import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Position } from '../src/contracts/principal.ts';
import { manualClock, systemRandom } from '../src/kernel/index.ts';
import { buildHttp, createBus, silentLogger, type Bus, type DatabaseHandle, type Http } from '../src/platform/index.ts';
import { registerIdentityRoutes } from '../src/trust/identity/identity-routes.ts';
import { createIdentity, type Identity, type IdentityOptions } from '../src/trust/identity/identity.ts';
import { readOrMakeSecret } from '../src/trust/keys/key-files.ts';
import { createPolicy } from '../src/trust/policy/policy.ts';
import { freshDatabase } from './database.ts';

export const HOST = 'localhost:8080';
export const SAME_SITE = { host: HOST, 'sec-fetch-site': 'same-origin' };
export const cookieOf = (response: { headers: Record<string, unknown> }): string => String(response.headers['set-cookie']).split(';')[0] as string;

/** Identity and its routes on a real database, without the rest of a city. */
export interface Door {
  readonly identity: Identity;
  readonly http: Http;
  readonly clock: ReturnType<typeof manualClock>;
  readonly dataFolder: string;
  readonly handle: DatabaseHandle;
  readonly bus: Bus;
  /** A one-time link's code. */
  invite(positions: readonly Position[], name?: string): Promise<string>;
  /** Makes an account with a password and gives the cookie of its session. */
  join(name: string, password: string, ...positions: Position[]): Promise<string>;
  close(): Promise<void>;
}

export async function openDoor(options: Partial<Pick<IdentityOptions, 'secondFactor' | 'service' | 'publicUrl'>> & { handle?: DatabaseHandle; dataFolder?: string; clock?: Door['clock']; trustedProxies?: readonly string[] } = {}): Promise<Door> {
  const clock = options.clock ?? manualClock(Date.parse('2026-11-24T06:00:00Z'));
  const dataFolder = options.dataFolder ?? mkdtempSync(join(tmpdir(), 'clerestory-door-'));
  const handle = options.handle ?? (await freshDatabase());
  const bus = await createBus(handle, clock, silentLogger);
  const identity = createIdentity({
    handle,
    bus,
    clock,
    random: systemRandom,
    logger: silentLogger,
    tokenKey: readOrMakeSecret(dataFolder, 'token'),
    identityKey: readOrMakeSecret(dataFolder, 'identity'),
    publicUrl: options.publicUrl,
    city: 'Testport',
    secondFactor: options.secondFactor ?? 'optional',
    service: options.service ?? null,
    passwordCostLog2: 12,
  });
  const { authorize } = createPolicy(dataFolder);
  const http = await buildHttp({ logger: silentLogger, authenticate: identity.authenticate, authorize, isFresh: identity.isFresh, trustedProxies: options.trustedProxies ?? [] });
  registerIdentityRoutes(http, { identity, db: handle.db, secondFactor: options.secondFactor ?? 'optional' });
  await http.ready();
  const invite = async (positions: readonly Position[], name = ''): Promise<string> => (await identity.doors.invite({ positions, name, lifetime_ms: 60_000 })).code;
  return {
    identity,
    http,
    clock,
    dataFolder,
    handle,
    bus,
    invite,
    join: async (name, password, ...positions) => {
      const response = await http.inject({ method: 'POST', url: `/api/invitations/${await invite(positions)}/password`, headers: SAME_SITE, payload: { name, password } });
      if (response.statusCode !== 200) throw new Error(`the account was not made: ${response.body}`);
      return cookieOf(response);
    },
    close: async () => {
      await http.close();
      await identity.close();
      await bus.close();
      if (options.dataFolder === undefined) rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}
