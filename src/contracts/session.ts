import { z } from 'zod';
import { Instant } from './common.ts';
import { Position, Principal } from './principal.ts';

/** GET /api/session */
export const Session = z.object({ principal: Principal, expiresAt: Instant.nullable() });
export type Session = z.infer<typeof Session>;

/** POST /api/sign-in/password */
export const PasswordSignIn = z.strictObject({ name: z.string().trim().min(1).max(100), password: z.string().min(1).max(1_000) });

/** GET /api/invitations/{code}: what a one-time link is for. */
export const Invitation = z.object({ positions: z.array(Position), name: z.string(), expiresAt: Instant });
export type Invitation = z.infer<typeof Invitation>;

/** POST /api/invitations/{code}/password: sets up an account with a password and signs in. */
export const AcceptWithPassword = z.strictObject({
  name: z.string().trim().min(2).max(100),
  password: z.string().min(12, 'Use at least 12 characters; a sentence is fine.').max(1_000),
});

/** Passkeys (WebAuthn level 3). Options and answers are the JSON forms of the standard. */
export const PasskeyBegin = z.strictObject({ name: z.string().trim().min(2).max(100) });
export const PasskeyFinish = z.strictObject({ challengeId: z.string(), response: z.unknown() });

export const Person = z.object({ id: z.string(), name: z.string(), positions: z.array(Position), pseudonym: z.string(), createdAt: Instant, disabled: z.boolean() });
export type Person = z.infer<typeof Person>;

/** POST /api/people/invitations (administrator) */
export const NewInvitation = z.strictObject({ name: z.string().trim().max(100).default(''), positions: z.array(Position).min(1) });

/** Answer of POST /api/people/invitations; the code is shown once and kept only as a hash. */
export const InvitationLink = z.object({ code: z.string(), path: z.string().describe('Page that accepts the invitation'), expiresAt: Instant });
export type InvitationLink = z.infer<typeof InvitationLink>;

/** GET /api/sign-in: what the page can offer at the address it was opened at. */
export const SignInMethods = z.object({ password: z.boolean(), passkey: z.boolean(), passkeyHindrance: z.string().nullable() });
export type SignInMethods = z.infer<typeof SignInMethods>;

/** Answer of the passkey options routes; `options` is the JSON form of WebAuthn level 3. */
export const PasskeyChallenge = z.object({ challengeId: z.string(), options: z.unknown() });

/** GET /api/sessions: the caller's own sessions; DELETE /api/sessions/{id} ends one. */
export const SessionSummary = z.object({ id: z.string(), agent: z.string(), createdAt: Instant, seenAt: Instant, expiresAt: Instant, current: z.boolean() });
export type SessionSummary = z.infer<typeof SessionSummary>;

/** POST /api/tokens/revoke (administrator): the token itself, or its id. */
export const RevokeToken = z.strictObject({ token: z.string().min(1).max(512) });
