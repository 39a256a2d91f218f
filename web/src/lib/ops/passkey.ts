import { startAuthentication, startRegistration, type PublicKeyCredentialCreationOptionsJSON, type PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/browser';
import type { Session } from '#contracts/session';
import { call, type Answer, type Problem } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';

type Outcome = { readonly ok: true } | { readonly ok: false; readonly text: string };

export const wordsOf = (problem: Problem): string => [problem.detail || problem.title, problem.cure].filter((part) => part !== '').join(' ');

/** Whether this browser can make and use passkeys here: they belong to a name, never to a bare address (WebAuthn Level 3 §5.1.3). */
export const passkeysWork = (): boolean => 'PublicKeyCredential' in window && !/^\[|^[\d.]+$/.test(location.hostname);

/** Why the browser gave no passkey, in words. A fault of the browser's own is shown as it says it. */
function hindrance(error: unknown): string {
  if (!(error instanceof Error)) return t('passkey_cancelled');
  if (error.name === 'NotAllowedError' || error.name === 'AbortError') return t('passkey_cancelled');
  if (error.name === 'SecurityError') return t('passkey_insecure');
  return error.message;
}

async function through<O>(begin: Promise<Answer<{ challengeId: string; options: O }>>, ask: (options: O) => Promise<unknown>, finishPath: string): Promise<Outcome> {
  const begun = await begin;
  if (!begun.ok) return { ok: false, text: wordsOf(begun.problem) };
  let response: unknown;
  try {
    response = await ask(begun.value.options);
  } catch (error) {
    return { ok: false, text: hindrance(error) };
  }
  const finished = await call<Session>(fetch, finishPath, { method: 'POST', body: { challengeId: begun.value.challengeId, response } });
  return finished.ok ? { ok: true } : { ok: false, text: wordsOf(finished.problem) };
}

/** Signs in with a discoverable passkey. */
export const signInWithPasskey = (): Promise<Outcome> =>
  through(call<{ challengeId: string; options: PublicKeyCredentialRequestOptionsJSON }>(fetch, '/api/sign-in/passkey/options', { method: 'POST' }), (optionsJSON) => startAuthentication({ optionsJSON }), '/api/sign-in/passkey/finish');

/** Proves again who one is. */
export const stepUpWithPasskey = (): Promise<Outcome> =>
  through(call<{ challengeId: string; options: PublicKeyCredentialRequestOptionsJSON }>(fetch, '/api/session/step-up/passkey/options', { method: 'POST' }), (optionsJSON) => startAuthentication({ optionsJSON }), '/api/session/step-up');

/** Adds a passkey to one's own account; `ask` sends the first call and may ask for a fresh proof. */
export const addPasskey = (ask: <T>(begin: () => Promise<Answer<T>>) => Promise<Answer<T>>): Promise<Outcome> =>
  through(ask(() => call<{ challengeId: string; options: PublicKeyCredentialCreationOptionsJSON }>(fetch, '/api/account/passkeys/options', { method: 'POST' })), (optionsJSON) => startRegistration({ optionsJSON }), '/api/account/passkeys/finish');

/** Makes a passkey under a one-time link; signs in with it. */
export function acceptWithPasskey(code: string, name: string): Promise<Outcome> {
  const base = `/api/invitations/${encodeURIComponent(code)}/passkey`;
  return through(call<{ challengeId: string; options: PublicKeyCredentialCreationOptionsJSON }>(fetch, `${base}/options`, { method: 'POST', body: { name } }), (optionsJSON) => startRegistration({ optionsJSON }), `${base}/finish`);
}
