import type { KeptReport, ResidentSession } from '#contracts/resident.ts';
import { call } from '#lib/api/client.ts';
import { portalWords } from '#lib/portal/words.ts';
import { error, fail, redirect } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, locals, url, setHeaders }) => {
  setHeaders({ 'cache-control': 'no-store', 'x-robots-tag': 'noindex' });
  const words = portalWords(locals.language);
  const session = await call<ResidentSession>(fetch, '/api/my/session');
  if (!session.ok) error(503, { message: session.problem.title });
  const problem = url.searchParams.get('problem');
  const said = problem === null ? '' : words(problem === 'auth.service-away' ? 'myAway' : 'myFailed');
  if (!session.value.signedIn) return { ...session.value, problem: said, signedOut: url.searchParams.has('signed-out'), reports: [] };
  const reports = await call<KeptReport[]>(fetch, `/api/my/reports?language=${locals.language}`);
  if (!reports.ok) error(503, { message: reports.problem.title });
  return { ...session.value, problem: said, signedOut: false, reports: reports.value };
};

export const actions: Actions = {
  remove: async ({ request, fetch, locals }) => {
    const id = (await request.formData()).get('id');
    const answer = await call(fetch, `/api/my/reports/${encodeURIComponent(typeof id === 'string' ? id : '')}`, { method: 'DELETE' });
    // one that another window has taken out is out
    if (!answer.ok && answer.problem.status !== 404) return fail(answer.problem.status || 503, { text: answer.problem.status === 401 ? portalWords(locals.language)('mySession') : answer.problem.title });
    redirect(303, '/my');
  },
  out: async ({ fetch }) => {
    const answer = await call(fetch, '/api/my/sign-out', { method: 'POST' });
    if (!answer.ok) return fail(answer.problem.status || 503, { text: answer.problem.title });
    redirect(303, '/my?signed-out');
  },
};
