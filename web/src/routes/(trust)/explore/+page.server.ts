import type { Session } from '#contracts/session.ts';
import { call } from '#lib/api/client.ts';
import { isLanguage, LANGUAGE_COOKIE } from '#lib/i18n/language.ts';
import { cookieName } from '#lib/ui/cookie-name.ts';
import type { PageServerLoad } from './$types';

/** Versions of the standard that this server may speak; those that answer are offered. */
const ROOTS = ['/v1.1', '/v2.0'] as const;

interface Landing {
  readonly value?: readonly { readonly name: string }[];
}

export const load: PageServerLoad = async ({ fetch, url, cookies }) => {
  const language = url.searchParams.get('language');
  if (language !== null && isLanguage(language)) cookies.set(cookieName(LANGUAGE_COOKIE, url.protocol === 'https:'), language, { path: '/', maxAge: 31_536_000, sameSite: 'lax', httpOnly: true, secure: url.protocol === 'https:' });
  const [session, answers] = await Promise.all([call<Session>(fetch, '/api/session'), Promise.all(ROOTS.map(async (root) => ({ root, answer: await call<Landing>(fetch, root) })))]);
  const staff = session.ok && session.value.principal.kind !== 'anonymous';
  return { staff, apis: answers.flatMap(({ root, answer }) => (answer.ok && answer.value.value !== undefined ? [{ root, sets: answer.value.value.map(({ name }) => name) }] : [])) };
};
