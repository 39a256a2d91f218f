import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { newSecret, ok, refuse, type Clock, type Random, type Result } from '../../kernel/index.ts';
import type { StoredPasskey } from './identity-store.ts';

const CHALLENGE_MS = 5 * 60_000;
const CHALLENGES_LIMIT = 10_000;
/** COSE: EdDSA, ES256, RS256 (WebAuthn level 3 §5.4). */
const ALGORITHMS = [-8, -7, -257];

/** Where the page was opened, as far as passkeys care (WebAuthn level 3 §5.1.2: a relying party is a domain). */
export interface Site {
  readonly relyingParty: string;
  readonly origin: string;
}

/**
 * The relying party of a page opened at `host` ("name:port"). Refuses with the reason where browsers allow no passkeys: at an IP
 * address, over plain http (localhost excepted), or, when the city states its public address, under another name.
 */
export function siteOfHost(host: string | undefined, protocol: string, publicUrl: string | undefined): Result<Site> {
  const no = (why: string) => refuse('auth.passkey-not-here', why, 'host');
  if (host === undefined || !URL.canParse(`${protocol}://${host}`)) return no('The request names no host.');
  const opened = new URL(`${protocol}://${host}`);
  const stated = publicUrl === undefined ? undefined : new URL(publicUrl);
  // behind a proxy that ends TLS the request itself is plain http
  const site = stated?.host === opened.host ? stated : opened;
  const name = site.hostname;
  const local = name === 'localhost' || name.endsWith('.localhost');
  if (name.startsWith('[') || /^\d+(\.\d+){3}$/.test(name)) return no(`Passkeys belong to a domain name, and this page was opened at the address ${name}.`);
  if (site.protocol !== 'https:' && !local) return no('Browsers allow passkeys over https only.');
  if (stated !== undefined && stated.hostname !== name && !local && !/^(\d+(\.\d+){3}|\[.*\])$/.test(stated.hostname))
    return no(`Passkeys of this city belong to ${stated.hostname}.`);
  return ok({ relyingParty: name, origin: site.origin });
}

interface Challenge {
  readonly challenge: string;
  readonly site: Site;
  readonly untilMs: number;
  /** For a registration: the one-time link and the account that it will make. */
  readonly registration: { readonly code: string; readonly personId: string; readonly name: string } | null;
}

export interface Passkeys {
  beginRegistration(site: Site, registration: { code: string; personId: string; name: string }): Promise<{ challengeId: string; options: unknown }>;
  finishRegistration(challengeId: string, code: string, response: unknown): Promise<Result<{ personId: string; name: string; passkey: StoredPasskey }>>;
  beginSignIn(site: Site): Promise<{ challengeId: string; options: unknown }>;
  finishSignIn<T extends { passkey: StoredPasskey }>(
    challengeId: string,
    response: unknown,
    find: (credentialId: string) => Promise<T | undefined>,
  ): Promise<Result<{ found: T; counter: number }>>;
}

/** Passkeys as the only factor: discoverable and with user verification. Challenges live in memory, once, five minutes. */
export function createPasskeys({ clock, random }: { clock: Clock; random: Random }): Passkeys {
  const challenges = new Map<string, Challenge>();
  const keep = (challenge: Omit<Challenge, 'untilMs'>): string => {
    const id = newSecret(random);
    challenges.set(id, { ...challenge, untilMs: clock.nowMs() + CHALLENGE_MS });
    if (challenges.size > CHALLENGES_LIMIT) challenges.delete(challenges.keys().next().value as string);
    return id;
  };
  const take = (id: string): Challenge | undefined => {
    const challenge = challenges.get(id);
    challenges.delete(id);
    return challenge && challenge.untilMs > clock.nowMs() ? challenge : undefined;
  };
  const expired = refuse('auth.invalid', 'The challenge was used or has expired: begin again.', 'challengeId');
  const wrong = (detail: string) => refuse('auth.invalid', detail, 'response');

  return {
    beginRegistration: async (site, registration) => {
      const options = await generateRegistrationOptions({
        rpName: 'Clerestory',
        rpID: site.relyingParty,
        userName: registration.name,
        userDisplayName: registration.name,
        userID: new Uint8Array(Buffer.from(registration.personId)),
        challenge: new Uint8Array(random(32)),
        attestationType: 'none',
        supportedAlgorithmIDs: ALGORITHMS,
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      });
      return { challengeId: keep({ challenge: options.challenge, site, registration }), options };
    },
    finishRegistration: async (challengeId, code, response) => {
      const challenge = take(challengeId);
      if (!challenge?.registration || challenge.registration.code !== code) return expired;
      const { site, registration } = challenge;
      const verified = await attempt(() =>
        verifyRegistrationResponse({
          response: response as RegistrationResponseJSON,
          expectedChallenge: challenge.challenge,
          expectedOrigin: site.origin,
          expectedRPID: site.relyingParty,
          requireUserVerification: true,
          supportedAlgorithmIDs: ALGORITHMS,
        }),
      );
      if (!verified.ok) return verified;
      if (!verified.value.verified) return wrong('The passkey was not accepted.');
      const { credential } = verified.value.registrationInfo;
      return ok({
        personId: registration.personId,
        name: registration.name,
        passkey: {
          credentialId: credential.id,
          relyingParty: site.relyingParty,
          publicKey: Buffer.from(credential.publicKey),
          counter: credential.counter,
          transports: credential.transports ?? [],
        },
      });
    },
    beginSignIn: async (site) => {
      const options = await generateAuthenticationOptions({ rpID: site.relyingParty, userVerification: 'required', challenge: new Uint8Array(random(32)) });
      return { challengeId: keep({ challenge: options.challenge, site, registration: null }), options };
    },
    finishSignIn: async (challengeId, response, find) => {
      const challenge = take(challengeId);
      if (!challenge || challenge.registration !== null) return expired;
      const { id } = (response ?? {}) as { id?: unknown };
      const found = typeof id === 'string' && id.length <= 1_400 ? await find(id) : undefined;
      if (found?.passkey.relyingParty !== challenge.site.relyingParty) return wrong('This passkey is not known here.');
      const { credentialId, publicKey, counter, transports } = found.passkey;
      const verified = await attempt(() =>
        verifyAuthenticationResponse({
          response: response as AuthenticationResponseJSON,
          expectedChallenge: challenge.challenge,
          expectedOrigin: challenge.site.origin,
          expectedRPID: challenge.site.relyingParty,
          requireUserVerification: true,
          credential: { id: credentialId, publicKey: new Uint8Array(publicKey), counter, transports },
        }),
      );
      if (!verified.ok) return verified;
      if (!verified.value.verified) return wrong('The signature of the passkey is not right.');
      return ok({ found, counter: verified.value.authenticationInfo.newCounter });
    },
  };
}

// The library throws for every answer that is not right; its messages name the part and carry no secret.
async function attempt<T>(verify: () => Promise<T>): Promise<Result<T>> {
  try {
    return ok(await verify());
  } catch (error) {
    return refuse('auth.invalid', `The passkey was not accepted: ${(error as Error).message}`.slice(0, 300), 'response');
  }
}
