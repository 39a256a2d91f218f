import type { AccountFactors, SessionSummary, SignInMethods } from '#contracts/session.ts';
import { read } from '#lib/trust/read.ts';
import { nextPath } from '#lib/server/session.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const [account, methods] = await Promise.all([read<AccountFactors>(fetch, '/api/account'), read<SignInMethods>(fetch, '/api/sign-in')]);
  const sessions = account.secondFactorNeeded ? [] : await read<SessionSummary[]>(fetch, '/api/sessions');
  return { account, methods, sessions, next: nextPath(url.searchParams.get('next')), isNew: url.searchParams.has('new') };
};
