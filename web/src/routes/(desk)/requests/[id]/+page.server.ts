import type { Contact, RequestDetail } from '#contracts/request.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { call, type Problem } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, params }) => {
  const id = encodeURIComponent(params.id);
  const [request, register] = await Promise.all([read<RequestDetail>(fetch, `/api/requests/${id}`), read<PurposeRegister>(fetch, '/api/purposes')]);
  return { request, purposes: register.purposes.filter((purpose) => purpose.personal_data).map(({ id: purpose, title }) => ({ id: purpose, title })) };
};

const textOf = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};
const saying = (problem: Problem): string => `${problem.detail || problem.title} ${problem.cure}`.trim();

export const actions: Actions = {
  look: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const answer = await call<Contact>(fetch, `/api/requests/${encodeURIComponent(params.id)}/contact`, { method: 'POST', body: { purpose: textOf(form, 'purpose'), reason: textOf(form, 'reason') } });
    return answer.ok ? { contact: answer.value, error: '' } : fail(answer.problem.status || 503, { contact: null, error: saying(answer.problem) });
  },
  publish: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const answer = await call(fetch, `/api/requests/${encodeURIComponent(params.id)}/publish`, { method: 'POST', body: { published: textOf(form, 'published') === 'yes' } });
    return answer.ok ? { contact: null, error: '' } : fail(answer.problem.status || 503, { contact: null, error: saying(answer.problem) });
  },
};
