import { createHash, timingSafeEqual } from 'node:crypto';
import * as oidc from 'openid-client';
import { newSecret, ok, refuse, Refused, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Outgoing } from '../../platform/index.ts';
import { readLogoutToken, type LoggedOut } from './logout-token.ts';

/** The service's keys and addresses are read again after this. */
const DISCOVERED_MS = 5 * 60_000;
/** A logout token of an unknown key reads them anew, but not more often than this. */
const KEYS_MS = 30_000;
const BEGUN_MS = 10 * 60_000;
const BEGUN_LIMIT = 10_000;
const ANSWER_BYTES = 262_144;
const TIMEOUT_MS = 10_000;
/** Clocks of the service and of this server may differ by this (OpenID Connect Core 1.0 §3.1.3.7). */
const CLOCK_TOLERANCE_S = 30;
export const FRESH_S = 300;

/** A client of an OpenID Connect service. */
export interface ServiceClient {
  /** Issuer of OpenID Connect Discovery 1.0; https, or http on this machine. Its host must be on the egress list. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** How the sign-in page names it. */
  readonly label: string;
  readonly outgoing: Outgoing;
}

/** Authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE, state and nonce, each good once, in memory, for ten minutes. */
export interface CodeFlow<Intent> {
  /** Where the browser goes, and a secret that the same browser must bring back in a cookie. `fresh` asks the person to sign in anew. */
  begin(intent: Intent, redirectUri: string, fresh: boolean): Promise<Result<{ location: string; browserSecret: string }>>;
  /** Checks what the service says (OpenID Connect Core 1.0 §3.1.3; the issuer in the answer as in RFC 9207), then goes on with `settle`. */
  finish<T>(answer: URL, browserSecret: string | undefined, settle: (intent: Intent, claims: oidc.IDToken) => Promise<Result<T>>): Promise<Result<T>>;
  /** Where the browser signs out of the service too (OpenID Connect RP-Initiated Logout 1.0 §2); null when it offers no such page or does not answer. */
  signOutAddress(returnTo: string): Promise<string | null>;
  /** Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6), all but its replay. */
  readLogout(token: string): Promise<Result<LoggedOut>>;
}

interface Begun<Intent> {
  readonly intent: Intent;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly nonce: string;
  readonly fresh: boolean;
  readonly browserHash: Buffer;
  readonly untilMs: number;
}

export const failed = (detail: string) => refuse('auth.service-failed', detail);
const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** `scope` is what the service is asked to tell beside the subject. */
export function createCodeFlow<Intent>({ issuer, clientId, clientSecret, outgoing, clock, random, scope }: Omit<ServiceClient, 'label'> & { readonly clock: Clock; readonly random: Random; readonly scope: string }): CodeFlow<Intent> {
  const begun = new Map<string, Begun<Intent>>();
  const discover = createDiscovery({ issuer, clientId, clientSecret, outgoing, clock });
  const readKeys = createKeys(async () => (await discover()).serverMetadata().jwks_uri, outgoing, clock);

  const take = (state: string | null): Begun<Intent> | undefined => {
    if (state === null) return undefined;
    const found = begun.get(state);
    begun.delete(state);
    return found !== undefined && found.untilMs > clock.nowMs() ? found : undefined;
  };

  return {
    begin: (intent, redirectUri, fresh) =>
      attempt(async () => {
        const config = await discover();
        const [state, nonce, verifier, browserSecret] = [newSecret(random), newSecret(random), oidc.randomPKCECodeVerifier(), newSecret(random)];
        begun.set(state, { intent, redirectUri, verifier, nonce, fresh, browserHash: hashOf(browserSecret), untilMs: clock.nowMs() + BEGUN_MS });
        if (begun.size > BEGUN_LIMIT) begun.delete(begun.keys().next().value as string);
        const location = oidc.buildAuthorizationUrl(config, {
          redirect_uri: redirectUri,
          scope,
          state,
          nonce,
          code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
          ...(fresh ? { prompt: 'login', max_age: String(FRESH_S) } : {}),
        });
        return ok({ location: location.href, browserSecret });
      }),
    finish: async (answer, browserSecret, settle) => {
      const flow = take(answer.searchParams.get('state'));
      if (flow === undefined) return failed('This sign-in was not begun here, was used, or took longer than ten minutes.');
      if (browserSecret === undefined || !timingSafeEqual(hashOf(browserSecret), flow.browserHash)) return failed('This sign-in was begun in another browser.');
      return attempt(async () => {
        const tokens = await oidc.authorizationCodeGrant(await discover(), new URL(answer.search, flow.redirectUri), {
          pkceCodeVerifier: flow.verifier,
          expectedState: answer.searchParams.get('state') ?? '',
          expectedNonce: flow.nonce,
          idTokenExpected: true,
          ...(flow.fresh ? { maxAge: FRESH_S } : {}),
        });
        const claims = tokens.claims();
        return claims === undefined ? failed('The service sent no ID token.') : settle(flow.intent, claims);
      });
    },
    signOutAddress: async (returnTo) => {
      const found = await attempt(async () => {
        const config = await discover();
        const offered = config.serverMetadata().end_session_endpoint !== undefined;
        return ok(offered ? oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: returnTo }).href : null);
      });
      return found.ok ? found.value : null;
    },
    readLogout: (token) => attempt(() => readLogoutToken(token, { issuer, clientId, nowMs: clock.nowMs(), toleranceS: CLOCK_TOLERANCE_S, readKeys })),
  };
}

function createDiscovery({ issuer, clientId, clientSecret, outgoing, clock }: Omit<ServiceClient, 'label'> & { readonly clock: Clock }): () => Promise<oidc.Configuration> {
  let discovered: { config: oidc.Configuration; untilMs: number } | undefined;
  return async () => {
    if (discovered !== undefined && discovered.untilMs > clock.nowMs()) return discovered.config;
    const url = new URL(issuer);
    const config = await oidc.discovery(url, clientId, { [oidc.clockTolerance]: CLOCK_TOLERANCE_S }, oidc.ClientSecretBasic(clientSecret), {
      [oidc.customFetch]: fetchThrough(outgoing),
      timeout: TIMEOUT_MS / 1_000,
      // the signature is checked as well, not only the connection (OpenID Connect Core 1.0 §3.1.3.7 point 6)
      // the configuration refuses an http issuer unless it is on this machine
      execute: [oidc.enableNonRepudiationChecks, ...(url.protocol === 'http:' ? [oidc.allowInsecureRequests] : [])],
    });
    discovered = { config, untilMs: clock.nowMs() + DISCOVERED_MS };
    return config;
  };
}

/** The service's JSON Web Key Set (RFC 7517 §5) as it stands; `anew` reads it again unless that was done a moment ago. */
function createKeys(addressOf: () => Promise<string | undefined>, outgoing: Outgoing, clock: Clock): (anew: boolean) => Promise<string> {
  let known: { text: string; atMs: number } | undefined;
  return async (anew) => {
    if (known === undefined || clock.nowMs() - known.atMs >= (anew ? KEYS_MS : DISCOVERED_MS)) {
      const address = await addressOf();
      if (address === undefined) throw new Refused(failed('The service publishes no keys.').refusal);
      const { body } = await outgoing.get(address, { accept: 'application/json', max_bytes: ANSWER_BYTES, timeout_ms: TIMEOUT_MS });
      known = { text: body.toString('utf8'), atMs: clock.nowMs() };
    }
    return known.text;
  };
}

/** What the library needs of fetch, over the one way out of this server. Redirects are not followed (OAuth 2.0 Security BCP, RFC 9700 §4). */
function fetchThrough(outgoing: Outgoing): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const request = { accept: headers['accept'] ?? 'application/json', authorization: headers['authorization'], max_bytes: ANSWER_BYTES, timeout_ms: TIMEOUT_MS };
    const answer = method === 'POST' ? await outgoing.post(url, { ...request, content: { type: headers['content-type'] ?? 'application/x-www-form-urlencoded', body: String(body as string | URLSearchParams) } }) : await outgoing.get(url, request);
    return new Response(answer.body.length > 0 ? new Uint8Array(answer.body) : null, { status: answer.status, headers: { 'content-type': answer.contentType } });
  };
}

/** Turns what the library throws for answers that are not right into refusals; its messages carry no secret. */
async function attempt<T>(act: () => Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await act();
  } catch (error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      if (cause instanceof Refused) {
        const { code, detail } = cause.refusals[0];
        return code.startsWith('feed.source') ? refuse('auth.service-away', detail) : { ok: false, refusal: cause.refusals[0] };
      }
    }
    if (error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError) return failed(`The service answered ${error.error}.`.slice(0, 200));
    if (error instanceof oidc.ClientError) return failed(`The answer of the service is not right: ${error.message}`.slice(0, 300));
    throw error;
  }
}
