import { error, redirect } from '@sveltejs/kit';
import type { Session } from '#contracts/session';
import type { Principal } from '#contracts/principal';
import { call } from '#lib/api/client.ts';

interface Asking {
  readonly fetch: typeof globalThis.fetch;
  readonly url: URL;
}

/** Who asks; sends people without a session to the sign-in page and back here afterwards. */
export async function requirePerson({ fetch, url }: Asking): Promise<Principal> {
  const answer = await call<Session>(fetch, '/api/session');
  if (!answer.ok) error(answer.problem.status || 503, { message: answer.problem.title, code: answer.problem.code });
  const { principal, secondFactorNeeded } = answer.value;
  if (principal.kind === 'anonymous') redirect(303, `/sign-in?next=${encodeURIComponent(url.pathname + url.search)}`);
  if (secondFactorNeeded) redirect(303, `/account?new&next=${encodeURIComponent(url.pathname + url.search)}`);
  return principal;
}

const NOWHERE = 'https://nowhere.invalid';

/** Where to go after signing in: a path of this server, never another site. */
export function nextPath(asked: string | null | undefined): string {
  if (asked === null || asked === undefined || !asked.startsWith('/') || !URL.canParse(asked, NOWHERE)) return '/console';
  // as browsers read it: they leave out tabs and line ends, and take a backslash for a slash (WHATWG URL §4.4)
  const { origin, pathname, search, hash } = new URL(asked, NOWHERE);
  return origin === NOWHERE && !pathname.startsWith('//') ? pathname + search + hash : '/console';
}
