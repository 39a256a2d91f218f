import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { ok, refuse, type Result } from '../../kernel/index.ts';

/** Whose sessions a logout token ends; at least one of subject and session is there. */
export interface LoggedOut {
  readonly subject: string | null;
  /** The service's session (claim `sid`). */
  readonly session: string | null;
  /** Id of the token: it counts once. */
  readonly tokenId: string;
  readonly expiresAt: Date;
}

export interface LogoutCheck {
  readonly issuer: string;
  readonly clientId: string;
  readonly nowMs: number;
  readonly toleranceS: number;
  /** The service's JSON Web Key Set as text; `anew` when the key that signed is not in it. */
  readonly readKeys: (anew: boolean) => Promise<string>;
}

export const TOKEN_CHARS = 16_384;
/** A logout token is sent when it is made; an older one was kept by somebody. */
const AGE_S = 600;
const KEYS_LIMIT = 50;
// OpenID Connect Back-Channel Logout 1.0 §2.4
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

type Algorithm = { readonly hash: string | null; readonly options: { padding?: number; saltLength?: number; dsaEncoding?: 'ieee-p1363' }; readonly type: string; readonly curve?: string };
/** RFC 7518 §3.1 and RFC 8037: signatures by a key pair alone. "none" and those by a shared secret are not among them. */
const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: { hash: 'sha256', options: {}, type: 'rsa' },
  RS384: { hash: 'sha384', options: {}, type: 'rsa' },
  RS512: { hash: 'sha512', options: {}, type: 'rsa' },
  PS256: { hash: 'sha256', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, type: 'rsa' },
  PS384: { hash: 'sha384', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }, type: 'rsa' },
  PS512: { hash: 'sha512', options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 }, type: 'rsa' },
  ES256: { hash: 'sha256', options: { dsaEncoding: 'ieee-p1363' }, type: 'ec', curve: 'prime256v1' },
  ES384: { hash: 'sha384', options: { dsaEncoding: 'ieee-p1363' }, type: 'ec', curve: 'secp384r1' },
  ES512: { hash: 'sha512', options: { dsaEncoding: 'ieee-p1363' }, type: 'ec', curve: 'secp521r1' },
  EdDSA: { hash: null, options: {}, type: 'ed25519' },
  Ed25519: { hash: null, options: {}, type: 'ed25519' },
};

const Header = z.looseObject({ alg: z.string().max(20), kid: z.string().max(500).optional(), typ: z.string().max(50).optional(), crit: z.undefined().optional() });
const Claims = z.looseObject({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string()).max(20)]),
  iat: z.number(),
  exp: z.number(),
  jti: z.string().min(1).max(500),
  sub: z.string().min(1).max(255).optional(),
  sid: z.string().min(1).max(500).optional(),
  events: z.record(z.string(), z.unknown()),
  nonce: z.undefined().optional(),
});
const KeySet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional(), alg: z.string().optional() })).max(KEYS_LIMIT) });

const wrong = (detail: string) => refuse('auth.logout-token-wrong', detail, 'logout_token');

/** Reads and checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6; JWS compact form, RFC 7515 §7.1). */
export async function readLogoutToken(token: string, check: LogoutCheck): Promise<Result<LoggedOut>> {
  const parts = token.length > TOKEN_CHARS ? [] : token.split('.');
  if (parts.length !== 3 || parts.some((part) => !/^[\w-]+$/.test(part))) return wrong('It is not a signed token in compact form.');
  const [head = '', payload = '', signature = ''] = parts;
  const header = Header.safeParse(readJson(head));
  if (!header.success) return wrong('Its header is not right.');
  const algorithm = Object.hasOwn(ALGORITHMS, header.data.alg) ? ALGORITHMS[header.data.alg] : undefined;
  if (algorithm === undefined) return wrong('It is not signed by a key pair.');
  // RFC 8725 §3.11: a token of another kind, such as an ID token, is none of these
  if (header.data.typ !== undefined && !/^(?:application\/)?(?:logout\+jwt|jwt)$/i.test(header.data.typ)) return wrong('It is a token of another kind.');
  const signed = Buffer.from(`${head}.${payload}`, 'ascii');
  const fits = async (anew: boolean): Promise<boolean> =>
    keysOf(await check.readKeys(anew), header.data.kid, header.data.alg, algorithm).some((key) => verify(algorithm.hash, signed, { key, ...algorithm.options }, Buffer.from(signature, 'base64url')));
  // services change their keys: the set is read once more before it is called wrong
  if (!(await fits(false)) && !(await fits(true))) return wrong('No key of the service has signed it.');
  return readClaims(readJson(payload), check);
}

function readClaims(said: unknown, { issuer, clientId, nowMs, toleranceS }: LogoutCheck): Result<LoggedOut> {
  const parsed = Claims.safeParse(said);
  if (!parsed.success) return wrong(`Its claim ${String(parsed.error.issues[0]?.path[0] ?? '')} is not right.`);
  const { iss, aud, iat, exp, jti, sub, sid, events } = parsed.data;
  const nowS = nowMs / 1_000;
  if (iss !== issuer) return wrong('It is of another issuer.');
  if (![aud].flat().includes(clientId)) return wrong('It is for somebody else.');
  if (exp + toleranceS <= nowS) return wrong('It has expired.');
  if (iat - toleranceS > nowS || iat < nowS - AGE_S) return wrong('It was not made now.');
  const event = Object.hasOwn(events, EVENT) ? events[EVENT] : null;
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return wrong('It tells of no sign-out.');
  if (sub === undefined && sid === undefined) return wrong('It names neither a person nor a session.');
  // kept so long that no copy of it counts again
  return ok({ subject: sub ?? null, session: sid ?? null, tokenId: jti, expiresAt: new Date(Math.min(exp, iat + AGE_S) * 1_000 + toleranceS * 1_000) });
}

function readJson(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return null; // what is no JSON fits no schema
  }
}

/** The keys of the set that may have made the signature. */
function keysOf(text: string, kid: string | undefined, alg: string, { type, curve }: Algorithm): KeyObject[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return [];
  }
  const parsed = KeySet.safeParse(set);
  if (!parsed.success) return [];
  return parsed.data.keys
    .filter((each) => (kid === undefined || each.kid === kid) && (each.use === undefined || each.use === 'sig') && (each.alg === undefined || each.alg === alg) && each.kty !== 'oct')
    .flatMap((jwk) => {
      try {
        return [createPublicKey({ key: jwk, format: 'jwk' })];
      } catch {
        return []; // a kind of key that this runtime does not know
      }
    })
    .filter((key) => key.asymmetricKeyType === type && (curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve));
}
