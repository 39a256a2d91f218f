import type { IDToken } from 'openid-client';
import { Position } from '../../contracts/principal.ts';
import { newId, ok, refuse, Refused, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { Database, Trx } from '../../platform/index.ts';
import { createCodeFlow, failed, FRESH_S, type CodeFlow, type ServiceClient } from './code-flow.ts';
import { newPseudonym, nameKeyOf, type Doors } from './doors.ts';
import { findPersonBySubject, insertFederated, listSessionsOfSubject, noteFederatedUse } from './federated-store.ts';
import type { ServiceMarks } from './service-marks.ts';
import { changePerson, findPersonById, insertPerson, type StoredPerson } from './identity-store.ts';
import type { Sessions, SignedIn } from './sessions.ts';

const NAME_CHARS = 100;

export interface SignInServiceOptions extends ServiceClient {
  /** Whoever has a verified e-mail address of this domain gets an account without any position; null for nobody. */
  readonly allowedDomain: string | null;
  /** Positions by value of a claim; null when the service has no say in them. */
  readonly positions: { readonly claim: string; readonly of: ReadonlyMap<string, readonly Position[]> } | null;
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
  /** Where the browser signs out of the service as well; null when it has no such page. */
  signOutAddress(returnTo: string): Promise<string | null>;
  /** The service tells by a logout token that somebody has signed out there: ends the sessions that came from it, and gives how many. */
  signOut(token: string): Promise<Result<number>>;
}

interface Deps extends SignInServiceOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly doors: Doors;
  readonly sessions: Sessions;
  readonly serviceMarks: ServiceMarks;
}

/** Sign-in of staff through the city's OpenID Connect service. */
export function createSignInService(deps: Deps): SignInService {
  const { issuer, db, sessions, serviceMarks } = deps;
  const flow: CodeFlow<Intent> = createCodeFlow({ ...deps, scope: 'openid profile email' });
  return {
    label: deps.label,
    issuer,
    begin: (intent, redirectUri) => flow.begin(intent, redirectUri, intent.kind === 'sign-in' && intent.fresh),
    finish: (answer, browserSecret, agent) => flow.finish(answer, browserSecret, (intent, claims) => settle(deps, intent, claims, agent)),
    signOutAddress: (returnTo) => flow.signOutAddress(returnTo),
    signOut: async (token) => {
      const read = await flow.readLogout(token);
      if (!read.ok) return read;
      const { subject, session, tokenId, expiresAt } = read.value;
      // the token and the sessions go together: one that was not carried out can be sent again
      return db.transaction().execute(async (trx): Promise<Result<number>> => {
        if (!(await serviceMarks.spendToken(trx, issuer, tokenId, expiresAt))) return refuse('auth.logout-token-wrong', 'It was used already.', 'logout_token');
        const found = await listSessionsOfSubject(trx, issuer, subject, session === null ? null : serviceMarks.of(issuer, session));
        for (const { id, personId } of found) await sessions.endIn(trx, personId, id);
        return ok(found.length);
      });
    },
  };
}

async function settle(deps: Deps, intent: Intent, claims: IDToken, agent: string): Promise<Result<{ next: string; signedIn: SignedIn | null }>> {
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
  const serviceMark = deps.serviceMarks.ofClaims(issuer, claims);
  if (intent.kind === 'accept') {
    if (known !== undefined) return failed('This account of the service has an account here already: sign in with it.');
    const accepted = await doors.accept(intent.code, { name: intent.name, passwordHash: null, method: 'service', factors: 2, agent, serviceMark }, async (trx, personId) => {
      if (!(await insertFederated(trx, issuer, subject, personId, now))) throw new Refused(failed('This account of the service has an account here already.').refusal);
    });
    return accepted.ok ? ok({ next: '/console', signedIn: accepted.value }) : accepted;
  }
  const person = known ?? (await makeAccount(deps, claims, now));
  if (person === null) return refuse('auth.no-account', 'Nobody here belongs to this account of the service.');
  if (person.disabled) return refuse('auth.invalid', 'This account is disabled.');
  await noteFederatedUse(db, issuer, subject, now);
  const current = await applyPositions(deps, person, claims);
  return ok({ next: intent.next, signedIn: await sessions.begin(db, current, { method: 'service', factors: 2, agent, provedAt, serviceMark }) });
}

/** When the service says that the person proved who they are; null when it does not say, or that was before the last five minutes. */
function provedAtOf(claims: IDToken, now: Date): Date | null {
  const said = claims.auth_time;
  if (said === undefined || said * 1_000 < now.getTime() - FRESH_S * 1_000) return null;
  return new Date(Math.min(said * 1_000, now.getTime()));
}

/** Makes an account without positions for somebody with a verified address of the allowed domain; null for everybody else. */
async function makeAccount({ db, issuer, allowedDomain, clock, random }: Deps, claims: IDToken, now: Date): Promise<StoredPerson | null> {
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
async function applyPositions({ db, positions }: Deps, person: StoredPerson, claims: IDToken): Promise<StoredPerson> {
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
