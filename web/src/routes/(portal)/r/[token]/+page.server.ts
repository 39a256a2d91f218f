import type { PortalRequest } from '#contracts/request.ts';
import type { KeptState } from '#contracts/resident.ts';
import { call } from '#lib/api/client.ts';
import { portalWords } from '#lib/portal/words.ts';
import { error, fail, redirect } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, params, locals, url, setHeaders }) => {
  setHeaders({ 'cache-control': 'no-store', 'x-robots-tag': 'noindex' });
  const request = await call<PortalRequest>(fetch, `/api/portal/requests/${encodeURIComponent(params.token)}?language=${locals.language}`);
  if (!request.ok) error(request.problem.status === 404 ? 404 : 503, { message: request.problem.status === 404 ? portalWords(locals.language)('notFound') : request.problem.title });
  const showLooks = !request.value.quiet || url.searchParams.has('looks');
  // the page carries its data along, so what is not shown is not sent
  const shown: PortalRequest = showLooks ? request.value : { ...request.value, looks: [], looksWaiting: 0, looksTold: 'now', quiet: false };
  const kept = await call<KeptState>(fetch, `/api/my/links/${encodeURIComponent(params.token)}`);
  return { request: shown, showLooks, kept: kept.ok ? kept.value : null, isNew: url.searchParams.has('new'), token: params.token };
};

export const actions: Actions = {
  keep: async ({ fetch, params }) => {
    const answer = await call(fetch, `/api/my/links/${encodeURIComponent(params.token)}`, { method: 'POST' });
    if (!answer.ok) return fail(answer.problem.status || 503, { text: '', keep: answer.problem.detail || answer.problem.title });
    redirect(303, `/r/${params.token}`);
  },
  reopen: async ({ request, fetch, params }) => {
    const reason = (await request.formData()).get('reason');
    const answer = await call(fetch, `/api/portal/requests/${encodeURIComponent(params.token)}/reopen`, { method: 'POST', body: { reason: typeof reason === 'string' ? reason : '' } });
    if (!answer.ok) return fail(answer.problem.status || 503, { text: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`.trim() });
    return { text: '' };
  },
};
