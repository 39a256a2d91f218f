import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { Position, type Principal } from '../../contracts/principal.ts';
import { newId, ok, refuse, systemClock, systemRandom, type Clock, type Random, type Result } from '../../kernel/index.ts';
import { readOrMakeSecret } from '../keys/key-files.ts';

/** What a token says: id, position, purpose, device, moment of making in ms. Short names, because devices send it with every reading. */
const Claims = z.strictObject({ i: z.string().min(1).max(64), r: Position, u: z.string().max(63).optional(), d: z.string().max(64).optional(), c: z.number().int() });
type Claims = z.infer<typeof Claims>;

const PREFIX = 'clt1';
const TOKEN_MAX_CHARS = 512;

/** `clt1.CLAIMS.MAC`, base64url; the MAC is HMAC-SHA-256 over everything before it. */
function write(claims: Claims, key: Uint8Array): string {
  const text = `${PREFIX}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${text}.${mac(text, key)}`;
}

const mac = (text: string, key: Uint8Array): string => createHmac('sha256', key).update(text).digest('base64url');

/**
 * Makes a bearer token under the key of the data folder; needs neither server nor database. The key is made when it is missing.
 * `purpose` binds a device's readings to one purpose.
 */
export function mintToken(dataFolder: string, options: { position: Position; purpose?: string }): string {
  const nowMs = systemClock.nowMs();
  const claims: Claims = { i: newId('tok', nowMs, systemRandom), r: options.position, c: nowMs, ...(options.purpose === undefined ? {} : { u: options.purpose }) };
  return write(claims, readOrMakeSecret(dataFolder, 'token'));
}

/** Makes the token of one device; it is good for as long as the device names its id. */
export function mintDeviceToken(key: Uint8Array, deviceId: string, clock: Clock, random: Random): { readonly id: string; readonly token: string } {
  const nowMs = clock.nowMs();
  const id = newId<string>('tok', nowMs, random);
  return { id, token: write({ i: id, r: 'device', d: deviceId, c: nowMs }, key) };
}

/** What a token says of its holder; a token of a device counts only together with what the register of devices says. */
export type TokenPrincipal = Principal & { readonly deviceId?: string };

/** Checks the MAC in constant time and reads the claims. Does not know of revocation. */
export function readToken(token: string, key: Uint8Array): Result<TokenPrincipal> {
  const invalid = refuse('auth.invalid', 'The bearer token was not made by this server.');
  if (token.length > TOKEN_MAX_CHARS) return invalid;
  const cut = token.lastIndexOf('.');
  const text = token.slice(0, cut);
  if (cut < 0 || !text.startsWith(`${PREFIX}.`)) return invalid;
  const given = Buffer.from(token.slice(cut + 1));
  const expected = Buffer.from(mac(text, key));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return invalid;
  const claims = Claims.safeParse(JSON.parse(Buffer.from(text.slice(PREFIX.length + 1), 'base64url').toString('utf8')));
  if (!claims.success) return refuse('auth.invalid', 'The bearer token is of a form that this server does not know.');
  const { i: id, r: position, u: purpose, d: deviceId } = claims.data;
  return ok({ kind: 'token', id, name: `${position} token`, positions: [position], pseudonym: `token-${id.slice(-8)}`, ...(purpose === undefined ? {} : { purpose }), ...(deviceId === undefined ? {} : { deviceId }) });
}
