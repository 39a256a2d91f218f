import { z } from 'zod';
import { Instant } from './common.ts';
import { Position, Principal } from './principal.ts';

/** Six digits of an authenticator app (RFC 6238) or a recovery code, with or without hyphens and spaces. */
const OneTimeCode = z.string().max(40);
const Password = z.string().min(12, 'Use at least 12 characters; a sentence is fine.').max(1_000);
const Department = z.string().trim().max(100);

/** GET /api/session */
export const Session = z.object({
  principal: Principal,
  expiresAt: Instant.nullable(),
  /** Whether the session is good for nothing but setting up a second factor on the page /account. */
  secondFactorNeeded: z.boolean(),
});
export type Session = z.infer<typeof Session>;

/** POST /api/sign-in/password */
export const PasswordSignIn = z.strictObject({ name: z.string().trim().min(1).max(100), password: z.string().min(1).max(1_000), code: OneTimeCode.default('') });

/** GET /api/invitations/{code}: what a one-time link is for. */
export const Invitation = z.object({ positions: z.array(Position), name: z.string(), department: z.string().nullable(), expiresAt: Instant });
export type Invitation = z.infer<typeof Invitation>;

/** POST /api/invitations/{code}/password: sets up an account with a password and signs in. */
export const AcceptWithPassword = z.strictObject({
  name: z.string().trim().min(2).max(100),
  password: Password,
});

/** Passkeys (WebAuthn level 3). Options and answers are the JSON forms of the standard. */
export const PasskeyBegin = z.strictObject({ name: z.string().trim().min(2).max(100) });
export const PasskeyFinish = z.strictObject({ challengeId: z.string().max(64), response: z.unknown() });

export const Person = z.object({ id: z.string(), name: z.string(), positions: z.array(Position), department: z.string().nullable(), pseudonym: z.string(), createdAt: Instant, disabled: z.boolean() });
export type Person = z.infer<typeof Person>;

/** POST /api/people/invitations (administrator) */
export const NewInvitation = z.strictObject({ name: z.string().trim().max(100).default(''), positions: z.array(Position).min(1), department: Department.nullable().default(null) });

/** POST /api/people/{id} (administrator): other positions, another department. */
export const ChangedPerson = z.strictObject({ positions: z.array(Position).optional(), department: Department.nullable().optional() });

/** Answer of POST /api/people/invitations; the code is shown once and kept only as a hash. */
export const InvitationLink = z.object({ code: z.string(), path: z.string().describe('Page that accepts the invitation'), expiresAt: Instant });
export type InvitationLink = z.infer<typeof InvitationLink>;

/** GET /api/sign-in: what the page can offer at the address it was opened at. */
export const SignInMethods = z.object({ password: z.boolean(), passkey: z.boolean(), passkeyHindrance: z.string().nullable(), service: z.string().nullable().describe('Name of the sign-in service of the city, when one is set up'), secondFactor: z.enum(['required', 'optional']) });
export type SignInMethods = z.infer<typeof SignInMethods>;

/** Answer of the passkey options routes; `options` is the JSON form of WebAuthn level 3. */
export const PasskeyChallenge = z.object({ challengeId: z.string(), options: z.unknown() });

/** GET /api/sessions: the caller's own sessions; DELETE /api/sessions/{id} ends one. */
export const SessionSummary = z.object({ id: z.string(), agent: z.string(), method: z.enum(['passkey', 'password', 'service', 'link']), factors: z.number().int(), createdAt: Instant, seenAt: Instant, expiresAt: Instant, current: z.boolean() });
export type SessionSummary = z.infer<typeof SessionSummary>;

/** POST /api/tokens/revoke (administrator): the token itself, or its id. */
export const RevokeToken = z.strictObject({ token: z.string().min(1).max(512) });

/** GET /api/account: the ways in which the caller signs in. */
export const AccountFactors = z.object({
  name: z.string(),
  positions: z.array(Position),
  department: z.string().nullable(),
  secondFactorNeeded: z.boolean(),
  password: z.boolean(),
  oneTimeCode: Instant.nullable().describe('When one-time codes were set up'),
  recoveryCodesLeft: z.number().int(),
  passkeys: z.array(z.object({ id: z.string(), name: z.string(), site: z.string(), createdAt: Instant, usedAt: Instant.nullable() })),
  service: z.array(z.object({ issuer: z.string(), createdAt: Instant, usedAt: Instant.nullable() })),
});
export type AccountFactors = z.infer<typeof AccountFactors>;

/** Answer of POST /api/account/one-time-code: a secret for an authenticator app, good after it was confirmed with a code. */
export const OneTimeCodeSecret = z.object({ uri: z.string().describe('otpauth:// address for a QR code'), secret: z.string().describe('Base32, for typing') });
export type OneTimeCodeSecret = z.infer<typeof OneTimeCodeSecret>;

/** POST /api/account/one-time-code/confirm */
export const CodeGiven = z.strictObject({ code: OneTimeCode.min(1) });

/** Recovery codes, each good once; they are shown this once. */
export const RecoveryCodes = z.object({ codes: z.array(z.string()) });
export type RecoveryCodes = z.infer<typeof RecoveryCodes>;

export const PasskeyName = z.strictObject({ name: z.string().trim().max(60) });
export const NewPassword = z.strictObject({ password: Password });

/** POST /api/session/step-up: a passkey, a one-time code, or the password (with a code where codes are set up). */
export const StepUpProof = z.union([
  PasskeyFinish,
  z.strictObject({ password: z.string().min(1).max(1_000), code: OneTimeCode.default('') }),
  z.strictObject({ code: OneTimeCode.min(1) }),
]);

/** What a passkey or service can prove again; GET /api/session/step-up tells the page what to offer. */
export const StepUpWays = z.object({ passkey: z.boolean(), password: z.boolean(), code: z.boolean(), service: z.string().nullable() });
export type StepUpWays = z.infer<typeof StepUpWays>;
