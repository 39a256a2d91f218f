import type { Contact, RequestDetail, RequestWords } from '#contracts/request.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { call, type Problem } from '#lib/api/client.ts';
import { lookPurposes } from '#lib/desk/purposes.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, params, setHeaders }) => {
  setHeaders({ 'cache-control': 'no-store' });
  const id = encodeURIComponent(params.id);
  const [request, register] = await Promise.all([read<RequestDetail>(fetch, `/api/requests/${id}`), read<PurposeRegister>(fetch, '/api/purposes')]);
  return { request, purposes: lookPurposes(register) };
};

const textOf = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};
const saying = (problem: Problem): string => `${problem.detail || problem.title} ${problem.cure}`.trim();
/** What was typed comes back, so that a second look of this page view need not be typed again; it is kept nowhere. */
const lookOf = (form: FormData) => ({ purpose: textOf(form, 'purpose'), reasonCode: textOf(form, 'reasonCode'), reason: textOf(form, 'reason') });
const NOTHING = { words: null, contact: null, print: false, error: '' };

export const actions: Actions = {
  words: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const look = lookOf(form);
    const print = textOf(form, 'via') === 'print';
    const answer = await call<RequestWords>(fetch, `/api/requests/${encodeURIComponent(params.id)}/words`, { method: 'POST', body: { ...look, via: print ? 'print' : 'detail' } });
    return answer.ok ? { ...NOTHING, look, print, words: answer.value } : fail(answer.problem.status || 503, { ...NOTHING, look, error: saying(answer.problem) });
  },
  look: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const look = lookOf(form);
    const fields = form.getAll('fields').filter((field) => typeof field === 'string');
    const answer = await call<Contact>(fetch, `/api/requests/${encodeURIComponent(params.id)}/contact`, { method: 'POST', body: { ...look, fields } });
    return answer.ok ? { ...NOTHING, look, contact: answer.value } : fail(answer.problem.status || 503, { ...NOTHING, look, error: saying(answer.problem) });
  },
  publish: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const published = textOf(form, 'published') === 'yes';
    const text = textOf(form, 'text');
    const answer = await call(fetch, `/api/requests/${encodeURIComponent(params.id)}/publish`, { method: 'POST', body: { published, ...(published && form.has('text') ? { description: text } : {}) } });
    return answer.ok ? NOTHING : fail(answer.problem.status || 503, { ...NOTHING, error: saying(answer.problem) });
  },
};
