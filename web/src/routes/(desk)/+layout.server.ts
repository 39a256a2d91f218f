import type { ApprovalList } from '#contracts/approval.ts';
import type { City } from '#contracts/common.ts';
import type { Session } from '#contracts/session.ts';
import { call } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { redirect } from '@sveltejs/kit';
import type { LayoutServerLoad } from './$types';

/** Desk pages are plain forms, for people who work on requests and accounts. */
export const load: LayoutServerLoad = async ({ fetch, url }) => {
  const [city, session] = await Promise.all([read<City>(fetch, '/api/city'), read<Session>(fetch, '/api/session')]);
  if (session.principal.kind === 'anonymous') redirect(303, `/sign-in?next=${encodeURIComponent(url.pathname)}`);
  if (session.secondFactorNeeded && url.pathname !== '/account') redirect(303, `/account?new&next=${encodeURIComponent(url.pathname)}`);
  const approvals = await call<ApprovalList>(fetch, '/api/approvals');
  // without the right to see them there are none to tell of
  return { city, principal: session.principal, waiting: approvals.ok ? approvals.value.waiting : 0 };
};
