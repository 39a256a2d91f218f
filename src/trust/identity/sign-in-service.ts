import { createHash, timingSafeEqual } from 'node:crypto';
import * as oidc from 'openid-client';
import { Position } from '../../contracts/principal.ts';
import { newId, newSecret, ok, refuse, Refused, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Database, Outgoing, Trx } from '../../platform/index.ts';
import { newPseudonym, nameKeyOf, type Doors } from './doors.ts';
import { findPersonBySubject, insertFederated, noteFederatedUse } from './federated-store.ts';
import { changePerson, findPersonById, insertPerson, type StoredPerson } from './identity-store.ts';
import type { Sessions, SignedIn } from './sessions.ts';

/** The service's keys and addresses are read again after this. */
const DISCOVERED_MS = 5 * 60_000;
const BEGUN_MS = 10 * 60_000;
const BEGUN_LIMIT = 10_000;
const ANSWER_BYTES = 262_144;
const TIMEOUT_MS = 10_000;
/** Clocks of the service and of this server may differ by this (OpenID Connect Core 1.0 §3.1.3.7). */
const CLOCK_TOLERANCE_S = 30;
const FRESH_S = 300;
const NAME_CHARS = 100;

export interface SignInServiceOptions {
  /** Issuer of OpenID Connect Discovery 1.0; https, or http on this machine. Its host must be on the egress list. */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** How the sign-in page names it. */
  readonly label: string;
  /** Whoever has a verified e-mail address of this domain gets an account without any position; null for nobody. */
  readonly allowedDomain: string | null;
  /** Positions by value of a claim; null when the service has no say in them. */
  readonly positions: { readonly claim: string; readonly of: ReadonlyMap<string, readonly Position[]> } | null;
  readonly outgoing: Outgoing;
}

/** What a person wants of the service. */
export type Intent =
  | { readonly kind: 'sign-in'; readonly next: string; readonly fresh: boolean }
  | { readonly kind: 'accept'; readonly code: string; readonly name: string }
  | { readonly kind: 'connect'; readonly personId: string };

export interface SignInService {
  readonly label: string;
  readonly issuer: string;
  /** Where the browser goes, and a secret that the same browser must bring back in a cookie. */
  begin(intent: Intent, redirectUri: string): Promise<Result<{ location: string; browserSecret: string }>>;
  /** Checks what the service says (OpenID Connect Core 1.0 §3.1.3). `signedIn` is null when an account was only connected. */
  finish(answer: URL, browserSecret: string | undefined, agent: string): Promise<Result<{ next: string; signedIn: SignedIn | null }>>;
}

interface Begun {
  readonly intent: Intent;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly nonce: string;
  readonly browserHash: Buffer;
  readonly untilMs: number;
}

interface Deps extends SignInServiceOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly doors: Doors;
  readonly sessions: Sessions;
}

const failed = (detail: string) => refuse('auth.service-failed', detail);
const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Sign-in through the city's OpenID Connect service: authorization code with PKCE (RFC 7636), state and nonce, each good once, in memory. */
export function createSignInService(deps: Deps): SignInService {
  const { clock, random, issuer } = deps;
  const begun = new Map<string, Begun>();
  let discovered: { config: oidc.Configuration; untilMs: number } | undefined;

  const discover = async (): Promise<oidc.Configuration> => {
    if (discovered !== undefined && discovered.untilMs > clock.nowMs()) return discovered.config;
    const url = new URL(issuer);
    const config = await oidc.discovery(url, deps.clientId, { [oidc.clockTolerance]: CLOCK_TOLERANCE_S }, oidc.ClientSecretBasic(deps.clientSecret), {
      [oidc.customFetch]: fetchThrough(deps.outgoing),
      timeout: TIMEOUT_MS / 1_000,
      // the signature is checked as well, not only the connection (OpenID Connect Core 1.0 §3.1.3.7 point 6)
      // the configuration refuses an http issuer unless it is on this machine
      execute: [oidc.enableNonRepudiationChecks, ...(url.protocol === 'http:' ? [oidc.allowInsecureRequests] : [])],
    });
    discovered = { config, untilMs: clock.nowMs() + DISCOVERED_MS };
    return config;
  };

  const take = (state: string | null): Begun | undefined => {
    if (state === null) return undefined;
    const found = begun.get(state);
    begun.delete(state);
    return found !== undefined && found.untilMs > clock.nowMs() ? found : undefined;
  };

  return {
    label: deps.label,
    issuer,
    begin: (intent, redirectUri) =>
      attempt(async () => {
        const config = await discover();
        const [state, nonce, verifier, browserSecret] = [newSecret(random), newSecret(random), oidc.randomPKCECodeVerifier(), newSecret(random)];
        begun.set(state, { intent, redirectUri, verifier, nonce, browserHash: hashOf(browserSecret), untilMs: clock.nowMs() + BEGUN_MS });
        if (begun.size > BEGUN_LIMIT) begun.delete(begun.keys().next().value as string);
        const location = oidc.buildAuthorizationUrl(config, {
          redirect_uri: redirectUri,
          scope: 'openid profile email',
          state,
          nonce,
          code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
          ...(asksFresh(intent) ? { prompt: 'login', max_age: String(FRESH_S) } : {}),
        });
        return ok({ location: location.href, browserSecret });
      }),
    finish: async (answer, browserSecret, agent) => {
      const flow = take(answer.searchParams.get('state'));
      if (flow === undefined) return failed('This sign-in was not begun here, was used, or took longer than ten minutes.');
      if (browserSecret === undefined || !timingSafeEqual(hashOf(browserSecret), flow.browserHash)) return failed('This sign-in was begun in another browser.');
      return attempt(async () => {
        const config = await discover();
        const tokens = await oidc.authorizationCodeGrant(config, new URL(answer.search, flow.redirectUri), {
          pkceCodeVerifier: flow.verifier,
          expectedState: answer.searchParams.get('state') ?? '',
          expectedNonce: flow.nonce,
          idTokenExpected: true,
          ...(asksFresh(flow.intent) ? { maxAge: FRESH_S } : {}),
        });
        const claims = tokens.claims();
        if (claims === undefined) return failed('The service sent no ID token.');
        return settle(deps, flow.intent, claims, agent);
      });
    },
  };
}

const asksFresh = (intent: Intent): boolean => intent.kind === 'sign-in' && intent.fresh;

/** What the library needs of fetch, over the one way out of this server. Redirects are not followed (OAuth 2.0 Security BCP, RFC 9700 §4). */
function fetchThrough(outgoing: Outgoing): oidc.CustomFetch {
  return async (url, { method, headers, body }) => {
    const request = { accept: headers['accept'] ?? 'application/json', authorization: headers['authorization'], max_bytes: ANSWER_BYTES, timeout_ms: TIMEOUT_MS };
    const answer = method === 'POST' ? await outgoing.post(url, { ...request, content: { type: headers['content-type'] ?? 'application/x-www-form-urlencoded', body: String(body as string | URLSearchParams) } }) : await outgoing.get(url, request);
    return new Response(answer.body.length > 0 ? new Uint8Array(answer.body) : null, { status: answer.status, headers: { 'content-type': answer.contentType } });
  };
}

async function settle(deps: Deps, intent: Intent, claims: oidc.IDToken, agent: string): Promise<Result<{ next: string; signedIn: SignedIn | null }>> {
  const { db, issuer, doors, sessions, clock } = deps;
  const now = new Date(clock.nowMs());
  const subject = claims.sub;
  const known = await findPersonBySubject(db, issuer, subject);
  if (intent.kind === 'connect') {
    if (known !== undefined) return known.id === intent.personId ? ok({ next: '/account', signedIn: null }) : failed('This account of the service belongs to somebody else here.');
    const person = await findPersonById(db, intent.personId);
    if (person === undefined || person.disabled) return failed('The account here is closed.');
    await db.transaction().execute((trx) => insertFederated(trx, issuer, subject, intent.personId, now));
    return ok({ next: '/account', signedIn: null });
  }
  const provedAt = provedAtOf(claims, now);
  if (intent.kind === 'accept') {
    if (known !== undefined) return failed('This account of the service has an account here already: sign in with it.');
    const accepted = await doors.accept(intent.code, { name: intent.name, passwordHash: null, method: 'service', factors: 2, agent }, async (trx, personId) => {
      if (!(await insertFederated(trx, issuer, subject, personId, now))) throw new Refused(failed('This account of the service has an account here already.').refusal);
    });
    return accepted.ok ? ok({ next: '/console', signedIn: accepted.value }) : accepted;
  }
  const person = known ?? (await makeAccount(deps, claims, now));
  if (person === null) return refuse('auth.no-account', 'Nobody here belongs to this account of the service.');
  if (person.disabled) return refuse('auth.invalid', 'This account is disabled.');
  await noteFederatedUse(db, issuer, subject, now);
  const current = await applyPositions(deps, person, claims);
  return ok({ next: intent.next, signedIn: await sessions.begin(db, current, { method: 'service', factors: 2, agent, provedAt }) });
}

/** When the service says that the person proved who they are; null when it does not say, or that was before the last five minutes. */
function provedAtOf(claims: oidc.IDToken, now: Date): Date | null {
  const said = claims.auth_time;
  if (said === undefined || said * 1_000 < now.getTime() - FRESH_S * 1_000) return null;
  return new Date(Math.min(said * 1_000, now.getTime()));
}

/** Makes an account without positions for somebody with a verified address of the allowed domain; null for everybody else. */
async function makeAccount({ db, issuer, allowedDomain, clock, random }: Deps, claims: oidc.IDToken, now: Date): Promise<StoredPerson | null> {
  const email = claims['email'];
  if (allowedDomain === null || claims['email_verified'] !== true || typeof email !== 'string' || !email.toLowerCase().endsWith(`@${allowedDomain.toLowerCase()}`)) return null;
  const stated = claims['name'];
  const names = [...(typeof stated === 'string' && stated.trim().length >= 2 ? [stated.trim()] : []), email].map((name) => name.slice(0, NAME_CHARS));
  return db.transaction().execute(async (trx) => {
    for (const name of names) {
      const person: StoredPerson = { id: newId('per', clock.nowMs(), random), name, positions: [], pseudonym: newPseudonym(random), department: null, passwordHash: null, createdAt: now, disabled: false };
      if (await insertPerson(trx, { ...person, nameKey: nameKeyOf(name) })) return (await insertFederated(trx, issuer, claims.sub, person.id, now)) ? person : raise('two sign-ins made one account at once');
    }
    return null;
  });
}

/** Gives the positions that the configuration maps the claim to; without a mapping the service has no say. The last administrator stays one. */
async function applyPositions({ db, positions }: Deps, person: StoredPerson, claims: oidc.IDToken): Promise<StoredPerson> {
  if (positions === null) return person;
  const said = claims[positions.claim];
  const values = (Array.isArray(said) ? said : [said]).filter((value) => typeof value === 'string');
  const mapped = [...new Set(values.flatMap((value) => positions.of.get(value) ?? []))].sort();
  if (mapped.join() === [...person.positions].sort().join()) return person;
  const outcome = await db.transaction().execute((trx: Trx) => changePerson(trx, person.id, { positions: mapped }, 'administrator'));
  return outcome === 'done' ? { ...person, positions: mapped } : person;
}

const raise = (message: string): never => {
  throw new Error(message);
};

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

/** Reads `claimvalue=position position, other=position`. Throws `Refused` naming what is not right. */
export function readPositionMap(text: string): ReadonlyMap<string, readonly Position[]> {
  const map = new Map<string, readonly Position[]>();
  for (const part of text.split(',')) {
    const [value, named] = part.split('=', 2).map((side) => side.trim());
    const positions = (named ?? '').split(/\s+/).filter((word) => word !== '');
    const bad = positions.find((word) => !Position.safeParse(word).success || word === 'device');
    if (value === undefined || value === '' || positions.length === 0 || bad !== undefined)
      throw new Refused({ code: 'start.config-invalid', detail: `oidc_positions is a list such as "city-operators=operator, city-chiefs=supervisor auditor"; "${part.trim().slice(0, 100)}" is not of that form.`, field: 'oidc_positions' });
    map.set(value, positions as Position[]);
  }
  return map;
}
