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
